//! How calls of one message run: lanes, permits, panics, hangs, floods, and a cancel at any moment.
//! Refuses single outcomes; those are in `invariants` and `turn`.

mod twins;

use std::{
    collections::HashMap,
    panic::panic_any,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use futures::StreamExt;
use offshoot::{
    Agent, Event, EventKind, Message, Outcome, Output, Permissions, Scope, Session, Tool,
    ToolOutput,
    provider::{Anthropic, Model},
    testing::{Answer, ModelServer, Recorder, Script, Scripted, check_history},
};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::{
    kit::{
        Dice, alone, echo, hang, names, outcomes, results, shared, size, spec, status_kib, stop_of,
        work,
    },
    naive::{Opens, ours},
};

/// A message that calls these tools, in order, without arguments.
fn calls<'a>(tools: impl IntoIterator<Item = &'a str>) -> Answer {
    let call = |answer: Answer, name: &str| answer.call(name, json!({}));
    tools.into_iter().fold(Answer::empty(), call)
}

async fn open(model: Scripted, tools: Vec<Arc<dyn Tool>>, permits: usize) -> Session {
    let agent = Agent::builder(model).tools(tools).build().unwrap();
    Session::builder(agent)
        .parallel_tools(permits)
        .open()
        .await
        .unwrap()
}

type Log = Arc<Mutex<Vec<String>>>;

/// Two calls of this tool meet, or neither ends.
fn pair(name: &'static str, log: &Log, barrier: &Arc<Barrier>) -> Arc<dyn Tool> {
    let (log, barrier) = (log.clone(), barrier.clone());
    work(
        shared(name).deadline(Duration::from_secs(5)),
        move |_, _| {
            let (log, barrier) = (log.clone(), barrier.clone());
            async move {
                log.lock().unwrap().push(format!("{name} begins"));
                barrier.wait().await;
                log.lock().unwrap().push(format!("{name} ends"));
                "met".into()
            }
        },
    )
}

fn lonely(log: &Log) -> Arc<dyn Tool> {
    let log = log.clone();
    work(spec("alone"), move |_, _| {
        let log = log.clone();
        async move {
            log.lock().unwrap().push("alone begins".into());
            tokio::time::sleep(Duration::from_millis(20)).await;
            log.lock().unwrap().push("alone ends".into());
            "done".into()
        }
    })
}

#[tokio::test(start_paused = true)]
async fn lanes_two_shared_then_alone_then_two_shared_are_three_batches() {
    let log = Log::default();
    let barrier = Arc::new(Barrier::new(2));
    let tools = vec![pair("shared", &log, &barrier), lonely(&log)];
    let model = Scripted::new([
        calls([
            "shared", "shared", "alone", "shared", "shared", "alone", "alone",
        ]),
        "done".into(),
    ]);
    let mut session = open(model, tools, 10).await;
    session.submit_message("go").text().await.unwrap();
    assert_eq!(outcomes(&session.history()), [Outcome::Ok; 7]);
    let (two, one) = (
        [
            "shared begins",
            "shared begins",
            "shared ends",
            "shared ends",
        ],
        ["alone begins", "alone ends"],
    );
    let expected = [&two[..], &one, &two, &one, &one].concat();
    assert_eq!(*log.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn lanes_twin_with_one_permit_the_pair_cannot_meet() {
    let log = Log::default();
    let tools = vec![pair("shared", &log, &Arc::new(Barrier::new(2)))];
    let model = Scripted::new([calls(["shared", "shared"]), "done".into()]);
    let mut session = open(model, tools, 1).await;
    session.submit_message("go").text().await.unwrap();
    // The first waits for its pair until its deadline; only then the second gets the permit.
    assert_eq!(outcomes(&session.history())[0], Outcome::TimedOut);
}

/// Counts how many calls of it run at once.
#[derive(Clone, Default)]
struct Gauge {
    now: Arc<AtomicUsize>,
    peak: Arc<AtomicUsize>,
}

impl Gauge {
    fn tool(&self) -> Arc<dyn Tool> {
        let gauge = self.clone();
        work(shared("gauge"), move |_, _| {
            let gauge = gauge.clone();
            async move {
                let now = gauge.now.fetch_add(1, SeqCst) + 1;
                gauge.peak.fetch_max(now, SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                gauge.now.fetch_sub(1, SeqCst);
                "counted".into()
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn permits_bound_what_runs_at_once() {
    let model = || Scripted::new([calls(["gauge"; 25]), "done".into()]);
    let gauge = Gauge::default();
    let agent = Agent::builder(model()).tool(gauge.tool()).build().unwrap();
    let mut session = Session::new(agent);
    session.submit_message("go").text().await.unwrap();
    assert_eq!(gauge.peak.load(SeqCst), 10, "ten is the default");
    for permits in [0, 1, 2, 7, 25, 100] {
        let gauge = Gauge::default();
        let mut session = open(model(), vec![gauge.tool()], permits).await;
        session.submit_message("go").text().await.unwrap();
        assert_eq!(gauge.peak.load(SeqCst), permits.clamp(1, 25), "{permits}");
        assert_eq!(outcomes(&session.history()), [Outcome::Ok; 25]);
    }
}

#[tokio::test]
async fn t8_all_729_mixes_of_six_outcomes_keep_every_result_in_order() {
    let rules = Permissions {
        deny: vec!["denied".parse().unwrap()],
        ..Permissions::default()
    };
    for mix in 0..3_usize.pow(6) {
        mix_holds(mix, |model, tools| {
            ours(model, tools).permissions(rules.clone())
        })
        .await;
    }
}

async fn mix_holds<O: Opens>(mix: usize, open: impl Fn(Scripted, Vec<Arc<dyn Tool>>) -> O) {
    let good = work(shared("good"), |_, input| async move {
        // Later calls land first.
        for _ in 0..6 - input["n"].as_u64().unwrap() {
            tokio::task::yield_now().await;
        }
        format!("good {}", input["n"]).into()
    });
    let bad = work(shared("bad"), |_, input| async move {
        ToolOutput::failed(format!("bad {}", input["n"]))
    });
    let denied = work(shared("denied"), |_, _| async { panic!("it must not run") });
    let words = [
        ("good", Outcome::Ok),
        ("bad", Outcome::Failed),
        ("denied", Outcome::Denied),
    ];
    let picked: Vec<_> = (0..6).map(|n| words[mix / 3_usize.pow(n) % 3]).collect();
    let mut answer = Answer::empty();
    for (n, (name, _)) in picked.iter().enumerate() {
        answer = answer.call_as(format!("call-{n}"), *name, json!({"n": n}));
    }
    let model = Scripted::new([answer, "done".into()]);
    let opened = open(model, vec![good, bad, denied]).opens();
    let mut session = opened.open().await.unwrap();
    session.submit_message("go").text().await.unwrap();
    let history = session.history();
    check_history(&history).unwrap();
    let rows = results(&history);
    assert_eq!(rows.len(), 6);
    for (n, (row, (name, outcome))) in rows.iter().zip(&picked).enumerate() {
        assert_eq!(
            (&row.0, row.1),
            (&format!("call-{n}"), *outcome),
            "mix {mix}"
        );
        assert!(
            *name == "denied" || row.2.contains(&format!("{name} {n}")),
            "{row:?}"
        );
    }
    // One message holds them all.
    assert_eq!(
        history
            .iter()
            .filter(|m| m.tool_results().next().is_some())
            .count(),
        1
    );
}

/// Panics when it is dropped, unless something panics already.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

/// A panic payload that is no text, and panics itself when it is dropped.
struct Payload;

impl Drop for Payload {
    fn drop(&mut self) {
        panic!("the payload too");
    }
}

fn breaks() -> Arc<dyn Tool> {
    work(shared("breaks"), |ctx, input| async move {
        ctx.output().write("before");
        match input["how"].as_u64().unwrap() {
            0 => panic!("some text"),
            1 => panic!("some {}", "text"),
            2 => panic_any(42_u8),
            3 => drop(Bomb),
            _ => {
                let _bomb = Bomb;
                tokio::task::yield_now().await;
            }
        }
        "never".into()
    })
}

/// All ten permits at once, or none of the calls ends.
fn all_ten() -> Arc<dyn Tool> {
    let barrier = Arc::new(Barrier::new(10));
    work(
        shared("ten").deadline(Duration::from_secs(10)),
        move |_, _| {
            let barrier = barrier.clone();
            async move {
                barrier.wait().await;
                "met".into()
            }
        },
    )
}

#[tokio::test]
async fn t1_a_thousand_panics_are_a_thousand_results_and_no_permit_is_lost() {
    panics_are_results(|model, tools| ours(model, tools).max_steps(60)).await;
}

async fn panics_are_results<O: Opens>(open: impl Fn(Scripted, Vec<Arc<dyn Tool>>) -> O) {
    let model = Scripted::with(|seen| match seen.number {
        1..=50 => (0..20).fold(Answer::empty(), |a, n| {
            a.call("breaks", json!({"how": n % 5}))
        }),
        51 => calls(["ten"; 10]),
        _ => "done".into(),
    });
    let opened = open(model, vec![breaks(), all_ten()]).opens();
    let mut session = opened.open().await.unwrap();
    assert_eq!(session.submit_message("go").text().await.unwrap(), "done");
    let history = session.history();
    check_history(&history).unwrap();
    let rows = results(&history);
    assert_eq!(rows.len(), 1_010);
    for (n, row) in rows[..1_000].iter().enumerate() {
        assert_eq!(row.1, Outcome::Failed, "{n}: {row:?}");
        let named = match n % 20 % 5 {
            0 | 1 => row.2.contains("some text"),
            2 => true,
            _ => row.2.contains("dropped"),
        };
        assert!(named && row.2.contains("before"), "{n}: {row:?}");
    }
    assert!(
        rows[1_000..].iter().all(|row| row.1 == Outcome::Ok),
        "{:?}",
        &rows[1_000..]
    );
}

#[tokio::test]
async fn t1_a_panic_while_a_tool_is_dropped_is_a_result_too() {
    // Dropped by the engine: at the deadline, at a cancel, and a payload that breaks again.
    let late = shared("late").deadline(Duration::from_millis(20));
    let late = work(late, |_, _| async {
        let _bomb = Bomb;
        std::future::pending().await
    });
    let nasty = work(shared("nasty"), |_, _| async { panic_any(Payload) });
    let model = Scripted::new([
        calls(["late", "nasty", "echo"]),
        "done".into(),
        calls(["late"]),
        "fine".into(),
    ]);
    let mut session = open(model, vec![late, nasty, echo()], 10).await;
    assert_eq!(session.submit_message("go").text().await.unwrap(), "done");
    let words = outcomes(&session.history());
    // It ran late and then it panicked: either word is true.
    assert!(matches!(words[0], Outcome::TimedOut | Outcome::Failed));
    assert_eq!(words[1..], [Outcome::Failed, Outcome::Failed]);

    let mut turn = session.submit_message("again");
    while let Some(event) = turn.next().await {
        if matches!(event.kind, EventKind::ToolStart { .. }) {
            break;
        }
    }
    drop(turn);
    check_history(&session.history()).unwrap();
    assert_eq!(
        session.submit_message("again").text().await.unwrap(),
        "fine"
    );
}

#[tokio::test(start_paused = true)]
async fn t2_a_hundred_hung_tools_end_at_their_deadlines_and_the_next_one_runs() {
    hung_tools_end(Duration::from_secs(60)).await;
}

async fn hung_tools_end(deadline: Duration) {
    let tools = || {
        let hung = work(shared("hung").deadline(deadline), |_, _| {
            std::future::pending()
        });
        vec![hung, echo()]
    };
    for permits in [10, 200] {
        let answer = calls(["hung"; 100]).call("echo", json!({"text": "here"}));
        let model = Scripted::new([answer, "done".into()]);
        let mut session = open(model, tools(), permits).await;
        let began = tokio::time::Instant::now();
        let mut started = HashMap::new();
        let mut turn = session.submit_message("go");
        while let Some(event) = turn.next().await {
            match event.kind {
                EventKind::ToolStart { call, .. } => {
                    started.insert(call, tokio::time::Instant::now());
                }
                EventKind::ToolEnd {
                    call,
                    name,
                    outcome,
                    ..
                } if name == "hung" => {
                    assert_eq!(outcome, Outcome::TimedOut);
                    let took = started[&call].elapsed().as_secs_f64() / deadline.as_secs_f64();
                    assert!((0.99..1.01).contains(&took), "{took}");
                }
                _ => {}
            }
        }
        drop(turn);
        let rounds = 100_usize.div_ceil(permits) as u32;
        let limit = deadline.mul_f64(1.01) * rounds;
        assert!(began.elapsed() <= limit, "{permits}: {:?}", began.elapsed());
        let rows = results(&session.history());
        assert_eq!((rows[100].1, rows[100].2.as_str()), (Outcome::Ok, "here"));
        assert!(rows[..100].iter().all(|row| row.1 == Outcome::TimedOut));
    }
}

#[tokio::test(start_paused = true)]
async fn t2_a_tool_without_a_deadline_gets_the_agents() {
    let model = Scripted::new([calls(["hang"]), "done".into()]);
    let agent = Agent::builder(model)
        .tool(hang())
        .tool_deadline(Duration::from_secs(7));
    let mut session = Session::new(agent.build().unwrap());
    let began = tokio::time::Instant::now();
    session.submit_message("go").text().await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 7);
    let row = &results(&session.history())[0];
    assert_eq!(row.1, Outcome::TimedOut);
    assert!(row.2.contains("half a word"), "{}", row.2);
}

/// The time between two beats of a task on the same workers, the worst hundredth left out.
async fn heartbeat<T>(busy: impl Future<Output = T>) -> (Duration, T) {
    let (scope, beats) = (Scope::root(), Arc::new(Mutex::new(Vec::new())));
    let (inside, heart) = (scope.clone(), beats.clone());
    scope.spawn(async move {
        let mut last = Instant::now();
        while inside
            .race(tokio::time::sleep(Duration::from_millis(2)))
            .await
            .is_some()
        {
            heart.lock().unwrap().push(last.elapsed());
            last = Instant::now();
        }
        heart.lock().unwrap().push(last.elapsed());
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let out = busy.await;
    scope.close().await;
    let mut beats = beats.lock().unwrap().clone();
    beats.sort();
    let p99 = beats[(beats.len() * 99 / 100).min(beats.len() - 1)];
    (p99, out)
}

fn blocks_by_the_book() -> Arc<dyn Tool> {
    work(shared("blocks"), |ctx, _| async move {
        let work = || std::thread::sleep(Duration::from_millis(300));
        ctx.blocking(work).await.unwrap();
        "done".into()
    })
}

fn blocks_its_worker() -> Arc<dyn Tool> {
    work(shared("blocks"), |_, _| async move {
        std::thread::sleep(Duration::from_millis(300));
        "done".into()
    })
}

async fn sixty_four(tool: Arc<dyn Tool>, count: usize) -> Duration {
    let model = Scripted::new([calls(vec!["blocks"; count]), "done".into()]);
    let mut session = open(model, vec![tool], count).await;
    let began = Instant::now();
    let (jitter, text) = heartbeat(session.submit_message("go").text()).await;
    assert_eq!(text.unwrap(), "done");
    assert!(began.elapsed() < Duration::from_secs(8));
    jitter
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t9_sixty_four_tools_that_block_leave_the_workers_free() {
    let jitter = sixty_four(blocks_by_the_book(), 64).await;
    assert!(jitter < Duration::from_millis(100), "{jitter:?}");
}

#[tokio::test]
async fn t9_twin_tools_that_block_their_worker_stop_the_heart() {
    let jitter = sixty_four(blocks_its_worker(), 4).await;
    assert!(jitter >= Duration::from_millis(250), "{jitter:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn t4_gigabytes_of_output_stay_within_eight_mebibytes() {
    if alone("dispatch::t4_gigabytes_of_output_stay_within_eight_mebibytes") {
        output_stays_small(size(1 << 10, 10 << 10), Output::DEFAULT_CAP);
    }
}

#[cfg(target_os = "linux")]
fn output_stays_small(chunks: usize, cap: usize) {
    const CHUNK: usize = 1 << 20;
    let flood = work(
        shared("flood").deadline(Duration::from_secs(600)),
        move |ctx, _| async move {
            let mut chunk = vec![b'm'; CHUNK];
            for n in 0..chunks {
                // The very first and the very last bytes can be told from all others.
                if n == 0 {
                    chunk[..5].copy_from_slice(b"FIRST");
                } else if n + 1 == chunks {
                    chunk[CHUNK - 4..].copy_from_slice(b"LAST");
                } else {
                    chunk[..5].copy_from_slice(b"mmmmm");
                }
                ctx.output().write(&chunk);
            }
            ToolOutput::written()
        },
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let warm = Scripted::new([
            calls(["echo"]),
            "done".into(),
            calls(["flood"]),
            "done".into(),
        ]);
        // Nothing is to be summarised away here.
        let mut card = Model::unknown("scripted", "scripted");
        card.window = 1 << 40;
        let agent = ours(warm.as_model(card), vec![flood, echo()]).output_cap(cap);
        let mut session = Session::new(agent.build().unwrap());
        session.submit_message("warm").text().await.unwrap();
        let before = status_kib("VmRSS:");
        session.submit_message("go").text().await.unwrap();
        let growth = status_kib("VmHWM:").saturating_sub(before);
        assert!(growth < 8 << 10, "grew by {growth} KiB");
        let text = results(&session.history()).pop().unwrap().2;
        let total = chunks * CHUNK;
        assert!(
            text.starts_with("FIRSTm") && text.ends_with("mLAST"),
            "head and tail"
        );
        assert!(
            text.contains(&total.to_string()),
            "the notice counts all {total} bytes"
        );
        assert!(text.len() < 200_000, "{}", text.len());
    });
}

#[tokio::test]
async fn t4_an_answer_returned_whole_is_cut_to_the_cap_too() {
    let big = work(shared("big"), |_, _| async { "é".repeat(500_000).into() });
    let model = Scripted::new([calls(["big"]), "done".into()]);
    let agent = Agent::builder(model)
        .tool(big)
        .output_cap(10_000)
        .build()
        .unwrap();
    let mut session = Session::new(agent);
    session.submit_message("go").text().await.unwrap();
    let text = results(&session.history()).pop().unwrap().2;
    assert!(
        text.len() < 11_000 && text.contains("1000000"),
        "{} {}",
        text.len(),
        &text[..200]
    );
    assert!(!text.contains('\u{FFFD}'));
}

fn random_bytes(dice: &mut Dice) -> Vec<u8> {
    let length = dice.below(120);
    let byte = |_| match dice.below(8) {
        0 => 0,
        1 => 0x1b,
        2 => 0xed, // begins a lone surrogate
        3 => b'\n',
        4 => b'"',
        _ => dice.roll() as u8,
    };
    (0..length).map(byte).collect()
}

/// The texts of all results in a request to Anthropic, by their calls.
fn results_in(body: &[u8]) -> HashMap<String, String> {
    let body: Value = serde_json::from_slice(body).expect("the body is valid JSON");
    let mut sent = HashMap::new();
    for block in body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|m| m["content"].as_array().into_iter().flatten())
    {
        if block["type"] == "tool_result" {
            let text = match &block["content"] {
                Value::String(text) => text.clone(),
                list => list[0]["text"].as_str().unwrap_or_default().to_owned(),
            };
            sent.insert(block["tool_use_id"].as_str().unwrap().to_owned(), text);
        }
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t5_random_bytes_reach_the_vendor_as_valid_json() {
    const BATCH: usize = 100;
    let rounds = size(10, 100);
    let thrown = Arc::new(Mutex::new((
        Dice(0x0ff5_4007),
        Vec::<(String, String)>::new(),
    )));
    let record = thrown.clone();
    let tool = work(shared("bytes"), move |ctx, _| {
        let mut guard = record.lock().unwrap();
        let (dice, rows) = &mut *guard;
        let bytes = random_bytes(dice);
        ctx.output().write(&bytes);
        rows.push((
            ctx.call().to_string(),
            String::from_utf8_lossy(&bytes).into_owned(),
        ));
        async { ToolOutput::written() }
    });
    let server = ModelServer::start(Script::with(move |request| {
        if request.number <= rounds {
            calls(["bytes"; BATCH])
        } else {
            "done".into()
        }
    }));
    // Nothing is to be summarised away here.
    let model = Anthropic::builder("claude-test")
        .base_url(server.url())
        .model_limits(100_000_000, 8_192)
        .build()
        .unwrap();
    let agent = Agent::builder(model).tool(tool).max_steps(rounds + 1);
    let mut session = Session::new(agent.build().unwrap());
    assert_eq!(session.submit_message("go").text().await.unwrap(), "done");
    let sent = results_in(&server.requests().pop().unwrap().body);
    let rows = &thrown.lock().unwrap().1;
    assert_eq!(rows.len(), rounds as usize * BATCH);
    assert_eq!(sent.len(), rows.len());
    for (call, text) in rows.iter().filter(|(_, text)| !text.trim().is_empty()) {
        // A result is at least the bytes; an empty one may say that it is empty.
        assert_eq!(sent[call], *text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t7_a_cancel_at_any_moment_is_quick_and_leaves_pairs() {
    let (mut dice, mut cut_short) = (Dice(0xcafe), 0);
    for round in 0..size(40, 200) {
        let model = Scripted::with(|seen| match seen.messages.last().unwrap().text().as_str() {
            "again" => "fine".into(),
            _ => Answer::text("some words to stream")
                .call("nap", json!({"millis": 6}))
                .call("nap", json!({"millis": 3}))
                .call("lone", json!({"millis": 5}))
                .pause(Duration::from_micros(1_500)),
        });
        let nap = |name: &'static str, spec: offshoot::ToolSpec| {
            assert_eq!(spec.name, name);
            work(spec, |ctx, input| async move {
                ctx.output().write("begun");
                tokio::time::sleep(Duration::from_millis(input["millis"].as_u64().unwrap())).await;
                " done".into()
            })
        };
        let agent = Agent::builder(model.clone())
            .tools([nap("nap", shared("nap")), nap("lone", spec("lone"))])
            .max_steps(4)
            .build()
            .unwrap();
        let recorder = Recorder::new();
        let mut session = Session::builder(agent)
            .tracer(recorder.clone())
            .open()
            .await
            .unwrap();
        let handle = session.handle();
        let moment = Duration::from_micros(dice.below(120_000));
        let turn = session.submit_message("go").finish();
        let cancel = async {
            tokio::time::sleep(moment).await;
            handle.cancel();
            Instant::now()
        };
        let (outcome, at) = tokio::join!(turn, cancel);
        let took = at.elapsed();
        assert!(
            took < Duration::from_millis(250),
            "round {round} at {moment:?}: {took:?}"
        );
        cut_short += usize::from(outcome.stop == offshoot::StopReason::Cancelled);
        check_history(&session.history()).unwrap_or_else(|e| panic!("round {round}: {e}"));
        for (_, outcome, text) in results(&session.history()) {
            match outcome {
                Outcome::Ok => assert!(text.contains("begun") && text.contains("done"), "{text}"),
                Outcome::Interrupted => assert!(text.contains("begun"), "{text}"),
                Outcome::NeverStarted => assert!(!text.contains("begun"), "{text}"),
                other => panic!("round {round}: {other:?}"),
            }
        }
        assert_eq!(
            session.submit_message("again").text().await.unwrap(),
            "fine"
        );
        for seen in model.seen() {
            check_history(&seen.messages).unwrap_or_else(|e| panic!("round {round}: {e}"));
        }
        recorder.assert_one_turn_end();
    }
    assert!(cut_short > 10, "only {cut_short} turns were cut short");
}

#[tokio::test]
async fn t7_a_turn_that_is_dropped_at_any_moment_leaves_pairs() {
    let mut dice = Dice(0xd20b);
    for _ in 0..size(40, 200) {
        dropped_at(Duration::from_micros(dice.below(60_000)), ours).await;
    }
}

async fn dropped_at<O: Opens>(moment: Duration, open: impl Fn(Scripted, Vec<Arc<dyn Tool>>) -> O) {
    let nap = work(shared("nap"), |_, _| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        "awake".into()
    });
    let model = Scripted::with(|seen| match seen.messages.last().unwrap().text().as_str() {
        "again" => "fine".into(),
        _ => calls(["nap", "nap"]),
    });
    let mut session = open(model.clone(), vec![nap]).opens().open().await.unwrap();
    let turn = session.submit_message("go").finish();
    assert!(
        tokio::time::timeout(moment, turn).await.is_err(),
        "it ended"
    );
    check_history(&session.history()).unwrap_or_else(|e| panic!("dropped after {moment:?}: {e}"));
    let text = session.submit_message("again").text().await;
    assert_eq!(text.unwrap(), "fine");
    check_history(&model.seen().pop().unwrap().messages).unwrap();
}

#[tokio::test]
async fn tool_events_come_in_order_and_updates_stay_between_start_and_end() {
    let chatty = work(shared("chatty"), |ctx, _| async move {
        ctx.update("one");
        tokio::task::yield_now().await;
        ctx.update("two");
        "said".into()
    });
    let model = Scripted::new([calls(["chatty"]), "done".into()]);
    let mut session = open(model, vec![chatty], 1).await;
    let events: Vec<Event> = session.submit_message("go").collect().await;
    assert!(stop_of(&events).is_finished());
    let tools: Vec<_> = names(&events)
        .into_iter()
        .filter(|n| n.starts_with("tool_"))
        .collect();
    assert_eq!(
        tools,
        ["tool_start", "tool_update", "tool_update", "tool_end"]
    );
}

#[tokio::test]
async fn a_tool_that_ends_after_the_turn_was_cancelled_changes_nothing() {
    let late = Arc::new(AtomicBool::new(false));
    let flag = late.clone();
    let tool = work(shared("thread"), move |ctx, _| {
        let flag = flag.clone();
        async move {
            ctx.update("up");
            let out = ctx
                .blocking(move || {
                    std::thread::sleep(Duration::from_millis(900));
                    flag.store(true, SeqCst);
                })
                .await;
            assert!(out.is_ok());
            "late".into()
        }
    });
    let model = Scripted::new([calls(["thread"]), "fine".into()]);
    let mut session = open(model, vec![tool], 1).await;
    let handle = session.handle();
    let mut turn = session.submit_message("go");
    let mut cancelled = Instant::now();
    while let Some(event) = turn.next().await {
        if matches!(event.kind, EventKind::ToolUpdate { .. }) {
            handle.cancel();
            cancelled = Instant::now();
        }
    }
    drop(turn);
    assert!(
        cancelled.elapsed() < Duration::from_millis(600),
        "a thread holds nobody up"
    );
    assert_eq!(outcomes(&session.history()), [Outcome::Interrupted]);
    let before: Vec<Message> = session.history();
    session.close().await;
    assert!(late.load(SeqCst), "close waits for the thread");
    check_history(&before).unwrap();
}
