//! The native agent: an immutable recipe that opens conversations and runs their turns.
//! Refuses sessions, subagents, any concrete tool and any vendor.

mod call;
mod context;
mod derive;
mod ending;
mod fold;
mod live;
mod log;
mod prepare;
mod recall;
mod steps;
mod talk;
mod turn;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};

use self::{derive::Derived, talk::Talk};
pub use self::{
    prepare::MAX_CALLS,
    turn::{MAX_CUT_CALLS, MAX_WRONG_STEPS},
};
use crate::{
    backend::{Backend, Capabilities, Conversation, Grant, Shape},
    dispatch::DEFAULT_TOOL_DEADLINE,
    error::Result,
    hook::{Hook, Hooks},
    http::RetryPolicy,
    message::Message,
    options::Options,
    permission::{Permissions, Rulebook},
    provider::Provider,
    spec::ToolSpec,
    tool::{Output, Tool, ToolSet},
    transcript::{CompactionSettings, Counter},
};

/// The recipe of a native agent. Immutable and cheap to clone; opens any number of conversations.
///
/// ```
/// use offshoot::{Agent, provider::Offline};
///
/// # fn main() -> offshoot::Result<()> {
/// let agent = Agent::builder(Offline::new()).system("Be brief.").build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Agent {
    recipe: Arc<Recipe>,
}

#[derive(Clone)]
struct Recipe {
    models: Vec<Arc<dyn Provider>>,
    system: String,
    tools: ToolSet,
    hooks: Hooks,
    permissions: Permissions,
    /// The same as a page, made once for all conversations.
    page: OnceLock<Rulebook>,
    options: Options,
    retry: RetryPolicy,
    compaction: CompactionSettings,
    tool_deadline: Duration,
    output_cap: usize,
    max_steps: u64,
    max_pushes: u32,
    history: Vec<Message>,
    /// Counted once for all conversations.
    overhead: OnceLock<u64>,
    /// The kinds of children this agent has had, so that each is made once.
    derived: Derived,
    /// The shape it was made in, when it is a child of another.
    shape: Option<Arc<Shape>>,
}

impl Recipe {
    /// Tokens that each request carries beside the conversation, as counted by us.
    fn overhead(&self, counter: &Counter) -> u64 {
        *self.overhead.get_or_init(|| self.count_overhead(counter))
    }

    fn rules(&self) -> &Rulebook {
        let page = || Rulebook::unrestricted().with(&self.permissions);
        self.page.get_or_init(page)
    }

    fn count_overhead(&self, counter: &Counter) -> u64 {
        let spec = |spec: &ToolSpec| {
            let schema = spec.schema.to_string();
            counter.text(&spec.name) + counter.text(&spec.description) + counter.text(&schema)
        };
        counter.text(&self.system) + self.tools.specs().get().iter().map(spec).sum::<u64>()
    }
}

impl Agent {
    /// Model calls of one turn when nobody says otherwise.
    pub const DEFAULT_MAX_STEPS: u64 = 50;

    /// How often a hook may push one turn on when nobody says otherwise.
    pub const DEFAULT_MAX_PUSHES: u32 = 3;

    /// Begins a recipe with the model that answers.
    pub fn builder(model: impl Provider) -> AgentBuilder {
        Self::builder_for(Arc::new(model))
    }

    /// Begins a recipe with a model chosen at run time.
    pub fn builder_for(model: Arc<dyn Provider>) -> AgentBuilder {
        AgentBuilder {
            tools: Vec::new(),
            hooks: Vec::new(),
            recipe: Recipe {
                models: vec![model],
                system: String::new(),
                tools: ToolSet::default(),
                hooks: Hooks::default(),
                permissions: Permissions::default(),
                page: OnceLock::new(),
                options: Options::default(),
                retry: RetryPolicy::default(),
                compaction: CompactionSettings::default(),
                tool_deadline: DEFAULT_TOOL_DEADLINE,
                output_cap: Output::DEFAULT_CAP,
                max_steps: Self::DEFAULT_MAX_STEPS,
                max_pushes: Self::DEFAULT_MAX_PUSHES,
                history: Vec::new(),
                overhead: OnceLock::new(),
                derived: Derived::default(),
                shape: None,
            },
        }
    }

    /// The model that is asked first, as `vendor/name`.
    pub fn model_name(&self) -> String {
        self.recipe.models[0].model().full_name()
    }

    /// The tools it may call.
    pub fn tools(&self) -> &ToolSet {
        &self.recipe.tools
    }

    /// Opens a conversation at once: the native agent has nothing to wait for.
    pub(crate) fn talk(&self, grant: Grant) -> Talk {
        Talk::new(self.clone(), grant)
    }
}

impl Backend for Agent {
    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL
    }

    fn open(self: Arc<Self>, grant: Grant) -> BoxFuture<'static, Result<Box<dyn Conversation>>> {
        async move { Ok(Box::new(self.talk(grant)) as Box<dyn Conversation>) }.boxed()
    }

    fn derive(&self, shape: &Arc<Shape>) -> Option<Arc<dyn Backend>> {
        // What was chosen and taken away once stays so: in its own shape it is itself again.
        if self
            .recipe
            .shape
            .as_ref()
            .is_some_and(|own| Arc::ptr_eq(own, shape))
        {
            return Some(Arc::new(self.clone()));
        }
        Some(self.recipe.derived.get(shape, || self.shaped(shape)))
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("model", &self.model_name())
            .field("tools", &self.recipe.tools)
            .finish_non_exhaustive()
    }
}

/// Puts an [`Agent`] together.
#[must_use]
pub struct AgentBuilder {
    recipe: Recipe,
    tools: Vec<Arc<dyn Tool>>,
    hooks: Vec<Arc<dyn Hook>>,
}

impl AgentBuilder {
    /// The system prompt.
    pub fn system(mut self, text: impl Into<String>) -> Self {
        self.recipe.system = text.into();
        self
    }

    /// One more tool.
    pub fn tool(mut self, tool: Arc<dyn Tool>) -> Self {
        self.tools.push(tool);
        self
    }

    /// More tools.
    pub fn tools(mut self, tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Self {
        self.tools.extend(tools);
        self
    }

    /// One more hook; hooks are called in the order they were added.
    pub fn hook(mut self, hook: impl Hook) -> Self {
        self.hooks.push(Arc::new(hook));
        self
    }

    /// More hooks, after those that were added before.
    pub fn hooks(mut self, hooks: &Hooks) -> Self {
        self.hooks.extend(hooks.iter().cloned());
        self
    }

    /// One more model, asked when those before it fail for good. Their order is kept.
    pub fn fallback(mut self, model: Arc<dyn Provider>) -> Self {
        self.recipe.models.push(model);
        self
    }

    /// Mode and rules.
    pub fn permissions(mut self, permissions: Permissions) -> Self {
        self.recipe.permissions = permissions;
        self
    }

    /// How the model should answer.
    pub fn options(mut self, options: Options) -> Self {
        self.recipe.options = options;
        self
    }

    /// How failed model calls are tried again.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.recipe.retry = retry;
        self
    }

    /// When history is shortened.
    pub fn compaction(mut self, settings: CompactionSettings) -> Self {
        self.recipe.compaction = settings;
        self
    }

    /// How long a tool may run that does not say so itself.
    pub fn tool_deadline(mut self, deadline: Duration) -> Self {
        self.recipe.tool_deadline = deadline;
        self
    }

    /// How many bytes of one result the model reads.
    pub fn output_cap(mut self, bytes: usize) -> Self {
        self.recipe.output_cap = bytes.max(64);
        self
    }

    /// Model calls of one turn.
    pub fn max_steps(mut self, steps: u64) -> Self {
        self.recipe.max_steps = steps;
        self
    }

    /// How often hooks may push one turn on.
    pub fn max_pushes(mut self, pushes: u32) -> Self {
        self.recipe.max_pushes = pushes;
        self
    }

    /// What was said before; broken pairs in it are repaired.
    pub fn history(mut self, messages: Vec<Message>) -> Self {
        self.recipe.history = messages;
        self
    }

    /// Checks everything once.
    ///
    /// # Errors
    /// Two tools of one name, a name that vendors refuse, a schema that is none.
    pub fn build(self) -> Result<Agent> {
        let Self {
            mut recipe,
            tools,
            hooks,
        } = self;
        recipe.tools = ToolSet::new(tools)?;
        recipe.hooks = Hooks::new(hooks);
        Ok(Agent {
            recipe: Arc::new(recipe),
        })
    }
}

impl fmt::Debug for AgentBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentBuilder")
            .field("tools", &self.tools.len())
            .finish_non_exhaustive()
    }
}
