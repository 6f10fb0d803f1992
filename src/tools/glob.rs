//! `Glob`: finds files by name, newest first.
//! Refuses patterns that lead out of the workspace, and to walk or list without end.

use std::{
    borrow::Cow,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use globset::GlobSet;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    hidden::Hidden,
    newest::Newest,
    notice,
    pattern::{MAX_PATTERN, compile},
    run, similar,
};
use crate::{
    spec::{Reach, ToolSpec},
    tool::{ToolContext, ToolOutput, TypedTool},
    workspace::{FileKind, Limits, Stop, Walk, WorkError, Workspace, shown},
};

/// Files that one answer lists.
const LISTED: usize = 100;
/// The tool.
#[derive(Debug)]
pub(super) struct Glob {
    workspace: Workspace,
    pub(super) limits: Limits,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Input {
    /// The glob to match against paths below `path`, such as `**/*.rs` or `src/*.{ts,tsx}`.
    pattern: String,
    /// The folder to search; the workspace by default.
    #[serde(default)]
    path: Option<String>,
}

impl Glob {
    pub(super) fn new(workspace: Workspace) -> Self {
        Self {
            workspace,
            limits: Limits::DEFAULT,
        }
    }
}

impl TypedTool for Glob {
    const NAME: &'static str = "Glob";
    type Input = Input;

    fn description(&self) -> Cow<'static, str> {
        include_str!("glob.md").trim_end().into()
    }

    fn manners(&self, spec: ToolSpec) -> ToolSpec {
        spec.reads().reaches(Reach::Pattern).subject("pattern")
    }

    fn subjects(&self, _: &ToolSpec, input: &Value) -> Vec<String> {
        let text = |name: &str| input.get(name).and_then(Value::as_str);
        let pattern = text("pattern").unwrap_or_default();
        match text("path") {
            Some(path) if !pattern.starts_with('/') => {
                self.workspace.aliases(&format!("{path}/{pattern}"))
            }
            _ => self.workspace.aliases(pattern),
        }
    }

    async fn call(&self, ctx: ToolContext, input: Input) -> ToolOutput {
        let (workspace, limits) = (self.workspace.clone(), self.limits);
        run(&ctx, limits, move |stop| {
            find(&workspace, limits, stop, &input)
        })
        .await
    }
}

fn find(
    workspace: &Workspace,
    limits: Limits,
    stop: &Stop,
    input: &Input,
) -> Result<ToolOutput, WorkError> {
    let (start, pattern) = match place(workspace, input)? {
        Ok(place) => place,
        Err(why) => return Ok(ToolOutput::failed(why)),
    };
    let pattern = match Pattern::new(pattern) {
        Ok(pattern) => pattern,
        Err(why) => return Ok(ToolOutput::failed(why)),
    };
    let start = workspace.resolve(&start)?;
    let base = start.relative();
    let below = |path: &Path| path.strip_prefix(base).unwrap_or(path).to_owned();
    let mut newest = Newest::of(LISTED);
    let walk = Walk {
        workspace,
        start: &start,
        limits,
        stop,
        keep: &|path, kind| pattern.keeps(&below(path), kind),
    };
    let walked = walk.run(&mut |found| {
        if found.kind == FileKind::File
            && pattern.glob.is_match(below(found.path))
            && let Ok(facts) = found.facts()
        {
            newest.push(facts.modified, shown(found.path));
        }
        ControlFlow::Continue(())
    });
    let ended = match walked {
        Ok(ended) => ended,
        Err(error) => return Ok(similar::failed(workspace, &start, &error)),
    };
    Ok(newest.text(notice(ended, limits)).into())
}

/// The folder and the pattern below it. Models also write absolute patterns; the part of one that
/// holds no wildcard says which folder is meant.
fn place<'a>(
    workspace: &Workspace,
    input: &'a Input,
) -> Result<Result<(String, Cow<'a, str>), String>, WorkError> {
    let pattern = input.pattern.as_str();
    if pattern.is_empty() || pattern.len() > MAX_PATTERN || pattern.contains('\0') {
        return Ok(Err(format!(
            "a pattern has 1 to {MAX_PATTERN} bytes and no NUL, this one has {} bytes",
            pattern.len()
        )));
    }
    if pattern.split(['/', '{', '}', ',']).any(|part| part == "..") {
        return Ok(Err(format!(
            "a pattern cannot lead upwards with `..`: `{pattern}`; use `path` for another folder"
        )));
    }
    let start = input.path.as_deref().unwrap_or(".");
    if !Path::new(pattern).is_absolute() {
        // Checked even where the pattern is what fails later: the path is the worse mistake.
        workspace.resolve(start)?;
        return Ok(Ok((start.to_owned(), pattern.into())));
    }
    let (fixed, rest) = split(pattern);
    let folder = if rest.is_empty() {
        fixed.parent().unwrap_or(&fixed)
    } else {
        &fixed
    };
    let start = folder.to_string_lossy().into_owned();
    workspace.resolve(&start)?;
    let name = fixed.file_name().map(|name| name.to_string_lossy());
    let rest = match name {
        Some(name) if rest.is_empty() => globset::escape(&name),
        _ => rest,
    };
    Ok(Ok((start, rest.into())))
}

/// The leading parts of a pattern that hold no wildcard, and the rest.
fn split(pattern: &str) -> (PathBuf, String) {
    let wild = |part: &str| part.contains(['*', '?', '[', ']', '{', '}', '\\', '!']);
    let mut fixed = PathBuf::new();
    if pattern.starts_with('/') {
        fixed.push("/");
    }
    let mut parts = pattern.split('/').peekable();
    while let Some(part) = parts.peek().filter(|part| !wild(part)) {
        if !part.is_empty() && *part != "." {
            fixed.push(part);
        }
        parts.next();
    }
    (fixed, parts.collect::<Vec<_>>().join("/"))
}

/// A pattern, and what it says of the folders that need not be entered.
#[derive(Debug)]
struct Pattern {
    glob: GlobSet,
    hidden: Hidden,
    fixed: PathBuf,
    /// How many folders deep a match can lie, where the pattern says so.
    depth: Option<usize>,
}

impl Pattern {
    fn new(text: Cow<'_, str>) -> Result<Self, String> {
        let text = text.strip_prefix("./").unwrap_or(&text);
        let glob = compile([text])?;
        let (fixed, _) = split(text);
        let plain = !text.contains("**") && !text.contains(['{', '[', '\\']);
        Ok(Self {
            glob,
            hidden: Hidden::named_by(text),
            depth: plain.then(|| text.split('/').count()),
            fixed,
        })
    }

    fn keeps(&self, path: &Path, kind: FileKind) -> bool {
        if self.hidden.passes_over(path) {
            return false;
        }
        if kind != FileKind::Folder {
            return true;
        }
        let near = path.starts_with(&self.fixed) || self.fixed.starts_with(path);
        near && self
            .depth
            .is_none_or(|depth| path.components().count() < depth)
    }
}
