//! `offshoot prune`: removes sessions, by age, by number or by name.
//! Refuses those that are being written to, and to remove anything that was not asked for.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::{
    brief::{count, line, size},
    exit::Exit,
    find::find,
    home,
    progress::Progress,
    render::{Reader, write_out},
    terminal::say,
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::SessionId,
    store::{Card, Claiming, Store},
};

/// The verb's arguments.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(
            Arg::new("session")
                .value_name("ID")
                .num_args(0..)
                .conflicts_with_all(["older-than", "keep"])
                .help("Which sessions"),
        )
        .arg(
            Arg::new("older-than")
                .long("older-than")
                .value_name("TIME")
                .value_parser(long_time)
                .help("Those that were last written to before this: 90m, 12h, 30d, 8w"),
        )
        .arg(
            Arg::new("keep")
                .long("keep")
                .value_name("N")
                .value_parser(value_parser!(usize))
                .help("All but the N that were written to last"),
        )
        .arg(
            Arg::new("dry-run")
                .long("dry-run")
                .action(ArgAction::SetTrue)
                .help("Only say what would be removed"),
        )
}

/// A time on the command line: a number with `s`, `m`, `h`, `d` or `w`.
fn long_time(text: &str) -> std::result::Result<Duration, String> {
    let usage = || "write a time such as 90m, 12h, 30d or 8w".to_owned();
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(usage)?;
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().map_err(|_| usage())?;
    let scale = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(usage()),
    };
    let seconds = number.checked_mul(scale).ok_or_else(usage)?;
    Ok(Duration::from_secs(seconds))
}

/// Runs the verb.
pub(super) async fn prune(matches: &ArgMatches) -> Result<Exit> {
    let store = home::store()?;
    let all = store.list().await?;
    let chosen = chosen(matches, &store, &all).await?;
    let way = match matches.get_flag("dry-run") {
        true => Way::Look,
        false => Way::Remove,
    };
    let named = matches.get_many::<String>("session").is_some();
    let mut progress = Progress::new("removing", chosen.len() as u64);
    let mut gone = Tally::default();
    let mut busy = None;
    let going: HashSet<_> = chosen.iter().map(|card| card.id.clone()).collect();
    for card in &chosen {
        let bytes = own_bytes(&store, card, &all, &going).await?;
        match remove(&store, &card.id, way).await {
            Ok(()) => {
                gone.sessions += 1;
                gone.bytes += bytes;
                if way == Way::Look {
                    say(&format!(
                        "{}  {}",
                        line(card.id.as_str()),
                        line(&card.title)
                    ));
                }
            }
            Err(error) if error.kind() == ErrorKind::Busy => {
                say(&format!("it stays: {error}"));
                busy = Some(error);
            }
            // Another process was quicker.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        progress.add(1);
    }
    drop(progress);
    let text = gone.words(way);
    let reader: Reader = write_out(&format!("{text}\n"));
    if let Some(exit) = reader.exit() {
        return Ok(exit);
    }
    match busy {
        Some(_) if named => Ok(Exit::Failed),
        _ => Ok(Exit::Finished),
    }
}

/// Whether it is only said what would be done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Look,
    Remove,
}

#[derive(Default)]
struct Tally {
    sessions: u64,
    bytes: u64,
}

impl Tally {
    fn words(&self, way: Way) -> String {
        let (sessions, bytes) = (count(self.sessions, "session"), size(self.bytes));
        match way {
            Way::Look => format!("would remove {sessions} with {bytes} of records"),
            Way::Remove => format!("removed {sessions} with {bytes} of records"),
        }
    }
}

async fn chosen(matches: &ArgMatches, store: &Arc<dyn Store>, all: &[Card]) -> Result<Vec<Card>> {
    if let Some(names) = matches.get_many::<String>("session") {
        let mut chosen: Vec<Card> = Vec::new();
        for name in names {
            let card = find(store, name).await?;
            if !chosen.iter().any(|known| known.id == card.id) {
                chosen.push(card);
            }
        }
        return Ok(chosen);
    }
    let age = matches.get_one::<Duration>("older-than").copied();
    let keep = matches.get_one::<usize>("keep").copied();
    if age.is_none() && keep.is_none() {
        let text = "it is not said which sessions to remove";
        return Err(Error::new(ErrorKind::Config, text)
            .with_hint("name them, or say --older-than 30d or --keep 20"));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let old = |card: &Card| {
        let touched = Duration::from_millis(card.touched);
        age.is_none_or(|age| now.saturating_sub(touched) >= age)
    };
    let beyond = all.iter().skip(keep.unwrap_or(0));
    Ok(beyond.filter(|card| old(card)).cloned().collect())
}

/// Removes a session, or asks whether that could be done.
async fn remove(store: &Arc<dyn Store>, id: &SessionId, way: Way) -> Result<()> {
    match way {
        Way::Look => store.claim(id, Claiming::IfFree).await.map(drop),
        Way::Remove => store.remove(id).await,
    }
}

/// Bytes of records that no session shares which stays.
async fn own_bytes(
    store: &Arc<dyn Store>,
    card: &Card,
    all: &[Card],
    going: &HashSet<SessionId>,
) -> Result<u64> {
    let below = card.forked.as_ref().map_or(0, |(_, at)| *at);
    let above = all
        .iter()
        .filter(|other| !going.contains(&other.id))
        .filter_map(|other| other.forked.as_ref())
        .filter(|(from, _)| *from == card.id)
        .map(|(_, at)| *at);
    let mut last = above.fold(below, u64::max);
    let mut bytes = 0;
    loop {
        let rows = store.read(&card.id, last + 1..u64::MAX).await;
        let rows = match rows {
            Ok(rows) if !rows.is_empty() => rows,
            Ok(_) => return Ok(bytes),
            // What cannot be read can be removed all the same.
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(bytes),
            Err(error) => return Err(error),
        };
        bytes += rows.iter().map(|row| row.body.len() as u64).sum::<u64>();
        last = rows.last().map_or(u64::MAX - 1, |row| row.seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_are_read_or_refused() {
        assert_eq!(long_time("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(long_time("0s"), Ok(Duration::ZERO));
        for bad in [
            "",
            "30",
            "d",
            "-1d",
            "1.5d",
            "1 d",
            "9999999999999999w",
            "3y",
        ] {
            assert!(long_time(bad).is_err(), "{bad}");
        }
    }
}
