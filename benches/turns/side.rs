//! Who is measured: the three floors and this crate, all asked in the same way.
//! Refuses to measure, and to leave out of our side what users have on.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use offshoot::{
    Agent, Budget, EventKind, Hook, HookContext, Message, Permissions, Redactor, Session, ToolCall,
    ToolOutput, Verdict, provider::Anthropic, tool_fn,
};
use serde_json::Value;

use crate::{
    floors::{bare, careful, obvious},
    server::{CALLING, DELTAS, SHORT},
};

/// A name on a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Bare,
    Careful,
    Obvious,
    Ours,
}

impl Side {
    pub(crate) const ALL: [Self; 4] = [Self::Bare, Self::Careful, Self::Obvious, Self::Ours];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Careful => "careful",
            Self::Obvious => "obvious",
            Self::Ours => "offshoot",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        let side = Self::ALL.into_iter().find(|side| side.name() == name);
        side.expect("bare, careful, obvious or offshoot")
    }

    /// Makes a client, once for all of its sessions.
    pub(crate) fn client(self, url: &str) -> Client {
        let url = url.to_owned();
        let reqwest = || reqwest::Client::builder().no_proxy().build().unwrap();
        match self {
            Self::Bare => Client::Bare(Box::new(bare::client()), url),
            Self::Careful => Client::Careful(reqwest(), url),
            Self::Obvious => Client::Obvious(reqwest(), url),
            Self::Ours => Client::Ours(Box::new(agent(&url))),
        }
    }
}

/// What all sessions of a side share.
pub(crate) enum Client {
    Bare(Box<bare::Client>, String),
    Careful(reqwest::Client, String),
    Obvious(reqwest::Client, String),
    Ours(Box<Agent>),
}

/// A conversation that is kept, for those who measure what it holds.
#[expect(dead_code, reason = "only its memory counts")]
pub(crate) enum Kept {
    Bare(Vec<u8>),
    Careful(careful::History),
    Obvious(Vec<Value>),
    Ours(Box<Session>),
}

impl Client {
    /// Runs this many sessions side by side, each with this many turns, one after the other.
    pub(crate) async fn run(&self, prompt: &str, sessions: usize, turns: usize) -> Vec<Kept> {
        let all = (0..sessions).map(|_| self.session(prompt, turns));
        futures::future::join_all(all).await
    }

    /// As [`run`](Self::run), each session on a task of its own, so that none waits until all others
    /// have had their turn at what came.
    #[expect(clippy::disallowed_methods, reason = "a program of its own")]
    pub(crate) async fn crowd(self, prompt: &str, sessions: usize, turns: usize) -> Vec<Kept> {
        let (client, prompt) = (Arc::new(self), Arc::<str>::from(prompt));
        let all = (0..sessions).map(|_| {
            let (client, prompt) = (client.clone(), prompt.clone());
            tokio::spawn(async move { client.session(&prompt, turns).await })
        });
        let all = futures::future::join_all(all).await;
        all.into_iter().map(|kept| kept.expect("lost")).collect()
    }

    /// Runs one session. Fails unless every turn of it ended as it should.
    async fn session(&self, prompt: &str, turns: usize) -> Kept {
        match self {
            Self::Bare(client, url) => {
                let mut history = Vec::new();
                for n in 0..turns {
                    rest(n).await;
                    let bytes = bare::turn(client, url, &mut history, prompt).await;
                    assert!(bytes > deltas(prompt) * 100, "{bytes} bytes");
                }
                Kept::Bare(history)
            }
            Self::Careful(client, url) => {
                let mut history = careful::History::default();
                for n in 0..turns {
                    rest(n).await;
                    let mut deltas_seen = 0;
                    let mut events =
                        std::pin::pin!(careful::turn(client, url, &mut history, prompt));
                    while let Some(event) = events.next().await {
                        use careful::Event::{Arguments, Text};
                        deltas_seen += usize::from(matches!(
                            std::hint::black_box(event),
                            Text { .. } | Arguments { .. }
                        ));
                    }
                    assert_eq!(deltas_seen, deltas(prompt));
                }
                Kept::Careful(history)
            }
            Self::Obvious(client, url) => {
                let mut history = Vec::new();
                for n in 0..turns {
                    rest(n).await;
                    let seen = obvious::turn(client, url, &mut history, prompt).await;
                    assert_eq!(seen, deltas(prompt));
                }
                Kept::Obvious(history)
            }
            Self::Ours(agent) => {
                let mut session = open(agent).await;
                for n in 0..turns {
                    rest(n).await;
                    let mut finished = false;
                    let mut turn = session.submit_message(prompt);
                    while let Some(event) = turn.next().await {
                        let event = std::hint::black_box(event);
                        if let EventKind::TurnEnd { stop, .. } = &event.kind {
                            finished = stop.is_finished();
                        }
                    }
                    drop(turn);
                    assert!(finished, "a turn was lost");
                }
                Kept::Ours(Box::new(session))
            }
        }
    }
}

/// Between two turns, long enough for the connection to be found in the pool again: otherwise each
/// side opens a second one for its next turn, now and then, and that would be measured.
async fn rest(n: usize) {
    if n > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

/// How many deltas a turn of this prompt has.
fn deltas(prompt: &str) -> usize {
    match prompt.split_once(' ') {
        Some(("tools", number)) => CALLING * number.parse::<usize>().unwrap() + SHORT,
        _ if prompt == "text" => DELTAS,
        _ => SHORT,
    }
}

/// A hook that looks at every step and keeps it.
struct Looks;

#[async_trait]
impl Hook for Looks {
    async fn before_tool(&self, _: &HookContext, _: &ToolCall, input: &Value) -> Verdict<Value> {
        std::hint::black_box(input);
        Verdict::Keep
    }

    async fn after_response(&self, _: &HookContext, message: &Message) -> Verdict<()> {
        std::hint::black_box(message);
        Verdict::Keep
    }
}

fn agent(url: &str) -> Agent {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Echo {
        text: String,
    }
    let echo = tool_fn("echo", "Says it again", |args: Echo| async move {
        ToolOutput::ok(format!("echo: {}", args.text))
    });
    let model = Anthropic::builder("bench")
        .base_url(url)
        .api_key("k")
        .build()
        .unwrap();
    let permissions = Permissions {
        allow: vec!["echo".parse().unwrap()],
        deny: vec!["Bash(rm *)".parse().unwrap()],
        ..Permissions::default()
    };
    Agent::builder(model)
        .system("You are a benchmark.")
        .tool(echo)
        .hook(Looks)
        .permissions(permissions)
        .max_steps(1_000)
        .build()
        .unwrap()
}

/// A session with a budget and a registered secret. The log and tracers are at their defaults, so
/// that nothing of a turn passes the redactor but what the crate itself sends there.
async fn open(agent: &Agent) -> Session {
    let mut secrets = Redactor::new();
    secrets.add("sk-benchmark-0123456789").unwrap();
    let budget = Budget::unlimited().turns(1_000_000).tokens(1_000_000_000);
    let builder = Session::builder(agent.clone()).budget(budget);
    builder.redacting(secrets).open().await.unwrap()
}
