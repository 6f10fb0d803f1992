//! What a tool says of itself: name, schema, and how it may be run.
//! Refuses behaviour: these are words that the engine and the model read.

use std::{borrow::Cow, time::Duration};

use serde_json::Value;

/// What a tool says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToolSpec {
    /// The name that the model uses: letters, digits, `_` and `-`, at most 64.
    pub name: Cow<'static, str>,
    /// What the model reads.
    pub description: Cow<'static, str>,
    /// The JSON Schema of the arguments: an object.
    pub schema: Value,
    /// What may run beside it.
    pub lane: Lane,
    /// What a repetition would do.
    pub effect: Effect,
    /// What it touches, for permission.
    pub access: Access,
    /// How long it may run; `None` for the engine's default.
    pub deadline: Option<Duration>,
    /// Which files it can reach.
    pub reach: Reach,
    /// The name of the argument that rules such as `Read(src/**)` look at.
    pub subject: Option<Cow<'static, str>>,
}

impl ToolSpec {
    /// A tool that runs beside others and only acts within the program: the usual custom tool.
    /// Undeclared effects count as [`Effect::Once`].
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
        schema: Value,
    ) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            schema,
            lane: Lane::Alone,
            effect: Effect::Once,
            access: Access::Acts,
            deadline: None,
            reach: Reach::Nothing,
            subject: None,
        }
    }

    /// A tool that only looks: it runs beside others, may be repeated, and needs no permission.
    #[must_use]
    pub fn reads(mut self) -> Self {
        self.lane = Lane::Shared;
        self.effect = Effect::Pure;
        self.access = Access::Reads;
        self
    }

    /// What may run beside it.
    #[must_use]
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// What a repetition would do.
    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// What it touches.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Which files it can reach.
    #[must_use]
    pub fn reaches(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// How long it may run.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// What permission rules look at in these arguments, when the tool does not say it better.
    pub fn subjects(&self, input: &Value) -> Vec<String> {
        let named = self
            .subject
            .as_deref()
            .and_then(|name| input.get(name)?.as_str());
        named.map(str::to_owned).into_iter().collect()
    }

    /// The argument that permission rules look at.
    #[must_use]
    pub fn subject(mut self, argument: impl Into<Cow<'static, str>>) -> Self {
        self.subject = Some(argument.into());
        self
    }
}

/// What may run beside a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lane {
    /// Other shared and free calls may run at the same time. Takes one of the tree's permits.
    Shared,
    /// Nothing else of its message runs at the same time. Takes a permit. The default.
    Alone,
    /// As shared, but takes no permit, because it waits on other agents.
    Free,
}

/// What a repetition of a call would do; decides what happens after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// It changes nothing.
    Pure,
    /// Twice is the same as once.
    Idempotent,
    /// Twice is the same as once when the same key is given: `ctx.key()`.
    Keyed,
    /// It must not be repeated unasked. The default.
    Once,
}

/// Which files a tool can reach, for agents that are held to paths. Where it names a file, that is
/// the subject of its call: see `Tool::subjects`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// No file of the workspace. The default.
    #[default]
    Nothing,
    /// The one that it names.
    File,
    /// The one that it names, and everything in it when it is a folder.
    Tree,
    /// Those that fit the pattern that it names.
    Pattern,
    /// Any, as a shell can: it is refused where paths are limited.
    Anything,
}

/// What a tool touches, for permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// It only looks. Never asks.
    Reads,
    /// It changes files of the workspace.
    Edits,
    /// It acts in some other way. The default.
    Acts,
}
