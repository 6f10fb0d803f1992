//! `Grep`: searches file contents by regular expression, in time linear in what is searched.
//! Refuses binary files, and to list, hold or search without end.

mod filter;
mod hits;

use std::{borrow::Cow, ops::ControlFlow, path::Path};

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use self::{filter::Filter, hits::Hits};
use super::{aliases, newest::Newest, notice, read, run, similar};
use crate::{
    spec::{Reach, ToolSpec},
    tool::{ToolContext, ToolOutput, TypedTool},
    workspace::{
        Ended, FileFacts, FileKind, Limits, Reader, Stop, Walk, WorkError, WorkPath, Workspace,
        shown,
    },
};

/// Results that one answer lists when nobody says otherwise.
const LISTED: usize = 200;
/// Results that one answer lists at most.
const MAX_LISTED: usize = 2000;
/// Bytes of a regular expression.
const MAX_REGEX: usize = 4096;
/// Bytes that a compiled expression may take.
const REGEX_BYTES: usize = 4 << 20;
/// Bytes of a line, or of a file where lines do not bound a match.
const HEAP_BYTES: usize = 16 << 20;
/// Lines of context on each side.
const MAX_CONTEXT: usize = 50;

/// The tool.
#[derive(Debug)]
pub(super) struct Grep {
    workspace: Workspace,
    pub(super) limits: Limits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OutputMode {
    #[default]
    FilesWithMatches,
    Content,
    Count,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Input {
    /// The regular expression to search for.
    pattern: String,
    /// The file or folder to search; the workspace by default.
    #[serde(default)]
    path: Option<String>,
    /// Which files to search, such as `*.rs` or `src/**/*.ts`; a leading `!` turns it around.
    #[serde(default)]
    glob: Option<String>,
    /// What to answer with: `files_with_matches` (default), `content` or `count`.
    #[serde(default)]
    output_mode: Option<OutputMode>,
    /// Whether capitals and small letters are the same.
    #[serde(default, rename = "-i")]
    insensitive: Option<bool>,
    /// The same as `-i`.
    #[serde(default)]
    case_insensitive: Option<bool>,
    /// Whether `content` shows line numbers; it does by default.
    #[serde(default, rename = "-n")]
    numbers: Option<bool>,
    /// Lines to show after each match, in `content`.
    #[serde(default, rename = "-A")]
    after: Option<usize>,
    /// Lines to show before each match, in `content`.
    #[serde(default, rename = "-B")]
    before: Option<usize>,
    /// Lines to show before and after each match, in `content`.
    #[serde(default, rename = "-C")]
    around: Option<usize>,
    /// How many results to list; 200 by default.
    #[serde(default)]
    head_limit: Option<usize>,
    /// Whether a match may span lines, and `.` matches a line end.
    #[serde(default)]
    multiline: Option<bool>,
}

impl Input {
    fn mode(&self) -> OutputMode {
        self.output_mode.unwrap_or_default()
    }

    fn listed(&self) -> usize {
        match self.head_limit {
            None | Some(0) => LISTED,
            Some(limit) => limit.min(MAX_LISTED),
        }
    }

    fn spans_lines(&self) -> bool {
        self.multiline == Some(true)
    }
}

impl Grep {
    pub(super) fn new(workspace: Workspace) -> Self {
        Self {
            workspace,
            limits: Limits::DEFAULT,
        }
    }
}

impl TypedTool for Grep {
    const NAME: &'static str = "Grep";
    type Input = Input;

    fn description(&self) -> Cow<'static, str> {
        include_str!("grep.md").trim_end().into()
    }

    fn manners(&self, spec: ToolSpec) -> ToolSpec {
        spec.reads().reaches(Reach::Tree).subject("path")
    }

    fn subjects(&self, _: &ToolSpec, input: &Value) -> Vec<String> {
        aliases(&self.workspace, input, "path")
    }

    async fn call(&self, ctx: ToolContext, input: Input) -> ToolOutput {
        let (workspace, limits) = (self.workspace.clone(), self.limits);
        run(&ctx, limits, move |stop| {
            grep(&workspace, limits, stop, &input)
        })
        .await
    }
}

fn grep(
    workspace: &Workspace,
    limits: Limits,
    stop: &Stop,
    input: &Input,
) -> Result<ToolOutput, WorkError> {
    let start = workspace.resolve(input.path.as_deref().unwrap_or("."))?;
    let (matcher, filter) = match matcher(input).and_then(|matcher| {
        let filter = Filter::new(input.glob.as_deref())?;
        Ok((matcher, filter))
    }) {
        Ok(made) => made,
        Err(why) => return Ok(ToolOutput::failed(why)),
    };
    let mut search = Search::new(input, matcher, stop);
    let ended = match workspace.facts(&start) {
        Ok(facts) if facts.kind == FileKind::File => {
            let (file, facts) = workspace.open_file(&start)?;
            search.file(start.relative(), file, facts);
            stop.reason().unwrap_or(Ended::Whole)
        }
        Ok(_) => search.folder(workspace, limits, &start, &filter)?,
        Err(error) => return Ok(similar::failed(workspace, &start, &error)),
    };
    Ok(search.answer(notice(ended, limits)).into())
}

fn matcher(input: &Input) -> Result<RegexMatcher, String> {
    let pattern = &input.pattern;
    if pattern.len() > MAX_REGEX {
        return Err(format!(
            "a pattern has at most {MAX_REGEX} bytes, this one has {}",
            pattern.len()
        ));
    }
    let insensitive = [input.insensitive, input.case_insensitive].contains(&Some(true));
    let mut builder = RegexMatcherBuilder::new();
    builder
        .multi_line(true)
        .case_insensitive(insensitive)
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(REGEX_BYTES)
        .nest_limit(100);
    if input.spans_lines() {
        builder.dot_matches_new_line(true);
    } else {
        builder.line_terminator(Some(b'\n'));
    }
    builder
        .build(pattern)
        .map_err(|error| format!("this is no regular expression that can be searched for: {error}"))
}

/// A search under way, and what it found so far.
struct Search<'a> {
    input: &'a Input,
    matcher: RegexMatcher,
    searcher: Searcher,
    stop: &'a Stop,
    newest: Newest,
    counts: Vec<(u64, String)>,
    lines: String,
    listed: usize,
    matches: u64,
    full: bool,
    partly: u64,
}

impl<'a> Search<'a> {
    fn new(input: &'a Input, matcher: RegexMatcher, stop: &'a Stop) -> Self {
        let mut builder = SearcherBuilder::new();
        builder
            .line_number(true)
            .multi_line(input.spans_lines())
            .heap_limit(Some(HEAP_BYTES))
            // What is binary was decided by the file's head, as Read does, in every mode alike.
            .binary_detection(BinaryDetection::none());
        if input.mode() == OutputMode::Content {
            let around = input.around.unwrap_or(0);
            let context = |lines: Option<usize>| lines.unwrap_or(around).min(MAX_CONTEXT);
            builder
                .after_context(context(input.after))
                .before_context(context(input.before));
        }
        Self {
            input,
            matcher,
            searcher: builder.build(),
            stop,
            newest: Newest::of(input.listed()),
            counts: Vec::new(),
            lines: String::new(),
            listed: 0,
            matches: 0,
            full: false,
            partly: 0,
        }
    }

    fn folder(
        &mut self,
        workspace: &Workspace,
        limits: Limits,
        start: &WorkPath,
        filter: &Filter,
    ) -> Result<Ended, WorkError> {
        let base = start.relative();
        let stop = self.stop;
        let walk = Walk {
            workspace,
            start,
            limits,
            stop,
            keep: &|path, _| !filter.hidden.passes_over(path),
        };
        walk.run(&mut |found| {
            let below = found.path.strip_prefix(base).unwrap_or(found.path);
            if found.kind == FileKind::File
                && filter.hits.takes(below)
                && let Ok((file, facts)) = found.open()
            {
                self.file(found.path, file, facts);
            }
            match self.full {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })
    }

    fn file(&mut self, path: &Path, mut file: std::fs::File, facts: FileFacts) {
        // A file that cannot be read is one that was searched in part.
        let binary = read::head(&mut file).map(|head| head.contains(&0));
        match binary {
            Ok(true) => return,
            Ok(false) => {}
            Err(_) => {
                self.partly += 1;
                return;
            }
        }
        let mut hits = Hits {
            input: self.input,
            matcher: &self.matcher,
            path: shown(path),
            count: 0,
            lines: &mut self.lines,
            listed: &mut self.listed,
            full: false,
        };
        let reader = Reader::new(file, self.stop.clone());
        let searched = self
            .searcher
            .search_reader(&self.matcher, reader, &mut hits);
        let (count, path) = (hits.count, hits.path);
        self.full |= hits.full;
        if searched.is_err() && self.stop.reason().is_none() {
            self.partly += 1;
        }
        if count > 0 {
            self.matches += count;
            match self.input.mode() {
                OutputMode::FilesWithMatches => self.newest.push(facts.modified, path),
                OutputMode::Count => self.counts.push((count, path)),
                OutputMode::Content => {}
            }
        }
    }

    fn answer(mut self, notice: Option<String>) -> String {
        let mut notices = Vec::from_iter(notice);
        if self.partly > 0 {
            notices.push(format!(
                "({} files could be searched only in part or not at all)",
                self.partly
            ));
        }
        let listed = self.input.listed();
        match self.input.mode() {
            OutputMode::FilesWithMatches => {
                let notice = (!notices.is_empty()).then(|| notices.join("\n"));
                self.newest.text(notice)
            }
            OutputMode::Count => {
                let files = self.counts.len();
                self.counts
                    .sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
                let mut out = String::new();
                for (count, path) in self.counts.iter().take(listed) {
                    out.push_str(&format!("{path}:{count}\n"));
                }
                if files > listed {
                    notices.push(format!("({listed} of {files} files shown)"));
                }
                for notice in notices {
                    out.push_str(&notice);
                    out.push('\n');
                }
                out.push_str(&format!("({} matches in {files} files)", self.matches));
                out
            }
            OutputMode::Content => {
                if self.full {
                    notices.push(format!(
                        "(first {} matches shown, there may be more)",
                        self.listed
                    ));
                } else if self.listed == 0 {
                    notices.push("(0 matches)".into());
                }
                let mut out = self.lines;
                out.push_str(&notices.join("\n"));
                out.truncate(out.trim_end_matches('\n').len());
                out
            }
        }
    }
}
