//! What `.gitignore`, `.ignore` and `.git/info/exclude` of the workspace say of a path.
//! Refuses rules from outside the workspace, so that an answer depends on the workspace alone.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use cap_std::fs::Dir;
use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};

use super::{FileKind, Workspace};

/// Bytes of one ignore file that are read.
const MAX_BYTES: u64 = 1 << 20;
/// Rules of one ignore file that are taken.
const MAX_RULES: usize = 10_000;
/// Bytes of one rule.
const MAX_RULE: usize = 1024;
/// Choices in braces in one rule: one rule too deep to compile would cost all the others.
const MAX_CHOICES: usize = 32;

/// The rules of a folder and of those above it.
#[derive(Debug)]
pub(super) struct Ignored {
    above: Option<Arc<Ignored>>,
    base: PathBuf,
    rules: Gitignore,
}

impl Ignored {
    /// The rules inside a folder that is open, below the rules above it.
    pub(super) fn inside(
        workspace: &Workspace,
        dir: &Dir,
        base: &Path,
        above: Option<Arc<Self>>,
    ) -> Option<Arc<Self>> {
        let mut builder = GitignoreBuilder::new("");
        // Later rules win.
        if base.as_os_str().is_empty() {
            add(&mut builder, workspace, dir, ".git/info/exclude");
        }
        add(&mut builder, workspace, dir, ".gitignore");
        add(&mut builder, workspace, dir, ".ignore");
        match builder.build() {
            Ok(rules) if !rules.is_empty() => Some(Arc::new(Self {
                above,
                base: base.to_owned(),
                rules,
            })),
            _ => above,
        }
    }

    /// Whether a path is left out; the nearest rule that speaks of it decides.
    pub(super) fn leaves_out(&self, path: &Path, kind: FileKind) -> bool {
        let is_folder = kind == FileKind::Folder;
        let mut next = Some(self);
        while let Some(level) = next {
            if let Ok(inside) = path.strip_prefix(&level.base) {
                match level.rules.matched(inside, is_folder) {
                    Match::Ignore(_) => return true,
                    Match::Whitelist(_) => return false,
                    Match::None => {}
                }
            }
            next = level.above.as_deref();
        }
        false
    }
}

fn add(builder: &mut GitignoreBuilder, workspace: &Workspace, dir: &Dir, name: &str) {
    let name = Path::new(name);
    let Ok((file, _)) = workspace.open_in(dir, name, name) else {
        return;
    };
    let mut bytes = Vec::new();
    if file.take(MAX_BYTES).read_to_end(&mut bytes).is_err() {
        return;
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    for line in text.lines().take(MAX_RULES) {
        let choices = line.bytes().filter(|b| *b == b'{').count();
        if line.len() <= MAX_RULE && choices <= MAX_CHOICES {
            // A rule that does not parse is skipped, as git does.
            builder.add_line(None, line).ok();
        }
    }
}
