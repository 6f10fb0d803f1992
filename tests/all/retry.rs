//! Failed model calls: which are tried again, after which wait, what watchers hear, who is asked next.
//! Refuses the timers and framing of HTTP, which are tested beside their code.

mod inside;
mod twins;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant, SystemTime},
};

use offshoot::{
    Agent, AgentBuilder, Error, ErrorKind, EventKind, MAX_RETRY_AFTER, Message, RetryPolicy,
    Session, StopReason, TurnOutcome,
    provider::{Anthropic, Model},
    testing::{Answer, Cut, ModelServer, Recorder, Reply, Script, Scripted, check_history},
};
use serde_json::json;

use crate::kit::{claude, quick, shared, work};

async fn run(agent: AgentBuilder) -> (TurnOutcome, Recorder, Vec<Message>) {
    let recorder = Recorder::new();
    let mut session = Session::builder(agent.build().unwrap())
        .tracer(recorder.clone())
        .open()
        .await
        .unwrap();
    let outcome = session.submit_message("go").finish().await;
    recorder.assert_one_turn_end();
    check_history(&session.history()).unwrap();
    (outcome, recorder, session.history())
}

/// The waits that watchers were told of, by attempt.
fn waits(recorder: &Recorder) -> Vec<(u32, u64)> {
    let wait = |kind: EventKind| match kind {
        EventKind::Retrying {
            attempt,
            wait_millis,
            error,
        } => {
            assert!(!error.is_empty());
            Some((attempt, wait_millis))
        }
        _ => None,
    };
    recorder
        .events()
        .into_iter()
        .filter_map(|e| wait(e.kind))
        .collect()
}

fn error_of(outcome: &TurnOutcome) -> Error {
    outcome.stop.clone().into_error()
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_twice_more_and_nothing_else() {
    use ErrorKind as K;
    let passes = [
        K::RateLimited,
        K::Overloaded,
        K::Server,
        K::Connect,
        K::Disconnected,
        K::Timeout,
    ];
    let stays = [
        K::Auth,
        K::Forbidden,
        K::NotFound,
        K::BadRequest,
        K::QuotaExhausted,
        K::Decode,
    ];
    for kind in passes {
        let fails = || Answer::error(Error::new(kind, "it failed"));
        let model = Scripted::new([fails(), fails(), "fine".into()]);
        let (outcome, recorder, _) = run(Agent::builder(model.clone())).await;
        assert_eq!(
            (outcome.stop, model.count()),
            (StopReason::Finished, 3),
            "{kind:?}"
        );
        let told = waits(&recorder);
        assert_eq!(
            told.iter().map(|w| w.0).collect::<Vec<_>>(),
            [1, 2],
            "{kind:?}"
        );
        assert!((375..=500).contains(&told[0].1), "{kind:?}: {told:?}");
        assert!((750..=1_000).contains(&told[1].1), "{kind:?}: {told:?}");

        let model = Scripted::forever(fails());
        let (outcome, recorder, _) = run(Agent::builder(model.clone())).await;
        assert_eq!(model.count(), 3, "{kind:?}");
        assert_eq!(waits(&recorder).len(), 2, "{kind:?}");
        assert_eq!(error_of(&outcome).kind(), kind);
    }
    for kind in stays {
        let model = Scripted::forever(Answer::error(Error::new(kind, "it failed")));
        let (outcome, recorder, _) = run(Agent::builder(model.clone())).await;
        assert_eq!((model.count(), waits(&recorder).len()), (1, 0), "{kind:?}");
        assert_eq!(error_of(&outcome).kind(), kind);
    }
}

#[tokio::test(start_paused = true)]
async fn twin_a_policy_that_never_retries_fails_at_once() {
    let busy = Answer::error(Error::new(ErrorKind::Overloaded, "busy"));
    let model = Scripted::new([busy, "fine".into()]);
    let (outcome, recorder, _) =
        run(Agent::builder(model.clone()).retry(RetryPolicy::never())).await;
    assert!(matches!(outcome.stop, StopReason::Failed { .. }));
    assert_eq!((model.count(), waits(&recorder).len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_of_a_real_server_are_tried_again_by_class() {
    // What is wrong with the request or the key stays wrong: exactly one request.
    let table = [
        (400, 1),
        (401, 1),
        (403, 1),
        (404, 1),
        (408, 3),
        (409, 3),
        (429, 3),
        (500, 3),
        (502, 3),
        (503, 3),
        (504, 3),
        (529, 3),
    ];
    for (status, requests) in table {
        is_asked(requests, status, Agent::builder).await;
    }
}

/// A server that always answers so is asked so often, and its error is the turn's.
async fn is_asked(requests: u64, status: u16, agent: impl FnOnce(Anthropic) -> AgentBuilder) {
    let body = json!({"type": "error", "error": {"type": "some_error", "message": "no"}});
    let server = ModelServer::start(Script::repeat(Reply::json(&body).status(status)));
    let (outcome, recorder, _) = run(agent(claude(&server)).retry(quick())).await;
    assert_eq!(server.count(), requests, "requests for {status}");
    assert_eq!(waits(&recorder).len() as u64, requests - 1, "{status}");
    let error = error_of(&outcome);
    assert_eq!(error.status(), Some(status), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p6_a_server_that_hangs_up_is_asked_again() {
    hung_up_on(quick()).await;
}

async fn hung_up_on(policy: RetryPolicy) {
    let server = ModelServer::start([
        Reply::hang_up(Cut::Close),
        Reply::hang_up(Cut::Reset),
        Reply::answer("fine"),
    ]);
    let (outcome, _, _) = run(Agent::builder(claude(&server)).retry(policy)).await;
    assert_eq!((outcome.text.as_str(), server.count()), ("fine", 3));
}

/// The wait between two requests: what it was, and what watchers were told.
async fn retry_after(
    name: &str,
    value: String,
    agent: impl FnOnce(Anthropic) -> AgentBuilder,
) -> (Duration, u64) {
    let body = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}});
    let server = ModelServer::start([
        Reply::json(&body).status(429).header(name, value),
        Reply::answer("fine"),
    ]);
    let (outcome, recorder, _) = run(agent(claude(&server)).retry(quick())).await;
    assert_eq!(outcome.text, "fine");
    let requests = server.requests();
    (requests[1].at - requests[0].at, waits(&recorder)[0].1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_the_wait_that_a_vendor_asks_for_is_kept() {
    let date = httpdate(SystemTime::now() + Duration::from_secs(3));
    let plain = |model: Anthropic| Agent::builder(model);
    let (millis, seconds, date, nonsense) = tokio::join!(
        retry_after("retry-after-ms", "300".into(), plain),
        retry_after("retry-after", "1".into(), plain),
        retry_after("retry-after", date, plain),
        retry_after("retry-after", "soon".into(), plain),
    );
    is_kept(millis, 300, 345);
    is_kept(seconds, 1_000, 1_150);
    is_kept(date, 1_500, 3_450);
    assert!(nonsense.1 <= 5, "nonsense is no wait: {nonsense:?}");
}

fn is_kept((real, told): (Duration, u64), least: u64, most: u64) {
    assert!(
        (least..=most).contains(&told),
        "told {told}, not {least} to {most}"
    );
    assert!(
        real >= Duration::from_millis(least),
        "{real:?} is less than {least} ms"
    );
    assert!(
        real <= Duration::from_millis(most + 1_500),
        "{real:?} is more than {most} ms"
    );
}

/// A date as HTTP writes it.
fn httpdate(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    let (mut year, mut left) = (1970, days);
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let names = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!(
        "{weekday}, {:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT",
        left + 1,
        names[month]
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p2_a_wait_over_the_cap_ends_at_once_and_says_when_to_come_back() {
    parks(Agent::builder).await;
}

async fn parks(agent: impl FnOnce(Anthropic) -> AgentBuilder) {
    let body = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}});
    let server = ModelServer::start(Script::repeat(
        Reply::json(&body).status(429).header("retry-after", "3600"),
    ));
    let began = Instant::now();
    let agent = agent(claude(&server)).build().unwrap();
    let mut session = Session::new(agent);
    let error = session.submit_message("go").text().await.unwrap_err();
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3_600)));
    assert!(error.retry_after().unwrap() > MAX_RETRY_AFTER);
    assert_eq!(server.count(), 1);
    // Somebody who does not wait is refused without a request: 0 until then.
    let error = session.submit_message("again").text().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(
        error
            .retry_after()
            .is_some_and(|wait| wait > MAX_RETRY_AFTER),
        "{error:?}"
    );
    assert_eq!(server.count(), 1, "no request before the time has come");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn p7_a_broken_stream_is_marked_before_anything_is_said_again() {
    for broken_by in [
        ErrorKind::Disconnected,
        ErrorKind::Overloaded,
        ErrorKind::Timeout,
    ] {
        let story = Answer::empty().text_deltas(["one ", "two ", "three"]);
        let broken = story
            .clone()
            .fail_after(3, Error::new(broken_by, "it broke"));
        let model = Scripted::new([broken, story]);
        let (outcome, recorder, history) = run(Agent::builder(model.clone())).await;
        assert_eq!(
            (outcome.stop, model.count()),
            (StopReason::Finished, 2),
            "{broken_by:?}"
        );
        assert_eq!(recorder.text(), "one two three", "what is on the screen");
        assert_eq!(history[1], Message::assistant("one two three"), "said once");
        let events = recorder.events();
        let restarts: Vec<_> = events
            .iter()
            .enumerate()
            .filter_map(|(at, e)| match &e.kind {
                EventKind::Restarted {
                    dropped,
                    model,
                    error,
                } => Some((at, dropped, model, error)),
                _ => None,
            })
            .collect();
        let [(at, dropped, model, error)] = restarts[..] else {
            panic!("{broken_by:?}: {} restarts", restarts.len());
        };
        let shown: String = events[..at]
            .iter()
            .filter_map(|e| match &e.kind {
                EventKind::TextDelta { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert!(
            !shown.is_empty() && *dropped == shown,
            "the log keeps what is dropped: {dropped}"
        );
        assert_eq!(model, "scripted/scripted");
        assert!(error.contains("it broke"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn p8_no_tool_runs_of_a_message_that_broke_and_each_once_of_the_next() {
    let ran = Arc::new(AtomicUsize::new(0));
    let counter = ran.clone();
    let tool = work(shared("tool"), move |_, _| {
        counter.fetch_add(1, SeqCst);
        async { "ran".into() }
    });
    let answer = || {
        Answer::text("hm")
            .call("tool", json!({"n": 1}))
            .call("tool", json!({"n": 2}))
    };
    let mut at = 0;
    loop {
        ran.store(0, SeqCst);
        let model = Scripted::new([answer().break_after(at), answer(), "done".into()]);
        let agent = Agent::builder(model.clone()).tool(tool.clone());
        let (outcome, _, _) = run(agent).await;
        assert_eq!(outcome.stop, StopReason::Finished, "broken after {at}");
        if ran.load(SeqCst) == 4 {
            break; // the whole answer was out before the break
        }
        assert_eq!(ran.load(SeqCst), 2, "broken after {at}");
        at += 1;
        assert!(at < 100, "the answer has an end");
    }
    assert!(at > 5, "the loop broke something: {at}");
}

fn named(name: &str, answers: Vec<Answer>) -> Scripted {
    Scripted::new(answers).as_model(Model::unknown("acme", name))
}

#[tokio::test(start_paused = true)]
async fn the_next_model_of_the_list_is_asked_and_watchers_hear_which() {
    let fails = |kind| Answer::error(Error::new(kind, "it failed"));
    use ErrorKind as K;
    // What the first model answers; how often it is asked.
    let table = [
        ("for good", vec![fails(K::NotFound)], 1),
        (
            "busy to the end",
            vec![
                fails(K::Overloaded),
                fails(K::Overloaded),
                fails(K::Overloaded),
            ],
            3,
        ),
        ("wrong key", vec![fails(K::Auth)], 1),
        (
            "broken in the middle",
            vec![
                Answer::text("one two three").fail_after(2, Error::new(K::Server, "broke")),
                fails(K::Server),
                fails(K::Server),
            ],
            3,
        ),
    ];
    for (what, answers, asked) in table {
        let first = named("first", answers);
        let second = named("second", vec![fails(K::Auth)]);
        let third = named("third", vec!["here ".into()]);
        let agent = Agent::builder(first.clone())
            .fallback(Arc::new(second.clone()))
            .fallback(Arc::new(third.clone()));
        let (outcome, recorder, history) = run(agent).await;
        assert_eq!(outcome.stop, StopReason::Finished, "{what}");
        let counts = (first.count(), second.count(), third.count());
        assert_eq!(counts, (asked, 1, 1), "{what}");
        assert_eq!(recorder.text(), "here ", "{what}");
        assert_eq!(history.last().unwrap().text(), "here ", "{what}");
        let said = recorder.events().iter().any(|e| match &e.kind {
            EventKind::Restarted { model, .. } => model == "acme/third",
            _ => false,
        });
        assert!(said, "{what}: {:?}", recorder.events());
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_whole_list_fails_the_last_error_is_the_turns() {
    let fails = |kind| vec![Answer::error(Error::new(kind, "it failed"))];
    let (first, second) = (
        named("a", fails(ErrorKind::Auth)),
        named("b", fails(ErrorKind::NotFound)),
    );
    let agent = Agent::builder(first).fallback(Arc::new(second));
    let (outcome, _, _) = run(agent).await;
    let kind = error_of(&outcome).kind();
    assert!(
        matches!(kind, ErrorKind::Auth | ErrorKind::NotFound),
        "{kind:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_and_a_cancel_are_no_reason_to_ask_another_model() {
    use offshoot::provider::Stop;
    let refuses = Answer::text("no").stop(Stop::Refused {
        reason: "policy".into(),
    });
    let (first, second) = (named("a", vec![refuses]), named("b", vec!["yes".into()]));
    let agent = Agent::builder(first).fallback(Arc::new(second.clone()));
    let (outcome, _, _) = run(agent).await;
    assert!(
        matches!(outcome.stop, StopReason::Refused { .. }),
        "{:?}",
        outcome.stop
    );
    assert_eq!(second.count(), 0);
}

#[tokio::test]
async fn p18_unknown_events_are_skipped_and_said() {
    odd_events(Agent::builder).await;
}

async fn odd_events(agent: fn(Scripted) -> AgentBuilder) {
    use offshoot::provider::Delta;
    let odd = || Delta::Skipped {
        what: "strange_event".into(),
    };
    for at in 0..3 {
        let mut answer = Answer::empty();
        for n in 0..3 {
            if n == at {
                answer = answer.delta(odd()).delta(odd());
            }
            answer = answer.text_deltas([format!("{n} ")]);
        }
        let (outcome, recorder, _) = run(agent(Scripted::new([answer]))).await;
        assert_eq!(
            (outcome.stop, outcome.text.as_str()),
            (StopReason::Finished, "0 1 2 ")
        );
        let told: u64 = recorder
            .events()
            .into_iter()
            .filter_map(|e| match e.kind {
                EventKind::Skipped { what, count } => {
                    assert_eq!(what, "strange_event");
                    Some(count)
                }
                _ => None,
            })
            .sum();
        assert_eq!(told, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p10_a_stall_is_noticed_at_the_head_and_in_the_body() {
    let mut options = offshoot::Options::default();
    options.first_byte = Some(Duration::from_millis(200));
    options.idle = Some(Duration::from_millis(200));
    stalls_are_noticed(options).await;
}

async fn stalls_are_noticed(options: offshoot::Options) {
    let table = [
        (
            "at the head",
            Reply::answer("x").delay(Duration::from_secs(60)),
        ),
        ("after the first event", Reply::answer("x").stall_at(320)),
        ("inside an event", Reply::answer("x").stall_at(30)),
    ];
    for (what, stuck) in table {
        let server = ModelServer::start([stuck, Reply::answer("fine")]);
        let agent = Agent::builder(claude(&server))
            .retry(quick())
            .options(options.clone());
        let began = Instant::now();
        let (outcome, _, _) = run(agent).await;
        let took = began.elapsed().as_millis();
        assert_eq!(
            (outcome.text.as_str(), server.count()),
            ("fine", 2),
            "{what}"
        );
        assert!((190..2_000).contains(&took), "{what}: {took} ms");
    }
}
