//! What a kind names is intersected with what its parent has: paths and environment, at every depth.
//! Refuses tools and rules, which `permission` has, and budgets, which `tree` has.

use std::{io::Write, os::unix::fs::symlink, path::Path, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use offshoot::{
    Agent, AgentKind, AgentKinds, Backend, Budget, Capabilities, Conversation, Grant, Ground,
    Outcome, Paths, Permissions, Session, ToolCustody, subagents,
    testing::{Answer, Reply, Script, Scripted, check_history},
    tools,
};
use serde_json::{Value, json};

use super::rig::{level, order};
use crate::{
    cli::{code, err, offshoot, serve, with_anthropic},
    kit::{noticed, results},
};

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn workspace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in [
        "README.md",
        "src/a.rs",
        "src/inner/b.rs",
        "src/inner/deep/c.rs",
        "src-old/d.rs",
        "secret/e.txt",
        "docs/f.md",
    ] {
        put(folder.path(), path, "the words\n");
    }
    symlink("../secret", folder.path().join("src/link")).unwrap();
    symlink(
        "../../secret/e.txt",
        folder.path().join("src/inner/link.txt"),
    )
    .unwrap();
    folder
}

/// The paths of the kinds on the way down, the last one being the agent that calls.
type Way<'a> = &'a [Option<&'a [&'a str]>];

fn kind_of(level: usize, paths: Option<&[&str]>) -> AgentKind {
    let kind = AgentKind::new(format!("kind-{level}"), "Reads");
    match paths {
        Some(paths) => kind.paths(Paths::new(paths.iter().copied()).unwrap()),
        None => kind,
    }
}

/// Opens an agent of each kind, each below the one before, and lets the last one call; how its calls
/// ended.
async fn calls(
    folder: &Path,
    way: Way<'_>,
    ground: Ground,
    calls: &[(&str, Value)],
) -> Vec<(Outcome, String)> {
    let bottom = way.len();
    let mut kinds = AgentKinds::none();
    for (above, paths) in way.iter().enumerate() {
        kinds = kinds.with(kind_of(above + 1, *paths)).unwrap();
    }
    let all = calls.iter().fold(Answer::empty(), |answer, (tool, input)| {
        answer.call(*tool, input.clone())
    });
    let model = Scripted::with(move |seen| {
        check_history(&seen.messages).unwrap();
        let level = level(seen);
        match seen.messages.len() {
            1 if level == bottom => all.clone(),
            1 => {
                let mut next = order(level + 1, ground);
                next["subagent_type"] = json!(format!("kind-{}", level + 1));
                Answer::empty().call("Agent", next)
            }
            _ => "done".into(),
        }
    });
    let recipe = Agent::builder(model.clone())
        .tools(subagents(kinds))
        .tools(tools::read_only(folder).unwrap())
        .permissions(Permissions::unrestricted());
    let budget = Budget::unlimited().depth(8);
    let session = Session::builder(recipe.build().unwrap()).budget(budget);
    let mut session = session.open().await.unwrap();
    let done = session.submit_message("go").text().await;
    assert_eq!(done.unwrap(), "done");
    session.close().await;
    let seen = model.seen();
    let last = seen.iter().rfind(|seen| level(seen) == bottom).unwrap();
    let ended = results(&last.messages).into_iter();
    ended.map(|(_, outcome, text)| (outcome, text)).collect()
}

/// A call, and whether the last agent may make it.
fn rows(folder: &Path) -> Vec<(&'static str, Value, bool)> {
    let absolute = |path: &str| folder.join(path).to_string_lossy().into_owned();
    let read = |path: &str| json!({"file_path": path});
    let at = |path: &str| json!({"path": path});
    vec![
        ("Read", read("src/inner/b.rs"), true),
        ("Read", read("./src/inner/deep/../b.rs"), true),
        ("Read", read(&absolute("src/inner/b.rs")), true),
        ("Read", read("src/a.rs"), false),
        ("Read", read("README.md"), false),
        ("Read", read("secret/e.txt"), false),
        ("Read", read("src/inner/../../secret/e.txt"), false),
        ("Read", read(&absolute("secret/e.txt")), false),
        ("Read", read("src/link/e.txt"), false),
        ("Read", read("src/inner/link.txt"), false),
        ("Read", read("src-old/d.rs"), false),
        ("Read", read("docs/f.md"), false),
        ("LS", at("src/inner"), true),
        ("LS", at("src/inner/deep"), true),
        ("LS", at("src"), false),
        ("LS", json!({}), false),
        (
            "Grep",
            json!({"pattern": "words", "path": "src/inner"}),
            true,
        ),
        (
            "Grep",
            json!({"pattern": "words", "path": "src/inner/b.rs"}),
            true,
        ),
        ("Grep", json!({"pattern": "words"}), false),
        (
            "Grep",
            json!({"pattern": "words", "path": "src/link"}),
            false,
        ),
        ("Glob", json!({"pattern": "src/inner/**/*.rs"}), true),
        (
            "Glob",
            json!({"pattern": "*.rs", "path": "src/inner"}),
            true,
        ),
        ("Glob", json!({"pattern": absolute("src/inner/*.rs")}), true),
        ("Glob", json!({"pattern": "**/*.rs"}), false),
        ("Glob", json!({"pattern": "src/{inner,link}/*"}), false),
        ("Glob", json!({"pattern": "*", "path": "secret"}), false),
    ]
}

/// Ways down whose last agent has `src/inner` and nothing else.
const WAYS: &[Way<'static>] = &[
    &[Some(&["src/inner"])],
    &[Some(&["src/inner/**"])],
    // What a child adds to its parent's it does not get.
    &[Some(&["src", "docs"]), None, Some(&["src/inner", "secret"])],
    // Nor does it matter who says it.
    &[Some(&["src/inner"]), Some(&["**"]), Some(&["."])],
    &[None, Some(&["src/inner", "docs"]), Some(&["src/**"])],
    &[Some(&["{src,secret}/**"]), Some(&["src/inner"]), None],
];

async fn stays_inside(ways: &[Way<'_>]) {
    let folder = workspace();
    for way in ways {
        for ground in [Ground::Foreground, Ground::Background] {
            let rows = rows(folder.path());
            let made: Vec<_> = rows
                .iter()
                .map(|(tool, input, _)| (*tool, input.clone()))
                .collect();
            let ended = calls(folder.path(), way, ground, &made).await;
            assert_eq!(ended.len(), rows.len());
            for ((tool, input, may), (outcome, text)) in rows.iter().zip(ended) {
                let what = format!("{way:?} {ground:?} {tool} {input}: {text}");
                let expected = if *may { Outcome::Ok } else { Outcome::Denied };
                assert_eq!(outcome, expected, "{what}");
                let named = text.contains("only this may be reached");
                assert!(*may || named, "it says what may be reached: {what}");
            }
        }
    }
}

#[tokio::test]
async fn inv13_a_kind_reaches_only_paths_that_it_and_all_above_it_have() {
    stays_inside(WAYS).await;
}

#[tokio::test]
async fn inv13_twin_without_its_paths_a_kind_reaches_what_its_parent_does() {
    let saw = noticed(stays_inside(&[&[Some(&["src"])]])).await;
    assert!(
        saw.contains("src/a.rs") && saw.contains("left: Ok"),
        "{saw}"
    );
    let saw = noticed(stays_inside(&[&[None, None, None]])).await;
    assert!(saw.contains("left: Ok"), "{saw}");
}

/// Runs its own tools, whatever anybody's rules say.
#[derive(Debug)]
struct Foreign(Arc<Agent>);

impl Backend for Foreign {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::FULL;
        capabilities.tools = ToolCustody::Foreign;
        capabilities
    }

    fn open(
        self: Arc<Self>,
        grant: Grant,
    ) -> BoxFuture<'static, offshoot::Result<Box<dyn Conversation>>> {
        self.0.clone().open(grant).boxed()
    }
}

#[tokio::test]
async fn inv13_a_backend_that_could_not_be_held_to_paths_is_not_opened() {
    for paths in [None, Some(Paths::new(["src"]).unwrap())] {
        let guest = Agent::builder(Scripted::forever("fine")).build().unwrap();
        let backend = Arc::new(Foreign(Arc::new(guest)));
        let kind = AgentKind::new("guest", "Comes from outside").backend(backend);
        let kind = match &paths {
            Some(paths) => kind.paths(paths.clone()),
            None => kind,
        };
        let model = Scripted::with(|seen| match seen.messages.len() {
            1 => {
                let order = json!({"description": "d", "prompt": "p", "subagent_type": "guest"});
                Answer::empty().call("Agent", order)
            }
            _ => "done".into(),
        });
        let kinds = AgentKinds::none().with(kind).unwrap();
        let recipe = Agent::builder(model)
            .tools(subagents(kinds))
            .permissions(Permissions::unrestricted());
        let mut session = Session::new(recipe.build().unwrap());
        session.submit_message("go").text().await.unwrap();
        let (_, outcome, text) = results(&session.history()).remove(0);
        let (expected, says) = match paths {
            Some(_) => (Outcome::Denied, "runs its own tools"),
            None => (Outcome::Ok, "fine"),
        };
        assert_eq!(outcome, expected, "{text}");
        assert!(text.contains(says), "{text}");
    }
}

/// The agents' own files: `wide` lets three variables through, `thin` three others.
fn kinds(folder: &Path) {
    let kind = |name: &str, names: &str| {
        let head = format!("name: {name}\ndescription: d\nenvironment: {names}");
        put(
            folder,
            &format!(".offshoot/agents/{name}.md"),
            &format!("---\n{head}\n---\nWork."),
        );
    };
    kind("wide", "PATH, ONE, THREE, SET");
    kind("thin", "[TWO, THREE, SET, UNSET]");
    kind("none", "[]");
    let hook = json!({"type": "command", "command": "env >>\"$CLAUDE_PROJECT_DIR/env\""});
    let settings = json!({
        "hooks": {"PreToolUse": [{"matcher": "LS", "hooks": [hook]}]},
        "env": {"SET": "by the project", "ALSO": "by the project"},
    });
    put(folder, ".claude/settings.json", &settings.to_string());
}

/// The names of the variables that a command saw, at the end of this way down.
fn seen_by_a_command(way: &[&'static str], ground: Ground, flags: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    kinds(folder.path());
    let bottom = way.len();
    let way: Vec<_> = way.to_vec();
    let (_runtime, server) = serve(Script::with(move |request| {
        let body = request.json();
        let messages = body["messages"].as_array().unwrap();
        let first = messages[0].to_string();
        let number = first.split_once("level ").map(|(_, rest)| &rest[..1]);
        let level: usize = number.map_or(0, |number| number.parse().unwrap());
        Reply::from(match messages.len() {
            1 if level == bottom => Answer::empty().call("LS", json!({})),
            1 => {
                let mut next = order(level + 1, ground);
                next["subagent_type"] = json!(way[level]);
                Answer::empty().call("Agent", next)
            }
            _ => Answer::text("done"),
        })
    }));
    let mut command = offshoot(folder.path());
    let command = with_anthropic(&mut command, &server)
        .env("ONE", "1")
        .env("TWO", "2")
        .env("THREE", "3")
        .args(["run"])
        .args(flags);
    let output = command.arg("go").output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    let text = std::fs::read_to_string(folder.path().join("env")).unwrap_or_default();
    let watched = [
        "PATH",
        "ONE",
        "TWO",
        "THREE",
        "SET",
        "ALSO",
        "UNSET",
        "ANTHROPIC_API_KEY",
    ];
    let names = text.lines().filter_map(|line| line.split_once('='));
    let mut names: Vec<_> = names.map(|(name, _)| name.to_owned()).collect();
    // A shell sets some by itself.
    names.retain(|name| watched.contains(&name.as_str()));
    names.sort();
    names
}

#[test]
fn inv13_a_command_sees_only_variables_that_its_agent_and_all_above_it_have() {
    let all = [
        "ALSO",
        "ANTHROPIC_API_KEY",
        "ONE",
        "PATH",
        "SET",
        "THREE",
        "TWO",
    ];
    // The system's shell may find a `PATH` of its own where it is given none.
    let bare = |names: Vec<String>| -> Vec<String> {
        names.into_iter().filter(|name| name != "PATH").collect()
    };
    let rows: &[(&[&str], &[&str])] = &[
        (&[], &all),
        (&["general-purpose"], &all),
        (&["general-purpose"; 3], &all),
        (&["wide"], &["ONE", "PATH", "SET", "THREE"]),
        (&["thin"], &["SET", "THREE", "TWO"]),
        (&["wide", "thin"], &["SET", "THREE"]),
        (&["wide", "general-purpose", "thin"], &["SET", "THREE"]),
        (&["thin", "wide", "general-purpose"], &["SET", "THREE"]),
        (&["none"], &[]),
        (&["none", "wide", "thin"], &[]),
    ];
    for (way, expected) in rows {
        for ground in [Ground::Foreground, Ground::Background] {
            let seen = bare(seen_by_a_command(way, ground, &["--trust"]));
            let expected = bare(expected.iter().map(|name| (*name).to_owned()).collect());
            assert_eq!(seen, expected, "{way:?} {ground:?}");
        }
    }
}

/// A folder that nobody trusts sets nothing: not even a command of its own runs there.
#[test]
fn inv17_variables_of_an_untrusted_folder_are_not_set() {
    let seen = seen_by_a_command(&[], Ground::Foreground, &[]);
    assert!(seen.is_empty(), "{seen:?}");
}
