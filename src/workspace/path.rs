//! The proof that a path lies inside a workspace, and how such a path is shown.
//! Refuses to look at the disk: spelling is judged here, links where something is opened.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
};

use super::WorkError;

/// Bytes of a path.
pub(crate) const MAX_PATH: usize = 4096;

/// Characters of a refused path that a message repeats.
const SHOWN: usize = 200;

/// A path that lies inside a workspace, made only by [`Workspace::resolve`](super::Workspace).
///
/// It has no `..` in it and is relative to the root. It says nothing of what is there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WorkPath(PathBuf);

impl WorkPath {
    /// The path relative to the root; empty for the root itself. For showing and matching: joining
    /// it to something and opening that is the mistake this type is there to prevent.
    pub fn relative(&self) -> &Path {
        &self.0
    }

    /// What handles are given to open: the root has a name there.
    pub(super) fn opened(&self) -> &Path {
        or_dot(&self.0)
    }
}

impl fmt::Display for WorkPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for WorkPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkPath").field(&self.0).finish()
    }
}

/// The root is `.` to the operating system.
pub(super) fn or_dot(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

/// See [`Workspace::resolve`](super::Workspace::resolve).
pub(super) fn resolve(roots: &[&Path], text: &str) -> Result<WorkPath, WorkError> {
    let given = || {
        let mut start: String = text.chars().take(SHOWN).collect();
        if start.len() < text.len() {
            start.push('…');
        }
        escaped(&start)
    };
    if let Some(why) = misspelt(text) {
        return Err(WorkError::Spelling { path: given(), why });
    }
    let outside = || WorkError::Outside { path: given() };
    let mut rest = Path::new(text);
    if rest.is_absolute() {
        // By components: the sibling `root-evil` begins with the same letters as `root`.
        let below = roots.iter().find_map(|root| rest.strip_prefix(root).ok());
        rest = below.ok_or_else(outside)?;
    }
    let mut inside = PathBuf::new();
    for part in rest.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => inside.push(name),
            Component::ParentDir => {
                if !inside.pop() {
                    return Err(outside());
                }
            }
            Component::RootDir | Component::Prefix(_) => return Err(outside()),
        }
    }
    Ok(WorkPath(inside))
}

/// What makes a text no path here, whatever is on the disk.
fn misspelt(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("the path is empty; the workspace itself is `.`");
    }
    if text.len() > MAX_PATH {
        return Some("the path is longer than 4096 bytes");
    }
    if text.contains('\0') {
        return Some("the path has a NUL character in it");
    }
    if text.starts_with('~') {
        return Some("`~` is not expanded; use a path below the workspace, or `./~` for a name");
    }
    let bytes = text.as_bytes();
    let drive = bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':';
    let climbs = text.contains('\\') && text.split(['/', '\\']).any(|part| part == "..");
    if text.starts_with('\\')
        || climbs
        || drive && matches!(bytes.get(2), None | Some(b'/' | b'\\'))
    {
        return Some("this is a Windows path; use `/` and a path below the workspace");
    }
    None
}

/// A path as models are shown it: always on one line, always with `/`, `.` for the root.
pub(crate) fn shown(path: &Path) -> String {
    let mut out = String::new();
    for part in path.components() {
        match part {
            Component::RootDir => out.push('/'),
            part => {
                if !out.is_empty() && !out.ends_with('/') {
                    out.push('/');
                }
                out.push_str(&escaped(&part.as_os_str().to_string_lossy()));
            }
        }
    }
    if out.is_empty() {
        out.push('.');
    }
    out
}

/// Names may hold line ends and characters that turn the writing direction around; neither may
/// forge a line of a tool's answer.
fn escaped(text: &str) -> String {
    let forges = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(forges) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if forges(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
