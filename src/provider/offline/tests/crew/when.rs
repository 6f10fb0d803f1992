//! When helpers are sent and when not, and what their description says.
//! Refuses what becomes of those that were sent.

use super::*;

#[tokio::test]
async fn after_a_summary_nobody_is_sent_again() {
    let folder = wide(30);
    let mut busy = talk(20);
    busy.history.push(Kept::new(Message::user(PROMPT)));
    // As the engine writes a conversation down that is to be summarised.
    let lines = [
        (
            Role::Assistant,
            "[calls the tool Agent: {\"prompt\":\"x\"}]".to_owned(),
        ),
        (
            Role::User,
            "<tool_result tool=\"Agent\" outcome=\"ok\">\nfine\n</tool_result>".into(),
        ),
        (Role::Assistant, "[calls the tool Read: {}]".into()),
        (
            Role::User,
            "<tool_result tool=\"Read\" outcome=\"ok\">\nfine\n</tool_result>".into(),
        ),
    ];
    for (role, text) in lines {
        let parts = vec![Part::text(text)];
        busy.history.push(Kept::new(Message { role, parts }));
    }
    let mut wish = Talk::new();
    wish.tools = Kept::new(Vec::new());
    wish.system = "You are asked to summarise a conversation".into();
    wish.history = busy.history.clone();
    wish.history
        .push(Kept::new(Message::user("Write the summary now")));
    let summary = wish.hear().await.text;
    assert!(
        summary.contains(&format!("Pending request: {PROMPT}")),
        "{summary}"
    );
    for kept in [true, false] {
        let mut later = talk(20);
        let notes = format!("Notes about the conversation.\n\nSummary:\n{summary}");
        let mut next = PROMPT;
        if kept {
            later.history.push(Kept::new(Message::user(notes)));
        } else {
            later.history.push(Kept::new(Message::user(notes)));
            next = "<note from=\"timer\">\nit is noon\n</note>";
        }
        let heard = later.ask(next, tree(&folder)).await;
        assert_eq!(batches(&later), Vec::<usize>::new());
        assert!(
            heard.text.contains(&folder.truth().sentence()),
            "{}",
            heard.text
        );
        // The next question may have helpers again.
        let heard = later.ask(PROMPT, tree(&folder)).await;
        assert_eq!(batches(&later), [20, 10]);
        check_together(&heard.text, &folder);
    }
}

#[tokio::test]
async fn without_sub_folders_or_without_room_to_list_them_nobody_is_sent() {
    let flat = Folder::empty();
    flat.write("a.txt", "x\n");
    let mut one = talk(20);
    let heard = one.ask(PROMPT, tree(&flat)).await;
    let plain = Talk::new().ask(PROMPT, |call| flat.run(call)).await;
    assert_eq!((heard.text, batches(&one)), (plain.text, vec![]));
    let empty = Folder::empty();
    let heard = talk(20).ask(PROMPT, tree(&empty)).await;
    assert_eq!(heard.text, "This folder is empty: 0 files and 0 folders.");
    // More entries than a listing shows: the sub-folders cannot all be known.
    let crowd = Folder::empty();
    for n in 0..210 {
        crowd.write(&format!("d{n:03}/f.txt"), "x\n");
    }
    let mut talk = talk(20);
    let heard = talk
        .ask(PROMPT, |call| {
            let (outcome, text) = match call.name.as_str() {
                "LS" => (Outcome::Ok, crowded(&crowd)),
                _ => crowd.run(call),
            };
            (outcome, text)
        })
        .await;
    assert_eq!(batches(&talk), Vec::<usize>::new());
    check(&heard.text, &crowd.truth());
    assert!(
        heard.text.contains("more entries than `LS` shows"),
        "{}",
        heard.text
    );
}

/// As the tool lists a folder with more than two hundred entries.
fn crowded(folder: &Folder) -> String {
    let truth = folder.truth();
    let rows = subs(folder)
        .into_iter()
        .take(200)
        .map(|sub| format!("  {sub}/\n"));
    let rows = rows.collect::<String>();
    format!(
        "/x\n{rows}(200 of 420 entries shown: list a folder below for more)\n{} files, {} folders, {} bytes",
        truth.files, truth.folders, truth.bytes
    )
}

#[tokio::test]
async fn other_questions_send_nobody() {
    let folder = wide(4);
    for prompt in [
        "How many files are there?",
        "which are the largest files?",
        "list the files",
        "show README.md",
        "search for \"one line\"",
    ] {
        let mut able = talk(20);
        let heard = able.ask(prompt, tree(&folder)).await;
        let plain = Talk::new().ask(prompt, |call| folder.run(call)).await;
        assert_eq!(
            (heard.text, batches(&able)),
            (plain.text, vec![]),
            "{prompt}"
        );
    }
    let mut shaped = talk(20);
    shaped.options.schema = Some(schema(json!({ "files": { "type": "integer" } })));
    let heard = shaped.ask(PROMPT, tree(&folder)).await;
    let value: Value = serde_json::from_str(&heard.text).unwrap();
    assert_eq!(value, json!({ "files": folder.truth().files }));
    assert_eq!(batches(&shaped), Vec::<usize>::new());
}

#[test]
fn limits_and_kinds_are_read_from_the_description() {
    use super::super::helper::at_once;
    let read = |says: &str| at_once(with_agents(says).get());
    assert_eq!(read(&says(20)), Some(20));
    assert_eq!(
        read("At most 3 levels. At most 1,200 agents live at once in this tree."),
        Some(1200)
    );
    assert_eq!(read("Starts an agent."), Some(10));
    assert_eq!(read("At most 0 agents live at once in this tree."), None);
    assert_eq!(
        read("Kinds: writer, reviewer."),
        None,
        "nobody there only reads"
    );
    assert_eq!(at_once(&tools()), None);
}

#[test]
fn every_name_can_be_told_or_is_not() {
    use super::super::{
        helper,
        rules::{Task, understand},
    };
    for path in [
        "src",
        "a b",
        "it's",
        "a`b",
        "a\"b`c",
        "“x”`\"",
        "./odd.name",
        "/abs/x",
        "x/y.z",
    ] {
        let ask = helper::to(path).unwrap();
        let prompt = ask.input["prompt"].as_str().unwrap();
        let task = understand(prompt, None).map(|meaning| meaning.task);
        assert_eq!(task, Some(Task::Report { path: path.into() }), "{prompt}");
    }
    assert_eq!(helper::to("`\"”»'"), None);
    assert_eq!(code("a`b"), "`` a`b ``");
}
