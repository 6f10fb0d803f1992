//! The words of an answer, made from tool results only.
//! Refuses every figure that no result holds: a sentence whose figure is unknown is left out.

use super::{
    facts::{self, Facts},
    plan::{self, Ask, TOOLS, View, named},
    prose::{capital, code, count, cut, fenced, quote, uncapital},
    reading::{self, Counts},
    rules::{Meaning, Task, What},
};
use crate::{message::Outcome, spec::ToolSpec};

/// Entries of a list that are shown.
const MAX_ROWS: usize = 40;
/// The first entries of a folder that a survey names.
const MAX_TOP: usize = 12;
/// The largest and longest files that are named.
const MAX_LARGE: usize = 3;
/// Characters of a file that are shown.
const MAX_SHOWN: usize = 16_000;

/// The answer to a task, once there is nothing left to ask.
pub(super) fn answer(meaning: &Meaning, view: &View<'_>) -> String {
    let mut out = match &meaning.task {
        Task::Survey { path } => survey(path, view),
        Task::Measure { what, path } => measure(what, path, view),
        Task::List { path } => list(path, view),
        Task::Find { glob, path } => find(glob, path, view),
        Task::Search {
            pattern,
            said,
            path,
        } => search(pattern, said, path, view),
        Task::Show { file, from, count } => show(file, *from, *count, view),
    };
    if let Some(verb) = &meaning.beyond {
        out.push_str(&format!(
            "\n\nI left out the part that begins with `{verb}`: as the offline model I only read."
        ));
    }
    out
}

/// What the offline model is and can do, for a prompt that it does not understand.
pub(super) fn help(view: &View<'_>) -> String {
    let mut out = String::from(
        "I am the offline model: a set of rules that needs no network. I did not understand this \
         prompt, and I would rather say so than make something up. I can read a folder with the \
         tools of this agent and report what they say. For example:\n\n\
         - Survey this folder and tell me what it is\n\
         - How many files and lines are in `src`?\n\
         - Which are the largest files?\n\
         - Find files matching `*.toml`\n\
         - Search for \"TODO\"\n\
         - Show `README.md`\n\n\
         For anything else use a real model: set `ANTHROPIC_API_KEY`, `OPENAI_API_KEY` or \
         `GEMINI_API_KEY`, or run Ollama, and ask again.",
    );
    let missing = TOOLS
        .iter()
        .filter(|name| !view.tools.iter().any(|spec| spec.name == **name));
    let missing = missing.map(|name| format!("`{name}`")).collect::<Vec<_>>();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        out.push_str(&format!(
            "\n\nThis agent does not offer me all I know to use; missing: {missing}."
        ));
    }
    out
}

fn survey(path: &str, view: &View<'_>) -> String {
    let asks = plan::overview(path);
    if let Some(trouble) = hopeless(&asks, view) {
        return trouble;
    }
    let facts = facts::gather(path, view);
    let mut out = Vec::new();
    let place = capital(&named(path));
    match (facts.files(), folders(&facts)) {
        (Some(0), Some(0)) => {
            let empty = empty(&place, view);
            return [empty]
                .into_iter()
                .chain(trouble(&asks, view))
                .collect::<Vec<_>>()
                .join("\n\n");
        }
        (Some(0), Some(some)) => out.push(format!(
            "{place} holds no files, only {}.",
            count(some, "folder")
        )),
        _ => out.push(identity(&place, &facts)),
    }
    if let Some((file, page)) = &facts.readme
        && page.notes.iter().any(|note| note == "(empty file)")
    {
        out.push(format!("Its `{file}` is there, but it is empty."));
    }
    out.extend(size(&facts).map(|size| with_left_out(size, view)));
    out.extend(kinds(&facts));
    out.extend(top(&facts));
    out.extend(large(&facts, path));
    let details = plan::details(path, view).1;
    out.extend(trouble(&[asks, details].concat(), view));
    out.retain(|part| !part.is_empty());
    out.join("\n\n")
}

fn folders(facts: &Facts) -> Option<u64> {
    facts.listing.as_ref().and_then(|listing| listing.folders)
}

/// What the folder seems to be, in its own words where it has some.
fn identity(place: &str, facts: &Facts) -> String {
    let named = match facts.name() {
        Some((name, _)) => format!(" named {}", quote(&name)),
        None => String::new(),
    };
    let mut out = match (facts.what(), facts.mostly()) {
        (Some((what, file)), _) => format!("{place} looks like {what}{named}: it has a `{file}`."),
        (None, Some(ending)) => {
            format!("Most files of {} end in `.{ending}`.", uncapital(place))
        }
        (None, None) if named.is_empty() => {
            format!("{place} does not say what it is: it has no manifest that I know.")
        }
        (None, None) => format!("{place} has no manifest that I know, but a README{named}."),
    };
    for (about, file) in facts.about() {
        out.push_str(&format!(" Its `{file}` says: {}", quote(&about)));
    }
    out
}

fn size(facts: &Facts) -> Option<String> {
    let listing = facts.listing.as_ref();
    let mut parts = Vec::new();
    if let Some(files) = facts.files() {
        let mut part = count(files, "file");
        if let Some(folders) = folders(facts) {
            part.push_str(&format!(" in {}", count(folders, "folder")));
        }
        parts.push(part);
    }
    if let Some(bytes) = listing.and_then(|listing| listing.bytes) {
        parts.push(count(bytes, "byte"));
    }
    let mut out = match parts.is_empty() {
        true => String::new(),
        false => format!("It holds {}.", parts.join(", ")),
    };
    if let Some(lines) = facts.lines.as_ref().and_then(line_count) {
        out.push_str(if out.is_empty() { "" } else { " " });
        out.push_str(&lines);
    }
    (!out.is_empty()).then_some(out)
}

/// The sentence on lines; Grep reads text files only, and sees only those that have a line.
fn line_count(counts: &Counts) -> Option<String> {
    let lines = count(counts.matches?, "line");
    Some(match counts.files {
        Some(files) => format!("I count {lines} in {} of text.", count(files, "file")),
        None => format!("I count {lines} of text."),
    })
}

fn kinds(facts: &Facts) -> Option<String> {
    let rows = facts.kinds.iter().take(MAX_LARGE * 4);
    let rows = rows.map(|(ending, n)| format!("- `.{ending}`: {}", count(*n, "file")));
    let rows = rows.collect::<Vec<_>>();
    let title = match facts.paths.as_ref().is_some_and(|paths| paths.is_whole()) {
        true => "By kind",
        false => "Common kinds",
    };
    (!rows.is_empty()).then(|| format!("{title}:\n\n{}", rows.join("\n")))
}

fn top(facts: &Facts) -> Option<String> {
    let entries = facts
        .listing
        .as_ref()?
        .entries
        .iter()
        .filter(|entry| entry.is_top());
    let mut names = entries
        .map(|entry| {
            code(&format!(
                "{}{}",
                entry.path,
                if entry.folder { "/" } else { "" }
            ))
        })
        .collect::<Vec<_>>();
    let more = names.len() > MAX_TOP;
    names.truncate(MAX_TOP);
    let more = if more { " and more" } else { "" };
    (!names.is_empty()).then(|| format!("At its top: {}{more}.", names.join(", ")))
}

fn large(facts: &Facts, path: &str) -> Option<String> {
    let line =
        |(rows, whole): (Vec<(&str, u64)>, bool), superlative: &str, unit: &str, tool: &str| {
            let shown = rows.iter().take(MAX_LARGE);
            let shown = shown.map(|(file, n)| {
                format!("{} ({})", code(facts::below(file, path)), count(*n, unit))
            });
            let shown = shown.collect::<Vec<_>>().join(", ");
            let part = if whole {
                String::new()
            } else {
                format!(" of those that {tool} shows")
            };
            (!shown.is_empty()).then(|| format!("{superlative}{part}: {shown}."))
        };
    let lines = [
        line(facts.largest(), "Largest files", "byte", "`LS`"),
        line(facts.longest(), "Longest files", "line", "`Grep`"),
    ];
    let lines = lines.into_iter().flatten().collect::<Vec<_>>();
    (!lines.is_empty()).then(|| lines.join(" "))
}

fn measure(what: &What, path: &str, view: &View<'_>) -> String {
    let asks = plan::measure(what, path);
    if let Some(trouble) = hopeless(&asks, view) {
        return trouble;
    }
    let facts = facts::gather(path, view);
    let place = capital(&named(path));
    let listing = facts.listing.as_ref();
    let holds = |n: Option<u64>, unit: &str| Some(format!("{place} holds {}.", count(n?, unit)));
    let found = match what {
        What::Files => holds(listing.and_then(|l| l.files), "file"),
        What::Folders => holds(listing.and_then(|l| l.folders), "folder"),
        What::Bytes => holds(listing.and_then(|l| l.bytes), "byte"),
        What::Lines => facts.lines.as_ref().and_then(line_count),
        What::KindLines(ending) => view.text(&Ask::lines_of(ending, path)).and_then(|text| {
            let counts = reading::counts(text);
            let (lines, files) = (count(counts.matches?, "line"), count(counts.files?, "file"));
            Some(format!("I count {lines} in {files} ending in `.{ending}`."))
        }),
        What::Size => size(&facts),
        What::Largest => large(&facts, path),
        What::Kinds => kinds(&facts),
        What::Kind(ending) => {
            let text = view.text(&Ask::glob(&format!("**/*.{ending}"), path));
            let total = text.and_then(|text| reading::paths(text).total);
            total.map(|n| format!("{place} holds {} ending in `.{ending}`.", count(n, "file")))
        }
    };
    let found = match found {
        Some(found) => with_left_out(found, view),
        None => "The results do not say.".to_owned(),
    };
    let parts = [found].into_iter().chain(trouble(&asks, view));
    parts.collect::<Vec<_>>().join("\n\n")
}

fn list(path: &str, view: &View<'_>) -> String {
    let asks = [Ask::list(path)];
    if let Some(trouble) = hopeless(&asks, view) {
        return trouble;
    }
    let place = capital(&named(path));
    let listing = view
        .text(&asks[0])
        .map(reading::listing)
        .unwrap_or_default();
    if (listing.files, listing.folders) == (Some(0), Some(0)) {
        return empty(&place, view);
    }
    let rows = listing.entries.iter().take(MAX_ROWS).map(|entry| {
        let name = code(&format!(
            "{}{}",
            entry.path,
            if entry.folder { "/" } else { "" }
        ));
        match entry.bytes {
            Some(bytes) => format!("- {name} ({})", count(bytes, "byte")),
            None => format!("- {name}"),
        }
    });
    let mut out = format!("{place} holds:\n\n{}", rows.collect::<Vec<_>>().join("\n"));
    if listing.entries.len() > MAX_ROWS {
        out.push_str("\n- … and more");
    }
    let mut total = [
        (listing.files, "file"),
        (listing.folders, "folder"),
        (listing.bytes, "byte"),
    ]
    .into_iter()
    .filter_map(|(n, unit)| Some(count(n?, unit)))
    .collect::<Vec<_>>();
    if let Some(last) = total.pop() {
        let front = total.join(", ");
        let join = if front.is_empty() { "" } else { " and " };
        out.push_str(&format!(
            "\n\nEverything below counted, that is {front}{join}{last}."
        ));
    }
    out
}

fn find(glob: &str, path: &str, view: &View<'_>) -> String {
    let asks = [Ask::glob(glob, path)];
    if let Some(trouble) = hopeless(&asks, view) {
        return trouble;
    }
    let paths = view.text(&asks[0]).map(reading::paths).unwrap_or_default();
    let rows = paths.shown.iter().take(MAX_ROWS);
    let rows = rows
        .map(|file| format!("- {}", code(facts::below(file, path))))
        .collect::<Vec<_>>();
    let more =
        paths.shown.len() > MAX_ROWS || paths.total.is_some_and(|n| n > paths.shown.len() as u64);
    let more = if more { "\n- … and more" } else { "" };
    match paths.total {
        Some(0) => format!("No file matches {}.", code(glob)),
        Some(total) => {
            let verb = if total == 1 { "matches" } else { "match" };
            format!(
                "{} {verb} {}:\n\n{}{more}",
                count(total, "file"),
                code(glob),
                rows.join("\n")
            )
        }
        None if rows.is_empty() => "The result does not say which files match.".to_owned(),
        None => format!(
            "These files match {}:\n\n{}{more}",
            code(glob),
            rows.join("\n")
        ),
    }
}

fn search(pattern: &str, said: &str, path: &str, view: &View<'_>) -> String {
    let asks = [Ask::count(pattern, path), Ask::search(pattern, path)];
    if let Some(trouble) = hopeless(&asks, view) {
        return trouble;
    }
    let counts = view.text(&asks[0]).map(reading::counts).unwrap_or_default();
    let lines = view
        .text(&asks[1])
        .map(reading::matches)
        .unwrap_or_default();
    if counts.matches == Some(0) {
        return format!("Nothing in {} matches {}.", named(path), code(said));
    }
    let mut out = match (counts.matches, counts.files) {
        (Some(matches), Some(files)) => {
            format!(
                "{} of {} in {}.",
                count(matches, "match"),
                code(said),
                count(files, "file")
            )
        }
        _ => format!("Lines that match {}:", code(said)),
    };
    if !lines.is_empty() {
        let part = counts.matches.is_some_and(|n| n > lines.len() as u64);
        out.push_str(if part { " The first lines:" } else { "" });
        out.push_str(&format!("\n\n{}", fenced(&lines.join("\n"))));
    }
    for note in trouble(&asks, view) {
        out.push_str(&format!("\n\n{note}"));
    }
    out
}

fn show(file: &str, from: Option<u64>, wanted: Option<u64>, view: &View<'_>) -> String {
    let first = Ask::read(file, from, wanted);
    if !view.offers(&first) && view.find(&first).is_none() {
        return lacking(&[first]);
    }
    let mut shown = (file.to_owned(), first.clone());
    if view.text(&first).is_none() {
        let elsewhere = plan::elsewhere(file);
        let found = view
            .text(&elsewhere)
            .map(reading::paths)
            .unwrap_or_default();
        match found.shown.as_slice() {
            [only] => shown = (only.clone(), Ask::read(only, from, wanted)),
            [] => {
                let told = trouble(&[first], view).collect::<Vec<_>>().join(" ");
                return format!("I cannot show `{file}`. {told}")
                    .trim_end()
                    .to_owned();
            }
            many => {
                let rows = many
                    .iter()
                    .take(MAX_ROWS)
                    .map(|file| format!("- {}", code(file)));
                let rows = rows.collect::<Vec<_>>().join("\n");
                return format!("There is no `{file}`, but these have that name:\n\n{rows}");
            }
        }
    }
    let (name, ask) = shown;
    let Some(text) = view.text(&ask) else {
        let told = trouble(&[ask], view).collect::<Vec<_>>().join(" ");
        return format!("I cannot show {}. {told}", code(&name))
            .trim_end()
            .to_owned();
    };
    let page = reading::page(text);
    if page.lines.is_empty() {
        return format!("{} shows no lines: {}", code(&name), quote(text.trim()));
    }
    let whole = page.text();
    let body = cut(&whole, MAX_SHOWN);
    let mut out = format!("{}:\n\n{}", code(&name), fenced(body));
    if body.len() < whole.len() || !page.notes.is_empty() {
        out.push_str("\n\nThere is more in the file than stands here.");
    }
    out
}

/// What to say when none of the questions could be asked, or none has a good answer.
fn hopeless(asks: &[Ask], view: &View<'_>) -> Option<String> {
    if asks.iter().any(|ask| view.text(ask).is_some()) {
        return None;
    }
    let told = trouble(asks, view).collect::<Vec<_>>();
    let asked = asks.iter().any(|ask| view.find(ask).is_some());
    Some(if asked {
        format!("I could not find that out. {}", told.join(" "))
    } else {
        lacking(asks)
    })
}

fn lacking(asks: &[Ask]) -> String {
    let mut names = asks
        .iter()
        .map(|ask| format!("`{}`", ask.tool))
        .collect::<Vec<_>>();
    names.dedup();
    format!(
        "I can only report what tools say, and this agent does not offer what this needs: {}. \
         Give it the read-only tools of that name and ask again.",
        names.join(", ")
    )
}

/// What went wrong with some of the questions, in sentences.
fn trouble<'a>(asks: &'a [Ask], view: &'a View<'_>) -> impl Iterator<Item = String> + 'a {
    let mut told: Vec<String> = Vec::new();
    for ask in asks {
        let sentence = match view.find(ask) {
            None if view.offers(ask) => continue,
            None => format!(
                "This agent does not offer `{}`, so what it would say is missing here.",
                ask.tool
            ),
            Some(seen) => {
                let verb = match seen.outcome {
                    Outcome::Ok => match reading::gap(&seen.text) {
                        Some(gap) => &format!("has not seen everything: {}", quote(gap)),
                        None => continue,
                    },
                    Outcome::Denied => "was not allowed",
                    Outcome::TimedOut => "took too long",
                    Outcome::NeverStarted => "was never started",
                    Outcome::Interrupted => "was interrupted",
                    Outcome::Failed => "failed",
                };
                let first = seen.text.lines().find(|line| !line.trim().is_empty());
                let words = first
                    .map(|line| format!(": {}", quote(line.trim())))
                    .unwrap_or_default();
                format!("`{}` {verb}{words}", ask.tool)
            }
        };
        if !told.contains(&sentence) {
            told.push(sentence);
        }
    }
    told.into_iter()
}

fn empty(place: &str, view: &View<'_>) -> String {
    with_left_out(format!("{place} is empty: 0 files and 0 folders."), view)
}

/// Says that the figures are not of everything, where the tools' descriptions say so.
fn with_left_out(mut text: String, view: &View<'_>) -> String {
    let says = |spec: &ToolSpec| spec.name == "LS" && spec.description.contains(".gitignore");
    if view.tools.iter().any(says) {
        text.push_str("\n\nHidden and ignored files are not counted.");
    }
    text
}
