//! Kinds of subagents as data: what each is for, and how it differs from the agent that opens it.
//! Refuses to widen: whatever a kind says, it gets at most what its parent has.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc, time::Duration};

use crate::{
    backend::{Backend, Selection, Shape},
    budget::Budget,
    error::{Error, ErrorKind, Result},
    permission::{Mode, Paths, Permissions},
    provider::{self, Provider},
};

/// Characters that the name of a kind may have.
const MAX_NAME: usize = 64;

/// A kind of subagent.
///
/// ```
/// use offshoot::{AgentKind, AgentKinds, Budget, Selection};
///
/// # fn main() -> offshoot::Result<()> {
/// let tester = AgentKind::new("tester", "Runs the tests and explains what fails")
///     .system("You run tests. Report each failure with its place and its cause.")
///     .tools(Selection::default().only(["Read", "Grep", "Bash"]))
///     .budget(Budget::unlimited().turns(20));
/// let kinds = AgentKinds::builtin().with(tester)?;
/// assert!(kinds.names().any(|name| name == "tester"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct AgentKind {
    pub(super) name: Arc<str>,
    pub(super) description: Cow<'static, str>,
    pub(super) body: Body,
    pub(super) budget: Budget,
    pub(super) deadline: Option<Duration>,
    /// Which files it may reach, of those that its parent may.
    pub(super) paths: Option<Paths>,
    /// Which variables its programs see, of those that its parent's do.
    pub(super) environment: Option<Arc<[String]>>,
    /// The model by name, opened when the first agent of this kind is.
    pub(super) model: Option<String>,
}

/// What answers for a kind.
#[derive(Clone)]
pub(super) enum Body {
    /// The parent's likeness.
    Shaped(Shapes),
    /// Something else altogether: a CLI agent, one on another machine.
    Other(Arc<dyn Backend>),
}

/// One kind in two shapes, made once so that what is made of them is remembered.
#[derive(Clone)]
pub(super) struct Shapes {
    /// May start agents itself, when its tools say so.
    pub(super) branch: Arc<Shape>,
    /// May not, because no deeper agents are allowed: it is not offered the tool, and one that calls
    /// it all the same hears of the limit.
    pub(super) leaf: Arc<Shape>,
}

impl AgentKind {
    /// A kind with its parent's prompt, tools and model, until something else is said.
    pub fn new(name: impl Into<Arc<str>>, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            body: Body::Shaped(Shapes::of(Shape::default())),
            budget: Budget::default(),
            deadline: None,
            paths: None,
            environment: None,
            model: None,
        }
    }

    /// Its system prompt.
    #[must_use]
    pub fn system(self, text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        self.shape(|shape| shape.system = Some(text))
    }

    /// Which of its parent's tools it may call.
    #[must_use]
    pub fn tools(self, tools: Selection) -> Self {
        self.shape(|shape| shape.tools = tools)
    }

    /// Rules on top of its parent's.
    #[must_use]
    pub fn permissions(self, permissions: Permissions) -> Self {
        self.shape(|shape| shape.permissions = Some(permissions))
    }

    /// Which model answers, rather than its parent's.
    #[must_use]
    pub fn model(self, model: Arc<dyn Provider>) -> Self {
        self.shape(|shape| shape.model = Some(model))
    }

    /// Which model answers, by a name that [`AgentKinds::models`] knows.
    #[must_use]
    pub fn model_named(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// What one agent of this kind may spend, of what its parent has left.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Which files it may reach, of those that its parent may.
    #[must_use]
    pub fn paths(mut self, paths: Paths) -> Self {
        self.paths = Some(paths);
        self
    }

    /// Which variables the programs see that are started for it, of those that its parent's see.
    #[must_use]
    pub fn environment<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.environment = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// How long one agent of this kind may live.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Answered by another backend: a program, a machine, another agent altogether. Prompt, tools
    /// and model are then its own.
    #[must_use]
    pub fn backend(mut self, backend: Arc<dyn Backend>) -> Self {
        self.body = Body::Other(backend);
        self
    }

    fn shape(mut self, change: impl FnOnce(&mut Shape)) -> Self {
        let mut shape = match &self.body {
            Body::Shaped(shapes) => Shape::clone(&shapes.branch),
            Body::Other(_) => Shape::default(),
        };
        change(&mut shape);
        self.body = Body::Shaped(Shapes::of(shape));
        self
    }
}

impl Shapes {
    pub(super) fn of(shape: Shape) -> Self {
        let mut leaf = shape.clone();
        leaf.tools = leaf.tools.withholding([super::AGENT]);
        Self {
            branch: Arc::new(shape),
            leaf: Arc::new(leaf),
        }
    }
}

impl fmt::Debug for AgentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentKind")
            .field("name", &self.name)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

type Models = Arc<dyn Fn(&str) -> Result<Arc<dyn Provider>> + Send + Sync>;

/// The kinds of subagents that an agent may open, by name.
#[derive(Clone)]
pub struct AgentKinds {
    kinds: BTreeMap<Arc<str>, AgentKind>,
    models: Models,
}

impl AgentKinds {
    /// No kinds.
    pub fn none() -> Self {
        Self {
            kinds: BTreeMap::new(),
            models: Arc::new(provider::connect),
        }
    }

    /// The kinds that come with the crate: `general-purpose`, `explore`, `plan`,
    /// `security-review`.
    pub fn builtin() -> Self {
        let mut kinds = Self::none();
        for kind in builtin() {
            kinds.kinds.insert(kind.name.clone(), kind);
        }
        kinds
    }

    /// With one more kind; one of the same name is replaced.
    ///
    /// # Errors
    /// When the name has characters that a place in the tree cannot have.
    pub fn with(mut self, kind: AgentKind) -> Result<Self> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name = &*kind.name;
        let digits = name.bytes().all(|b| b.is_ascii_digit());
        if digits || name.len() > MAX_NAME || !name.chars().all(fits) {
            return Err(Error::new(
                ErrorKind::Config,
                format!("bad name of an agent kind: `{name}`"),
            )
            .with_hint("use 1 to 64 letters, digits, `-`, `_` and `.`, not digits alone"));
        }
        self.kinds.insert(kind.name.clone(), kind);
        Ok(self)
    }

    /// How the names of models are understood; by default as `vendor/name`.
    #[must_use]
    pub fn models(
        mut self,
        models: impl Fn(&str) -> Result<Arc<dyn Provider>> + Send + Sync + 'static,
    ) -> Self {
        self.models = Arc::new(models);
        self
    }

    /// The kind of this name.
    pub fn get(&self, name: &str) -> Option<&AgentKind> {
        self.kinds.get(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(|name| &**name)
    }

    pub(super) fn open_model(&self, name: &str) -> Result<Arc<dyn Provider>> {
        (self.models)(name)
    }

    /// A line for each kind, as the model reads it.
    pub(super) fn lines(&self) -> String {
        let line = |kind: &AgentKind| format!("- {}: {}\n", kind.name, kind.description);
        self.kinds.values().map(line).collect()
    }
}

impl Default for AgentKinds {
    fn default() -> Self {
        Self::builtin()
    }
}

impl fmt::Debug for AgentKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kinds.keys()).finish()
    }
}

fn builtin() -> [AgentKind; 4] {
    let looking = || Permissions {
        mode: Mode::Plan,
        ..Permissions::unrestricted()
    };
    let reading = || {
        let control = [
            super::AGENT,
            super::TASK_OUTPUT,
            super::TASK_STOP,
            super::LIST_AGENTS,
        ];
        Selection::default().reading().without(control)
    };
    [
        AgentKind::new(
            super::GENERAL,
            "for anything that takes several steps; has all tools of the agent that starts it",
        )
        .system(include_str!("prompts/general.md").trim()),
        AgentKind::new(
            "explore",
            "looks around in files and reports; cannot change anything",
        )
        .system(include_str!("prompts/explore.md").trim())
        .permissions(looking())
        .tools(reading()),
        AgentKind::new(
            "plan",
            "works out how a change should be made, and names the files that matter; cannot change \
             anything",
        )
        .system(include_str!("prompts/plan.md").trim())
        .permissions(looking())
        .tools(reading()),
        AgentKind::new(
            "security-review",
            "reviews a change for security, with agents of its own that check each finding",
        )
        .system(include_str!("prompts/security.md").trim())
        .tools(Selection::default().only(["Read", "Glob", "Grep", "Bash", super::AGENT])),
    ]
}
