//! What is asked of a child before it lives: which kind, to do what, for how long.
//! Refuses to open it; an order is plain data.

use std::time::Duration;

use crate::{budget::Budget, event::Ground};

/// How long a child lives when neither its kind nor its order says otherwise.
pub const DEFAULT_CHILD_DEADLINE: Duration = Duration::from_secs(30 * 60);

/// How long nothing may come from a child that waits for nothing that has a limit of its own.
pub const NO_PROGRESS: Duration = Duration::from_secs(10 * 60);

/// What is asked of a child.
///
/// ```
/// use offshoot::Order;
///
/// let order = Order::new("explore", "List the files in `src` and say what each is for")
///     .describe("survey src")
///     .in_background();
/// assert_eq!(order.kind, "explore");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Order {
    /// Which kind of agent.
    pub kind: String,
    /// A few words on what it is for.
    pub description: String,
    /// What it is asked to do.
    pub prompt: String,
    /// Whether whoever asks waits for it.
    pub ground: Ground,
    /// Which model, by name; `None` for the kind's or the parent's.
    pub model: Option<String>,
    /// How long it may live; `None` for the kind's, else [`DEFAULT_CHILD_DEADLINE`].
    pub deadline: Option<Duration>,
    /// How long nothing may come from it before it counts as stuck.
    pub no_progress: Duration,
    /// What it may spend, on top of its kind's limits.
    pub budget: Budget,
}

impl Order {
    /// An agent of this kind, asked this, waited for.
    pub fn new(kind: impl Into<String>, prompt: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            description: String::new(),
            prompt: prompt.into(),
            ground: Ground::Foreground,
            model: None,
            deadline: None,
            no_progress: NO_PROGRESS,
            budget: Budget::default(),
        }
    }

    /// A few words on what it is for.
    #[must_use]
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Nobody waits; a note comes to the parent when it has ended.
    #[must_use]
    pub fn in_background(mut self) -> Self {
        self.ground = Ground::Background;
        self
    }

    /// Which model, by name.
    #[must_use]
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// How long it may live.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How long nothing may come from it before it counts as stuck.
    #[must_use]
    pub fn no_progress(mut self, limit: Duration) -> Self {
        self.no_progress = limit;
        self
    }

    /// What it may spend, of what its parent has left.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}
