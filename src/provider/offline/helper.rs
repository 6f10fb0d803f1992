//! Helpers: agents below this one that read one folder each, and the call that sends one.
//! Refuses to send helpers that could do more than read.

use serde_json::{Value, json};

use super::{plan::Ask, prose::cut};
use crate::spec::ToolSpec;

/// The tool that starts a helper.
pub(super) const AGENT: &str = "Agent";
/// The kind of agent that only reads.
const KIND: &str = "explore";
/// How many may live at once where the tool does not say.
const AT_ONCE: usize = 10;
/// Bytes of what a helper is called.
const MAX_TITLE: usize = 60;

/// How many helpers may be at work at once; `None` when there are none to be had.
pub(super) fn at_once(tools: &[ToolSpec]) -> Option<usize> {
    let spec = tools.iter().find(|spec| spec.name == AGENT)?;
    let names = ["description", "prompt", "subagent_type"];
    let takes = |name: &str| spec.schema["properties"].get(name).is_some();
    let says = &spec.description;
    let kind = says
        .split_once("Kinds:")
        .is_none_or(|(_, kinds)| kinds.contains(KIND));
    let most = live_limit(says).unwrap_or(AT_ONCE);
    (names.into_iter().all(takes) && kind && most > 0).then_some(most)
}

/// The figure in `At most 20 agents live at once in this tree.`
fn live_limit(description: &str) -> Option<usize> {
    let (front, _) = description.split_once(" agents live at once in this tree")?;
    let (_, figure) = front.rsplit_once("At most ")?;
    figure.replace(',', "").parse().ok()
}

/// The call that sends a helper into a folder; `None` for a name that no quotation mark can hold.
pub(super) fn to(path: &str) -> Option<Ask> {
    const MARKS: [(char, char); 5] = [('`', '`'), ('"', '"'), ('“', '”'), ('«', '»'), ('\'', '\'')];
    let (open, close) = MARKS
        .into_iter()
        .find(|(_, close)| !path.contains(*close))?;
    let prompt = format!(
        "Survey the folder {open}{path}{close} and report what is in it, with its numbers."
    );
    let title = format!("Survey {path}");
    let input = json!({
        "description": cut(&title, MAX_TITLE),
        "prompt": prompt,
        "subagent_type": KIND,
    });
    Some(Ask { tool: AGENT, input })
}

/// Whether a call was one for a helper whose report is waited for.
pub(super) fn is_helper(tool: &str, input: &Value) -> bool {
    tool == AGENT && input["run_in_background"] != json!(true)
}
