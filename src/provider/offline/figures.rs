//! Figures in sentences: how much a folder holds, of which kinds, and what is largest in it.
//! Refuses a sentence whose figure is unknown; it is left out.

use super::{
    facts,
    prose::{code, count, quote},
    report::{List, Report},
};

/// Kinds of files that are named.
const MAX_KINDS: usize = 12;

/// How much there is.
pub(super) fn size(report: &Report) -> Option<String> {
    let mut out = match held(report) {
        held if held.is_empty() => String::new(),
        held => format!("It holds {held}."),
    };
    if let Some(lines) = lines(report) {
        out.push_str(if out.is_empty() { "" } else { " " });
        out.push_str(&lines);
    }
    (!out.is_empty()).then_some(out)
}

/// `3 files in 1 folder, 36 bytes`, as far as it is known.
pub(super) fn held(report: &Report) -> String {
    let mut parts = Vec::new();
    if let Some(files) = report.files {
        let mut part = count(files, "file");
        if let Some(folders) = report.folders {
            part.push_str(&format!(" in {}", count(folders, "folder")));
        }
        parts.push(part);
    }
    parts.extend(report.bytes.map(|bytes| count(bytes, "byte")));
    parts.join(", ")
}

/// The sentence on lines; Grep reads text files only, and sees only those that have a line.
pub(super) fn lines(report: &Report) -> Option<String> {
    let lines = count(report.lines?, "line");
    Some(match report.texts {
        Some(files) => format!("I count {lines} in {} of text.", count(files, "file")),
        None => format!("I count {lines} of text."),
    })
}

/// The kinds of files.
pub(super) fn kinds(report: &Report) -> Option<String> {
    let rows = report.kinds.iter().take(MAX_KINDS);
    let rows = rows.map(|(ending, n)| format!("- `.{ending}`: {}", count(*n, "file")));
    let rows = rows.collect::<Vec<_>>();
    let title = match report.is_whole(List::Kinds) {
        true => "By kind",
        false => "Common kinds",
    };
    (!rows.is_empty()).then(|| format!("{title}:\n\n{}", rows.join("\n")))
}

/// The largest and the longest files.
pub(super) fn large(report: &Report) -> Option<String> {
    let line = |rows: &[(String, u64)], list, superlative: &str, unit: &str, tool: &str| {
        let shown = rows.iter();
        let shown = shown.map(|(file, n)| format!("{} ({})", code(file), count(*n, unit)));
        let shown = shown.collect::<Vec<_>>().join(", ");
        let part = if report.is_whole(list) {
            String::new()
        } else {
            format!(" of those that {tool} shows")
        };
        (!shown.is_empty()).then(|| format!("{superlative}{part}: {shown}."))
    };
    let (largest, longest) = (&report.largest, &report.longest);
    let lines = [
        line(largest, List::Largest, "Largest files", "byte", "`LS`"),
        line(longest, List::Longest, "Longest files", "line", "`Grep`"),
    ];
    let lines = lines.into_iter().flatten().collect::<Vec<_>>();
    (!lines.is_empty()).then(|| lines.join(" "))
}

/// All of it on one line: `3 files in 1 folder, 36 bytes, 4 lines; a Rust package named “x”`.
pub(super) fn brief(report: &Report) -> String {
    let mut parts = vec![held(report)];
    parts.extend(report.lines.map(|lines| count(lines, "line")));
    parts.retain(|part| !part.is_empty());
    let mut out = match parts.is_empty() {
        true => "nothing is known of its size".to_owned(),
        false => parts.join(", "),
    };
    let what = report.manifest.as_deref().and_then(facts::what_is);
    let named = report
        .name
        .as_ref()
        .map(|name| format!("named {}", quote(name)));
    let about = what.map(str::to_owned).into_iter().chain(named);
    let about = about.collect::<Vec<_>>().join(" ");
    if !about.is_empty() {
        out.push_str(&format!("; {about}"));
    }
    out
}
