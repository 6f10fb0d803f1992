//! A chat that goes on while a child works, writes to the child, and is woken by its answer.
//! Needs no key: the model is scripted.

use std::time::Duration;

use offshoot::{
    Agent, AgentKinds, Message, OnChildren, Session, subagents,
    testing::{Answer, Scripted, Seen},
};
use serde_json::json;

const CHILD: &str = "root/general-purpose/1";
/// Between two words of the child.
const PAUSE: Duration = Duration::from_millis(100);

/// The child waits for a word and then answers; the root opens it, writes to it, and hears it.
fn play(seen: &Seen) -> Answer {
    let said: Vec<_> = seen.messages.iter().map(Message::text).collect();
    let heard = |text: &str| said.iter().any(|said| said.contains(text));
    let order =
        json!({"description": "count", "prompt": "Count to ten", "run_in_background": true});
    let word = json!({"to": CHILD, "message": "Count to three instead"});
    match said[0].as_str() {
        "Count to ten" if heard("to three instead") => Answer::text("one, two, three").pause(PAUSE),
        "Count to ten" => Answer::empty().call("wait", json!({})),
        _ if heard("one, two, three") => "It says: one, two, three.".into(),
        _ if said.len() == 1 => Answer::empty().call("Agent", order),
        _ if said.len() == 3 => "It is counting.".into(),
        _ if said.len() == 5 => Answer::empty().call("SendMessage", word),
        _ => "I told it.".into(),
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Wait {}

#[tokio::main]
async fn main() -> offshoot::Result<()> {
    let wait = offshoot::tool_fn("wait", "Waits a moment", |_: Wait| async {
        tokio::time::sleep(PAUSE / 5).await;
        "waited"
    });
    let agent = Agent::builder(Scripted::with(play))
        .tools(subagents(AgentKinds::builtin()))
        .tool(wait)
        .build()?;
    // A chat ends its turn while children live, rather than waiting for them.
    let mut session = Session::builder(agent)
        .on_children(OnChildren::Yield)
        .open()
        .await?;
    for message in ["Start somebody who counts", "Tell it that three is enough"] {
        println!("> {message}");
        println!("{}", session.submit_message(message).text().await?);
    }
    // Nobody asks anything here: the child's note begins the turn.
    while let Some(turn) = session.next_turn().await {
        println!("(woken) {}", turn.text().await?);
    }
    println!("{} messages were exchanged", session.history().len());
    session.close().await;
    Ok(())
}
