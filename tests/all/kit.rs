//! What several tests share: small tools and short words for long checks.
//! Refuses to test anything by itself.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt};
use offshoot::{
    Event, EventKind, Lane, Message, Outcome, Result, RetryPolicy, Scope, StopReason, Tool,
    ToolContext, ToolOutput, ToolSpec, TypedTool,
    provider::{Anthropic, Delta, Deltas, Model, Provider, Request},
    testing::ModelServer,
    tool_fn, typed,
};
use serde_json::{Value, json};

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct Nothing {}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Echo {
    text: String,
}

/// Says it again.
pub(crate) fn echo() -> Arc<dyn Tool> {
    tool_fn(
        "echo",
        "Says it again",
        |args: Echo| async move { args.text },
    )
}

/// Sleeps, then says a word.
#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct Sleep {
    millis: u64,
    text: String,
}

struct Sleeper;

impl TypedTool for Sleeper {
    const NAME: &'static str = "sleep";
    type Input = Sleep;

    fn manners(&self, spec: ToolSpec) -> ToolSpec {
        spec.lane(Lane::Shared)
    }

    async fn call(&self, ctx: ToolContext, input: Sleep) -> ToolOutput {
        ctx.update("asleep");
        tokio::time::sleep(Duration::from_millis(input.millis)).await;
        input.text.into()
    }
}

/// A shared tool that sleeps, then says a word.
pub(crate) fn sleeper() -> Arc<dyn Tool> {
    typed(Sleeper)
}

/// The published names of events.
pub(crate) fn names(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| {
        let value = serde_json::to_value(event).unwrap();
        value["type"].as_str().unwrap().to_owned()
    };
    events.iter().map(name).collect()
}

/// A tool from what it says of itself and a closure that gets the context too.
pub(crate) struct Work<F> {
    spec: ToolSpec,
    run: F,
}

#[async_trait::async_trait]
impl<F, R> Tool for Work<F>
where
    F: Fn(ToolContext, Value) -> R + Send + Sync + 'static,
    R: Future<Output = ToolOutput> + Send + 'static,
{
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, ctx: ToolContext, input: Value) -> ToolOutput {
        (self.run)(ctx, input).await
    }
}

/// See [`Work`].
pub(crate) fn work<F, R>(spec: ToolSpec, run: F) -> Arc<dyn Tool>
where
    F: Fn(ToolContext, Value) -> R + Send + Sync + 'static,
    R: Future<Output = ToolOutput> + Send + 'static,
{
    Arc::new(Work { spec, run })
}

/// A tool that takes any object, in the careful lane.
pub(crate) fn spec(name: &'static str) -> ToolSpec {
    ToolSpec::new(name, "For a test", json!({"type": "object"}))
}

/// As [`spec`], beside others.
pub(crate) fn shared(name: &'static str) -> ToolSpec {
    spec(name).lane(Lane::Shared)
}

/// A shared tool that never ends, after writing a few words and telling watchers so.
pub(crate) fn hang() -> Arc<dyn Tool> {
    work(shared("hang"), |ctx, _| async move {
        ctx.output().write("half a word");
        ctx.update("hanging");
        std::future::pending().await
    })
}

/// An Anthropic client of this server.
pub(crate) fn claude(server: &ModelServer) -> Anthropic {
    Anthropic::builder("claude-test")
        .base_url(server.url())
        .build()
        .unwrap()
}

/// A provider whose deltas and errors pass through a function: what a client makes of an answer
/// that lacks one of our defences.
#[derive(Clone)]
pub(crate) struct Through<F> {
    provider: Arc<dyn Provider>,
    change: F,
}

/// See [`Through`].
pub(crate) fn through<F>(provider: impl Provider, change: F) -> Through<F>
where
    F: Fn(Result<Delta>) -> Result<Delta> + Clone + Send + Sync + 'static,
{
    through_any(Arc::new(provider), change)
}

/// See [`Through`].
pub(crate) fn through_any<F>(provider: Arc<dyn Provider>, change: F) -> Through<F>
where
    F: Fn(Result<Delta>) -> Result<Delta> + Clone + Send + Sync + 'static,
{
    Through { provider, change }
}

impl<F> fmt::Debug for Through<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Through").field(&self.provider).finish()
    }
}

impl<F> Provider for Through<F>
where
    F: Fn(Result<Delta>) -> Result<Delta> + Clone + Send + Sync + 'static,
{
    fn model(&self) -> &Model {
        self.provider.model()
    }

    fn stream(&self, request: &Request<'_>, scope: &Scope) -> Result<Deltas> {
        let deltas = self.provider.stream(request, scope)?;
        // An error is the last word, also one that was made here.
        let to_the_first_error = |over: &mut bool, delta: Result<Delta>| {
            let now = std::mem::replace(over, delta.is_err());
            std::future::ready((!now).then_some(delta))
        };
        let changed = deltas.map(self.change.clone());
        Ok(changed.scan(false, to_the_first_error).boxed())
    }
}

/// Runs a proof from which the defence was taken; what it says when it sees the fault.
pub(crate) async fn noticed<T>(proof: impl Future<Output = T>) -> String {
    seen(AssertUnwindSafe(proof).catch_unwind().await)
}

/// As [`noticed`], for a proof that waits for nothing.
pub(crate) fn noticed_now<T>(proof: impl FnOnce() -> T) -> String {
    seen(std::panic::catch_unwind(AssertUnwindSafe(proof)))
}

fn seen<T>(proof: std::thread::Result<T>) -> String {
    let panic = match proof {
        Ok(_) => panic!("without the defence the proof passes all the same"),
        Err(panic) => panic,
    };
    let words = panic.downcast_ref::<String>().cloned();
    let literal = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned());
    words.or(literal).unwrap_or_default()
}

/// Quick retries, for tests on a real clock.
pub(crate) fn quick() -> RetryPolicy {
    RetryPolicy {
        base: Duration::from_millis(1),
        cap: Duration::from_millis(5),
        ..RetryPolicy::default()
    }
}

/// The smaller size of a proof, or the whole of it under `OFFSHOOT_PROOF=full`.
pub(crate) fn size<T>(ci: T, full: T) -> T {
    if std::env::var("OFFSHOOT_PROOF").is_ok_and(|size| size == "full") {
        full
    } else {
        ci
    }
}

/// All results of a conversation, in order: call id, outcome, text.
pub(crate) fn results(history: &[Message]) -> Vec<(String, Outcome, String)> {
    let row = |r: &offshoot::ToolResult| (r.call.to_string(), r.outcome, r.joined_text());
    let of = |m: &Message| m.tool_results().map(row).collect::<Vec<_>>();
    history.iter().flat_map(of).collect()
}

/// The outcomes of all results.
pub(crate) fn outcomes(history: &[Message]) -> Vec<Outcome> {
    results(history).into_iter().map(|row| row.1).collect()
}

/// Why the only turn of these events ended.
pub(crate) fn stop_of(events: &[Event]) -> &StopReason {
    match events.last().map(|event| &event.kind) {
        Some(EventKind::TurnEnd { stop, .. }) => stop,
        other => panic!("the last event is no end: {other:?}"),
    }
}

/// Numbers that look random and are the same in every run: xorshift.
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }
}

/// Runs one test of this program in a process of its own, where nothing else uses memory, files or
/// time. The test calls this first and goes on when it says that it is alone.
#[expect(clippy::disallowed_methods, reason = "a test program starts itself")]
pub(crate) fn alone(test: &str) -> bool {
    const ALONE: &str = "OFFSHOOT_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    // A shell, because only a process can raise its own limit on open files.
    let script = "ulimit -n 8192 2>/dev/null; exec \"$0\" --exact \"$1\" --nocapture";
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .arg(test)
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test}: {said}\n{complained}");
    assert!(said.contains("1 passed"), "{test} was not found: {said}");
    false
}

/// A figure of this process, as Linux tells it.
pub(crate) fn status_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How long this thread has worked: others use the machine too, and a long turn is more often
/// interrupted by them than a short one.
pub(crate) fn busy() -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    // The kernel books the time when a thread gives way.
    std::thread::yield_now();
    let nanos = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = nanos.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(
        || BEGAN.get_or_init(Instant::now).elapsed(),
        Duration::from_nanos,
    )
}
