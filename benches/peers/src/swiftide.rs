//! swiftide: its agent with its own tool loop, streaming on, over its Anthropic integration.
//! Refuses its stop tool: the others have none, and the model would never call it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use swiftide_agents::Agent;
use swiftide_core::{
    AgentContext,
    chat_completion::{Tool, ToolCall, ToolOutput, ToolSpec, errors::ToolError},
};
use swiftide_integrations::anthropic::Anthropic;

use crate::peer::{ABOUT, Echo, MANY, Peer, SYSTEM, Seen, TOOL};

pub struct Swiftide(Anthropic);

pub struct Chat {
    agent: Agent,
    deltas: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct EchoTool(Arc<AtomicUsize>);

#[async_trait]
impl Tool for EchoTool {
    async fn invoke(&self, _: &dyn AgentContext, call: &ToolCall) -> Result<ToolOutput, ToolError> {
        let echo: Echo = serde_json::from_str(call.args().unwrap_or("{}"))?;
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(ToolOutput::text(echo.answer()))
    }

    fn name(&self) -> std::borrow::Cow<'_, str> {
        TOOL.into()
    }

    fn tool_spec(&self) -> ToolSpec {
        ToolSpec::builder()
            .name(TOOL)
            .description(ABOUT)
            .parameters_schema(schemars::schema_for!(Echo))
            .build()
            .unwrap()
    }
}

impl Peer for Swiftide {
    type Chat = Chat;

    fn new(url: &str) -> Self {
        let client = async_anthropic::Client::builder()
            .base_url(url)
            .api_key("k")
            .version("2023-06-01")
            .build()
            .unwrap();
        let model = Anthropic::builder()
            .client(client)
            .default_prompt_model("bench")
            .build()
            .unwrap();
        Self(model)
    }

    fn chat(&self) -> Chat {
        let (deltas, calls) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let seen = deltas.clone();
        let agent = Agent::builder()
            .llm(&self.0)
            .system_prompt(SYSTEM)
            .without_default_stop_tool()
            .tools([EchoTool(calls.clone()).boxed()])
            .limit(MANY)
            .on_stream(move |_, response| {
                if response.delta.is_some() {
                    seen.fetch_add(1, Ordering::Relaxed);
                }
                std::hint::black_box(response);
                Box::pin(async { Ok(()) })
            })
            .build()
            .unwrap();
        Chat {
            agent,
            deltas,
            calls,
        }
    }

    async fn turn(&self, chat: &mut Chat, prompt: &str) -> Seen {
        chat.agent.query(prompt.to_owned()).await.unwrap();
        Seen {
            deltas: chat.deltas.swap(0, Ordering::Relaxed),
            calls: chat.calls.swap(0, Ordering::Relaxed),
        }
    }
}
