//! Rows P3 and P9: two hundred agents behind an outage do not stampede, however it is told, and all finish.
//! Refuses a paused clock: real sockets, real time, every duration a tenth of the real one.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::StreamExt;
use tokio::task::JoinSet;

use super::{
    super::{Call, Hindsight, RetryPolicy, gate::Pace, governor::Governor},
    Client, Framing, Peer, Server, Settings, call_to, figure, stream,
};
use crate::error::{Error, ErrorKind, Result};

const AGENTS: usize = 200;
/// Real durations divided by this.
const SCALE: u32 = 10;
const OUTAGE: Duration = Duration::from_secs(3);
/// 100 ms, scaled.
const WINDOW: Duration = Duration::from_millis(100 / SCALE as u64);
/// 15 % of the agents.
const PEAK: usize = AGENTS * 15 / 100;
/// 3 requests an agent a minute; the scaled minute is 6 s long.
const PER_MINUTE: f64 = 3.0;

#[derive(Debug)]
struct Figures {
    finished: usize,
    /// Requests of one agent in one scaled minute of the outage, on average.
    per_agent_minute: f64,
    /// The most requests in any window after the recovery.
    peak: usize,
    /// From the recovery to the last agent's end.
    drained: Duration,
}

impl Figures {
    fn violations(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        if self.finished < AGENTS {
            found.push("lost");
        }
        if self.per_agent_minute > PER_MINUTE {
            found.push("rate");
        }
        if self.peak > PEAK {
            found.push("peak");
        }
        // A scaled minute: holding everybody back for ever would make fine figures too.
        if self.drained > Duration::from_secs(60) / SCALE {
            found.push("slow");
        }
        found
    }
}

fn pace() -> Pace {
    let full = Pace::default();
    Pace {
        backoff: full.backoff / SCALE,
        load_cap: full.load_cap / SCALE,
        quota_cap: full.quota_cap / SCALE,
        probe: full.probe / SCALE,
        first_gap: full.first_gap / SCALE,
        window: full.window / SCALE,
        relax: full.relax / SCALE,
        longest_shut: full.longest_shut / SCALE,
        patience: full.patience / SCALE,
        ..full
    }
}

/// How the vendor says that it has no time.
#[derive(Clone, Copy)]
enum Refusal {
    Status(&'static str),
    /// In the middle of an answer that began with 200, and the agents say so.
    Event(ErrorKind),
    /// The same, and nobody tells the governor.
    Unheeded(ErrorKind),
}

impl Refusal {
    async fn say(self, mut peer: Peer) {
        match self {
            Self::Status(status) => peer.answer(status, "", "busy").await,
            Self::Event(_) | Self::Unheeded(_) => {
                let head = "content-type: text/event-stream\r\n";
                let body = "event: start\ndata: {}\n\nevent: error\ndata: busy\n\n";
                peer.answer("200 OK", head, body).await;
            }
        }
    }
}

/// One try: the data of all frames, where none of them is an error.
async fn one_try(client: &Client, call: Call, refusal: Refusal) -> Result<Vec<String>> {
    let hindsight = Hindsight::default();
    let mut stream = stream(client.open(call, hindsight.clone()));
    let mut data = Vec::new();
    while let Some(frame) = stream.next().await {
        let frame = frame?;
        match refusal {
            Refusal::Event(kind) | Refusal::Unheeded(kind) if frame.event == "error" => {
                let error = Error::new(kind, frame.data);
                if matches!(refusal, Refusal::Event(_)) {
                    hindsight.failed(&error);
                }
                return Err(error);
            }
            _ => data.push(frame.data),
        }
    }
    Ok(data)
}

/// Every agent does one turn, tried again as `policy` says.
async fn storm(governor: Option<Arc<Governor>>, policy: RetryPolicy, refusal: Refusal) -> Figures {
    let began = Instant::now();
    let times = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&times);
    let server = Server::start(move |mut peer: Peer| {
        let log = Arc::clone(&log);
        async move {
            let at = began.elapsed();
            log.lock().unwrap().push(at);
            if at < OUTAGE {
                refusal.say(peer).await;
            } else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let head = "content-type: text/event-stream\r\n";
                peer.answer("200 OK", head, "data: done\n\n").await;
            }
        }
    })
    .await;
    let client = Client::with_settings(Settings {
        governor,
        ..Settings::default()
    });
    let mut agents = JoinSet::new();
    for _ in 0..AGENTS {
        let (client, policy, address) = (client.clone(), policy.clone(), server.address);
        agents.spawn(async move {
            let mut attempt = 0;
            loop {
                let error = match one_try(&client, call_to(address, Framing::Sse), refusal).await {
                    Ok(frames) => return frames == ["done"],
                    Err(error) => error,
                };
                attempt += 1;
                match policy.delay(attempt, &error) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return false,
                }
            }
        });
    }
    let finished = agents
        .join_all()
        .await
        .into_iter()
        .filter(|done| *done)
        .count();
    let drained = began.elapsed().saturating_sub(OUTAGE);
    let mut times = times.lock().unwrap().clone();
    times.sort_unstable();
    let during = times.iter().filter(|at| **at < OUTAGE).count();
    let after: Vec<_> = times.into_iter().filter(|at| *at >= OUTAGE).collect();
    let peak = (0..after.len()).map(|first| {
        let end = after[first] + WINDOW;
        after[first..].iter().take_while(|at| **at < end).count()
    });
    let minutes = OUTAGE.as_secs_f64() * f64::from(SCALE) / 60.0;
    Figures {
        finished,
        per_agent_minute: during as f64 / AGENTS as f64 / minutes,
        peak: peak.max().unwrap_or(0),
        drained,
    }
}

fn policy(max_retries: u32) -> RetryPolicy {
    let full = RetryPolicy::default();
    RetryPolicy {
        max_retries,
        base: full.base / SCALE,
        cap: full.cap / SCALE,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_two_hundred_agents_behind_a_529_storm() {
    let refusal = Refusal::Status("529 Busy");
    let figures = storm(Some(Governor::new(pace())), policy(2), refusal).await;
    figure(format_args!("governed, 529: {figures:?}"));
    assert_eq!(figures.violations(), [""; 0], "{figures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_two_hundred_agents_behind_a_429_storm() {
    let refusal = Refusal::Status("429 Slow");
    let figures = storm(Some(Governor::new(pace())), policy(2), refusal).await;
    figure(format_args!("governed, 429: {figures:?}"));
    assert_eq!(figures.violations(), [""; 0], "{figures:?}");
}

/// Row P9: an error in the middle of an answer holds the others back as its status would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p9_two_hundred_agents_behind_answers_that_turn_out_overloaded() {
    let refusal = Refusal::Event(ErrorKind::Overloaded);
    let figures = storm(Some(Governor::new(pace())), policy(2), refusal).await;
    figure(format_args!(
        "governed, overloaded inside a 200: {figures:?}"
    ));
    assert_eq!(figures.violations(), [""; 0], "{figures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p9_two_hundred_agents_behind_answers_that_turn_out_refused() {
    let refusal = Refusal::Event(ErrorKind::RateLimited);
    let figures = storm(Some(Governor::new(pace())), policy(2), refusal).await;
    figure(format_args!(
        "governed, rate limit inside a 200: {figures:?}"
    ));
    assert_eq!(figures.violations(), [""; 0], "{figures:?}");
}

/// The twin: a governor that sees only heads takes all of these answers for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p9_twin_a_governor_without_hindsight_holds_nobody_back() {
    let refusal = Refusal::Unheeded(ErrorKind::Overloaded);
    let figures = storm(Some(Governor::new(pace())), policy(2), refusal).await;
    figure(format_args!("heads only: {figures:?}"));
    assert!(figures.violations().contains(&"lost"), "{figures:?}");
    let figures = storm(Some(Governor::new(pace())), policy(1000), refusal).await;
    figure(format_args!("heads only, stubborn: {figures:?}"));
    assert!(figures.violations().contains(&"rate"), "{figures:?}");
}

/// The twins: the same agents without a governor lose their turns; and if they are stubborn enough
/// to lose none, they hammer the vendor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p3_twin_without_the_governor_the_figures_are_violated() {
    let refusal = Refusal::Status("529 Busy");
    let figures = storm(None, policy(2), refusal).await;
    figure(format_args!("not governed: {figures:?}"));
    assert!(figures.violations().contains(&"lost"), "{figures:?}");
    let figures = storm(None, policy(1000), refusal).await;
    figure(format_args!("not governed, stubborn: {figures:?}"));
    assert!(figures.violations().contains(&"rate"), "{figures:?}");
}
