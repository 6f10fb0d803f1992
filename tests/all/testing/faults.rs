//! Faults happen at exactly the byte asked, and the server counts right while they do.
//! Refuses vendors' words: bodies here are bytes whose place can be told.

use std::time::Duration;

use bytes::Bytes;
use offshoot::testing::{Answer, Cut, ModelServer, Reply, Script, Split};
use tokio::time::Instant;

use super::{Client, End, Response, SECOND, ask, question};

/// Bytes of which each differs from its neighbours.
fn body(n: usize) -> Bytes {
    (0..n).map(|i| b'0' + (i % 75) as u8).collect()
}

async fn once(reply: Reply) -> Response {
    let server = ModelServer::start(reply);
    ask(&server, "/v1/messages", &question()).await
}

#[tokio::test]
async fn a_cut_is_at_its_byte() {
    let bytes = body(300);
    let server = ModelServer::start(Script::with({
        let bytes = bytes.clone();
        move |request| {
            let wanted = request.json();
            let at = wanted["at"].as_u64().expect("a place") as usize;
            let how = if wanted["reset"] == true {
                Cut::Reset
            } else {
                Cut::Close
            };
            let reply = Reply::bytes("text/plain", bytes.clone()).cut_at(at, how);
            if wanted["chunked"] == true {
                reply.chunked()
            } else {
                reply
            }
        }
    }));
    for at in [0, 1, 2, 3, 15, 16, 17, 149, 150, 255, 256, 257, 298, 299] {
        for chunked in [true, false] {
            for reset in [true, false] {
                let mut question = question();
                question["at"] = at.into();
                question["chunked"] = chunked.into();
                question["reset"] = reset.into();
                let response = ask(&server, "/v1/messages", &question).await;
                assert_eq!(response.status, 200);
                assert_eq!(response.body, bytes[..at], "{at} {chunked} {reset}");
                let end = if reset { End::Reset } else { End::Closed };
                assert_eq!(response.end, end, "{at} {chunked} {reset}");
            }
        }
    }
    // At the very end: all bytes of a chunked body, but no end mark.
    let mut question = question();
    question["at"] = 300.into();
    question["chunked"] = true.into();
    let response = ask(&server, "/v1/messages", &question).await;
    assert_eq!((response.body.len(), response.end), (300, End::Closed));
}

#[tokio::test]
async fn a_real_stream_can_be_cut_at_every_byte() {
    let whole = once(Reply::answer("A few words.")).await;
    assert_eq!(whole.end, End::Whole);
    let server = ModelServer::start(Script::with(|request| {
        let at = request.json()["at"].as_u64().expect("a place") as usize;
        Reply::answer("A few words.").cut_at(at, Cut::Close)
    }));
    for at in 0..=whole.body.len() {
        let mut question = question();
        question["at"] = at.into();
        let response = ask(&server, "/v1/messages", &question).await;
        assert_eq!(response.body.len(), at);
        assert_eq!(response.end, End::Closed);
    }
    assert_eq!(server.count(), whole.body.len() as u64 + 1);
}

#[tokio::test]
async fn hanging_up_says_nothing() {
    let server = ModelServer::start([Reply::hang_up(Cut::Close), Reply::hang_up(Cut::Reset)]);
    for kind in [
        std::io::ErrorKind::UnexpectedEof,
        std::io::ErrorKind::ConnectionReset,
    ] {
        let mut client = Client::to(&server).await;
        client.post("/v1/messages", &question()).await;
        let error = client.more().await.expect_err("not a byte");
        assert_eq!(error.kind(), kind);
    }
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_stall_is_at_its_byte_and_ends_with_the_client() {
    let server = ModelServer::start(Script::repeat(
        Reply::bytes("text/plain", body(100)).chunked().stall_at(42),
    ));
    let mut client = Client::to(&server).await;
    client.post("/v1/messages", &question()).await;
    let stalled = tokio::time::timeout(Duration::from_millis(300), client.response()).await;
    assert!(stalled.is_err(), "the end never comes");
    assert_eq!(server.open_streams(), 1);
    drop(client);
    server
        .until(SECOND, |s| s.open_streams() == 0)
        .await
        .expect("the stall ends");

    // What came before the stall is exactly so much.
    let server = ModelServer::start(
        Reply::bytes("text/plain", body(100))
            .stall_at(42)
            .content_type("x/y"),
    );
    let mut client = Client::to(&server).await;
    client.post("/v1/messages", &question()).await;
    server
        .until(SECOND, |s| s.open_streams() == 1)
        .await
        .expect("it answers");
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.close().await; // closes the connection, so that the client can read to the end
    let response = client.response().await;
    assert_eq!((response.body.len(), response.end), (42, End::Closed));
    assert_eq!(response.header("content-type"), Some("x/y"));
}

#[tokio::test]
async fn waits_take_their_time() {
    let wait = Duration::from_millis(120);
    for reply in [
        Reply::bytes("text/plain", body(40)).delay(wait),
        Reply::bytes("text/plain", body(40)).stall_for(10, wait),
        Reply::bytes("text/plain", body(40)).drip(10, wait / 3),
        Reply::answer(Answer::text("a").split(Split::Whole).pause(wait / 6)),
    ] {
        let start = Instant::now();
        let response = once(reply.clone()).await;
        let took = start.elapsed();
        assert_eq!(response.end, End::Whole);
        assert!(
            took >= wait && took < wait + SECOND,
            "{took:?} for {reply:?}"
        );
    }
}

#[tokio::test]
async fn pieces_are_as_asked() {
    let plain = || Reply::bytes("text/plain", body(100)).chunked();
    for (reply, expected) in [
        (plain(), vec![100]),
        (plain().chunks_of(30), vec![30, 30, 30, 10]),
        (plain().split_at([99, 1, 50]), vec![1, 49, 49, 1]),
        (plain().drip(60, Duration::ZERO), vec![60, 40]),
        (plain().chunks_of(1), vec![1; 100]),
        (plain().stall_for(33, Duration::ZERO), vec![33, 67]),
    ] {
        let response = once(reply).await;
        assert_eq!(response.chunks, expected);
        assert_eq!(response.body, body(100));
    }
    // A vendor sends each event by itself.
    let response = once(Reply::answer("one two")).await;
    let events: Vec<_> = response
        .text()
        .split_inclusive("\n\n")
        .map(str::len)
        .collect();
    assert_eq!(response.chunks, events);
}

#[tokio::test]
async fn one_byte_is_damaged_and_no_other() {
    let good = body(100);
    let response = once(
        Reply::bytes("text/plain", good.clone())
            .corrupt(7)
            .overwrite(99, b'!'),
    )
    .await;
    let damaged: Vec<_> = (0..100).filter(|i| response.body[*i] != good[*i]).collect();
    assert_eq!(damaged, [7, 99]);
    assert_eq!((response.body[7], response.body[99]), (!good[7], b'!'));
    // In a body of many frames, too.
    let (right, wrong) = (
        once("a b c".into()).await,
        once(Reply::answer("a b c").corrupt(500)).await,
    );
    let damaged: Vec<_> = (0..right.body.len())
        .filter(|i| right.body[*i] != wrong.body[*i])
        .collect();
    assert_eq!(damaged, [500]);
}

#[tokio::test]
async fn faults_combine() {
    let reply = Reply::bytes("text/plain", body(100))
        .chunked()
        .chunks_of(8)
        .corrupt(3)
        .stall_for(20, Duration::from_millis(50))
        .cut_at(30, Cut::Close);
    let response = once(reply).await;
    assert_eq!(response.chunks, [8, 8, 4, 4, 6]);
    assert_eq!((response.body.len(), response.end), (30, End::Closed));
}

#[tokio::test]
async fn a_server_can_lie() {
    let reply = Reply::bytes("text/plain", body(10)).header("content-length", "25");
    let response = once(reply).await;
    assert_eq!((response.body.len(), response.end), (10, End::Closed));
    let server = ModelServer::start(Reply::raw("HTTP/1.1 banana\r\n\r\n"));
    let mut client = Client::to(&server).await;
    client.post("/v1/messages", &question()).await;
    while client.more().await.is_ok() {}
    assert_eq!(client.buffer, b"HTTP/1.1 banana\r\n\r\n");
}

/// Everyone waits in the middle until all are there, so this cannot pass with one stream fewer.
#[tokio::test]
async fn a_thousand_streams_are_open_at_once() {
    const STREAMS: usize = 1000;
    let server = ModelServer::start(Script::repeat(
        Reply::answer("All of us at once.").hold_until(STREAMS),
    ));
    let asks = (0..STREAMS).map(|_| async {
        let question = question();
        ask(&server, "/v1/messages", &question).await
    });
    let responses = futures::future::join_all(asks).await;
    for response in &responses {
        assert_eq!((response.status, &response.end), (200, &End::Whole));
        assert!(
            response
                .text()
                .ends_with("data: {\"type\":\"message_stop\"}\n\n")
        );
    }
    assert_eq!(responses.len(), STREAMS);
    assert_eq!(server.count(), STREAMS as u64);
    assert_eq!(server.peak_streams(), STREAMS);
    server
        .until(SECOND, |s| s.open_streams() == 0)
        .await
        .expect("all are over");
}

#[tokio::test]
async fn a_hold_waits_for_the_last_and_forgets_those_who_left() {
    let server = ModelServer::start(Script::repeat(Reply::answer("x").hold_until(3)));
    let start = async || {
        let mut client = Client::to(&server).await;
        client.post("/v1/messages", &question()).await;
        client
    };
    let (mut first, second) = (start().await, start().await);
    server
        .until(SECOND, |s| s.open_streams() == 2)
        .await
        .expect("two wait");
    let early = tokio::time::timeout(Duration::from_millis(100), first.stream.readable()).await;
    assert!(early.is_ok(), "the first half came");
    drop(second);
    server
        .until(SECOND, |s| s.open_streams() == 1)
        .await
        .expect("one left");
    let mut third = start().await;
    server
        .until(SECOND, |s| s.open_streams() == 2)
        .await
        .expect("two wait again");
    let nobody = tokio::time::timeout(Duration::from_millis(100), async {
        tokio::join!(first.response(), third.response())
    });
    assert!(nobody.await.is_err(), "two of three do not go on");
    assert_eq!(server.open_streams(), 2);
    drop((first, third));
    server
        .until(SECOND, |s| s.open_streams() == 0)
        .await
        .expect("both left");
    let (mut a, mut b, mut c) = (start().await, start().await, start().await);
    let all = async { tokio::join!(a.response(), b.response(), c.response()) };
    let three = tokio::time::timeout(5 * SECOND, all)
        .await
        .expect("three of three go on");
    assert_eq!(
        (three.0.end, three.1.end, three.2.end),
        (End::Whole, End::Whole, End::Whole)
    );
}
