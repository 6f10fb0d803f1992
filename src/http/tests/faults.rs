//! Rows P5, P6, P7 (the cut itself) and P15: refused, broken and foreign answers over real sockets.
//! Refuses to look at deltas: this room gives frames.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::net::TcpListener;

use super::{
    super::{MAX_EVENT, replay},
    Framing, Peer, SSE_HEAD, Server, all, assert_no_secrets, client, data, failure, stream,
};
use crate::error::ErrorKind;

#[tokio::test]
async fn a_good_answer_of_each_framing() {
    let client = client();
    let server = Server::start(|mut peer: Peer| async move {
        let request = peer.request.to_ascii_lowercase();
        assert!(request.starts_with("post /v1/messages?key="));
        assert!(request.contains(concat!("user-agent: offshoot/", env!("CARGO_PKG_VERSION"))));
        assert!(request.contains("content-type: application/json"));
        assert!(request.contains("x-api-key: sk-test-"));
        assert!(request.ends_with("{\"prompt\":\"prompt-text\"}"));
        peer.answer(
            "200 OK",
            "content-type: Text/Event-Stream; charset=utf-8\r\n",
            "event: a\ndata: 1\n\ndata: 2\n\n",
        )
        .await;
    })
    .await;
    assert_eq!(
        data(&client, server.call(Framing::Sse)).await.unwrap(),
        ["1", "2"]
    );
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n";
    let server = Server::saying(format!("{head}{{\"a\":1}}\n{{\"b\":2}}")).await;
    assert_eq!(
        data(&client, server.call(Framing::Lines)).await.unwrap(),
        ["{\"a\":1}", "{\"b\":2}"]
    );
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    let server = Server::saying(format!("{head}{{\"a\":\n1}}")).await;
    assert_eq!(
        data(&client, server.call(Framing::Whole)).await.unwrap(),
        ["{\"a\":\n1}"]
    );
    // No content type at all: what is sent decides.
    let server = Server::saying("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\ndata: 1\n\n").await;
    assert_eq!(
        data(&client, server.call(Framing::Sse)).await.unwrap(),
        ["1"]
    );
}

#[tokio::test]
async fn p5_refusals_are_told_once_with_status_and_request_id() {
    use ErrorKind as K;
    for (status, kind) in [
        (400, K::BadRequest),
        (401, K::Auth),
        (402, K::QuotaExhausted),
        (403, K::Forbidden),
        (404, K::NotFound),
        (405, K::NotFound),
        (408, K::Timeout),
        (409, K::Server),
        (413, K::ContextTooLong),
        (418, K::BadRequest),
        (422, K::BadRequest),
        (429, K::RateLimited),
        (500, K::Server),
        (502, K::Server),
        (503, K::Overloaded),
        (504, K::Timeout),
        (529, K::Overloaded),
    ] {
        let server = Server::start(move |mut peer: Peer| async move {
            let headers = "x-request-id: req_42\r\nretry-after: 7\r\n";
            let body = format!("{{\"error\":\"wrong key sk-test-0123456789abcdef, or sk-other-aaaabbbbcccc, or query-secret-123\", \"tail\":\"{}\"}}", "z".repeat(500));
            peer.answer(&format!("{status} No"), headers, body).await;
        })
        .await;
        let error = failure(&client(), server.call(Framing::Sse)).await;
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
        assert_eq!(error.request_id(), Some("req_42"));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(server.requests(), 1);
        assert_no_secrets(&error);
        let said = error.to_string();
        assert!(
            said.contains("wrong key <redacted>, or <redacted>, or <redacted>"),
            "{said}"
        );
        assert!(said.len() < 350, "{said}");
    }
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let away = Server::saying(format!("{SSE_HEAD}data: stolen\n\n")).await;
    let to = format!("location: http://{}/x?k=query-secret-123\r\n", away.address);
    let server = Server::start(move |mut peer: Peer| {
        let to = to.clone();
        async move { peer.answer("307 Away", &to, "").await }
    })
    .await;
    let error = failure(&client(), server.call(Framing::Sse)).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    assert_no_secrets(&error);
    assert_eq!((server.requests(), away.requests()), (1, 0));
}

#[tokio::test]
async fn p6_nothing_was_sent_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let server = Server::saying("").await;
    let mut call = server.call(Framing::Sse);
    call.url = format!("http://{address}/v1?key=query-secret-123");
    let error = failure(&client(), call).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(!error.is_possibly_billed());
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(error.is_transient() && error.hint().is_some());
    assert_no_secrets(&error);
    for url in [
        "http://no-such-host.invalid/v1?key=query-secret-123",
        "http://127.0.0.1:0/",
    ] {
        let mut call = server.call(Framing::Sse);
        call.url = url.to_owned();
        let error = failure(&client(), call).await;
        assert_eq!(error.kind(), ErrorKind::Connect, "{url}: {error}");
        assert_no_secrets(&error);
    }
}

#[tokio::test]
async fn p6_a_break_after_the_request_may_have_cost_something() {
    for (stage, kind) in [
        ("", ErrorKind::Connect),
        ("HTTP/1.1 20", ErrorKind::Connect),
        (SSE_HEAD, ErrorKind::Disconnected),
    ] {
        let server = Server::start(move |mut peer: Peer| async move {
            peer.send(stage).await;
            peer.reset();
        })
        .await;
        let error = failure(&client(), server.call(Framing::Sse)).await;
        // The reset may overtake the headers.
        assert!(
            error.kind() == kind || stage == SSE_HEAD,
            "{stage:?}: {error:?}"
        );
        assert!(
            error.is_possibly_billed() && error.is_transient(),
            "{stage:?}: {error:?}"
        );
        assert_eq!(server.requests(), 1, "this room does not retry");
        assert_no_secrets(&error);
    }
}

#[tokio::test]
async fn p6_a_reset_before_the_request_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accept = async {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_zero_linger().unwrap();
    };
    let server = Server::saying("").await;
    let mut call = server.call(Framing::Sse);
    call.url = format!("http://{address}/");
    let client = client();
    let (error, ()) = tokio::join!(failure(&client, call), accept);
    assert_eq!(error.kind(), ErrorKind::Connect);
    // Whether the connection stood when it was reset, and so what is billed, is a race.
    assert!(error.is_transient());
}

/// A body with a length, cut at every byte: what was whole comes as frames, then one error.
#[tokio::test]
async fn p7_a_cut_at_every_byte_is_an_error_and_not_an_end() {
    let body = "event: a\ndata: one\n\ndata: two\n\ndata: [DONE]\n\n";
    let ends: Vec<_> = body.match_indices("\n\n").map(|(at, _)| at + 2).collect();
    let client = client();
    for cut in 0..body.len() {
        let text = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{}",
            body.len(),
            &body[..cut]
        );
        let server = Server::saying(text).await;
        let (frames, error) = all(&client, server.call(Framing::Sse)).await;
        let error = error.expect("a cut body is no end");
        assert_eq!(error.kind(), ErrorKind::Disconnected, "cut at {cut}");
        assert!(error.is_possibly_billed());
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(frames.len(), whole, "cut at {cut}");
    }
}

/// What is no answer of an API: how it is read, its head, its body, what the error must name.
fn foreign() -> [(Framing, &'static str, &'static str, &'static str); 12] {
    let gzip = "\u{1f}not really gzip";
    [
        (
            Framing::Sse,
            "content-type: text/html\r\n",
            "<html>sign in with sk-test-0123456789abcdef</html>",
            "text/html",
        ),
        (
            Framing::Sse,
            "content-type: text/event-stream\r\n",
            "<html>",
            "text/event-stream",
        ),
        (
            Framing::Sse,
            "content-type: application/json\r\n",
            "{\"hello\":\"world\"}",
            "application/json",
        ),
        (
            Framing::Sse,
            "content-type: text/plain\r\n",
            "OK",
            "text/plain",
        ),
        (Framing::Sse, "", "<!doctype html>", "not named"),
        (
            Framing::Sse,
            "content-type: text/event-stream\r\ncontent-encoding: gzip\r\n",
            gzip,
            "gzip",
        ),
        (
            Framing::Sse,
            "content-type: application/gzip\r\n",
            gzip,
            "application/gzip",
        ),
        (
            Framing::Lines,
            "content-type: text/html\r\n",
            "<html>",
            "text/html",
        ),
        (
            Framing::Lines,
            "content-type: application/json\r\n",
            "hello",
            "application/json",
        ),
        (
            Framing::Whole,
            "content-type: text/html\r\n",
            "<html>",
            "text/html",
        ),
        (
            Framing::Whole,
            "content-type: application/json\r\n",
            "<html>",
            "application/json",
        ),
        (
            Framing::Whole,
            "content-type: image/png\r\n",
            "{}",
            "image/png",
        ),
    ]
}

#[tokio::test]
async fn p15_what_is_not_the_api_is_named_and_gives_no_frame() {
    for (framing, headers, body, named) in foreign() {
        let server = Server::start(move |mut peer: Peer| async move {
            peer.answer("200 OK", &format!("{headers}request-id: r1\r\n"), body)
                .await;
        })
        .await;
        let error = failure(&client(), server.call(framing)).await;
        let said = error.to_string();
        assert_eq!(
            error.kind(),
            ErrorKind::Decode,
            "{framing:?} {headers:?}: {said}"
        );
        assert!(said.contains(named), "{headers:?}: {said}");
        assert!(!error.is_transient() && error.hint().unwrap().contains("base URL"));
        assert_eq!(error.request_id(), Some("r1"));
        assert_no_secrets(&error);
    }
}

/// The twin: without a look at the head the framers make frames of some, and nothing of others.
#[tokio::test]
async fn p15_twin_framers_alone_do_not_know_what_they_read() {
    for (framing, headers, body, _) in foreign() {
        let frames: Vec<_> = stream(replay(framing, [Bytes::from(body)])).collect().await;
        assert!(
            frames.iter().all(Result::is_ok),
            "{framing:?} {headers:?}: {frames:?}"
        );
    }
}

#[tokio::test]
async fn an_error_object_with_status_200_is_for_the_vendor_to_read() {
    for (kind, body) in [
        (
            "application/json",
            "{\"error\":{\"type\":\"overloaded_error\"}}",
        ),
        ("text/event-stream", "\n {\"error\":\"no\"}"),
        ("application/json", "[{\"error\":{\"code\":503}}]"),
    ] {
        let server = Server::start(move |mut peer: Peer| async move {
            peer.answer("200 OK", &format!("content-type: {kind}\r\n"), body)
                .await;
        })
        .await;
        let mut call = server.call(Framing::Sse);
        call.classify = |reply| {
            assert_eq!(reply.status, 200);
            crate::error::Error::new(ErrorKind::Overloaded, reply.body.trim())
        };
        let error = failure(&client(), call).await;
        assert_eq!(error.kind(), ErrorKind::Overloaded);
        assert_eq!(error.to_string(), body.trim());
    }
}

#[tokio::test]
async fn p14_an_endless_line_over_a_socket_is_refused() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.send(format!("{SSE_HEAD}data: ")).await;
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..64 {
            peer.send(&chunk).await;
        }
    })
    .await;
    let error = failure(&client(), server.call(Framing::Sse)).await;
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(
        error.to_string().contains(&MAX_EVENT.to_string()),
        "{error}"
    );
}
