//! `offshoot sessions show`: what was said and done in a session, or its records by number.
//! Refuses to change the log, and to hide where it is damaged.

use clap::{Arg, ArgAction, ArgMatches, Command};
use futures::StreamExt;
use serde_json::json;

use super::{
    brief::{brief, count, line, stop_words},
    exit::Exit,
    find::find,
    home,
    progress::Progress,
    render::{Reader, write_out},
    terminal::{Stream, harmless, painted},
};
use crate::{
    error::Result,
    event::StopReason,
    message::{Message, Part, ToolResult},
    store::{Body, Card, Record, walk},
};

/// Lines of a result that are shown unless all are asked for.
const RESULT_LINES: usize = 6;

/// The verb's flags.
pub(super) fn arguments(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        let arg = Arg::new(name).long(name).help(help);
        arg.action(ArgAction::SetTrue)
    };
    command
        .arg(
            Arg::new("session")
                .value_name("ID")
                .required(true)
                .help("Which session; the beginning or the end of its name will do"),
        )
        .arg(flag(
            "records",
            "Print a line for each record, with the number that `fork --at` takes",
        ))
        .arg(flag(
            "full",
            "Print results and reasoning whole, and the words of helpers",
        ))
        .arg(flag("json", "Print one JSON value"))
}

/// How much is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Short,
    Full,
}

/// Runs the verb.
pub(super) async fn show(matches: &ArgMatches) -> Result<Exit> {
    let store = home::store()?;
    let name = matches.get_one::<String>("session");
    let card = find(&store, name.map_or("", String::as_str)).await?;
    let (by_number, as_json) = (matches.get_flag("records"), matches.get_flag("json"));
    let detail = match matches.get_flag("full") {
        true => Detail::Full,
        false => Detail::Short,
    };
    let mut progress = Progress::new("reading", card.records);
    let mut rows = walk(&store, &card.id);
    let mut values = Vec::new();
    let mut reader = Reader::Listens;
    if !as_json && !by_number {
        reader = write_out(&head(&card));
    }
    while let Some(row) = rows.next().await {
        // What is good was shown before what is not is told.
        let row = row?;
        progress.add(1);
        if row.told {
            continue;
        }
        let record = Record::decode(&row.body)?;
        let text = if as_json && by_number {
            values.push(json!({"seq": row.seq, "record": record}));
            continue;
        } else if as_json {
            values.extend(message(record).map(|message| json!(message)));
            continue;
        } else if by_number {
            let agent = line(record.agent.as_str());
            format!("{:>6}  {agent}  {}\n", row.seq, brief(&record))
        } else {
            said(&record, detail)
        };
        if reader == Reader::Listens && !text.is_empty() {
            reader = write_out(&text);
        }
        if let Some(exit) = reader.exit() {
            return Ok(exit);
        }
    }
    if as_json {
        let value = match by_number {
            true => json!(values),
            false => json!({"session": card, "messages": values}),
        };
        reader = write_out(&format!("{value:#}\n"));
    }
    Ok(reader.exit().unwrap_or(Exit::Finished))
}

/// A message of the root as it stands in the conversation; a result is one of its own.
fn message(record: Record) -> Option<Message> {
    if record.agent.depth() > 0 {
        return None;
    }
    match record.body {
        Body::User { message } | Body::Note { message, .. } => Some(message),
        Body::Assistant { message, .. } => Some(message),
        Body::Result { result, .. } => Some(Message::results(vec![result])),
        _ => None,
    }
}

fn head(card: &Card) -> String {
    let title = painted(Stream::Out, "1", &line(&card.title));
    let mut facts = vec![line(card.id.as_str()), line(&card.model)];
    facts.extend(card.folder.as_deref().map(line));
    facts.push(count(card.turns, "turn"));
    facts.push(card.cost.to_string());
    if let Some((from, at)) = &card.forked {
        facts.push(format!("forked from {} at {at}", line(from.as_str())));
    }
    let facts = painted(Stream::Out, "2", &facts.join(" · "));
    format!("{title}\n{facts}\n")
}

/// What a record says to a person who reads the conversation; empty for most.
fn said(record: &Record, detail: Detail) -> String {
    let below = record.agent.depth() > 0;
    let agent = line(record.agent.as_str());
    let aside = |mark: &str, text: &str| {
        let text = painted(Stream::Out, "2", &format!("{mark} {}", line(text)));
        format!("{text}\n")
    };
    match &record.body {
        Body::ChildStart { description, .. } => {
            return aside("+", &format!("{agent}: {description}"));
        }
        Body::ChildEnd { outcome, text, .. } => {
            return aside("-", &format!("{agent}: {}: {text}", outcome.as_str()));
        }
        _ if below && detail == Detail::Full => return aside(&agent, &brief(record)),
        _ if below => return String::new(),
        _ => {}
    }
    match &record.body {
        Body::User { message } => {
            let media = message.parts.iter().filter_map(|part| match part {
                Part::Media(media) => Some(format!(" [{}]", media.mime)),
                _ => None,
            });
            let words = message.text() + &media.collect::<String>();
            let words = harmless(&words).trim_end().replace('\n', "\n  ");
            format!("\n{}\n", painted(Stream::Out, "1", &format!("> {words}")))
        }
        Body::Assistant { message, .. } => message
            .parts
            .iter()
            .map(|part| spoken(part, detail))
            .collect(),
        Body::Result { result, .. } => answered(result, detail),
        Body::Note { from, text, .. } => aside("·", &format!("a note from {from}: {text}")),
        Body::Asked { .. } | Body::Answered { .. } => aside("?", &brief(record)),
        Body::Summarised { .. } | Body::Trimmed { .. } => aside("·", &brief(record)),
        Body::Resumed { .. } => aside("·", &brief(record)),
        Body::TurnEnd { stop } if *stop != StopReason::Finished => {
            aside("!", &format!("stopped: {}", stop_words(stop)))
        }
        _ => String::new(),
    }
}

fn spoken(part: &Part, detail: Detail) -> String {
    match part {
        Part::Text { text, .. } => format!("\n{}\n", harmless(text).trim_end()),
        Part::Call(call) => {
            let input = call.malformed.as_deref().unwrap_or(call.input.as_str());
            let text = match detail {
                Detail::Full => format!("→ {} {}", call.name, harmless(input)),
                Detail::Short => line(&format!("→ {} {input}", call.name)),
            };
            format!("{}\n", painted(Stream::Out, "36", &text))
        }
        Part::Reasoning { text, .. } if detail == Detail::Full && !text.is_empty() => {
            let text = painted(Stream::Out, "2", harmless(text).trim_end());
            format!("\n{text}\n")
        }
        Part::Media(media) => format!("[{}]\n", line(&media.mime)),
        _ => String::new(),
    }
}

fn answered(result: &ToolResult, detail: Detail) -> String {
    let text = result.joined_text();
    let lines: Vec<_> = text.trim_end().lines().collect();
    let shown = match detail {
        Detail::Full => lines.len(),
        Detail::Short => lines.len().min(RESULT_LINES),
    };
    let mut out = String::new();
    if result.outcome.is_error() {
        let outcome = format!("  {}", result.outcome.as_str());
        out.push_str(&format!("{}\n", painted(Stream::Out, "33", &outcome)));
    }
    for text in &lines[..shown] {
        let text = match detail {
            Detail::Full => harmless(text).into_owned(),
            Detail::Short => clipped_end(text),
        };
        out.push_str(&format!("  {}\n", painted(Stream::Out, "2", &text)));
    }
    if shown < lines.len() {
        let more = format!("  … {}", count((lines.len() - shown) as u64, "more line"));
        out.push_str(&format!("{}\n", painted(Stream::Out, "2", &more)));
    }
    out
}

/// A line of a result, which keeps its indentation.
fn clipped_end(text: &str) -> String {
    let text = harmless(text);
    let mut cut: String = text.chars().take(100).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
