//! Hooks at every point and every depth: how often, where, and whether what they decide holds.
//! Refuses to trust names: what counts is what the models are shown and what has run.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use offshoot::{
    Agent, AgentBuilder, ChildEnd, Content, EventKind, Ground, Hook, HookContext, Hooks, Message,
    Note, Outcome, Point, Preamble, Session, SessionBuilder, Spawn, StopReason, ToolCall,
    ToolResult, Verdict,
    testing::{Answer, Scripted},
};
use serde_json::{Value, json};

use super::rig::{
    Forgetful, Scene, Told, Tower, agent, is_summary, open, place, run, run_session, small,
};

/// Every point, and whether a broken hook refuses there, as the contract says it.
const POINTS: [(Point, Broken); 12] = [
    (Point::OnSubmit, Broken::Closed),
    (Point::BeforeRequest, Broken::Closed),
    (Point::AfterResponse, Broken::Closed),
    (Point::BeforeTool, Broken::Closed),
    (Point::AfterTool, Broken::Open),
    (Point::OnStop, Broken::Open),
    (Point::BeforeCompact, Broken::Open),
    (Point::OnSpawn, Broken::Closed),
    (Point::OnChildEnd, Broken::Open),
    (Point::OnNote, Broken::Open),
    (Point::OnSessionStart, Broken::Open),
    (Point::OnSessionEnd, Broken::Open),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Broken {
    Closed,
    Open,
}

/// What a hook does at its point.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Keep,
    Change,
    Refuse,
    Panic,
    Hang,
}

/// Where the hook was set.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Set {
    Session,
    Recipe,
}

type Calls = Arc<Mutex<BTreeMap<(String, String), usize>>>;

/// Counts every call by point and agent, and does one deed at one point of one agent.
struct Spy {
    point: Point,
    deed: Deed,
    agent: String,
    calls: Calls,
}

impl Spy {
    async fn act<T>(
        &self,
        at: &HookContext,
        point: Point,
        change: impl FnOnce() -> T,
    ) -> Verdict<T> {
        assert_eq!(&at.agent, at.scope.path(), "the scope is the agent's own");
        let key = (format!("{point:?}"), at.agent.to_string());
        let nth = {
            let mut calls = self.calls.lock().unwrap();
            let count = calls.entry(key).or_default();
            *count += 1;
            *count
        };
        let pushed = point == Point::OnStop && nth > 1;
        if point != self.point || at.agent.as_str() != self.agent || pushed {
            return Verdict::Keep;
        }
        match self.deed {
            Deed::Keep => Verdict::Keep,
            Deed::Change => Verdict::Change(change()),
            Deed::Refuse => Verdict::Refuse("house rules".into()),
            Deed::Panic => panic!("the hook breaks"),
            Deed::Hang => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Hook for Spy {
    fn deadline(&self) -> Duration {
        Duration::from_secs(3)
    }

    async fn on_submit(&self, at: &HookContext, message: &Message) -> Verdict<Message> {
        let change = || Message::user(format!("{} CHANGED", message.text()));
        self.act(at, Point::OnSubmit, change).await
    }

    async fn before_request(&self, at: &HookContext, preamble: &Preamble) -> Verdict<Preamble> {
        let change = || {
            let mut changed = preamble.clone();
            changed.system += " CHANGED";
            changed
        };
        self.act(at, Point::BeforeRequest, change).await
    }

    async fn after_response(&self, at: &HookContext, _: &Message) -> Verdict<()> {
        self.act(at, Point::AfterResponse, || ()).await
    }

    async fn before_tool(&self, at: &HookContext, _: &ToolCall, input: &Value) -> Verdict<Value> {
        let change = || {
            let mut changed = input.clone();
            let argument = if changed.get("text").is_some() {
                "text"
            } else {
                "prompt"
            };
            changed[argument] = json!(format!("{} CHANGED", input[argument].as_str().unwrap()));
            changed
        };
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
            changed.content = vec![Content::Text("CHANGED".into())];
            changed
        };
        self.act(at, Point::AfterTool, change).await
    }

    async fn on_stop(&self, at: &HookContext, _: &str) -> Verdict<Message> {
        self.act(at, Point::OnStop, || Message::user("go on, CHANGED"))
            .await
    }

    async fn before_compact(&self, at: &HookContext, _: u64) -> Verdict<String> {
        self.act(at, Point::BeforeCompact, || "CHANGED".into())
            .await
    }

    async fn on_spawn(&self, at: &HookContext, spawn: &Spawn) -> Verdict<String> {
        assert_eq!(spawn.agent.parent().as_ref(), Some(&at.agent));
        let change = || format!("{} CHANGED", spawn.prompt);
        self.act(at, Point::OnSpawn, change).await
    }

    async fn on_child_end(&self, at: &HookContext, end: &ChildEnd) -> Verdict<String> {
        assert_eq!(end.agent.parent().as_ref(), Some(&at.agent));
        self.act(at, Point::OnChildEnd, || "CHANGED".into()).await
    }

    async fn on_note(&self, at: &HookContext, _: &Note) -> Verdict<String> {
        self.act(at, Point::OnNote, || "CHANGED".into()).await
    }

    async fn on_session_start(&self, at: &HookContext) -> Verdict<String> {
        self.act(at, Point::OnSessionStart, || "CHANGED".into())
            .await
    }

    async fn on_session_end(&self, at: &HookContext) {
        self.act(at, Point::OnSessionEnd, || ()).await;
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Case {
    tower: Tower,
    scene: Scene,
    point: Point,
    deed: Deed,
    set: Set,
}

/// Words of about so many tokens.
fn words(tokens: usize) -> String {
    "some words ".repeat(tokens / 2)
}

impl Case {
    /// The model: the bottom plays the scene and is then done; a child of it says `leaf words`.
    /// Where history must grow too long, the bottom talks much first.
    fn model(self) -> Scripted {
        let (bottom, scene) = (self.tower.depth, self.scene);
        let long = self.point == Point::BeforeCompact;
        let chatter = if long { 8 } else { 0 };
        let model = self.tower.model(move |level, nth, _| match (level, nth) {
            (level, _) if level > bottom => "leaf words".into(),
            (_, nth) if nth <= chatter => Answer::text(words(1_400))
                .call("parrot", json!({"text": "chatter"}))
                .without_usage(),
            (_, nth) if nth == chatter + 1 => match scene {
                Scene::Native => Answer::text("").call("parrot", json!({"text": "word"})),
                Scene::Child => open(bottom + 1, Ground::Foreground),
                Scene::Background => open(bottom + 1, Ground::Background),
            },
            _ => "done".into(),
        });
        if long {
            model.as_model(small(20_000))
        } else {
            model
        }
    }

    fn spy(self) -> (Spy, Calls) {
        let calls = Calls::default();
        let spy = Spy {
            point: self.point,
            deed: self.deed,
            agent: self.tower.bottom(),
            calls: calls.clone(),
        };
        (spy, calls)
    }

    async fn play(self) -> (Told, Calls) {
        let (spy, calls) = self.spy();
        let (mut on_recipe, mut on_session) = (None, None);
        match self.set {
            Set::Session => on_session = Some(spy),
            Set::Recipe => on_recipe = Some(spy),
        }
        let dress = |agent: AgentBuilder| match on_recipe {
            Some(spy) => agent.hook(spy),
            None => agent,
        };
        let fit = |session: SessionBuilder| match on_session {
            Some(spy) => session.hook(spy),
            None => session,
        };
        (run(&self.model(), dress, fit).await, calls)
    }

    /// Whether the point exists in the scene.
    fn exists(self) -> bool {
        match self.point {
            Point::OnSpawn | Point::OnChildEnd => self.scene != Scene::Native,
            Point::OnNote => self.scene == Scene::Background,
            // A child is a part of its session.
            Point::OnSessionStart | Point::OnSessionEnd => self.tower.depth == 0,
            _ => true,
        }
    }

    /// What the deed amounts to: a broken hook fails as its contract says.
    fn effect(self) -> Deed {
        let broken = matches!(self.deed, Deed::Panic | Deed::Hang);
        let row = POINTS.iter().find(|(point, _)| *point == self.point);
        match row {
            Some((_, Broken::Closed)) if broken => Deed::Refuse,
            _ if broken => Deed::Keep,
            _ => self.deed,
        }
    }

    /// Whether what the run has shown is what the deed must lead to.
    fn check(self, told: &Told, calls: &Calls) -> Result<(), String> {
        let bottom = self.tower.bottom();
        let called = count(calls, self.point, &bottom);
        if !self.exists() {
            return ok(called == 0, "called where the point does not exist");
        }
        ok(called >= 1, "never called")?;
        let (level, effect) = (self.tower.depth, self.effect());
        let (asked, read) = (told.asked(level), told.read(level));
        let first = |at: usize| {
            let asked = told.asked(at);
            let message = asked.first().and_then(|s| s.messages.first());
            message.map(Message::text).unwrap_or_default()
        };
        let told_reason = |text: &str| self.deed != Deed::Refuse || text.contains("house rules");
        let children = told.children(&bottom);
        let (starts, ends) = match self.scene {
            Scene::Native => (0, "word"),
            Scene::Child | Scene::Background => (1, "leaf words"),
        };
        let refused = match told.stop(&bottom) {
            Some(StopReason::Refused { reason }) => told_reason(reason),
            _ => false,
        };
        let finished = told.stop(&bottom) == Some(&StopReason::Finished);
        let whole = || {
            ok(finished, "not finished")?;
            ok(children == starts, "not as many children")
        };
        match (self.point, effect) {
            (Point::OnSubmit | Point::BeforeRequest | Point::OnSessionStart, Deed::Refuse) => {
                ok(refused, "not refused")?;
                ok(asked.is_empty(), "asked all the same")
            }
            (Point::AfterResponse, Deed::Refuse) => {
                ok(refused, "not refused")?;
                ok(asked.len() == 1, "went on")?;
                ok(told.ran == 0 && children == 0, "something ran")
            }
            (Point::BeforeTool, Deed::Refuse) => {
                ok(finished, "not finished")?;
                ok(told.ran == 0 && children == 0, "it ran")?;
                ok(told.outcomes(level) == [Outcome::Denied], "not denied")?;
                ok(told_reason(&read), "no reason")
            }
            (Point::OnSpawn, Deed::Refuse) => {
                ok(finished, "not finished")?;
                ok(children == 0, "it was opened")?;
                ok(told.asked(level + 1).is_empty(), "its model was asked")?;
                ok(told.outcomes(level) == [Outcome::Denied], "not denied")?;
                ok(told_reason(&read), "no reason")
            }
            (Point::AfterTool, Deed::Refuse) => {
                whole()?;
                ok(told.outcomes(level) == [Outcome::Failed], "not failed")?;
                ok(told_reason(&read), "no reason")
            }
            (Point::OnChildEnd, Deed::Refuse) => {
                whole()?;
                ok(!read.contains("leaf words"), "its words were read")?;
                ok(told_reason(&read), "no reason")
            }
            (Point::OnNote, Deed::Refuse) => {
                whole()?;
                ok(!read.contains("leaf words"), "it was read")?;
                ok(told.count(&bottom, "note") == 0, "it was told")
            }
            (Point::BeforeCompact, Deed::Refuse) => {
                // What may not be shortened may come to be too long.
                let full = told.stop(&bottom) == Some(&StopReason::ContextFull);
                ok(finished || full, "neither finished nor full")?;
                ok(summaries(told, &bottom) == 0, "it was summarised")
            }
            (Point::BeforeCompact, effect) => {
                whole()?;
                ok(summaries(told, &bottom) >= 1, "not summarised")?;
                let heard = told.seen.iter().filter(|s| is_summary(s)).any(|seen| {
                    let text: String = seen.messages.iter().map(Message::text).collect();
                    format!("{}{text}", seen.system).contains("CHANGED")
                });
                ok(heard == (effect == Deed::Change), "the added words")
            }
            (Point::OnSubmit | Point::OnSessionStart, Deed::Change) => {
                whole()?;
                ok(first(level).contains("CHANGED"), "not changed")
            }
            (Point::BeforeRequest, Deed::Change) => {
                whole()?;
                let each = |system: &str| system.matches("CHANGED").count() == 1;
                ok(asked.iter().all(|s| each(&s.system)), "not each, or twice")
            }
            (Point::BeforeTool, Deed::Change) if self.scene == Scene::Native => {
                whole()?;
                ok(read.contains("word CHANGED"), "not changed")
            }
            (Point::BeforeTool | Point::OnSpawn, Deed::Change) => {
                whole()?;
                let text = first(level + 1);
                ok(text.matches("CHANGED").count() == 1, "not changed once")
            }
            (Point::AfterTool, Deed::Change) => {
                whole()?;
                ok(read.contains("CHANGED"), "not changed")?;
                let hidden = self.scene == Scene::Background || !read.contains(ends);
                ok(hidden, "the first result was read")
            }
            (Point::OnChildEnd | Point::OnNote, Deed::Change) => {
                whole()?;
                ok(read.contains("CHANGED"), "not changed")?;
                ok(!read.contains("leaf words"), "the first words were read")
            }
            (Point::OnStop, Deed::Change) => {
                whole()?;
                ok(called == 2, "not asked again")?;
                ok(read.contains("go on, CHANGED"), "not pushed")
            }
            _ => {
                whole()?;
                ok(!read.contains("CHANGED"), "changed")?;
                ok(read.contains(ends), "the result was not read")
            }
        }
    }
}

#[expect(
    clippy::fn_params_excessive_bools,
    reason = "what is claimed is a condition, as in an assertion"
)]
fn ok(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

fn count(calls: &Calls, point: Point, agent: &str) -> usize {
    let key = (format!("{point:?}"), agent.to_owned());
    calls.lock().unwrap().get(&key).copied().unwrap_or(0)
}

fn summaries(told: &Told, agent: &str) -> usize {
    let how = |e: &&offshoot::Event| {
        let how = offshoot::Compaction::Summarised;
        e.agent.as_str() == agent
            && matches!(e.kind, EventKind::Compacted { how: h, .. } if h == how)
    };
    told.events.iter().filter(how).count()
}

/// The whole table for some deeds; says all that is wrong, not only the first.
async fn table(deeds: &[Deed], sets: &[Set]) {
    let mut wrong = Vec::new();
    for tower in Tower::all() {
        for scene in Scene::ALL {
            for (point, _) in POINTS {
                // A long history is slow to make, and what a scene does comes after it.
                if point == Point::BeforeCompact && scene != Scene::Native {
                    continue;
                }
                for &deed in deeds {
                    for &set in sets {
                        let case = Case {
                            tower,
                            scene,
                            point,
                            deed,
                            set,
                        };
                        let (told, calls) = case.play().await;
                        if let Err(what) = case.check(&told, &calls) {
                            wrong.push(format!("{case:?}: {what}"));
                        }
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_contract_says_which_points_fail_closed() {
    for (point, broken) in POINTS {
        assert_eq!(point.fails_closed(), broken == Broken::Closed, "{point:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn inv12_every_refusal_holds_at_every_depth() {
    table(&[Deed::Refuse], &[Set::Session, Set::Recipe]).await;
}

#[tokio::test(start_paused = true)]
async fn inv12_every_change_holds_at_every_depth() {
    table(&[Deed::Change], &[Set::Session, Set::Recipe]).await;
}

#[tokio::test(start_paused = true)]
async fn inv12_a_hook_that_panics_fails_as_its_contract_says_at_every_depth() {
    table(&[Deed::Panic], &[Set::Session]).await;
}

#[tokio::test(start_paused = true)]
async fn inv12_a_hook_that_hangs_fails_as_its_contract_says_at_every_depth() {
    table(&[Deed::Hang], &[Set::Session]).await;
}

/// Every call of every hook in a run, held against what the run has shown.
fn miscounts(case: Case, told: &Told, calls: &Calls) -> Vec<String> {
    let mut wrong = Vec::new();
    let levels = case.tower.depth + usize::from(case.scene != Scene::Native);
    for level in 0..=levels {
        let agent = place(level);
        let tools = told.count(&agent, "tool_start");
        let children = told.children(&agent);
        let expected = [
            (Point::OnSessionStart, usize::from(level == 0)),
            (Point::OnSubmit, 1),
            (Point::BeforeRequest, told.asked(level).len()),
            (Point::AfterResponse, told.count(&agent, "message_end")),
            (Point::BeforeTool, tools),
            (Point::AfterTool, tools),
            (Point::OnStop, 1),
            (Point::BeforeCompact, 0),
            (Point::OnSpawn, children),
            (Point::OnChildEnd, children),
            (Point::OnNote, told.count(&agent, "note")),
            (Point::OnSessionEnd, usize::from(level == 0)),
        ];
        for (point, times) in expected {
            let called = count(calls, point, &agent);
            if called != times {
                wrong.push(format!(
                    "{case:?}: {point:?} of {agent}: {called}, not {times}"
                ));
            }
        }
        let bottom = level == case.tower.depth;
        let opens = level < case.tower.depth || bottom && case.scene != Scene::Native;
        if tools != usize::from(level <= case.tower.depth) || children != usize::from(opens) {
            wrong.push(format!(
                "{case:?}: {agent}: {tools} tools, {children} children"
            ));
        }
    }
    let strangers = calls.lock().unwrap();
    let known: Vec<_> = (0..=levels).map(place).collect();
    let strange = strangers.keys().filter(|(_, agent)| !known.contains(agent));
    wrong.extend(strange.map(|key| format!("{case:?}: a stranger: {key:?}")));
    wrong
}

#[tokio::test(start_paused = true)]
async fn inv12_every_hook_is_called_once_a_step_at_every_depth() {
    let mut wrong = Vec::new();
    for tower in Tower::all() {
        for scene in Scene::ALL {
            for set in [Set::Session, Set::Recipe] {
                let case = Case {
                    tower,
                    scene,
                    point: Point::OnStop,
                    deed: Deed::Keep,
                    set,
                };
                let (told, calls) = case.play().await;
                wrong.extend(miscounts(case, &told, &calls));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn inv12_twin_a_child_opened_without_the_hooks_above_is_seen() {
    for depth in [0, 1, 3] {
        for deed in [Deed::Refuse, Deed::Keep] {
            let case = Case {
                tower: Tower {
                    depth,
                    way: Ground::Foreground,
                },
                scene: Scene::Native,
                point: Point::BeforeTool,
                deed,
                set: Set::Session,
            };
            let (spy, calls) = case.spy();
            let (model, ran) = (case.model(), Arc::default());
            let inner: Agent = agent(&model, &ran).build().unwrap();
            let session = Session::builder(Forgetful::agent(inner, |grant| {
                grant.hooks = Hooks::default()
            }));
            let told = run_session(&model, &ran, session, |s| s.hook(spy)).await;
            let verdict = case.check(&told, &calls);
            assert_eq!(verdict.is_err(), depth > 0, "depth {depth}: {verdict:?}");
            if deed == Deed::Keep {
                let counted = miscounts(case, &told, &calls);
                assert_eq!(counted.is_empty(), depth == 0, "depth {depth}: {counted:?}");
            }
        }
    }
}
