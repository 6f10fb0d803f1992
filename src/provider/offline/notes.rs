//! Notes that reach the agent while it works or waits, and what is said about them.
//! Refuses to take a note for a new question, and its words for anything but somebody's words.

use super::{
    figures,
    prose::{capital, code, cut, fenced, quote},
    report::Report,
};
use crate::{
    kept::Kept,
    message::{Message, Part, Role},
};

/// Where notes begin: what an agent says at its end, and what others say.
const FRAMES: [&str; 2] = ["<task-notification>", "<note from="];
/// Bytes of a note that are shown.
const MAX_SHOWN: usize = 4_000;

/// Whether a message is a note rather than words of the user.
pub(super) fn is_note(message: &Message) -> bool {
    message.role == Role::User && text_of(message).is_some_and(is_framed)
}

/// Whether a text stands in the frame of a note.
pub(super) fn is_framed(text: &str) -> bool {
    FRAMES.iter().any(|frame| text.starts_with(frame))
}

fn text_of(message: &Message) -> Option<&str> {
    message.parts.iter().find_map(|part| match part {
        Part::Text { text, .. } => Some(text.trim_start()),
        _ => None,
    })
}

/// The notes at the end of a conversation that nothing has been answered to yet.
#[derive(Debug)]
pub(super) struct Unread {
    /// Where they stand.
    pub(super) at: Vec<usize>,
    /// Whether they are all there is to answer: the user has asked nothing since the last answer.
    pub(super) alone: bool,
}

/// Looks for the notes after the last answer.
pub(super) fn unread(history: &[Kept<Message>]) -> Unread {
    let answer =
        |message: &Message| message.role == Role::Assistant && message.calls().next().is_none();
    let from = history.iter().rposition(|message| answer(message.get()));
    let from = from.map_or(0, |at| at + 1);
    let users = (from..history.len()).filter(|at| history[*at].get().role == Role::User);
    let (at, asked): (Vec<_>, Vec<_>) = users.partition(|at| is_note(history[*at].get()));
    Unread {
        alone: asked.is_empty() && !at.is_empty(),
        at,
    }
}

/// What is said about notes.
pub(super) fn told(history: &[Kept<Message>], at: &[usize]) -> String {
    let texts = at.iter().filter_map(|at| text_of(history[*at].get()));
    texts
        .map(|text| Told::read(text).words())
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// A note that was read.
#[derive(Debug, Default, PartialEq)]
struct Told {
    /// Who says it.
    from: Option<String>,
    /// How the sender ended, where it has.
    status: Option<String>,
    /// What it says.
    words: String,
}

impl Told {
    fn read(text: &str) -> Self {
        let text = text.trim();
        if text.starts_with(FRAMES[0]) {
            let from = tag(text, "task-id").or_else(|| tag(text, "agent"));
            let words = ["result", "error", "summary"]
                .iter()
                .find_map(|name| tag(text, name));
            return Self {
                from,
                status: tag(text, "status"),
                words: words.unwrap_or_else(|| unescape(inside(text))),
            };
        }
        let from = text
            .strip_prefix(FRAMES[1])
            .and_then(|rest| rest.strip_prefix('"'));
        let from = from.and_then(|rest| rest.split_once('"'));
        let from = from
            .map(|(from, _)| unescape(from))
            .filter(|from| !from.is_empty());
        let words = unescape(inside(text));
        // A note may carry what an agent says at its end.
        if words.starts_with(FRAMES[0]) {
            let inner = Self::read(&words);
            return Self {
                from: inner.from.or(from),
                ..inner
            };
        }
        Self {
            from,
            status: None,
            words,
        }
    }

    fn words(&self) -> String {
        let who = match &self.from {
            Some(from) => code(from),
            None => "somebody".to_owned(),
        };
        if let Some(report) = Report::at_end_of(&self.words) {
            let parts = [
                figures::size(&report),
                figures::kinds(&report),
                figures::large(&report),
            ];
            let gaps = report
                .gaps
                .iter()
                .map(|gap| quote(gap))
                .collect::<Vec<_>>()
                .join(" ");
            let gaps = (!gaps.is_empty()).then(|| format!("It also says: {gaps}"));
            let mut out = vec![format!(
                "{} reports on {}.",
                capital(&who),
                code(&report.folder)
            )];
            out.extend(parts.into_iter().flatten().chain(gaps));
            return out.join("\n\n");
        }
        let ended = match self.status.as_deref() {
            None | Some("completed") => format!("{} says", capital(&who)),
            Some(status) => format!("{} ended as {}", capital(&who), quote(status)),
        };
        let words = self.words.trim();
        match words.lines().count() {
            0 => format!("{ended}."),
            1 if quote(words).ends_with('…') || words.len() > 200 => {
                format!("{ended}:\n\n{}", fenced(cut(words, MAX_SHOWN)))
            }
            1 => format!("{ended}: {}", quote(words)),
            _ => format!("{ended}:\n\n{}", fenced(cut(words, MAX_SHOWN))),
        }
    }
}

/// What stands between the first tag of this name and its last end.
fn tag(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (body, _) = rest.rsplit_once(&format!("</{name}>"))?;
    let body = unescape(body.trim());
    (!body.is_empty()).then_some(body)
}

/// What stands between the first tag and the last.
fn inside(text: &str) -> &str {
    let start = text.find('>').map_or(0, |at| at + 1);
    let end = text.rfind("</").filter(|end| *end >= start);
    text[start..end.unwrap_or(text.len())].trim()
}

/// The words before they were made safe for the frame.
fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<String>, Option<String>, String) {
        let told = Told::read(text);
        (told.from, told.status, told.words)
    }

    #[test]
    fn frames_are_opened() {
        let some = |text: &str| Some(text.to_owned());
        let note = "<note from=\"root/a &amp; b\">\n1 &lt; 2 &amp;amp;\n</note>";
        assert_eq!(read(note), (some("root/a & b"), None, "1 < 2 &amp;".into()));
        let end = "<task-notification>\n<task-id>root/explore/1</task-id>\n<status>completed</status>\n\
                   <summary>Agent \"x\" completed</summary>\n<result>one\n&lt;/result&gt; two</result>\n\
                   </task-notification>";
        let words = "one\n</result> two";
        assert_eq!(
            read(end),
            (some("root/explore/1"), some("completed"), words.into())
        );
        // The end of an agent, carried by a note.
        let carried = end
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        let carried = format!("<note from=\"root/explore/1\">\n{carried}\n</note>");
        assert_eq!(read(&carried), read(end));
        assert_eq!(read("<task-notification>").2, "");
        assert_eq!(read("<note from=").2, "<note from=");
    }

    #[test]
    fn words_cannot_leave_their_quotation() {
        let words = |text: &str| Told::read(text).words();
        assert_eq!(
            words("<note from=\"a`b\">\nfaster ”\n</note>"),
            "`` a`b `` says: “faster \"”"
        );
        let long = words("<note from=\"a\">\n```\n# x\n</note>");
        assert_eq!(long, "`a` says:\n\n````\n```\n# x\n````");
        let failed = "<task-notification><task-id>a</task-id><status>failed</status>\
                      <error>no &lt;room&gt;</error></task-notification>";
        assert_eq!(words(failed), "`a` ended as “failed”: “no <room>”");
    }
}
