//! The conversation as the next request will see it: appended, measured, shortened, never invalid.
//! Refuses to call tools, to decide when to shorten, and to edit what the model reasoned.

mod breaker;
mod compact;
mod count;
mod limits;
mod material;
mod repair;
mod summary;
#[cfg(test)]
mod tests;
mod trim;

use std::collections::{HashMap, HashSet, hash_map::Entry};

pub(crate) use self::{breaker::Breaker, summary::summarise_charged};
pub use self::{
    count::Counter,
    limits::{CompactionSettings, Fill, Summarising, Thresholds, Trimming},
    repair::Repair,
};
use self::{
    count::Tally,
    repair::{clean, is_hollow, make_unique},
};
use crate::{
    id::CallId,
    kept::{Joined, Kept},
    message::{Message, Outcome, Role, ToolCall, ToolResult},
    provider::History,
    usage::Usage,
};

/// What the model reads where a call was never run.
const NEVER_STARTED: &str = "This call was not started.";
/// What the model reads where nobody knows how far a call came: it must not assume that it did
/// not run, for doing something twice may do harm.
const LOST: &str = "The result of this call was not recorded. It may have run, wholly or in part: check before doing it again.";

/// A conversation that is always fit to be sent.
///
/// Each way to add keeps the rules that vendors enforce: every call has exactly one result, all
/// results of a message stand directly after it in the order of its calls, ids are unique in the
/// whole conversation, nothing is empty, and reasoning is never edited. The one state that may not
/// be sent is the natural one between an answer with calls and their results;
/// [`open_calls`](Self::open_calls) names it and [`repair`](Self::repair) ends it.
///
/// The work of an append does not depend on how long the conversation is.
///
/// ```
/// use offshoot::{CallId, Message, Outcome, Part, Role, ToolCall, ToolResult, Transcript};
///
/// let mut transcript = Transcript::new();
/// transcript.push_user(Message::user("What is in a.txt?"));
/// let call = ToolCall::new(CallId::new("1"), "Read", r#"{"path":"a.txt"}"#);
/// let answer = Message { role: Role::Assistant, parts: vec![Part::Call(call)] };
/// transcript.push_assistant(answer, None);
/// assert_eq!(transcript.open_calls().len(), 1);
/// transcript.close_open(Outcome::Denied, "Not allowed here.");
/// assert!(transcript.open_calls().is_empty());
/// assert!(transcript.repair().is_empty(), "nothing to mend");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    entries: Vec<Kept<Message>>,
    /// Every call id of `entries`: vendors that repeat ids must not confuse those that pair by them.
    ids: HashSet<CallId>,
    anchor: Option<Anchor>,
    overhead: u64,
    tally: Tally,
    /// Nothing before this entry is left to trim.
    trimmed: usize,
    /// How many of the entries came from outside; nobody here knows what became of their calls.
    loaded: usize,
    /// What requests carry of it in one piece.
    joined: Joined,
}

/// What a vendor counted, and how many entries it covers.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    covers: usize,
    tokens: u64,
}

/// Whether a message was loaded or pushed.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Outside,
    Here,
}

/// How many tokens a conversation had before and after it was shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Tokens before.
    pub before: u64,
    /// Tokens after.
    pub after: u64,
}

impl Transcript {
    /// An empty conversation.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a conversation from outside, mends what is broken and says what it did.
    ///
    /// When the last message has calls and none of them is answered, they stay open: whoever
    /// loads may know how they ended, or run them. [`repair`](Self::repair) closes them.
    pub fn load(messages: Vec<Message>) -> (Self, Vec<Repair>) {
        let (messages, ids, repairs) = repair::mend(messages);
        let loaded = messages.len();
        let entries = messages.into_iter().map(Kept::new).collect();
        let transcript = Self {
            entries,
            ids,
            loaded,
            ..Self::default()
        };
        (transcript, repairs)
    }

    /// Adds what a user says. The role is set to user, and calls that are still open are closed.
    ///
    /// A message without content is not added: vendors refuse it.
    pub fn push_user(&mut self, mut message: Message) {
        self.close_forgotten("a user message");
        message.role = Role::User;
        self.push_cleaned(message);
    }

    /// Adds what the model says, with what the vendor counted for the one request that made it.
    ///
    /// Ids of calls that were used before are replaced, so run the calls that
    /// [`open_calls`](Self::open_calls) gives and not those of the message that went in. A message
    /// without content (or with nothing but reasoning, which vendors refuse to take back alone) is
    /// not added; its usage still tells how large the request was.
    pub fn push_assistant(&mut self, mut message: Message, usage: Option<Usage>) {
        self.close_forgotten("an assistant message");
        message.role = Role::Assistant;
        let added = self.push_cleaned(message);
        // A usage of nothing is a vendor that does not count.
        if let Some(usage) = usage.filter(|usage| usage.prompt() > 0) {
            let tokens = if added { usage.total() } else { usage.prompt() };
            self.set_anchor(Some(Anchor {
                covers: self.entries.len(),
                tokens,
            }));
        }
    }

    /// Answers the open calls: brings results into the order of the calls, says "never started"
    /// for a call without a result, and drops a result without a call.
    pub fn push_results(&mut self, mut results: Vec<ToolResult>) {
        if let ([result], [call]) = (&mut results[..], &self.open_calls()[..])
            && result.call == call.id
        {
            // One call and its result, which is what most steps are.
            result.name.clone_from(&call.name);
            self.push_answers(results);
            return;
        }
        let mut given = HashMap::with_capacity(results.len());
        for result in results {
            match given.entry(result.call.clone()) {
                Entry::Vacant(room) => {
                    room.insert(result);
                }
                Entry::Occupied(_) => {
                    tracing::warn!(call = %result.call, "dropped the second result of a call");
                }
            }
        }
        let answers: Vec<_> = self
            .open_calls()
            .into_iter()
            .map(|call| match given.remove(&call.id) {
                Some(mut result) => {
                    result.name.clone_from(&call.name);
                    result
                }
                None => ToolResult::text(call, Outcome::NeverStarted, NEVER_STARTED),
            })
            .collect();
        for call in given.keys() {
            tracing::warn!(%call, "dropped the result of a call that is not open");
        }
        self.push_answers(answers);
    }

    /// Gives back the room that it would grow into, because it may be long before it grows again.
    pub(crate) fn rest(&mut self) {
        self.entries.shrink_to_fit();
        self.joined.forget();
    }

    /// The calls of the last message that have no result yet, in order.
    pub fn open_calls(&self) -> Vec<&ToolCall> {
        match self.entries.last().map(Kept::get) {
            Some(last) if last.role == Role::Assistant => last.calls().collect(),
            _ => Vec::new(),
        }
    }

    /// Answers every open call in the same way.
    pub fn close_open(&mut self, outcome: Outcome, text: &str) {
        let answers: Vec<_> = self
            .open_calls()
            .into_iter()
            .map(|call| ToolResult::text(call, outcome, text))
            .collect();
        self.push_answers(answers);
    }

    /// The messages, oldest first, with their encoded bytes.
    pub fn history(&self) -> &[Kept<Message>] {
        &self.entries
    }

    /// The messages as a request carries them.
    pub fn to_request(&self) -> History<'_> {
        History::joined(&self.entries, &self.joined)
    }

    /// The messages, oldest first.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.entries.iter().map(Kept::get)
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the model said last, in words; empty when it said nothing.
    pub fn last_text(&self) -> String {
        let mut newest_first = self.entries.iter().rev().map(Kept::get);
        let last = newest_first.find(|message| message.role == Role::Assistant);
        last.map(Message::text).unwrap_or_default()
    }

    /// Whether the last message is the model's and asks for nothing.
    pub(crate) fn ends_with_words(&self) -> bool {
        let last = self.entries.last().map(Kept::get);
        last.is_some_and(|last| last.role == Role::Assistant && last.calls().next().is_none())
    }

    /// How large the next request is: what the vendor counted last, and a count of what was added
    /// since. Where no vendor counted, everything is counted here, each message once.
    pub fn tokens(&self, counter: &Counter) -> u64 {
        let (from, known) = match self.anchor {
            Some(anchor) => (anchor.covers, anchor.tokens),
            None => (0, self.overhead),
        };
        let tail = self.tally.count(counter, from, &self.entries);
        known.saturating_add(tail)
    }

    /// How many tokens a request carries beside the conversation (system prompt, tool specs). Used
    /// until a vendor has counted, for its count contains them.
    pub fn set_overhead(&mut self, tokens: u64) {
        self.overhead = tokens;
    }

    /// Makes the next request valid, and says what it did.
    ///
    /// Everything but a forgotten call is prevented where messages come in, so this looks at the
    /// last message only.
    pub fn repair(&mut self) -> Vec<Repair> {
        let added = |call: &ToolCall| Repair::AddedResult {
            call: call.id.clone(),
        };
        let repairs = self.open_calls().into_iter().map(added).collect();
        let (outcome, text) = self.fate_of_forgotten();
        self.close_open(outcome, text);
        repairs
    }

    fn close_forgotten(&mut self, before: &str) {
        let open = self.open_calls().len();
        if open > 0 {
            tracing::warn!(open, "closed calls without results before {before}");
            let (outcome, text) = self.fate_of_forgotten();
            self.close_open(outcome, text);
        }
    }

    /// A call that was pushed here and got no result was not run, for whoever runs it pushes its
    /// result. A call from outside may have been running when the program died.
    fn fate_of_forgotten(&self) -> (Outcome, &'static str) {
        match self.origin() {
            Origin::Outside => (Outcome::Interrupted, LOST),
            Origin::Here => (Outcome::NeverStarted, NEVER_STARTED),
        }
    }

    fn push_cleaned(&mut self, message: Message) -> bool {
        let mut repairs = Vec::new();
        let Message { role, parts } = message;
        let mut message = Message {
            role,
            parts: clean(role, parts, &mut repairs),
        };
        let hollow = is_hollow(&message);
        if hollow {
            repairs.push(Repair::DroppedEmpty { role });
        } else {
            let place = self.entries.len();
            make_unique(&mut message, place, &mut self.ids, &mut repairs);
            match self.entries.last().map(|last| last.get().role) {
                // The model goes on after a pause: vendors refuse two messages of it in a row.
                Some(Role::Assistant) if role == Role::Assistant => {
                    self.edit(place - 1, |last| last.parts.append(&mut message.parts));
                    // Counted once more rather than not at all.
                    let covers = |anchor: Anchor| Anchor {
                        covers: anchor.covers.min(place - 1),
                        ..anchor
                    };
                    self.set_anchor(self.anchor.map(covers));
                }
                _ => self.enter(message),
            }
        }
        for repair in repairs {
            tracing::warn!("{repair}");
        }
        !hollow
    }

    fn enter(&mut self, message: Message) {
        if self.entries.capacity() == 0 {
            // A question and its answer: many conversations have no more.
            self.entries.reserve_exact(2);
        }
        self.entries.push(Kept::new(message));
    }

    fn push_answers(&mut self, answers: Vec<ToolResult>) {
        if !answers.is_empty() {
            self.enter(Message::results(answers));
        }
    }

    fn set_anchor(&mut self, anchor: Option<Anchor>) {
        self.anchor = anchor;
        self.tally.reset(anchor.map_or(0, |anchor| anchor.covers));
    }

    /// Changes one message; its bytes alone have to be encoded again.
    fn edit(&mut self, index: usize, edit: impl FnOnce(&mut Message)) {
        self.joined.changed(index);
        let hollow = Kept::new(Message::user_parts(Vec::new()));
        let mut message = std::mem::replace(&mut self.entries[index], hollow).into_inner();
        edit(&mut message);
        self.entries[index] = Kept::new(message);
    }

    /// Takes a history made of messages of the old one and new ones that keep the rules.
    fn renew(&mut self, entries: Vec<Kept<Message>>, from_outside: Origin) {
        self.entries = entries;
        self.joined.forget();
        self.ids = self
            .messages()
            .flat_map(Message::calls)
            .map(|call| call.id.clone())
            .collect();
        self.loaded = match from_outside {
            Origin::Outside => self.entries.len(),
            Origin::Here => 0,
        };
        self.trimmed = 0;
        self.set_anchor(None);
    }

    /// Where the last message came from.
    fn origin(&self) -> Origin {
        if self.loaded == self.entries.len() {
            Origin::Outside
        } else {
            Origin::Here
        }
    }
}
