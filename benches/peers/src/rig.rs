//! rig: its agent, its streamed run of many turns, over its Anthropic client.
//! Refuses its blocking run, which shows nothing before the end.

use std::convert::Infallible;

use futures::StreamExt;
use rig_agent::agent::{Agent, AgentBuilder, MultiTurnStreamItem};
use rig_core::{
    message::Message,
    providers::anthropic::wire::AnthropicConfig,
    streaming::{Item, StreamEvent},
    tool::{Tool, ToolContext},
};

use crate::peer::{ABOUT, Echo, MANY, Peer, SYSTEM, Seen, TOOL};

pub struct Rig(Agent);

struct EchoTool;

impl Tool for EchoTool {
    const NAME: &'static str = TOOL;
    type Args = Echo;
    type Output = String;
    type Error = Infallible;

    fn description(&self) -> String {
        ABOUT.into()
    }

    fn parameters(&self) -> serde_json::Value {
        serde_json::to_value(schemars::schema_for!(Echo)).unwrap()
    }

    async fn call(&self, _: &mut ToolContext, args: Echo) -> Result<String, Infallible> {
        Ok(args.answer())
    }
}

impl Peer for Rig {
    type Chat = Vec<Message>;

    fn new(url: &str) -> Self {
        let model = AnthropicConfig::new("k")
            .with_base_url(url)
            .client()
            .completion("bench");
        let agent = AgentBuilder::new(model)
            .preamble(SYSTEM)
            .max_tokens(4096)
            .tool(EchoTool)
            .build();
        Self(agent)
    }

    fn chat(&self) -> Vec<Message> {
        Vec::new()
    }

    async fn turn(&self, chat: &mut Vec<Message>, prompt: &str) -> Seen {
        let mut seen = Seen::default();
        let mut stream = self
            .0
            .prompt(prompt)
            .history(chat.iter().cloned())
            .max_turns(MANY)
            .stream();
        while let Some(item) = stream.next().await {
            match item.unwrap() {
                MultiTurnStreamItem::StreamAssistantItem(item) => {
                    let item = std::hint::black_box(item);
                    if let Item::Event(StreamEvent::Text { .. }) = item {
                        seen.deltas += 1;
                    }
                }
                MultiTurnStreamItem::ToolResult { .. } => seen.calls += 1,
                MultiTurnStreamItem::FinalResponse(response) => chat.extend(response.messages),
                other => {
                    std::hint::black_box(other);
                }
            }
        }
        seen
    }
}
