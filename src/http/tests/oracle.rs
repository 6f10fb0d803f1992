//! What is taken without the parser is what the parser would have made of it: any text, any split.
//! Refuses sockets; `eventsource-stream`, fed with the whole body, is the judge.

use bytes::Bytes;
use eventsource_stream::EventStream;
use futures::{StreamExt, stream};
use proptest::{
    prelude::*,
    test_runner::{TestError, TestRunner},
};

use super::{
    super::MAX_EVENT,
    Frame,
    framing::{Fed, cases, cut_at, events, now},
};

/// The parser's events of a whole body. A comment before it keeps it from panicking at a mark, one
/// behind it tells it that a last CR is the end of a line.
fn judge(body: &str) -> Vec<Frame> {
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    let whole = format!(":\n{body}:\n");
    let parser = EventStream::new(stream::iter([Ok::<_, std::convert::Infallible>(whole)]));
    let frame = |event: eventsource_stream::Event| Frame {
        event: event.event,
        data: event.data,
    };
    now(parser.map(|event| frame(event.unwrap())).collect())
}

/// Bodies in which much looks like an event, and where they are cut.
fn bodies() -> impl Strategy<Value = (String, Vec<usize>)> {
    let usual = [
        "event: content_block_delta\ndata: {\"text\":\" 漢字\"}\n\n",
        "data: {}\n\n",
        "data: {}\r\n\r\n",
        "event: ping\r\ndata: 1\r\n\r\n",
    ];
    let odd = [
        "event",
        "data",
        "event:",
        "data:",
        "event: ",
        "data: ",
        "data:  ",
        "id: 7",
        "retry: 5",
        ": c",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\r",
        "x",
        "漢👍",
        "\u{feff}",
        "\0",
        ":",
        "data: {}\n",
    ];
    let piece = prop_oneof![
        2 => prop::sample::select(usual.to_vec()).prop_map(str::to_owned),
        3 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    let body = prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat());
    (body, prop::collection::vec(0usize..300, 0..6)).prop_map(|(body, places)| {
        let mut places: Vec<_> = places.into_iter().map(|at| at.min(body.len())).collect();
        places.sort_unstable();
        (body, places)
    })
}

/// Whether this reading of a body in chunks is the judge's.
fn agrees(
    cases: u32,
    read: impl Fn(Vec<Bytes>) -> Vec<Frame>,
) -> Result<(), TestError<(String, Vec<usize>)>> {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    TestRunner::new(config).run(&bodies(), |(body, places)| {
        let chunks = cut_at(&Bytes::from(body.clone()), &places);
        prop_assert_eq!(read(chunks), judge(&body));
        Ok(())
    })
}

fn ours(chunks: Vec<Bytes>) -> Vec<Frame> {
    let (frames, error) = events(&mut Fed::new(chunks), MAX_EVENT);
    assert_eq!(error, None);
    frames
}

#[test]
fn p13_any_text_in_any_chunks_is_what_the_parser_makes_of_it() {
    agrees(cases() * 4, ours).unwrap();
}

/// The twin: a reader that believes every event to be plain.
#[test]
fn p13_twin_a_reader_without_the_parser_disagrees() {
    let plain = |chunks: Vec<Bytes>| {
        let body = String::from_utf8(chunks.concat()).unwrap();
        let frame = |event: &str| {
            let (name, data) = event.split_once("data:")?;
            let name = name.trim().strip_prefix("event:").unwrap_or("message");
            Some(Frame {
                event: name.trim().to_owned(),
                data: data.trim().to_owned(),
            })
        };
        body.split("\n\n").filter_map(frame).collect()
    };
    agrees(300, plain).unwrap_err();
}
