//! The offline model: rules that plan, call the agent's own read-only tools, and report.
//! Refuses the network, the disk and every guess: it sees the request and nothing else.

mod answer;
mod combine;
mod commands;
mod crew;
mod facts;
mod figures;
mod helper;
mod notes;
mod phrase;
mod plan;
mod prose;
mod reading;
mod report;
mod rounds;
mod rules;
mod schema;
mod speech;
mod summary;
mod trouble;

use std::time::Duration;

use self::{
    plan::{Helpers, Step, View},
    reading::Seen,
    rules::{Meaning, Task},
    speech::Reply,
};
use super::{Deltas, Model, Provider, Request, Stop};
use crate::{
    error::Result,
    kept::Kept,
    message::{Message, Part, Role},
    scope::Scope,
    spec::ToolSpec,
};

/// The pause after each word, so that a person sees an answer come.
const PAUSE: Duration = Duration::from_millis(4);

/// A model that needs no network: a table of phrases, a plan for each, and the words of the answer.
///
/// It understands questions about a folder, such as "Survey this folder and tell me what it is",
/// "how many lines are in `src`?", "find files matching `*.toml`", "search for \"TODO\"" and
/// "show `README.md`", and answers them with what the agent's tools `LS`, `Glob`, `Grep` and `Read`
/// say. Every figure in its answers stands in a tool result, or is the sum of such figures. What it
/// does not understand it says that it does not understand. The same request always gets the same
/// answer.
///
/// Where the agent has the tool `Agent`, a folder with sub-folders is surveyed by helpers, one for
/// each sub-folder, as many at once as the tool says may live; the answer puts together what they
/// report. It also understands "in the background, survey `src`", "list the agents",
/// "tell agent root/explore/1: hurry up" and "stop agent root/explore/1".
///
/// ```
/// use std::time::Duration;
/// use offshoot::provider::{Offline, Provider};
///
/// let model = Offline::new().with_pause(Duration::ZERO);
/// assert_eq!(model.model().full_name(), "offline/rules");
/// ```
#[derive(Clone, Debug)]
pub struct Offline {
    model: Model,
    pause: Duration,
}

impl Offline {
    /// The model, with a short pause after each word.
    pub fn new() -> Self {
        Self {
            model: Model::lookup("offline", "rules"),
            pause: PAUSE,
        }
    }

    /// With this pause after each word. However long an answer is, its pauses together stay below
    /// three seconds.
    #[must_use]
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

impl Default for Offline {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for Offline {
    fn model(&self) -> &Model {
        &self.model
    }

    fn stream(&self, request: &Request<'_>, scope: &Scope) -> Result<Deltas> {
        let reply = reply(request);
        Ok(speech::speak(
            &self.model,
            request,
            reply,
            self.pause,
            scope,
        ))
    }
}

/// What to answer to a request.
fn reply(request: &Request<'_>) -> Reply {
    if summary::is_wanted(request) {
        return Reply::text(summary::of(&request.history));
    }
    let (history, tools) = (request.history.messages(), request.tools.get());
    let schema = request.options.schema.as_ref();
    let notes = notes::unread(history);
    if notes.alone && schema.is_none() {
        return Reply::text(notes::told(history, &notes.at));
    }
    let Asked { prompt, meaning } = asked(history, schema, tools);
    let seen = reading::seen(history, prompt);
    let mut view = View {
        seen: &seen,
        tools,
        reuse: meaning.as_ref().is_some_and(|meaning| meaning.follows),
        helpers: None,
    };
    if let Some(schema) = schema {
        return structured(schema, meaning.as_ref(), &view);
    }
    view.helpers = helpers(history, prompt, &view);
    let Some(meaning) = meaning else {
        return Reply::text(trouble::help(&view));
    };
    if let Some(step) = plan::next(&meaning.task, &view) {
        return Reply::step(step);
    }
    let answer = answer::answer(&meaning, &view);
    let told = notes::told(history, &notes.at);
    Reply::text(match (told.is_empty(), &meaning.task) {
        (true, _) => answer,
        // Whoever asked for a report relies on its last line.
        (false, Task::Report { .. }) => format!("{told}\n\n{answer}"),
        (false, _) => format!("{answer}\n\n{told}"),
    })
}

/// What there is to know of helpers for the work at hand.
fn helpers(history: &[Kept<Message>], prompt: usize, view: &View<'_>) -> Option<Helpers> {
    let most = helper::at_once(view.tools)?;
    let cleared = |seen: &Seen| {
        seen.fresh && helper::is_helper(&seen.tool, &seen.input) && plan::is_cleared(seen)
    };
    let lost = view.seen.iter().any(cleared) || summary::had_helpers(history, prompt);
    Some(match lost {
        true => Helpers::Lost,
        false => Helpers::AtOnce(most),
    })
}

/// The user's last words, and what they mean.
struct Asked {
    prompt: usize,
    meaning: Option<Meaning>,
}

/// Looks for the last words that mean something. Where a structured answer is asked for, what
/// follows the request for it may be corrections, which ask for nothing new.
fn asked(
    history: &[Kept<Message>],
    schema: Option<&serde_json::Value>,
    tools: &[ToolSpec],
) -> Asked {
    let note = |at: usize| notes::is_note(history[at].get());
    let users = (0..history.len()).rev();
    let users = users.filter(|at| history[*at].get().role == Role::User && !note(*at));
    let mut last = None;
    for at in users {
        let before = spoken_of(&history[..at]);
        let meaning = said(history[at].get(), before.as_deref(), tools);
        if meaning.is_some() {
            return Asked {
                prompt: at,
                meaning,
            };
        }
        last = last.or(Some(at));
        // A note that reaches the agent in the middle of its work does not change the work.
        let previous = (0..at).rev().find(|at| !note(*at));
        let midway = previous.is_some_and(|at| history[at].get().role == Role::Tool);
        if !midway && schema.is_none() {
            break;
        }
    }
    Asked {
        prompt: last.unwrap_or_default(),
        meaning: None,
    }
}

/// What a message means: by a request in a summary, by its first text, by all of its text.
fn said(message: &Message, before: Option<&str>, tools: &[ToolSpec]) -> Option<Meaning> {
    let understand = |text: &str| match commands::understand(text, tools) {
        Some(task) => Some(Meaning::only(task)),
        None => rules::understand(text, before),
    };
    let all = message.text();
    if let Some(pending) = summary::pending(&all) {
        return understand(pending);
    }
    // What a program adds to the user's words comes in parts of its own.
    let first = message.parts.iter().find_map(|part| match part {
        Part::Text { text, .. } if !text.trim().is_empty() => Some(text.as_str()),
        _ => None,
    })?;
    understand(first).or_else(|| understand(&all))
}

/// The place that the last call before looked at.
fn spoken_of(history: &[Kept<Message>]) -> Option<String> {
    let user = |message: &Kept<Message>| {
        message.get().role == Role::User && !notes::is_note(message.get())
    };
    let seen = reading::seen(history, history.iter().rposition(user).unwrap_or_default());
    let looks = |seen: &&Seen| plan::TOOLS[..3].contains(&seen.tool.as_str());
    // A survey with helpers begins with the place; what follows may look into parts of it.
    let mut fresh = seen.iter().filter(|seen| seen.fresh);
    let helped = fresh
        .clone()
        .any(|seen| helper::is_helper(&seen.tool, &seen.input));
    let first = fresh.find(looks).filter(|_| helped);
    let last = first.or_else(|| seen.iter().rev().find(looks))?;
    Some(last.input["path"].as_str().unwrap_or(".").to_owned())
}

/// A structured answer, from a survey of the place that was asked about.
fn structured(schema: &serde_json::Value, meaning: Option<&Meaning>, view: &View<'_>) -> Reply {
    let path = match meaning.map(|meaning| &meaning.task) {
        Some(
            Task::Survey { path }
            | Task::Report { path }
            | Task::Measure { path, .. }
            | Task::List { path },
        ) => path,
        _ => ".",
    };
    let task = Task::Survey {
        path: path.to_owned(),
    };
    if let Some(Step { asks, .. }) = plan::next(&task, view) {
        // No words beside the calls: the answer is one JSON text.
        return Reply::step(Step {
            say: String::new(),
            asks,
        });
    }
    match schema::fill(schema, &facts::gather(path, view), path) {
        Ok(json) => Reply::text(json),
        Err(why) => {
            let reason = format!("the offline model cannot give this structured answer: {why}");
            Reply {
                stop: Stop::Refused {
                    reason: reason.clone(),
                },
                ..Reply::text(reason)
            }
        }
    }
}

#[cfg(test)]
mod tests;
