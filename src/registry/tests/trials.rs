//! Cancels raced against agents that enroll, write, leave and panic: receipts are exactly who lived.
//! Refuses to repeat a race by chance alone: what each agent does follows from a seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{FutureExt, future::BoxFuture};

use super::*;
use crate::{
    message::{Note, Urgency},
    scope::{
        Receipt, WaitFor,
        tests::{Life, Lived},
    },
};

const MAX_AGENTS: usize = 60;

#[derive(Default)]
struct World {
    agents: AtomicUsize,
    lives: Mutex<Vec<(AgentPath, Life)>>,
    tickets: Mutex<Vec<Ticket>>,
    panicked: AtomicUsize,
}

impl World {
    fn born(&self, seat: &Seat) {
        let life = seat.occupied.as_ref().unwrap().life.clone();
        self.lives.lock().unwrap().push((seat.path().clone(), life));
    }

    fn sent(&self, ticket: Result<Ticket, MailboxFull>) {
        self.tickets.lock().unwrap().extend(ticket);
    }
}

fn note(text: &str) -> Note {
    Note {
        from: "test".into(),
        text: text.into(),
        urgency: Urgency::NextStep,
    }
}

/// An agent that does as its dice say.
fn agent(seat: Seat, seed: u64, world: Arc<World>) -> BoxFuture<'static, ()> {
    async move {
        let mut dice = Dice(seed);
        let (desk, scope) = (seat.desk(), seat.scope().clone());
        for _ in 0..dice.roll(12) {
            match dice.roll(12) {
                0..4 => bring_up(&seat, seed ^ dice.roll(1 << 30) as u64, &world),
                4 => {
                    let parent = desk.path().parent().unwrap_or_default();
                    if let Reached::Alive(other) = desk.reach(parent.as_str()) {
                        world.sent(other.mailbox().push(note("up")));
                    }
                }
                5 => {
                    let drained = desk.mailbox().drain();
                    match dice.roll(2) {
                        0 => drop(drained.ack()),
                        _ => drop(drained),
                    }
                }
                6 => {
                    let part = scope.part();
                    let _waiting = part.waiting(WaitFor::Mail);
                    let mail = desk.mailbox().arrived();
                    part.race(mail.map(drop).or_yield()).await;
                }
                7 => {
                    // Without the hook that prints: nobody wants to read a thousand of them.
                    world.panicked.fetch_add(1, Ordering::Relaxed);
                    std::panic::resume_unwind(Box::new("on purpose"));
                }
                8 => break,
                _ => tokio::task::yield_now().await,
            }
        }
        loop {
            let changed = desk.children_changed();
            if !desk.has_children() || scope.race(changed).await.is_none() {
                break;
            }
        }
        let parent = desk.path().parent().unwrap_or_default();
        if let Reached::Alive(parent) = desk.reach(parent.as_str()) {
            world.sent(parent.mailbox().push_control(note("done")));
        }
        match scope.is_cancelled() {
            true => drop(seat),
            false => seat.leave(Ended::finished("done")),
        }
    }
    .boxed()
}

/// Ends soon also when nothing comes.
trait OrYield: Future<Output = ()> + Send + Sized {
    async fn or_yield(self) {
        tokio::select! {
            () = self => {}
            () = tokio::task::yield_now() => {}
        }
    }
}

impl<F: Future<Output = ()> + Send> OrYield for F {}

fn bring_up(above: &Seat, seed: u64, world: &Arc<World>) {
    if world.agents.fetch_add(1, Ordering::Relaxed) >= MAX_AGENTS {
        return;
    }
    let seat = child(above, ["a", "b"][seed as usize % 2]);
    world.born(&seat);
    let scope = seat.scope().clone();
    scope.spawn(agent(seat, seed, world.clone()));
}

/// One trial; says whether the cancel came into the middle of it.
async fn trial(seed: u64) -> bool {
    let mut dice = Dice(seed);
    let (registry, root) = planted();
    let mut watch = registry.watch();
    let world = Arc::new(World::default());
    world.born(&root);
    for _ in 0..1 + dice.roll(4) {
        bring_up(&root, dice.roll(1 << 40) as u64, &world);
    }
    for _ in 0..dice.roll(30) {
        tokio::task::yield_now().await;
    }
    // Somebody in the middle first, then everybody.
    let rows = registry.list();
    let mut receipts = vec![];
    if let Reached::Alive(one) = root.desk().reach(rows[dice.roll(rows.len())].path.as_str()) {
        receipts.push(one.scope().cancel());
    }
    for _ in 0..dice.roll(3) {
        tokio::task::yield_now().await;
    }
    receipts.push(root.scope().cancel());
    soon(root.scope().wait()).await;
    let scope = root.scope().clone();
    drop(root);

    check_receipts(seed, &receipts, &world);
    assert!(
        registry.is_empty() && registry.0.trees.is_empty(),
        "seed {seed}"
    );
    assert!(scope.cancel().is_empty(), "seed {seed}: nothing lives");
    for ticket in world.tickets.lock().unwrap().iter() {
        assert!(ticket.state().is_final(), "seed {seed}: {ticket:?}");
    }
    drop(registry);
    let mut changes: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
    // The end of it comes only when nothing holds the registry any more.
    while let Some(change) = soon(watch.next()).await {
        match change {
            AgentChange::Entered(row) => changes.entry(row.seq).or_default().0 += 1,
            AgentChange::Left(row) => changes.entry(row.seq).or_default().1 += 1,
        }
    }
    assert_eq!(watch.missed(), 0);
    let once = changes
        .values()
        .all(|(entered, left)| *left == 1 && *entered <= 1);
    assert!(once, "seed {seed}: each leaves exactly once: {changes:?}");
    assert_eq!(
        changes.len(),
        world.lives.lock().unwrap().len(),
        "seed {seed}"
    );

    let lives = world.lives.lock().unwrap();
    let any = |lived| {
        lives[1..]
            .iter()
            .any(|(_, life)| life.lived() == Some(lived))
    };
    any(Lived::CutShort) && any(Lived::Whole)
}

fn check_receipts(seed: u64, receipts: &[Receipt], world: &World) {
    let told: Vec<BTreeSet<_>> = receipts
        .iter()
        .map(|r| r.agents().into_iter().collect())
        .collect();
    let all: BTreeSet<_> = told.iter().flatten().cloned().collect();
    let sum: usize = told.iter().map(BTreeSet::len).sum();
    assert_eq!(sum, all.len(), "seed {seed}: nobody is told of twice");
    let lives = world.lives.lock().unwrap();
    let cut = lives
        .iter()
        .filter(|(_, life)| life.lived() == Some(Lived::CutShort));
    let cut: BTreeSet<_> = cut.map(|(path, _)| path.clone()).collect();
    assert_eq!(all, cut, "seed {seed}: the receipts are who lived");
    assert!(
        lives.iter().all(|(_, life)| life.lived().is_some()),
        "seed {seed}: all have left"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cancels_raced_against_everything_stop_exactly_what_lived() {
    let mut middle = 0;
    let trials = size(1_000, 20_000);
    for seed in 0..trials as u64 {
        middle += usize::from(trial(seed).await);
    }
    // How many depends on how busy the machine is; none would mean that nothing was raced.
    assert!(middle > 0, "the races must be races: {middle}");
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    soon(async {
        while tasks() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
