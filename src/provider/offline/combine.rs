//! The answer of a survey with helpers: what they reported and what lies beside, put together.
//! Refuses to hide a part that is missing, and a sum that the tools contradict.

use super::{
    answer,
    crew::{self, Course, Crew},
    facts, figures,
    plan::{Ask, View, named},
    prose::{capital, code, count, quote},
    report::Report,
    rounds::Part,
    trouble::{trouble, with_left_out},
};

/// Sub-folders that get a line each; of more than these only the largest do.
const MAX_LINES: usize = 20;
/// How many of them do then.
const MAX_LARGEST: usize = 10;
/// The others are named up to so many; the rest is counted together.
const MAX_BRIEF: usize = 60;
/// The files of the folder itself that are named.
const MAX_OWN: usize = 12;
/// Reports whose gaps are told.
const MAX_GAPS: usize = 5;

/// What a folder is, from the reports of helpers where there are some.
pub(super) fn survey(path: &str, view: &View<'_>) -> String {
    match crew::course(path, view) {
        Course::Done(crew) => together(path, &crew, view),
        Course::Alone(Some(why)) => format!("{}\n\n{why}", answer::survey(path, view)),
        _ => answer::survey(path, view),
    }
}

fn together(path: &str, crew: &Crew, view: &View<'_>) -> String {
    let facts = facts::gather(path, view);
    let place = capital(&named(path));
    let mut out = vec![match crew.whole.files {
        Some(0) if is_whole(crew) => format!("{place} holds no files, only folders."),
        _ => answer::identity(&place, &facts, crew.whole.mostly()),
    }];
    out.extend(answer::empty_readme(&facts));
    let size = figures::size(&crew.whole).map(|size| match is_whole(crew) {
        true => size,
        false => format!("This is what was surveyed of it. {size}"),
    });
    out.extend(size.map(|size| with_left_out(size, view)));
    out.extend(figures::kinds(&crew.whole));
    out.extend(beside(crew));
    out.push(parts(crew));
    out.extend(figures::large(&crew.whole));
    out.extend(doubts(crew));
    let files = facts::describing(path, view);
    let mut asks = files
        .iter()
        .map(|file| Ask::describing(&file.path))
        .collect::<Vec<_>>();
    asks.extend(
        crew.own
            .files
            .filter(|n| *n > 0)
            .map(|_| Ask::lines_beside(path)),
    );
    asks.extend(crew::kind_asks(path, &crew.whole));
    out.extend(trouble(&asks, view));
    out.join("\n\n")
}

fn is_whole(crew: &Crew) -> bool {
    crew.parts.iter().all(|part| part.report.is_some())
}

/// What lies in the folder itself.
fn beside(crew: &Crew) -> Option<String> {
    let files = crew.listing.entries.iter();
    let files = files.filter(|entry| !entry.folder && entry.is_top());
    let names = files.map(|entry| code(&entry.path)).collect::<Vec<_>>();
    if names.is_empty() {
        return None;
    }
    let more = if names.len() > MAX_OWN {
        " and more"
    } else {
        ""
    };
    let shown = &names[..names.len().min(MAX_OWN)];
    let figures = [
        (crew.own.files, "file"),
        (crew.own.bytes, "byte"),
        (crew.own.lines, "line"),
    ];
    let figures = figures
        .into_iter()
        .filter_map(|(n, unit)| Some(count(n?, unit)));
    let figures = figures.collect::<Vec<_>>().join(", ");
    Some(format!(
        "Directly in it lie {figures}: {}{more}.",
        shown.join(", ")
    ))
}

/// The sub-folders: a line for each, or for the largest.
fn parts(crew: &Crew) -> String {
    let known = crew
        .parts
        .iter()
        .filter_map(|part| Some((part, part.report.as_ref()?)));
    let mut known = known.collect::<Vec<_>>();
    let line = |(part, report): &(&Part, &Report)| {
        format!("- {}: {}", folder(part), figures::brief(report))
    };
    let total = count(crew.parts.len() as u64, "sub-folder");
    let helped = crew
        .parts
        .iter()
        .filter(|part| part.failed.is_none())
        .count();
    let who = match crew.parts.len() - helped {
        0 => "a helper has surveyed each",
        _ => "helpers have surveyed them, as far as nothing else is said below",
    };
    if known.len() <= MAX_LINES {
        let lines = known.iter().map(line).collect::<Vec<_>>().join("\n");
        return format!("It has {total}; {who}:\n\n{lines}");
    }
    known.sort_by_key(|(_, report)| std::cmp::Reverse(report.bytes));
    let lines = known[..MAX_LARGEST]
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n");
    let mut others = known.split_off(MAX_LARGEST);
    let name = |part: &Part| crew.parts.iter().position(|other| other.name == part.name);
    others.sort_by_key(|(part, _)| name(part));
    let rest = others.split_off(others.len().min(MAX_BRIEF));
    let brief = others.iter().map(|(part, report)| match report.files {
        Some(files) => format!("{} ({})", folder(part), count(files, "file")),
        None => folder(part),
    });
    let mut brief = brief.collect::<Vec<_>>().join(", ");
    if !rest.is_empty() {
        let more = count(rest.len() as u64, "sub-folder");
        brief.push_str(&format!(" and {more} more"));
        let files = rest
            .iter()
            .map(|(_, report)| report.files)
            .sum::<Option<u64>>();
        let files = files.map(|files| format!(" with {} together", count(files, "file")));
        brief.push_str(&files.unwrap_or_default());
    }
    format!("It has {total}; {who}. The largest:\n\n{lines}\n\nThe others: {brief}.")
}

/// Everything that makes the figures less than certain.
fn doubts(crew: &Crew) -> Vec<String> {
    let mut out = Vec::new();
    let mut failures: Vec<(bool, &str, Vec<String>)> = Vec::new();
    for part in &crew.parts {
        let Some(why) = &part.failed else { continue };
        let found = part.report.is_some();
        match failures
            .iter_mut()
            .find(|(f, w, _)| (*f, *w) == (found, why))
        {
            Some((_, _, folders)) => folders.push(folder(part)),
            None => failures.push((found, why, vec![folder(part)])),
        }
    }
    out.extend(failures.into_iter().map(|(found, why, folders)| {
        let names = folders.join(", ");
        match (found, folders.len()) {
            (true, _) => format!("I surveyed {names} myself: {why}."),
            (false, 1) => format!("{names} is missing from these figures: {why}."),
            (false, _) => format!("{names} are missing from these figures: {why}."),
        }
    }));
    let known = crew
        .parts
        .iter()
        .filter_map(|part| Some((part, part.report.as_ref()?)));
    let known = known.collect::<Vec<_>>();
    for (unit, figure) in UNITS {
        let silent = known.iter().find(|(_, report)| figure(report).is_none());
        out.extend(silent.map(|(part, _)| {
            format!(
                "There is no sum of {unit}s: it is not known of {}.",
                folder(part)
            )
        }));
    }
    let gaps = known.iter().filter(|(_, report)| !report.gaps.is_empty());
    let gaps = gaps.collect::<Vec<_>>();
    for (part, report) in gaps.iter().take(MAX_GAPS) {
        let told = report.gaps.iter().map(|gap| quote(gap)).collect::<Vec<_>>();
        out.push(format!(
            "The report on {} says: {}",
            folder(part),
            told.join(" ")
        ));
    }
    if gaps.len() > MAX_GAPS {
        let more = (gaps.len() - MAX_GAPS) as u64;
        out.push(format!("So do {}.", count(more, "more report")));
    }
    out.extend(against(crew));
    out
}

type Figure = fn(&Report) -> Option<u64>;

const UNITS: [(&str, Figure); 3] = [
    ("file", |report| report.files),
    ("byte", |report| report.bytes),
    ("line", |report| report.lines),
];

/// What LS counts in the whole, where the parts add up to something else.
fn against(crew: &Crew) -> Option<String> {
    let (listing, whole) = (&crew.listing, &crew.whole);
    let pairs = [
        (listing.files, whole.files),
        (listing.folders, whole.folders),
        (listing.bytes, whole.bytes),
    ];
    let differ = |(a, b): &(Option<u64>, Option<u64>)| a.is_some() && b.is_some() && a != b;
    let counted = Report {
        files: listing.files,
        folders: listing.folders,
        bytes: listing.bytes,
        ..Report::default()
    };
    let counted = match figures::held(&counted) {
        held if held.is_empty() => return None,
        held => format!("`LS` counts {held} in the whole"),
    };
    match (is_whole(crew), pairs.iter().any(differ)) {
        (false, _) => Some(format!("{counted}.")),
        (true, true) => Some(format!(
            "{counted}, which is not what the parts add up to: something has changed meanwhile, \
             or a report is wrong."
        )),
        (true, false) => None,
    }
}

fn folder(part: &Part) -> String {
    code(&format!("{}/", part.name))
}
