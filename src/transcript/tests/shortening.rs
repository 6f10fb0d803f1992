//! Trimming and the replacement by a summary: what goes, what stays, what is encoded again.
//! Refuses to ask a model; that is the next file.

use super::*;

/// A conversation with so many rounds of one call each.
fn rounds(count: usize) -> Transcript {
    let mut transcript = Transcript::new();
    transcript.push_user("the task".into());
    for round in 0..count {
        let id = format!("c{round}");
        let mut message = calls(&[&id]);
        message.parts.insert(0, reasoning(&id));
        transcript.push_assistant(message, None);
        transcript.push_results(vec![result(&id, &format!("{round} {}", "x".repeat(300)))]);
    }
    transcript
}

/// Encodes everything, and says which messages were not encoded before.
fn encoded_anew(transcript: &Transcript) -> Vec<usize> {
    let mut anew = Vec::new();
    for (at, entry) in transcript.history().iter().enumerate() {
        entry.encoded("test", |message| {
            anew.push(at);
            serde_json::to_vec(message).unwrap()
        });
    }
    anew
}

fn cleared(transcript: &Transcript) -> usize {
    let results = transcript.messages().flat_map(Message::tool_results);
    results.filter(|r| r.joined_text() == trim::CLEARED).count()
}

#[test]
fn trimming_clears_old_results_once_and_renews_only_their_bytes() {
    let (settings, counter) = (CompactionSettings::default(), Counter::estimate());
    let mut transcript = rounds(8);
    encoded_anew(&transcript);
    let tokens = transcript.tokens(&counter);
    let change = transcript.trim(&settings, &counter).unwrap();
    assert_eq!(cleared(&transcript), 3);
    // Three results of 302 letters became three of 33.
    assert_eq!(
        change,
        Change {
            before: tokens,
            after: tokens - 3 * (101 - 11)
        }
    );
    assert_eq!(change.after, transcript.tokens(&counter));
    assert_eq!(encoded_anew(&transcript), [2, 4, 6]);
    assert_eq!(
        transcript.trim(&settings, &counter),
        None,
        "nothing is cleared twice"
    );

    let (fresh, _) = Transcript::load(transcript.messages().cloned().collect());
    assert_eq!(
        fresh.tokens(&counter),
        transcript.tokens(&counter),
        "the sum stays true"
    );

    transcript.push_assistant(calls(&["new"]), None);
    transcript.push_results(vec![result("new", &"y".repeat(100))]);
    assert!(
        transcript.trim(&settings, &counter).is_some(),
        "one more has become old"
    );
    assert_eq!(cleared(&transcript), 4);
}

#[test]
fn trimming_lowers_what_the_vendor_counted() {
    let (settings, counter) = (CompactionSettings::default(), Counter::estimate());
    let mut transcript = rounds(6);
    transcript.push_assistant("so far".into(), usage(5_000, 0));
    transcript.push_user("go on".into());
    let change = transcript.trim(&settings, &counter).unwrap();
    assert_eq!(
        change,
        Change {
            before: 5_002,
            after: 5_002 - 90
        }
    );
}

#[test]
fn trimming_counts_results_and_not_messages() {
    let mut settings = CompactionSettings {
        keep_results: 2,
        ..CompactionSettings::default()
    };
    let counter = Counter::estimate();
    let mut transcript = asked(&["1", "2", "3"]);
    let long = "x".repeat(100);
    let mut pictured = result("1", "short");
    pictured
        .content
        .push(crate::message::Content::Media(Media::bytes(
            "image/png",
            b"x",
        )));
    transcript.push_results(vec![pictured, result("2", &long), result("3", &long)]);
    assert!(transcript.trim(&settings, &counter).is_some());
    let texts: Vec<_> = transcript
        .messages()
        .last()
        .unwrap()
        .tool_results()
        .map(|r| r.joined_text())
        .collect();
    assert_eq!(texts, [trim::CLEARED, &long, &long]);
    settings.keep_results = 0;
    assert!(transcript.trim(&settings, &counter).is_some());
    assert_eq!(cleared(&transcript), 3);
    settings.trimming = Trimming::Never;
    assert_eq!(rounds(9).trim(&settings, &counter), None);
}

#[test]
fn short_results_are_left_alone() {
    let mut transcript = asked(&["1", "2"]);
    transcript.push_results(vec![result("1", "ok"), result("2", "")]);
    let settings = CompactionSettings {
        keep_results: 0,
        ..CompactionSettings::default()
    };
    assert_eq!(transcript.trim(&settings, &Counter::estimate()), None);
}

#[test]
fn invariant_8_a_summary_leaves_the_last_words_and_the_unseen_results() {
    let mut transcript = rounds(4);
    encoded_anew(&transcript);
    let before = transcript.tokens(&Counter::estimate());
    let change = transcript.replace_with_summary("what happened", true);
    assert_eq!(change.before, before);
    assert!(change.after < before);
    let lines = sketch(&transcript);
    assert_eq!(lines[1..], ["u the task", "a  c3?", "t c3=ok"]);
    assert!(
        lines[0].contains("Summary:\nwhat happened\n\nGo on with the work"),
        "{}",
        lines[0]
    );
    assert_eq!(encoded_anew(&transcript), [0], "only the summary is new");
    // The ids of what went may be used again, those of what stayed may not.
    transcript.push_assistant(calls(&["c0", "c3"]), None);
    assert_eq!(sketch(&transcript)[4], "a  c0? c3_4_1?");
}

#[test]
fn a_summary_by_hand_keeps_open_calls_and_unanswered_words() {
    let mut transcript = rounds(2);
    transcript.push_assistant(calls(&["open"]), None);
    transcript.replace_with_summary("s", false);
    let lines = sketch(&transcript);
    assert_eq!(lines[1..], ["u the task", "a  open?"]);
    assert!(!lines[0].contains("Go on"));

    let mut transcript = rounds(2);
    transcript.push_user("one".into());
    transcript.push_user("two".into());
    transcript.replace_with_summary("s", false);
    assert_eq!(
        sketch(&transcript)[1..],
        ["a  c1?", "t c1=ok", "u one", "u two"]
    );
}

#[test]
fn large_results_go_into_the_summary_but_open_calls_never() {
    let huge = "x".repeat(60_000);
    let mut transcript = asked(&["1"]);
    transcript.push_results(vec![result("1", &huge)]);
    transcript.push_user("note".into());
    transcript.replace_with_summary("s", true);
    assert_eq!(sketch(&transcript)[1..], ["u note"]);

    let mut transcript = asked(&["1"]);
    transcript.push_results(vec![result("1", &huge)]);
    transcript.replace_with_summary("s", true);
    assert_eq!(sketch(&transcript)[1..], ["u go"]);

    let mut message = calls(&["2"]);
    message.parts.insert(0, Part::text(huge));
    let mut transcript = asked(&["1"]);
    transcript.push_assistant(message, None);
    transcript.replace_with_summary("s", true);
    assert_eq!(transcript.open_calls().len(), 1);
}

#[test]
fn a_call_that_was_loaded_open_stays_so_through_a_summary() {
    let (mut transcript, _) = Transcript::load(vec![Message::user("go"), calls(&["1"])]);
    transcript.replace_with_summary("s", true);
    transcript.repair();
    assert_eq!(sketch(&transcript)[2..], ["a  1?", "t 1=interrupted"]);
}
