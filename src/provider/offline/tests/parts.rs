//! The checker for answers that were put together: it counts every figure of every part again.
//! Refuses a figure whose owner it cannot tell.

use std::{collections::BTreeSet, fs, path::Path};

use super::folder::{Folder, check, units};

/// What a checked answer was found to say.
#[derive(Debug)]
pub(super) struct Checked {
    /// How many figures there were.
    pub(super) figures: usize,
    /// The sub-folders that have a line or a place in the list of the others.
    pub(super) named: BTreeSet<String>,
}

/// The sub-folders of a folder.
pub(super) fn subs(folder: &Folder) -> Vec<String> {
    let mut subs = entries(folder.path())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect::<Vec<_>>();
    subs.sort();
    subs
}

fn entries(place: &Path) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(place).unwrap().map(Result::unwrap)
}

/// A name as the answers write it.
pub(super) fn code(name: &str) -> String {
    if name.contains('`') {
        let fence = if name.contains("``") { "```" } else { "``" };
        return format!("{fence} {name} {fence}");
    }
    format!("`{name}`")
}

/// `3 files, 36 bytes, 4 lines` of the files that lie directly in the folder.
pub(super) fn beside(folder: &Folder) -> String {
    let files = entries(folder.path()).filter(|entry| entry.path().is_file());
    let (mut n, mut bytes, mut lines) = (0, 0, 0);
    for file in files {
        let text = fs::read(file.path()).unwrap();
        n += 1;
        bytes += text.len() as u64;
        lines += text.split_inclusive(|b| *b == b'\n').count() as u64;
    }
    let parts = [units(n, "file"), units(bytes, "byte"), units(lines, "line")];
    parts.join(", ")
}

/// Counts every figure of an answer again. Panics at the first that is not true.
pub(super) fn check_together(text: &str, folder: &Folder) -> Checked {
    let (whole, subs) = (folder.truth(), subs(folder));
    let mut out = Checked {
        figures: 0,
        named: BTreeSet::new(),
    };
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("It has ") {
            let (count, _) = rest.split_once([';', ':', '.']).unwrap();
            assert_eq!(count, units(subs.len() as u64, "sub-folder"), "{line}");
            out.figures += 1;
            continue;
        }
        if let Some(rest) = line.strip_prefix("Directly in it lie ") {
            let (figures, _) = rest.split_once(": ").unwrap();
            assert_eq!(figures, beside(folder), "{line}");
            out.figures += 3;
            continue;
        }
        if let Some(rest) = line.strip_prefix("The others: ") {
            others(rest, folder, &subs, &mut out);
            continue;
        }
        let part = subs.iter().find_map(|sub| {
            let front = format!("- {}: ", code(&format!("{sub}/")));
            Some((sub, line.strip_prefix(&front)?))
        });
        match part {
            Some((sub, figures)) => {
                out.figures += check(figures, &folder.truth_of(sub));
                assert!(out.named.insert(sub.clone()), "twice: {line}");
            }
            None => out.figures += check(line, &whole),
        }
    }
    out
}

/// `a/ (3 files), b/ (1 file) and 2 sub-folders more with 4 files together.`
fn others(list: &str, folder: &Folder, subs: &[String], out: &mut Checked) {
    let (mut left, mut unnamed) = (format!(", {list}"), Vec::new());
    for sub in subs
        .iter()
        .filter(|sub| !out.named.contains(*sub))
        .cloned()
        .collect::<Vec<_>>()
    {
        let files = folder.truth_of(&sub).files;
        let item = format!(", {} ({})", code(&format!("{sub}/")), units(files, "file"));
        match left.contains(&item) {
            true => {
                left = left.replacen(&item, "", 1);
                out.named.insert(sub);
                out.figures += 1;
            }
            false => unnamed.push(files),
        }
    }
    let rest = match unnamed.len() as u64 {
        0 => ".".to_owned(),
        n => {
            let (more, files) = (units(n, "sub-folder"), units(unnamed.iter().sum(), "file"));
            format!(" and {more} more with {files} together.")
        }
    };
    assert_eq!(left, rest, "what is left of: {list}");
}
