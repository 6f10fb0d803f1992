//! Sessions on a real terminal: how to go on is said, a list has columns, a resumed session talks.
//! Refuses to look at what pipes show as well.

use std::time::Duration;

use offshoot::testing::Answer;

use super::{CTRL_D, Terminal, asking, serve};

#[test]
fn a_run_says_how_to_go_on_and_resume_becomes_a_conversation() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve(["It is a kite.", "It is red.", "You are welcome."]);
    let mut terminal = Terminal::run(dir.path(), &["run", "what is it?"], asking(&server));
    terminal.until("to go on: offshoot resume s");
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    let said = terminal.all();
    let (_, id) = said.rsplit_once("offshoot resume ").unwrap();
    let id: String = id.chars().take_while(char::is_ascii_alphanumeric).collect();

    let mut terminal = Terminal::run(dir.path(), &["sessions"], asking(&server));
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    let list = terminal.all();
    assert!(
        list.contains("TITLE") && list.contains("what is it?"),
        "{list}"
    );

    let mut terminal = Terminal::run(dir.path(), &["resume", &id], asking(&server));
    terminal.prompt();
    terminal.press("which colour?\r");
    terminal.until("It is red.");
    terminal.prompt();
    terminal.press("thanks\r");
    terminal.until("You are welcome.");
    terminal.prompt();
    terminal.press(CTRL_D);
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    terminal.until(&format!("to go on: offshoot resume {id}"));
    let last = server.requests().pop().unwrap();
    let body = String::from_utf8_lossy(&last.body).into_owned();
    for words in [
        "what is it?",
        "It is a kite.",
        "which colour?",
        "It is red.",
    ] {
        assert!(body.contains(words), "{words}: {body}");
    }
}

#[test]
fn work_that_takes_longer_than_a_second_shows_a_bar_and_takes_it_away() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve([Answer::text("Never asked.")]);
    let mut terminal = Terminal::run(dir.path(), &["import", "-"], asking(&server));
    let line = |uuid: &str| {
        let message = r#"{"role":"user","content":"hello"}"#;
        format!(r#"{{"type":"user","uuid":"{uuid}","message":{message}}}"#) + "\r"
    };
    // The first lines are looked at before anything else, to tell what the file is.
    for number in 0..50 {
        terminal.press(&line(&number.to_string()));
    }
    std::thread::sleep(Duration::from_millis(1_200));
    assert!(!terminal.all().contains("importing"), "{}", terminal.all());
    terminal.press(&line("late"));
    terminal.until("importing");
    terminal.press(CTRL_D);
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    terminal.until("51 messages");
}
