//! Real folders on disk, and the checker that counts every figure of an answer again.
//! Refuses to share code with what it checks: truths are counted here, in another way.

use std::{collections::BTreeMap, fs, path::Path};

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

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn truth(&self) -> Truth {
        self.truth_of("")
    }

    /// The truth about one of its sub-folders.
    pub(super) fn truth_of(&self, sub: &str) -> Truth {
        let place = self.dir.path().join(sub);
        let mut truth = Truth {
            files: 0,
            folders: 0,
            bytes: 0,
            lines: 0,
            lined: 0,
            endings: BTreeMap::new(),
            sizes: BTreeMap::new(),
        };
        let mut todo = vec![place.clone()];
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
                    .strip_prefix(&place)
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
