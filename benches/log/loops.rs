//! What waiting for the disk costs a loop of tool calls: `Step` beside `Off`, one session and many.
//! Refuses a model that answers at once: nobody has one.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use offshoot::{
    Agent, Effect, Lane, Session, Tool, ToolContext, ToolOutput, ToolSpec,
    store::{Durability, SqliteStore, Store},
    testing::{Answer, Scripted},
};
use serde_json::{Value, json};

/// How long the model waits between two pieces of an answer: with the timer's own step some 20 ms in all.
const PAUSE: Duration = Duration::from_millis(2);
/// Tool turns of a session.
const TURNS: usize = 50;

/// A tool that must not be repeated, so that each call waits for its intent.
struct Act(ToolSpec);

#[async_trait::async_trait]
impl Tool for Act {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, _: ToolContext, _: Value) -> ToolOutput {
        ToolOutput::from("done, and here are some words on how it went")
    }
}

fn agent(effect: Effect) -> Agent {
    let model = Scripted::with(|seen| match seen.messages.len() / 2 {
        TURNS.. => Answer::text("all done").pause(PAUSE),
        n => Answer::text("on it")
            .call("act", json!({"step": n}))
            .pause(PAUSE),
    });
    let spec = ToolSpec::new("act", "Acts", json!({"type": "object"}))
        .lane(Lane::Shared)
        .effect(effect);
    let act: Arc<dyn Tool> = Arc::new(Act(spec));
    let agent = Agent::builder(model).tool(act).max_steps(TURNS as u64 + 10);
    agent.build().unwrap()
}

/// So many sessions at once, each to its end; gives the time of all.
pub(crate) async fn run(home: &Path, many: usize, effect: Effect, wait: Durability) -> Duration {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(home).unwrap());
    let since = Instant::now();
    let sessions = (0..many).map(|_| {
        let session = Session::builder(agent(effect)).store_arc(store.clone());
        let session = session.durability(wait);
        async move {
            let mut session = session.open().await.unwrap();
            let end = session.submit_message("act").finish().await;
            assert!(end.stop.is_finished(), "{end:?}");
            session.close().await;
        }
    });
    join_all(sessions).await;
    since.elapsed()
}
