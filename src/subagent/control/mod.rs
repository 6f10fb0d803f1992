//! Tools by which agents of one tree reach each other: read, stop, tell, list.
//! Refuses to reach into another tree, and to turn a refusal into an error: the model reads it.

mod list;
mod output;
mod send;
mod stop;

use std::sync::Arc;

use crate::{
    backend::Grant,
    registry::{Contact, Reached, Tombstone},
    tool::{Tool, ToolContext, ToolOutput, typed},
};

/// Agents that a refusal names, so that the model can mend its call.
const MAX_NAMED: usize = 20;

/// The four tools.
pub(super) fn tools() -> [Arc<dyn Tool>; 4] {
    [
        typed(output::TaskOutput),
        typed(stop::TaskStop),
        typed(send::SendMessage),
        typed(list::ListAgents),
    ]
}

/// Characters of a description that an answer repeats.
const MAX_DESCRIPTION: usize = 200;

/// A description as it stands in a row: whoever opens an agent chooses it, and it must not begin a
/// row of its own nor end the quotes that it stands in.
fn one_line(description: &str) -> String {
    let tame = |c: char| match c {
        '"' => '\'',
        c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => ' ',
        c => c,
    };
    let line = description.chars().map(tame);
    line.take(MAX_DESCRIPTION).collect()
}

/// What stands behind a name that a model gave.
enum Found {
    Alive(Contact),
    Ended(Arc<Tombstone>),
}

/// The grant of the agent that calls.
fn grant(ctx: &ToolContext) -> Result<&Grant, ToolOutput> {
    let by_hand = || ToolOutput::failed("this tool works only when an agent calls it");
    Grant::of(ctx).ok_or_else(by_hand)
}

/// Finds an agent of the caller's tree by its place or its id; else says which there are.
fn find(grant: &Grant, name: &str) -> Result<Found, ToolOutput> {
    match grant.desk.reach(name.trim()) {
        Reached::Alive(contact) => Ok(Found::Alive(contact)),
        Reached::Ended(tombstone) => Ok(Found::Ended(tombstone)),
        Reached::Unknown => {
            let rows = grant.desk.registry().tree(grant.desk.session());
            let mut names: Vec<_> = rows.iter().map(|row| row.path.to_string()).collect();
            let more = names.len().saturating_sub(MAX_NAMED);
            names.truncate(MAX_NAMED);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let names = names.join(", ");
            Err(ToolOutput::failed(format!(
                "Unknown agent: `{name}`. Those that live: {names}{more}."
            )))
        }
    }
}
