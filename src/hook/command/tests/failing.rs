//! Commands that fail, hang, or have to be cut.
//! Refuses what their words change.

use super::*;

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
