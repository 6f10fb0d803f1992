//! Rows P13 and P14: any chunking gives the same frames, and no frame is too large to be refused.
//! Refuses sockets: the framers are fed directly, chunk by chunk.

use std::{
    collections::VecDeque,
    future::poll_fn,
    panic::AssertUnwindSafe,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use eventsource_stream::EventStream;
use futures::StreamExt;
use proptest::{
    prelude::*,
    test_runner::{TestError, TestRunner},
};

use super::{
    super::{Frames, MAX_EVENT, body::Chunks, lines::Lines, sse::Events, whole::Whole},
    Frame,
};
use crate::error::{Error, ErrorKind, Result};

/// Chunks that are there already, and how far the framer got.
pub(super) struct Fed {
    chunks: VecDeque<Bytes>,
    given: usize,
    moved: usize,
}

impl Fed {
    pub(super) fn new(chunks: impl IntoIterator<Item = Bytes>) -> Self {
        Self {
            chunks: chunks.into_iter().filter(|c| !c.is_empty()).collect(),
            given: 0,
            moved: 0,
        }
    }
}

impl Chunks for &mut Fed {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let chunk = self.chunks.pop_front();
        self.given += chunk.as_ref().map_or(0, Bytes::len);
        Poll::Ready(chunk.map(Ok))
    }

    fn moved(&mut self) {
        self.moved += 1;
    }
}

pub(super) fn now<T>(work: impl Future<Output = T>) -> T {
    futures::FutureExt::now_or_never(work).expect("everything is there already")
}

pub(super) fn events(fed: &mut Fed, cap: usize) -> (Vec<Frame>, Option<Error>) {
    let mut events = Events::with_cap(fed, cap);
    let mut frames = Vec::new();
    loop {
        match now(poll_fn(|cx| events.poll_frame(cx, Frame::of))) {
            Some(Ok(frame)) => frames.push(frame),
            Some(Err(error)) => return (frames, Some(error)),
            None => return (frames, None),
        }
    }
}

fn lines(fed: &mut Fed, cap: usize) -> (Vec<String>, Option<Error>) {
    let mut lines = Lines::with_cap(fed, cap);
    let mut frames = Vec::new();
    loop {
        match now(poll_fn(|cx| lines.poll_frame(cx, Frame::of))) {
            Some(Ok(frame)) => frames.push(frame.data),
            Some(Err(error)) => return (frames, Some(error)),
            None => return (frames, None),
        }
    }
}

fn parse(chunks: impl IntoIterator<Item = Bytes>) -> Vec<Frame> {
    let (frames, error) = events(&mut Fed::new(chunks), MAX_EVENT);
    assert_eq!(error, None);
    frames
}

fn frame(event: &str, data: &str) -> Frame {
    Frame {
        event: event.to_owned(),
        data: data.to_owned(),
    }
}

pub(super) fn cut_at(bytes: &Bytes, places: &[usize]) -> Vec<Bytes> {
    let mut rest = bytes.clone();
    let mut before = 0;
    let mut chunks = Vec::new();
    for place in places {
        chunks.push(rest.split_to(place - before));
        before = *place;
    }
    chunks.push(rest);
    chunks
}

/// Text with every kind of line end, a mark, comments, and letters of two, three and four bytes.
fn streams() -> Vec<(Bytes, Vec<Frame>)> {
    let text = "\u{feff}: hello\nevent: message_start\ndata: {\"a\":\"häß 漢字 👍🏽\"}\n\n\
        event: ping\ndata: {}\n\n:\n:keep alive 漢\n\ndata:no space\ndata:  two\ndata\ndata: \n\n\
        id: 7\nretry: 100\nunknown: x\ndata: 👩‍👩‍👧\n\nevent: only a name\n\ndata: dropped";
    let frames = vec![
        frame("message_start", "{\"a\":\"häß 漢字 👍🏽\"}"),
        frame("ping", "{}"),
        frame("message", "no space\n two\n\n"),
        frame("message", "👩‍👩‍👧"),
    ];
    let plain = Bytes::from(text.to_owned());
    let crlf = Bytes::from(text.replace('\n', "\r\n"));
    let cr = Bytes::from(text.replace('\n', "\r"));
    let mut mixed = String::new();
    for (at, line) in text.split('\n').enumerate() {
        mixed += line;
        mixed += ["\n", "\r", "\r\n"][at % 3];
    }
    // The mixture ends its last line, which still has no blank line behind it. No LF-ended blank
    // line follows a CR: the two would be one CR LF.
    let mixed = Bytes::from(mixed);
    [plain, crlf, cr]
        .into_iter()
        .chain([mixed])
        .map(|bytes| (bytes, frames.clone()))
        .collect()
}

#[test]
fn p13_every_split_and_single_bytes_give_the_same_events() {
    for (bytes, frames) in streams() {
        assert_eq!(parse([bytes.clone()]), frames);
        for at in 0..=bytes.len() {
            assert_eq!(parse(cut_at(&bytes, &[at])), frames, "split at {at}");
        }
        let single = (0..bytes.len()).map(|at| bytes.slice(at..=at));
        assert_eq!(parse(single), frames, "one byte at a time");
    }
}

#[test]
fn p13_every_pair_of_splits_of_a_short_stream_gives_the_same_events() {
    let text = "event: a\r\ndata: 漢\r\n\r\ndata: 1\rdata: 👍\r\r:c\n\nevent: ping\ndata: {}\n\n";
    let bytes = Bytes::from(text);
    let frames = [
        frame("a", "漢"),
        frame("message", "1\n👍"),
        frame("ping", "{}"),
    ];
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            assert_eq!(
                parse(cut_at(&bytes, &[first, second])),
                frames,
                "{first}, {second}"
            );
        }
    }
}

#[test]
fn p13_lines_split_anywhere() {
    let text = "\u{feff}{\"a\":\"漢👍\"}\r\n\n  \n{\"b\":1}\n{\"c\":\"last without end\"}";
    let wanted = [
        "{\"a\":\"漢👍\"}",
        "{\"b\":1}",
        "{\"c\":\"last without end\"}",
    ];
    let bytes = Bytes::from(text);
    for at in 0..=bytes.len() {
        let (frames, error) = lines(&mut Fed::new(cut_at(&bytes, &[at])), MAX_EVENT);
        assert_eq!(
            (frames, error),
            (wanted.map(str::to_owned).to_vec(), None),
            "split at {at}"
        );
    }
}

/// Random bytes in which much looks like a stream, and where they are cut.
fn anything() -> impl Strategy<Value = (Bytes, Vec<usize>)> {
    let byte = prop_oneof![
        3 => prop::sample::select(b"\r\n:data event\xef\xbb\xbf\xff ".to_vec()),
        1 => any::<u8>(),
    ];
    let bytes = prop::collection::vec(byte, 0..200);
    let places = prop::collection::vec(0usize..200, 0..6);
    (bytes, places).prop_map(|(bytes, places)| {
        let mut places: Vec<_> = places.into_iter().map(|at| at.min(bytes.len())).collect();
        places.sort_unstable();
        (Bytes::from(bytes), places)
    })
}

/// Whether any bytes whatever give the same in any chunks, without a panic.
fn same_in_any_chunks<T: PartialEq + std::fmt::Debug>(
    cases: u32,
    read: impl Fn(Vec<Bytes>) -> T,
) -> Result<(), TestError<(Bytes, Vec<usize>)>> {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    };
    TestRunner::new(config).run(&anything(), |(bytes, places)| {
        let whole = read(vec![bytes.clone()]);
        prop_assert_eq!(whole, read(cut_at(&bytes, &places)));
        Ok(())
    })
}

pub(super) fn cases() -> u32 {
    match std::env::var("OFFSHOOT_PROOF").as_deref() {
        Ok("full") => 1_000_000,
        _ => 300,
    }
}

#[test]
fn p12_any_bytes_in_any_chunks() {
    same_in_any_chunks(cases(), |chunks| events(&mut Fed::new(chunks), 64)).unwrap();
    same_in_any_chunks(cases(), |chunks| lines(&mut Fed::new(chunks), 64)).unwrap();
}

/// The twin: a framer that splits each chunk by itself and believes that it is text.
#[test]
fn p12_twin_a_framer_that_trusts_its_chunks_fails_the_proof() {
    let naive = |chunks: Vec<Bytes>| -> Vec<String> {
        let texts = chunks
            .iter()
            .map(|chunk| std::str::from_utf8(chunk).unwrap());
        texts
            .flat_map(|text| text.lines().map(str::to_owned))
            .collect()
    };
    same_in_any_chunks(300, naive).unwrap_err();
    let lossy = |chunks: Vec<Bytes>| -> Vec<String> {
        let texts = chunks.iter().map(|chunk| String::from_utf8_lossy(chunk));
        texts
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    };
    same_in_any_chunks(300, lossy).unwrap_err();
}

/// A mark that is not the first thing of a body is part of a field's name, which nobody knows.
#[test]
fn p12_a_mark_anywhere_is_no_panic() {
    for start in [
        "\u{feff}\u{feff}",
        "\n\u{feff}",
        "\r\n\r\n\u{feff}",
        ": c\n\u{feff}",
        ": c\n\n\u{feff}",
    ] {
        for cut in 0..start.len() {
            let body = Bytes::from(format!("{start}data: x\n\ndata: y\n\n\u{feff}data: z\n\n"));
            let (frames, error) = events(&mut Fed::new(cut_at(&body, &[cut])), MAX_EVENT);
            assert_eq!(
                (frames, error),
                (vec![frame("message", "y")], None),
                "{start:?}"
            );
        }
    }
}

/// The twin: the parser alone.
#[test]
fn p12_twin_the_parser_alone_panics_at_a_mark() {
    let body = futures::stream::iter([Ok::<_, Error>("\u{feff}data: x\n\n")]);
    let mut parser = std::pin::pin!(EventStream::new(body));
    let read = AssertUnwindSafe(|| now(parser.next()));
    std::panic::catch_unwind(read).unwrap_err();
}

#[test]
fn p14_endless_lines_and_events_end_at_the_cap() {
    let cap = 1 << 20;
    for (at, chunks) in endless_events().into_iter().enumerate() {
        let mut fed = Fed::new(chunks);
        let (frames, error) = events(&mut fed, cap);
        assert_eq!(frames, []);
        assert_eq!(error.unwrap().kind(), ErrorKind::Limit, "case {at}");
        assert_stopped(&fed, cap);
    }
    let mut fed = Fed::new(endless_line("{"));
    assert_eq!(lines(&mut fed, cap).1.unwrap().kind(), ErrorKind::Limit);
    assert_stopped(&fed, cap);
    let mut fed = Fed::new(endless_line("{"));
    let mut whole = Whole::with_cap(&mut fed, cap);
    let error = now(poll_fn(|cx| whole.poll_frame(cx, Frame::of)))
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_stopped(&fed, cap);
}

fn endless_line(start: &'static str) -> impl Iterator<Item = Bytes> {
    let chunk = Bytes::from(vec![b'x'; 16 << 10]);
    std::iter::once(Bytes::from(start)).chain(std::iter::repeat_n(chunk, 1000))
}

/// Lines without end, and an event of lines without end.
fn endless_events() -> [Vec<Bytes>; 4] {
    let line = Bytes::from(format!("data: {}\n", "y".repeat(1000)));
    [
        endless_line("data: ").collect(),
        endless_line(": a comment ").collect(),
        endless_line("").collect(),
        std::iter::repeat_n(line, 20_000).collect(),
    ]
}

fn assert_stopped(fed: &Fed, cap: usize) {
    let given = fed.given;
    assert!(given <= cap + (64 << 10), "{given} bytes were taken");
}

/// The twin: without a cap a framer takes whatever comes.
#[test]
fn p14_twin_without_a_cap_everything_is_taken() {
    for chunks in endless_events() {
        let mut fed = Fed::new(chunks);
        assert_eq!(events(&mut fed, usize::MAX).1, None);
        let taken = || assert_stopped(&fed, 1 << 20);
        std::panic::catch_unwind(AssertUnwindSafe(taken)).unwrap_err();
    }
}

#[test]
fn p14_the_cap_is_for_one_event_not_for_the_stream() {
    let tiny = Bytes::from("data: x\n\n".repeat(1000));
    let (frames, error) = events(&mut Fed::new(std::iter::repeat_n(tiny, 100)), 64);
    assert_eq!((frames.len(), error), (100_000, None));
    let largest = Bytes::from(format!("data: {}\n\n", "x".repeat(56)));
    let (frames, error) = events(&mut Fed::new([largest]), 64);
    assert_eq!((frames.len(), error), (1, None));
    let too_large = Bytes::from(format!("data: {}\n\n", "x".repeat(57)));
    let (_, error) = events(&mut Fed::new([too_large]), 64);
    assert_eq!(error.unwrap().kind(), ErrorKind::Limit);
}

#[test]
fn pings_and_comments_are_no_progress() {
    for (text, moved) in [
        (
            ": c\n\n:\nevent: ping\ndata: {}\n\nevent:keepalive\ndata: 1\n\n",
            0,
        ),
        ("data: x\n\n", 1),
        ("event: ping2\ndata: x\n\n", 1),
        ("data: x\nevent: ping\n\n", 0),
    ] {
        let mut fed = Fed::new([Bytes::from(text)]);
        let _ = events(&mut fed, MAX_EVENT);
        assert_eq!(fed.moved, moved, "{text:?}");
    }
}

#[test]
fn bytes_that_are_not_text_are_an_error_with_their_place() {
    for at in 0..14 {
        let bytes = Bytes::from_static(b"data: ok\n\ndata: \xff\xfe\n\n");
        let (frames, error) = events(&mut Fed::new(cut_at(&bytes, &[at])), MAX_EVENT);
        assert_eq!(frames, [frame("message", "ok")]);
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains("`16`"), "{error}");
    }
}

/// The twin: the parser alone, fed with raw chunks, does sixteen times the work for four times the
/// event. With whole lines it does four times.
#[test]
fn large_events_in_small_chunks_take_linear_time() {
    const CHUNK: usize = 16 << 10;
    let feed = |size: usize| {
        let text = Bytes::from(format!("data: {}\n\n", "x".repeat(size)));
        let starts = (0..text.len()).step_by(CHUNK);
        starts.map(move |at| text.slice(at..text.len().min(at + CHUNK)))
    };
    let ours = |size: usize| assert_eq!(parse(feed(size))[0].data.len(), size);
    let bare = |size: usize| {
        let chunks = futures::stream::iter(feed(size).map(Ok::<_, Error>));
        let mut parser = std::pin::pin!(EventStream::new(chunks));
        let event = now(parser.next()).unwrap().unwrap();
        assert_eq!(event.data.len(), size);
    };
    // The best of several, because others use this machine too.
    let time = |work: &dyn Fn(usize), size: usize| {
        let times = (0..5).map(|_| {
            let began = Instant::now();
            work(size);
            began.elapsed()
        });
        times.min().unwrap()
    };
    let (part, whole) = (time(&bare, 256 << 10), time(&bare, 1 << 20));
    let (small, large) = (time(&ours, 1 << 20), time(&ours, 8 << 20));
    super::figure(format_args!(
        "parser alone: 256 KiB {part:?}, 1 MiB {whole:?}; by lines: 1 MiB {small:?}, 8 MiB {large:?}"
    ));
    assert!(
        whole > part * 7,
        "the parser alone is not quadratic any more: simplify"
    );
    assert!(
        small * 4 < whole,
        "lines in front of the parser no longer pay"
    );
    assert!(
        large < whole,
        "eight times the event costs more than the parser alone takes for one"
    );
}
