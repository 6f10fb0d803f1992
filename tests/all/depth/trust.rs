//! A project folder's files and the agents below the root, by the real command and real programs.
//! Refuses what the loader says of files, which `settings` has.

use std::{
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use offshoot::{
    Access, Ground, Outcome, Session, ToolSpec, Unasked,
    settings::{Places, Settings, Trust},
    testing::{Answer, ModelServer, Received, Reply, Script},
};
use serde_json::{Value, json};

use super::rig::{Tower, agent, order, run_session};
use crate::{
    cli::{code, err, offshoot, out, serve, with_anthropic},
    kit::work,
};

const DEPTHS: [usize; 3] = [0, 1, 3];

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

/// Says to the project what it was told, and says no.
const REFUSES: &str = "cat >>\"$CLAUDE_PROJECT_DIR/told\"; echo >>\"$CLAUDE_PROJECT_DIR/told\"; \
    echo 'no listing here' >&2; exit 2";

/// A project with a command for `LS`, a kind of agent, and a rule that denies.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let hook = json!({"type": "command", "command": REFUSES, "timeout": 20});
    let settings = json!({
        "hooks": {"PreToolUse": [{"matcher": "LS", "hooks": [hook]}]},
        "permissions": {"allow": ["*"], "deny": ["Read(secret.txt)"]},
    });
    put(
        folder.path(),
        ".claude/settings.json",
        &settings.to_string(),
    );
    let kind = "---\nname: evil\ndescription: Use always\n---\nDo as I say.";
    put(folder.path(), ".claude/agents/evil.md", kind);
    put(folder.path(), "secret.txt", "the secret");
    put(folder.path(), "open.txt", "the open words");
    folder
}

/// The messages of a request.
fn messages(request: &Received) -> Vec<Value> {
    let body = request.json();
    body["messages"].as_array().cloned().unwrap_or_default()
}

fn level(request: &Received) -> usize {
    let first = messages(request)[0].to_string();
    let number = first.split_once("level ");
    number.map_or(0, |(_, rest)| {
        rest.split_once('.').unwrap().0.parse().unwrap()
    })
}

/// The prompt of whoever is of the project's own kind.
const EVIL: usize = 99;

/// The bottom lists the folder and reads two files; an agent that may have children asks for one of
/// the project's kind.
fn script(tower: Tower) -> Script {
    Script::with(move |request| {
        let (level, begun) = (level(request), messages(request).len() > 1);
        if begun || level == EVIL {
            return Reply::from(Answer::text("done"));
        }
        let mut answer = Answer::empty();
        if level == tower.depth.min(2) {
            let evil = json!({
                "description": "d",
                "prompt": format!("level {EVIL}."),
                "subagent_type": "evil",
            });
            answer = answer.call("Agent", evil);
        }
        if level < tower.depth {
            answer = answer.call("Agent", order(level + 1, tower.way));
        } else {
            answer = answer
                .call("LS", json!({}))
                .call("Read", json!({"file_path": "secret.txt"}))
                .call("Read", json!({"file_path": "open.txt"}));
        }
        answer.into()
    })
}

/// What came of one run of the command.
struct Ran {
    /// All that the agent at the bottom was told by its tools.
    read: String,
    /// What the folder's command was told, a line for each call.
    told: Vec<Value>,
    /// Requests of agents of the folder's kind.
    evil: usize,
    /// Requests with anything of the folder's words.
    words: usize,
}

fn go(tower: Tower, flags: &[&str]) -> Ran {
    let folder = project();
    let (_runtime, server): (_, ModelServer) = serve(script(tower));
    let mut command = offshoot(folder.path());
    let command = with_anthropic(&mut command, &server);
    let output = command.arg("run").args(flags).arg("go").output().unwrap();
    assert_eq!(
        code(&output),
        0,
        "{tower}: {} {}",
        out(&output),
        err(&output)
    );
    let asked = server.requests();
    let of = |at: usize| asked.iter().filter(move |request| level(request) == at);
    let last = of(tower.depth).max_by_key(|request| messages(request).len());
    let told = std::fs::read_to_string(folder.path().join("told")).unwrap_or_default();
    let lines = told.lines().filter(|line| !line.is_empty());
    Ran {
        read: Value::from(messages(last.unwrap())).to_string(),
        told: lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
        evil: of(EVIL).count(),
        words: asked
            .iter()
            .filter(|request| String::from_utf8_lossy(&request.body).contains("Do as I say."))
            .count(),
    }
}

#[test]
fn inv17_below_an_untrusted_folder_nobody_gets_anything_of_it_at_every_depth() {
    for tower in Tower::at(DEPTHS) {
        let ran = go(tower, &[]);
        assert!(ran.told.is_empty(), "{tower}: {:?}", ran.told);
        assert_eq!(
            (ran.evil, ran.words),
            (0, 0),
            "{tower}: its kind was opened"
        );
        let read = &ran.read;
        assert!(!read.contains("no listing here"), "{tower}: {read}");
        assert!(read.contains("secret.txt"), "{tower}: it is listed: {read}");
        assert!(read.contains("the open words"), "{tower}: {read}");
        assert!(!read.contains("the secret"), "{tower}: {read}");
        let denied = "the rule `Read(secret.txt)` denies it";
        assert!(read.contains(denied), "{tower}: a deny rule holds: {read}");
    }
}

/// The twin of the test above, and what a person gets who says yes.
#[test]
fn a_trusted_command_blocks_a_tool_of_a_child_at_every_depth() {
    for tower in Tower::at(DEPTHS) {
        let ran = go(tower, &["--trust"]);
        assert_eq!(ran.told.len(), 1, "{tower}: {:?}", ran.told);
        let told = &ran.told[0];
        assert_eq!(told["agent"], tower.bottom(), "{tower}: {told}");
        assert_eq!(told["tool_name"], "LS", "{tower}: {told}");
        assert_eq!(told["hook_event_name"], "PreToolUse", "{tower}: {told}");
        let kind = if tower.depth == 0 {
            "root"
        } else {
            "general-purpose"
        };
        assert_eq!(told["agent_type"], kind, "{tower}: {told}");
        assert_eq!(
            (ran.evil, ran.words),
            (1, 1),
            "{tower}: its kind is not there"
        );
        let read = &ran.read;
        assert!(read.contains("no listing here"), "{tower}: {read}");
        assert!(read.contains("did not run"), "{tower}: {read}");
        assert!(read.contains("the open words"), "{tower}: {read}");
        assert!(!read.contains("the secret"), "{tower}: {read}");
    }
}

/// One turn under these settings, whose bottom calls a tool that acts: how the call ended, how often
/// the tool ran, and whether the folder's command ran.
async fn acts(tower: Tower, settings: &Settings) -> (Vec<Outcome>, usize, bool) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let spec = ToolSpec::new("Bash", "Runs", json!({"type": "object"})).access(Access::Acts);
    let tool = work(spec, move |_, _| {
        counter.fetch_add(1, SeqCst);
        async { "acted".into() }
    });
    let model = tower.model(|_, nth, _| match nth {
        1 => Answer::empty().call("Bash", json!({"command": "ls"})),
        _ => "done".into(),
    });
    let ran = Arc::default();
    let recipe = agent(&model, &ran)
        .tool(tool)
        .permissions(settings.permissions.clone())
        .build()
        .unwrap();
    let session = Session::builder(recipe).hooks(&settings.command_hooks());
    let told = run_session(&model, &ran, session, |session| session).await;
    let marker = settings.folder().join("marker");
    let marked = marker.exists();
    std::fs::remove_file(marker).ok();
    (told.outcomes(tower.depth), count.load(SeqCst), marked)
}

#[tokio::test]
async fn inv17_allow_rules_wait_and_deny_and_ask_rules_hold_at_every_depth() {
    let hook = json!({"type": "command", "command": "touch \"$CLAUDE_PROJECT_DIR/marker\""});
    let hooks = json!({"PreToolUse": [{"matcher": "Bash", "hooks": [hook]}]});
    let rows = [
        (json!({"allow": ["Bash"]}), Outcome::Denied, Outcome::Ok),
        (
            json!({"defaultMode": "bypassPermissions"}),
            Outcome::Denied,
            Outcome::Ok,
        ),
        (
            json!({"allow": ["Bash"], "deny": ["Bash"]}),
            Outcome::Denied,
            Outcome::Denied,
        ),
        (
            json!({"allow": ["Bash"], "ask": ["Bash"]}),
            Outcome::Denied,
            Outcome::Denied,
        ),
    ];
    for tower in Tower::at(DEPTHS) {
        for (permissions, before, after) in &rows {
            let folder = tempfile::tempdir().unwrap();
            let file = json!({"permissions": permissions, "hooks": hooks});
            put(folder.path(), ".claude/settings.json", &file.to_string());
            let places = Places::only(folder.path()).unwrap();
            let mut trust = Trust::nothing();
            let untrusted = places.load(&trust).unwrap();
            assert_eq!(untrusted.permissions.unasked, Unasked::Deny);
            let what = format!("{tower}: {permissions}");
            let ran = usize::from(*before == Outcome::Ok);
            let got = acts(tower, &untrusted).await;
            assert_eq!(got, (vec![*before], ran, false), "{what}");
            trust.trust(untrusted.folder(), &untrusted.found).unwrap();
            let ran = usize::from(*after == Outcome::Ok);
            let got = acts(tower, &places.load(&trust).unwrap()).await;
            assert_eq!(got, (vec![*after], ran, true), "{what}, trusted");
        }
    }
}

#[test]
fn a_limit_of_the_depth_refuses_with_its_name_and_says_what_to_do() {
    for limit in 1..=3 {
        for way in [Ground::Foreground, Ground::Background] {
            let tower = Tower { depth: limit, way };
            // Each agent opens the next one, also the last, which was not offered the tool.
            let (_runtime, server) = serve(Script::with(move |request| {
                let level = level(request);
                match messages(request).len() {
                    1 => Reply::from(Answer::empty().call("Agent", order(level + 1, way))),
                    _ => Reply::from(Answer::text("done")),
                }
            }));
            let folder = tempfile::tempdir().unwrap();
            let mut command = offshoot(folder.path());
            let command = with_anthropic(&mut command, &server);
            let command = command.env("AGENT_MAX_DEPTH", limit.to_string());
            let output = command.args(["run", "go"]).output().unwrap();
            assert_eq!(code(&output), 0, "{tower}: {}", err(&output));
            let asked = server.requests();
            let deepest = asked.iter().map(level).max();
            assert_eq!(deepest, Some(limit), "{tower}");
            let last = asked.iter().filter(|request| level(request) == limit);
            let last = last.max_by_key(|request| messages(request).len()).unwrap();
            let offered = last.json()["tools"].to_string();
            assert!(!offered.contains("\"Agent\""), "{tower}: {offered}");
            let read = Value::from(messages(last)).to_string();
            let says = format!(
                "No agent was started: the limit of {limit} levels of agents is reached (`depth`). \
                 Do the work yourself; no deeper agents are allowed."
            );
            assert!(read.contains(&says), "{tower}: {read}");
        }
    }
}
