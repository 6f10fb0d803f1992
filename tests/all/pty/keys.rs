//! Ctrl-C and the answers to questions, on a real terminal.
//! Refuses to look at colours and lines; only at who gets which key.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use offshoot::testing::{Answer, Reply, Script};
use serde_json::json;

use super::{CTRL_C, CTRL_D, Terminal, asking, serve, stuck};

#[test]
fn ctrl_c_stops_the_turn_and_the_next_message_works() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve([stuck(), Reply::answer("Fine.")]);
    let mut terminal = Terminal::run(dir.path(), &["chat"], asking(&server));
    terminal.prompt();
    terminal.press("hello\r");
    terminal.until("It begins");
    terminal.press(CTRL_C);
    terminal.until("cancelled");
    terminal.prompt();
    terminal.press("again\r");
    terminal.until("Fine.");
    terminal.prompt();
    terminal.press(CTRL_D);
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    let last = server.requests().pop().unwrap();
    let body = String::from_utf8_lossy(&last.body).into_owned();
    assert!(
        body.contains("It begins"),
        "the words said so far stay: {body}"
    );
}

#[test]
fn ctrl_c_at_the_prompt_drops_the_line_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve([Reply::answer("One."), Reply::answer("Two.")]);
    let mut terminal = Terminal::run(dir.path(), &["chat"], asking(&server));
    terminal.prompt();
    terminal.press("never sent");
    terminal.until("never sent");
    terminal.press(CTRL_C);
    terminal.prompt();
    terminal.press("one\r");
    terminal.until("One.");
    terminal.prompt();
    // After a turn as well.
    terminal.press(CTRL_C);
    terminal.prompt();
    terminal.press("two\r");
    terminal.until("Two.");
    terminal.prompt();
    terminal.press("/quit\r");
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    let asked = server.requests();
    let said = asked
        .iter()
        .any(|request| String::from_utf8_lossy(&request.body).contains("never"));
    assert!(!said && asked.len() == 2, "{}", asked.len());
}

#[test]
fn a_question_is_answered_at_the_terminal() {
    for (key, word) in [("y\r", "total"), ("n\r", "said no")] {
        let dir = tempfile::tempdir().unwrap();
        let (_runtime, server) = serve([
            Reply::answer(Answer::empty().call("LS", json!({}))),
            Reply::answer("Fine."),
        ]);
        let args = ["run", "--ask", "LS", "hello"];
        let mut terminal = Terminal::run(dir.path(), &args, asking(&server));
        terminal.until("Allow? [y/N]");
        terminal.press(key);
        terminal.until("Fine.");
        assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
        let last = server.requests().pop().unwrap();
        let body = String::from_utf8_lossy(&last.body).into_owned();
        let denied = body.contains("said no");
        assert_eq!(denied, word == "said no", "{body}");
    }
}

/// A thread that read the answer would take the next line for it.
#[test]
fn ctrl_c_at_a_question_leaves_the_next_line_to_the_conversation() {
    let dir = tempfile::tempdir().unwrap();
    let asks = || Reply::answer(Answer::empty().call("LS", json!({})));
    let (_runtime, server) = serve([
        asks(),
        Reply::answer("Fine."),
        asks(),
        Reply::answer("Seen."),
    ]);
    let args = ["chat", "--ask", "LS"];
    let mut terminal = Terminal::run(dir.path(), &args, asking(&server));
    terminal.prompt();
    terminal.press("look\r");
    terminal.until("Allow? [y/N]");
    // Half an answer goes with the question.
    terminal.press("ye");
    terminal.press(CTRL_C);
    terminal.until("cancelled");
    terminal.prompt();
    terminal.press("again\r");
    terminal.until("Fine.");
    terminal.prompt();
    // The next question gets its own answer.
    terminal.press("look\r");
    terminal.until("Allow? [y/N]");
    terminal.press("y\r");
    terminal.until("Seen.");
    terminal.prompt();
    terminal.press(CTRL_D);
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    let asked = server.requests();
    assert_eq!(asked.len(), 4);
    let body = |at: usize| String::from_utf8_lossy(&asked[at].body).into_owned();
    assert!(body(1).contains("again"), "{}", body(1));
    assert!(
        !body(1).contains("said no"),
        "a question that was taken back is no refusal"
    );
    assert!(body(3).contains(" folders"), "allowed: {}", body(3));
}

#[test]
fn what_was_typed_before_a_question_is_no_answer_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve([
        Reply::answer(Answer::text("Let me look. ".repeat(50)).call("LS", json!({})))
            .stall_for(1_200, Duration::from_millis(300)),
        Reply::answer("Fine."),
    ]);
    let args = ["run", "--ask", "LS", "hello"];
    let mut terminal = Terminal::run(dir.path(), &args, asking(&server));
    terminal.until("Let me");
    terminal.press("y\r");
    terminal.until("Allow? [y/N]");
    // A Ctrl-D is an answer too, alone or at the end of half a line.
    terminal.press(CTRL_D);
    terminal.until("Fine.");
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    let last = server.requests().pop().unwrap();
    let body = String::from_utf8_lossy(&last.body).into_owned();
    assert!(body.contains("said no"), "{body}");
}

#[test]
fn ctrl_c_ends_a_run_with_130() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve([stuck()]);
    let mut terminal = Terminal::run(dir.path(), &["run", "hello"], asking(&server));
    terminal.until("It begins");
    let pressed = Instant::now();
    terminal.press(CTRL_C);
    assert_eq!(terminal.ended().code(), Some(130), "{:?}", terminal.all());
    assert!(
        pressed.elapsed() < Duration::from_secs(5),
        "{:?}",
        pressed.elapsed()
    );
    assert!(terminal.all().contains("cancelled"), "{:?}", terminal.all());
}

/// A hook that hears no signal is waited for and at last killed; who insists does not wait, and the
/// hook dies all the same.
#[cfg(target_os = "linux")]
#[test]
fn a_second_ctrl_c_ends_what_hangs_at_once_with_130() {
    // In a turn, and when a conversation is left.
    for (verb, hook) in [("run", "PreToolUse"), ("chat", "SessionEnd")] {
        // On a busy machine the hook may be killed before one has looked.
        let wrong: Vec<_> = (0..3).map_while(|_| insist(verb, hook).err()).collect();
        assert!(wrong.len() < 3, "{verb}: {wrong:?}");
    }
}

/// What is wrong with how the verb ends at the second Ctrl-C, with a deaf hook there.
#[cfg(target_os = "linux")]
fn insist(verb: &str, hook: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("pid");
    let shown = mark.display();
    let deaf = format!("trap '' TERM INT HUP; echo $$ > '{shown}'; sleep 60");
    let command = json!({"hooks": [{"type": "command", "command": deaf}]});
    let settings = json!({"hooks": {hook: [command]}}).to_string();
    std::fs::create_dir(dir.path().join(".claude")).unwrap();
    std::fs::write(dir.path().join(".claude/settings.json"), settings).unwrap();
    let (_runtime, server) = serve([
        Reply::answer(Answer::text("Let me see.").call("LS", json!({}))),
        Reply::answer("Fine."),
    ]);
    let mut terminal = match verb {
        "run" => Terminal::run(dir.path(), &["run", "--trust", "hello"], asking(&server)),
        _ => Terminal::run(dir.path(), &[verb, "--trust"], asking(&server)),
    };
    if verb == "chat" {
        terminal.prompt();
        terminal.press(CTRL_D);
    }
    let pid = until(|| std::fs::read_to_string(&mark).ok()?.trim().parse().ok());
    terminal.press(CTRL_C);
    std::thread::sleep(Duration::from_millis(300));
    let early = terminal.child.try_wait().unwrap();
    if early.is_some() || !lives(pid) {
        return Err(format!("nothing hung: {early:?}, {:?}", terminal.all()));
    }
    let pressed = Instant::now();
    terminal.press(CTRL_C);
    let code = terminal.ended().code();
    let took = pressed.elapsed();
    if code != Some(130) || took > Duration::from_secs(1) {
        return Err(format!("{code:?} after {took:?}: {:?}", terminal.all()));
    }
    until(|| (!lives(pid)).then_some(()));
    match pressed.elapsed() {
        long if long > Duration::from_millis(1_500) => Err(format!("it lived for {long:?}")),
        _ => Ok(()),
    }
}

/// While nobody types, a helper in the background has the keyboard for its question.
#[test]
fn a_helper_asks_between_two_turns_and_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let turns = AtomicUsize::new(0);
    let (_runtime, server) = serve(Script::with(move |request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let helps = !body.contains(r#""text":"begin"#);
        match (helps, turns.fetch_add(usize::from(!helps), Relaxed)) {
            (true, _) if body.contains("tool_result") => Reply::answer("Seen."),
            (true, _) => Reply::answer(Answer::empty().call("LS", json!({})))
                .delay(Duration::from_millis(300)),
            (false, 0) => Reply::answer(Answer::empty().call(
                "Agent",
                json!({"description": "look", "prompt": "look", "run_in_background": true}),
            )),
            (false, 1) => Reply::answer("Started."),
            (false, _) => Reply::answer("The helper has seen it."),
        }
    }));
    let args = ["chat", "--ask", "LS"];
    let mut terminal = Terminal::run(dir.path(), &args, asking(&server));
    terminal.prompt();
    terminal.press("begin\r");
    terminal.until("Started.");
    terminal.prompt();
    terminal.until("Allow? [y/N]");
    terminal.press("y\r");
    // Its note wakes the conversation by itself.
    terminal.until("The helper has seen it.");
    terminal.prompt();
    terminal.press("begin again\r");
    terminal.until("The helper has seen it.");
    terminal.prompt();
    terminal.press(CTRL_D);
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    let asked = server.requests();
    let denied = asked
        .iter()
        .any(|request| String::from_utf8_lossy(&request.body).contains("said no"));
    assert!(!denied && asked.len() == 6, "{}", asked.len());
}

/// Waits until there is one.
#[cfg(target_os = "linux")]
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < super::PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process lives; one that nobody has buried yet does not.
#[cfg(target_os = "linux")]
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
