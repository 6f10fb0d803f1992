//! A conversation that grows too long: trimmed, then summarised, then refused; never broken.
//! Refuses the arithmetic of thresholds, which is tested beside its code.

mod twins;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use offshoot::{
    Agent, AgentBuilder, Compaction, Error, ErrorKind, EventKind, Hook, HookContext, Message, Part,
    Session, StopReason, Verdict,
    provider::{Model, Stop},
    testing::{Answer, Recorder, Scripted, Seen, check_history},
};
use serde_json::json;

use crate::kit::{echo, shared, work};

/// A model with room for so many tokens.
fn small(window: u64) -> Model {
    let mut card = Model::unknown("scripted", "small");
    card.window = window;
    card
}

/// Whether this is the engine asking for a summary: then no tool is offered.
fn is_summary(seen: &Seen) -> bool {
    seen.tools.is_empty()
}

/// Plays summaries and answers apart, and checks every request on the way.
fn model(
    window: u64,
    summary: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
    answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static,
) -> Scripted {
    let play = move |seen: &Seen| {
        check_history(&seen.messages).unwrap_or_else(|e| panic!("request {}: {e}", seen.number));
        if is_summary(seen) {
            summary(seen)
        } else {
            answer(seen)
        }
    };
    Scripted::with(play).as_model(small(window))
}

fn summary() -> Answer {
    Answer::text("<analysis>let me think</analysis>\n<summary>They talked about SUMMED.</summary>")
}

async fn open(agent: AgentBuilder) -> (Session, Recorder) {
    let recorder = Recorder::new();
    let session = Session::builder(agent.tool(echo()).build().unwrap())
        .tracer(recorder.clone())
        .open()
        .await
        .unwrap();
    (session, recorder)
}

fn compactions(recorder: &Recorder) -> Vec<(Compaction, u64, u64)> {
    let row = |kind: EventKind| match kind {
        EventKind::Compacted { how, before, after } => Some((how, before, after)),
        _ => None,
    };
    recorder
        .events()
        .into_iter()
        .filter_map(|e| row(e.kind))
        .collect()
}

fn summaries(model: &Scripted) -> usize {
    model.seen().iter().filter(|seen| is_summary(seen)).count()
}

/// About so many tokens of words.
fn words(tokens: usize) -> String {
    "some words ".repeat(tokens / 2)
}

#[tokio::test]
async fn inv08_old_tool_output_goes_first_and_that_may_be_enough() {
    let look = work(shared("look"), |_, _| async { words(600).into() });
    let model = model(
        20_000,
        |_| panic!("trimming was enough"),
        |seen| match seen.number {
            1..=14 => Answer::text("hm").call("look", json!({})).without_usage(),
            _ => "done".into(),
        },
    );
    let (mut session, recorder) = open(Agent::builder(model.clone()).tool(look)).await;
    assert_eq!(session.submit_message("go").text().await.unwrap(), "done");
    let rows = compactions(&recorder);
    assert!(!rows.is_empty());
    for (how, before, after) in rows {
        assert_eq!(how, Compaction::Trimmed);
        assert!(after < before, "{before} to {after}");
    }
    // The newest five results are whole in every request, and no call lost its result.
    for seen in model.seen() {
        let results: Vec<_> = seen
            .messages
            .iter()
            .flat_map(Message::tool_results)
            .collect();
        for result in results.iter().rev().take(5) {
            assert_eq!(result.joined_text(), words(600), "request {}", seen.number);
        }
    }
    check_history(&session.history()).unwrap();
}

#[tokio::test]
async fn inv08_then_it_is_summarised_and_the_last_user_message_stays() {
    let model = model(
        10_000,
        |_| summary(),
        |_| Answer::text(words(900)).without_usage(),
    );
    let (mut session, recorder) = open(Agent::builder(model.clone())).await;
    for n in 0..12 {
        let question = format!("question {n}: {}", words(700));
        let outcome = session.submit_message(question.as_str()).finish().await;
        assert_eq!(outcome.stop, StopReason::Finished, "turn {n}");
        let asked = model.seen();
        let last = asked.iter().rev().find(|seen| !is_summary(seen)).unwrap();
        let said: Vec<_> = last.messages.iter().map(Message::text).collect();
        assert!(
            said.last().unwrap().contains(&question),
            "turn {n}: the question is asked"
        );
        check_history(&session.history()).unwrap();
    }
    let rows = compactions(&recorder);
    assert!(rows.len() >= 2, "{rows:?}");
    assert!(
        rows.iter()
            .all(|(how, before, after)| *how == Compaction::Summarised && after < before)
    );
    assert_eq!(summaries(&model), rows.len(), "one request for each");
    let last = model.seen().pop().unwrap();
    let text: String = last.messages.iter().map(Message::text).collect();
    assert!(
        text.contains("SUMMED") && !text.contains("let me think"),
        "only the summary is kept"
    );
    recorder.assert_one_turn_end();
}

#[tokio::test]
async fn past_the_hard_limit_nothing_is_sent() {
    let model = model(2_000, |_| summary(), |_| "fine".into());
    let (mut session, _) = open(Agent::builder(model.clone())).await;
    let outcome = session.submit_message(words(5_000).as_str()).finish().await;
    assert_eq!(outcome.stop, StopReason::ContextFull);
    let answers = model.seen().iter().filter(|seen| !is_summary(seen)).count();
    assert_eq!(answers, 0);
    assert!(summaries(&model) <= 3, "and it does not loop");
    check_history(&session.history()).unwrap();
}

/// A vendor that counts bytes by itself and refuses what is too long.
fn strict(limit: usize) -> impl Fn(&Seen) -> Option<Answer> + Send + Sync {
    move |seen| {
        let bytes: usize = seen.messages.iter().map(|m| m.text().len()).sum();
        let too_long = || Error::new(ErrorKind::ContextTooLong, "prompt is too long");
        (bytes > limit).then(|| too_long().into())
    }
}

#[tokio::test]
async fn p21_a_vendor_that_says_too_long_is_asked_again_once_after_a_summary() {
    too_long_is_asked_again(Agent::builder).await;
}

async fn too_long_is_asked_again(agent: fn(Scripted) -> AgentBuilder) {
    let limit = 4_000;
    let table = [
        ("just fits", limit, 0),
        ("one over", limit + 1, 1),
        ("three times", 3 * limit, 1),
    ];
    for (what, bytes, compacted) in table {
        let refuses = strict(limit);
        let model = model(
            200_000,
            |_| summary(),
            move |seen| refuses(seen).unwrap_or("fine".into()),
        );
        // Old words of so many bytes, and a short question.
        let old = vec![
            Message::user("x".repeat(bytes - 100)),
            Message::assistant("y".repeat(98)),
        ];
        let (mut session, recorder) = open(agent(model.clone()).history(old)).await;
        let outcome = session.submit_message("go").finish().await;
        assert_eq!(outcome.stop, StopReason::Finished, "{what}");
        assert_eq!(
            (summaries(&model), compactions(&recorder).len()),
            (compacted, compacted),
            "{what}"
        );
        assert_eq!(model.count() as usize, 1 + 2 * compacted, "{what}");
        check_history(&session.history()).unwrap();
    }
}

#[tokio::test]
async fn p21_an_answer_that_runs_out_of_room_is_asked_again_once_after_a_summary() {
    let model = model(
        200_000,
        |_| summary(),
        |seen| match seen.number {
            1 => Answer::text("I have seen").stop(Stop::ContextFull),
            _ => "fine".into(),
        },
    );
    let old = (0..8).flat_map(|_| [Message::user(words(300)), Message::assistant(words(300))]);
    let (mut session, recorder) = open(Agent::builder(model.clone()).history(old.collect())).await;
    let outcome = session.submit_message("go").finish().await;
    assert_eq!(outcome.stop, StopReason::Finished);
    assert_eq!((model.count(), compactions(&recorder).len()), (3, 1));
    assert_eq!(recorder.text(), "fine", "what was dropped is told");
    // Paid for all the same.
    assert_eq!(outcome.usage.requests, 3);
    assert_eq!(session.history().last().unwrap().text(), "fine");
}

#[tokio::test]
async fn p21_a_second_too_long_is_context_full_and_a_summary_that_is_too_long_does_not_loop() {
    let too_long = || Answer::error(Error::new(ErrorKind::ContextTooLong, "prompt is too long"));
    let old = || (0..8).flat_map(|_| [Message::user(words(300)), Message::assistant(words(300))]);
    let full = || Answer::text("I have").stop(Stop::ContextFull);
    type Play = fn() -> Answer;
    let rows: [(&str, Play, Play, u64); 3] = [
        ("always", summary, too_long, 3),
        (
            "and the summary too",
            || Answer::error(Error::new(ErrorKind::ContextTooLong, "no")),
            too_long,
            8,
        ),
        ("as a stop word", summary, full, 3),
    ];
    for (what, sum, answer, most) in rows {
        let model = model(200_000, move |_| sum(), move |_| answer());
        let (mut session, _) = open(Agent::builder(model.clone()).history(old().collect())).await;
        let outcome = session.submit_message("go").finish().await;
        assert_eq!(outcome.stop, StopReason::ContextFull, "{what}");
        assert!(model.count() <= most, "{what}: {} requests", model.count());
        let answers = model.seen().iter().filter(|seen| !is_summary(seen)).count();
        assert!(answers <= 2, "{what}: asked {answers} times");
        check_history(&session.history()).unwrap();
    }
}

#[tokio::test]
async fn three_failed_summaries_open_the_breaker() {
    let fails = || Answer::error(Error::new(ErrorKind::BadRequest, "no summary today"));
    // Between the line where summarising is due and the line where nothing is sent.
    let model = model(
        100_000,
        move |_| fails(),
        |_| {
            let used = offshoot::Usage {
                input: 70_000,
                output: 10,
                ..Default::default()
            };
            Answer::text("fine").usage(used)
        },
    );
    let old = vec![Message::user(words(500)), Message::assistant(words(500))];
    let (mut session, recorder) = open(Agent::builder(model.clone()).history(old)).await;
    for _ in 0..8 {
        assert_eq!(session.submit_message("go").text().await.unwrap(), "fine");
    }
    assert_eq!(summaries(&model), 3);
    assert!(compactions(&recorder).is_empty());
    recorder.assert_one_turn_end();
}

#[tokio::test]
async fn inv08_no_pair_is_split_and_no_reasoning_edited_whatever_the_sizes() {
    pairs_stay_whole(Agent::builder).await;
}

async fn pairs_stay_whole(agent: fn(Scripted) -> AgentBuilder) {
    for (size, window) in [(300, 6_000), (700, 9_000), (1_500, 14_000), (400, 12_000)] {
        let look = work(
            shared("look"),
            move |_, _| async move { words(size).into() },
        );
        let asked = AtomicUsize::new(0);
        let model = model(
            window,
            |_| summary(),
            move |seen| match asked.fetch_add(1, SeqCst) % 11 {
                10 => Answer::text("rest").without_usage(),
                n => {
                    let thought = format!("thought {} {}", seen.number, words(50));
                    let answer = Answer::empty()
                        .thinking(thought)
                        .signed("sealed")
                        .without_usage();
                    (0..n % 3 + 1).fold(answer, |a, _| a.call("look", json!({})))
                }
            },
        );
        let agent = agent(model.clone()).tool(look).max_steps(60);
        let (mut session, recorder) = open(agent).await;
        for _ in 0..3 {
            let outcome = session.submit_message("go").finish().await;
            let stop = outcome.stop;
            assert!(
                matches!(stop, StopReason::Finished | StopReason::ContextFull),
                "{stop:?}"
            );
        }
        assert!(!compactions(&recorder).is_empty(), "{size} {window}");
        for seen in model.seen().iter().filter(|seen| !is_summary(seen)) {
            assert!(seen.messages.iter().any(|m| m.role == offshoot::Role::User));
            for part in seen.messages.iter().flat_map(|m| &m.parts) {
                if let Part::Reasoning { text, seal } = part {
                    assert!(
                        text.starts_with("thought ") && text.ends_with(&words(50)),
                        "{text}"
                    );
                    assert_eq!(seal.as_ref().map(|s| s.value.as_str()), Some("sealed"));
                }
            }
        }
    }
}

/// What a hook says before history is summarised.
struct Before(Verdict<String>, Arc<AtomicUsize>, Arc<Mutex<Vec<u64>>>);

#[async_trait]
impl Hook for Before {
    async fn before_compact(&self, _: &HookContext, tokens: u64) -> Verdict<String> {
        self.1.fetch_add(1, SeqCst);
        self.2.lock().unwrap().push(tokens);
        match &self.0 {
            Verdict::Refuse(reason) if reason == "panic" => panic!("the hook breaks"),
            verdict => verdict.clone(),
        }
    }
}

#[tokio::test]
async fn before_compact_adds_words_or_prevents_it_this_time() {
    let table = [
        (Verdict::Keep, true, false),
        (
            Verdict::Change("mention the WEATHER".to_owned()),
            true,
            true,
        ),
        (Verdict::Refuse("not now".to_owned()), false, false),
        // A broken hook lets it pass.
        (Verdict::Refuse("panic".to_owned()), true, false),
    ];
    for (verdict, summarises, told) in table {
        let model = model(20_000, |_| summary(), |_| "fine".into());
        let (called, tokens) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let hook = Before(verdict.clone(), called.clone(), Arc::clone(&tokens));
        let old = (0..7).flat_map(|_| [Message::user(words(730)), Message::assistant(words(730))]);
        let agent = Agent::builder(model.clone())
            .history(old.collect())
            .hook(hook);
        let (mut session, recorder) = open(agent).await;
        assert_eq!(
            session.submit_message("go").text().await.unwrap(),
            "fine",
            "{verdict:?}"
        );
        assert_eq!(called.load(SeqCst), 1, "{verdict:?}");
        assert!(tokens.lock().unwrap()[0] > 10_000, "{tokens:?}");
        assert_eq!(summaries(&model) == 1, summarises, "{verdict:?}");
        assert_eq!(
            !compactions(&recorder).is_empty(),
            summarises,
            "{verdict:?}"
        );
        let heard = model.seen().iter().any(|seen| {
            let text: String = seen.messages.iter().map(Message::text).collect();
            is_summary(seen) && format!("{}{text}", seen.system).contains("WEATHER")
        });
        assert_eq!(heard, told, "{verdict:?}");
    }
}

#[tokio::test]
async fn a_summary_is_paid_for_like_any_other_call() {
    let used = |n| offshoot::Usage {
        input: n,
        output: 1,
        ..Default::default()
    };
    let model = model(
        20_000,
        move |_| summary().usage(used(1_000)),
        move |_| Answer::text("fine").usage(used(10)),
    );
    let old = (0..7).flat_map(|_| [Message::user(words(730)), Message::assistant(words(730))]);
    let (mut session, _) = open(Agent::builder(model.clone()).history(old.collect())).await;
    let outcome = session.submit_message("go").finish().await;
    assert_eq!((outcome.usage.input, outcome.usage.requests), (1_010, 2));
}

#[tokio::test]
async fn inv11_a_cancel_while_a_summary_is_written_leaves_the_history_as_it_was() {
    let model = model(
        20_000,
        |seen| match seen.number {
            1 => summary().stall_after(2),
            _ => summary(),
        },
        |_| "fine".into(),
    );
    let old: Vec<_> = (0..7)
        .flat_map(|_| [Message::user(words(730)), Message::assistant(words(730))])
        .collect();
    let (mut session, _) = open(Agent::builder(model).history(old.clone())).await;
    let handle = session.handle();
    let cancel = async {
        tokio::time::sleep(std::time::Duration::from_millis(80)).await;
        handle.cancel()
    };
    let (outcome, receipt) = tokio::join!(session.submit_message("go").finish(), cancel);
    assert_eq!(outcome.stop, StopReason::Cancelled);
    assert_eq!(receipt.stopped.len(), 1, "{receipt:?}");
    assert_eq!(session.history()[..14], old[..]);
    assert_eq!(
        session.submit_message("again").text().await.unwrap(),
        "fine"
    );
    check_history(&session.history()).unwrap();
}
