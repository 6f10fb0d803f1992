//! What the tools have said: calls paired with their results, and the figures inside their text.
//! Refuses to invent: a figure that is not in the text is `None`, and nothing here computes one.

use std::collections::HashMap;

use serde_json::Value;

use super::plan::Ask;
use crate::{
    kept::Kept,
    message::{Message, Outcome, Role},
};

/// One answered call of the conversation.
#[derive(Debug)]
pub(super) struct Seen {
    /// Which tool.
    pub(super) tool: String,
    /// Its arguments.
    pub(super) input: Value,
    /// How it ended.
    pub(super) outcome: Outcome,
    /// What it said.
    pub(super) text: String,
    /// Whether it was called after the last thing the user said.
    pub(super) fresh: bool,
    /// The place of the message that holds the result.
    pub(super) at: usize,
}

/// All answered calls, oldest first. `prompt` is the place of the user's last message.
pub(super) fn seen(history: &[Kept<Message>], prompt: usize) -> Vec<Seen> {
    let mut out = Vec::new();
    let mut open = HashMap::new();
    for (at, message) in history.iter().enumerate() {
        let message = message.get();
        if message.role == Role::Assistant {
            // Ids are unique within a message only: results belong to the message before them.
            open = message
                .calls()
                .map(|call| (call.id.clone(), call))
                .collect();
        }
        for result in message.tool_results() {
            let Some(call) = open.remove(&result.call) else {
                continue;
            };
            out.push(Seen {
                tool: call.name.clone(),
                input: serde_json::from_str(call.input.as_str()).unwrap_or_default(),
                outcome: result.outcome,
                text: result.joined_text(),
                fresh: at > prompt,
                at,
            });
        }
    }
    out
}

impl Seen {
    /// Whether this answers the question.
    pub(super) fn answers(&self, ask: &Ask) -> bool {
        self.tool == ask.tool && self.input == ask.input
    }
}

/// What LS says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Listing {
    /// The entries that are shown, with paths relative to the listed folder.
    pub(super) entries: Vec<Entry>,
    /// Files below, from the summary line.
    pub(super) files: Option<u64>,
    /// Folders below, from the summary line.
    pub(super) folders: Option<u64>,
    /// Bytes below, from the summary line.
    pub(super) bytes: Option<u64>,
}

impl Listing {
    /// The folders that lie directly in it.
    pub(super) fn subs(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| e.folder && e.is_top())
    }

    /// The files that lie directly in it.
    pub(super) fn beside(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| !e.folder && e.is_top())
    }
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The path below the listed folder, without a slash at its end.
    pub(super) path: String,
    /// The size; `None` for folders, and where none is shown.
    pub(super) bytes: Option<u64>,
    /// Whether it is a folder.
    pub(super) folder: bool,
}

impl Entry {
    /// Whether it lies directly in the listed folder.
    pub(super) fn is_top(&self) -> bool {
        !self.path.contains('/')
    }
}

/// Reads an LS result: a header, then `name/` or `name<TAB>size bytes`, indented by depth, then
/// `N files, M folders, B bytes`.
pub(super) fn listing(text: &str) -> Listing {
    let mut out = Listing::default();
    let mut lines = text.lines().collect::<Vec<_>>();
    let tail = lines.len().saturating_sub(3);
    let summary = (tail..lines.len())
        .rev()
        .find(|at| !lines[*at].contains('\t') && labelled(lines[*at], &["file"]).is_some());
    if let Some(at) = summary {
        let line = lines[at];
        out.files = labelled(line, &["file"]);
        out.folders = labelled(line, &["folder", "director"]);
        out.bytes = labelled(line, &["byte"]);
        lines.truncate(at);
    }
    // The folders around the line, with the depth at which each stands.
    let mut around: Vec<(usize, String)> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let body = line.trim_start_matches(' ');
        let depth = line.len() - body.len();
        let (name, bytes, folder) = match body.split_once('\t') {
            Some((name, size)) => (name, number(size), false),
            None => match body.trim_end().strip_suffix('/') {
                Some(name) => (name, None, true),
                None => continue, // a note for people
            },
        };
        if at == 0 && folder {
            continue; // the header: the listed folder itself
        }
        if name.is_empty() {
            continue;
        }
        while around.last().is_some_and(|(d, _)| *d >= depth) {
            around.pop();
        }
        let path = match around.last() {
            Some((_, folder)) => format!("{folder}/{name}"),
            None => name.to_owned(),
        };
        if folder {
            around.push((depth, path.clone()));
        }
        out.entries.push(Entry {
            path,
            bytes,
            folder,
        });
    }
    out
}

/// Whether every entry of the first level is shown. The second level gets only the room that is
/// left, so that an entry of it is the proof.
pub(super) fn shows_whole_top(text: &str) -> bool {
    let mut body = text.lines().skip(1);
    let deeper = body.clone().any(|line| line.starts_with("    "));
    deeper || !body.any(|line| is_gap(line) || (line.starts_with('(') && line.contains(" shown")))
}

/// What Glob says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Paths {
    /// The paths that are shown.
    pub(super) shown: Vec<String>,
    /// How many there are in all.
    pub(super) total: Option<u64>,
}

impl Paths {
    /// Whether every path is shown, so that they may be counted one by one.
    pub(super) fn is_whole(&self) -> bool {
        self.total == Some(self.shown.len() as u64)
    }
}

/// Reads a Glob result: a path a line, then `(N files)` or `(100 of N files shown)`.
pub(super) fn paths(text: &str) -> Paths {
    let (lines, footer) = footed(text);
    let total = footer.and_then(|footer| labelled(footer, &["file"]));
    let none = lines.is_empty() || is_nothing(&lines);
    let shown = if none { Vec::new() } else { lines };
    Paths {
        total: total.or(none.then_some(0).filter(|_| !text.trim().is_empty())),
        shown: shown.into_iter().map(str::to_owned).collect(),
    }
}

/// What Grep says in its count mode.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Counts {
    /// The files that are shown, each with its matches.
    pub(super) rows: Vec<(String, u64)>,
    /// Matches in all.
    pub(super) matches: Option<u64>,
    /// Files with a match in all.
    pub(super) files: Option<u64>,
}

impl Counts {
    /// Whether every file is shown.
    pub(super) fn is_whole(&self) -> bool {
        self.files == Some(self.rows.len() as u64)
    }
}

/// Reads a Grep result in count mode: `path:count` a line, then `(T matches in N files)`.
pub(super) fn counts(text: &str) -> Counts {
    let (lines, footer) = footed(text);
    let mut out = Counts::default();
    if is_nothing(&lines) {
        (out.matches, out.files) = (Some(0), Some(0));
        return out;
    }
    for line in lines {
        if let Some((path, count)) = line.rsplit_once(':')
            && let Ok(count) = count.trim().parse()
        {
            out.rows.push((path.to_owned(), count));
        }
    }
    if let Some(footer) = footer {
        out.matches = labelled(footer, &["match"]);
        out.files = labelled(footer, &["file"]);
    }
    out
}

/// Reads a Grep result in content mode: the lines, without the footer.
pub(super) fn matches(text: &str) -> Vec<&str> {
    let (lines, _) = footed(text);
    if is_nothing(&lines) {
        Vec::new()
    } else {
        lines
    }
}

/// What Read says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Page {
    /// The lines, with their numbers.
    pub(super) lines: Vec<(u64, String)>,
    /// What stands below the lines, such as that more is left.
    pub(super) notes: Vec<String>,
}

impl Page {
    /// The lines joined, without their numbers.
    pub(super) fn text(&self) -> String {
        let lines = self.lines.iter().map(|(_, line)| line.as_str());
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Reads a Read result: `   12→text` a line, then perhaps a note.
pub(super) fn page(text: &str) -> Page {
    let mut out = Page::default();
    for line in text.lines() {
        let row = line
            .split_once(['→', '\t'])
            .and_then(|(number, rest)| Some((number.trim().parse::<u64>().ok()?, rest.to_owned())));
        match row {
            Some(row) => out.lines.push(row),
            None if line.trim().is_empty() => {}
            None => out.notes.push(line.trim().to_owned()),
        }
    }
    out
}

/// What a result says of its own gaps: that the tool stopped early, or could not read everything.
pub(super) fn gap(text: &str) -> Option<&str> {
    text.lines()
        .rev()
        .take(4)
        .map(str::trim)
        .find(|line| is_gap(line))
}

fn is_gap(line: &str) -> bool {
    line.starts_with("(stopped ") || (line.starts_with('(') && line.ends_with(" not at all)"))
}

/// The lines of a result and the parenthesis at its end.
fn footed(text: &str) -> (Vec<&str>, Option<&str>) {
    let notice = |line: &str| is_gap(line) || (line.starts_with('(') && line.ends_with(" shown)"));
    let mut lines = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect::<Vec<_>>();
    let last = lines.pop();
    while lines.last().is_some_and(|line| notice(line.trim())) {
        lines.pop();
    }
    match last.map(str::trim) {
        Some(line) if line.starts_with('(') && line.ends_with(')') => (lines, Some(line)),
        Some(_) => {
            lines.extend(last);
            (lines, None)
        }
        None => (Vec::new(), None),
    }
}

/// Whether a result says in words that there is nothing.
fn is_nothing(lines: &[&str]) -> bool {
    let [line] = lines else { return false };
    let line = line.trim().to_ascii_lowercase();
    line.starts_with("no files") || line.starts_with("no match")
}

/// The number that stands before a word beginning with one of these: the last one, because
/// `100 of 250 files` has 250 files.
fn labelled(line: &str, labels: &[&str]) -> Option<u64> {
    let words = line
        .split(|c: char| c.is_whitespace() || c == '(' || c == ')')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>();
    let mut found = None;
    for pair in words.windows(2) {
        let word = pair[1].to_ascii_lowercase();
        if labels.iter().any(|label| word.starts_with(label)) {
            found = number(pair[0]).or(found);
        }
    }
    found
}

/// The number a word begins with; `1,234` and `1_234` are read too.
fn number(text: &str) -> Option<u64> {
    let first = text.split_whitespace().next()?;
    let digits = first.replace([',', '_'], "");
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::CallId,
        message::{ToolCall, ToolResult},
    };

    #[test]
    fn listings() {
        let text = "/x/\n  src/\n    lib.rs\t12 bytes\n    a/\n      b.rs\t3 bytes\n  Cargo.toml\t1,234 bytes\n\
                    (2 more entries are not shown)\n1,003 files, 1 folder, 5000 bytes\n";
        let out = listing(text);
        let row = |path: &str, bytes: Option<u64>| (path.to_owned(), bytes);
        let rows = out.entries.iter().map(|e| (e.path.clone(), e.bytes));
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [
                row("src", None),
                row("src/lib.rs", Some(12)),
                row("src/a", None),
                row("src/a/b.rs", Some(3)),
                row("Cargo.toml", Some(1234)),
            ]
        );
        assert_eq!(
            (out.files, out.folders, out.bytes),
            (Some(1003), Some(1), Some(5000))
        );
        // Without indentation, without a summary: what is missing stays unknown.
        let flat = listing(".\nb/\na.txt\t5 bytes");
        assert_eq!(flat.entries.len(), 2);
        assert!(flat.entries.iter().all(Entry::is_top));
        assert_eq!(flat.files, None);
        // A file cannot pose as the summary.
        let sly =
            listing("./\n  9 files, 9 folders, 9 bytes\t4 bytes\n1 files, 0 folders, 4 bytes");
        assert_eq!((sly.files, sly.entries.len()), (Some(1), 1));
        assert_eq!(
            listing("[Old tool result content cleared]"),
            Listing::default()
        );
    }

    #[test]
    fn globs() {
        let cut = paths("a.rs\nb.rs\n(2 of 250 files shown)");
        assert_eq!(
            (cut.shown.len(), cut.total, cut.is_whole()),
            (2, Some(250), false)
        );
        assert!(paths("a (1).rs\n(1 files)").is_whole());
        let stopped = paths("a.rs\n(stopped after 9 entries, there may be more: x)\n(1 files)");
        assert_eq!((stopped.shown.len(), stopped.total), (1, Some(1)));
        for none in ["(0 files)", "No files found", "no files match\n(0 files)"] {
            assert_eq!(
                paths(none),
                Paths {
                    shown: Vec::new(),
                    total: Some(0)
                },
                "{none}"
            );
        }
        assert_eq!(paths("").total, None);
        assert_eq!(paths("a.rs").total, None);
    }

    #[test]
    fn greps() {
        let out = counts("src/a:b.rs:12\nc.md:3\n(15 matches in 2 files)");
        assert_eq!(out.rows, [("src/a:b.rs".into(), 12), ("c.md".into(), 3)]);
        assert_eq!(
            (out.matches, out.files, out.is_whole()),
            (Some(15), Some(2), true)
        );
        assert_eq!(counts("(1 match in 1 file)").matches, Some(1));
        assert_eq!(counts("No matches found").matches, Some(0));
        assert_eq!(counts("nonsense").matches, None);
        assert_eq!(matches("a:1: x\n(1 matches in 1 files)"), ["a:1: x"]);
    }

    #[test]
    fn pages() {
        let out =
            page("     9→fn main() → ()\n    10→\n(lines 9 to 10 of 40; go on with offset 10)");
        assert_eq!(
            out.lines,
            [(9, "fn main() → ()".into()), (10, String::new())]
        );
        assert_eq!(out.notes.len(), 1);
    }

    #[test]
    fn results_belong_to_the_calls_before_them() {
        let call = ToolCall::new(CallId::new("1"), "LS", r#"{"path":"."}"#);
        let later = ToolCall::new(CallId::new("1"), "Read", r#"{"file_path":"x"}"#);
        let says = |call: &ToolCall| Message {
            role: Role::Assistant,
            parts: vec![crate::message::Part::Call(call.clone())],
        };
        let result = |call, text| Message::results(vec![ToolResult::text(call, Outcome::Ok, text)]);
        let history = [
            Message::user("a"),
            says(&call),
            result(&call, "one"),
            Message::user("b"),
            says(&later),
            result(&later, "two"),
        ]
        .map(Kept::new);
        let seen = seen(&history, 3);
        let rows = seen
            .iter()
            .map(|s| (s.tool.as_str(), s.text.as_str(), s.fresh));
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [("LS", "one", false), ("Read", "two", true)]
        );
    }
}
