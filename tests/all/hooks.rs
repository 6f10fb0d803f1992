//! Hooks at every point of the turn: what they change, refuse, delay and break.
//! Refuses permission modes and compaction, which have files of their own.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use offshoot::{
    Agent, AgentBuilder, CallId, Content, Event, Hook, HookContext, Message, Mode, Outcome,
    Permissions, Point, Preamble, Session, StopReason, Tool, ToolCall, ToolResult, Tracer,
    TurnOutcome, Verdict,
    testing::{Answer, Recorder, Scripted, check_history},
};
use serde_json::{Value, json};

use crate::kit::{noticed, outcomes, results, shared, work};

/// What a hook does at its point.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Change,
    Refuse,
    Panic,
    Hang,
}

/// Does one deed at one point and keeps everything else.
struct At {
    name: &'static str,
    point: Point,
    deed: Deed,
    called: Arc<AtomicUsize>,
}

impl At {
    fn new(point: Point, deed: Deed) -> Self {
        Self {
            name: "first",
            point,
            deed,
            called: Arc::default(),
        }
    }

    async fn act<T>(
        &self,
        at: &HookContext,
        point: Point,
        change: impl FnOnce() -> T,
    ) -> Verdict<T> {
        if point != self.point {
            return Verdict::Keep;
        }
        assert_eq!((at.agent.as_str(), at.turn.0), ("root", 1));
        self.called.fetch_add(1, SeqCst);
        match self.deed {
            Deed::Change => Verdict::Change(change()),
            Deed::Refuse => Verdict::Refuse("house rules".into()),
            Deed::Panic => panic!("the hook breaks"),
            Deed::Hang => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Hook for At {
    fn name(&self) -> &str {
        self.name
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(3)
    }

    async fn on_submit(&self, at: &HookContext, message: &Message) -> Verdict<Message> {
        let text = message.text();
        self.act(at, Point::OnSubmit, || {
            Message::user(format!("{text}+{}", self.name))
        })
        .await
    }

    async fn before_request(&self, at: &HookContext, preamble: &Preamble) -> Verdict<Preamble> {
        let change = || {
            let mut changed = preamble.clone();
            changed.system = format!("{}+{}", preamble.system, self.name);
            changed.options.max_output = Some(77);
            changed
        };
        self.act(at, Point::BeforeRequest, change).await
    }

    async fn after_response(&self, at: &HookContext, _: &Message) -> Verdict<()> {
        self.act(at, Point::AfterResponse, || ()).await
    }

    async fn before_tool(&self, at: &HookContext, _: &ToolCall, input: &Value) -> Verdict<Value> {
        let text = input["text"].as_str().unwrap();
        let change = || json!({"text": format!("{text}+{}", self.name)});
        self.act(at, Point::BeforeTool, change).await
    }

    async fn after_tool(
        &self,
        at: &HookContext,
        _: &ToolCall,
        result: &ToolResult,
    ) -> Verdict<ToolResult> {
        let change = || {
            let mut changed = result.clone();
            changed.content = vec![Content::Text(format!(
                "{}+{}",
                result.joined_text(),
                self.name
            ))];
            changed
        };
        self.act(at, Point::AfterTool, change).await
    }

    async fn on_stop(&self, at: &HookContext, _: &str) -> Verdict<Message> {
        self.act(at, Point::OnStop, || {
            Message::user(format!("go on, says {}", self.name))
        })
        .await
    }
}

/// A tool that says what it was given, and counts.
fn parrot(ran: &Arc<AtomicUsize>) -> Arc<dyn Tool> {
    let ran = ran.clone();
    let schema =
        json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    let mut spec = shared("parrot").subject("text");
    spec.schema = schema;
    work(spec, move |_, input| {
        ran.fetch_add(1, SeqCst);
        async move { input["text"].as_str().unwrap().into() }
    })
}

struct Run {
    outcome: TurnOutcome,
    history: Vec<Message>,
    model: Scripted,
    ran: usize,
}

/// One turn: the model calls the parrot once, then is done as often as it is asked.
async fn run(dress: impl FnOnce(AgentBuilder) -> AgentBuilder) -> Run {
    run_tool(|tool| tool, dress).await
}

async fn run_tool(
    wrap: impl FnOnce(Arc<dyn Tool>) -> Arc<dyn Tool>,
    dress: impl FnOnce(AgentBuilder) -> AgentBuilder,
) -> Run {
    let model = Scripted::with(|seen| match seen.number {
        1 => Answer::text("let me").call("parrot", json!({"text": "word"})),
        _ => "done".into(),
    });
    let (ran, recorder) = (Arc::new(AtomicUsize::new(0)), Recorder::new());
    let agent = Agent::builder(model.clone())
        .system("base")
        .tool(wrap(parrot(&ran)));
    let mut session = Session::builder(dress(agent).build().unwrap())
        .tracer(recorder.clone())
        .open()
        .await
        .unwrap();
    let outcome = session.submit_message("go").finish().await;
    let history = session.history();
    check_history(&history).unwrap();
    recorder.assert_one_turn_end();
    // A turn after it works, whatever the hook did to this one: the history is one vendors take.
    for seen in model.seen() {
        check_history(&seen.messages).unwrap();
    }
    Run {
        outcome,
        history,
        model,
        ran: ran.load(SeqCst),
    }
}

async fn run_with(point: Point, deed: Deed) -> Run {
    run(|agent| agent.hook(At::new(point, deed))).await
}

fn refused(run: &Run) -> &str {
    match &run.outcome.stop {
        StopReason::Refused { reason } => reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn on_submit_changes_and_refuses() {
    let changed = run_with(Point::OnSubmit, Deed::Change).await;
    assert_eq!(
        changed.model.seen()[0].messages,
        [Message::user("go+first")]
    );
    assert_eq!(changed.history[0], Message::user("go+first"));
    let refusal = run_with(Point::OnSubmit, Deed::Refuse).await;
    assert!(refused(&refusal).contains("house rules"));
    assert_eq!(refusal.model.count(), 0, "nothing was sent");
    assert!(
        refusal.history.is_empty(),
        "and nothing kept: {:?}",
        refusal.history
    );
}

#[tokio::test]
async fn before_request_changes_every_request_and_refuses() {
    let changed = run_with(Point::BeforeRequest, Deed::Change).await;
    let seen = changed.model.seen();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        // Each request begins with the agent's own words, so changes do not pile up.
        assert_eq!(
            (seen.system.as_str(), seen.options.max_output),
            ("base+first", Some(77))
        );
    }
    let refusal = run_with(Point::BeforeRequest, Deed::Refuse).await;
    assert!(refused(&refusal).contains("house rules"));
    assert_eq!(refusal.model.count(), 0);
}

#[tokio::test]
async fn after_response_refuses_and_no_tool_runs() {
    let refusal = run_with(Point::AfterResponse, Deed::Refuse).await;
    assert!(refused(&refusal).contains("house rules"));
    assert_eq!((refusal.ran, refusal.model.count()), (0, 1));
    assert_eq!(
        refusal.history[1].text(),
        "let me",
        "the message stays in the transcript"
    );
    let outcome = outcomes(&refusal.history)[0];
    assert!(
        matches!(outcome, Outcome::Denied | Outcome::NeverStarted),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn before_tool_changes_and_refuses() {
    let changed = run_with(Point::BeforeTool, Deed::Change).await;
    assert_eq!(results(&changed.history)[0].2, "word+first");
    let refusal = run_with(Point::BeforeTool, Deed::Refuse).await;
    let row = &results(&refusal.history)[0];
    assert_eq!((row.1, refusal.ran), (Outcome::Denied, 0));
    assert!(row.2.contains("house rules"), "{}", row.2);
    assert_eq!(
        refusal.outcome.stop,
        StopReason::Finished,
        "a refused call is a result"
    );
}

#[tokio::test]
async fn after_tool_changes_and_refuses() {
    let changed = run_with(Point::AfterTool, Deed::Change).await;
    assert_eq!(results(&changed.history)[0].2, "word+first");
    let refusal = run_with(Point::AfterTool, Deed::Refuse).await;
    let row = &results(&refusal.history)[0];
    assert_eq!((row.1, refusal.ran), (Outcome::Failed, 1));
    assert!(
        row.2.contains("house rules") && !row.2.contains("word"),
        "{}",
        row.2
    );
}

#[tokio::test]
async fn on_stop_pushes_the_turn_on_a_bounded_number_of_times() {
    for pushes in [0, 1, Agent::DEFAULT_MAX_PUSHES] {
        let hook = At::new(Point::OnStop, Deed::Change);
        let pushed = run(|agent| agent.hook(hook).max_pushes(pushes)).await;
        assert_eq!(pushed.model.count(), 2 + u64::from(pushes));
        assert_eq!(pushed.outcome.stop, StopReason::Finished);
        let said = |m: &&Message| m.text() == "go on, says first";
        assert_eq!(pushed.history.iter().filter(said).count(), pushes as usize);
    }
    let refusal = run_with(Point::OnStop, Deed::Refuse).await;
    assert_eq!(
        refusal.outcome.stop,
        StopReason::Finished,
        "a refusal here is the same as keep"
    );
    assert_eq!(refusal.model.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_broken_or_slow_hook_fails_as_its_point_says() {
    let points = [
        Point::OnSubmit,
        Point::BeforeRequest,
        Point::AfterResponse,
        Point::BeforeTool,
        Point::AfterTool,
        Point::OnStop,
    ];
    for point in points {
        for deed in [Deed::Panic, Deed::Hang] {
            let what = format!("{point:?} {deed:?}");
            let began = tokio::time::Instant::now();
            let broken = run_with(point, deed).await;
            let waited = began.elapsed().as_secs();
            match deed {
                Deed::Hang => assert!((3..=6).contains(&waited), "{what}: {waited} s"),
                _ => assert_eq!(waited, 0, "{what}"),
            }
            let open = !point.fails_closed();
            match point {
                Point::OnSubmit | Point::BeforeRequest => {
                    assert!(
                        refused(&broken).contains("first"),
                        "{what}: the hook is named"
                    );
                    assert_eq!(broken.model.count(), 0, "{what}");
                    assert!(!open);
                }
                Point::AfterResponse => {
                    assert!(
                        refused(&broken).contains("first"),
                        "{what}: the hook is named"
                    );
                    assert_eq!(broken.ran, 0, "{what}");
                }
                Point::BeforeTool => {
                    assert_eq!(outcomes(&broken.history), [Outcome::Denied], "{what}");
                    assert_eq!(broken.ran, 0, "{what}");
                    assert!(!open);
                }
                _ => {
                    assert!(open);
                    assert_eq!(broken.outcome.stop, StopReason::Finished, "{what}");
                    let row = &results(&broken.history)[0];
                    assert_eq!((row.1, row.2.as_str()), (Outcome::Ok, "word"), "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn hooks_are_called_in_order_and_the_first_refusal_ends_the_chain() {
    let second = |point, deed| At {
        name: "second",
        ..At::new(point, deed)
    };
    for point in [
        Point::OnSubmit,
        Point::BeforeRequest,
        Point::BeforeTool,
        Point::AfterTool,
    ] {
        let both = run(|agent| {
            agent
                .hook(At::new(point, Deed::Change))
                .hook(second(point, Deed::Change))
        })
        .await;
        let seen = &both.model.seen()[0];
        let made = match point {
            Point::OnSubmit => seen.messages[0].text(),
            Point::BeforeRequest => seen.system.clone(),
            _ => results(&both.history)[0].2.clone(),
        };
        assert!(made.ends_with("+first+second"), "{point:?}: {made}");

        let last = second(point, Deed::Change);
        let called = last.called.clone();
        run(|agent| agent.hook(At::new(point, Deed::Refuse)).hook(last)).await;
        assert_eq!(
            called.load(SeqCst),
            0,
            "{point:?}: nobody is called after a refusal"
        );
    }
}

#[tokio::test]
async fn hooks_of_the_session_stand_above_those_of_the_agent() {
    let model = Scripted::forever("ok");
    let agent = Agent::builder(model.clone()).hook(At::new(Point::OnSubmit, Deed::Change));
    let above = At {
        name: "above",
        ..At::new(Point::OnSubmit, Deed::Change)
    };
    let mut session = Session::builder(agent.build().unwrap())
        .hook(above)
        .open()
        .await
        .unwrap();
    session.submit_message("go").finish().await;
    assert_eq!(model.seen()[0].messages[0].text(), "go+above+first");
}

/// Puts other arguments in the place of the model's.
struct Swap(Value);

#[async_trait]
impl Hook for Swap {
    async fn before_tool(&self, _: &HookContext, _: &ToolCall, _: &Value) -> Verdict<Value> {
        Verdict::Change(self.0.clone())
    }
}

#[tokio::test]
async fn inv12_rules_and_schema_hold_for_what_a_hook_made_of_a_call() {
    let deny = |rule: &str| Permissions {
        deny: vec![rule.parse().unwrap()],
        mode: Mode::Bypass,
        ..Permissions::default()
    };
    let dressed = |input: Value, rules: Permissions| {
        run(move |agent| agent.hook(Swap(input)).permissions(rules))
    };
    is_denied(&dressed(json!({"text": "evil"}), deny("parrot(evil*)")).await);
    let fine = dressed(json!({"text": "good"}), deny("parrot(evil*)")).await;
    assert_eq!((outcomes(&fine.history)[0], fine.ran), (Outcome::Ok, 1));
    // What the model wrote was denied; a hook may make a good call of it, and the rule sees that.
    let cured = dressed(json!({"text": "good"}), deny("parrot(word)")).await;
    assert_eq!((outcomes(&cured.history)[0], cured.ran), (Outcome::Ok, 1));
    let wrong = dressed(json!({"text": 5}), Permissions::default()).await;
    assert_eq!(
        (outcomes(&wrong.history)[0], wrong.ran),
        (Outcome::Failed, 0)
    );
    let planned = Permissions {
        mode: Mode::Plan,
        ..Permissions::default()
    };
    is_denied(&dressed(json!({"text": "good"}), planned).await);
}

fn is_denied(run: &Run) {
    let outcome = outcomes(&run.history)[0];
    assert_eq!((outcome, run.ran), (Outcome::Denied, 0));
}

/// The twin: a change that comes after the rules were asked goes past them.
#[tokio::test]
async fn inv12_twin_a_change_behind_the_rules_runs_what_they_deny() {
    let rules = Permissions {
        deny: vec!["parrot(evil*)".parse().unwrap()],
        ..Permissions::default()
    };
    let behind = |tool: Arc<dyn Tool>| {
        work(tool.spec().clone(), move |ctx, _| {
            let tool = tool.clone();
            async move { tool.call(ctx, json!({"text": "evil"})).await }
        })
    };
    let run = run_tool(behind, |agent| agent.permissions(rules)).await;
    let saw = noticed(async { is_denied(&run) }).await;
    assert!(saw.contains("(Ok, 1)"), "{saw}");
}

/// Hands back a result of another call, in other words.
struct Forge;

#[async_trait]
impl Hook for Forge {
    async fn after_tool(
        &self,
        _: &HookContext,
        _: &ToolCall,
        result: &ToolResult,
    ) -> Verdict<ToolResult> {
        let mut changed = result.clone();
        changed.call = CallId::new("another");
        changed.name = "another".into();
        Verdict::Change(changed)
    }
}

#[tokio::test]
async fn inv02_a_hook_cannot_break_a_pair() {
    let forged = run(|agent| agent.hook(Forge)).await;
    assert_eq!(forged.outcome.stop, StopReason::Finished);
    let call = forged.history[1].calls().next().unwrap();
    let result = forged.history[2].tool_results().next().unwrap();
    assert_eq!((&call.id, &call.name), (&result.call, &result.name));
}

/// Breaks at every event.
struct Broken(Arc<Mutex<u32>>);

impl Tracer for Broken {
    fn hear(&self, _: &Event) {
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
        panic!("the tracer breaks");
    }
}

#[tokio::test]
async fn a_tracer_that_panics_harms_nobody() {
    let (count, recorder) = (Arc::new(Mutex::new(0)), Recorder::new());
    let agent = Agent::builder(Scripted::forever("one two three"))
        .build()
        .unwrap();
    let mut session = Session::builder(agent)
        .tracer(Broken(count.clone()))
        .tracer(recorder.clone())
        .open()
        .await
        .unwrap();
    assert_eq!(
        session.submit_message("go").text().await.unwrap(),
        "one two three"
    );
    recorder.assert_one_turn_end();
    assert_eq!(*count.lock().unwrap() as usize, recorder.events().len());
}
