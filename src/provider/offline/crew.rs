//! A survey with helpers: one for each sub-folder, so many at once as may live, one level deep.
//! Refuses to go on without them in silence: whoever was refused or failed is named with the reason.

use super::{
    facts::{self, Facts},
    plan::{self, Ask, Helpers, Step, View, named},
    prose::code,
    reading::{self, Counts, Listing},
    report::{List, Report},
    rounds::{Part, Rounds},
    trouble,
};

/// Sub-folders that are surveyed without a helper when theirs failed.
const MAX_MYSELF: usize = 10;
/// Kinds that are counted when a report does not know all of its own.
const MAX_KINDS: usize = 6;

/// How a survey goes on.
#[derive(Debug)]
pub(super) enum Course {
    /// With these calls.
    Step(Step),
    /// Without helpers, and why, where that wants to be said.
    Alone(Option<String>),
    /// It is over: this was found.
    Done(Box<Crew>),
}

/// A folder and its sub-folders, each with what was found in it.
#[derive(Debug)]
pub(super) struct Crew {
    /// What LS says of the whole.
    pub(super) listing: Listing,
    /// What lies in the folder itself.
    pub(super) own: Report,
    /// The sub-folders, in the order of the listing.
    pub(super) parts: Vec<Part>,
    /// Everything together, as far as it was found.
    pub(super) whole: Report,
}

/// The next step of a survey with helpers; `None` when everything is known.
pub(super) fn next(path: &str, view: &View<'_>) -> Option<Step> {
    match course(path, view) {
        Course::Step(step) => Some(step),
        Course::Done(_) => None,
        Course::Alone(_) => plan::alone(path, view).map(|step| match step.asks.first() {
            Some(ask) if ask.tool == "LS" || step.asks.contains(&Ask::lines(path)) => Step {
                say: format!("I go through {} myself, without helpers.\n", named(path)),
                ..step
            },
            _ => step,
        }),
    }
}

/// How the survey of a folder goes on.
pub(super) fn course(path: &str, view: &View<'_>) -> Course {
    let Some(Helpers::AtOnce(most)) = view.helpers else {
        let lost = "Helpers have surveyed its sub-folders, but their reports were cleared to make \
                    room, so I counted everything again myself.";
        return Course::Alone(Some(lost.to_owned()));
    };
    let list = Ask::list(path);
    if view.find(&list).is_none() && view.offers(&list) {
        let say = format!("I will survey {}: first I list it.\n", named(path));
        return Course::Step(Step {
            say,
            asks: vec![list],
        });
    }
    let Some(text) = view.text(&list) else {
        return Course::Alone(None);
    };
    let mut listing = reading::listing(text);
    if reading::gap(text).is_some() {
        // It stopped somewhere below, where helpers look more closely: its sums are none.
        (listing.files, listing.folders, listing.bytes) = (None, None, None);
    }
    if listing.subs().next().is_none() {
        return Course::Alone(None);
    }
    if !reading::shows_whole_top(text) {
        let why = "It has more entries than `LS` shows, so I sent no helpers into its sub-folders.";
        return Course::Alone(Some(why.to_owned()));
    }
    if let Some(step) = look(path, &listing, view) {
        return Course::Step(step);
    }
    let rounds = Rounds::of(path, &listing, view);
    if let Some(step) = rounds.next(most) {
        return Course::Step(step);
    }
    finish(path, listing, rounds.into_parts(), view)
}

/// What the folder itself needs: the files that describe it are read, the lines of its own counted.
fn look(path: &str, listing: &Listing, view: &View<'_>) -> Option<Step> {
    let files = facts::describing(path, view);
    let mut asks = files
        .iter()
        .map(|file| Ask::describing(&file.path))
        .collect::<Vec<_>>();
    if listing.beside().next().is_some() {
        asks.push(Ask::lines_beside(path));
    }
    let names = files
        .iter()
        .map(|file| code(&file.name))
        .collect::<Vec<_>>();
    let say = match names.is_empty() {
        true => "Next I count the lines of the files that lie directly in it.\n".to_owned(),
        false => format!(
            "Next I read {} and count the lines beside.\n",
            names.join(", ")
        ),
    };
    plan::first(vec![(say, asks)], view)
}

/// What to do when all helpers are back.
fn finish(path: &str, listing: Listing, mut parts: Vec<Part>, view: &View<'_>) -> Course {
    if parts.iter().all(|part| part.report.is_none()) {
        let first = code(&format!("{}/", parts[0].name));
        let why = parts[0].failed.take().unwrap_or_default();
        return Course::Alone(Some(format!(
            "No helper could survey a sub-folder for me, so I looked myself. About the first, \
             {first}: {why}."
        )));
    }
    let missing = parts.iter().filter(|part| part.report.is_none());
    let mine = missing.take(MAX_MYSELF);
    let mine = mine
        .map(|part| facts::join(path, &part.name))
        .collect::<Vec<_>>();
    let asks = mine.iter().flat_map(|folder| plan::overview(folder));
    let say = "Where no helper has reported I look myself.\n".to_owned();
    if let Some(step) = plan::first(vec![(say, asks.collect())], view) {
        return Course::Step(step);
    }
    for part in &mut parts {
        let folder = facts::join(path, &part.name);
        if part.report.is_none() && mine.contains(&folder) {
            part.report = myself(&folder, view);
        }
    }
    let own = own(path, &listing, view);
    let mut whole = own.clone();
    for part in &parts {
        if let Some(report) = &part.report {
            whole.add(&part.name, report);
        }
    }
    let say = "Now I count the commonest kinds of files.\n".to_owned();
    if let Some(step) = plan::first(vec![(say, kind_asks(path, &whole))], view) {
        return Course::Step(step);
    }
    count_kinds(path, &mut whole, view);
    Course::Done(Box::new(Crew {
        listing,
        own,
        parts,
        whole,
    }))
}

/// What lies directly in a folder.
fn own(path: &str, listing: &Listing, view: &View<'_>) -> Report {
    let lines = match listing.beside().next() {
        None => Some(Counts {
            matches: Some(0),
            files: Some(0),
            ..Counts::default()
        }),
        Some(_) => view.text(&Ask::lines_beside(path)).map(reading::counts),
    };
    Report::of(path, &Facts::beside(listing, lines))
}

/// What the tools say of a sub-folder without a helper; `None` when it cannot even be listed.
fn myself(folder: &str, view: &View<'_>) -> Option<Report> {
    let report = Report::of(folder, &facts::gather(folder, view));
    let known = report.files.is_some();
    known.then(|| report.with_gaps(trouble::trouble(&plan::overview(folder), view)))
}

/// The questions that count the commonest kinds in one go, where some report has not seen all.
pub(super) fn kind_asks(path: &str, whole: &Report) -> Vec<Ask> {
    if whole.is_whole(List::Kinds) {
        return Vec::new();
    }
    let common = whole.kinds.iter().take(MAX_KINDS);
    common
        .map(|(ending, _)| Ask::glob(&format!("**/*.{ending}"), path))
        .collect()
}

/// Puts these counts in the place of sums that may lack something.
fn count_kinds(path: &str, whole: &mut Report, view: &View<'_>) {
    if whole.is_whole(List::Kinds) {
        return;
    }
    let counted = kind_asks(path, whole).into_iter().zip(&whole.kinds);
    let counted = counted.filter_map(|(ask, (ending, _))| {
        let total = reading::paths(view.text(&ask)?).total?;
        Some((ending.clone(), total))
    });
    let mut kinds = counted.collect::<Vec<_>>();
    facts::sort(&mut kinds);
    whole.kinds = kinds;
}
