//! What was found in one folder: its figures, and the line in which a helper hands them over.
//! Refuses to believe more than the last line of an answer, and figures that contradict each other.

use serde::{Deserialize, Serialize};

use super::{
    facts::{self, Facts},
    prose::cut,
};

/// What the line begins with.
const OPENS: &str = "Report: `";
/// The largest and longest files that are named.
const MAX_LARGE: usize = 3;
/// Bytes of a name or a description in the line.
const MAX_WORDS: usize = 400;
/// Gaps that the line tells.
const MAX_GAPS: usize = 4;

/// What was found in one folder. A figure that no result holds is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Report {
    /// The folder, as it was asked for.
    pub(super) folder: String,
    /// Files below.
    pub(super) files: Option<u64>,
    /// Folders below.
    pub(super) folders: Option<u64>,
    /// Bytes of these files.
    pub(super) bytes: Option<u64>,
    /// Lines of text.
    pub(super) lines: Option<u64>,
    /// Files of text that have a line.
    pub(super) texts: Option<u64>,
    /// Files of each kind, the commonest first.
    pub(super) kinds: Vec<(String, u64)>,
    /// The largest files, by bytes, with paths below the folder.
    pub(super) largest: Vec<(String, u64)>,
    /// The longest files, by lines.
    pub(super) longest: Vec<(String, u64)>,
    /// Which of these lists may lack something.
    pub(super) partial: Vec<List>,
    /// The manifest that says what it is.
    pub(super) manifest: Option<String>,
    /// Its name.
    pub(super) name: Option<String>,
    /// Which results have not seen everything, in words.
    pub(super) gaps: Vec<String>,
}

/// A list of a report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum List {
    /// The kinds of files.
    Kinds,
    /// The largest files.
    Largest,
    /// The longest files.
    Longest,
}

impl Report {
    /// What the results say about a folder.
    pub(super) fn of(path: &str, facts: &Facts) -> Self {
        let listing = facts.listing.as_ref();
        let (largest, all_sizes) = facts.largest();
        let (longest, all_lengths) = facts.longest();
        let all_kinds = facts.paths.as_ref().is_some_and(|paths| paths.is_whole());
        let first = |rows: Vec<(&str, u64)>| -> Vec<(String, u64)> {
            let rows = rows.into_iter().take(MAX_LARGE);
            rows.map(|(file, n)| (file.to_owned(), n)).collect()
        };
        let mut longest = first(longest);
        for (file, _) in &mut longest {
            *file = facts::below(file, path).to_owned();
        }
        let lists = [
            (List::Kinds, all_kinds),
            (List::Largest, all_sizes),
            (List::Longest, all_lengths),
        ];
        let partial = lists.into_iter().filter(|(_, whole)| !whole);
        Self {
            folder: path.to_owned(),
            files: facts.files(),
            folders: listing.and_then(|listing| listing.folders),
            bytes: listing.and_then(|listing| listing.bytes),
            lines: facts.lines.as_ref().and_then(|counts| counts.matches),
            texts: facts.lines.as_ref().and_then(|counts| counts.files),
            kinds: facts.kinds.clone(),
            largest: first(largest),
            longest,
            partial: partial.map(|(list, _)| list).collect(),
            manifest: facts.what().map(|(_, file)| file.to_owned()),
            name: facts.name().map(|(name, _)| short(&name)),
            gaps: Vec::new(),
        }
    }

    /// With what the results have not seen.
    pub(super) fn with_gaps(mut self, gaps: impl Iterator<Item = String>) -> Self {
        self.gaps = gaps.take(MAX_GAPS).map(|gap| short(&gap)).collect();
        self
    }

    /// Whether nothing in a list is missing.
    pub(super) fn is_whole(&self, list: List) -> bool {
        !self.partial.contains(&list)
    }

    /// The last line of a helper's answer. No name in it can end the line or its code.
    pub(super) fn line(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{OPENS}{}`", json.replace('`', "\\u0060"))
    }

    /// The report at the end of an answer; `None` when the last line is none, or cannot be true.
    ///
    /// What stands above it may be somebody else's words, and may look like a report.
    pub(super) fn at_end_of(answer: &str) -> Option<Self> {
        let last = answer.lines().rev().find(|line| !line.trim().is_empty())?;
        Self::read(last).filter(Self::is_sound)
    }

    /// The report in a line, whatever it says.
    pub(super) fn read(line: &str) -> Option<Self> {
        let json = line.trim_end().strip_prefix(OPENS)?.strip_suffix('`')?;
        serde_json::from_str(json).ok()
    }

    /// Whether the parts are no larger than the whole, and the lists no longer than they are made.
    fn is_sound(&self) -> bool {
        let within = |part: Option<u64>, whole: Option<u64>| match (part, whole) {
            (Some(part), Some(whole)) => part <= whole,
            _ => true,
        };
        let rows_within = |rows: &[(String, u64)], whole| {
            rows.len() <= MAX_LARGE && rows.iter().all(|(_, n)| within(Some(*n), whole))
        };
        let sum = self.kinds.iter().try_fold(0_u64, |sum, (ending, n)| {
            let fits = facts::ending(&format!(".{ending}")) == Some(ending.as_str());
            sum.checked_add(*n).filter(|_| fits)
        });
        let once = |at: usize| {
            self.kinds[..at]
                .iter()
                .all(|kind| kind.0 != self.kinds[at].0)
        };
        sum.is_some_and(|sum| within(Some(sum), self.files))
            && (0..self.kinds.len()).all(once)
            && within(self.texts, self.files)
            && within(self.texts, self.lines)
            && rows_within(&self.largest, self.bytes)
            && rows_within(&self.longest, self.lines)
            && self.gaps.len() <= MAX_GAPS
    }

    /// Counts a sub-folder in: itself as one more folder, and all that its report says.
    pub(super) fn add(&mut self, name: &str, part: &Self) {
        self.files = plus(self.files, part.files);
        self.folders = plus(plus(self.folders, part.folders), Some(1));
        self.bytes = plus(self.bytes, part.bytes);
        self.lines = plus(self.lines, part.lines);
        self.texts = plus(self.texts, part.texts);
        for (ending, n) in &part.kinds {
            match self.kinds.iter_mut().find(|(known, _)| known == ending) {
                Some((_, sum)) => *sum = sum.saturating_add(*n),
                None => self.kinds.push((ending.clone(), *n)),
            }
        }
        facts::sort(&mut self.kinds);
        let lists = [
            (&mut self.largest, &part.largest),
            (&mut self.longest, &part.longest),
        ];
        for (mine, theirs) in lists {
            mine.extend(theirs.iter().map(|(file, n)| (facts::join(name, file), *n)));
            facts::sort(mine);
            mine.truncate(MAX_LARGE);
        }
        let lacking = part
            .partial
            .iter()
            .filter(|list| !self.partial.contains(list));
        let lacking = lacking.copied().collect::<Vec<_>>();
        self.partial.extend(lacking);
    }

    /// The kind that more than half of the files are.
    pub(super) fn mostly(&self) -> Option<&str> {
        let (ending, n) = self.kinds.first()?;
        (n.saturating_mul(2) > self.files?).then_some(ending.as_str())
    }
}

/// What a sum is of which one part is unknown: unknown.
fn plus(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a?.checked_add(b?)
}

fn short(words: &str) -> String {
    cut(words, MAX_WORDS).to_owned()
}
