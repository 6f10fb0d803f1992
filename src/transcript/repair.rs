//! Makes a conversation from outside fit to be sent, and names every thing it changed.
//! Refuses to invent what a tool said, and to touch reasoning: a message keeps it or goes whole.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
};

use super::LOST;
use crate::{
    id::CallId,
    message::{Message, Outcome, Part, RawJson, Role, ToolResult},
};

/// What stands before a conversation that a model seems to have begun.
const OPENING: &str = "(The conversation begins here.)";

/// One thing that was mended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// A call had no result: one that says so was added.
    AddedResult {
        /// The call.
        call: CallId,
    },
    /// A result had no call: it was dropped.
    DroppedResult {
        /// The call that it named.
        call: CallId,
    },
    /// A call had more than one result: the first was kept.
    MergedDuplicate {
        /// The call.
        call: CallId,
    },
    /// Results did not stand directly after their calls, in one message and in order.
    ReorderedResults {
        /// Where the message with the calls is now, from 0.
        message: usize,
    },
    /// A result bore the name of another tool than its call.
    CorrectedName {
        /// The call.
        call: CallId,
    },
    /// The arguments of a call were not a JSON object: they were set aside as malformed.
    CorrectedInput {
        /// The call.
        call: CallId,
    },
    /// A call had no id or one that an earlier call has: it got another one.
    RenamedDuplicate {
        /// The id it had.
        from: CallId,
        /// The id it has.
        to: CallId,
    },
    /// A message without content was dropped.
    DroppedEmpty {
        /// Who spoke.
        role: Role,
    },
    /// A part that does not belong into a message of this role was dropped.
    DroppedStray {
        /// Who spoke.
        role: Role,
        /// What the part was.
        part: &'static str,
    },
    /// The model spoke first, which some vendors refuse: a line of a user was put before it.
    AddedOpening,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddedResult { call } => write!(f, "added the missing result of call: `{call}`"),
            Self::DroppedResult { call } => write!(f, "dropped the result of no call: `{call}`"),
            Self::MergedDuplicate { call } => {
                write!(f, "dropped the second result of call: `{call}`")
            }
            Self::ReorderedResults { message } => {
                write!(f, "moved results to their calls in message: `{message}`")
            }
            Self::CorrectedName { call } => {
                write!(f, "corrected the tool name in the result of call: `{call}`")
            }
            Self::CorrectedInput { call } => {
                write!(
                    f,
                    "set aside arguments that are no JSON object in call: `{call}`"
                )
            }
            Self::RenamedDuplicate { from, to } => write!(f, "renamed call `{from}` to: `{to}`"),
            Self::DroppedEmpty { role } => {
                write!(f, "dropped a message without content by: `{role:?}`")
            }
            Self::DroppedStray { role, part } => {
                write!(f, "dropped {part} in a message by: `{role:?}`")
            }
            Self::AddedOpening => f.write_str("added a user's line before the model's first words"),
        }
    }
}

/// Drops the parts that a message of this role cannot have, and words that are only white space
/// (vendors refuse both). Results are left to the caller, who knows where they belong.
pub(super) fn clean(role: Role, parts: Vec<Part>, repairs: &mut Vec<Repair>) -> Vec<Part> {
    let mut kept = Vec::with_capacity(parts.len());
    for mut part in parts {
        let stray = match &mut part {
            Part::Text { text, seal } if seal.is_none() && text.trim().is_empty() => "blank text",
            Part::Call(_) if role != Role::Assistant => "a call",
            Part::Reasoning { .. } if role != Role::Assistant => "reasoning",
            Part::Result(_) => "a result",
            Part::Call(call) => {
                if !call.input.as_str().starts_with('{') {
                    call.malformed = Some(call.input.as_str().to_owned());
                    call.input = RawJson::empty_object();
                    repairs.push(Repair::CorrectedInput {
                        call: call.id.clone(),
                    });
                }
                kept.push(part);
                continue;
            }
            _ => {
                kept.push(part);
                continue;
            }
        };
        repairs.push(Repair::DroppedStray { role, part: stray });
    }
    kept
}

/// Whether a message says nothing that could be sent. Reasoning alone is nothing: vendors demand
/// that words or calls follow it.
pub(super) fn is_hollow(message: &Message) -> bool {
    let silent = |part: &Part| matches!(part, Part::Reasoning { .. });
    message.parts.iter().all(silent)
}

/// Gives another id to each call whose id is empty or taken, and enters all ids.
pub(super) fn make_unique(
    message: &mut Message,
    place: usize,
    ids: &mut HashSet<CallId>,
    repairs: &mut Vec<Repair>,
) {
    for (at, part) in message.parts.iter_mut().enumerate() {
        let Part::Call(call) = part else { continue };
        if !call.id.as_str().is_empty() && ids.insert(call.id.clone()) {
            continue;
        }
        // Made from its place, so that loading the same conversation again gives the same ids, and
        // a vendor that calls every call `call_0` does not make us search.
        let mut text = format!("{}_{place}_{at}", call.id);
        while !ids.insert(CallId::new(text.as_str())) {
            text.push('_');
        }
        let from = std::mem::replace(&mut call.id, CallId::new(text));
        let to = call.id.clone();
        repairs.push(Repair::RenamedDuplicate { from, to });
    }
}

/// A message on its way through the repair, with the results of its calls.
struct Item {
    message: Message,
    answers: Vec<Option<ToolResult>>,
    /// The call that comes next if its results are in order.
    next: usize,
    /// Which message brought the results so far.
    source: Option<usize>,
    disorder: bool,
}

/// Mends a whole conversation. The calls of the last message may stay open.
pub(super) fn mend(messages: Vec<Message>) -> (Vec<Message>, HashSet<CallId>, Vec<Repair>) {
    let mut repairs = Vec::new();
    let items = gather(messages, &mut repairs);
    let mut ids = HashSet::new();
    let mut out: Vec<Message> = Vec::with_capacity(items.len() * 2);
    let count = items.len();
    for (index, item) in items.into_iter().enumerate() {
        let Item {
            mut message,
            answers,
            disorder,
            ..
        } = item;
        if out.is_empty() && message.role != Role::User {
            out.push(Message::user(OPENING));
            repairs.push(Repair::AddedOpening);
        }
        let place = out.len();
        make_unique(&mut message, place, &mut ids, &mut repairs);
        let open = answers.iter().all(Option::is_none);
        let results = if open && index + 1 == count {
            Vec::new()
        } else {
            fill(&message, answers, &mut repairs)
        };
        out.push(message);
        if disorder {
            repairs.push(Repair::ReorderedResults { message: place });
        }
        if !results.is_empty() {
            out.push(Message::results(results));
        }
    }
    (out, ids, repairs)
}

/// Pairs every result with its call, wherever it stood.
fn gather(messages: Vec<Message>, repairs: &mut Vec<Repair>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::with_capacity(messages.len());
    // For each id: the items that have calls with it, and those calls, in order.
    let mut waiting: HashMap<CallId, Vec<(usize, VecDeque<usize>)>> = HashMap::new();
    for (source, Message { role, parts }) in messages.into_iter().enumerate() {
        let (results, parts): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .partition(|part| matches!(part, Part::Result(_)));
        let had_results = !results.is_empty();
        for part in results {
            let Part::Result(result) = part else { continue };
            place(result, source, role, &mut items, &mut waiting, repairs);
        }
        // Words among results lose nothing by becoming a user's words.
        let role = if role == Role::Tool { Role::User } else { role };
        let message = Message {
            role,
            parts: clean(role, parts, repairs),
        };
        if is_hollow(&message) {
            if !had_results || !message.parts.is_empty() {
                repairs.push(Repair::DroppedEmpty { role });
            }
            continue;
        }
        let index = items.len();
        let mut calls = 0;
        for call in message.calls() {
            let places = waiting.entry(call.id.clone()).or_default();
            match places.last_mut() {
                Some((item, queue)) if *item == index => queue.push_back(calls),
                _ => places.push((index, VecDeque::from([calls]))),
            }
            calls += 1;
        }
        items.push(Item {
            message,
            answers: (0..calls).map(|_| None).collect(),
            next: 0,
            source: None,
            disorder: false,
        });
    }
    items
}

/// Gives a result to the newest call with its id; two calls of one message get theirs in order.
fn place(
    result: ToolResult,
    source: usize,
    role: Role,
    items: &mut [Item],
    waiting: &mut HashMap<CallId, Vec<(usize, VecDeque<usize>)>>,
    repairs: &mut Vec<Repair>,
) {
    let Some(places) = waiting.get_mut(&result.call) else {
        repairs.push(Repair::DroppedResult { call: result.call });
        return;
    };
    let free = places.iter_mut().rev().find(|(_, queue)| !queue.is_empty());
    let newest = items.len().saturating_sub(1);
    match free.and_then(|(item, queue)| Some((*item, queue.pop_front()?))) {
        Some((index, call)) => {
            let item = &mut items[index];
            let same = *item.source.get_or_insert(source) == source;
            if role != Role::Tool || index != newest || !same || call < item.next {
                item.disorder = true;
            }
            item.next = call + 1;
            item.answers[call] = Some(result);
        }
        None => repairs.push(Repair::MergedDuplicate { call: result.call }),
    }
}

fn fill(
    message: &Message,
    answers: Vec<Option<ToolResult>>,
    repairs: &mut Vec<Repair>,
) -> Vec<ToolResult> {
    let mut results = Vec::with_capacity(answers.len());
    for (call, answer) in message.calls().zip(answers) {
        let id = call.id.clone();
        results.push(match answer {
            Some(mut result) => {
                if result.name != call.name {
                    result.name.clone_from(&call.name);
                    repairs.push(Repair::CorrectedName { call: id.clone() });
                }
                result.call = id;
                result
            }
            None => {
                repairs.push(Repair::AddedResult { call: id });
                ToolResult::text(call, Outcome::Interrupted, LOST)
            }
        });
    }
    results
}
