//! Rules, modes and the person asked, for agents below the root; and which tools they have at all.
//! Refuses what rules mean for one agent, which `permission` has.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use futures::StreamExt;
use offshoot::{
    Access, AgentKind, AgentKinds, Answer as Reply, Asker, Budget, Child, EventKind, Grant, Ground,
    Limit, Mode, Order, Outcome, Permissions, Question, Rulebook, Selection, Session,
    SessionBuilder, Tool, Unasked, subagents,
    testing::{Answer, Scripted},
};
use serde_json::json;

use super::rig::{Forgetful, Told, Tower, agent, place, run};
use crate::kit::{noticed, shared, work};

/// A tool that changes files, and counts.
fn edit(ran: &Arc<AtomicUsize>) -> Arc<dyn Tool> {
    let ran = ran.clone();
    let mut spec = shared("edit").access(Access::Edits).subject("text");
    spec.schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    work(spec, move |_, input| {
        ran.fetch_add(1, SeqCst);
        async move { format!("edited {}", input["text"]).into() }
    })
}

/// The bottom of the tower edits once.
fn editing(tower: Tower) -> Scripted {
    tower.model(|_, nth, _| match nth {
        1 => Answer::empty().call("edit", json!({"text": "x"})),
        _ => "done".into(),
    })
}

fn rules(mode: Mode, ask: &[&str], deny: &[&str], unasked: Unasked) -> Permissions {
    let parse = |rules: &[&str]| rules.iter().map(|rule| rule.parse().unwrap()).collect();
    Permissions {
        mode,
        ask: parse(ask),
        deny: parse(deny),
        unasked,
        ..Permissions::default()
    }
}

/// Says yes or no, and keeps who asked.
#[derive(Clone)]
struct Person(Reply, Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Asker for Person {
    async fn ask(&self, question: Question) -> Reply {
        self.1.lock().unwrap().push(question.agent.to_string());
        self.0.clone()
    }
}

async fn edits(tower: Tower, permissions: Permissions, person: Option<Person>) -> (Told, usize) {
    let ran = Arc::new(AtomicUsize::new(0));
    let told = run(
        &editing(tower),
        |agent| agent.tool(edit(&ran)).permissions(permissions),
        |session| match person {
            Some(person) => session.asker(person),
            None => session,
        },
    )
    .await;
    (told, ran.load(SeqCst))
}

#[tokio::test(start_paused = true)]
async fn inv12_rules_and_modes_hold_at_every_depth() {
    let (allow, deny) = (Unasked::Allow, Unasked::Deny);
    let rows = [
        (rules(Mode::Ask, &[], &[], allow), Outcome::Ok),
        (rules(Mode::Ask, &[], &[], deny), Outcome::Denied),
        (rules(Mode::AcceptEdits, &[], &[], deny), Outcome::Ok),
        (
            rules(Mode::AcceptEdits, &["edit"], &[], deny),
            Outcome::Denied,
        ),
        (
            rules(Mode::AcceptEdits, &["edit(y)"], &[], deny),
            Outcome::Ok,
        ),
        (rules(Mode::Plan, &[], &[], allow), Outcome::Denied),
        (rules(Mode::Bypass, &[], &[], deny), Outcome::Ok),
        (rules(Mode::Bypass, &[], &["edit"], allow), Outcome::Denied),
        (
            rules(Mode::Bypass, &[], &["edit(x)"], allow),
            Outcome::Denied,
        ),
        (rules(Mode::Bypass, &[], &["edit(y)"], allow), Outcome::Ok),
    ];
    for tower in Tower::all() {
        for (permissions, expected) in &rows {
            let (told, ran) = edits(tower, permissions.clone(), None).await;
            let what = format!("{tower}: {permissions:?}");
            assert_eq!(told.outcomes(tower.depth), [*expected], "{what}");
            assert_eq!(ran, usize::from(*expected == Outcome::Ok), "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn inv12_a_person_is_asked_in_the_name_of_the_child() {
    for tower in Tower::all() {
        for (reply, expected, says) in [
            (Reply::Allow, Outcome::Ok, "edited \"x\""),
            (
                Reply::AllowWith(json!({"text": "z"})),
                Outcome::Ok,
                "edited \"z\"",
            ),
            (
                Reply::Deny("not today".into()),
                Outcome::Denied,
                "not today",
            ),
        ] {
            let person = Person(reply, Arc::default());
            let permissions = rules(Mode::Ask, &[], &[], Unasked::Deny);
            let (told, _) = edits(tower, permissions, Some(person.clone())).await;
            assert_eq!(told.outcomes(tower.depth), [expected], "{tower}");
            assert!(told.read(tower.depth).contains(says), "{tower}: {says}");
            assert_eq!(*person.1.lock().unwrap(), [tower.bottom()], "{tower}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn inv12_an_approval_is_answered_by_its_id_at_every_depth() {
    for tower in Tower::all() {
        for (reply, expected) in [
            (Reply::Allow, Outcome::Ok),
            (Reply::Deny("no".into()), Outcome::Denied),
        ] {
            let (ran, parrots) = (Arc::default(), Arc::default());
            let model = editing(tower);
            let recipe = agent(&model, &parrots).tool(edit(&ran)).permissions(rules(
                Mode::Ask,
                &[],
                &[],
                Unasked::Wait,
            ));
            let mut session = Session::new(recipe.build().unwrap());
            let handle = session.handle();
            let mut turn = session.submit_message("go");
            let (mut asked, mut outcomes) = (Vec::new(), Vec::new());
            while let Some(event) = turn.next().await {
                match event.kind {
                    EventKind::Approval { id, name, .. } => {
                        assert_eq!(name, "edit");
                        asked.push(event.agent.to_string());
                        assert_eq!(ran.load(SeqCst), 0, "{tower}: nothing ran yet");
                        assert!(handle.answer("nobody's", Reply::Allow).is_err());
                        handle.answer(&id, reply.clone()).unwrap();
                        let again = handle.answer(&id, reply.clone());
                        assert!(again.is_err(), "{tower}: one question, one answer");
                    }
                    EventKind::ToolEnd { name, outcome, .. } if name == "edit" => {
                        outcomes.push(outcome);
                    }
                    _ => {}
                }
            }
            drop(turn);
            assert_eq!(asked, [tower.bottom()], "{tower}");
            assert_eq!(ran.load(SeqCst), usize::from(expected == Outcome::Ok));
            let denied = expected == Outcome::Denied;
            assert!(denied || outcomes == [expected], "{tower}: {outcomes:?}");
            session.close().await;
        }
    }
}

/// The root opens a `kind`, which opens another one, which edits; says how the edit ended.
async fn through(
    kind: AgentKind,
    permissions: Permissions,
    opens: fn(offshoot::Agent) -> SessionBuilder,
) -> (Vec<Outcome>, usize) {
    let kinds = AgentKinds::builtin().with(kind).unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let model = Scripted::with(|seen| {
        let first = seen.messages[0].text();
        let begun = seen.messages.len() > 1;
        let next = |prompt: &str| {
            let order = json!({"description": "d", "prompt": prompt, "subagent_type": "odd"});
            Answer::empty().call("Agent", order)
        };
        match first.as_str() {
            _ if begun => "done".into(),
            "go" => next("one"),
            "one" => next("two"),
            _ => Answer::empty().call("edit", json!({"text": "x"})),
        }
    });
    let recipe = offshoot::Agent::builder(model.clone())
        .tools(subagents(kinds))
        .tool(edit(&ran))
        .permissions(permissions);
    let mut session = opens(recipe.build().unwrap()).open().await.unwrap();
    let done = session.submit_message("go").text().await.unwrap();
    assert_eq!(done, "done");
    let seen = model.seen();
    let last = seen
        .iter()
        .rev()
        .find(|s| s.messages[0].text() == "two")
        .expect("both were opened");
    (crate::kit::outcomes(&last.messages), ran.load(SeqCst))
}

#[tokio::test(start_paused = true)]
async fn inv13_a_kind_never_widens_what_its_parent_may() {
    never_widens(Session::builder).await;
}

/// The twin: children that are opened without the rules above do what a loose kind allows.
#[tokio::test(start_paused = true)]
async fn inv13_twin_a_child_opened_without_the_rules_above_is_seen() {
    let saw = noticed(never_widens(|agent| {
        Session::builder(Forgetful::agent(agent, |grant| {
            grant.rules = Rulebook::unrestricted();
        }))
    }));
    let saw = saw.await;
    assert!(saw.contains("Plan"), "{saw}");
}

async fn never_widens(opens: fn(offshoot::Agent) -> SessionBuilder) {
    let loose = || {
        let all = Permissions {
            allow: vec!["*".parse().unwrap()],
            ..Permissions::unrestricted()
        };
        AgentKind::new("odd", "May do anything, it says").permissions(all)
    };
    let strict = |permissions| AgentKind::new("odd", "Is careful").permissions(permissions);
    let free = Permissions::unrestricted;
    let rows = [
        (loose(), free(), Outcome::Ok),
        (
            loose(),
            rules(Mode::Plan, &[], &[], Unasked::Allow),
            Outcome::Denied,
        ),
        (
            loose(),
            rules(Mode::Ask, &[], &[], Unasked::Deny),
            Outcome::Denied,
        ),
        (
            loose(),
            rules(Mode::Bypass, &[], &["edit"], Unasked::Allow),
            Outcome::Denied,
        ),
        (
            loose(),
            rules(Mode::AcceptEdits, &["edit"], &[], Unasked::Deny),
            Outcome::Denied,
        ),
        (
            strict(rules(Mode::Plan, &[], &[], Unasked::Allow)),
            free(),
            Outcome::Denied,
        ),
        (
            strict(rules(Mode::Bypass, &[], &["edit(x)"], Unasked::Allow)),
            free(),
            Outcome::Denied,
        ),
        (
            strict(rules(Mode::Ask, &[], &[], Unasked::Deny)),
            free(),
            Outcome::Denied,
        ),
    ];
    for (kind, permissions, expected) in rows {
        let what = format!("{permissions:?}");
        let (outcomes, ran) = through(kind, permissions, opens).await;
        assert_eq!(outcomes, [expected], "{what}");
        assert_eq!(ran, usize::from(expected == Outcome::Ok), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn inv13_a_kind_has_only_tools_that_its_parent_has() {
    let rows = [
        ("picky", vec!["Agent", "edit"]),
        ("without", vec!["parrot"]),
        ("explore", vec![]),
        ("plan", vec![]),
        ("security-review", vec![]),
    ];
    for (kind, has) in rows {
        let picky = Selection::default().only(["edit", "Agent", "Ghost", "Bash"]);
        let without = Selection::default()
            .only(["edit", "parrot"])
            .without(["edit"]);
        let kinds = AgentKinds::builtin()
            .with(AgentKind::new("picky", "Picks").tools(picky))
            .and_then(|kinds| kinds.with(AgentKind::new("without", "Lacks").tools(without)))
            .unwrap();
        let (ran, parrots) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let model = Scripted::with(move |seen| match seen.messages[0].text().as_str() {
            _ if seen.messages.len() > 1 => "done".into(),
            "go" => {
                let order = json!({"description": "d", "prompt": "it", "subagent_type": kind});
                Answer::empty().call("Agent", order)
            }
            // It tries, whatever it was offered.
            _ => Answer::empty().call("edit", json!({"text": "x"})),
        });
        let recipe = offshoot::Agent::builder(model.clone())
            .tools(subagents(kinds))
            .tool(super::rig::parrot(&parrots))
            .tool(edit(&ran))
            .permissions(Permissions::unrestricted());
        let mut session = Session::new(recipe.build().unwrap());
        session.submit_message("go").text().await.unwrap();
        let seen = model.seen();
        let child = seen.iter().filter(|s| s.messages[0].text() == "it");
        let child: Vec<_> = child.collect();
        let mut tools = child[0].tools.clone();
        tools.sort();
        if kind == "picky" || kind == "without" {
            assert_eq!(tools, has, "{kind}");
        }
        let may = kind == "picky";
        assert_eq!(tools.iter().any(|tool| tool == "edit"), may, "{kind}");
        assert_eq!(ran.load(SeqCst), usize::from(may), "{kind}");
        let ended = crate::kit::outcomes(&child.last().unwrap().messages);
        assert_eq!(ended.len(), 1, "{kind}");
        assert_eq!(ended[0] == Outcome::Ok, may, "{kind}: {ended:?}");
    }
}

/// A program that opens an agent from inside a tool hears the same as a model, as a type.
#[tokio::test(start_paused = true)]
async fn inv07_the_refusal_of_a_level_too_many_names_its_limit_and_what_to_do() {
    for deepest in 1..=3 {
        for way in [Ground::Foreground, Ground::Background] {
            let tower = Tower {
                depth: deepest,
                way,
            };
            let model = tower.model(|_, nth, _| match nth {
                1 => Answer::empty().call("deeper", json!({})),
                _ => "done".into(),
            });
            let refused = Arc::new(Mutex::new(Vec::new()));
            let heard = refused.clone();
            let deeper = work(shared("deeper"), move |ctx, _| {
                let heard = heard.clone();
                async move {
                    let grant = Grant::of(&ctx).expect("an agent calls");
                    let order = Order::new("general-purpose", "go on");
                    let opened = Child::open(grant, &AgentKinds::builtin(), order).await;
                    heard.lock().unwrap().push(opened.unwrap_err());
                    "refused".into()
                }
            });
            let budget = Budget::unlimited().depth(deepest as u64);
            let told = run(
                &model,
                |agent| agent.tool(deeper),
                |session| session.budget(budget),
            );
            let told = told.await;
            assert_eq!(told.outcomes(deepest), [Outcome::Ok], "{tower}");
            assert_eq!(told.children(&place(deepest)), 0, "{tower}");
            let refused = refused.lock().unwrap();
            assert_eq!(refused.len(), 1, "{tower}");
            let refusal = &refused[0];
            assert_eq!(refusal.limit, Some(Limit::Depth), "{tower}");
            assert_eq!(refusal.outcome, Outcome::Failed, "{tower}");
            let names = format!("the limit of {deepest} levels of agents");
            assert!(refusal.reason.contains(&names), "{tower}: {refusal}");
            assert!(
                refusal.hint.contains("Do the work yourself"),
                "{tower}: {refusal}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn inv07_the_last_level_has_no_tool_to_open_agents() {
    for deepest in 1..=3 {
        for way in [Ground::Foreground, Ground::Background] {
            let tower = Tower {
                depth: deepest,
                way,
            };
            // The last level tries all the same.
            let model = tower.model(move |level, nth, _| match nth {
                1 => super::rig::open(level + 1, Ground::Foreground),
                _ => "done".into(),
            });
            let budget = Budget::unlimited().depth(deepest as u64);
            let told = run(&model, |agent| agent, |session| session.budget(budget)).await;
            for level in 0..=deepest {
                let asked = told.asked(level);
                let has = asked[0].tools.iter().any(|tool| tool == "Agent");
                assert_eq!(has, level < deepest, "{tower}, level {level}");
            }
            assert_eq!(told.outcomes(deepest), [Outcome::Failed], "{tower}");
            assert_eq!(told.children(&place(deepest)), 0, "{tower}");
        }
    }
}
