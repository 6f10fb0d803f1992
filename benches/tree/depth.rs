//! What an event costs that an agent tells deep in the tree, as the root's watcher hears it.
//! Refuses time: it is counted in instructions.

use offshoot::{
    Session,
    testing::{Answer, Scripted},
};

use crate::parent::{agent, roomy};

/// A chain of agents, the last of which says so many words; the root hears all of them.
pub(crate) async fn run(depth: usize, words: u64) {
    let said = "word ".repeat(words as usize);
    let model = Scripted::with(move |seen| {
        // Its own task says how many agents are still to come below it.
        let left: usize = seen.messages[0].text().parse().unwrap();
        match (seen.messages.len(), left) {
            (1, 0) => Answer::text(said.as_str()),
            (1, _) => Answer::text("").call(
                "Agent",
                serde_json::json!({"prompt": (left - 1).to_string(), "description": "deeper"}),
            ),
            _ => Answer::text("done"),
        }
    });
    let budget = roomy().depth(depth as u64 + 1);
    let builder = Session::builder(agent(model)).budget(budget);
    let mut session = builder.open().await.unwrap();
    let mut turn = session.submit_message(depth.to_string());
    let mut heard = 0;
    while let Some(event) = futures::StreamExt::next(&mut turn).await {
        heard += usize::from(event.kind.is_delta() && event.agent.depth() == depth);
    }
    assert!(heard as u64 >= words, "{heard}");
}
