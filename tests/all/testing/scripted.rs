//! The scripted provider: plays in order, keeps what it saw, fails as asked.
//! Refuses sockets.

use std::time::Duration;

use futures::StreamExt;
use offshoot::{
    Error, ErrorKind, Kept, Message, Result, Scope, ToolSpec,
    provider::{Delta, Model, Options, Provider, Request, Stop},
    testing::{Answer, Scripted, Split, check_history},
};
use serde_json::json;

/// Asks once and reads to the end.
async fn ask(model: &Scripted, scope: &Scope, words: &str) -> (Vec<Delta>, Option<Error>) {
    let tools = Kept::new(vec![ToolSpec::new(
        "Read",
        "reads",
        json!({"type": "object"}),
    )]);
    let options = Options::default();
    let history = [Kept::new(Message::user(words))];
    let request = Request {
        system: "s",
        tools: &tools,
        history: (&history).into(),
        options: &options,
    };
    let stream = model.stream(&request, scope).expect("it encodes nothing");
    let items: Vec<Result<Delta>> = stream.collect().await;
    let mut deltas = Vec::new();
    for item in items {
        match item {
            Ok(delta) => deltas.push(delta),
            Err(error) => return (deltas, Some(error)),
        }
    }
    (deltas, None)
}

#[tokio::test]
async fn a_whole_answer_becomes_these_deltas() {
    let answer = Answer::empty()
        .thinking("hm m")
        .signed("seal")
        .and_text("two words")
        .call("Read", json!({"path": "a.txt"}))
        .split(Split::Words);
    let model = Scripted::new([answer]).as_model(Model::unknown("acme", "one"));
    let (deltas, error) = ask(&model, &Scope::root(), "hi").await;
    assert!(error.is_none());
    let said: Vec<String> = deltas
        .iter()
        .map(|delta| match delta {
            Delta::Started { model } => format!("started {model}"),
            Delta::Thinking { part, text } => format!("{part} thinks `{text}`"),
            Delta::Text { part, text } => format!("{part} says `{text}`"),
            Delta::Seal { part, seal } => format!("{part} sealed {} {}", seal.vendor, seal.value),
            Delta::Call { part, id, name } => {
                format!("{part} calls {name} {}", id.as_ref().expect("an id"))
            }
            Delta::Arguments { part, json } => format!("{part} with `{json}`"),
            Delta::Usage(usage) => format!("used {} {}", usage.input, usage.output),
            Delta::Stop { stop, raw } => format!("stop {stop:?} {raw}"),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        said,
        [
            "started one",
            "0 thinks `hm `",
            "0 thinks `m`",
            "0 sealed acme seal",
            "1 says `two `",
            "1 says `words`",
            "2 calls Read call_000001_02",
            "2 with `{\"path\":`",
            "2 with `\"a.txt\"}`",
            "used 1 9",
            "stop Done tool_use",
        ]
    );
    let seen = model.seen();
    assert_eq!((seen[0].number, seen[0].system.as_str()), (1, "s"));
    assert_eq!(seen[0].tools, ["Read"]);
    check_history(&seen[0].messages).expect("one user message");
}

#[tokio::test]
async fn a_script_that_runs_out_says_how_long_it_was() {
    let model = Scripted::new(["one", "two"]);
    let scope = Scope::root();
    assert_eq!(model.left(), Some(2));
    assert!(ask(&model, &scope, "a").await.1.is_none());
    assert!(ask(&model, &scope, "b").await.1.is_none());
    let (deltas, error) = ask(&model, &scope, "c").await;
    assert!(deltas.is_empty());
    let error = error.expect("there is no third answer");
    assert_eq!(
        error.to_string(),
        "the script of 2 answers has none for request: `3`"
    );
    assert!(!error.is_transient(), "an engine must not try again");
    assert_eq!(model.count(), 3);
}

#[tokio::test]
async fn an_answer_can_be_made_from_the_request() {
    let model = Scripted::with(|seen| {
        Answer::text(format!("{} {}", seen.number, seen.messages[0].text())).split(Split::Whole)
    });
    let (deltas, _) = ask(&model, &Scope::root(), "echo").await;
    assert_eq!(
        deltas[1],
        Delta::Text {
            part: 0,
            text: "1 echo".into()
        }
    );
    assert_eq!(model.left(), None);
    let model = Scripted::forever("x");
    for _ in 0..3 {
        assert_eq!(ask(&model, &Scope::root(), "a").await.0.len(), 4);
    }
}

#[tokio::test]
async fn an_answer_can_end_early() {
    let scope = Scope::root();
    let failure = Error::new(ErrorKind::Overloaded, "busy");
    for n in 0..6 {
        let whole = Answer::text("a b c");
        let model = Scripted::new([
            whole.clone().break_after(n),
            whole.clone().fail_after(n, failure.clone()),
        ]);
        let (deltas, error) = ask(&model, &scope, "x").await;
        assert_eq!((deltas.len(), error), (n, None));
        assert!(
            !deltas
                .iter()
                .any(|delta| matches!(delta, Delta::Stop { .. }))
        );
        let (deltas, error) = ask(&model, &scope, "x").await;
        assert_eq!((deltas.len(), error), (n, Some(failure.clone())));
    }
    let model = Scripted::new([Answer::text("x").stop(Stop::Length).raw_stop("too_long")]);
    let last = ask(&model, &scope, "x").await.0.pop();
    assert_eq!(
        last,
        Some(Delta::Stop {
            stop: Stop::Length,
            raw: "too_long".into()
        })
    );
}

#[tokio::test(start_paused = true)]
async fn pauses_and_stalls_end_with_the_scope() {
    let minute = Duration::from_secs(60);
    let model = Scripted::new([
        Answer::text("a b").pause(minute),
        Answer::text("a b").stall_after(2),
        Answer::text("a b").pause(minute),
    ]);
    let start = tokio::time::Instant::now();
    let (deltas, _) = ask(&model, &Scope::root(), "x").await;
    assert_eq!(
        start.elapsed(),
        minute * (deltas.len() as u32 - 1),
        "between deltas only"
    );
    for expected in [2, 1] {
        let scope = Scope::root();
        let cancel = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(model.open(), 1);
            scope.cancel();
        };
        let ((deltas, error), ()) = tokio::join!(ask(&model, &scope, "x"), cancel);
        assert_eq!(deltas.len(), expected);
        assert!(error.expect("cancelled").is_cancelled());
        assert_eq!(model.open(), 0);
    }
}

#[tokio::test]
async fn nothing_happens_before_the_first_poll() {
    let model = Scripted::new(["x"]);
    let (tools, options) = (Kept::new(Vec::new()), Options::default());
    let request = Request {
        system: "",
        tools: &tools,
        history: (&[]).into(),
        options: &options,
    };
    drop(model.stream(&request, &Scope::root()).expect("a stream"));
    assert_eq!((model.count(), model.left()), (0, Some(1)));
}
