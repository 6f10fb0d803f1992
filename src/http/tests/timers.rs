//! Rows P10 and P11 and invariant 18: which timer runs out, when, and that no reader's pause counts.
//! Refuses to wait for real minutes: the clock is paused, only sockets are real where there are any.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use tokio::time::{Instant, advance, sleep};

use super::{
    super::{
        Frames, Hindsight,
        body::Chunks,
        client::Settings,
        sse::Events,
        watch::{Timers, Watch},
    },
    Client, Frame, Framing, Peer, SSE_HEAD, Server, all, client, failure, figure, stream,
};
use crate::error::{Error, ErrorKind, Result};

const FIRST_BYTE: Duration = Duration::from_secs(120);
const IDLE: Duration = Duration::from_secs(300);
const NO_PROGRESS: Duration = Duration::from_secs(600);

/// Chunks that come at their time, behind the real timers.
struct Timed {
    chunks: VecDeque<(Instant, &'static str)>,
    watch: Watch,
}

impl Timed {
    fn new(rows: &[(u64, &'static str)]) -> Self {
        let timers = Timers {
            first_byte: FIRST_BYTE,
            idle: IDLE,
            no_progress: NO_PROGRESS,
        };
        let now = Instant::now();
        let rows = rows.iter();
        Self {
            chunks: rows
                .map(|(at, text)| (now + Duration::from_secs(*at), *text))
                .collect(),
            watch: Watch::new(timers, "vendor".into()),
        }
    }
}

impl Chunks for Timed {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        match self.chunks.front().copied() {
            Some((at, text)) if at <= Instant::now() => {
                self.chunks.pop_front();
                self.watch.came();
                Poll::Ready(Some(Ok(Bytes::from(text))))
            }
            next => {
                if let Some((at, _)) = next {
                    wake_at(at, cx.waker().clone());
                }
                self.watch.poll_quiet(cx).map(|error| Some(Err(error)))
            }
        }
    }

    fn moved(&mut self) {
        self.watch.moved();
    }
}

fn wake_at(at: Instant, waker: Waker) {
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        tokio::time::sleep_until(at).await;
        waker.wake();
    });
    tasks.detach_all();
}

/// Frames with the second they came at, and the error with the second it came at.
async fn run(timed: Timed) -> (Vec<(u64, String)>, Option<(f64, Error)>) {
    let began = Instant::now();
    let mut events = Events::new(timed);
    let mut frames = Vec::new();
    loop {
        match poll_fn(|cx| events.poll_frame(cx, Frame::of)).await {
            Some(Ok(frame)) => frames.push((began.elapsed().as_secs(), frame.data)),
            Some(Err(error)) => return (frames, Some((began.elapsed().as_secs_f64(), error))),
            None => return (frames, None),
        }
    }
}

fn assert_about(got: f64, wanted: f64) {
    assert!(
        got >= wanted && got <= wanted * 1.01,
        "{got} is not {wanted} + 1 %"
    );
}

#[tokio::test(start_paused = true)]
async fn p10_each_timer_runs_out_at_its_time_and_says_which() {
    // Stalls before the first byte, after an event, inside an event, after slow events.
    let slow: Vec<_> = (0..20).map(|at| (at * 290, "data: 1\n\n")).collect();
    let pings: Vec<_> = (0..200)
        .map(|at| (at * 15, "event: ping\ndata: {}\n\n"))
        .collect();
    let comments: Vec<_> = (0..200).map(|at| (at * 15, ": still here\n\n")).collect();
    let mut late_pings = vec![(0, "data: 1\n\n"), (100, "data: 2\n\n")];
    late_pings.extend((1..200).map(|at| (100 + at * 15, "event: ping\ndata: {}\n\n")));
    let never = (1_000_000, "data: late\n\n");
    let with_never = |rows: &[(u64, &'static str)]| [rows, &[never]].concat();
    for (name, rows, timer, wanted) in [
        ("headers", with_never(&[]), "first-byte timer", 120.0),
        (
            "after an event",
            with_never(&[(5, "data: 1\n\n")]),
            "idle timer",
            305.0,
        ),
        (
            "inside an event",
            with_never(&[(5, "data: 1\n\ndata")]),
            "idle timer",
            305.0,
        ),
        (
            "slow events",
            with_never(&slow),
            "idle timer",
            19.0 * 290.0 + 300.0,
        ),
        ("pings only", with_never(&pings), "no-progress timer", 600.0),
        (
            "comments only",
            with_never(&comments),
            "no-progress timer",
            600.0,
        ),
        (
            "pings after events",
            with_never(&late_pings),
            "no-progress timer",
            700.0,
        ),
    ] {
        let (_, error) = run(Timed::new(&rows)).await;
        let (at, error) = error.unwrap();
        figure(format_args!("{name}: {at:.3} s, {error}"));
        assert_about(at, wanted);
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().starts_with(timer), "{name}: {error}");
        assert!(error.is_possibly_billed());
    }
}

#[tokio::test(start_paused = true)]
async fn p11_a_drip_ends_at_the_reader_s_deadline_or_without_an_event_at_no_progress() {
    let mut rows: Vec<(u64, &'static str)> = vec![(0, "data: ")];
    rows.extend((1..5_000).map(|at| (at, "x")));
    let read = tokio::time::timeout(Duration::from_secs(500), run(Timed::new(&rows))).await;
    assert!(
        read.is_err(),
        "a drip is alive: the reader's own deadline ends it"
    );
    let (at, error) = run(Timed::new(&rows)).await.1.unwrap();
    assert_about(at, 600.0);
    assert!(
        error.to_string().starts_with("no-progress timer"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_large_event_on_a_slow_line_is_progress() {
    let piece: &'static str = "0123456789abcdef".repeat(512).leak();
    let mut rows: Vec<(u64, &'static str)> = vec![(0, "data: ")];
    rows.extend((1..100).map(|at| (at * 100, piece)));
    rows.push((10_000, "\n\n"));
    let (frames, error) = run(Timed::new(&rows)).await;
    assert_eq!(frames[0].0, 10_000);
    assert_eq!(frames[0].1.len(), 99 * 8192);
    // Nothing comes after it.
    assert_about(error.unwrap().0, 10_300.0);
}

#[tokio::test(start_paused = true)]
async fn invariant_18_no_timer_runs_while_nobody_reads() {
    let hour = Duration::from_secs(3600);
    // The data is there when the reader comes back.
    let mut events = Events::new(Timed::new(&[(0, "data: 1\n\n"), (10, "data: 2\n\n")]));
    assert!(
        poll_fn(|cx| events.poll_frame(cx, Frame::of))
            .await
            .unwrap()
            .is_ok()
    );
    sleep(hour).await;
    assert_eq!(
        poll_fn(|cx| events.poll_frame(cx, Frame::of))
            .await
            .unwrap()
            .unwrap()
            .data,
        "2"
    );

    // It is not there yet, and the reader had looked for it before it went away.
    let rows = [(0, "data: 1\n\n"), (3_610, "data: 2\n\n")];
    let mut events = Events::new(Timed::new(&rows));
    assert!(
        poll_fn(|cx| events.poll_frame(cx, Frame::of))
            .await
            .unwrap()
            .is_ok()
    );
    let mut nobody = Context::from_waker(Waker::noop());
    assert!(events.poll_frame(&mut nobody, Frame::of).is_pending());
    advance(hour).await;
    assert_eq!(
        poll_fn(|cx| events.poll_frame(cx, Frame::of))
            .await
            .unwrap()
            .unwrap()
            .data,
        "2"
    );
}

/// However many events come, the sleep is armed about once for each time it could have run out.
#[tokio::test(start_paused = true)]
async fn no_timer_is_armed_for_each_delta() {
    let rows: Vec<_> = (0..3_000).map(|at| (at, "data: 1\n\n")).collect();
    let timed = Timed::new(&rows);
    let (frames, error) = run(timed).await;
    assert_eq!((frames.len(), error.is_none()), (3_000, false));

    let timers = Timers {
        first_byte: FIRST_BYTE,
        idle: IDLE,
        no_progress: NO_PROGRESS,
    };
    let mut watch = Watch::new(timers, "".into());
    let mut nobody = Context::from_waker(Waker::noop());
    let mut armed = 0;
    let mut before = watch.armed_for();
    for _ in 0..3_000 {
        assert!(watch.poll_quiet(&mut nobody).is_pending());
        advance(Duration::from_secs(1)).await;
        watch.came();
        watch.moved();
        armed += usize::from(watch.armed_for() != before);
        before = watch.armed_for();
    }
    assert!(
        (1..=15).contains(&armed),
        "armed {armed} times in 3,000 deltas"
    );
}

#[tokio::test]
async fn p10_a_real_stall_at_every_stage() {
    let millis = Duration::from_millis;
    for (sent, wanted, frames) in [
        ("", "first-byte timer", 0),
        ("HTTP/1.1 200 OK\r\ncontent-", "first-byte timer", 0),
        (SSE_HEAD, "first-byte timer", 0),
        (&format!("{SSE_HEAD}data: 1\n\n"), "idle timer", 1),
        (&format!("{SSE_HEAD}data: 1\n\ndata: 2"), "idle timer", 1),
    ] {
        let text = sent.to_owned();
        let server = Server::start(move |mut peer: Peer| {
            let text = text.clone();
            async move {
                peer.send(text).await;
                sleep(Duration::from_secs(30)).await;
            }
        })
        .await;
        let mut call = server.call(Framing::Sse);
        (call.first_byte, call.idle) = (millis(150), millis(200));
        let began = std::time::Instant::now();
        let (got, error) = all(&client(), call).await;
        let (error, took) = (error.unwrap(), began.elapsed());
        assert_eq!(got.len(), frames, "{sent:?}");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().starts_with(wanted), "{sent:?}: {error}");
        assert!(
            took >= millis(150) && took < millis(1_000),
            "{sent:?}: {took:?}"
        );
    }
}

#[tokio::test]
async fn p10_real_pings_do_not_count_as_progress() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.send(SSE_HEAD).await;
        for _ in 0..200 {
            peer.send("event: ping\ndata: {}\n\n: and a comment\n\n")
                .await;
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let client = Client::with_settings(Settings {
        no_progress: Duration::from_millis(300),
        ..Settings::default()
    });
    let began = std::time::Instant::now();
    let (frames, error) = all(&client, server.call(Framing::Sse)).await;
    assert!(frames.iter().all(|frame| frame.event == "ping") && frames.len() > 5);
    let error = error.unwrap();
    assert!(
        error.to_string().starts_with("no-progress timer"),
        "{error}"
    );
    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(280) && took < Duration::from_millis(1_500),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_connection_that_is_never_made_has_a_timer_of_its_own() {
    // Nobody accepts: the queue of the listener is full, and the kernel drops what else comes.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut full = Vec::new();
    for _ in 0..8 {
        let connect = tokio::net::TcpStream::connect(address);
        let limit = Duration::from_millis(50);
        full.push(tokio::time::timeout(limit, connect).await);
    }
    let client = Client::with_settings(Settings {
        connect: Duration::from_millis(200),
        ..Settings::default()
    });
    let server = Server::saying("").await;
    let mut call = server.call(Framing::Sse);
    call.url = format!("http://{address}/");
    let error = failure(&client, call).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().starts_with("connect timer"), "{error}");
    assert!(!error.is_possibly_billed(), "nothing was sent");
}

#[tokio::test]
async fn invariant_18_a_pausing_reader_of_a_real_socket_loses_nothing() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.send(format!("{SSE_HEAD}data: 1\n\n")).await;
        sleep(Duration::from_millis(50)).await;
        peer.send("data: 2\n\n").await;
    })
    .await;
    let mut call = server.call(Framing::Sse);
    (call.first_byte, call.idle) = (Duration::from_millis(500), Duration::from_millis(150));
    let mut stream = stream(client().open(call, Hindsight::default()));
    assert_eq!(stream.next().await.unwrap().unwrap().data, "1");
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(stream.next().await.unwrap().unwrap().data, "2");
    assert!(stream.next().await.is_none());
}
