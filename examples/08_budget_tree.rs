//! A bomb that ends at its limits: every agent starts ten more. Needs no key: the model is scripted.

use futures::StreamExt;
use offshoot::{
    Agent, AgentKinds, Budget, EventKind, Outcome, Role, Session, subagents,
    testing::{Answer, Scripted},
};
use serde_json::json;

#[tokio::main]
async fn main() -> offshoot::Result<()> {
    // Whoever may start agents starts ten, then says that it is done.
    let model = Scripted::with(|seen| {
        let before = seen.messages.iter().any(|m| m.role == Role::Assistant);
        if before || !seen.tools.iter().any(|tool| tool == "Agent") {
            return Answer::text("done");
        }
        let order = json!({"description": "more", "prompt": "Start ten more of you"});
        (0..10).fold(Answer::empty(), |answer, _| {
            answer.call("Agent", order.clone())
        })
    });
    let agent = Agent::builder(model)
        .tools(subagents(AgentKinds::builtin()))
        .build()?;
    // One budget for the whole tree: what a child spends, everybody above has spent.
    let budget = Budget::unlimited()
        .depth(2)
        .live(8)
        .spawns(25)
        .tokens(50_000);
    let mut session = Session::builder(agent).budget(budget).open().await?;
    let mut turn = session.submit_message("Start ten more of you");
    let (mut started, mut refusals) = (0, Vec::new());
    while let Some(event) = turn.next().await {
        match event.kind {
            EventKind::ChildStart { .. } => started += 1,
            EventKind::ToolEnd { outcome, text, .. } if outcome != Outcome::Ok => {
                refusals.push(text);
            }
            EventKind::TurnEnd {
                usage, spent_by, ..
            } if event.parent.is_none() => {
                for row in &spent_by {
                    println!("{:>6} tokens  {}", row.usage.total(), row.agent);
                }
                println!("{:>6} tokens in {} calls", usage.total(), usage.requests);
            }
            _ => {}
        }
    }
    println!("{started} agents were started, {} refused", refusals.len());
    refusals.sort();
    refusals.dedup();
    refusals.iter().for_each(|refusal| println!("{refusal}"));
    Ok(())
}
