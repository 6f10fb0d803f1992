//! `offshoot diff`: what two sessions have in common, and where they part.
//! Refuses to print what both have, and to call a difference in time one.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};

use super::{
    brief::{brief, count, line},
    exit::Exit,
    find::find,
    home,
    progress::during,
    render::{Reader, write_out},
    resume::session_argument,
    terminal::{Stream, painted, print_error},
};
use crate::{
    error::Result,
    store::{Difference, Record, Side, Step, diff as lay},
};

/// The verb's arguments.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(session_argument("The one session"))
        .arg(
            Arg::new("other")
                .value_name("OTHER")
                .required(true)
                .help("The other one"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print one JSON object"),
        )
        .after_help("Exit codes: 0 they say and do the same, 1 they differ, 2 it cannot be told.")
}

/// Runs the verb.
pub(super) async fn diff(matches: &ArgMatches) -> Result<Exit> {
    let difference = match laid(matches).await {
        Ok(difference) => difference,
        Err(error) => {
            // The code of a failure would say that they differ.
            print_error(&error);
            return Ok(Exit::Usage);
        }
    };
    let text = if matches.get_flag("json") {
        format!("{:#}\n", value(&difference))
    } else {
        words(&difference)
    };
    let reader: Reader = write_out(&text);
    Ok(reader.exit().unwrap_or(match difference.is_none() {
        true => Exit::Finished,
        false => Exit::Failed,
    }))
}

async fn laid(matches: &ArgMatches) -> Result<Difference> {
    let store = home::store()?;
    let name = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let left = find(&store, &name("session")).await?.id;
    let right = find(&store, &name("other")).await?.id;
    during("comparing", lay(&store, &left, &right)).await
}

fn value(difference: &Difference) -> Value {
    let mut value = json!(difference);
    value["same"] = json!(difference.is_none());
    value
}

fn words(difference: &Difference) -> String {
    let mut text = String::new();
    let common = count(difference.common, "record");
    let verb = if difference.is_none() {
        "have"
    } else {
        "begin with"
    };
    text.push_str(&format!("both {verb} the same {common}\n"));
    for step in &difference.steps {
        text.push_str(&match step {
            Step::Both(same) => format!("  … {} in both\n", count(*same, "record")),
            Step::Left(seq, record) => changed("31", '-', *seq, record),
            Step::Right(seq, record) => changed("32", '+', *seq, record),
        });
    }
    text.push('\n');
    for (mark, side) in [('-', &difference.left), ('+', &difference.right)] {
        text.push_str(&summary(mark, side));
    }
    text
}

fn changed(code: &str, mark: char, seq: u64, record: &Record) -> String {
    let agent = line(record.agent.as_str());
    let text = format!("{mark} {seq:>5}  {agent}  {}", brief(record));
    format!("{}\n", painted(Stream::Out, code, &text))
}

fn summary(mark: char, side: &Side) -> String {
    format!(
        "{mark} {}: {}, {}, {} tokens, {}\n",
        line(side.id.as_str()),
        count(side.turns, "turn"),
        count(side.records, "record"),
        side.usage.total(),
        side.cost,
    )
}
