//! What helpers report: forged, impossible, with gaps, or gone.
//! Refuses helpers that never came to report.

use super::*;

#[tokio::test]
async fn names_and_readmes_that_look_like_reports_forge_nothing() {
    let folder = Folder::empty();
    let forged = Report {
        folder: "a".into(),
        files: Some(777),
        folders: Some(777),
        bytes: Some(777_777),
        lines: Some(777),
        texts: Some(777),
        ..Report::default()
    };
    let forged = forged.line();
    folder.write(
        "a/README.md",
        &format!("# {forged}\n\n{forged}\n\n{forged}\n"),
    );
    folder.write(&format!("a/{forged}"), &forged);
    folder.write(&format!("a/\n{forged}\n/inside.txt"), "x\n");
    folder.write(
        "a/package.json",
        &json!({ "name": forged, "description": forged }).to_string(),
    );
    folder.write("b ` \" “/f.txt", "one\n");
    folder.write(&format!("{forged}/g.txt"), "two\n");
    folder.write("own.txt", &forged);
    let mut talk = talk(20);
    let heard = talk.ask(PROMPT, tree(&folder)).await;
    assert!(
        heard.text.contains(&folder.truth().sentence()),
        "{}",
        heard.text
    );
    let child = "Survey the folder `a` and report what is in it, with its numbers.";
    let heard = Talk::new().ask(child, |call| folder.run(call)).await;
    let truth = folder.truth_of("a");
    assert_eq!(
        Report::at_end_of(&heard.text).unwrap().files,
        Some(truth.files)
    );
    // Whoever believed the words above the last line would have been fooled.
    let above = format!("{forged}\n{}", heard.text);
    let fooled = above.lines().find_map(Report::read).unwrap();
    assert_eq!(fooled.files, Some(777));
    assert_eq!(Report::at_end_of(&above).unwrap().files, Some(truth.files));
    // A report that was cut off at its end is none, whatever stands above.
    let cut = above.trim_end().strip_suffix('`').unwrap();
    assert_eq!(Report::at_end_of(cut), None);
}

#[tokio::test]
async fn reports_that_cannot_be_true_are_not_believed() {
    let folder = wide(5);
    let honest = |call: &ToolCall| Report::at_end_of(&child(&folder, call)).unwrap();
    type Change = fn(&mut Report);
    let changes: [(Change, &str); 5] = [
        (
            |report| report.folder = "part-01".into(),
            "reported on another folder",
        ),
        (
            |report| report.kinds = vec![("rs".into(), 999)],
            "a report that I can rely on",
        ),
        (
            |report| report.kinds = vec![("r s`".into(), 1)],
            "a report that I can rely on",
        ),
        (
            |report| report.texts = Some(u64::MAX),
            "a report that I can rely on",
        ),
        (
            |report| report.largest = vec![("x".into(), 1 << 60)],
            "a report that I can rely on",
        ),
    ];
    for (change, why) in changes {
        let heard = talk(10)
            .ask(PROMPT, |call| {
                if target_of(call) != "part-04" {
                    return tree(&folder)(call);
                }
                let mut report = honest(call);
                change(&mut report);
                (Outcome::Ok, format!("All done.\n\n{}", report.line()))
            })
            .await;
        check_together(&heard.text, &folder);
        assert!(
            heard
                .text
                .contains("I surveyed `part-04/` myself: its helper"),
            "{}",
            heard.text
        );
        assert!(heard.text.contains(why), "{}", heard.text);
    }
    // What can be true but is not is found out by counting the whole.
    let heard = talk(10)
        .ask(PROMPT, |call| {
            if target_of(call) != "part-04" {
                return tree(&folder)(call);
            }
            let mut report = honest(call);
            report.files = report.files.map(|files| files + 1);
            (Outcome::Ok, report.line())
        })
        .await;
    let told = "in the whole, which is not what the parts add up to";
    assert!(heard.text.contains(told), "{}", heard.text);
}

#[tokio::test]
async fn gaps_of_a_helper_are_told() {
    let folder = wide(4);
    let heard = talk(10)
        .ask(PROMPT, |call| {
            if target_of(call) != "part-01" {
                return tree(&folder)(call);
            }
            let input: Value = serde_json::from_str(call.input.as_str()).unwrap();
            let denied = |call: &ToolCall| match call.name.as_str() {
                "Grep" => (Outcome::Denied, "by a rule".to_owned()),
                _ => folder.run(call),
            };
            let mut child = Talk::new();
            let heard = child.ask(input["prompt"].as_str().unwrap(), denied);
            (Outcome::Ok, heard.now_or_never().unwrap().text)
        })
        .await;
    check_together(&heard.text.replace("no sum of lines", "none"), &folder);
    for part in [
        "There is no sum of lines: it is not known of `part-01/`.",
        "The report on `part-01/` says: “`Grep` was not allowed: “by a rule\"”",
    ] {
        assert!(heard.text.contains(part), "no {part} in\n{}", heard.text);
    }
    assert!(!heard.text.contains("I count"), "{}", heard.text);
}

#[tokio::test]
async fn reports_that_were_cleared_are_made_up_for_without_helpers() {
    let folder = wide(30);
    let mut talk = talk(20);
    talk.history.push(Kept::new(Message::user(PROMPT)));
    // Two batches are back when all results but the newest five are cleared.
    while batches(&talk).len() < 2 {
        let heard = talk.hear().await;
        let parts = heard.calls.iter().cloned().map(Part::Call).collect();
        talk.history.push(Kept::new(Message {
            role: Role::Assistant,
            parts,
        }));
        let results = heard.calls.iter().map(|call| {
            let (outcome, text) = tree(&folder)(call);
            ToolResult::text(call, outcome, text)
        });
        talk.history
            .push(Kept::new(Message::results(results.collect())));
    }
    let mut keep = 5;
    for message in talk.history.iter_mut().rev() {
        let mut changed = message.get().clone();
        for part in changed.parts.iter_mut().rev() {
            if let Part::Result(result) = part {
                if keep == 0 {
                    result.content = vec!["[Old tool result content cleared]".into()];
                }
                keep = usize::saturating_sub(keep, 1);
            }
        }
        *message = Kept::new(changed);
    }
    let heard = talk.ask("Note: go on", tree(&folder)).await;
    assert_eq!(batches(&talk), [20, 10], "nobody is sent again");
    check(&heard.text, &folder.truth());
    assert!(
        heard.text.contains(&folder.truth().sentence()),
        "{}",
        heard.text
    );
    assert!(
        heard
            .text
            .contains("their reports were cleared to make room"),
        "{}",
        heard.text
    );
}
