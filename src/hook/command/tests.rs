//! Real commands that decide, crash, hang, flood and babble, at each point of the turn.
//! Refuses to look inside: every command is called through the chain, as the engine does.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{event::EVENTS, *};
use crate::{
    hook::{ChildEnd, HookContext, Point, Preamble, Spawn, Verdict},
    id::{CallId, SessionId, TurnId},
    message::{Message, Note, Outcome, ToolCall, ToolResult, Urgency},
    options::Options,
    scope::Scope,
};

const TIMEOUT: Duration = Duration::from_millis(250);

/// What a point said, in words that can be compared.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Keep,
    Change(String),
    Refuse(String),
}

fn said<T>(verdict: Verdict<T>, words: impl FnOnce(T) -> String) -> Said {
    match verdict {
        Verdict::Keep => Said::Keep,
        Verdict::Change(value) => Said::Change(words(value)),
        Verdict::Refuse(reason) => Said::Refuse(reason),
    }
}

fn place(event: &Event) -> HookContext {
    let root = Scope::root();
    let scope = match event.name {
        // A kind whose name ends in digits, and its second child.
        "SubagentStop" => root.child_at(root.path().nth("phase-3", 2)),
        _ => root,
    };
    HookContext::new(SessionId::new("s1"), TurnId(3), scope)
}

fn call() -> ToolCall {
    ToolCall::new(CallId::new("c1"), "Bash", r#"{"command": "ls"}"#)
}

/// Calls the hooks at a point, with the word `shown` wherever a point shows words.
async fn at(hooks: &Hooks, point: Point, at: &HookContext) -> Said {
    let text = |text: String| text;
    let message = |message: Message| message.text();
    match point {
        Point::OnSubmit => said(hooks.on_submit(at, &"shown".into()).await, message),
        Point::BeforeRequest => {
            let preamble = Preamble {
                system: "shown".into(),
                options: Options::default(),
            };
            said(hooks.before_request(at, &preamble).await, |p| p.system)
        }
        Point::AfterResponse => {
            let answer = Message::assistant("shown");
            said(hooks.after_response(at, &answer).await, |()| String::new())
        }
        Point::BeforeTool => {
            let input = json!({"command": "ls"});
            let verdict = hooks.before_tool(at, &call(), &input).await;
            said(verdict, |input| input.to_string())
        }
        Point::AfterTool => {
            let result = ToolResult::text(&call(), Outcome::Ok, "shown");
            let verdict = hooks.after_tool(at, &call(), &result).await;
            said(verdict, |result| result.joined_text())
        }
        Point::OnStop => said(hooks.on_stop(at, "shown").await, message),
        Point::BeforeCompact => said(hooks.before_compact(at, 7).await, text),
        Point::OnSpawn => {
            let spawn = Spawn::new(at.agent.nth("explore", 3), "explore", "shown");
            said(hooks.on_spawn(at, &spawn).await, text)
        }
        Point::OnChildEnd => {
            let place = at.agent.nth("explore", 3);
            let end = ChildEnd::new(place, "explore", Outcome::Ok, "shown");
            said(hooks.on_child_end(at, &end).await, text)
        }
        Point::OnNote => {
            let note = Note {
                from: "user".into(),
                text: "shown".into(),
                urgency: Urgency::NextStep,
            };
            said(hooks.on_note(at, &note).await, text)
        }
        Point::OnSessionStart => said(hooks.on_session_start(at).await, text),
        Point::OnSessionEnd => {
            hooks.on_session_end(at).await;
            Said::Keep
        }
    }
}

fn hooks(event: &str, command: &str) -> Hooks {
    let row = CommandHook::new(event, "", command).unwrap();
    command_hooks([&row], std::env::temp_dir())
}

async fn ask(event: &Event, command: &str) -> Said {
    at(&hooks(event.name, command), event.point, &place(event)).await
}

fn named(name: &str) -> &'static Event {
    Event::named(name).unwrap()
}

/// What the guide promises of a refusal for this reason.
fn refused(event: &Event, reason: &str) -> Said {
    match event.point {
        Point::OnSessionEnd => Said::Keep,
        Point::OnStop => Said::Change(reason.into()),
        _ if event.keeps_result() => Said::Change(format!("shown\n{reason}")),
        _ => Said::Refuse(reason.into()),
    }
}

#[tokio::test]
async fn a_failure_refuses_or_passes_as_the_table_says() {
    // A command, and what the refusal says of it where the point fails closed.
    let faults = [
        ("kill -9 $$", "was ended by the signal 9"),
        ("echo bad >&2; exit 1", "failed with the exit code 1: bad"),
        ("exit 127", "failed with the exit code 127"),
        ("no-such-command", "failed with the exit code 127"),
        (r#"printf '{"decision": "blo'"#, "said no valid JSON"),
        (r#"printf '{"\377": 1}'"#, "said no valid JSON"),
        (r#"echo '{"decision": "maybe"}'"#, "said a `decision`"),
        (r#"echo '{"continue": "no"}'"#, "said a `continue`"),
        (
            r#"echo '{"hookSpecificOutput": []}'"#,
            "said a `hookSpecificOutput`",
        ),
        (
            r#"echo '{"hookSpecificOutput": {"permissionDecision": 5}}'"#,
            "said a `permissionDecision`",
        ),
        (
            r#"printf '{"a": "'; head -c 300000 /dev/zero | tr '\0' x; printf '"}'"#,
            "said more than 262144 bytes",
        ),
    ];
    for event in EVENTS {
        for (command, why) in faults {
            let got = ask(event, command).await;
            match (event.point.fails_closed(), &got) {
                (true, Said::Refuse(reason)) => {
                    assert!(reason.contains(why), "{}: {command}: {reason}", event.name);
                    assert!(reason.contains(event.name), "it names the hook: {reason}");
                }
                (false, Said::Keep) => {}
                _ => panic!("{}: {command}: {got:?}", event.name),
            }
        }
    }
}

#[tokio::test]
async fn s10_a_hang_is_cut_at_the_timeout_at_each_point() {
    let row = |event: &Event, command: &str| {
        let row = CommandHook::new(event.name, "", command).unwrap();
        let row = row.timeout(TIMEOUT).unwrap();
        command_hooks([&row], std::env::temp_dir())
    };
    let bound = TIMEOUT.mul_f64(1.05) + Duration::from_millis(100);
    for event in EVENTS {
        // It reads no input and will not be asked; the figure is the best of three, as the machine
        // may be busy with other things.
        let hooks = row(event, "trap '' TERM; while :; do sleep 0.02; done");
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let place = place(event);
            let began = Instant::now();
            let got = at(&hooks, event.point, &place).await;
            best = best.min(began.elapsed());
            match (event.point.fails_closed(), &got) {
                (true, Said::Refuse(why)) => assert!(why.contains("deadline of 250ms"), "{why}"),
                (false, Said::Keep) => {}
                _ => panic!("{}: {got:?}", event.name),
            }
            if best <= bound {
                break;
            }
        }
        assert!(best >= TIMEOUT && best <= bound, "{}: {best:?}", event.name);
    }
}

/// The twin of the test above: the same command under a deadline that is far away.
#[tokio::test]
async fn twin_without_a_near_timeout_a_hang_outlasts_the_bound() {
    let event = named("PreToolUse");
    let hooks = hooks(event.name, "while :; do sleep 0.02; done");
    let place = place(event);
    let hung = tokio::time::timeout(TIMEOUT * 2, at(&hooks, event.point, &place)).await;
    assert!(hung.is_err());
}

#[tokio::test]
async fn a_command_that_was_cut_is_gone_within_the_grace() {
    let folder = tempfile::tempdir().unwrap();
    let line = "trap '' TERM; echo $$ >pid; while :; do sleep 0.02; done";
    let row = CommandHook::new("PreToolUse", "", line)
        .unwrap()
        .timeout(TIMEOUT)
        .unwrap();
    let hooks = command_hooks([&row], folder.path());
    let place = place(named("PreToolUse"));
    let big = json!({"command": "x".repeat(1_000_000)});
    let verdict = hooks.before_tool(&place, &call(), &big).await;
    assert!(matches!(verdict, Verdict::Refuse(_)), "{verdict:?}");
    let began = Instant::now();
    place.scope.wait().await;
    let bound = crate::process::KILL_GRACE + Duration::from_millis(500);
    assert!(began.elapsed() < bound, "{:?}", began.elapsed());
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    assert!(rustix::process::test_kill_process(pid).is_err());
}

#[tokio::test]
async fn a_refusal_is_one_at_each_point() {
    let ways = [
        "echo house rules >&2; exit 2",
        r#"echo '{"decision": "block", "reason": "house rules"}'"#,
        r#"echo '{"hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "house rules"}}'"#,
    ];
    for event in EVENTS {
        for command in ways {
            assert_eq!(
                ask(event, command).await,
                refused(event, "house rules"),
                "{}: {command}",
                event.name
            );
        }
        let mute = ask(event, "exit 2").await;
        let own = format!("the hook `{} exit 2` refuses it", event.name);
        assert_eq!(mute, refused(event, &own));
    }
}

#[tokio::test]
async fn plain_words_are_for_the_model_at_three_points_only() {
    let more = [
        ("UserPromptSubmit", "shownhello"),
        ("on_submit", "shownhello"),
        ("SessionStart", "hello"),
        ("on_session_start", "hello"),
        ("PreCompact", "hello"),
        ("before_compact", "hello"),
    ];
    for event in EVENTS {
        let added = more.iter().find(|(name, _)| *name == event.name);
        let expected = added.map_or(Said::Keep, |(_, text)| Said::Change((*text).into()));
        assert_eq!(ask(event, "echo hello").await, expected, "{}", event.name);
        assert_eq!(
            ask(event, "cat >/dev/null").await,
            Said::Keep,
            "{}",
            event.name
        );
    }
    let Said::Change(cut) = ask(
        named("SessionStart"),
        "head -c 300000 /dev/zero | tr '\\0' x",
    )
    .await
    else {
        panic!("the beginning is kept");
    };
    assert!(
        cut.ends_with("x\n[37856 more bytes were cut]"),
        "{}",
        cut.len()
    );
    let garbage = ask(named("SessionStart"), r"printf 'a\377b'").await;
    assert_eq!(garbage, Said::Change("a\u{fffd}b".into()));
}

#[tokio::test]
async fn words_are_changed_and_added_where_a_point_shows_some() {
    let change = r#"echo '{"hookSpecificOutput": {"updatedText": "other"}}'"#;
    let add = r#"echo '{"hookSpecificOutput": {"additionalContext": "more"}}'"#;
    for event in EVENTS {
        let (changed, added) = match event.point {
            Point::OnSubmit => ("other", "shownmore"),
            Point::AfterTool => ("other", "shown\nmore"),
            Point::BeforeRequest | Point::OnSpawn | Point::OnChildEnd | Point::OnNote => {
                ("other", "shown\n\nmore")
            }
            Point::BeforeCompact | Point::OnSessionStart => ("other", "more"),
            Point::BeforeTool | Point::AfterResponse | Point::OnStop | Point::OnSessionEnd => {
                assert_eq!(ask(event, change).await, Said::Keep, "{}", event.name);
                assert_eq!(ask(event, add).await, Said::Keep, "{}", event.name);
                continue;
            }
        };
        assert_eq!(
            ask(event, change).await,
            Said::Change(changed.into()),
            "{}",
            event.name
        );
        assert_eq!(
            ask(event, add).await,
            Said::Change(added.into()),
            "{}",
            event.name
        );
    }
}

#[tokio::test]
async fn a_tool_is_given_other_arguments_and_nothing_is_widened() {
    let answer = |json: Value| format!("echo '{}'", json!({"hookSpecificOutput": json}));
    let pre = named("PreToolUse");
    let allow = answer(json!({"permissionDecision": "allow"}));
    assert_eq!(ask(pre, &allow).await, Said::Keep, "the rules still hold");
    assert_eq!(
        ask(pre, r#"echo '{"decision": "approve"}'"#).await,
        Said::Keep
    );
    let input = json!({"command": "ls -l"});
    let both = answer(json!({"permissionDecision": "allow", "updatedInput": input}));
    assert_eq!(ask(pre, &both).await, Said::Change(input.to_string()));
    let deny = answer(json!({"permissionDecision": "deny", "updatedInput": input}));
    assert!(
        matches!(ask(pre, &deny).await, Said::Refuse(_)),
        "no is stronger"
    );
    let person = answer(json!({"permissionDecision": "ask", "permissionDecisionReason": "sure?"}));
    let Said::Refuse(reason) = ask(pre, &person).await else {
        panic!("what a person should be asked must not pass unasked");
    };
    assert!(
        reason.contains("`ask` rule") && reason.ends_with("sure?"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_command_that_wants_no_more_ends_the_turn_and_no_other() {
    let stop = r#"echo '{"continue": false, "stopReason": "enough"}'"#;
    let rows = [CommandHook::new("PreToolUse", "", stop).unwrap()];
    let hooks = command_hooks(&rows, std::env::temp_dir());
    let mut place = place(named("PreToolUse"));
    let enough = Said::Refuse("enough".into());
    assert_eq!(at(&hooks, Point::BeforeRequest, &place).await, Said::Keep);
    assert_eq!(at(&hooks, Point::BeforeTool, &place).await, enough);
    assert_eq!(at(&hooks, Point::BeforeRequest, &place).await, enough);
    place.turn = TurnId(4);
    assert_eq!(at(&hooks, Point::BeforeRequest, &place).await, Said::Keep);
    assert_eq!(
        ask(named("Stop"), stop).await,
        Said::Keep,
        "the end is what it wanted"
    );
}

#[tokio::test]
async fn a_command_that_pushed_a_turn_on_is_told_so() {
    let line = "grep -q '\"stop_hook_active\":true' || { echo again >&2; exit 2; }";
    let hooks = hooks("Stop", line);
    let mut place = place(named("Stop"));
    assert_eq!(
        at(&hooks, Point::OnStop, &place).await,
        Said::Change("again".into())
    );
    assert_eq!(at(&hooks, Point::OnStop, &place).await, Said::Keep);
    place.turn = TurnId(4);
    assert_eq!(
        at(&hooks, Point::OnStop, &place).await,
        Said::Change("again".into())
    );
}

#[tokio::test]
async fn a_command_is_told_where_it_is_and_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let line = r#"cat >told; test "$PWD" -ef "$CLAUDE_PROJECT_DIR" -a "$CLAUDE_PROJECT_DIR" = "$OFFSHOOT_PROJECT_DIR""#;
    let told = async |event: &Event| {
        let row = CommandHook::new(event.name, "", line).unwrap();
        let got = at(
            &command_hooks([&row], folder.path()),
            event.point,
            &place(event),
        )
        .await;
        assert_eq!(got, Said::Keep, "{}", event.name);
        let text = std::fs::read(folder.path().join("told")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()
    };
    for event in EVENTS {
        let told = told(event).await;
        assert_eq!(told["hook_event_name"], event.name);
        assert_eq!(
            (&told["session_id"], &told["turn"]),
            (&json!("s1"), &json!(3))
        );
        assert_eq!(told["cwd"], json!(folder.path()));
    }
    let post = told(named("PostToolUse")).await;
    assert_eq!(
        (&post["tool_name"], &post["tool_use_id"]),
        (&json!("Bash"), &json!("c1"))
    );
    assert_eq!(post["tool_input"], json!({"command": "ls"}));
    assert_eq!(
        post["tool_response"],
        json!({"outcome": "ok", "text": "shown"})
    );
    let prompt = told(named("UserPromptSubmit")).await;
    assert_eq!(
        (&prompt["prompt"], &prompt["agent"]),
        (&json!("shown"), &json!("root"))
    );
    let stop = told(named("SubagentStop")).await;
    assert_eq!(
        (&stop["agent"], &stop["agent_type"]),
        (&json!("root/phase-3/2"), &json!("phase-3"))
    );
    assert_eq!(stop["stop_hook_active"], false);
    let spawn = told(named("SubagentStart")).await;
    assert_eq!(
        (&spawn["agent"], &spawn["parent"]),
        (&json!("root/explore/3"), &json!("root"))
    );
    assert_eq!(
        (&spawn["prompt"], &spawn["run_in_background"]),
        (&json!("shown"), &json!(false))
    );
}

#[tokio::test]
async fn events_hear_whose_turns_the_table_says() {
    let child = HookContext::new(SessionId::new("s1"), TurnId(1), Scope::root().child("plan"));
    let root = HookContext::new(SessionId::new("s1"), TurnId(1), Scope::root());
    let whose = |name: &str| match name {
        "UserPromptSubmit" | "Stop" | "SessionStart" => (true, false),
        "SubagentStop" => (false, true),
        "SessionEnd" | "on_session_end" => (false, false), // says nothing that can be seen
        _ => (true, true),
    };
    for event in EVENTS {
        let hooks = hooks(event.name, "echo no >&2; exit 2");
        let heard = async |place| at(&hooks, event.point, place).await != Said::Keep;
        let got = (heard(&root).await, heard(&child).await);
        assert_eq!(got, whose(event.name), "{}", event.name);
    }
}

#[test]
fn a_matcher_fits_whole_names() {
    let table = [
        ("", "Bash", true),
        ("*", "Bash", true),
        ("Bash", "Bash", true),
        ("Bash", "BashOutput", false),
        ("Edit|Write", "Write", true),
        ("Edit|Write", "MultiEdit", false),
        ("mcp__.*__write.*", "mcp__disk__write_file", true),
        ("bash", "Bash", false),
    ];
    for (matcher, name, fits) in table {
        let row = CommandHook::new("PreToolUse", matcher, "true").unwrap();
        assert_eq!(row.matches(name), fits, "{matcher} {name}");
    }
    let wrong = [
        ("PreToolUse", "(", "true"),
        ("PreToolUse", "(a{1000}){1000}", "true"),
        ("PreTool", "", "true"),
        ("PreToolUse", "", " "),
    ];
    for (event, matcher, command) in wrong {
        assert!(
            CommandHook::new(event, matcher, command).is_err(),
            "{event} {matcher}"
        );
    }
    let long = "x".repeat(MAX_COMMAND + 1);
    assert!(CommandHook::new("Stop", "", &long).is_err());
    assert!(CommandHook::new("Stop", &long, "true").is_err());
    let row = || CommandHook::new("Stop", "", "true").unwrap();
    assert!(row().timeout(Duration::ZERO).is_err());
    assert!(row().timeout(MAX_TIMEOUT + Duration::from_secs(1)).is_err());
}

#[tokio::test]
async fn the_end_of_a_session_is_heard_although_its_scope_is_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let row = CommandHook::new("SessionEnd", "", "cat >ended").unwrap();
    let hooks = command_hooks([&row], folder.path());
    let place = place(named("SessionEnd"));
    place.scope.cancel();
    hooks.on_session_end(&place).await;
    let told = std::fs::read_to_string(folder.path().join("ended")).unwrap();
    assert!(told.contains("SessionEnd"));
}

#[tokio::test]
async fn a_cancelled_agent_ends_its_commands() {
    let place = place(named("PreToolUse"));
    let scope = place.scope.clone();
    let hooks = hooks("PreToolUse", "sleep 1000");
    let began = Instant::now();
    let (got, ()) = tokio::join!(at(&hooks, Point::BeforeTool, &place), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let stopped = scope.close().await.stopped;
        assert!(
            stopped[0]
                .phase
                .to_string()
                .contains("PreToolUse sleep 1000")
        );
    });
    assert!(matches!(got, Said::Refuse(why) if why.contains("was cancelled")));
    assert!(
        began.elapsed() < Duration::from_millis(700),
        "{:?}",
        began.elapsed()
    );
}
