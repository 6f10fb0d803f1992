//! This library, as its own benchmarks use it.
//! Refuses special treatment: everything is at its default, as with the peers.

use futures::StreamExt;
use offshoot::{Agent, EventKind, Session, ToolOutput, provider::Anthropic, tool_fn};

use crate::peer::{ABOUT, Echo, MANY, Peer, SYSTEM, Seen, TOOL};

pub struct Ours(Agent);

impl Peer for Ours {
    type Chat = Session;

    fn new(url: &str) -> Self {
        let echo = tool_fn(TOOL, ABOUT, |args: Echo| async move {
            ToolOutput::ok(args.answer())
        });
        let model = Anthropic::builder("bench")
            .base_url(url)
            .api_key("k")
            .build()
            .unwrap();
        let agent = Agent::builder(model)
            .system(SYSTEM)
            .tool(echo)
            .max_steps(MANY as u64)
            .build()
            .unwrap();
        Self(agent)
    }

    fn chat(&self) -> Session {
        Session::new(self.0.clone())
    }

    async fn turn(&self, chat: &mut Session, prompt: &str) -> Seen {
        let mut seen = Seen::default();
        let mut turn = chat.submit_message(prompt);
        while let Some(event) = turn.next().await {
            match std::hint::black_box(event).kind {
                EventKind::TextDelta { .. } => seen.deltas += 1,
                EventKind::ToolEnd { .. } => seen.calls += 1,
                _ => {}
            }
        }
        seen
    }
}
