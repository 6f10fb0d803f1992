//! Every rule against hand-made histories, and whole surveys of real folders through a small loop.
//! Refuses canned truths: each figure of an answer is counted again from the folder itself.

mod agents;
mod crew;
mod fake;
mod folder;
mod interrupted;
mod parts;
mod phrases;
mod shapes;

use std::time::{Duration, Instant};

use futures::StreamExt;
use serde_json::{Value, json};

use self::folder::{Folder, check};
use super::*;
use crate::{
    ErrorKind, Outcome, Part, ToolCall, ToolResult, Usage,
    provider::{Delivery, Delta, Options},
    spec::ToolSpec,
};

/// A conversation with the offline model and a way to run tools.
struct Talk {
    history: Vec<Kept<Message>>,
    tools: Kept<Vec<ToolSpec>>,
    options: Options,
    system: String,
}

/// What one answer of the model was.
struct Heard {
    text: String,
    calls: Vec<ToolCall>,
    stop: Stop,
    usage: Usage,
    pieces: usize,
}

impl Talk {
    fn new() -> Self {
        Self {
            history: Vec::new(),
            tools: Kept::new(tools()),
            options: Options::default(),
            system: String::new(),
        }
    }

    async fn hear(&self) -> Heard {
        let request = Request {
            system: &self.system,
            tools: &self.tools,
            history: (&self.history).into(),
            options: &self.options,
        };
        let model = Offline::new().with_pause(Duration::ZERO);
        let mut deltas = model.stream(&request, &Scope::root()).unwrap();
        let mut heard = Heard {
            text: String::new(),
            calls: Vec::new(),
            stop: Stop::Unknown,
            usage: Usage::default(),
            pieces: 0,
        };
        let mut open: Vec<(CallParts, String)> = Vec::new();
        while let Some(delta) = deltas.next().await {
            assert_eq!(heard.stop, Stop::Unknown, "nothing follows the stop");
            match delta.unwrap() {
                Delta::Text { text, .. } => {
                    heard.pieces += 1;
                    heard.text.push_str(&text);
                }
                Delta::Call { part, id, name } => {
                    open.push(((part, id.unwrap(), name), String::new()))
                }
                Delta::Arguments { part, json } => {
                    let call = open.iter_mut().find(|((p, _, _), _)| *p == part).unwrap();
                    call.1.push_str(&json);
                }
                Delta::Usage(usage) => heard.usage = usage,
                Delta::Stop { stop, .. } => heard.stop = stop,
                _ => {}
            }
        }
        let calls = open
            .into_iter()
            .map(|((_, id, name), json)| ToolCall::new(id, name, json));
        heard.calls = calls.collect();
        assert!(heard.calls.iter().all(|call| call.malformed.is_none()));
        heard
    }

    /// Asks, runs tools until the model is done, and gives back its last answer.
    async fn ask(
        &mut self,
        prompt: &str,
        mut run: impl FnMut(&ToolCall) -> (Outcome, String),
    ) -> Heard {
        self.history.push(Kept::new(Message::user(prompt)));
        for _ in 0..20 {
            let heard = self.hear().await;
            let mut parts = vec![Part::text(heard.text.clone())];
            parts.extend(heard.calls.iter().cloned().map(Part::Call));
            self.history.push(Kept::new(Message {
                role: Role::Assistant,
                parts,
            }));
            if heard.calls.is_empty() {
                return heard;
            }
            let results = heard.calls.iter().map(|call| {
                let (outcome, text) = run(call);
                ToolResult::text(call, outcome, text)
            });
            self.history
                .push(Kept::new(Message::results(results.collect())));
        }
        panic!("it goes on calling tools: {prompt}");
    }

    /// The calls of the whole conversation.
    fn calls(&self) -> Vec<String> {
        let calls = self
            .history
            .iter()
            .flat_map(|message| message.get().calls().cloned().collect::<Vec<_>>());
        calls
            .map(|call| format!("{} {}", call.name, call.input.as_str()))
            .collect()
    }
}

type CallParts = (u32, crate::CallId, String);

/// The tools' names and arguments as agents offer them.
fn tools() -> Vec<ToolSpec> {
    let tool = |name: &'static str, arguments: &[&str]| {
        let properties = arguments.iter().map(|a| ((*a).to_owned(), json!({})));
        let properties = properties.collect::<serde_json::Map<_, _>>();
        ToolSpec::new(
            name,
            name,
            json!({ "type": "object", "properties": properties }),
        )
        .reads()
    };
    vec![
        tool("Glob", &["pattern", "path"]),
        tool(
            "Grep",
            &["pattern", "path", "glob", "output_mode", "head_limit"],
        ),
        tool("LS", &["path"]),
        tool("Read", &["file_path", "offset", "limit"]),
    ]
}

#[tokio::test]
async fn twenty_random_folders_are_surveyed_and_every_figure_is_true() {
    for seed in 0..20 {
        let folder = Folder::random(seed);
        let mut talk = Talk::new();
        let heard = talk
            .ask("Survey this folder and tell me what it is", |call| {
                folder.run(call)
            })
            .await;
        let truth = folder.truth();
        let checked = check(&heard.text, &truth);
        assert!(
            checked >= 4,
            "seed {seed}: only {checked} figures\n{}",
            heard.text
        );
        for must in [
            truth.sentence(),
            format!("I count {} in", folder::units(truth.lines, "line")),
        ] {
            assert!(
                heard.text.contains(&must),
                "seed {seed}: no `{must}` in\n{}",
                heard.text
            );
        }
        // A follow-up is answered from what was already read.
        let before = talk.calls().len();
        let more = talk
            .ask("and how many lines?", |call| folder.run(call))
            .await;
        check(&more.text, &truth);
        assert!(
            more.text.contains(&folder::units(truth.lines, "line")),
            "{}",
            more.text
        );
        assert_eq!(talk.calls().len(), before, "nothing had to be asked again");
    }
}

#[tokio::test]
async fn the_checker_catches_a_wrong_figure() {
    let folder = Folder::random(3);
    let mut talk = Talk::new();
    let heard = talk
        .ask("Survey this folder", |call| folder.run(call))
        .await;
    let truth = folder.truth();
    let right = folder::units(truth.files, "file");
    let wrong = heard
        .text
        .replacen(&right, &folder::units(truth.files + 1, "file"), 1);
    assert_ne!(heard.text, wrong);
    assert!(std::panic::catch_unwind(|| check(&wrong, &truth)).is_err());
}

#[tokio::test]
async fn a_rust_package_is_recognised_in_three_answers() {
    let folder = Folder::empty();
    folder.write("Cargo.toml", "[package]\nname = \"tide\"\ndescription = \"Counts waves\"\n[dependencies]\nname = \"no\"\n");
    folder.write(
        "README.md",
        "# Tide\n\n[![badge](x)](y)\n\nWatches the sea,\nwave by wave.\n",
    );
    folder.write("src/main.rs", "fn main() {\n}\n");
    let mut talk = Talk::new();
    let heard = talk
        .ask("Survey this folder and tell me what it is", |call| {
            folder.run(call)
        })
        .await;
    check(&heard.text, &folder.truth());
    for part in [
        "This folder looks like a Rust package named “tide”: it has a `Cargo.toml`.",
        "Its `Cargo.toml` says: “Counts waves” Its `README.md` says: “Watches the sea, wave by wave.”",
        "It holds 3 files in 1 folder,",
        "- `.rs`: 1 file",
        "`src/`",
    ] {
        assert!(heard.text.contains(part), "no {part} in\n{}", heard.text);
    }
    assert_eq!(
        talk.calls(),
        [
            r#"LS {"path":"."}"#,
            r#"Glob {"pattern":"**/*"}"#,
            r#"Grep {"output_mode":"count","pattern":"^"}"#,
            r#"Read {"file_path":"README.md","limit":120}"#,
            r#"Read {"file_path":"Cargo.toml","limit":120}"#,
        ]
    );
    let says = talk.history[1].get().text();
    assert!(
        says.contains("I will survey this folder"),
        "it plans first: {says}"
    );
    let ids = talk
        .history
        .iter()
        .flat_map(|m| m.get().calls().map(|c| c.id.clone()).collect::<Vec<_>>());
    let ids = ids.collect::<Vec<_>>();
    assert_eq!(
        ids.iter().collect::<std::collections::HashSet<_>>().len(),
        ids.len()
    );
}

#[tokio::test]
async fn an_empty_folder_is_called_empty() {
    let folder = Folder::empty();
    let mut talk = Talk::new();
    let heard = talk
        .ask("what is this folder?", |call| folder.run(call))
        .await;
    assert_eq!(heard.text, "This folder is empty: 0 files and 0 folders.");
    folder.folder("only/folders");
    let heard = Talk::new()
        .ask("what is this folder?", |call| folder.run(call))
        .await;
    assert!(
        heard
            .text
            .starts_with("This folder holds no files, only 2 folders."),
        "{}",
        heard.text
    );
}

#[tokio::test]
async fn other_questions_about_a_real_folder() {
    let folder = Folder::empty();
    folder.write("src/lib.rs", "// TODO one\nfn a() {}\n");
    folder.write("src/b.rs", "// TODO two\n");
    folder.write("notes/`odd`.txt", "x\n");
    for (prompt, expected) in [
        (
            "How many rust files are there?",
            "This folder holds 2 files ending in `.rs`.",
        ),
        (
            "how many lines are in src",
            "I count 3 lines in 2 files of text.",
        ),
        ("How many folders?", "This folder holds 2 folders."),
        ("search for \"TODO\"", "2 matches of `TODO` in 2 files."),
        (
            "search for \"NEVER\"",
            "Nothing in this folder matches `NEVER`.",
        ),
        ("find files matching *.rs", "2 files match `**/*.rs`:"),
        (
            "find files called nothing.xyz",
            "No file matches `**/nothing.xyz`.",
        ),
        ("show src/b.rs", "`src/b.rs`:\n\n```\n// TODO two\n```"),
        ("show lib.rs", "`src/lib.rs`:"),
        (
            "show lines 2 to 2 of src/lib.rs",
            "`src/lib.rs`:\n\n```\nfn a() {}\n```",
        ),
        ("list the files in notes", "- `` `odd`.txt `` (2 bytes)"),
        (
            "which are the largest files?",
            "Largest files: `src/lib.rs` (22 bytes)",
        ),
        ("how big is it?", "It holds 3 files in 2 folders, 36 bytes."),
        (
            "what kinds of files are there?",
            "- `.rs`: 2 files\n- `.txt`: 1 file",
        ),
    ] {
        let heard = Talk::new().ask(prompt, |call| folder.run(call)).await;
        assert!(
            heard.text.contains(expected),
            "{prompt}: no {expected} in\n{}",
            heard.text
        );
        assert_eq!(heard.stop, Stop::Done);
    }
}

#[tokio::test]
async fn errors_are_told_and_never_repeated() {
    let fails = |call: &ToolCall| {
        (
            Outcome::Failed,
            format!("no such folder: `{}`\nmore", call.input.as_str().len()),
        )
    };
    let mut talk = Talk::new();
    let heard = talk.ask("survey `nowhere`", fails).await;
    assert!(
        heard.text.starts_with("I could not find that out."),
        "{}",
        heard.text
    );
    assert!(
        heard.text.contains("`LS` failed: “no such folder:"),
        "{}",
        heard.text
    );
    assert_eq!(talk.calls().len(), 3, "each question once");

    // One tool that fails does not spoil what the others say.
    let folder = Folder::empty();
    folder.write("a.txt", "x\n");
    let denied = |call: &ToolCall| match call.name.as_str() {
        "Grep" => (Outcome::Denied, "by a rule".to_owned()),
        _ => folder.run(call),
    };
    let heard = Talk::new().ask("survey this folder", denied).await;
    assert!(
        heard
            .text
            .contains("It holds 1 file in 0 folders, 2 bytes."),
        "{}",
        heard.text
    );
    assert!(
        heard.text.contains("`Grep` was not allowed: “by a rule”"),
        "{}",
        heard.text
    );
    assert!(!heard.text.contains("I count"), "{}", heard.text);
    // Results that are nonsense yield no figures at all.
    let heard = Talk::new()
        .ask("survey this folder", |_| (Outcome::Ok, "?".into()))
        .await;
    assert!(
        !heard.text.chars().any(|c| c.is_ascii_digit()),
        "{}",
        heard.text
    );
}

#[tokio::test]
async fn missing_tools_are_named() {
    let folder = Folder::empty();
    folder.write("a.txt", "x\n");
    let mut talk = Talk::new();
    talk.tools = Kept::new(Vec::new());
    let heard = talk.ask("survey this folder", |_| unreachable!()).await;
    assert!(
        heard.text.contains("`LS`, `Glob`, `Grep`"),
        "{}",
        heard.text
    );
    let mut some = Talk::new();
    some.tools = Kept::new(tools().into_iter().filter(|t| t.name != "Grep").collect());
    let heard = some
        .ask("survey this folder", |call| folder.run(call))
        .await;
    assert!(
        heard.text.contains("does not offer `Grep`"),
        "{}",
        heard.text
    );
    assert!(heard.text.contains("It holds 1 file"), "{}", heard.text);
    // A tool of that name with other arguments is another tool.
    let mut other = Talk::new();
    let odd = json!({ "type": "object", "properties": { "url": {} } });
    other.tools = Kept::new(vec![ToolSpec::new("Read", "", odd)]);
    let heard = other.ask("show a.txt", |_| unreachable!()).await;
    assert!(heard.text.contains("needs: `Read`"), "{}", heard.text);
}

#[tokio::test]
async fn what_it_does_not_understand_it_says() {
    for prompt in [
        "Write me a poem about the sea",
        "hello",
        "",
        "What is the capital of France?",
    ] {
        let heard = Talk::new().ask(prompt, |_| unreachable!("{prompt}")).await;
        for part in [
            "I am the offline model",
            "ANTHROPIC_API_KEY",
            "OPENAI_API_KEY",
            "GEMINI_API_KEY",
            "Ollama",
            "Survey this folder",
        ] {
            assert!(heard.text.contains(part), "{prompt}: {}", heard.text);
        }
        assert_eq!(heard.stop, Stop::Done);
    }
    let folder = Folder::empty();
    folder.write("a.txt", "x\n");
    let heard = Talk::new()
        .ask("Survey this folder and fix the bugs", |call| {
            folder.run(call)
        })
        .await;
    assert!(
        heard
            .text
            .contains("I left out the part that begins with `fix`"),
        "{}",
        heard.text
    );
}

/// A schema with these properties, all of them required.
fn schema(properties: Value) -> Value {
    let names = properties
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect::<Vec<_>>();
    json!({ "type": "object", "properties": properties, "required": names, "additionalProperties": false })
}
