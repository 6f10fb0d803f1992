//! An agent that opens children, with room for as many as a row needs, and what they are made of.
//! Refuses sockets: its models are scripts.

use std::sync::Arc;

use offshoot::{
    Agent, AgentKinds, AgentRegistry, Backend, Budget, Grant, Meter, Scope, Seat, SessionId, Sink,
    subagents,
    testing::{Answer, Scripted},
    tool_fn,
};

/// A budget with room for all.
pub(crate) fn roomy() -> Budget {
    let many = 1_000_000;
    Budget::unlimited().live(many).spawns(many)
}

/// The place of an agent that opens children.
pub(crate) fn parent(backend: Arc<dyn Backend>) -> (Grant, Seat) {
    let scope = Scope::root();
    let seat = AgentRegistry::new().root(SessionId::random(), &scope);
    let grant = Grant::root(seat.desk(), Meter::new(roomy()), Sink::nowhere(), backend);
    (grant, seat)
}

/// An agent with a tool, whose children have that tool.
pub(crate) fn agent(model: Scripted) -> Agent {
    let word = |_: serde_json::Value| async { "a word" };
    let agent = Agent::builder(model)
        .tools(subagents(AgentKinds::builtin()))
        .tool(tool_fn("word", "Says a word", word));
    agent.build().unwrap()
}

/// A model that calls a tool once and is done.
pub(crate) fn model() -> Scripted {
    Scripted::with(|seen| match seen.messages.len() {
        0..=1 => Answer::text("a moment").call("word", serde_json::json!({})),
        _ => Answer::text("done"),
    })
}
