//! Work that is interrupted: notes, cleared results, summaries, limits, cancels.
//! Refuses to look at what a survey finds.

use super::*;

#[tokio::test]
async fn a_note_in_the_middle_of_the_work_does_not_stop_it() {
    let folder = Folder::random(1);
    let mut talk = Talk::new();
    talk.history
        .push(Kept::new(Message::user("survey this folder")));
    let first = talk.hear().await;
    let parts = first.calls.iter().cloned().map(Part::Call).collect();
    talk.history.push(Kept::new(Message {
        role: Role::Assistant,
        parts,
    }));
    let results = first.calls.iter().map(|call| {
        let (outcome, text) = folder.run(call);
        ToolResult::text(call, outcome, text)
    });
    talk.history
        .push(Kept::new(Message::results(results.collect())));
    let heard = talk
        .ask("Note: the night shift begins", |call| folder.run(call))
        .await;
    check(&heard.text, &folder.truth());
    assert!(heard.text.contains("It holds"), "{}", heard.text);
}

#[tokio::test]
async fn cleared_results_are_asked_for_again() {
    let folder = Folder::random(2);
    let mut talk = Talk::new();
    talk.ask("survey this folder", |call| folder.run(call))
        .await;
    for message in &mut talk.history {
        let mut changed = message.get().clone();
        for part in &mut changed.parts {
            if let Part::Result(result) = part {
                result.content = vec!["[Old tool result content cleared]".into()];
            }
        }
        *message = Kept::new(changed);
    }
    let before = talk.calls().len();
    let heard = talk
        .ask("and how many lines?", |call| folder.run(call))
        .await;
    assert_eq!(talk.calls().len(), before + 1);
    assert!(
        heard
            .text
            .contains(&folder::units(folder.truth().lines, "line"))
    );
}

#[tokio::test]
async fn summaries_keep_the_request_and_the_work_goes_on_from_them() {
    let folder = Folder::random(4);
    let mut talk = Talk::new();
    talk.ask("How many files are in this folder?", |call| {
        folder.run(call)
    })
    .await;
    let mut wish = Talk::new();
    wish.tools = Kept::new(Vec::new());
    wish.system = "You are asked to summarise a conversation".into();
    wish.history = talk.history.clone();
    wish.history.push(Kept::new(Message::user(
        "Write the summary now, in nine sections",
    )));
    let summary = wish.hear().await.text;
    assert!(
        summary.starts_with("<summary>") && summary.ends_with("</summary>"),
        "{summary}"
    );
    assert!(
        summary.contains("- How many files are in this folder?"),
        "{summary}"
    );
    assert!(summary.contains("LS {\"path\":\".\"}: "), "{summary}");
    assert!(!summary.contains("nine sections"), "{summary}");
    let mut later = Talk::new();
    let prompt =
        format!("This goes on from before.\nSummary:\n{summary}\nContinue without asking.");
    let heard = later.ask(&prompt, |call| folder.run(call)).await;
    assert!(
        heard
            .text
            .contains(&folder::units(folder.truth().files, "file")),
        "{}",
        heard.text
    );
}

#[tokio::test]
async fn limits_of_the_request_are_kept() {
    let mut talk = Talk::new();
    talk.options.max_output = Some(5);
    let heard = talk.ask("hello", |_| unreachable!()).await;
    assert_eq!((heard.text.chars().count(), heard.stop), (20, Stop::Length));
    let mut talk = Talk::new();
    talk.options.stop = vec!["network".into()];
    let heard = talk.ask("hello", |_| unreachable!()).await;
    assert!(heard.text.ends_with("that needs no "), "{}", heard.text);
    assert_eq!(heard.usage.output, (heard.text.len() as u64).div_ceil(4));
    assert_eq!(heard.usage.estimated, 1);
    assert!(heard.usage.input > 20, "the tools and the prompt count");
    let mut talk = Talk::new();
    talk.options.delivery = Delivery::Whole;
    assert_eq!(talk.ask("hello", |_| unreachable!()).await.pieces, 1);
}

#[tokio::test(start_paused = true)]
async fn words_come_one_by_one_with_pauses_that_stay_short() {
    let talk = Talk {
        history: vec![Kept::new(Message::user("hello"))],
        ..Talk::new()
    };
    let request = Request {
        system: "",
        tools: &talk.tools,
        history: (&talk.history).into(),
        options: &talk.options,
    };
    let length = async |pause: Duration| {
        let began = tokio::time::Instant::now();
        let deltas = Offline::new()
            .with_pause(pause)
            .stream(&request, &Scope::root())
            .unwrap();
        let texts = deltas.filter(|d| std::future::ready(matches!(d, Ok(Delta::Text { .. }))));
        (texts.count().await, began.elapsed())
    };
    let (words, took) = length(Duration::from_millis(4)).await;
    assert!(words > 50, "{words}");
    assert!(
        took >= Duration::from_millis(4) * words as u32 && took < Duration::from_secs(3),
        "{took:?}"
    );
    let (_, long) = length(Duration::from_secs(9)).await;
    assert!(long <= Duration::from_millis(3_200), "{long:?}");
    assert_eq!(length(Duration::ZERO).await.1, Duration::ZERO);
}

#[tokio::test]
async fn a_cancelled_scope_ends_the_answer() {
    let talk = Talk {
        history: vec![Kept::new(Message::user("hello"))],
        ..Talk::new()
    };
    let request = Request {
        system: "",
        tools: &talk.tools,
        history: (&talk.history).into(),
        options: &talk.options,
    };
    let scope = Scope::root();
    let mut deltas = Offline::new().stream(&request, &scope).unwrap();
    deltas.next().await.unwrap().unwrap();
    scope.cancel();
    let began = Instant::now();
    let error = deltas.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(deltas.next().await.is_none());
    assert!(began.elapsed() < Duration::from_millis(100));
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer() {
    let talk = Talk {
        history: vec![Kept::new(Message::user("survey this folder"))],
        ..Talk::new()
    };
    let (a, b) = (talk.hear().await, talk.hear().await);
    assert_eq!((a.text, a.calls), (b.text, b.calls));
}
