//! A hook that refuses some calls and one that changes what is submitted. The model is scripted, so
//! that the example shows the same without a key.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use async_trait::async_trait;
use offshoot::{
    Agent, Hook, HookContext, Message, Session, ToolCall, ToolOutput, Verdict,
    testing::{Answer, Scripted},
    tool_fn,
};
use serde_json::{Value, json};

/// Keeps calls away from what is none of the model's business.
struct Fence;

#[async_trait]
impl Hook for Fence {
    fn name(&self) -> &str {
        "fence"
    }

    async fn before_tool(&self, _: &HookContext, _: &ToolCall, input: &Value) -> Verdict<Value> {
        match input["key"].as_str() {
            Some("salary") => Verdict::Refuse("salaries are private".into()),
            _ => Verdict::Keep,
        }
    }
}

/// Adds the date to each message.
struct Date;

#[async_trait]
impl Hook for Date {
    async fn on_submit(&self, _: &HookContext, message: &Message) -> Verdict<Message> {
        Verdict::Change(Message::user(format!(
            "{}\n\n(It is Monday.)",
            message.text()
        )))
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Look {
    key: String,
}

#[tokio::main]
async fn main() -> offshoot::Result<()> {
    let look = tool_fn("look_up", "Looks a value up", |args: Look| async move {
        ToolOutput::ok(format!("{} = 42", args.key))
    });
    let model = Scripted::new([
        Answer::empty()
            .call("look_up", json!({"key": "age"}))
            .call("look_up", json!({"key": "salary"})),
        Answer::text("The age is 42; the salary I may not see."),
    ]);
    let agent = Agent::builder(model)
        .tool(look)
        .hook(Fence)
        .hook(Date)
        .build()?;
    let mut session = Session::new(agent);
    println!(
        "{}",
        session
            .submit_message("Age and salary, please")
            .text()
            .await?
    );
    for message in session.history() {
        for result in message.tool_results() {
            println!("{}: {}", result.outcome.as_str(), result.joined_text());
        }
    }
    println!("{}", session.history()[0].text());
    Ok(())
}
