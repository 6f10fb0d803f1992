//! Summaries of a conversation, made of pieces of it.
//! Refuses to rephrase: what stands in the summary was said or read, cut short where it is long.

use super::{helper, notes, prose::cut, reading};
use crate::{
    kept::Kept,
    message::{Message, Part, Role},
    provider::Request,
};

/// Marks the last thing that the user asked for, so that it survives the summary.
pub(super) const PENDING: &str = "Pending request: ";
/// Says that the reports of helpers are gone, so that nobody sends the helpers again.
const HELPED: &str =
    "Helpers were sent into sub-folders; what they reported is not in these notes.";
const MAX_REQUESTS: usize = 20;
const MAX_RESULTS: usize = 30;
const MAX_LINE: usize = 240;
const MAX_LAST: usize = 2_000;
/// How a result and a call begin in a conversation that is written down for its summary.
const RESULT: &str = "<tool_result ";
const CALL: &str = "[calls the tool ";

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
        .map(|message| words(message.get()))
        .map(|text| line(pending(&text).unwrap_or(&text)))
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
    if helped(talk) {
        out.push_str(&format!("\n{HELPED}\n"));
    }
    if let Some(last) = asked.last() {
        out.push_str(&format!("\n{PENDING}{last}\n"));
    }
    out.push_str("</summary>");
    out
}

/// What the user said in a message, without what tools and other agents say in it.
fn words(message: &Message) -> String {
    let texts = message.parts.iter().filter_map(|part| match part {
        Part::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let said = |text: &&str| !text.starts_with(RESULT) && !notes::is_framed(text.trim_start());
    texts.filter(said).collect()
}

/// Whether helpers were sent since the last answer.
fn helped(talk: &[Kept<Message>]) -> bool {
    let mut helped = false;
    for message in talk.iter().map(Kept::get) {
        let text = message.text();
        helped = match message.role {
            Role::Assistant => {
                let called = message.calls().any(|call| call.name == helper::AGENT);
                let calls = message.calls().next().is_some() || text.contains(CALL);
                let sent = called || text.contains(&format!("{CALL}{}: ", helper::AGENT));
                sent || (helped && calls)
            }
            _ => helped || text.contains(HELPED),
        };
    }
    helped
}

/// Whether a summary says that helpers were sent for the work at hand.
pub(super) fn had_helpers(history: &[Kept<Message>], prompt: usize) -> bool {
    let until = history.iter().take(prompt + 1).map(Kept::get);
    let until = until.collect::<Vec<_>>();
    let answer =
        |message: &&Message| message.role == Role::Assistant && message.calls().next().is_none();
    let after = until.iter().rposition(answer).map_or(0, |at| at + 1);
    until[after..]
        .iter()
        .any(|message| message.text().contains(HELPED))
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
