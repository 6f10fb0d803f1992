//! Random lives of random trees against a model that works out each answer from the definitions.
//! Refuses to look only at the end: every meter is compared after every step.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{model::Tree, *};

/// Agents are named by a number, modulo how many there ever were.
#[derive(Clone, Debug)]
enum Step {
    Reserve(usize, Budget),
    Admit(usize),
    Charge(usize, u64, u64),
    /// Its place is dropped.
    End(usize),
    /// Its meter is dropped.
    Forget(usize),
    Process(usize),
    /// The slot of this number is dropped.
    Stop(usize),
    /// A task that holds place, meter and slots of an agent panics.
    Panic(usize),
}

fn limit(most: u64) -> impl Strategy<Value = Option<u64>> {
    prop_oneof![2 => Just(None), 1 => (0..=most).prop_map(Some)]
}

fn budget() -> impl Strategy<Value = Budget> {
    let spending = (limit(6), limit(60), limit(60));
    let tree = (limit(4), limit(6), limit(12), limit(3));
    (spending, tree).prop_map(|(spending, tree)| {
        let mut budget = Budget::unlimited();
        (budget.turns, budget.tokens, budget.micros) = spending;
        (budget.depth, budget.live, budget.spawns, budget.processes) = tree;
        budget
    })
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0usize..32;
    prop_oneof![
        6 => (who(), budget()).prop_map(|(at, budget)| Step::Reserve(at, budget)),
        4 => who().prop_map(Step::Admit),
        6 => (who(), 0u64..30, 0u64..30).prop_map(|(at, a, b)| Step::Charge(at, a, b)),
        4 => who().prop_map(Step::End),
        2 => who().prop_map(Step::Forget),
        2 => who().prop_map(Step::Process),
        2 => who().prop_map(Step::Stop),
        1 => who().prop_map(Step::Panic),
    ]
}

/// The real thing and the model, side by side.
struct Pair {
    tree: Tree,
    paths: Vec<AgentPath>,
    meters: Vec<Option<Meter>>,
    places: Vec<Option<Place>>,
    slots: Vec<(usize, ProcessSlot)>,
    room: usize,
}

impl Pair {
    fn new(budget: Budget, room: usize) -> Self {
        Self {
            tree: Tree::new(&budget),
            paths: vec![AgentPath::root()],
            meters: vec![Some(Meter::with_room(budget, room))],
            places: vec![None],
            slots: Vec::new(),
            room,
        }
    }

    fn run(&mut self, step: Step) {
        let all = self.meters.len();
        let meter = |at: usize| Some((at % all, self.meters[at % all].clone()?));
        match step {
            Step::Reserve(at, budget) => {
                let Some((at, meter)) = meter(at) else { return };
                let path = self.paths[at].child(&all.to_string());
                let real = meter.reserve(&path, "Agent", budget.clone());
                let model = self.tree.reserve(at, &budget);
                assert_eq!(real.is_ok(), model.is_some(), "{:?}", real.err());
                if let Ok((meter, place)) = real {
                    self.paths.push(path);
                    self.meters.push(Some(meter));
                    self.places.push(Some(place));
                }
            }
            Step::Admit(at) => {
                let Some((at, meter)) = meter(at) else { return };
                assert_eq!(meter.admit().is_ok(), self.tree.admit(at));
            }
            Step::Charge(at, used, cost) => {
                let Some((at, meter)) = meter(at) else { return };
                meter.charge(&tokens(used), micros(cost));
                self.tree.charge(at, tokens(used), micros(cost));
            }
            Step::End(at) => self.end(at % all),
            // The root's is kept, to ask it.
            Step::Forget(at) if at % all != 0 => self.meters[at % all] = None,
            Step::Forget(_) => {}
            Step::Process(at) => {
                let Some((at, meter)) = meter(at) else { return };
                let slot = meter.process();
                assert_eq!(slot.is_ok(), self.tree.process(at));
                self.slots.extend(slot.ok().map(|slot| (at, slot)));
            }
            Step::Stop(slot) if !self.slots.is_empty() => {
                let (at, _slot) = self.slots.swap_remove(slot % self.slots.len());
                self.tree.stopped(at);
            }
            Step::Stop(_) => {}
            Step::Panic(at) if at % all != 0 => self.panic(at % all),
            Step::Panic(_) => {}
        }
        self.check();
    }

    fn end(&mut self, at: usize) {
        if self.places[at].take().is_some() {
            self.tree.0[at].alive = false;
        }
    }

    fn panic(&mut self, at: usize) {
        let (mine, others) = std::mem::take(&mut self.slots)
            .into_iter()
            .partition::<Vec<_>, _>(|(owner, _)| *owner == at);
        self.slots = others;
        mine.iter().for_each(|(at, _)| self.tree.stopped(*at));
        if self.places[at].is_some() {
            self.tree.0[at].alive = false;
        }
        let held = (self.meters[at].take(), self.places[at].take(), mine);
        let task = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = held;
            // Without the hook, which would print.
            std::panic::resume_unwind(Box::new("on purpose"));
        }));
        assert!(task.is_err());
    }

    fn check(&self) {
        let some = |n: u64| Some(n).filter(|n| *n < u64::MAX);
        for (at, meter) in self.meters.iter().enumerate() {
            let Some(meter) = meter else { continue };
            let left = meter.left();
            let spending = [left.turns, left.tokens, left.micros];
            assert_eq!(spending, [0, 1, 2].map(|i| some(self.tree.left(at, i))));
            assert_eq!(meter.tokens_left(), left.tokens);
            let counting = [left.live, left.spawns, left.processes];
            assert_eq!(counting, [0, 1, 2].map(|i| self.tree.room(at, i)));
            assert_eq!(left.depth, self.tree.levels(at));
            let spent = meter.spent();
            assert_eq!(spent, self.tree.spent(at));
            self.check_ledger(at, &meter.ledger(), spent);
        }
    }

    fn check_ledger(&self, top: usize, rows: &[Spending], spent: (Usage, Cost)) {
        assert_eq!(sum(rows), spent);
        assert!(rows.is_sorted_by_key(|row| (&row.agent, &row.tool)));
        assert!(rows.len() <= self.room, "{} rows", rows.len());
        let own = |row: &&Spending| row.tool.as_deref() != Some(MORE);
        let agents: Vec<usize> = self.tree.below(top).collect();
        // Whoever has a row has exactly one, and it is right.
        for row in rows.iter().filter(own) {
            let at = self.paths.iter().position(|path| *path == row.agent);
            let agent = &self.tree.0[at.unwrap()];
            assert_eq!((row.usage, row.cost), (agent.usage, agent.cost));
            assert_eq!(row.tool.is_none(), at == Some(top));
            assert!(agents.contains(&at.unwrap()));
        }
        let told = rows.iter().filter(own).count();
        let paths: std::collections::HashSet<_> =
            rows.iter().filter(own).map(|row| &row.agent).collect();
        assert_eq!(told, paths.len());
        let mores = rows.len() - told;
        if self.tree.0.len() < self.room {
            assert_eq!((told, mores), (agents.len(), 0));
        }
        for row in rows.iter().filter(|row| !own(row)) {
            assert!(paths.contains(&row.agent), "a sum stands below a row");
        }
    }

    /// Everything ends, in an order that the seed decides.
    fn finish(mut self, seed: usize) {
        let all = self.places.len();
        for at in 0..all {
            self.end((at * 7 + seed) % all);
            self.check();
        }
        (0..all).for_each(|at| self.end(at));
        for (at, _slot) in std::mem::take(&mut self.slots) {
            self.tree.stopped(at);
        }
        self.check();
        let root = self.meters[0].clone().unwrap();
        self.meters.truncate(1);
        self.check();
        // Nothing has leaked: all seats are free, and of spending only what was spent is gone.
        let left = root.left();
        assert_eq!(left.live, self.tree.limits().1[0].unwrap());
        assert_eq!(left.processes, self.tree.limits().1[2].unwrap());
        let (usage, cost) = root.spent();
        let spent = [self.tree.used(0, 0), usage.total(), cost.micros];
        let limits = self.tree.limits().0;
        let rest = |i: usize| limits[i].map(|limit| limit.saturating_sub(spent[i]));
        assert_eq!([left.turns, left.tokens, left.micros], [0, 1, 2].map(rest));
        assert_eq!(root.books().len(), 1, "ended agents stay in the books");
    }
}

fn prove(cases: u32, room: usize) {
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let lives = (budget(), prop::collection::vec(step(), 0..60), 0usize..100);
    let proof = runner.run(&lives, |(budget, steps, seed)| {
        let mut pair = Pair::new(budget, room);
        steps.into_iter().for_each(|step| pair.run(step));
        pair.finish(seed);
        Ok(())
    });
    proof.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn inv07_random_trees_answer_as_the_definitions_say() {
    prove(size(400, 10_000), MAX_LEDGER_ROWS);
}

#[test]
fn inv07_random_trees_with_ledgers_that_are_too_small() {
    for room in [2, 3, 8] {
        prove(size(150, 4_000), room);
    }
}
