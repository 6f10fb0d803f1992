//! Summaries of a conversation, made of pieces of it.
//! Refuses to rephrase: what stands in the summary was said or read, cut short where it is long.

use super::{prose::cut, reading};
use crate::{
    kept::Kept,
    message::{Message, Role},
    provider::Request,
};

/// Marks the last thing that the user asked for, so that it survives the summary.
pub(super) const PENDING: &str = "Pending request: ";
const MAX_REQUESTS: usize = 20;
const MAX_RESULTS: usize = 30;
const MAX_LINE: usize = 240;
const MAX_LAST: usize = 2_000;

/// Whether this asks for a summary of the conversation rather than for its next message: there are
/// no tools, the system prompt speaks of a conversation, and one of the two speaks of a summary.
pub(super) fn is_wanted(request: &Request<'_>) -> bool {
    let system = request.system.to_lowercase();
    if !request.tools.get().is_empty() || !system.contains("conversation") {
        return false;
    }
    let last = request.history.last().map(|message| message.get().text());
    let wish = last.is_some_and(|text| text.contains("<summary>"));
    wish || ["summari", "summary"]
        .iter()
        .any(|word| system.contains(word))
}

/// The summary of everything before the last message, which is the wish for a summary itself.
pub(super) fn of(history: &[Kept<Message>]) -> String {
    let talk = match history.split_last() {
        Some((last, before)) if last.get().role == Role::User => before,
        _ => history,
    };
    let asked = talk
        .iter()
        .filter(|message| message.get().role == Role::User)
        .map(|message| line(pending(&message.get().text()).unwrap_or(&message.get().text())))
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>();
    let mut out = String::from("<summary>\nPieces of the conversation, taken out by rules.\n");
    section(
        &mut out,
        "What the user asked, oldest first",
        &asked,
        MAX_REQUESTS,
    );
    let seen = reading::seen(talk, 0);
    let results = seen.iter().map(|seen| {
        let last = seen.text.lines().rev().find(|text| !text.trim().is_empty());
        let input = cut(&seen.input.to_string(), MAX_LINE).to_owned();
        format!("{} {input}: {}", seen.tool, line(last.unwrap_or("nothing")))
    });
    section(
        &mut out,
        "What tools were asked, and the last line of each result",
        &results.collect::<Vec<_>>(),
        MAX_RESULTS,
    );
    let said = talk
        .iter()
        .rev()
        .map(Kept::get)
        .find(|message| message.role == Role::Assistant && !message.text().trim().is_empty());
    if let Some(said) = said {
        let text = said.text();
        out.push_str(&format!(
            "\nWhat the assistant said last:\n{}\n",
            cut(text.trim(), MAX_LAST)
        ));
    }
    if let Some(last) = asked.last() {
        out.push_str(&format!("\n{PENDING}{last}\n"));
    }
    out.push_str("</summary>");
    out
}

/// The request that a summary in this text says is pending.
pub(super) fn pending(text: &str) -> Option<&str> {
    let (_, rest) = text.rsplit_once(PENDING)?;
    rest.lines()
        .next()
        .map(str::trim)
        .filter(|line| !line.is_empty())
}

/// A list that keeps its newest rows.
fn section(out: &mut String, title: &str, rows: &[String], most: usize) {
    let newest = &rows[rows.len().saturating_sub(most)..];
    if newest.is_empty() {
        return;
    }
    out.push_str(&format!("\n{title}:\n"));
    for row in newest {
        out.push_str(&format!("- {row}\n"));
    }
}

fn line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&words, MAX_LINE).to_owned()
}
