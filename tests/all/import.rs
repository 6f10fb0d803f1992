//! Logs that come from elsewhere: our own lines, and transcripts of Claude Code.
//! Refuses to believe them: what is broken is refused, mended or said to be left out.

use std::sync::Arc;

use futures::{StreamExt, stream};
use offshoot::{
    Agent, ErrorKind, Message, Outcome, Part, Result, Role, Session, SessionId, ToolOutput,
    store::{Foreign, MemoryStore, Step, Store, diff, export, import, is_export, read_kept},
    testing::{Answer, Scripted, check_history},
};

use crate::kit::{echo, outcomes, results, shared, work};

const PARALLEL: &str = include_str!("../data/claude/parallel.jsonl");
const COMPACTED: &str = include_str!("../data/claude/compacted.jsonl");

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn agent(answers: impl IntoIterator<Item = Answer>) -> Agent {
    let model = Scripted::new(answers);
    Agent::builder(model).tool(echo()).build().unwrap()
}

/// A session of one turn with a call.
async fn kept(store: &Arc<dyn Store>, last: &str) -> SessionId {
    let call = Answer::empty().call("echo", serde_json::json!({"text": "again"}));
    let agent = agent([call, Answer::text(last)]);
    let builder = Session::builder(agent).store_arc(store.clone());
    let mut session = builder.open().await.unwrap();
    session.submit_message("say it again").finish().await;
    let id = session.id().clone();
    session.close().await;
    id
}

async fn lines(store: &Arc<dyn Store>, id: &SessionId) -> Vec<String> {
    let lines: Vec<Result<String>> = export(store, id).collect().await;
    lines.into_iter().map(Result::unwrap).collect()
}

async fn take(lines: Vec<String>) -> (Arc<dyn Store>, Result<u64>) {
    let store = memory();
    let id = SessionId::new("copy");
    let lines = stream::iter(lines.into_iter().map(Ok)).boxed();
    let card = import(&store, &id, lines).await;
    (store, card.map(|card| card.records))
}

#[tokio::test]
async fn what_was_exported_comes_back_and_goes_on() {
    let store = memory();
    let id = kept(&store, "done").await;
    let sent = lines(&store, &id).await;
    assert!(is_export(&sent[0]) && !is_export(&sent[1]));
    let (there, records) = take(sent.clone()).await;
    assert_eq!(records.unwrap() as usize, sent.len() - 1);
    let copy = SessionId::new("copy");
    assert_eq!(lines(&there, &copy).await[1..], sent[1..]);
    let (old, new) = (
        store.card(&id).await.unwrap().unwrap(),
        there.card(&copy).await.unwrap(),
    );
    let new = new.unwrap();
    assert_eq!(
        (new.title, new.turns, new.usage),
        (old.title, old.turns, old.usage)
    );
    let builder = Session::builder(agent([Answer::text("more")])).store_arc(there);
    let mut session = builder.resume(copy).open().await.unwrap();
    assert!(!session.is_unfinished());
    let outcome = session.submit_message("go on").finish().await;
    assert_eq!(outcome.text, "more");
    check_history(&session.history()).unwrap();
}

#[tokio::test]
async fn an_export_with_one_thing_wrong_leaves_nothing() {
    let store = memory();
    let id = kept(&store, "done").await;
    let sent = lines(&store, &id).await;
    let mut wrong: Vec<(&str, Vec<String>)> = Vec::new();
    let mut changed = sent.clone();
    let at = changed
        .iter()
        .rposition(|line| line.contains("say it again"))
        .unwrap();
    changed[at] = changed[at].replace("say it again", "say it never");
    wrong.push(("a word changed", changed));
    let mut missing = sent.clone();
    missing.remove(2);
    wrong.push(("a line missing", missing));
    wrong.push(("the end missing", sent[..sent.len() - 1].to_vec()));
    let mut swapped = sent.clone();
    swapped.swap(2, 3);
    wrong.push(("lines swapped", swapped));
    let mut torn = sent.clone();
    let half = torn[3].len() / 2;
    torn[3].truncate(half);
    wrong.push(("a line torn", torn));
    let mut told = sent.clone();
    let at = told
        .iter()
        .position(|line| line.contains("\"told\":true"))
        .unwrap();
    told[at] = told[at].replace("\"told\":true,", "");
    wrong.push(("a mark lost", told));
    wrong.push(("no head", sent[1..].to_vec()));
    wrong.push(("nothing", Vec::new()));
    for (what, lines) in wrong {
        let (there, taken) = take(lines).await;
        let error = taken.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
        assert!(error.to_string().contains("line"), "{what}: {error}");
        assert_eq!(there.list().await.unwrap(), [], "{what}");
    }
    let mut newer = sent.clone();
    newer[0] = newer[0].replace("\"offshoot_export\":1", "\"offshoot_export\":2");
    let (_, taken) = take(newer).await;
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::TooNew);
}

#[tokio::test]
async fn line_ends_inside_of_arguments_stay_on_one_line() {
    let store = memory();
    let call = Answer::empty().call_text("echo", "{\n  \"text\": \"again\"\r\n}");
    let agent = agent([call, Answer::text("done")]);
    let builder = Session::builder(agent).store_arc(store.clone());
    let mut session = builder.open().await.unwrap();
    session.submit_message("go").finish().await;
    session.close().await;
    let id = store.list().await.unwrap()[0].id.clone();
    let sent = lines(&store, &id).await;
    assert!(sent.iter().all(|line| !line.contains(['\n', '\r'])));
    let (there, records) = take(sent.clone()).await;
    assert_eq!(records.unwrap() as usize, sent.len() - 1);
    assert_eq!(lines(&there, &SessionId::new("copy")).await[1..], sent[1..]);
}

#[tokio::test]
async fn a_large_result_that_is_kept_apart_comes_along() {
    let store = memory();
    let story: String = (0..200_000).map(|n| format!("line {n}\n")).collect();
    let whole = story.clone();
    let tell = work(shared("tell"), move |_, _| {
        let story = story.clone();
        async move { ToolOutput::from(story) }
    });
    let model = Scripted::new([
        Answer::empty().call("tell", serde_json::json!({})),
        Answer::text("done"),
    ]);
    let agent = Agent::builder(model).tool(tell).build().unwrap();
    let builder = Session::builder(agent).store_arc(store.clone());
    let mut session = builder.open().await.unwrap();
    session.submit_message("go").finish().await;
    let told = results(&session.history()).remove(0).2;
    session.close().await;
    let name = told.split("kept as `").nth(1).unwrap();
    let name = name.split('`').next().unwrap();
    let id = store.list().await.unwrap()[0].id.clone();
    let (there, records) = take(lines(&store, &id).await).await;
    records.unwrap();
    let (bytes, _) = read_kept(&there, name, 0, usize::MAX).await.unwrap();
    assert!(bytes == whole.as_bytes(), "every byte is there");
}

#[tokio::test]
async fn two_runs_differ_where_they_say_or_do_another_thing() {
    let store = memory();
    let (one, same) = (kept(&store, "done").await, kept(&store, "done").await);
    let other = kept(&store, "over").await;
    let nothing = diff(&store, &one, &same).await.unwrap();
    assert!(nothing.is_none() && nothing.steps.is_empty(), "{nothing:?}");
    let found = diff(&store, &one, &other).await.unwrap();
    assert!(!found.is_none());
    let sides: Vec<_> = found
        .steps
        .iter()
        .map(|step| match step {
            Step::Both(_) => "both",
            Step::Left(..) => "left",
            Step::Right(..) => "right",
            _ => "new",
        })
        .collect();
    assert_eq!(sides, ["left", "right", "both"], "{found:?}");
    assert_eq!(found.common + 2, found.left.records);
}

#[test]
fn the_newest_branch_of_a_transcript_is_read_whole() {
    let read = Foreign::from_claude(PARALLEL.lines());
    let roles: Vec<_> = read.messages.iter().map(|message| message.role).collect();
    use Role::{Assistant as A, Tool as T, User as U};
    assert_eq!(roles, [U, A, T, A, U, A]);
    check_history(&read.messages).unwrap();
    // One message from four lines, its reasoning first and with its signature.
    let parts = &read.messages[1].parts;
    assert_eq!(parts.len(), 4, "{parts:?}");
    match &parts[0] {
        Part::Reasoning { text, seal } => {
            assert_eq!(text, "Two files; read both.");
            let seal = seal.as_ref().unwrap();
            assert_eq!(
                (&*seal.vendor, &*seal.value),
                ("anthropic", "EqQBCkYIAxgCKkD+sig==")
            );
        }
        other => panic!("{other:?}"),
    }
    // The result that hangs beside the row of parents is there, and in the order of the calls.
    let told = results(&read.messages);
    let row = |call: &str, outcome, text: &str| (call.to_owned(), outcome, text.to_owned());
    assert_eq!(
        told,
        [
            row("toolu_01", Outcome::Ok, "     1→hello"),
            row("toolu_02", Outcome::Failed, "File does not exist."),
        ]
    );
    let hidden = r#"{"type":"redacted_thinking","data":"EmwKAhgBEgy="}"#;
    assert!(
        matches!(&read.messages[3].parts[0], Part::Opaque { json, .. } if json.as_str() == hidden)
    );
    assert!(matches!(&read.messages[4].parts[1], Part::Media(media) if media.is_image()));
    assert_eq!(read.messages[5].text(), "One pixel.");
    assert_eq!(read.title, "Two small files");
    assert_eq!(read.model, "anthropic/claude-sonnet-4-5-20250929");
    assert_eq!(read.folder.as_deref(), Some("/home/kim/kite"));
    let left = read.left_out;
    assert_eq!((left.torn, left.other, left.helpers), (1, 2, 2), "{left}");
    assert_eq!(
        (left.elsewhere, left.synthetic, left.parts),
        (3, 0, 0),
        "{left}"
    );
}

#[test]
fn a_transcript_begins_at_its_last_summary_and_lost_lines_break_nothing() {
    let read = Foreign::from_claude(COMPACTED.lines());
    let texts: Vec<_> = read.messages.iter().map(Message::text).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(
        texts[0].starts_with("This session is being continued"),
        "{texts:?}"
    );
    assert_eq!(texts[1], "Now one of the hills.");
    assert_eq!(read.title, "Poems");
    assert_eq!(read.left_out.elsewhere, 3);
}

#[tokio::test]
async fn a_transcript_becomes_a_session_that_vendors_accept() {
    let store = memory();
    let id = SessionId::new("adopted");
    let read = Foreign::from_claude(COMPACTED.lines());
    let repairs = Session::adopt(&store, &id, read).await.unwrap();
    assert_eq!(repairs.len(), 1, "its last call has no result: {repairs:?}");
    let card = store.card(&id).await.unwrap().unwrap();
    assert_eq!((card.title.as_str(), card.usage.total()), ("Poems", 0));
    let builder = Session::builder(agent([Answer::text("Hills.")])).store_arc(store.clone());
    let mut session = builder.resume(id.clone()).open().await.unwrap();
    assert!(!session.is_unfinished(), "nothing of it runs again");
    assert_eq!(outcomes(&session.history()), [Outcome::Interrupted]);
    let outcome = session.submit_message("so?").finish().await;
    assert_eq!(outcome.text, "Hills.");
    check_history(&session.history()).unwrap();
    session.close().await;
    let taken = Foreign::from_claude(PARALLEL.lines());
    let error = Session::adopt(&store, &id, taken).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[test]
fn whatever_is_cut_off_or_mixed_up_a_transcript_is_read() {
    let whole: Vec<_> = PARALLEL.lines().chain(COMPACTED.lines()).collect();
    let mut dice = crate::kit::Dice(7);
    for round in 0..crate::kit::size(300, 10_000) {
        let mut lines: Vec<String> = whole.iter().map(|line| (*line).to_owned()).collect();
        for _ in 0..dice.below(6) {
            let at = dice.below(lines.len() as u64) as usize;
            match dice.below(4) {
                0 => drop(lines.remove(at)),
                1 => lines.swap(at, 0),
                2 => {
                    let end = dice.below(lines[at].len() as u64 + 1) as usize;
                    let end = (0..=end).rev().find(|end| lines[at].is_char_boundary(*end));
                    lines[at].truncate(end.unwrap());
                }
                _ => {
                    let again = lines[at].clone();
                    lines.push(again);
                }
            }
        }
        let read = Foreign::from_claude(&lines);
        let (transcript, _) = offshoot::Transcript::load(read.messages);
        let messages: Vec<_> = transcript.messages().cloned().collect();
        if transcript.open_calls().is_empty() {
            check_history(&messages).unwrap_or_else(|wrong| panic!("round {round}: {wrong}"));
        }
    }
}
