//! What the agent tree costs: a child's way to its first poll, its life, its memory, a cancel.
//! Refuses figures without a floor: each stands beside bare tokio of the same shape in the same run.

use std::{
    hint::black_box,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use offshoot::{
    Agent, AgentGroup, AgentKind, AgentKinds, AgentRegistry, Backend, Budget, Capabilities, Child,
    Conversation, Error, ErrorKind, Grant, GroupPolicy, Meter, Order, Scope, Seat, SessionId, Sink,
    subagents,
    testing::{Answer, Scripted},
    tool_fn,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Children of one parent in the rows that count many.
const CHILDREN: usize = 1_000;
/// Children opened one after the other for the first row.
const SPAWNS: usize = 5_000;
/// Descendants that are cancelled.
const CANCELLED: usize = 10_000;
/// Runs of each row, of which the median counts.
const RUNS: usize = 5;

/// Whose child the nth one is.
type Above = fn(usize) -> usize;

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let runs = if quick { 1 } else { RUNS };
    println!("| row | floor | offshoot | ratio |\n|---|--:|--:|--:|");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // First, because what later rows free would be used again and count for nothing.
    let (before, tree) = (rss_kib(), runtime.block_on(live_children()));
    let each = (rss_kib() - before) / CHILDREN as f64;
    drop(tree);
    row("spawn to first poll, µs", 1e6, || {
        let floor = median(runs, || runtime.block_on(floor_spawn()));
        let ours = median(runs, || runtime.block_on(our_spawn()));
        (floor, ours)
    });
    row(
        "1,000 children x 2 turns, CPU µs a child",
        1e6 / CHILDREN as f64,
        || {
            let floor = median(runs, || cpu(|| runtime.block_on(floor_children())));
            let ours = median(runs, || cpu(|| runtime.block_on(our_children())));
            (floor, ours)
        },
    );
    let shapes: [(&str, Above); 3] = [
        ("flat", |_| 0),
        ("fan-out 10", |n| n / 10),
        ("a chain", |n| n),
    ];
    for (name, above) in shapes {
        let name = format!("cancel of 10,000 descendants, {name}, ms");
        row(&name, 1e3, || {
            let floor = median(runs, || runtime.block_on(floor_cancel(above)));
            let ours = median(runs, || runtime.block_on(our_cancel(above)));
            (floor, ours)
        });
    }
    println!("| memory of a live child, KiB | - | {each:.1} | |");
}

fn row(name: &str, scale: f64, measure: impl FnOnce() -> (Duration, Duration)) {
    let (floor, ours) = measure();
    let ratio = ours.as_secs_f64() / floor.as_secs_f64();
    let (floor, ours) = (floor.as_secs_f64() * scale, ours.as_secs_f64() * scale);
    println!("| {name} | {floor:.2} | {ours:.2} | {ratio:.2} |");
}

fn median(runs: usize, mut run: impl FnMut() -> Duration) -> Duration {
    run();
    let mut times: Vec<_> = (0..runs).map(|_| run()).collect();
    times.sort();
    times[times.len() / 2]
}

/// The place of an agent that opens children, with room for all of them.
fn parent(backend: Arc<dyn Backend>) -> (Grant, Seat) {
    let scope = Scope::root();
    let seat = AgentRegistry::new().root(SessionId::random(), &scope);
    let many = 1_000_000;
    let meter = Meter::new(Budget::unlimited().live(many).spawns(many));
    let grant = Grant::root(seat.desk(), meter, Sink::nowhere(), backend);
    (grant, seat)
}

fn parent_agent(model: Scripted) -> Arc<dyn Backend> {
    let word = |_: serde_json::Value| async { "a word" };
    let agent = Agent::builder(model)
        .tools(subagents(AgentKinds::builtin()))
        .tool(tool_fn("word", "Says a word", word));
    Arc::new(agent.build().unwrap())
}

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

async fn our_spawn() -> Duration {
    let stamp = Arc::new(Stamp(Mutex::default()));
    let (grant, _seat) = parent(stamp.clone());
    let kind = AgentKind::new("stamp", "says when").backend(stamp.clone());
    let kinds = AgentKinds::none().with(kind).unwrap();
    let mut total = Duration::ZERO;
    for _ in 0..SPAWNS {
        let group = AgentGroup::new(GroupPolicy::All).with(Order::new("stamp", "when?"));
        let began = Instant::now();
        black_box(group.run(&grant, &kinds).await);
        total += stamp.0.lock().unwrap().take().unwrap() - began;
    }
    total / SPAWNS as u32
}

#[expect(clippy::disallowed_methods, reason = "the floor is tokio without us")]
async fn floor_spawn() -> Duration {
    let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
    let mut total = Duration::ZERO;
    for _ in 0..SPAWNS {
        let began = Instant::now();
        let token = token.child_token();
        let held = tracker.token();
        let polled = tokio::spawn(async move {
            let now = Instant::now();
            drop((token, held));
            now
        });
        total += polled.await.unwrap() - began;
    }
    total / SPAWNS as u32
}

fn model() -> Scripted {
    Scripted::with(|seen| match seen.messages.len() {
        0..=1 => Answer::text("a moment").call("word", serde_json::json!({})),
        _ => Answer::text("done"),
    })
}

async fn our_children() {
    let (grant, _seat) = parent(parent_agent(model()));
    let mut group = AgentGroup::new(GroupPolicy::All);
    for _ in 0..CHILDREN {
        group = group.with(Order::new("general-purpose", "say a word"));
    }
    let ended = group.run(&grant, &AgentKinds::builtin()).await;
    assert!(ended.iter().all(Result::is_ok), "{:?}", ended.first());
}

/// The same turns, each in a session of its own: what the tree adds is the difference.
async fn floor_children() {
    let agent = {
        let word = |_: serde_json::Value| async { "a word" };
        let agent = Agent::builder(model())
            .tools(subagents(AgentKinds::builtin()))
            .tool(tool_fn("word", "Says a word", word));
        agent.build().unwrap()
    };
    let one = async |_| {
        let mut session = offshoot::Session::new(agent.clone());
        session.submit_message("say a word").finish().await
    };
    black_box(futures::future::join_all((0..CHILDREN).map(one)).await);
}

async fn our_cancel(above: Above) -> Duration {
    let root = Scope::root();
    let mut scopes = vec![root.clone()];
    for n in 0..CANCELLED {
        let child = scopes[above(n)].child("a");
        let inside = child.clone();
        child.spawn(async move { inside.cancelled().await });
        scopes.push(child);
    }
    tokio::task::yield_now().await;
    let began = Instant::now();
    black_box(root.close().await);
    began.elapsed()
}

#[expect(clippy::disallowed_methods, reason = "the floor is tokio without us")]
async fn floor_cancel(above: Above) -> Duration {
    let tracker = TaskTracker::new();
    let mut tokens = vec![CancellationToken::new()];
    for n in 0..CANCELLED {
        let child = tokens[above(n)].child_token();
        let inside = child.clone();
        tokio::spawn(tracker.track_future(async move { inside.cancelled().await }));
        tokens.push(child);
    }
    tracker.close();
    tokio::task::yield_now().await;
    let began = Instant::now();
    tokens[0].cancel();
    tracker.wait().await;
    began.elapsed()
}

/// Children that wait for a model which never answers.
async fn live_children() -> (Grant, Seat, Vec<Child>) {
    let stalled = Scripted::forever(Answer::text("one two").stall_after(1));
    let (grant, seat) = parent(parent_agent(stalled));
    let kinds = AgentKinds::builtin();
    let mut children = Vec::with_capacity(CHILDREN);
    for _ in 0..CHILDREN {
        let order = Order::new("general-purpose", "wait").in_background();
        children.push(Child::open(&grant, &kinds, order).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    (grant, seat, children)
}

fn cpu(work: impl FnOnce()) -> Duration {
    let before = cpu_now();
    work();
    cpu_now() - before
}

/// The CPU time of this process, from the scheduler's own count.
fn cpu_now() -> Duration {
    let mut total = 0;
    for task in std::fs::read_dir("/proc/self/task").expect("needs /proc, so Linux") {
        let path = task.unwrap().path().join("schedstat");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let nanos = text.split_whitespace().next();
        total += nanos.and_then(|n| n.parse().ok()).unwrap_or(0);
    }
    Duration::from_nanos(total)
}

fn rss_kib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
