//! `offshoot sessions`: the sessions that are kept, the last touched first.
//! Refuses to read their logs: what it tells stands on their cards.

use std::{path::Path, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{
    brief::{age, clipped},
    exit::Exit,
    home,
    render::{Reader, write_out},
    show,
    terminal::{Stream, harmless, painted, say},
};
use crate::{error::Result, store::Card};

/// Columns where nobody says how wide the terminal is.
const USUAL_WIDTH: usize = 100;

/// Columns that a title has at least.
const MIN_TITLE: usize = 20;

/// The verb's flags.
pub(super) fn arguments(command: Command) -> Command {
    command
        .args_conflicts_with_subcommands(true)
        .arg(
            Arg::new("folder")
                .long("folder")
                .value_name("DIR")
                .help("Only those that work in this folder"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print an array with one object a session"),
        )
        .subcommand(show::arguments(
            Command::new("show").about("Print what was said and done in a session"),
        ))
}

/// Runs the verb.
pub(super) async fn sessions(matches: &ArgMatches) -> Result<Exit> {
    if let Some(("show", matches)) = matches.subcommand() {
        return show::show(matches).await;
    }
    let mut cards = home::store()?.list().await?;
    cards.retain(|card| card.records > 0);
    if let Some(folder) = matches.get_one::<String>("folder") {
        let folder = home::folder_name(Path::new(folder));
        cards.retain(|card| card.folder.as_deref() == Some(&*folder));
    }
    let text = if matches.get_flag("json") {
        let mut text = serde_json::to_string_pretty(&cards).unwrap_or_default();
        text.push('\n');
        text
    } else if cards.is_empty() {
        say("no session is kept");
        return Ok(Exit::Finished);
    } else if Stream::Out.is_terminal() {
        table(&cards, width())
    } else {
        lines(&cards)
    };
    let reader: Reader = write_out(&text);
    Ok(reader.exit().unwrap_or(Exit::Finished))
}

/// What a list tells of one session, but its title.
fn columns(card: &Card) -> [String; 4] {
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let touched = Duration::from_millis(card.touched);
    [
        clipped(card.id.as_str(), usize::MAX / 8),
        card.turns.to_string(),
        card.cost.to_string(),
        age(now.saturating_sub(touched)),
    ]
}

/// For programs: a line each, its fields set apart by tabs.
fn lines(cards: &[Card]) -> String {
    let line = |card: &Card| {
        let [id, turns, cost, age] = columns(card);
        let title = harmless(&card.title).replace(['\n', '\t'], " ");
        format!("{id}\t{title}\t{turns}\t{cost}\t{age}\n")
    };
    cards.iter().map(line).collect()
}

/// For people: columns below their names.
fn table(cards: &[Card], width: usize) -> String {
    let heads = ["ID", "TURNS", "COST", "AGE"].map(str::to_owned);
    let rows: Vec<_> = cards.iter().map(columns).collect();
    let wide = |column: usize| {
        let cells = rows.iter().chain([&heads]).map(|row| &row[column]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let [id, turns, cost, age] = [0, 1, 2, 3].map(wide);
    let room = width.saturating_sub(id + turns + cost + age + 4 * 2 + 1);
    let title = room.max(MIN_TITLE);
    let line = |[i, t, c, a]: &[String; 4], name: &str| {
        let name = clipped(name, title);
        format!("{i:<id$}  {name:<title$}  {t:>turns$}  {c:>cost$}  {a:>age$}")
    };
    let mut text = painted(Stream::Out, "1", line(&heads, "TITLE").trim_end());
    text.push('\n');
    for (row, card) in rows.iter().zip(cards) {
        text.push_str(line(row, &card.title).trim_end());
        text.push('\n');
    }
    text
}

#[cfg(unix)]
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    if columns > 0 { columns } else { USUAL_WIDTH }
}

#[cfg(not(unix))]
fn width() -> usize {
    USUAL_WIDTH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionId;

    #[test]
    fn columns_stand_below_their_names_and_titles_are_cut() {
        let mut one = Card::new(SessionId::new("s0123456789ab01234567"));
        one.title = "Survey this folder and tell me what it is, in a few words".into();
        one.turns = 12;
        let mut two = Card::new(SessionId::new("s2"));
        two.title = "\x1b[2Jhi".into();
        let text = table(&[one, two], 70);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        let at = |line: &str, what: &str| line.find(what).unwrap();
        assert_eq!(at(lines[0], "TITLE"), at(lines[1], "Survey"));
        assert!(
            lines.iter().all(|line| line.chars().count() <= 70),
            "{text}"
        );
        assert!(
            lines[1].contains('…') && lines[2].contains("\u{FFFD}[2Jhi"),
            "{text}"
        );
    }
}
