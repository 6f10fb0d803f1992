//! What several tests share: small tools and short words for long checks.
//! Refuses to test anything by itself.

use std::{sync::Arc, time::Duration};

use offshoot::{Event, Lane, Tool, ToolContext, ToolOutput, ToolSpec, TypedTool, tool_fn, typed};

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct Nothing {}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Echo {
    text: String,
}

/// Says it again.
pub(crate) fn echo() -> Arc<dyn Tool> {
    tool_fn(
        "echo",
        "Says it again",
        |args: Echo| async move { args.text },
    )
}

/// Sleeps, then says a word.
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct Sleep {
    millis: u64,
    text: String,
}

struct Sleeper;

impl TypedTool for Sleeper {
    const NAME: &'static str = "sleep";
    type Input = Sleep;

    fn manners(&self, spec: ToolSpec) -> ToolSpec {
        spec.lane(Lane::Shared)
    }

    async fn call(&self, ctx: ToolContext, input: Sleep) -> ToolOutput {
        ctx.update("asleep");
        tokio::time::sleep(Duration::from_millis(input.millis)).await;
        input.text.into()
    }
}

/// A shared tool that sleeps, then says a word.
pub(crate) fn sleeper() -> Arc<dyn Tool> {
    typed(Sleeper)
}

/// The published names of events.
pub(crate) fn names(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| {
        let value = serde_json::to_value(event).unwrap();
        value["type"].as_str().unwrap().to_owned()
    };
    events.iter().map(name).collect()
}
