//! A hook that refuses a call and changes what is submitted. Needs no key: the model is scripted.

use async_trait::async_trait;
use offshoot::{
    Agent, Hook, HookContext, Message, Session, ToolCall, Verdict,
    testing::{Answer, Scripted},
    tool_fn,
};
use serde_json::{Value, json};

/// Keeps calls away from what is private, and tells the model the day.
struct Fence;

#[async_trait]
impl Hook for Fence {
    async fn on_submit(&self, _: &HookContext, message: &Message) -> Verdict<Message> {
        Verdict::Change(Message::user(format!(
            "{}\n\n(It is Monday.)",
            message.text()
        )))
    }

    async fn before_tool(&self, _: &HookContext, _: &ToolCall, input: &Value) -> Verdict<Value> {
        match input["key"].as_str() {
            Some("salary") => Verdict::Refuse("salaries are private".into()),
            _ => Verdict::Keep,
        }
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Look {
    key: String,
}

#[tokio::main]
async fn main() -> offshoot::Result<()> {
    let look = tool_fn("look_up", "Looks a value up", |args: Look| async move {
        format!("{} = 42", args.key)
    });
    let both = Answer::empty().call("look_up", json!({"key": "age"}));
    let model = Scripted::new([
        both.call("look_up", json!({"key": "salary"})),
        Answer::text("The age is 42; the salary I may not see."),
    ]);
    let mut session = Session::new(Agent::builder(model).tool(look).hook(Fence).build()?);
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
