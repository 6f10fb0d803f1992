//! `offshoot agents`: the trees of the runs that live, and who in them waits for what.
//! Refuses to change anything in them.

use std::time::Duration;

use clap::ArgMatches;

use super::{
    exit::Exit,
    live::{self, AgentLine, Depth, Run},
    render::{Reader, short, write_out},
    terminal::{harmless, say},
};
use crate::{error::Result, event::Ground};

/// Runs the verb.
pub(super) async fn agents(matches: &ArgMatches) -> Result<Exit> {
    let depth = if matches.get_flag("why") {
        Depth::Why
    } else {
        Depth::Who
    };
    let (runs, silent) = live::runs(depth).await;
    for name in silent {
        say(&format!("a run does not answer: `{}`", harmless(&name)));
    }
    let text = if matches.get_flag("json") {
        serde_json::to_string_pretty(&runs).unwrap_or_default()
    } else if runs.is_empty() {
        "no run lives".to_owned()
    } else {
        let trees: Vec<_> = runs.iter().map(tree).collect();
        trees.join("\n\n")
    };
    let reader: Reader = write_out(&format!("{text}\n"));
    Ok(reader.exit().unwrap_or(Exit::Finished))
}

/// One run as a tree.
fn tree(run: &Run) -> String {
    let head = format!(
        "{} · {} · pid {} · {}",
        run.session, run.model, run.pid, run.cwd
    );
    let mut lines = vec![line_of(&head)];
    // A child below its parent, whenever it came.
    let mut agents: Vec<_> = run.agents.iter().collect();
    agents.sort_by_key(|agent| order(agent));
    for agent in agents {
        let indent = "  ".repeat(agent.path.depth() + 1);
        lines.push(format!("{indent}{}", line_of(&about(agent))));
        for why in whys(agent) {
            lines.push(format!("{indent}    {}", line_of(&why)));
        }
    }
    if run.more > 0 {
        lines.push(format!("  … {} more", run.more));
    }
    lines.join("\n")
}

fn order(agent: &AgentLine) -> Vec<(String, u64)> {
    // Numbers as numbers, so that the tenth comes after the second.
    let step = |step: &str| match step.parse() {
        Ok(number) => (String::new(), number),
        Err(_) => (step.to_owned(), 0),
    };
    agent.path.as_str().split('/').map(step).collect()
}

fn about(agent: &AgentLine) -> String {
    let mut words = vec![agent.path.to_string(), agent.state.clone()];
    words.push(age(Duration::from_millis(agent.age_millis)));
    if agent.path.depth() > 0 {
        words.insert(1, agent.kind.clone());
        if agent.ground == Ground::Background {
            words.push("in the background".into());
        }
    }
    if agent.unread > 0 {
        words.push(format!("{} unread", agent.unread));
    }
    if !agent.description.is_empty() {
        words.push(short(&agent.description));
    }
    words.join(" · ")
}

fn whys(agent: &AgentLine) -> Vec<String> {
    let Some(why) = &agent.why else {
        return Vec::new();
    };
    let mut lines: Vec<_> = why.waits.iter().map(|w| format!("waits for {w}")).collect();
    lines.extend(
        why.on
            .iter()
            .map(|path| format!("waits for the end of {path}")),
    );
    let children: Vec<_> = why.children.iter().map(ToString::to_string).collect();
    if !children.is_empty() {
        lines.push(format!("cannot end before {}", children.join(", ")));
    }
    if lines.is_empty() {
        lines.push("works; it has told of nothing that it waits for".into());
    }
    lines
}

fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", age.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn line_of(text: &str) -> String {
    harmless(text).replace(['\n', '\t'], " ")
}
