//! The names under which external commands are called: those of Claude Code, and our own.
//! Refuses a second name for one thing; help and parsing read the same table.

use super::super::Point;
use crate::{
    error::{Error, ErrorKind, Result},
    id::AgentPath,
};

/// One row: a name, the point it stands for, and whose turns it hears.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) point: Point,
    whose: Whose,
}

/// Whose turns an event hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Everyone,
    Root,
    Children,
}

const fn row(name: &'static str, point: Point, whose: Whose) -> Event {
    Event { name, point, whose }
}

/// Every event. The first ones are named as users of Claude Code know them.
pub(super) const EVENTS: &[Event] = &[
    row("PreToolUse", Point::BeforeTool, Whose::Everyone),
    row(POST_TOOL_USE, Point::AfterTool, Whose::Everyone),
    row("UserPromptSubmit", Point::OnSubmit, Whose::Root),
    row("Stop", Point::OnStop, Whose::Root),
    row("SubagentStop", Point::OnStop, Whose::Children),
    row("SubagentStart", Point::OnSpawn, Whose::Everyone),
    row("PreCompact", Point::BeforeCompact, Whose::Everyone),
    row("SessionStart", Point::OnSessionStart, Whose::Root),
    row("SessionEnd", Point::OnSessionEnd, Whose::Root),
    row("Notification", Point::OnNote, Whose::Everyone),
    row("on_submit", Point::OnSubmit, Whose::Everyone),
    row("before_request", Point::BeforeRequest, Whose::Everyone),
    row("after_response", Point::AfterResponse, Whose::Everyone),
    row("before_tool", Point::BeforeTool, Whose::Everyone),
    row("after_tool", Point::AfterTool, Whose::Everyone),
    row("on_stop", Point::OnStop, Whose::Everyone),
    row("before_compact", Point::BeforeCompact, Whose::Everyone),
    row("on_spawn", Point::OnSpawn, Whose::Everyone),
    row("on_child_end", Point::OnChildEnd, Whose::Everyone),
    row("on_note", Point::OnNote, Whose::Everyone),
    row("on_session_start", Point::OnSessionStart, Whose::Everyone),
    row("on_session_end", Point::OnSessionEnd, Whose::Everyone),
];

/// The one event whose refusal is not that of its point: see [`Event::keeps_result`].
const POST_TOOL_USE: &str = "PostToolUse";

impl Event {
    pub(super) fn named(name: &str) -> Result<&'static Self> {
        EVENTS
            .iter()
            .find(|event| event.name == name)
            .ok_or_else(|| {
                let known: Vec<_> = EVENTS.iter().map(|event| event.name).collect();
                Error::new(ErrorKind::Config, format!("unknown hook event: `{name}`"))
                    .with_hint(format!("known are {}", known.join(", ")))
            })
    }

    /// Whether it hears this point of this agent's turn.
    pub(super) fn hears(&self, point: Point, agent: &AgentPath) -> bool {
        self.point == point
            && match self.whose {
                Whose::Everyone => true,
                Whose::Root => agent.depth() == 0,
                Whose::Children => agent.depth() > 0,
            }
    }

    /// Whether what a command says in plain words is meant for the model.
    pub(super) fn adds_plain_words(&self) -> bool {
        matches!(
            self.point,
            Point::OnSubmit | Point::OnSessionStart | Point::BeforeCompact
        )
    }

    /// Whether a refusal comes beside the tool's result instead of in its place, as users of
    /// Claude Code expect: a linter's complaint does not mean that the edit has failed.
    pub(super) fn keeps_result(&self) -> bool {
        self.name == POST_TOOL_USE
    }
}
