//! `LS`: lists a folder as a tree of two levels, and counts everything below it.
//! Refuses to list without end; the counts are of everything all the same.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use globset::GlobSet;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{aliases, hidden::Hidden, notice, pattern::compile, run, similar};
use crate::{
    spec::{Reach, ToolSpec},
    tool::{ToolContext, ToolOutput, TypedTool},
    workspace::{FileKind, Limits, Stop, Walk, WorkError, Workspace, shown},
};

/// Entries that one answer lists.
const LISTED: usize = 200;
/// Levels of folders that one answer lists.
const LEVELS: usize = 2;
/// Globs of `ignore`.
const MAX_IGNORE: usize = 100;

/// The tool.
#[derive(Debug)]
pub(super) struct Ls {
    workspace: Workspace,
    pub(super) limits: Limits,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Input {
    /// The folder to list; the workspace by default.
    #[serde(default)]
    path: Option<String>,
    /// Globs of names or of paths below `path` to leave out, also from the counts.
    #[serde(default)]
    ignore: Option<Vec<String>>,
}

impl Ls {
    pub(super) fn new(workspace: Workspace) -> Self {
        Self {
            workspace,
            limits: Limits::DEFAULT,
        }
    }
}

impl TypedTool for Ls {
    const NAME: &'static str = "LS";
    type Input = Input;

    fn description(&self) -> Cow<'static, str> {
        include_str!("ls.md").trim_end().into()
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
            list(&workspace, limits, stop, &input)
        })
        .await
    }
}

fn list(
    workspace: &Workspace,
    limits: Limits,
    stop: &Stop,
    input: &Input,
) -> Result<ToolOutput, WorkError> {
    let ignore = match left_out(input.ignore.as_deref().unwrap_or_default()) {
        Ok(ignore) => ignore,
        Err(why) => return Ok(ToolOutput::failed(why)),
    };
    let start = workspace.resolve(input.path.as_deref().unwrap_or("."))?;
    let base = start.relative();
    let hidden = Hidden::default();
    let keep = |path: &Path, _| {
        let below = path.strip_prefix(base).unwrap_or(path);
        let name = path.file_name().unwrap_or_default();
        !hidden.passes_over(path) && !ignore.is_match(below) && !ignore.is_match(name)
    };
    let walk = Walk {
        workspace,
        start: &start,
        limits,
        stop,
        keep: &keep,
    };
    let mut tree = Tree::default();
    let (mut files, mut folders, mut bytes) = (0_u64, 0_u64, 0_u64);
    let walked = walk.run(&mut |found| {
        let mut size = 0;
        match found.kind {
            FileKind::Folder => folders += 1,
            FileKind::File => {
                // Gone since its folder was read: it counts as a file of nothing.
                size = found.facts().map_or(0, |facts| facts.size);
                files += 1;
                bytes += size;
            }
            _ => {}
        }
        tree.add(base, found.path, found.kind, size);
        ControlFlow::Continue(())
    });
    let ended = match walked {
        Ok(ended) => ended,
        Err(error) => return Ok(similar::failed(workspace, &start, &error)),
    };
    let mut out = shown(&workspace.root().join(base));
    out.push('\n');
    tree.write(&mut out);
    if let Some(notice) = notice(ended, limits) {
        out.push_str(&notice);
        out.push('\n');
    }
    out.push_str(&format!("{files} files, {folders} folders, {bytes} bytes"));
    Ok(out.into())
}

fn left_out(globs: &[String]) -> Result<GlobSet, String> {
    if globs.len() > MAX_IGNORE {
        return Err(format!(
            "`ignore` takes at most {MAX_IGNORE} globs, these are {}",
            globs.len()
        ));
    }
    compile(
        globs
            .iter()
            .map(|glob| glob.strip_suffix('/').unwrap_or(glob)),
    )
}

/// The upper levels of what was seen, each folder's first entries only.
#[derive(Debug, Default)]
struct Tree {
    /// By folder, relative to the root of the workspace.
    folders: BTreeMap<PathBuf, Vec<(PathBuf, String)>>,
    top: PathBuf,
    /// How many entries of these levels there are.
    total: usize,
}

impl Tree {
    fn add(&mut self, base: &Path, path: &Path, kind: FileKind, size: u64) {
        let below = path.strip_prefix(base).unwrap_or(path);
        if below.components().count() > LEVELS {
            return;
        }
        self.total += 1;
        base.clone_into(&mut self.top);
        let folder = path.parent().unwrap_or(Path::new(""));
        // The folders of the second level are entered in order, so these are the listed ones.
        if self.folders.len() > LISTED && !self.folders.contains_key(folder) {
            return;
        }
        let entries = self.folders.entry(folder.to_owned()).or_default();
        // Entries come sorted, so what is past the limit can never be listed.
        if entries.len() >= LISTED {
            return;
        }
        let name = shown(Path::new(path.file_name().unwrap_or_default()));
        let line = match kind {
            FileKind::Folder => format!("{name}/"),
            FileKind::File => format!("{name}\t{size} bytes"),
            FileKind::Link => format!("{name} (link)"),
            FileKind::Special => format!("{name} (special)"),
        };
        entries.push((path.to_owned(), line));
    }

    /// Every entry of the first level comes before the room is used for the second.
    fn write(&self, out: &mut String) {
        let none = Vec::new();
        let top = self.folders.get(&self.top).unwrap_or(&none);
        let mut room = LISTED - top.len();
        let mut listed = top.len();
        for (path, line) in top {
            out.push_str(&format!("  {line}\n"));
            let inside = self.folders.get(path).unwrap_or(&none);
            for (_, line) in inside.iter().take(room) {
                out.push_str(&format!("    {line}\n"));
            }
            let more = inside.len().min(room);
            room -= more;
            listed += more;
        }
        if listed < self.total {
            out.push_str(&format!(
                "({listed} of {} entries shown: list a folder below for more)\n",
                self.total
            ));
        }
    }
}
