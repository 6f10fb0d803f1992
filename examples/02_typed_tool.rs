//! A tool with typed arguments, and one in a line. A scripted model calls both, so that the example
//! shows the same without a key; put `provider::from_env()` in its place for a real one.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use futures::StreamExt;
use offshoot::{
    Agent, EventKind, Session, ToolContext, ToolOutput, ToolSpec, TypedTool,
    testing::{Answer, Scripted},
    tool_fn, typed,
};
use serde_json::json;

/// Tells how warm it is somewhere, in degrees Celsius.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Weather {
    /// A city.
    city: String,
}

struct Thermometer;

impl TypedTool for Thermometer {
    const NAME: &'static str = "weather";
    type Input = Weather;

    fn manners(&self, spec: ToolSpec) -> ToolSpec {
        spec.reads()
    }

    async fn call(&self, _: ToolContext, input: Weather) -> ToolOutput {
        match input.city.as_str() {
            "Oslo" => "4".into(),
            "Lima" => "19".into(),
            other => ToolOutput::failed(format!("no thermometer stands in `{other}`")),
        }
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Shout {
    text: String,
}

#[tokio::main]
async fn main() -> offshoot::Result<()> {
    let shout = tool_fn("shout", "Says it louder", |args: Shout| async move {
        args.text.to_uppercase()
    });
    let model = Scripted::new([
        Answer::empty()
            .call("weather", json!({"city": "Oslo"}))
            .call("weather", json!({"city": 4})),
        Answer::empty().call("shout", json!({"text": "four degrees"})),
        Answer::text("It is four degrees in Oslo."),
    ]);
    let agent = Agent::builder(model)
        .tool(typed(Thermometer))
        .tool(shout)
        .build()?;
    let mut session = Session::new(agent);
    let mut turn = session.submit_message("How warm is it in Oslo?");
    while let Some(event) = turn.next().await {
        match event.kind {
            EventKind::ToolEnd {
                name,
                outcome,
                text,
                ..
            } => {
                println!("{name}: {} ({text})", outcome.as_str());
            }
            EventKind::TurnEnd { text, .. } => println!("{text}"),
            _ => {}
        }
    }
    Ok(())
}
