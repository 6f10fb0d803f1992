//! The offline model by the front door: the real loop, the real tools, real folders.
//! Refuses canned truths: each figure of an answer is counted again from the folder itself.

#[path = "../../src/provider/offline/tests/folder.rs"]
mod folder;
#[path = "../../src/provider/offline/tests/parts.rs"]
mod parts;
#[path = "offline_tree.rs"]
mod tree;

use std::time::Duration;

use futures::StreamExt;
use offshoot::{
    Agent, Compaction, CompactionSettings, Cost, ErrorKind, Event, EventKind, Message, Session,
    StopReason, Trimming, provider::Offline, testing::check_history, tools,
};

use self::folder::{Folder, check, units};

fn agent(folder: &Folder) -> offshoot::AgentBuilder {
    let model = Offline::new().with_pause(Duration::ZERO);
    Agent::builder(model).tools(tools::read_only(folder.path()).unwrap())
}

fn session(folder: &Folder) -> Session {
    Session::new(agent(folder).build().unwrap())
}

/// The text of the last message of a turn, and its events.
async fn say(session: &mut Session, prompt: &str) -> (String, Vec<Event>) {
    let events: Vec<Event> = session.submit_message(prompt).collect().await;
    let Some(EventKind::TurnEnd { stop, .. }) = events.last().map(|event| &event.kind) else {
        panic!("the last event is the end: {events:?}");
    };
    assert_eq!(stop, &StopReason::Finished);
    let history = session.history();
    check_history(&history).unwrap();
    (
        history.last().map(Message::text).unwrap_or_default(),
        events,
    )
}

#[tokio::test]
async fn twenty_random_trees_are_surveyed_and_every_figure_is_true() {
    for seed in 0..20 {
        let folder = Folder::random(seed);
        let truth = folder.truth();
        let mut session = session(&folder);
        let prompt = "Survey this folder and tell me what it is";
        let (text, events) = say(&mut session, prompt).await;
        let checked = check(&text, &truth);
        assert!(
            checked >= 4,
            "seed {seed}: only {checked} figures in\n{text}"
        );
        let lines = units(truth.lines, "line");
        for must in [truth.sentence(), format!("I count {lines} in")] {
            assert!(text.contains(&must), "seed {seed}: no `{must}` in\n{text}");
        }
        let count = |wanted: fn(&EventKind) -> bool| {
            events.iter().filter(|event| wanted(&event.kind)).count()
        };
        assert!(count(|kind| matches!(kind, EventKind::ToolEnd { .. })) >= 3);
        assert!(
            count(|kind| matches!(kind, EventKind::MessageEnd { .. })) >= 2,
            "several messages"
        );
        assert!(
            count(|kind| matches!(kind, EventKind::TextDelta { .. })) > 20,
            "word by word"
        );
        let Some(EventKind::TurnEnd { cost, usage, .. }) = events.last().map(|e| &e.kind) else {
            unreachable!("checked by say");
        };
        assert_eq!(cost, &Cost::default(), "it is known to cost nothing");
        assert!(usage.total() > 0);

        let (more, events) = say(&mut session, "and how many lines?").await;
        check(&more, &truth);
        assert!(more.contains(&lines), "{more}");
        let called = events
            .iter()
            .any(|event| matches!(event.kind, EventKind::ToolStart { .. }));
        assert!(!called, "it had read that before");
    }
}

#[tokio::test]
async fn questions_of_every_kind_reach_the_real_tools() {
    let folder = Folder::empty();
    folder.write(
        "Cargo.toml",
        "[package]\nname = \"tide\"\ndescription = \"Counts waves\"\n",
    );
    folder.write("README.md", "# Tide\n\nWatches the sea.\n");
    folder.write("src/lib.rs", "// TODO one\nfn a() {}\n");
    folder.write("src/deep/er/b.rs", "// TODO two\nlast line without an end");
    folder.write("notes/a.txt", "x\n");
    for (prompt, expected) in [
        (
            "What is this folder?",
            "looks like a Rust package named “tide”: it has a `Cargo.toml`. Its `Cargo.toml` says: “Counts waves”",
        ),
        (
            "How many rust files are there?",
            "This folder holds 2 files ending in `.rs`.",
        ),
        (
            "how many lines are in src",
            "I count 4 lines in 2 files of text.",
        ),
        (
            "how many lines does src/lib.rs have?",
            "I count 2 lines in 1 file of text.",
        ),
        (
            "how many lines of rust code are there?",
            "I count 4 lines in 2 files ending in `.rs`.",
        ),
        (
            "how many lines of markdown?",
            "I count 3 lines in 1 file ending in `.md`.",
        ),
        ("How many folders?", "This folder holds 4 folders."),
        ("search for \"TODO\"", "2 matches of `TODO` in 2 files."),
        (
            "search for \"TODO\" in src/deep",
            "1 match of `TODO` in 1 file.",
        ),
        (
            "search for \"fn a() {}\"",
            "1 match of `fn a() {}` in 1 file.",
        ),
        (
            "search for \"NEVER\"",
            "Nothing in this folder matches `NEVER`.",
        ),
        ("find files matching *.rs", "- `src/deep/er/b.rs`"),
        (
            "find files called nothing.xyz",
            "No file matches `**/nothing.xyz`.",
        ),
        (
            "show src/deep/er/b.rs",
            "```\n// TODO two\nlast line without an end\n```",
        ),
        ("show b.rs", "`src/deep/er/b.rs`:"),
        (
            "show lines 3 to 3 of README.md",
            "```\nWatches the sea.\n```",
        ),
        ("show gone.txt", "I cannot show `gone.txt`. `Read` failed:"),
        ("list the files in notes", "- `a.txt` (2 bytes)"),
        (
            "survey `nowhere`",
            "I could not find that out. `LS` failed:",
        ),
        ("survey ../", "I could not find that out."),
        ("what kinds of files are there?", "- `.rs`: 2 files"),
        ("and write me a poem", "I am the offline model"),
    ] {
        let (text, _) = say(&mut session(&folder), prompt).await;
        assert!(
            text.contains(expected),
            "{prompt}: no {expected} in\n{text}"
        );
    }
    let empty = Folder::empty();
    let (text, _) = say(&mut session(&empty), "Survey this folder").await;
    assert!(
        text.starts_with("This folder is empty: 0 files and 0 folders."),
        "{text}"
    );
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Card {
    name: String,
    /// How many files there are
    files: u64,
    total_lines: u64,
    largest: Option<Large>,
    mood: Option<String>,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Large {
    path: String,
    bytes: u64,
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct Beyond {
    #[expect(dead_code, reason = "it is never filled")]
    mood: String,
}

#[tokio::test]
async fn structured_answers_are_filled_from_the_tools_or_refused() {
    let folder = Folder::empty();
    folder.write("package.json", "{\"name\": \"kite\"}\n");
    folder.write("src/a.ts", "one\ntwo\nthree, and a little more\n");
    let card: Card = session(&folder).ask("Survey this folder").await.unwrap();
    assert_eq!(
        (card.name.as_str(), card.files, card.total_lines),
        ("kite", 2, 4)
    );
    let large = card.largest.unwrap();
    assert_eq!((large.path.as_str(), large.bytes), ("src/a.ts", 33));
    assert_eq!(card.mood, None);
    let inside: Card = session(&folder)
        .ask("Survey src")
        .await
        .map_err(|e| e.to_string())
        .unwrap_or(Card {
            name: "none".into(),
            files: 0,
            total_lines: 0,
            largest: None,
            mood: None,
        });
    assert_eq!(
        inside.name, "none",
        "nothing in src has a name, and it is required"
    );
    let error = session(&folder)
        .ask::<Beyond>("Survey this folder")
        .await
        .unwrap_err();
    assert_ne!(
        error.kind(),
        ErrorKind::Answer,
        "refused at once, not after corrections: {error:?}"
    );
}

#[tokio::test]
async fn a_conversation_that_was_summarised_goes_on() {
    let folder = Folder::random(8);
    let truth = folder.truth();
    let mut settings = CompactionSettings::default();
    settings.window = Some(12_000);
    // Old tool output is all there is to trim; without that the history must be summarised.
    settings.trimming = Trimming::Never;
    let mut session = Session::new(agent(&folder).compaction(settings).build().unwrap());
    let mut summarised = 0;
    for _ in 0..6 {
        let (text, events) = say(&mut session, "Survey this folder").await;
        check(&text, &truth);
        assert!(text.contains(&truth.sentence()), "{text}");
        let told = |event: &&Event| matches!(&event.kind, EventKind::Compacted { how, .. } if *how == Compaction::Summarised);
        summarised += events.iter().filter(told).count();
    }
    assert!(summarised > 0, "the window is small enough");
}
