//! Names near one that is not there, so that a model can mend its call at once.
//! Refuses to look outside the workspace, or at more names than a person would.

use std::path::{Path, PathBuf};

use crate::{
    tool::ToolOutput,
    workspace::{WorkError, WorkPath, Workspace, shown},
};

/// Names of a folder that are compared.
const COMPARED: usize = 2000;
/// Characters of a name that are compared.
const LETTERS: usize = 64;
/// Names that are suggested.
const SUGGESTED: usize = 5;

/// The failed result for a path, with near names where it is missing.
pub(super) fn failed(workspace: &Workspace, path: &WorkPath, error: &WorkError) -> ToolOutput {
    let mut text = error.to_string();
    if matches!(error, WorkError::Missing { .. })
        && let Some(near) = near(workspace, path)
    {
        text.push_str(&near);
    }
    ToolOutput::failed(text)
}

/// What stands near the first part of a path that is not there.
fn near(workspace: &Workspace, path: &WorkPath) -> Option<String> {
    let mut there = PathBuf::new();
    for part in path.relative().components() {
        let next = there.join(part);
        let text = next.to_str()?;
        if workspace
            .resolve(text)
            .is_ok_and(|next| workspace.facts(&next).is_ok())
        {
            there = next;
            continue;
        }
        let folder = match there.to_str()? {
            "" => ".",
            text => text,
        };
        let folder = workspace.resolve(folder).ok()?;
        let wanted = part.as_os_str().to_str()?;
        let mut names: Vec<(usize, String)> = workspace
            .names(&folder, COMPARED)
            .ok()?
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .filter_map(|name| distance(wanted, &name).map(|far| (far, name)))
            .collect();
        names.sort();
        names.truncate(SUGGESTED);
        let list: Vec<String> = names
            .iter()
            .map(|(_, name)| format!("`{}`", shown(&there.join(name))))
            .collect();
        return (!list.is_empty()).then(|| format!("; similar names: {}", list.join(", ")));
    }
    None
}

/// How far a name is from the wanted one; `None` when nobody would take one for the other.
fn distance(wanted: &str, name: &str) -> Option<usize> {
    let lower = |text: &str| -> Vec<char> { text.to_lowercase().chars().take(LETTERS).collect() };
    let (a, b) = (lower(wanted), lower(name));
    if a == b {
        return Some(0);
    }
    let stem = |text: &str| Path::new(text).file_stem().map(|s| s.to_ascii_lowercase());
    if stem(wanted) == stem(name) {
        return Some(1);
    }
    // Two letters that changed places are two edits.
    let most = if a.len() < 3 {
        1
    } else {
        (a.len() / 3).clamp(2, 8)
    };
    if a.len().abs_diff(b.len()) <= most {
        let far = edits(&a, &b);
        if far <= most {
            return Some(1 + far);
        }
    }
    let (short, long) = if a.len() < b.len() {
        (&a, &b)
    } else {
        (&b, &a)
    };
    let inside = short.len() >= 3 && long.windows(short.len()).any(|part| part == &short[..]);
    inside.then(|| 10 + long.len() - short.len())
}

/// Insertions, deletions and exchanges that make one of the other.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let exchanged = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_near() {
        let order = |wanted, names: &[&'static str]| {
            let mut found: Vec<_> = names
                .iter()
                .filter_map(|name| distance(wanted, name).map(|far| (far, *name)))
                .collect();
            found.sort_unstable();
            found.into_iter().map(|(_, name)| name).collect::<Vec<_>>()
        };
        let names = [
            "main.rs",
            "Main.rs",
            "main.py",
            "mian.rs",
            "domain.rs.bak",
            "lib.rs",
        ];
        let found = order("main.rs", &names);
        assert_eq!(found[..2], ["Main.rs", "main.rs"]);
        assert!(found.contains(&"mian.rs") && found.contains(&"domain.rs.bak"));
        assert!(!found.contains(&"lib.rs"), "{found:?}");
        assert_eq!(edits(&['a', 'b', 'c'], &['x', 'b']), 2);
        assert_eq!(edits(&[], &['x', 'b']), 2);
    }
}
