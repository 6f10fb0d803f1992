//! A tool with typed arguments. A scripted model calls it, so that the example shows
//! the same without a key; put `provider::from_env()` in its place for a real one.

use futures::StreamExt;
use offshoot::{
    Agent, EventKind, Session, ToolContext, ToolOutput, TypedTool,
    testing::{Answer, Scripted},
    typed,
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

    async fn call(&self, _: ToolContext, input: Weather) -> ToolOutput {
        match input.city.as_str() {
            "Oslo" => "4".into(),
            other => ToolOutput::failed(format!("no thermometer stands in `{other}`")),
        }
    }
}

#[tokio::main]
async fn main() -> offshoot::Result<()> {
    let twice = Answer::empty().call("weather", json!({"city": "Oslo"}));
    let model = Scripted::new([
        twice.call("weather", json!({"city": 4})),
        Answer::text("It is four degrees in Oslo."),
    ]);
    let agent = Agent::builder(model).tool(typed(Thermometer)).build()?;
    let mut session = Session::new(agent);
    let mut turn = session.submit_message("How warm is it in Oslo?");
    while let Some(event) = turn.next().await {
        if let EventKind::ToolEnd {
            name,
            outcome,
            text,
            ..
        } = event.kind
        {
            println!("{name}: {} ({text})", outcome.as_str());
        }
    }
    Ok(())
}
