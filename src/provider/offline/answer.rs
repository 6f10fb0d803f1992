//! The words of an answer, made from tool results only.
//! Refuses every figure that no result holds: a sentence whose figure is unknown is left out.

use super::{
    combine, commands,
    facts::{self, Facts},
    figures,
    plan::{self, Ask, View, named},
    prose::{capital, code, count, cut, fenced, quote, uncapital},
    reading,
    report::Report,
    rules::{Meaning, Task, What},
    trouble::{hopeless, lacking, trouble, with_left_out},
};

/// Entries of a list that are shown.
const MAX_ROWS: usize = 40;
/// The first entries of a folder that a survey names.
const MAX_TOP: usize = 12;
/// Characters of a file that are shown.
const MAX_SHOWN: usize = 16_000;

/// The answer to a task, once there is nothing left to ask.
pub(super) fn answer(meaning: &Meaning, view: &View<'_>) -> String {
    let mut out = match &meaning.task {
        Task::Survey { path } => match view.helpers {
            None => survey(path, view),
            Some(_) => combine::survey(path, view),
        },
        Task::Report { path } => report(path, view),
        Task::Measure { what, path } => measure(what, path, view),
        Task::List { path } => list(path, view),
        Task::Find { glob, path } => find(glob, path, view),
        Task::Search {
            pattern,
            said,
            path,
        } => search(pattern, said, path, view),
        Task::Show { file, from, count } => show(file, *from, *count, view),
        Task::Command(command) => commands::answer(command, view),
    };
    if let Some(verb) = &meaning.beyond {
        out.push_str(&format!(
            "\n\nI left out the part that begins with `{verb}`: as the offline model I only read."
        ));
    }
    out
}

/// What a folder is, from the tools that read it.
pub(super) fn survey(path: &str, view: &View<'_>) -> String {
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
        // Without its list, which may have been cleared, nobody knows whether it has a manifest.
        _ if view.helpers.is_some() && facts.listing.is_none() => {}
        _ => out.push(identity(&place, &facts, facts.mostly())),
    }
    let report = Report::of(path, &facts);
    out.extend(empty_readme(&facts));
    out.extend(figures::size(&report).map(|size| with_left_out(size, view)));
    out.extend(figures::kinds(&report));
    out.extend(top(&facts));
    out.extend(figures::large(&report));
    let details = plan::details(path, view).1;
    out.extend(trouble(&[asks, details].concat(), view));
    out.retain(|part| !part.is_empty());
    out.join("\n\n")
}

/// A survey, and at its end the figures in a form that another model can rely on.
fn report(path: &str, view: &View<'_>) -> String {
    let asks = plan::overview(path);
    let text = survey(path, view);
    if hopeless(&asks, view).is_some() {
        return text;
    }
    let report = Report::of(path, &facts::gather(path, view));
    let asks = [asks, plan::details(path, view).1].concat();
    let line = report.with_gaps(trouble(&asks, view)).line();
    format!("{text}\n\n{line}")
}

fn folders(facts: &Facts) -> Option<u64> {
    facts.listing.as_ref().and_then(|listing| listing.folders)
}

/// What the folder seems to be, in its own words where it has some.
pub(super) fn identity(place: &str, facts: &Facts, mostly: Option<&str>) -> String {
    let named = match facts.name() {
        Some((name, _)) => format!(" named {}", quote(&name)),
        None => String::new(),
    };
    let mut out = match (facts.what(), mostly) {
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

/// A README without words says nothing, which is worth a sentence.
pub(super) fn empty_readme(facts: &Facts) -> Option<String> {
    let (file, page) = facts.readme.as_ref()?;
    let empty = page.notes.iter().any(|note| note == "(empty file)");
    empty.then(|| format!("Its `{file}` is there, but it is empty."))
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

fn measure(what: &What, path: &str, view: &View<'_>) -> String {
    let asks = plan::measure(what, path);
    if let Some(trouble) = hopeless(&asks, view) {
        return trouble;
    }
    let facts = facts::gather(path, view);
    let report = Report::of(path, &facts);
    let place = capital(&named(path));
    let listing = facts.listing.as_ref();
    let holds = |n: Option<u64>, unit: &str| Some(format!("{place} holds {}.", count(n?, unit)));
    let found = match what {
        What::Files => holds(listing.and_then(|l| l.files), "file"),
        What::Folders => holds(listing.and_then(|l| l.folders), "folder"),
        What::Bytes => holds(listing.and_then(|l| l.bytes), "byte"),
        What::Lines => figures::lines(&report),
        What::KindLines(ending) => view.text(&Ask::lines_of(ending, path)).and_then(|text| {
            let counts = reading::counts(text);
            let (lines, files) = (count(counts.matches?, "line"), count(counts.files?, "file"));
            Some(format!("I count {lines} in {files} ending in `.{ending}`."))
        }),
        What::Size => figures::size(&report),
        What::Largest => figures::large(&report),
        What::Kinds => figures::kinds(&report),
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

fn empty(place: &str, view: &View<'_>) -> String {
    with_left_out(format!("{place} is empty: 0 files and 0 folders."), view)
}
