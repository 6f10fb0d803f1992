//! What is known of a folder, each figure with the tool result it was read from.
//! Refuses to fill gaps: what no result says stays unknown, and a part is never called the whole.

use super::{
    plan::{Ask, View},
    reading::{self, Counts, Listing, Page, Paths},
};

/// Kinds of files that are counted one by one.
const MAX_KINDS: usize = 6;
/// Manifests that are read.
const MAX_MANIFESTS: usize = 3;

/// How a manifest says its name and purpose.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// `key = "value"` below one of these headings.
    Toml(&'static [&'static str]),
    /// Keys of a JSON object.
    Json,
    /// `module path`.
    GoMod,
    /// `key: value`.
    Yaml,
    /// It is there; nothing in it is read.
    Mark,
}

/// Files that say what a folder is.
const MANIFESTS: &[(&str, &str, Form)] = &[
    (
        "Cargo.toml",
        "a Rust package",
        Form::Toml(&["package", "workspace.package"]),
    ),
    (
        "package.json",
        "a JavaScript or TypeScript package",
        Form::Json,
    ),
    (
        "pyproject.toml",
        "a Python project",
        Form::Toml(&["project", "tool.poetry"]),
    ),
    ("go.mod", "a Go module", Form::GoMod),
    ("setup.py", "a Python project", Form::Mark),
    ("requirements.txt", "a Python project", Form::Mark),
    ("pom.xml", "a Java project built with Maven", Form::Mark),
    ("build.gradle", "a project built with Gradle", Form::Mark),
    (
        "build.gradle.kts",
        "a project built with Gradle",
        Form::Mark,
    ),
    ("composer.json", "a PHP package", Form::Json),
    ("Gemfile", "a Ruby project", Form::Mark),
    ("mix.exs", "an Elixir project", Form::Mark),
    ("pubspec.yaml", "a Dart package", Form::Yaml),
    ("Package.swift", "a Swift package", Form::Mark),
    ("deno.json", "a Deno project", Form::Json),
    (
        "CMakeLists.txt",
        "a C or C++ project built with CMake",
        Form::Mark,
    ),
    ("Makefile", "a project built with make", Form::Mark),
    (
        "Dockerfile",
        "something that is packed as a container image",
        Form::Mark,
    ),
];

/// Files that describe their folder in words.
const READMES: &[&str] = &[
    "README.md",
    "README",
    "README.txt",
    "README.rst",
    "README.adoc",
    "README.org",
    "README.markdown",
];

/// A file that describes its folder.
#[derive(Debug, PartialEq)]
pub(super) struct Describing {
    /// Its name in the folder.
    pub(super) name: String,
    /// Its path, as Read takes it.
    pub(super) path: String,
}

/// The files in a folder that describe it: a README and the first manifests.
pub(super) fn describing(path: &str, view: &View<'_>) -> Vec<Describing> {
    let listed = view.text(&Ask::list(path)).map(reading::listing);
    let names: Vec<String> = match listed {
        Some(listing) => {
            let top = listing
                .entries
                .into_iter()
                .filter(|e| !e.folder && e.is_top());
            top.map(|entry| entry.path).collect()
        }
        None => {
            let found = view.text(&Ask::glob("**/*", path)).map(reading::paths);
            let found = found.unwrap_or_default().shown;
            let inside = found.iter().map(|file| below(file, path));
            inside
                .filter(|file| !file.contains('/'))
                .map(str::to_owned)
                .collect()
        }
    };
    let readme = READMES
        .iter()
        .find_map(|readme| names.iter().find(|name| name.eq_ignore_ascii_case(readme)));
    let manifests = MANIFESTS
        .iter()
        .filter(|(name, _, form)| *form != Form::Mark && names.iter().any(|n| n == name))
        .map(|(name, _, _)| *name)
        .take(MAX_MANIFESTS);
    let chosen = readme.map(String::as_str).into_iter().chain(manifests);
    chosen
        .map(|name| Describing {
            name: name.to_owned(),
            path: join(path, name),
        })
        .collect()
}

/// The questions that count the commonest kinds, where the list of files was cut.
pub(super) fn kind_asks(path: &str, view: &View<'_>) -> Vec<Ask> {
    let Some(text) = view.text(&Ask::glob("**/*", path)) else {
        return Vec::new();
    };
    let paths = reading::paths(text);
    if paths.total.is_none() || paths.is_whole() {
        return Vec::new();
    }
    let listing = view
        .text(&Ask::list(path))
        .map(reading::listing)
        .unwrap_or_default();
    let counts = view
        .text(&Ask::lines(path))
        .map(reading::counts)
        .unwrap_or_default();
    let listed = listing
        .entries
        .iter()
        .filter(|e| !e.folder)
        .map(|e| &e.path);
    let names = paths
        .shown
        .iter()
        .chain(listed)
        .chain(counts.rows.iter().map(|(path, _)| path));
    let tally = tally(names.filter_map(|name| ending(name)));
    let common = tally.into_iter().take(MAX_KINDS);
    common
        .map(|(ending, _)| Ask::glob(&format!("**/*.{ending}"), path))
        .collect()
}

/// What is known of a folder.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// What LS says.
    pub(super) listing: Option<Listing>,
    /// What Glob says.
    pub(super) paths: Option<Paths>,
    /// What Grep says: lines of each text file.
    pub(super) lines: Option<Counts>,
    /// Files of each kind, the commonest first.
    pub(super) kinds: Vec<(String, u64)>,
    /// The README: its name and beginning.
    pub(super) readme: Option<(String, Page)>,
    /// The manifests that were read.
    manifests: Vec<(usize, Page)>,
    /// The manifests that are there.
    marks: Vec<usize>,
}

/// What kind of thing a folder with this manifest is; `None` for a file that is no manifest.
pub(super) fn what_is(file: &str) -> Option<&'static str> {
    let row = MANIFESTS.iter().find(|(name, _, _)| *name == file);
    row.map(|(_, what, _)| *what)
}

/// Everything the results say about a folder.
pub(super) fn gather(path: &str, view: &View<'_>) -> Facts {
    let mut facts = Facts {
        listing: view.text(&Ask::list(path)).map(reading::listing),
        paths: view.text(&Ask::glob("**/*", path)).map(reading::paths),
        lines: view.text(&Ask::lines(path)).map(reading::counts),
        ..Facts::default()
    };
    if let Some(paths) = facts.paths.as_ref().filter(|paths| paths.is_whole()) {
        facts.kinds = tally(paths.shown.iter().filter_map(|name| ending(name)));
    } else {
        for ask in kind_asks(path, view) {
            let total = view.text(&ask).and_then(|text| reading::paths(text).total);
            let ending = ask.input["pattern"]
                .as_str()
                .and_then(|p| p.strip_prefix("**/*."));
            if let (Some(total), Some(ending)) = (total, ending) {
                facts.kinds.push((ending.to_owned(), total));
            }
        }
        sort(&mut facts.kinds);
    }
    for file in describing(path, view) {
        let Some(text) = view.text(&Ask::describing(&file.path)) else {
            continue;
        };
        let page = reading::page(text);
        match MANIFESTS.iter().position(|(name, _, _)| *name == file.name) {
            Some(at) => facts.manifests.push((at, page)),
            None => facts.readme = Some((file.name, page)),
        }
    }
    let top = facts.listing.iter().flat_map(|listing| &listing.entries);
    let top = top.filter(|entry| !entry.folder && entry.is_top());
    let names = top.map(|entry| entry.path.as_str()).collect::<Vec<_>>();
    let there = |(name, _, _): &&(&str, &str, Form)| names.contains(name);
    facts.marks = (0..MANIFESTS.len())
        .filter(|at| there(&&MANIFESTS[*at]))
        .collect();
    facts
}

impl Facts {
    /// What is known of the files that lie directly in a folder, all of which are listed.
    pub(super) fn beside(listing: &Listing, lines: Option<Counts>) -> Self {
        let files = listing.beside().cloned().collect::<Vec<_>>();
        let names = files
            .iter()
            .map(|entry| entry.path.clone())
            .collect::<Vec<_>>();
        let total = Some(files.len() as u64);
        Self {
            kinds: tally(names.iter().filter_map(|name| ending(name))),
            paths: Some(Paths {
                shown: names,
                total,
            }),
            listing: Some(Listing {
                files: total,
                folders: Some(0),
                bytes: files.iter().map(|entry| entry.bytes).sum(),
                entries: files,
            }),
            lines,
            ..Self::default()
        }
    }

    /// How many files there are, by LS, else by Glob.
    pub(super) fn files(&self) -> Option<u64> {
        let listed = self.listing.as_ref().and_then(|listing| listing.files);
        listed.or(self.paths.as_ref().and_then(|paths| paths.total))
    }

    /// What kind of thing the folder is, and the file that says so.
    pub(super) fn what(&self) -> Option<(&'static str, &'static str)> {
        let read = self.manifests.iter().map(|(at, _)| *at).min();
        let at = read.or(self.marks.first().copied())?;
        let (file, what, _) = MANIFESTS[at];
        Some((what, file))
    }

    /// The name in a manifest, and the file that says so.
    pub(super) fn name(&self) -> Option<(String, String)> {
        let from_manifest = self.value("name");
        from_manifest.or_else(|| {
            let (file, page) = self.readme.as_ref()?;
            Some((heading(page)?, file.clone()))
        })
    }

    /// The description in a manifest and the first words of the README, each with its file.
    pub(super) fn about(&self) -> Vec<(String, String)> {
        let opening = self
            .readme
            .iter()
            .filter_map(|(file, page)| Some((opening(page)?, file.clone())));
        let mut all = Vec::from_iter(self.value("description"));
        all.extend(opening);
        all.dedup_by(|later, first| later.0 == first.0);
        all
    }

    fn value(&self, key: &str) -> Option<(String, String)> {
        self.manifests.iter().find_map(|(at, page)| {
            let (file, _, form) = MANIFESTS[*at];
            let value = value(form, page, key)?;
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            (!value.is_empty()).then(|| (value, file.to_owned()))
        })
    }

    /// The kind that more than half of the files are.
    pub(super) fn mostly(&self) -> Option<&str> {
        let total = self.paths.as_ref()?.total?;
        let (ending, count) = self.kinds.first()?;
        (count * 2 > total).then_some(ending.as_str())
    }

    /// The largest files that LS shows, and whether it shows all.
    pub(super) fn largest(&self) -> (Vec<(&str, u64)>, bool) {
        let Some(listing) = &self.listing else {
            return (Vec::new(), false);
        };
        let files = listing.entries.iter().filter(|entry| !entry.folder);
        let sized = files.filter_map(|entry| Some((entry.path.as_str(), entry.bytes?)));
        let mut rows = sized.collect::<Vec<_>>();
        let whole = listing.files == Some(rows.len() as u64);
        rows.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        (rows, whole)
    }

    /// The files with the most lines that Grep shows, and whether it shows all.
    pub(super) fn longest(&self) -> (Vec<(&str, u64)>, bool) {
        let Some(counts) = &self.lines else {
            return (Vec::new(), false);
        };
        let rows = counts.rows.iter().map(|(path, n)| (path.as_str(), *n));
        let mut rows = rows.collect::<Vec<_>>();
        rows.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        (rows, counts.is_whole())
    }
}

/// The value of a key in a manifest.
fn value(form: Form, page: &Page, key: &str) -> Option<String> {
    let lines = page.lines.iter().map(|(_, line)| line.trim());
    match form {
        Form::Toml(headings) => {
            let mut inside = false;
            for line in lines {
                if let Some(heading) = line.strip_prefix('[') {
                    inside = headings
                        .iter()
                        .any(|h| heading.strip_prefix(h) == Some("]"));
                } else if inside
                    && let Some((name, value)) = line.split_once('=')
                    && name.trim() == key
                {
                    return text_of(value.trim());
                }
            }
            None
        }
        Form::Json => match serde_json::from_str::<serde_json::Value>(&page.text()) {
            Ok(object) => object[key].as_str().map(str::to_owned),
            // Only the beginning was read: take the first line that holds the key.
            Err(_) => page.lines.iter().find_map(|(_, line)| {
                let rest = line.trim().strip_prefix(&format!("\"{key}\""))?;
                text_of(rest.trim_start().strip_prefix(':')?.trim())
            }),
        },
        Form::GoMod if key == "name" => {
            let mut lines = lines;
            lines.find_map(|line| {
                line.strip_prefix("module ")
                    .map(|name| name.trim().to_owned())
            })
        }
        Form::Yaml => page.lines.iter().find_map(|(_, line)| {
            let rest = line.strip_prefix(key)?.strip_prefix(':')?.trim();
            (!rest.is_empty() && !rest.starts_with(['>', '|']))
                .then(|| rest.trim_matches(['"', '\'']).to_owned())
        }),
        Form::GoMod | Form::Mark => None,
    }
}

/// A quoted text at the start.
fn text_of(value: &str) -> Option<String> {
    if let Some(rest) = value.strip_prefix('\'') {
        return rest.split_once('\'').map(|(text, _)| text.to_owned());
    }
    let mut parsed = serde_json::Deserializer::from_str(value).into_iter::<String>();
    parsed.next()?.ok()
}

/// The first heading of a README, without its marks.
fn heading(page: &Page) -> Option<String> {
    let mut lines = page.lines.iter().map(|(_, line)| line.trim());
    let heading = lines.find_map(|line| line.strip_prefix("# "))?.trim();
    (!heading.is_empty()).then(|| heading.to_owned())
}

/// The first paragraph of a README that is neither heading, picture, badge nor code.
fn opening(page: &Page) -> Option<String> {
    let mut out: Vec<&str> = Vec::new();
    let mut fenced = false;
    for (_, line) in &page.lines {
        let line = line.trim();
        if line.starts_with("```") {
            fenced = !fenced;
            continue;
        }
        let marks = ['#', '!', '[', '<', '|', '=', '-', '*'];
        if fenced || line.is_empty() || line.starts_with(marks) {
            if out.is_empty() {
                continue;
            }
            break;
        }
        out.push(line.trim_start_matches("> "));
    }
    (!out.is_empty()).then(|| out.join(" "))
}

/// What a name ends with after its last dot; `None` without one, or where it could not be asked for.
pub(super) fn ending(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    let (_, ending) = name.rsplit_once('.')?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'+';
    (!ending.is_empty() && ending.len() <= 16 && ending.bytes().all(fits)).then_some(ending)
}

/// How often each occurs, the commonest first.
pub(super) fn tally<'a>(endings: impl Iterator<Item = &'a str>) -> Vec<(String, u64)> {
    let mut counts = std::collections::BTreeMap::new();
    for ending in endings {
        *counts.entry(ending.to_owned()).or_insert(0) += 1;
    }
    let mut rows = counts.into_iter().collect::<Vec<_>>();
    sort(&mut rows);
    rows
}

/// The highest figure first, the same figures by name.
pub(super) fn sort(rows: &mut [(String, u64)]) {
    rows.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
}

/// A path below a folder.
pub(super) fn join(folder: &str, name: &str) -> String {
    match folder {
        "." => name.to_owned(),
        folder => format!("{}/{name}", folder.trim_end_matches('/')),
    }
}

/// A path as seen from a folder.
pub(super) fn below<'a>(path: &'a str, folder: &str) -> &'a str {
    let path = path.strip_prefix("./").unwrap_or(path);
    let inside = path.strip_prefix(folder.trim_start_matches("./").trim_end_matches('/'));
    match inside.and_then(|rest| rest.strip_prefix('/')) {
        Some(rest) if folder != "." => rest,
        _ => path,
    }
}
