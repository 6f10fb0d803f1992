//! Many children of one parent, two model calls each, beside the same turns in sessions of their own.
//! Refuses sockets: what the tree adds is the difference.

use std::{hint::black_box, sync::Arc, time::Duration};

use offshoot::{
    AgentGroup, AgentKinds, Child, Grant, GroupPolicy, Order, Seat, Session,
    testing::{Answer, Scripted},
};

use crate::parent::{agent, model, parent};

/// Children of one parent in the rows that count many.
pub(crate) const CHILDREN: usize = 1_000;

pub(crate) async fn ours(children: usize) {
    let (grant, _seat) = parent(Arc::new(agent(model())));
    let mut group = AgentGroup::new(GroupPolicy::All);
    for _ in 0..children {
        group = group.with(Order::new("general-purpose", "say a word"));
    }
    let ended = group.run(&grant, &AgentKinds::builtin()).await;
    assert!(ended.iter().all(Result::is_ok), "{:?}", ended.first());
}

/// The same turns, each in a session of its own.
pub(crate) async fn floor(sessions: usize) {
    let agent = agent(model());
    let one = async |_| {
        let mut session = Session::new(agent.clone());
        session.submit_message("say a word").finish().await
    };
    black_box(futures::future::join_all((0..sessions).map(one)).await);
}

/// Children that wait for a model which never answers.
pub(crate) async fn alive() -> (Grant, Seat, Vec<Child>) {
    let stalled = Scripted::forever(Answer::text("one two").stall_after(1));
    let (grant, seat) = parent(Arc::new(agent(stalled)));
    let kinds = AgentKinds::builtin();
    let mut children = Vec::with_capacity(CHILDREN);
    for _ in 0..CHILDREN {
        let order = Order::new("general-purpose", "wait").in_background();
        children.push(Child::open(&grant, &kinds, order).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    (grant, seat, children)
}
