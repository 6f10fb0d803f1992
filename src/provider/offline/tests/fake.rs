//! Tools that answer in the formats of the real ones, for tests without an engine.
//! Refuses cleverness: they do what the rules ask for and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::folder::Folder;
use crate::{Outcome, ToolCall};

/// What Glob shows at most, as the real tool does.
const SHOWN: usize = 100;

impl Folder {
    /// Answers a call in the tools' formats.
    pub(super) fn run(&self, call: &ToolCall) -> (Outcome, String) {
        let input: Value = serde_json::from_str(call.input.as_str()).unwrap();
        let get = |key: &str| input[key].as_str();
        let root = self.path();
        let place = root.join(get("path").or(get("file_path")).unwrap_or("."));
        if !place.exists() {
            return (
                Outcome::Failed,
                format!("no such file or folder: `{}`", place.display()),
            );
        }
        let text = match call.name.as_str() {
            "LS" => ls(&place),
            "Glob" => glob(root, &place, get("pattern").unwrap()),
            "Grep" => grep(root, &place, &input),
            "Read" => read(&place, &input),
            other => return (Outcome::Failed, format!("no such tool: `{other}`")),
        };
        (Outcome::Ok, text)
    }
}

/// All files and folders below, parents first.
fn walk(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let mut entries = fs::read_dir(place)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect::<Vec<_>>();
    entries.sort();
    let mut out = Vec::new();
    for entry in entries {
        let below = if entry.is_dir() {
            walk(&entry)
        } else {
            Vec::new()
        };
        out.push(entry);
        out.extend(below);
    }
    out
}

/// Two levels, the first one first, and at most 200 entries.
fn ls(place: &Path) -> String {
    let all = walk(place);
    let level = |path: &PathBuf| path.strip_prefix(place).unwrap().components().count();
    let top = all.iter().filter(|path| level(path) == 1).count();
    let (mut room, mut out) = (200 - top, format!("{}\n", place.display()));
    for path in all.iter().filter(|path| level(path) <= 2) {
        if level(path) == 2 && room == 0 {
            continue;
        }
        room -= level(path) - 1;
        let name = path.file_name().unwrap().to_str().unwrap();
        let indent = "  ".repeat(level(path));
        match path.is_dir() {
            true => out.push_str(&format!("{indent}{name}/\n")),
            false => out.push_str(&format!(
                "{indent}{name}\t{} bytes\n",
                path.metadata().unwrap().len()
            )),
        }
    }
    if room == 0 {
        out.push_str("(200 of 999 entries shown: list a folder below for more)\n");
    }
    let files = all.iter().filter(|path| path.is_file());
    let bytes = files
        .clone()
        .map(|path| path.metadata().unwrap().len())
        .sum::<u64>();
    let folders = all.iter().filter(|path| path.is_dir()).count();
    out + &format!("{} files, {folders} folders, {bytes} bytes", files.count())
}

fn glob(root: &Path, place: &Path, pattern: &str) -> String {
    let tail = pattern
        .strip_prefix("**/")
        .expect("the rules look everywhere below");
    let fits = |name: &str| match tail.strip_prefix('*') {
        Some(end) => name.ends_with(end),
        None => name == tail,
    };
    let all = walk(place);
    let found = all
        .iter()
        .filter(|path| path.is_file() && fits(path.file_name().unwrap().to_str().unwrap()));
    let found = found.map(|path| {
        path.strip_prefix(root)
            .unwrap_or(path)
            .display()
            .to_string()
    });
    let found = found
        .map(|path| path.trim_start_matches("./").to_owned())
        .collect::<Vec<_>>();
    let shown = found[..found.len().min(SHOWN)].join("\n");
    match found.len() {
        n if n > SHOWN => format!("{shown}\n({SHOWN} of {n} files shown)"),
        n => format!("{shown}\n({n} files)"),
    }
}

fn grep(root: &Path, place: &Path, input: &Value) -> String {
    let wanted = input["pattern"].as_str().unwrap().replace('\\', "");
    let fits = |line: &str| wanted == "^" || line.contains(&wanted);
    let (mut rows, mut lines, mut total) = (Vec::new(), Vec::new(), 0);
    let beside = |path: &Path| match input["glob"].as_str() {
        Some("!*/**") => path.parent() == Some(place),
        _ => true,
    };
    let files = walk(place);
    for path in files.iter().filter(|path| path.is_file() && beside(path)) {
        let text = fs::read_to_string(path).unwrap();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let name = name.trim_start_matches("./");
        let hits = text.lines().enumerate().filter(|(_, line)| fits(line));
        let hits = hits
            .map(|(at, line)| format!("{name}:{}: {line}", at + 1))
            .collect::<Vec<_>>();
        total += hits.len();
        if !hits.is_empty() {
            rows.push((hits.len(), name.to_owned()));
        }
        lines.extend(hits);
    }
    rows.sort_by(|a, b| b.cmp(a));
    let files = rows.len();
    let shown = match input["output_mode"].as_str() {
        Some("count") => rows
            .iter()
            .take(150)
            .map(|(n, name)| format!("{name}:{n}"))
            .collect::<Vec<_>>(),
        _ => lines
            .into_iter()
            .take(input["head_limit"].as_u64().unwrap_or(200) as usize)
            .collect(),
    };
    format!("{}\n({total} matches in {files} files)", shown.join("\n"))
}

fn read(place: &Path, input: &Value) -> String {
    let text = fs::read_to_string(place).unwrap();
    let from = input["offset"].as_u64().unwrap_or(1) as usize - 1;
    let limit = input["limit"].as_u64().unwrap_or(2_000) as usize;
    let all = text.lines().collect::<Vec<_>>();
    let shown = all.iter().enumerate().skip(from).take(limit);
    let mut out = shown
        .map(|(at, line)| format!("{:6}→{line}\n", at + 1))
        .collect::<String>();
    if all.len() > from + limit {
        out.push_str(&format!(
            "(lines {}-{} of {} shown; next offset {})",
            from + 1,
            from + limit,
            all.len(),
            from + limit + 1
        ));
    }
    out
}
