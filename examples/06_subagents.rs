//! A folder surveyed by one helper for each sub-folder, the tree printed as it grows. Needs no key.

use futures::StreamExt;
use offshoot::{Agent, AgentKinds, EventKind, Session, provider::Offline, subagents, tools};

#[tokio::main]
async fn main() -> offshoot::Result<()> {
    let agent = Agent::builder(Offline::new())
        .tools(tools::read_only(".")?)
        .tools(subagents(AgentKinds::builtin()))
        .build()?;
    let mut session = Session::new(agent);
    let mut turn = session.submit_message("Survey this folder and tell me what it is");
    while let Some(event) = turn.next().await {
        // Every event says whose it is; a child's come in the same stream as the root's.
        let indent = "  ".repeat(event.agent.depth());
        match event.kind {
            EventKind::ChildStart { description, .. } => {
                println!("{indent}+ {}: {description}", event.agent);
            }
            EventKind::ToolStart { name, .. } if event.parent.is_some() => {
                println!("{indent}  {name}");
            }
            EventKind::ChildEnd { outcome, usage, .. } => {
                let (word, tokens) = (outcome.as_str(), usage.total());
                println!("{indent}- {}: {word}, {tokens} tokens", event.agent);
            }
            EventKind::TurnEnd { text, .. } if event.parent.is_none() => println!("\n{text}"),
            _ => {}
        }
    }
    Ok(())
}
