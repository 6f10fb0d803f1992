//! The chain at the points of an agent's life: what passes on, what ends it, what a broken hook does.
//! Refuses the points of a turn, which are tested by the front door.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::*;
use crate::{
    event::Ground,
    message::{Outcome, Urgency},
};

/// What a hook does wherever it is called.
#[derive(Clone, Copy)]
enum Deed {
    Add(&'static str),
    Refuse,
    Panic,
    Hang,
}

struct Everywhere {
    deed: Deed,
    called: Arc<AtomicUsize>,
}

impl Everywhere {
    async fn act(&self, shown: &str) -> Verdict<String> {
        self.called.fetch_add(1, SeqCst);
        match self.deed {
            Deed::Add(word) => Verdict::Change(format!("{shown}{word}")),
            Deed::Refuse => Verdict::Refuse("house rules".into()),
            Deed::Panic => panic!("the hook breaks"),
            Deed::Hang => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Hook for Everywhere {
    fn deadline(&self) -> Duration {
        Duration::from_secs(3)
    }

    async fn on_spawn(&self, _: &HookContext, spawn: &Spawn) -> Verdict<String> {
        assert_eq!(
            (&*spawn.kind, spawn.ground),
            ("explore", Ground::Foreground)
        );
        self.act(&spawn.prompt).await
    }

    async fn on_child_end(&self, _: &HookContext, end: &ChildEnd) -> Verdict<String> {
        assert_eq!((&*end.kind, end.outcome), ("explore", Outcome::Ok));
        self.act(&end.text).await
    }

    async fn on_note(&self, _: &HookContext, note: &Note) -> Verdict<String> {
        assert_eq!(note.from, "user");
        self.act(&note.text).await
    }

    async fn on_session_start(&self, _: &HookContext) -> Verdict<String> {
        self.act("").await
    }

    async fn on_session_end(&self, _: &HookContext) {
        self.act("").await;
    }
}

/// What each of the five points says, and how often the hooks were called at it.
async fn all(deeds: &[Deed]) -> [(Verdict<String>, usize); 5] {
    let called = Arc::<AtomicUsize>::default();
    let hook = |deed: &Deed| {
        let (deed, called) = (*deed, called.clone());
        Arc::new(Everywhere { deed, called }) as Arc<dyn Hook>
    };
    let hooks = Hooks::new(deeds.iter().map(hook));
    let root = Scope::root();
    let child = root.path().child("x");
    let at = HookContext::new(SessionId::new("s"), TurnId(1), root);
    let count = || called.swap(0, SeqCst);
    let spawn = Spawn::new(child.clone(), "explore", "x");
    let end = ChildEnd::new(child, "explore", Outcome::Ok, "x");
    let note = Note {
        from: "user".into(),
        text: "x".into(),
        urgency: Urgency::NextStep,
    };
    let over = async {
        hooks.on_session_end(&at).await;
        Verdict::Keep
    };
    [
        (hooks.on_spawn(&at, &spawn).await, count()),
        (hooks.on_child_end(&at, &end).await, count()),
        (hooks.on_note(&at, &note).await, count()),
        (hooks.on_session_start(&at).await, count()),
        (over.await, count()),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_hook_sees_what_the_ones_before_made_of_a_child_or_a_note() {
    let changed = |text: &str| (Verdict::Change(text.to_owned()), 2);
    assert_eq!(
        all(&[Deed::Add("a"), Deed::Add("b")]).await,
        [
            changed("xab"),
            changed("xab"),
            changed("xab"),
            changed("a\n\nb"),
            (Verdict::Keep, 2),
        ]
    );
    assert_eq!(
        all(&[]).await.map(|(verdict, _)| verdict),
        [const { Verdict::Keep }; 5]
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_at_an_agents_start_or_end_ends_the_chain() {
    let said = all(&[Deed::Add("a"), Deed::Refuse, Deed::Add("b")]).await;
    for (at, (verdict, called)) in said.into_iter().enumerate() {
        let expected = match at {
            4 => (Verdict::Keep, 3),
            _ => (Verdict::Refuse("house rules".into()), 2),
        };
        assert_eq!((verdict, called), expected, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_hook_refuses_a_child_and_lets_all_else_pass() {
    for (deed, why) in [(Deed::Panic, "panicked"), (Deed::Hang, "deadline of 3s")] {
        let [spawn, end, note, start, over] = all(&[deed, Deed::Add("a")]).await;
        assert!(matches!(spawn.0, Verdict::Refuse(text) if text.contains(why)));
        assert_eq!(spawn.1, 1);
        for passed in [end, note] {
            assert_eq!(passed, (Verdict::Change("xa".into()), 2));
        }
        assert_eq!(start, (Verdict::Change("a".into()), 2));
        assert_eq!(
            over,
            (Verdict::Keep, 2),
            "the next hook still hears the end"
        );
    }
    let closed = [Point::OnSpawn];
    let open = [
        Point::OnChildEnd,
        Point::OnNote,
        Point::OnSessionStart,
        Point::OnSessionEnd,
    ];
    assert!(closed.iter().all(|point| point.fails_closed()));
    assert!(!open.iter().any(|point| point.fails_closed()));
}
