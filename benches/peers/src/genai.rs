//! genai: one client, streamed answers; it has no agent, so the tool loop is written out.
//! Refuses tricks: the loop follows the library's own example of tools in a stream.

use futures::StreamExt;
use genai::{
    Client, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    chat::{ChatMessage, ChatOptions, ChatRequest, ChatStreamEvent, Tool, ToolCall, ToolResponse},
    resolver::{AuthData, Endpoint, ServiceTargetResolver},
};

use crate::peer::{ABOUT, Echo, Peer, SYSTEM, Seen, TOOL};

pub struct Genai {
    client: Client,
    options: ChatOptions,
    tool: Tool,
}

impl Peer for Genai {
    type Chat = ChatRequest;

    fn new(url: &str) -> Self {
        let endpoint = Endpoint::from_owned(format!("{url}/v1/"));
        let resolver = ServiceTargetResolver::from_resolver_fn(
            move |target: ServiceTarget| -> Result<ServiceTarget, genai::resolver::Error> {
                Ok(ServiceTarget {
                    endpoint: endpoint.clone(),
                    auth: AuthData::from_single("k"),
                    model: ModelIden::new(AdapterKind::Anthropic, target.model.model_name),
                })
            },
        );
        let client = Client::builder()
            .with_service_target_resolver(resolver)
            .build()
            .unwrap();
        let schema = serde_json::to_value(schemars::schema_for!(Echo)).unwrap();
        Self {
            client,
            options: ChatOptions::default()
                .with_max_tokens(4096)
                .with_capture_content(true)
                .with_capture_tool_calls(true),
            tool: Tool::new(TOOL).with_description(ABOUT).with_schema(schema),
        }
    }

    fn chat(&self) -> ChatRequest {
        ChatRequest::from_system(SYSTEM).with_tools([self.tool.clone()])
    }

    async fn turn(&self, chat: &mut ChatRequest, prompt: &str) -> Seen {
        let mut seen = Seen::default();
        chat.messages.push(ChatMessage::user(prompt));
        loop {
            // The library takes the request for good, so that the history is cloned for each call.
            let answer = self
                .client
                .exec_chat_stream("bench", chat.clone(), Some(&self.options))
                .await
                .unwrap();
            let mut stream = answer.stream;
            let mut content = None;
            while let Some(event) = stream.next().await {
                match event.unwrap() {
                    ChatStreamEvent::Chunk(chunk) => {
                        seen.deltas += 1;
                        std::hint::black_box(chunk);
                    }
                    ChatStreamEvent::End(end) => content = end.captured_content,
                    other => {
                        std::hint::black_box(other);
                    }
                }
            }
            let content = content.expect("an answer has content");
            let calls: Vec<ToolCall> = content.tool_calls().into_iter().cloned().collect();
            chat.messages.push(ChatMessage::assistant(content));
            if calls.is_empty() {
                return seen;
            }
            for call in calls {
                let echo: Echo = serde_json::from_value(call.fn_arguments).unwrap();
                seen.calls += 1;
                let response = ToolResponse::new(call.call_id, echo.answer());
                chat.messages.push(ChatMessage::from(response));
            }
        }
    }
}
