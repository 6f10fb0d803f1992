//! The built-in tools, one file each, under the names that users of Claude Code know.
//! Refuses agents and models: a tool sees one workspace and its arguments.

mod glob;
mod grep;
mod hidden;
mod kept;
mod ls;
mod newest;
mod pattern;
mod read;
mod similar;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use serde_json::Value;

pub use self::kept::kept_output;
use crate::{
    error::Result,
    scope::Scope,
    tool::{Tool, ToolContext, ToolOutput, typed},
    workspace::{Ended, Limits, Stop, WorkError, Workspace},
};

/// A built-in tool: one row of the table that sets, help and docs come from.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Row {
    /// The name that models use.
    pub name: &'static str,
    /// What it is for, in one line, for people.
    pub about: &'static str,
    make: fn(Workspace) -> Arc<dyn Tool>,
}

impl Row {
    /// The tool, at work in a workspace.
    pub fn make(&self, workspace: Workspace) -> Arc<dyn Tool> {
        (self.make)(workspace)
    }
}

/// The tools that only look.
pub const READ_ONLY: &[Row] = &[
    Row {
        name: "Read",
        about: "reads a file: text by line numbers, pictures, PDFs",
        make: |workspace| typed(read::Read(workspace)),
    },
    Row {
        name: "Glob",
        about: "finds files by name, newest first",
        make: |workspace| typed(glob::Glob::new(workspace)),
    },
    Row {
        name: "Grep",
        about: "searches file contents by regular expression",
        make: |workspace| typed(grep::Grep::new(workspace)),
    },
    Row {
        name: "LS",
        about: "lists a folder as a tree, and counts what is in it",
        make: |workspace| typed(ls::Ls::new(workspace)),
    },
];

/// The tools that only look, at work in one folder: `Read`, `Glob`, `Grep` and `LS`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tools = offshoot::ToolSet::new(offshoot::tools::read_only(".")?)?;
/// assert_eq!(tools.names().collect::<Vec<_>>(), ["Glob", "Grep", "LS", "Read"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the folder cannot be opened; see [`Workspace::open`].
pub fn read_only(root: impl AsRef<Path>) -> Result<Vec<Arc<dyn Tool>>> {
    let workspace = Workspace::open(root)?;
    let tools = READ_ONLY.iter().map(|row| row.make(workspace.clone()));
    Ok(tools.collect())
}

/// The names of the path in an argument, for permission rules; without one it is the workspace.
fn aliases(workspace: &Workspace, input: &Value, argument: &str) -> Vec<String> {
    let path = input.get(argument).and_then(Value::as_str);
    workspace.aliases(path.unwrap_or("."))
}

/// Runs the part of a tool that blocks, and stops it when nobody wants its result any more.
async fn run(
    ctx: &ToolContext,
    limits: Limits,
    work: impl FnOnce(&Stop) -> Result<ToolOutput, WorkError> + Send + 'static,
) -> ToolOutput {
    let part = ctx.scope().part();
    let stop = Stop::within(part.clone(), limits.time);
    // At a deadline this future is dropped; the thread must hear of that too.
    let _cancel = CancelOnDrop(part);
    match ctx.blocking(move || work(&stop)).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => ToolOutput::failed(error.to_string()),
        Err(error) => ToolOutput::failed(error.to_string()),
    }
}

struct CancelOnDrop(Scope);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What a model must know of a walk that did not see everything; `None` when it did.
fn notice(ended: Ended, limits: Limits) -> Option<String> {
    let after = match ended {
        Ended::Whole | Ended::Enough => return None,
        Ended::Entries => format!("{} entries", limits.entries),
        Ended::Time => format!("{} seconds", limits.time.as_secs()),
        Ended::Cancelled => return Some("(stopped: cancelled)".into()),
    };
    Some(format!(
        "(stopped after {after}, there may be more: look into a smaller folder)"
    ))
}
