//! The registry while agents work: whoever looks into it, wherever the engine waits, is never stuck.
//! Refuses to read sources, which `architecture` does; here a guard that is held stops the clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt;
use offshoot::{
    AgentPath, AgentRegistry, Budget, ChildEnd, Event, Ground, Hook, HookContext, Message, Note,
    Preamble, Session, SessionId, Spawn, ToolCall, ToolResult, Tracer, Verdict,
    testing::{Answer, Scripted},
};
use serde_json::{Value, json};

use super::rig::{Tower, agent, open};
use crate::kit::{noticed_now, size};

const DEPTHS: [usize; 3] = [0, 1, 3];

/// Asks the registry everything it can be asked, and waits in between: on one thread a guard that
/// somebody holds meanwhile is never given back.
#[derive(Clone)]
struct Nosy {
    registry: AgentRegistry,
    session: SessionId,
    looks: Arc<AtomicUsize>,
    /// For the twin: a lock that is taken for each look.
    lock: Option<Arc<std::sync::Mutex<()>>>,
}

impl Nosy {
    fn look(&self) {
        let _guard = self.lock.as_ref().map(|lock| lock.lock().unwrap());
        let (registry, session) = (&self.registry, &self.session);
        let all = registry.list();
        assert!(!registry.is_empty(), "whoever looks lives");
        for row in registry.tree(session).iter().chain(&all) {
            registry.get(&row.id);
            registry.find(session, &row.path);
        }
        registry.why(session);
        registry.ended(session);
        registry.find(session, &AgentPath::root());
        self.looks.fetch_add(1, SeqCst);
    }

    async fn look_on<T>(&self) -> Verdict<T> {
        self.look();
        tokio::task::yield_now().await;
        self.look();
        tokio::time::sleep(Duration::from_micros(10)).await;
        Verdict::Keep
    }
}

impl Tracer for Nosy {
    fn hear(&self, _: &Event) {
        self.look();
    }
}

#[async_trait]
impl Hook for Nosy {
    async fn on_submit(&self, _: &HookContext, _: &Message) -> Verdict<Message> {
        self.look_on().await
    }

    async fn before_request(&self, _: &HookContext, _: &Preamble) -> Verdict<Preamble> {
        self.look_on().await
    }

    async fn after_response(&self, _: &HookContext, _: &Message) -> Verdict<()> {
        self.look_on().await
    }

    async fn before_tool(&self, _: &HookContext, _: &ToolCall, _: &Value) -> Verdict<Value> {
        self.look_on().await
    }

    async fn after_tool(
        &self,
        _: &HookContext,
        _: &ToolCall,
        _: &ToolResult,
    ) -> Verdict<ToolResult> {
        self.look_on().await
    }

    async fn on_stop(&self, _: &HookContext, _: &str) -> Verdict<Message> {
        self.look_on().await
    }

    async fn on_spawn(&self, _: &HookContext, _: &Spawn) -> Verdict<String> {
        self.look_on().await
    }

    async fn on_child_end(&self, _: &HookContext, _: &ChildEnd) -> Verdict<String> {
        self.look_on().await
    }

    async fn on_note(&self, _: &HookContext, _: &Note) -> Verdict<String> {
        self.look_on().await
    }
}

/// The bottom opens this many children, in turns in the foreground and behind, and calls a tool.
const WIDE: usize = 8;

fn crowd(tower: Tower) -> Scripted {
    let bottom = tower.depth;
    tower.model(move |level, nth, _| {
        if level > bottom {
            return Answer::text("fine");
        }
        match nth {
            1 => (0..WIDE).fold(Answer::empty(), |answer, n| {
                let ground = [Ground::Foreground, Ground::Background][n % 2];
                answer
                    .call("Agent", super::rig::order(bottom + 1, ground))
                    .call("parrot", json!({"text": "word"}))
            }),
            2 => open(bottom + 1, Ground::Background),
            _ => "done".into(),
        }
    })
}

/// Many sessions at once in one registry, all of them looked at from everywhere; how often.
async fn looked_at(tower: Tower, lock: Option<Arc<std::sync::Mutex<()>>>) -> usize {
    let registry = AgentRegistry::new();
    let looks = Arc::new(AtomicUsize::new(0));
    let session = async |number: usize| {
        let id = SessionId::new(format!("s{number}"));
        let nosy = Nosy {
            registry: registry.clone(),
            session: id.clone(),
            looks: looks.clone(),
            lock: lock.clone(),
        };
        let recipe = agent(&crowd(tower), &Arc::default()).build().unwrap();
        let mut session = Session::builder(recipe)
            .id(id)
            .budget(Budget::unlimited().depth(8).live(100))
            .registry(registry.clone())
            .hook(nosy.clone())
            .tracer(nosy)
            .open()
            .await
            .unwrap();
        let mut watch = registry.watch();
        let done = session.submit_message("go").text().await;
        assert_eq!(done.unwrap(), "done", "{tower}");
        watch.next().await.expect("somebody came");
        session.close().await;
    };
    let all = futures::stream::iter(0..size(3, 24));
    all.for_each_concurrent(None, session).await;
    assert!(registry.is_empty(), "{tower}: {:?}", registry.list());
    looks.load(SeqCst)
}

/// Runs it on a thread of its own, because what is stuck there stops the clock of its runtime too.
#[expect(clippy::disallowed_methods, reason = "a thread that may be stuck")]
fn within<F: Future<Output = usize>>(
    patience: Duration,
    threads: usize,
    work: impl FnOnce() -> F + Send + 'static,
) -> usize {
    let (done, end) = mpsc::channel();
    std::thread::spawn(move || {
        let mut builder = match threads {
            0 => tokio::runtime::Builder::new_current_thread(),
            threads => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                builder.worker_threads(threads);
                builder
            }
        };
        let runtime = builder.enable_all().build().unwrap();
        done.send(runtime.block_on(work())).ok();
    });
    end.recv_timeout(patience)
        .unwrap_or_else(|why| panic!("stuck: {why}"))
}

#[test]
fn inv10_no_guard_of_the_registry_is_held_while_anybody_waits_at_every_depth() {
    for tower in Tower::at(DEPTHS) {
        for threads in [0, 4] {
            let patience = Duration::from_secs(60);
            let looks = within(patience, threads, move || looked_at(tower, None));
            assert!(looks > 500, "{tower}: {looks}");
        }
    }
}

#[test]
fn inv10_twin_a_guard_that_is_held_across_a_wait_is_seen() {
    let tower = Tower {
        depth: 1,
        way: Ground::Foreground,
    };
    let held = || {
        within(Duration::from_secs(3), 0, move || async move {
            let lock = Arc::new(std::sync::Mutex::new(()));
            let (over, holder) = (AtomicBool::new(false), lock.clone());
            // Somebody who has a guard and waits, on the one thread there is.
            #[expect(clippy::await_holding_lock, reason = "this is the fault")]
            let holds = async {
                while !over.load(SeqCst) {
                    let _guard = holder.lock().unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let works = async {
                let looks = looked_at(tower, Some(lock)).await;
                over.store(true, SeqCst);
                looks
            };
            tokio::join!(holds, works).1
        })
    };
    let saw = noticed_now(held);
    assert!(saw.contains("stuck"), "{saw}");
}
