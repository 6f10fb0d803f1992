//! What only shows with limits smaller than the real ones, or from inside.
//! Refuses what a caller can see; that is tested in `tests/all/tools.rs`.

#![expect(clippy::disallowed_methods, reason = "tests prepare real files")]

use std::{fs, time::Duration};

use serde_json::json;

use super::*;

fn text(output: &ToolOutput) -> &str {
    match &output.content[..] {
        [crate::message::Content::Text(text)] => text,
        other => panic!("not one text: {other:?}"),
    }
}

fn limited(root: &Path, limits: Limits) -> [Arc<dyn Tool>; 3] {
    let workspace = Workspace::open(root).unwrap();
    let mut glob = glob::Glob::new(workspace.clone());
    let mut grep = grep::Grep::new(workspace.clone());
    let mut ls = ls::Ls::new(workspace);
    (glob.limits, grep.limits, ls.limits) = (limits, limits, limits);
    [typed(glob), typed(grep), typed(ls)]
}

/// Row X8: a huge tree stops at the cap with a notice, and the counting line is still the last.
#[tokio::test]
async fn limits_end_in_a_notice_and_the_usual_last_line() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..500 {
        fs::write(folder.path().join(format!("f{n}")), "x").unwrap();
    }
    let input = json!({"pattern": "*"});
    let search = json!({"pattern": "x"});
    let few = Limits {
        entries: 50,
        ..Limits::DEFAULT
    };
    let table = [
        (
            few,
            "(stopped after 50 entries, there may be more: look into a smaller folder)",
        ),
        (
            Limits {
                time: Duration::ZERO,
                ..Limits::DEFAULT
            },
            "(stopped after 0 seconds, there may be more: look into a smaller folder)",
        ),
    ];
    for (limits, notice) in table {
        let seen = if limits.entries == 50 { 50 } else { 0 };
        let [glob, grep, ls] = limited(folder.path(), limits);
        for (tool, input, last) in [
            (glob, &input, format!("({seen} files)")),
            (grep, &search, format!("({seen} files)")),
            (ls, &input, format!("{seen} files, 0 folders, {seen} bytes")),
        ] {
            let name = tool.spec().name.clone();
            let output = tool.call(ToolContext::detached("1"), input.clone()).await;
            let lines: Vec<_> = text(&output).lines().collect();
            assert_eq!(lines[lines.len() - 2..], [notice, &last], "{name}");
        }
    }
}

#[tokio::test]
async fn a_tool_whose_call_is_dropped_stops() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = ToolContext::detached("1");
    let (started, hear) = tokio::sync::oneshot::channel();
    let (ended, hear_end) = tokio::sync::oneshot::channel();
    let _ = folder;
    let call = run(&ctx, Limits::DEFAULT, move |stop| {
        started.send(()).ok();
        while stop.reason().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        ended.send(stop.reason()).ok();
        Err(WorkError::Stopped)
    });
    tokio::select! {
        _ = call => panic!("it ended by itself"),
        _ = async { hear.await.unwrap() } => {}
    }
    let reason = tokio::time::timeout(Duration::from_secs(5), hear_end).await;
    assert_eq!(reason.unwrap().unwrap(), Some(Ended::Cancelled));
}
