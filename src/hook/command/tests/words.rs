//! What the words of a command change at each point.
//! Refuses commands that fail.

use super::*;

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
