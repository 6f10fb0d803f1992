//! What every peer is asked for: a conversation with one tool, turn by turn.
//! Refuses to help: how a peer streams and loops is the peer's own affair.

use std::future::Future;

/// The system prompt, the tool's name and its description, the same for all.
pub const SYSTEM: &str = "You are a benchmark.";
pub const TOOL: &str = "echo";
pub const ABOUT: &str = "Says it again";
/// More model calls in a turn than any scenario needs.
pub const MANY: usize = 1_000;

/// The tool's arguments.
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub struct Echo {
    pub text: String,
}

impl Echo {
    /// What the tool answers.
    pub fn answer(self) -> String {
        format!("echo: {}", self.text)
    }
}

/// What one turn brought; without it a peer that gives up early would look fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Pieces of text as the program saw them, one by one.
    pub deltas: usize,
    /// Runs of the tool.
    pub calls: usize,
}

/// One library, set up once for a process.
pub trait Peer: Sized {
    /// One conversation, which remembers its history.
    type Chat;
    /// Points the library at the server.
    fn new(url: &str) -> Self;
    /// Begins a conversation; they share what the library lets them share.
    fn chat(&self) -> Self::Chat;
    /// One turn, streamed, with as many tool calls as the model asks for.
    fn turn(&self, chat: &mut Self::Chat, prompt: &str) -> impl Future<Output = Seen>;
}
