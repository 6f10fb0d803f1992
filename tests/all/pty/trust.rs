//! The question whether a folder is trusted, on a real terminal: asked once, and a no is a no.
//! Refuses the files themselves; what counts as hostile is in `settings`.

use offshoot::testing::Answer;
use serde_json::json;

use super::{Terminal, asking, serve};

#[test]
fn a_folder_is_asked_about_once_and_a_no_starts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let hook = json!({"type": "command", "command": "echo heard >> marker"});
    let settings = json!({"hooks": {"UserPromptSubmit": [{"hooks": [hook]}]}});
    std::fs::create_dir(dir.path().join(".claude")).unwrap();
    let file = dir.path().join(".claude/settings.json");
    std::fs::write(&file, settings.to_string()).unwrap();
    let (_runtime, server) = serve([Answer::text("Fine."), "Fine.".into(), "Fine.".into()]);
    let heard = || {
        let marker = std::fs::read_to_string(dir.path().join("marker"));
        marker.unwrap_or_default().lines().count()
    };
    let question = "Trust these files? [y/N]";
    for (answer, after) in [("n\r", 0), ("y\r", 1)] {
        let mut terminal = Terminal::run(dir.path(), &["run", "hello"], asking(&server));
        let asked = terminal.until(question);
        assert!(asked.contains(".claude/settings.json (1 hook)"), "{asked}");
        assert_eq!(heard(), 0, "nothing starts before the answer");
        terminal.press(answer);
        assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
        assert_eq!(heard(), after, "{answer:?}");
    }
    let mut terminal = Terminal::run(dir.path(), &["run", "hello"], asking(&server));
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    assert!(!terminal.all().contains(question), "{}", terminal.all());
    assert_eq!(heard(), 2, "a yes is remembered");
}
