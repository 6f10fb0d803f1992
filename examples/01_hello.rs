//! One session, one streamed answer. Needs no key: without one a rule-based model answers.

use futures::StreamExt;
use offshoot::{Agent, EventKind, Session, provider, tools};

#[tokio::main]
async fn main() -> offshoot::Result<()> {
    let model = provider::from_env().await?.provider;
    let tools = tools::read_only(".")?;
    let mut session = Session::new(Agent::builder_for(model).tools(tools).build()?);
    let mut turn = session.submit_message("Survey this folder and tell me what it is");
    while let Some(event) = turn.next().await {
        if let EventKind::TextDelta { text, .. } = event.kind {
            print!("{text}");
        }
    }
    Ok(())
}
