//! What became of the helpers that were sent, and whom to send next.
//! Refuses to send anybody a third time, and more than were let in when some were refused.

use super::{
    facts, helper,
    plan::{Ask, Step, View},
    prose::{count, cut},
    reading::{Listing, Seen},
    report::Report,
    trouble,
};
use crate::message::Outcome;

/// How often a helper is sent to a folder that found no room the first time.
const MAX_TRIES: usize = 2;
/// Bytes of a refusal in which its limit is looked for.
const MAX_REFUSAL: usize = 400;

/// The sub-folders of a folder, with what became of their helpers so far.
pub(super) struct Rounds(Vec<Round>);

/// A sub-folder.
#[derive(Debug)]
pub(super) struct Part {
    /// Its name.
    pub(super) name: String,
    /// Its figures.
    pub(super) report: Option<Report>,
    /// Why no helper has found them.
    pub(super) failed: Option<String>,
}

/// What became of one sub-folder's helper so far.
struct Round {
    name: String,
    ask: Option<Ask>,
    state: State,
    /// The messages in which the results stand, and what they mean for the next helpers.
    tries: Vec<(usize, Answered)>,
}

#[derive(PartialEq)]
enum Answered {
    /// It was let in.
    Worked,
    /// Too many were alive.
    NoRoom,
    /// Whoever is asked for next will be refused as well.
    Never,
}

enum State {
    Open,
    Reported(Box<Report>),
    Failed(String),
}

impl Rounds {
    /// What became of the helpers of a folder that has been listed.
    pub(super) fn of(path: &str, listing: &Listing, view: &View<'_>) -> Self {
        let rounds = listing.subs().map(|sub| Round::of(path, &sub.path, view));
        Self(rounds.collect())
    }

    /// The next helpers to send, of whom so many may be at work at once.
    pub(super) fn next(&self, most: usize) -> Option<Step> {
        let all = || self.0.iter();
        let tries = || all().flat_map(|round| &round.tries);
        if tries().any(|(_, answered)| *answered == Answered::Never) {
            return None;
        }
        let open = |round: &&Round| matches!(round.state, State::Open);
        let fresh = all().filter(open).filter(|round| round.tries.is_empty());
        let again = all().filter(open).filter(|round| !round.tries.is_empty());
        let asks = fresh.chain(again).filter_map(|round| round.ask.clone());
        let asks = asks.take(self.room(most)).collect::<Vec<_>>();
        let (total, now) = (all().count() as u64, asks.len() as u64);
        let reported = all().filter(|round| matches!(round.state, State::Reported(_)));
        let reported = reported.count() as u64;
        let say = match (asks.is_empty(), tries().next().is_none()) {
            (true, _) => return None,
            (false, true) if now == total => format!(
                "It has {}: I send a helper into each.\n",
                count(total, "sub-folder")
            ),
            (false, true) => format!(
                "It has {}: I send a helper into each, at most {} at once.\n",
                count(total, "sub-folder"),
                most
            ),
            (false, false) => {
                format!("{reported} of {total} have reported; I send the next {now}.\n")
            }
        };
        Some(Step { say, asks })
    }

    /// How many may be sent at once: no more than were let in the last time, if some were not.
    fn room(&self, most: usize) -> usize {
        let tries = || self.0.iter().flat_map(|round| &round.tries);
        let last = tries().map(|(at, _)| *at).max();
        let last = || tries().filter(move |(at, _)| Some(*at) == last);
        let refused = last().filter(|(_, answered)| *answered == Answered::NoRoom);
        match (refused.count(), last().count()) {
            (0, _) => most,
            (refused, asked) => (asked - refused).clamp(1, most),
        }
    }

    /// What was found, once nobody is to be sent any more.
    pub(super) fn into_parts(self) -> Vec<Part> {
        self.0.into_iter().map(Part::of).collect()
    }
}

impl Part {
    fn of(round: Round) -> Self {
        let (report, failed) = match round.state {
            State::Reported(report) => (Some(*report), None),
            State::Failed(why) => (None, Some(why)),
            State::Open => (None, Some("no more helpers could be sent".to_owned())),
        };
        Self {
            name: round.name,
            report,
            failed,
        }
    }
}

impl Round {
    fn of(path: &str, sub: &str, view: &View<'_>) -> Self {
        let folder = facts::join(path, sub);
        let ask = helper::to(&folder);
        let seen = ask.iter().flat_map(|ask| view.all(ask)).collect::<Vec<_>>();
        let tries = seen
            .iter()
            .map(|seen| (seen.at, answered(seen)))
            .collect::<Vec<_>>();
        let state = match (seen.last(), &ask) {
            (_, None) => State::Failed("its name cannot be told to a helper".into()),
            (None, _) => State::Open,
            (Some(seen), _) => match found(seen, &folder) {
                Ok(report) => State::Reported(Box::new(report)),
                // A refusal for want of room is no answer; a second one is.
                Err(_) if answered(seen) == Answered::NoRoom && tries.len() < MAX_TRIES => {
                    State::Open
                }
                Err(why) => State::Failed(why),
            },
        };
        Self {
            name: sub.to_owned(),
            ask,
            state,
            tries,
        }
    }
}

/// The report in a helper's answer, or why there is none.
fn found(seen: &Seen, folder: &str) -> Result<Report, String> {
    if seen.outcome != Outcome::Ok {
        let how = trouble::how_it_failed(seen).unwrap_or_default();
        return Err(format!("its helper {how}"));
    }
    match Report::at_end_of(&seen.text) {
        Some(report) if report.folder == folder => Ok(report),
        Some(_) => Err("its helper reported on another folder".into()),
        None => Err("its helper ended without a report that I can rely on".into()),
    }
}

fn answered(seen: &Seen) -> Answered {
    if !seen.outcome.is_error() {
        return Answered::Worked;
    }
    let words = |wanted: &str| {
        let letters = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let text = cut(&seen.text, MAX_REFUSAL);
        text.split(letters).any(|word| word == wanted)
    };
    match seen.outcome {
        Outcome::Denied => Answered::Never,
        _ if words("live_children") => Answered::NoRoom,
        _ if words("spawns") || words("depth") => Answered::Never,
        _ => Answered::Worked,
    }
}
