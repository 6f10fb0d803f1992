//! Large results: cut for the model, whole in the store, read on by name.
//! Refuses memory in proportion to the output.

use std::sync::Arc;

use offshoot::{
    Agent, Session, Tool, ToolOutput,
    store::{Store, read_kept},
    testing::{Answer, Scripted},
};
use serde_json::json;

use super::world::memory;
use crate::kit::{shared, work};

/// Lines of which each is different.
fn line(n: usize) -> String {
    format!("line {n} of a long story\n")
}

/// How a tool says much.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    AsItGoes,
    AtTheEnd,
}

fn writer(lines: usize, way: Way) -> Arc<dyn Tool> {
    work(shared("tell"), move |ctx, _| async move {
        let lines = (0..lines).map(line);
        if way == Way::AsItGoes {
            lines.for_each(|line| ctx.output().write(line));
            return ToolOutput::written();
        }
        ToolOutput::from(lines.collect::<String>())
    })
}

/// What the model read of one call of the tool.
async fn told(tool: Arc<dyn Tool>, store: Option<&Arc<dyn Store>>) -> String {
    let script = Scripted::new([
        Answer::empty().call("tell", json!({})),
        Answer::text("done"),
    ]);
    let agent = Agent::builder(script).tool(tool).build().unwrap();
    let mut session = Session::builder(agent);
    if let Some(store) = store {
        session = session.store_arc(store.clone());
    }
    let mut session = session.open().await.unwrap();
    session.submit_message("tell").finish().await;
    session.history()[2]
        .tool_results()
        .next()
        .unwrap()
        .joined_text()
}

fn name(text: &str) -> &str {
    let after = text.split("kept as `").nth(1).unwrap();
    after.split('`').next().unwrap()
}

#[tokio::test]
async fn a_large_result_is_kept_whole_and_named() {
    for (lines, way) in [
        (10_000, Way::AsItGoes),
        (10_000, Way::AtTheEnd),
        (200_000, Way::AsItGoes),
    ] {
        let store = memory();
        let text = told(writer(lines, way), Some(&store)).await;
        assert!(text.len() < 101_000, "{}", text.len());
        let whole: String = (0..lines).map(line).collect();
        let name = name(&text);
        assert!(text.contains("; the whole is kept as"), "{name}");
        let (bytes, total) = read_kept(&store, name, 0, usize::MAX).await.unwrap();
        assert_eq!(total, whole.len() as u64);
        assert!(bytes == whole.as_bytes(), "every byte is there");
    }
}

#[tokio::test]
async fn the_model_reads_on_where_the_middle_was_left_out() {
    let offset = 500_000;
    let script = Scripted::with(move |seen| match seen.messages.len() {
        1 => Answer::empty().call("tell", json!({})),
        3 => {
            let result = seen.messages[2].tool_results().next().unwrap();
            let text = result.joined_text();
            let input = json!({"name": name(&text), "offset": offset, "limit": 50});
            Answer::empty().call("KeptOutput", input)
        }
        5 => Answer::empty().call("KeptOutput", json!({"name": "../../secret"})),
        _ => Answer::text("done"),
    });
    let agent = Agent::builder(script)
        .tool(writer(50_000, Way::AsItGoes))
        .tool(offshoot::tools::kept_output());
    let session = Session::builder(agent.build().unwrap()).store_arc(memory());
    let mut session = session.open().await.unwrap();
    session.submit_message("tell").finish().await;
    let read = |at: usize| session.history()[at].tool_results().next().unwrap().clone();
    let whole: String = (0..50_000).map(line).collect();
    assert!(read(4).joined_text().ends_with(&whole[offset..offset + 50]));
    assert_eq!(read(6).outcome, offshoot::Outcome::Failed);
    assert!(
        read(6)
            .joined_text()
            .contains("nothing is kept under this name")
    );
}

#[tokio::test]
async fn what_is_more_than_the_limit_is_said_to_be_cut() {
    let store = memory();
    let text = told(writer(3_500_000, Way::AsItGoes), Some(&store)).await;
    assert!(text.contains("; the first 67108864 bytes are kept as"));
    let (_, total) = read_kept(&store, name(&text), 0, 1).await.unwrap();
    assert_eq!(total, 64 * 1024 * 1024);
}

#[tokio::test]
async fn without_a_store_only_the_count_is_known_and_small_results_are_untouched() {
    let text = told(writer(10_000, Way::AsItGoes), None).await;
    assert!(text.contains("bytes left out here …]"));
    let store = memory();
    let small = told(writer(10, Way::AsItGoes), Some(&store)).await;
    assert_eq!(small, (0..10).map(line).collect::<String>());
}

#[tokio::test]
async fn no_secret_is_kept_in_record_or_output_and_the_session_goes_on_without_it() {
    let secret = "s3cr3t-of-the-house";
    let mut redactor = offshoot::Redactor::new();
    redactor.add(secret).unwrap();
    let tell = work(shared("tell"), move |ctx, _| async move {
        for n in 0..20_000 {
            ctx.output().write(line(n));
        }
        // Across the border of two writes.
        ctx.output().write(&secret[..7]);
        ctx.output().write(&secret[7..]);
        ToolOutput::from(format!("the password is {secret}"))
    });
    let script = Scripted::new([
        Answer::text(secret).call("tell", json!({"password": secret})),
        Answer::text("done"),
        Answer::text("done again"),
    ]);
    let agent = Agent::builder(script).tool(tell).build().unwrap();
    let store = memory();
    let builder = || Session::builder(agent.clone()).store_arc(store.clone());
    let mut session = builder().redacting(redactor.clone()).open().await.unwrap();
    session
        .submit_message(format!("my password is {secret}"))
        .finish()
        .await;
    let id = session.id().clone();
    let text = session.history()[2]
        .tool_results()
        .next()
        .unwrap()
        .joined_text();
    session.close().await;
    let (kept, _) = read_kept(&store, name(&text), 0, usize::MAX).await.unwrap();
    let kept = String::from_utf8(kept.to_vec()).unwrap();
    assert!(kept.ends_with("[redacted]"), "{}", &kept[kept.len() - 40..]);
    for row in store.read(&id, 1..1000).await.unwrap() {
        let body = String::from_utf8(row.body.to_vec()).unwrap();
        assert!(!body.contains(secret), "{body}");
    }
    assert_eq!(
        store.card(&id).await.unwrap().unwrap().title,
        "my password is [redacted]"
    );
    let mut again = builder()
        .redacting(redactor)
        .resume(id)
        .open()
        .await
        .unwrap();
    assert!(again.history()[0].text().contains("[redacted]"));
    assert!(
        again
            .submit_message("go on")
            .finish()
            .await
            .stop
            .is_finished()
    );
}
