//! Which files an agent may reach: folders, files and patterns below its workspace.
//! Refuses to look at the disk: a tool says under which names rules know what it would open.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::pattern::Pattern;
use crate::{
    error::{Error, ErrorKind, Result},
    spec::Reach,
};

/// Entries of one list.
const MAX_ENTRIES: usize = 200;

/// Bytes of one entry.
const MAX_ENTRY: usize = 4096;

/// Entries that a refusal names.
const SHOWN: usize = 8;

/// Which files an agent may reach, relative to its workspace. Cheap to clone.
///
/// A folder stands for everything in it, a pattern for the files that fit it; `**` crosses folders.
/// A tool that looks at a whole folder needs one that lies inside as a whole: a folder, or a pattern
/// that ends in `/**`. Paths are compared by their parts, so `src` says nothing of `src-old`.
///
/// An agent below another is held to its own paths and to those of every agent above it.
///
/// ```
/// use offshoot::{Paths, Reach};
///
/// let paths = Paths::new(["src", "docs/**/*.md"])?;
/// assert!(paths.admits(Reach::File, &["src/lib.rs".into()]));
/// assert!(paths.admits(Reach::Tree, &["src/agent".into()]));
/// assert!(!paths.admits(Reach::File, &["src-old/lib.rs".into()]));
/// assert!(!paths.admits(Reach::Tree, &["docs".into()]));
/// # Ok::<(), offshoot::Error>(())
/// ```
#[derive(Clone)]
pub struct Paths(Arc<[Entry]>);

struct Entry {
    text: String,
    kind: Kind,
}

enum Kind {
    /// This, and everything below it.
    Below(PathBuf),
    Pattern(Pattern),
}

impl Paths {
    /// These folders, files and patterns; none at all admits nothing.
    ///
    /// # Errors
    /// An entry that is empty, leads out of the workspace, or is no pattern.
    pub fn new<T: Into<String>>(entries: impl IntoIterator<Item = T>) -> Result<Self> {
        let entries = entries.into_iter().map(|text| Entry::new(text.into()));
        let entries = entries.collect::<Result<Vec<_>>>()?;
        if entries.len() > MAX_ENTRIES {
            let text = format!("too many paths, at most: `{MAX_ENTRIES}`");
            return Err(Error::new(ErrorKind::Config, text));
        }
        Ok(Self(entries.into()))
    }

    /// Whether a tool that reaches so far may be called on these subjects, which are names of one
    /// thing: see `Tool::subjects`. Each of them must lie inside.
    pub fn admits(&self, reach: Reach, subjects: &[String]) -> bool {
        let inside = |subject: &String| {
            let Some(path) = inside(subject) else {
                return false;
            };
            self.0.iter().any(|entry| entry.admits(reach, &path))
        };
        match reach {
            Reach::Nothing => true,
            Reach::Anything => false,
            _ => !subjects.is_empty() && subjects.iter().all(inside),
        }
    }

    /// Why a call is refused, for the model.
    pub(super) fn refusal(&self, reach: Reach) -> String {
        if reach == Reach::Anything {
            return "it could reach files that are out of bounds for this agent".into();
        }
        let mut named: Vec<_> = self.0.iter().map(|entry| &*entry.text).collect();
        let more = named.len().saturating_sub(SHOWN);
        named.truncate(SHOWN);
        let mut text = format!("only this may be reached: `{}`", named.join("`, `"));
        if more > 0 {
            text.push_str(&format!(" and {more} more"));
        }
        if matches!(reach, Reach::Tree | Reach::Pattern) {
            text.push_str("; a whole folder must lie inside, so name one in `path`");
        }
        text
    }
}

impl Entry {
    fn new(text: String) -> Result<Self> {
        let wrong = |why: &str| {
            let shown: String = text.chars().take(100).collect();
            Error::new(
                ErrorKind::Config,
                format!("bad path of an agent: `{shown}`"),
            )
            .with_hint(why.to_owned())
        };
        if text.len() > MAX_ENTRY || text.contains(['\0', '\\']) {
            return Err(wrong("use `/` between names, and at most 4096 bytes"));
        }
        let Some(path) = inside(text.trim()).filter(|_| !text.trim().is_empty()) else {
            return Err(wrong(
                "name a folder, a file or a pattern below the workspace",
            ));
        };
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        let plain = parts.join("/");
        if !plain.contains(['*', '?', '[', ']', '{', '}']) {
            let kind = Kind::Below(path);
            return Ok(Self { text, kind });
        }
        let pattern = Pattern::new(&plain).map_err(|error| wrong(&error))?;
        let kind = Kind::Pattern(pattern);
        Ok(Self { text, kind })
    }

    fn admits(&self, reach: Reach, path: &Path) -> bool {
        let path = match reach {
            // A pattern reaches what lies in the folder before its first wildcard.
            Reach::Pattern => &fixed(path),
            _ => path,
        };
        match &self.kind {
            Kind::Below(folder) => path.starts_with(folder),
            Kind::Pattern(pattern) => pattern.admits(reach, path),
        }
    }
}

/// A path below the workspace without `.`; none when it leads out. The workspace itself is empty.
fn inside(text: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in Path::new(text).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => path.push(name),
            // Where `..` leads is not for a spelling to say: a link may stand before it.
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// The parts of a pattern before the first one with a wildcard.
fn fixed(pattern: &Path) -> PathBuf {
    let wild = |part: &Component<'_>| {
        let text = part.as_os_str().to_string_lossy();
        text.contains(['*', '?', '[', ']', '{', '}', '!', '\\'])
    };
    pattern
        .components()
        .take_while(|part| !wild(part))
        .collect()
}

impl PartialEq for Paths {
    fn eq(&self, other: &Self) -> bool {
        let texts = |paths: &Self| paths.0.iter().map(|e| e.text.clone()).collect::<Vec<_>>();
        texts(self) == texts(other)
    }
}

impl Eq for Paths {}

impl fmt::Debug for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|e| &e.text))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_admitted_is_told_by_parts_and_not_by_letters() {
        use Reach::{Anything, File, Nothing, Pattern, Tree};
        let rows: &[(&[&str], Reach, &str, bool)] = &[
            (&["src"], File, "src/lib.rs", true),
            (&["./src/"], File, "src/a/b.rs", true),
            (&["src"], File, "src", true),
            (&["src"], File, "src-old/lib.rs", false),
            (&["src"], File, "lib/src/a.rs", false),
            (&["src"], File, "/src/a.rs", false),
            (&["src"], File, "src/../secret", false),
            (&["src"], Tree, "src", true),
            (&["src"], Tree, "src/a", true),
            (&["src"], Tree, ".", false),
            (&["src/a.rs"], File, "src/a.rs", true),
            (&["src/a.rs"], File, "src/a.rs.bak", false),
            (&["src/*.rs"], File, "src/a.rs", true),
            (&["src/*.rs"], File, "src/a/b.rs", false),
            (&["src/*.rs"], Tree, "src", false),
            (&["src/*.rs"], Tree, "src/a.rs", false),
            (&["src/**/*.rs"], File, "src/a/b.rs", true),
            (&["src/**"], File, "src/a", true),
            (&["src/**"], Tree, "src", true),
            (&["src/**"], Tree, "src/a/b", true),
            (&["src/**"], Tree, "srcs", false),
            (&["crates/*/src/**"], Tree, "crates/x/src", true),
            (&["crates/*/src/**"], Tree, "crates/x", false),
            (&["{src,tests}/**"], Tree, "tests", true),
            (&["{src/**,docs/*.md}"], Tree, "src", false),
            (&["**"], Tree, ".", true),
            (&["**"], File, "any/thing", true),
            (&["."], Tree, ".", true),
            (&["src"], Pattern, "src/**/*.rs", true),
            (&["src"], Pattern, "src/a.rs", true),
            (&["src"], Pattern, "**/*.rs", false),
            (&["src"], Pattern, "{src,secret}/*", false),
            (&["src"], Pattern, "s*c/a.rs", false),
            (&["src/**"], Pattern, "src/a/*", true),
            (&["src", "docs"], Tree, "docs", true),
            (&[], File, "a", false),
            (&["src"], Nothing, "anywhere", true),
            (&["**"], Anything, "src", false),
        ];
        for (entries, reach, subject, admitted) in rows {
            let paths = Paths::new(entries.iter().copied()).unwrap();
            let got = paths.admits(*reach, &[(*subject).to_owned()]);
            assert_eq!(got, *admitted, "{entries:?} {reach:?} {subject}");
        }
        let src = Paths::new(["src"]).unwrap();
        let both = ["src/link".to_owned(), "secret".to_owned()];
        assert!(
            !src.admits(File, &both),
            "each name of a thing must lie inside"
        );
        assert!(!src.admits(File, &[]), "nothing is no path");
    }

    #[test]
    fn what_is_no_path_below_the_workspace_is_refused() {
        let long = "a/".repeat(MAX_ENTRY);
        for bad in [
            "", " ", "/etc", "..", "a/../b", "a\\b", "a\0", "{a", "[", &long,
        ] {
            let error = Paths::new([bad]).unwrap_err();
            assert!(error.hint().is_some(), "{bad:?}: {error}");
        }
        assert!(Paths::new(vec!["a"; MAX_ENTRIES + 1]).is_err());
    }
}
