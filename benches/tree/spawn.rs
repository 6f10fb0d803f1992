//! From the order for a child to its first poll, beside a bare task with a token.
//! Refuses to count what the child does then.

use std::{
    hint::black_box,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use offshoot::{
    AgentGroup, AgentKind, AgentKinds, Backend, Capabilities, Conversation, Error, ErrorKind,
    Grant, GroupPolicy, Order,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::parent::parent;

/// Children opened one after the other.
const SPAWNS: usize = 5_000;

/// Says when it is opened, and refuses.
#[derive(Debug)]
struct Stamp(Mutex<Option<Instant>>);

impl Backend for Stamp {
    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL
    }

    fn open(
        self: Arc<Self>,
        _: Grant,
    ) -> BoxFuture<'static, offshoot::Result<Box<dyn Conversation>>> {
        Box::pin(async move {
            *self.0.lock().unwrap() = Some(Instant::now());
            Err(Error::new(ErrorKind::Config, "only the time is wanted"))
        })
    }
}

pub(crate) async fn ours() -> Duration {
    let stamp = Arc::new(Stamp(Mutex::default()));
    let (grant, _seat) = parent(stamp.clone());
    let kind = AgentKind::new("stamp", "says when").backend(stamp.clone());
    let kinds = AgentKinds::none().with(kind).unwrap();
    let mut times = Vec::with_capacity(SPAWNS);
    for _ in 0..SPAWNS {
        let group = AgentGroup::new(GroupPolicy::All).with(Order::new("stamp", "when?"));
        let began = Instant::now();
        black_box(group.run(&grant, &kinds).await);
        times.push(stamp.0.lock().unwrap().take().unwrap() - began);
    }
    middle(times)
}

#[expect(clippy::disallowed_methods, reason = "the floor is tokio without us")]
pub(crate) async fn floor() -> Duration {
    let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
    let mut times = Vec::with_capacity(SPAWNS);
    for _ in 0..SPAWNS {
        let began = Instant::now();
        let token = token.child_token();
        let held = tracker.token();
        let polled = tokio::spawn(async move {
            let now = Instant::now();
            drop((token, held));
            now
        });
        times.push(polled.await.unwrap() - began);
    }
    middle(times)
}

/// The one in the middle: a neighbour on the machine who comes in between counts for nothing.
fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
