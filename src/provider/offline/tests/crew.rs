//! Surveys with helpers: a stand-in for the tool `Agent` lets the same model loose on real folders.
//! Refuses canned reports: each helper reads its folder with tools, each figure is counted again.

mod reports;
mod trouble;
mod when;

use std::collections::{BTreeMap, HashMap};

use futures::FutureExt;

use super::{
    parts::{check_together, code, subs},
    *,
};
use crate::provider::offline::report::Report;

const PROMPT: &str = "Survey this folder and tell me what it is";

/// The tools of an agent that may have helpers.
pub(super) fn with_agents(says: &str) -> Kept<Vec<ToolSpec>> {
    let mut all = tools();
    let tool = |name: &'static str, says: &str, arguments: &[&str]| {
        let properties = arguments.iter().map(|a| ((*a).to_owned(), json!({})));
        let properties = properties.collect::<serde_json::Map<_, _>>();
        let schema = json!({ "type": "object", "properties": properties });
        ToolSpec::new(name, says.to_owned(), schema)
    };
    let arguments = [
        "description",
        "prompt",
        "subagent_type",
        "run_in_background",
        "model",
    ];
    all.insert(0, tool("Agent", says, &arguments));
    all.push(tool("ListAgents", "", &[]));
    all.push(tool("SendMessage", "", &["to", "message"]));
    all.push(tool("TaskOutput", "", &["task_id", "block", "timeout"]));
    all.push(tool("TaskStop", "", &["task_id"]));
    Kept::new(all)
}

pub(super) fn says(limit: usize) -> String {
    format!(
        "Starts an agent. Kinds: general-purpose (all tools), explore (only reads).\n\
         At most {limit} agents live at once in this tree. At most 3 levels."
    )
}

fn talk(limit: usize) -> Talk {
    Talk {
        tools: with_agents(&says(limit)),
        ..Talk::new()
    }
}

/// What a helper says at its end: the model itself, with the tools of an explore child.
pub(super) fn child(folder: &Folder, call: &ToolCall) -> String {
    let input: Value = serde_json::from_str(call.input.as_str()).unwrap();
    assert_eq!(input["subagent_type"], "explore", "it only reads");
    assert!(!input["description"].as_str().unwrap().is_empty());
    let mut talk = Talk::new();
    let prompt = input["prompt"].as_str().unwrap();
    let heard = talk.ask(prompt, |call| folder.run(call));
    heard.now_or_never().expect("it never waits").text
}

/// Answers the calls of a parent: its own with the tools, those for helpers with helpers.
pub(super) fn tree<'a>(folder: &'a Folder) -> impl FnMut(&ToolCall) -> (Outcome, String) + 'a {
    |call| match call.name.as_str() {
        "Agent" => (Outcome::Ok, child(folder, call)),
        _ => folder.run(call),
    }
}

/// As many calls for helpers as each message made.
fn batches(talk: &Talk) -> Vec<usize> {
    let messages = talk.history.iter().map(Kept::get);
    let calls = messages.map(|m| m.calls().filter(|call| call.name == "Agent").count());
    calls.filter(|n| *n > 0).collect()
}

/// The folder that a call sends a helper into.
fn target(call: &ToolCall) -> String {
    let input: Value = serde_json::from_str(call.input.as_str()).unwrap();
    let prompt = input["prompt"].as_str().unwrap();
    prompt.split('`').nth(1).unwrap().to_owned()
}

fn target_of(call: &ToolCall) -> String {
    match call.name.as_str() {
        "Agent" => target(call),
        _ => String::new(),
    }
}

/// Some files of its own and so many sub-folders, with other sub-folders in them.
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

#[tokio::test]
async fn twenty_random_trees_are_surveyed_by_helpers_and_every_figure_is_true() {
    let (mut helped, mut counted) = (0, 0);
    for seed in 0..20 {
        let folder = Folder::random(seed);
        let mut talk = talk(20);
        let heard = talk.ask(PROMPT, tree(&folder)).await;
        let (truth, subs) = (folder.truth(), subs(&folder));
        let checked = check_together(&heard.text, &folder);
        let lines = folder::units(truth.lines, "line");
        for must in [truth.sentence(), format!("I count {lines} in")] {
            assert!(
                heard.text.contains(&must),
                "seed {seed}: no `{must}` in\n{}",
                heard.text
            );
        }
        assert!(
            checked.figures >= 4 + 3 * subs.len(),
            "seed {seed}: {checked:?}"
        );
        assert_eq!(
            checked.named.into_iter().collect::<Vec<_>>(),
            subs,
            "seed {seed}"
        );
        assert_eq!(batches(&talk).iter().sum::<usize>(), subs.len());
        assert!(
            !heard.text.contains("add up"),
            "seed {seed}:\n{}",
            heard.text
        );
        helped += subs.len();
        counted += checked.figures;
        // A follow-up is about the folder, not about the part that was looked at last.
        let more = talk.ask("and how many lines?", tree(&folder)).await;
        assert!(more.text.contains(&lines), "seed {seed}: {}", more.text);
    }
    assert!(helped > 20 && counted > 200, "{helped} {counted}");
}

#[tokio::test]
async fn fifty_sub_folders_are_surveyed_in_batches_of_the_live_limit() {
    let folder = wide(50);
    for (limit, expected) in [(20, vec![20, 20, 10]), (7, vec![7; 8]), (64, vec![50])] {
        let mut talk = talk(limit);
        let heard = talk.ask(PROMPT, tree(&folder)).await;
        let mut expected = expected;
        if limit == 7 {
            expected[7] = 1;
        }
        assert_eq!(batches(&talk), expected);
        let checked = check_together(&heard.text, &folder);
        assert_eq!(checked.named.into_iter().collect::<Vec<_>>(), subs(&folder));
        assert!(
            heard.text.contains(&folder.truth().sentence()),
            "{}",
            heard.text
        );
        assert!(heard.text.starts_with(
            "This folder looks like a Rust package named “wide”: it has a `Cargo.toml`."
        ));
        let rows = heard
            .text
            .lines()
            .filter(|line| line.starts_with("- `part-"));
        assert_eq!(
            rows.count(),
            10,
            "the largest get a line, the others a word"
        );
        // What it says on the way is true as well.
        let said = talk
            .history
            .iter()
            .map(|m| m.get().text())
            .collect::<Vec<_>>()
            .join("");
        assert!(
            said.contains("It has 50 sub-folders: I send a helper into each"),
            "{said}"
        );
        if limit == 20 {
            assert!(
                said.contains("20 of 50 have reported; I send the next 20."),
                "{said}"
            );
            assert!(
                said.contains("40 of 50 have reported; I send the next 10."),
                "{said}"
            );
        }
    }
    // Where the tool does not say how many may live, ten do.
    let mut silent = Talk::new();
    silent.tools = with_agents("Starts an agent.");
    silent.ask(PROMPT, tree(&folder)).await;
    assert_eq!(batches(&silent), [10; 5]);
}

#[tokio::test]
async fn a_hundred_and_twenty_sub_folders_are_named_or_counted() {
    let folder = wide(120);
    let mut talk = talk(50);
    let heard = talk.ask(PROMPT, tree(&folder)).await;
    let checked = check_together(&heard.text, &folder);
    assert_eq!(checked.named.len(), 70);
    assert!(
        heard.text.contains(" and 50 sub-folders more with "),
        "{}",
        heard.text
    );
    assert!(heard.text.len() < 6_000, "it stays readable");
}

#[tokio::test]
async fn the_checker_of_parts_catches_a_wrong_figure() {
    let folder = wide(25);
    let heard = talk(20).ask(PROMPT, tree(&folder)).await;
    check_together(&heard.text, &folder);
    let wrongs = [
        ("It has 25 ", "It has 24 "),
        ("`part-00/` (1 file)", "`part-00/` (2 files)"),
        ("Directly in it lie 2 files", "Directly in it lie 3 files"),
        (" 6 folders, ", " 7 folders, "),
        ("- `.rs`: ", "- `.rs`: 1"),
        (" lines)", "1 lines)"),
    ];
    for (right, wrong) in wrongs {
        let changed = heard.text.replacen(right, wrong, 1);
        assert_ne!(changed, heard.text, "{right} is in\n{}", heard.text);
        let caught = std::panic::catch_unwind(|| check_together(&changed, &folder));
        assert!(caught.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn children_have_no_helpers_and_end_with_their_report() {
    let folder = wide(3);
    let prompt = "Survey the folder `part-02` and report what is in it, with its numbers.";
    let mut plain = Talk::new();
    let heard = plain.ask(prompt, |call| folder.run(call)).await;
    let report = Report::at_end_of(&heard.text).expect("a report");
    let truth = folder.truth_of("part-02");
    assert_eq!(report.folder, "part-02");
    let figures = [report.files, report.folders, report.bytes, report.lines];
    let expected = [truth.files, truth.folders, truth.bytes, truth.lines];
    assert_eq!(figures, expected.map(Some));
    check(heard.text.rsplit_once('\n').unwrap().0, &truth);
    // Even where it could have helpers of its own, it has none: one level is enough.
    let mut able = talk(20);
    let same = able.ask(prompt, |call| folder.run(call)).await;
    assert_eq!((same.text, batches(&able)), (heard.text, vec![]));
}
