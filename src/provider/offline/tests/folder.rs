//! Real folders on disk, tools that read them in the formats agents' tools use, and the checker.
//! Refuses to share code with what it checks: truths are counted here, in another way.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{Outcome, ToolCall};

/// What Glob shows at most, as the real tool does.
const SHOWN: usize = 100;

pub(super) struct Folder {
    dir: tempfile::TempDir,
}

/// The truth about a folder.
pub(super) struct Truth {
    pub(super) files: u64,
    pub(super) folders: u64,
    pub(super) bytes: u64,
    pub(super) lines: u64,
    lined: u64,
    endings: BTreeMap<String, u64>,
    sizes: BTreeMap<String, (u64, u64)>,
}

impl Folder {
    pub(super) fn empty() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// A folder that looks different for each seed, the same for the same seed.
    pub(super) fn random(seed: u64) -> Self {
        let folder = Self::empty();
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
        let mut roll = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let endings = [
            "rs", "md", "txt", "py", "json", "csv", "toml", "c", "tar.gz", "",
        ];
        let mut places = vec![String::new()];
        for n in 0..roll(8) {
            let parent = places[roll(places.len() as u64) as usize].clone();
            let place = format!("{parent}dir {n}/");
            folder.folder(&place);
            places.push(place);
        }
        // Some of the folders are larger than what Glob shows.
        let files = if seed.is_multiple_of(4) {
            110 + roll(120)
        } else {
            1 + roll(60)
        };
        for n in 0..files {
            let place = places[roll(places.len() as u64) as usize].clone();
            let ending = endings[roll(endings.len() as u64) as usize];
            let dot = if ending.is_empty() { "" } else { "." };
            let lines =
                (0..roll(40)).map(|line| format!("{line} of {}", "x".repeat(roll(30) as usize)));
            let mut text = lines.collect::<Vec<_>>().join("\n");
            if roll(2) == 0 && !text.is_empty() {
                text.push('\n');
            }
            folder.write(&format!("{place}file{n}-12{dot}{ending}"), &text);
        }
        match roll(4) {
            0 => folder.write(
                "Cargo.toml",
                "[package]\nname = \"p7\"\ndescription = \"Has 41 waves, or 1,000 files\"\n",
            ),
            1 => folder.write(
                "package.json",
                "{\"name\": \"x-9\", \"version\": \"3.1.4\"}",
            ),
            _ => {}
        }
        if roll(2) == 0 {
            folder.write(
                "README.md",
                "# Title 5\n\nThere are 77 files and 99 lines here.\n",
            );
        }
        folder
    }

    pub(super) fn folder(&self, path: &str) {
        fs::create_dir_all(self.dir.path().join(path)).unwrap();
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test's own folder, thrown away with it"
    )]
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Answers a call in the tools' formats.
    pub(super) fn run(&self, call: &ToolCall) -> (Outcome, String) {
        let input: Value = serde_json::from_str(call.input.as_str()).unwrap();
        let get = |key: &str| input[key].as_str();
        let root = self.dir.path();
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

    pub(super) fn truth(&self) -> Truth {
        let mut truth = Truth {
            files: 0,
            folders: 0,
            bytes: 0,
            lines: 0,
            lined: 0,
            endings: BTreeMap::new(),
            sizes: BTreeMap::new(),
        };
        let mut todo = vec![self.dir.path().to_owned()];
        while let Some(next) = todo.pop() {
            for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    truth.folders += 1;
                    todo.push(entry.path());
                    continue;
                }
                let bytes = fs::read(entry.path()).unwrap();
                let breaks = bytes.iter().filter(|b| **b == b'\n').count() as u64;
                let open = u64::from(bytes.last().is_some_and(|b| *b != b'\n'));
                let lines = breaks + open;
                truth.files += 1;
                truth.bytes += bytes.len() as u64;
                truth.lines += lines;
                truth.lined += u64::from(lines > 0);
                let name = entry.file_name().into_string().unwrap();
                if let Some((_, ending)) = name.rsplit_once('.') {
                    *truth.endings.entry(ending.to_owned()).or_default() += 1;
                }
                let path = entry
                    .path()
                    .strip_prefix(self.dir.path())
                    .unwrap()
                    .display()
                    .to_string();
                truth.sizes.insert(path, (bytes.len() as u64, lines));
            }
        }
        truth
    }
}

impl Truth {
    pub(super) fn sentence(&self) -> String {
        let (files, folders) = (units(self.files, "file"), units(self.folders, "folder"));
        format!(
            "It holds {files} in {folders}, {}.",
            units(self.bytes, "byte")
        )
    }
}

/// `1,234 files`.
pub(super) fn units(n: u64, unit: &str) -> String {
    let mut digits = n.to_string();
    let mut at = digits.len();
    while at > 3 {
        at -= 3;
        digits.insert(at, ',');
    }
    format!("{digits} {unit}{}", if n == 1 { "" } else { "s" })
}

/// Counts every figure of an answer again. Names in backticks and quotations are not figures.
///
/// Panics at the first figure that is not true, or that it has no truth for.
pub(super) fn check(text: &str, truth: &Truth) -> usize {
    let mut checked = 0;
    for line in text.lines() {
        // The last name before a figure says whose figure it is.
        let mut name = String::new();
        let mut words: Vec<String> = Vec::new();
        let mut rest = line;
        let mut outside = String::new();
        while let Some(at) = rest.find(['`', '“']) {
            outside.push_str(&rest[..at]);
            let close = if rest[at..].starts_with('`') {
                '`'
            } else {
                '”'
            };
            let body = &rest[at + rest[at..].chars().next().unwrap().len_utf8()..];
            let end = body
                .find(close)
                .unwrap_or_else(|| panic!("unclosed in: {line}"));
            if close == '`' {
                outside.push_str(" \u{1}");
                outside.push_str(&body[..end].replace(' ', "\u{2}"));
                outside.push(' ');
            }
            rest = &body[end + close.len_utf8()..];
        }
        outside.push_str(rest);
        words.extend(outside.split_whitespace().map(str::to_owned));
        for (at, word) in words.iter().enumerate() {
            if let Some(found) = word.strip_prefix('\u{1}') {
                name = found.replace('\u{2}', " ");
                continue;
            }
            if !word.contains(|c: char| c.is_ascii_digit()) {
                continue;
            }
            let figure = word.trim_start_matches('(').replace(',', "");
            let n: u64 = figure
                .parse()
                .unwrap_or_else(|_| panic!("what is {word} in: {line}"));
            let unit = words
                .get(at + 1)
                .map_or("", |w| w.trim_end_matches(|c: char| ".,:)s".contains(c)));
            let ending = name.strip_prefix('.').filter(|_| line.starts_with("- `."));
            let large = line.contains("files") && truth.sizes.contains_key(&name);
            let expected = match unit {
                "file" if ending.is_some() => truth.endings[ending.unwrap()],
                "file" if line[..line.find(word.as_str()).unwrap()].contains("I count") => {
                    truth.lined
                }
                "file" => truth.files,
                "folder" => truth.folders,
                "byte" if large => truth.sizes[&name].0,
                "line" if large => truth.sizes[&name].1,
                "byte" => truth.bytes,
                "line" => truth.lines,
                other => panic!("a figure of unknown kind `{other}` in: {line}"),
            };
            // "in 48 files of text" counts the files that have a line.
            let of_text = words.get(at + 2).is_some_and(|w| w == "of");
            let expected = if unit == "file" && of_text {
                truth.lined
            } else {
                expected
            };
            assert_eq!(n, expected, "{n} {unit} of `{name}` in: {line}");
            checked += 1;
        }
    }
    checked
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
    for path in walk(place).iter().filter(|path| path.is_file()) {
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
