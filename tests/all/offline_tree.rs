//! Surveys with helpers by the front door: the real loop, the real tool `Agent`, real folders.
//! Refuses canned truths: each figure of an answer is counted again from the folder itself.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt;
use offshoot::{
    Agent, AgentBuilder, AgentKinds, Budget, CompactionSettings, Cost, Event, EventKind, Limit,
    OnChildren, Outcome, Session, Trimming, provider::Offline, subagents, tools,
};

use super::{
    folder::{Folder, Truth, check, units},
    parts::{beside, check_together, code, subs},
    say,
};

const PROMPT: &str = "Survey this folder and tell me what it is";

fn agent(folder: &Folder) -> AgentBuilder {
    let model = Offline::new().with_pause(Duration::ZERO);
    Agent::builder(model)
        .tools(tools::read_only(folder.path()).unwrap())
        .tools(subagents(AgentKinds::builtin()))
}

fn session(folder: &Folder) -> Session {
    Session::new(agent(folder).build().unwrap())
}

async fn limited(folder: &Folder, budget: Budget) -> Session {
    let agent = agent(folder).build().unwrap();
    let session = Session::builder(agent).budget(budget).open().await;
    session.unwrap()
}

/// Some files of its own and so many sub-folders, with other folders in them.
fn wide(many: usize) -> Folder {
    let folder = Folder::empty();
    folder.write("Cargo.toml", "[package]\nname = \"wide\"\n");
    folder.write("README.md", "# Wide\n\nHas 99 doors.\n");
    for n in 0..many {
        for file in 0..=n % 5 {
            let lines = "one line\n".repeat(n * 7 % 11 + file);
            let ending = ["rs", "md", "txt"][(n + file) % 3];
            folder.write(&format!("part-{n:02}/in{file}/f{file}.{ending}"), &lines);
        }
        folder.folder(&format!("part-{n:02}/empty"));
    }
    folder
}

/// How the helpers of a turn ended, by their path, and how many lived at once at most.
fn children(events: &[Event]) -> (BTreeMap<String, Outcome>, usize) {
    let (mut ended, mut live, mut most) = (BTreeMap::new(), 0, 0);
    for event in events {
        match &event.kind {
            EventKind::ChildStart { kind, .. } => {
                assert_eq!(kind, "explore");
                live += 1;
                most = most.max(live);
            }
            EventKind::ChildEnd { outcome, .. } => {
                live -= 1;
                ended.insert(event.agent.to_string(), *outcome);
            }
            _ => {}
        }
    }
    assert_eq!(live, 0, "who began has ended");
    (ended, most)
}

/// As many calls for helpers as each message of the root made.
fn batches(session: &Session) -> Vec<usize> {
    let history = session.history();
    let calls = history
        .iter()
        .map(|m| m.calls().filter(|call| call.name == "Agent").count());
    calls.filter(|n| *n > 0).collect()
}

#[tokio::test]
async fn twenty_random_trees_are_surveyed_by_real_helpers_and_every_figure_is_true() {
    let mut helped = 0;
    for seed in 0..20 {
        let folder = Folder::random(seed);
        let (truth, subs) = (folder.truth(), subs(&folder));
        let mut session = session(&folder);
        let (text, events) = say(&mut session, PROMPT).await;
        let checked = check_together(&text, &folder);
        assert!(
            checked.figures >= 4 + 3 * subs.len(),
            "seed {seed}: {checked:?}"
        );
        assert_eq!(
            checked.named.into_iter().collect::<Vec<_>>(),
            subs,
            "seed {seed}"
        );
        let lines = units(truth.lines, "line");
        for must in [truth.sentence(), format!("I count {lines} in")] {
            assert!(text.contains(&must), "seed {seed}: no `{must}` in\n{text}");
        }
        assert!(!text.contains("add up"), "seed {seed}:\n{text}");
        let (ended, _) = children(&events);
        assert_eq!(
            ended.len(),
            subs.len(),
            "one for each sub-folder, one level deep"
        );
        assert!(
            ended.values().all(|outcome| *outcome == Outcome::Ok),
            "{ended:?}"
        );
        helped += ended.len();
        let Some(EventKind::TurnEnd { cost, .. }) = events.last().map(|e| &e.kind) else {
            unreachable!("checked by say");
        };
        assert_eq!(cost, &Cost::default(), "it is known to cost nothing");
        let words = |event: &&Event| matches!(event.kind, EventKind::TextDelta { .. });
        let of_root = events
            .iter()
            .filter(words)
            .filter(|e| e.agent.to_string() == "root");
        assert!(of_root.count() > 20, "word by word");
        let (more, _) = say(&mut session, "and how many lines?").await;
        assert!(more.contains(&lines), "seed {seed}: {more}");
    }
    assert!(helped > 20, "{helped}");
}

#[tokio::test]
async fn fifty_sub_folders_are_surveyed_in_three_batches() {
    let folder = wide(50);
    let mut session = session(&folder);
    let (text, events) = say(&mut session, PROMPT).await;
    let checked = check_together(&text, &folder);
    assert_eq!(checked.named.into_iter().collect::<Vec<_>>(), subs(&folder));
    assert!(text.contains(&folder.truth().sentence()), "{text}");
    assert!(text.contains(&beside(&folder)), "{text}");
    let (ended, most) = children(&events);
    assert_eq!(ended.len(), 50);
    assert!(
        ended.values().all(|outcome| *outcome == Outcome::Ok),
        "{ended:?}"
    );
    assert_eq!(batches(&session), [20, 20, 10]);
    assert!(most <= 20, "{most} lived at once");
    assert!(most > 1, "they work at the same time");
    let shown = text.len();
    assert!(shown < 4_000, "it stays readable: {shown} bytes");
}

#[tokio::test]
async fn a_narrower_limit_than_the_tool_says_costs_no_figure() {
    let folder = wide(50);
    let mut budget = Budget::default();
    budget.live = Some(18);
    let mut session = limited(&folder, budget).await;
    let (text, events) = say(&mut session, PROMPT).await;
    let checked = check_together(&text, &folder);
    assert_eq!(checked.named.len(), 50);
    assert!(text.contains(&folder.truth().sentence()), "{text}");
    let (ended, most) = children(&events);
    assert_eq!(ended.len(), 50, "who found no room was sent once more");
    assert!(most <= 18, "{most}");
    // Whoever found no room in the first batch was sent again; nobody was sent a third time.
    let sent = batches(&session);
    assert!(
        sent[0] == 20 && sent.iter().sum::<usize>() <= 100,
        "{sent:?}"
    );
    assert!(!text.contains("myself"), "{text}");
}

#[tokio::test]
async fn a_limit_of_all_that_may_be_started_is_told() {
    let folder = wide(28);
    let mut budget = Budget::default();
    budget.spawns = Some(16);
    let mut session = limited(&folder, budget).await;
    let (text, events) = say(&mut session, PROMPT).await;
    assert_eq!(children(&events).0.len(), 16);
    assert_eq!(batches(&session), [20], "nobody is sent into a closed door");
    let left = ["part-26", "part-27"];
    let missing = left.map(|sub| code(&format!("{sub}/"))).join(", ");
    assert!(
        text.contains(&format!("{missing} are missing from these figures: ")),
        "{text}"
    );
    assert!(text.contains(Limit::Spawns.as_str()), "{text}");
    let (whole, gone) = (folder.truth(), left.map(|sub| folder.truth_of(sub)));
    let files = whole.files - gone.iter().map(|truth| truth.files).sum::<u64>();
    let lines = whole.lines - gone.iter().map(|truth| truth.lines).sum::<u64>();
    for must in [
        format!(
            "This is what was surveyed of it. It holds {} in",
            units(files, "file")
        ),
        format!("I count {} in", units(lines, "line")),
        format!("`LS` counts {} in", units(whole.files, "file")),
    ] {
        assert!(text.contains(&must), "no `{must}` in\n{text}");
    }
}

#[tokio::test]
async fn no_helper_at_all_is_the_survey_of_one() {
    let folder = wide(6);
    let mut budget = Budget::default();
    budget.live = Some(0);
    let mut session = limited(&folder, budget).await;
    let (text, events) = say(&mut session, PROMPT).await;
    assert!(children(&events).0.is_empty());
    check(&text, &folder.truth());
    assert!(text.contains(&folder.truth().sentence()), "{text}");
    assert!(
        text.contains("No helper could survey a sub-folder for me"),
        "{text}"
    );
    assert!(text.contains(Limit::Live.as_str()), "{text}");
}

#[tokio::test]
async fn hidden_and_ignored_folders_get_no_helper_and_the_sums_agree() {
    let folder = wide(3);
    folder.write(".gitignore", "target/\n*.log\npart-01/secret/\n");
    folder.write("target/debug/a.rs", "fn a() {}\n");
    folder.write(".git/config", "x\n");
    folder.write("part-01/secret/b.rs", "fn b() {}\n");
    folder.write("part-02/c.log", "c\n");
    folder.write("part-02/.hidden/d.rs", "fn d() {}\n");
    let mut session = session(&folder);
    let (text, events) = say(&mut session, PROMPT).await;
    assert_eq!(children(&events).0.len(), 3);
    // What is not counted is what was written last.
    check_together(
        &text.replace("Hidden and ignored files are not counted.", ""),
        &wide(3),
    );
    assert!(
        text.contains("Hidden and ignored files are not counted."),
        "{text}"
    );
    assert!(
        !text.contains("target") && !text.contains("add up"),
        "{text}"
    );
}

#[tokio::test]
async fn a_window_too_small_for_all_reports_costs_no_figure() {
    let folder = wide(50);
    let (mut compacted, mut lost) = (0, 0);
    let truth = folder.truth();
    for (window, trimming) in [
        (9_000, Trimming::WhenFull),
        (12_000, Trimming::WhenFull),
        (12_000, Trimming::Never),
        (24_000, Trimming::WhenFull),
        (24_000, Trimming::Never),
    ] {
        let mut settings = CompactionSettings::default();
        settings.window = Some(window);
        settings.trimming = trimming;
        let agent = agent(&folder).compaction(settings).build().unwrap();
        let mut session = Session::new(agent);
        let (text, events) = say(&mut session, PROMPT).await;
        let told = |event: &&Event| matches!(event.kind, EventKind::Compacted { .. });
        let root = |event: &&Event| event.agent.to_string() == "root";
        compacted += events.iter().filter(told).filter(root).count();
        lost += usize::from(text.contains("their reports were cleared to make room"));
        check_together(&text, &folder);
        let files = format!("It holds {}", units(truth.files, "file"));
        let lines = format!("I count {} in", units(truth.lines, "line"));
        assert!(
            text.contains(&files) && text.contains(&lines),
            "{window}:\n{text}"
        );
        // In the smallest even a second list is cleared before the end; then less is said.
        let whole = text.contains(&truth.sentence());
        assert!(whole || window < 12_000, "{window}:\n{text}");
        assert!(!text.contains("no manifest"), "{window}:\n{text}");
        assert!(children(&events).0.len() <= 50, "nobody is sent twice");
    }
    assert!(compacted > 0 && lost > 0, "the windows are small enough");
}

/// Checks the figures that a helper in the background has reported.
fn check_reported(text: &str, truth: &Truth) {
    let front = "`root/explore/1` reports on `part-04`.";
    let figures = text
        .split_once(front)
        .unwrap_or_else(|| panic!("no {front} in\n{text}"));
    assert!(check(figures.1, truth) >= 4, "{text}");
    assert!(text.contains(&truth.sentence()), "{text}");
}

#[tokio::test]
async fn a_survey_in_the_background_comes_back_as_a_note() {
    let folder = wide(6);
    let truth = folder.truth_of("part-04");
    let mut waits = session(&folder);
    let (text, events) = say(&mut waits, "In the background, survey `part-04`").await;
    assert_eq!(children(&events).0.len(), 1);
    check_reported(&text, &truth);
    let acknowledged = "A helper surveys `part-04` in the background";
    let said = waits.history();
    assert!(said.iter().any(|m| m.text().starts_with(acknowledged)));

    // A chat goes on talking, and is woken, unless the note came before its first answer.
    let agent = agent(&folder).build().unwrap();
    let chat = Session::builder(agent)
        .on_children(OnChildren::Yield)
        .open();
    let mut chat = chat.await.unwrap();
    let prompt = "survey `part-04` in the background";
    let mut events: Vec<Event> = chat.submit_message(prompt).collect().await;
    while let Some(turn) = chat.next_turn().await {
        events.extend(turn.collect::<Vec<_>>().await);
    }
    let of_root = events
        .iter()
        .filter(|event| event.agent.to_string() == "root");
    let mut last = of_root.filter_map(|event| match &event.kind {
        EventKind::TurnEnd { text, .. } => Some(text),
        _ => None,
    });
    check_reported(last.next_back().unwrap(), &truth);
}

#[tokio::test]
async fn agents_are_listed_told_and_stopped() {
    let folder = wide(2);
    let mut session = session(&folder);
    let (text, _) = say(&mut session, "list the agents").await;
    assert!(text.contains("root (you)"), "{text}");
    let (text, _) = say(&mut session, "tell agent root/explore/9: hurry up").await;
    assert!(
        text.starts_with("That did not work. `SendMessage` failed: “Unknown agent"),
        "{text}"
    );
    let (text, _) = say(&mut session, "stop agent root/explore/9").await;
    assert!(
        text.starts_with("That did not work. `TaskStop` failed"),
        "{text}"
    );
    let (text, _) = say(&mut session, "write a poem").await;
    assert!(text.contains("I survey a folder with helpers"), "{text}");
}
