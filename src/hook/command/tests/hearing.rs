//! What commands are told, which of them hear what, and how they end with those that they serve.
//! Refuses what their words change.

use super::*;

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
