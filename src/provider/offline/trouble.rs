//! What the offline model could not find out, and what it could be asked instead.
//! Refuses to hide a failure: what went wrong stands in the answer, in the words of the tool.

use super::{
    commands,
    plan::{Ask, TOOLS, View},
    prose::quote,
    reading::{self, Seen},
};
use crate::{message::Outcome, spec::ToolSpec};

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
    if let Some(more) = commands::examples(view) {
        out.push_str(&format!("\n\n{more}"));
    }
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

/// What to say when none of the questions could be asked, or none has a good answer.
pub(super) fn hopeless(asks: &[Ask], view: &View<'_>) -> Option<String> {
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

pub(super) fn lacking(asks: &[Ask]) -> String {
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
pub(super) fn trouble<'a>(
    asks: &'a [Ask],
    view: &'a View<'_>,
) -> impl Iterator<Item = String> + 'a {
    let mut told: Vec<String> = Vec::new();
    for ask in asks {
        let sentence = match view.find(ask) {
            None if view.offers(ask) => continue,
            None => format!(
                "This agent does not offer `{}`, so what it would say is missing here.",
                ask.tool
            ),
            Some(seen) => match how_it_failed(seen) {
                Some(how) => format!("`{}` {how}", ask.tool),
                None => continue,
            },
        };
        if !told.contains(&sentence) {
            told.push(sentence);
        }
    }
    told.into_iter()
}

/// How a call went wrong, in words that follow the tool's name; `None` when it did not.
pub(super) fn how_it_failed(seen: &Seen) -> Option<String> {
    let verb = match seen.outcome {
        Outcome::Ok => {
            let gap = reading::gap(&seen.text)?;
            &format!("has not seen everything: {}", quote(gap))
        }
        Outcome::Denied => "was not allowed",
        Outcome::TimedOut => "took too long",
        Outcome::NeverStarted => "was never started",
        Outcome::Interrupted => "was interrupted",
        Outcome::Failed => "failed",
    };
    let first = seen.text.lines().find(|line| !line.trim().is_empty());
    let words = first.map(|line| format!(": {}", quote(line.trim())));
    Some(format!("{verb}{}", words.unwrap_or_default()))
}

/// Says that the figures are not of everything, where the tools' descriptions say so.
pub(super) fn with_left_out(mut text: String, view: &View<'_>) -> String {
    let says = |spec: &ToolSpec| spec.name == "LS" && spec.description.contains(".gitignore");
    if view.tools.iter().any(says) {
        text.push_str("\n\nHidden and ignored files are not counted.");
    }
    text
}
