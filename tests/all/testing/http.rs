//! The server is a correct HTTP/1.1 server where it is not asked to fail.
//! Refuses to be gentle: requests come in pieces, together, and wrong.

use bytes::Bytes;
use offshoot::testing::{Answer, Format, Limits, ModelServer, Reply, Script};
use serde_json::json;

use super::{Client, End, SECOND, ask, question};

#[tokio::test]
async fn a_connection_is_kept_and_requests_are_recorded() {
    let server = ModelServer::start(["one", "two", "three"]);
    let mut client = Client::to(&server).await;
    for word in ["one", "two", "three"] {
        client.post("/v1/messages?beta=true", &question()).await;
        let response = client.response().await;
        assert_eq!(response.end, End::Whole);
        assert!(response.text().contains(word));
        assert_eq!(
            response.header("content-type"),
            Some("text/event-stream; charset=utf-8")
        );
        assert!(response.header("date").is_some() && response.header("request-id").is_some());
        assert_eq!(server.open_streams(), 0, "over when its end is read");
    }
    assert_eq!(
        (server.count(), server.connections(), server.peak_streams()),
        (3, 1, 1)
    );
    let requests = server.requests();
    assert_eq!(requests[2].number, 3);
    assert_eq!(
        (requests[0].method.as_str(), requests[0].path.as_str()),
        ("POST", "/v1/messages")
    );
    assert_eq!(
        (requests[0].query.as_str(), requests[0].format),
        ("beta=true", Format::Anthropic)
    );
    assert_eq!(requests[0].header("HOST"), Some("x"));
    assert_eq!(requests[0].json(), question());
    assert!(requests[0].at <= requests[1].at);
    assert!(requests[0].wants_stream());
}

#[tokio::test]
async fn requests_may_come_byte_by_byte_or_together() {
    let server = ModelServer::start(Script::repeat("x"));
    let body = question().to_string();
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut client = Client::to(&server).await;
    for byte in request.as_bytes() {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.response().await.status, 200);
    client.send(request.repeat(5)).await;
    for _ in 0..5 {
        assert_eq!(client.response().await.end, End::Whole);
    }
    assert_eq!(server.count(), 6);
}

#[tokio::test]
async fn chunked_bodies_and_expectations_are_understood() {
    let server = ModelServer::start(Script::repeat("x"));
    let mut client = Client::to(&server).await;
    let body = question().to_string();
    let (front, back) = body.split_at(20);
    client
        .send("POST /v1/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.response().await.status, 100);
    client
        .send(format!(
            "{:x};a=b\r\n{front}\r\n{:X}\r\n{back}\r\n",
            front.len(),
            back.len()
        ))
        .await;
    client.send("0\r\nSome-Trailer: x\r\n\r\n").await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(server.requests()[0].json(), question());
}

#[tokio::test]
async fn old_clients_read_to_the_end_of_the_connection() {
    let server = ModelServer::start(Script::repeat("x"));
    let body = question().to_string();
    let mut client = Client::to(&server).await;
    client
        .send(format!(
            "POST /v1/messages HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    let response = client.response().await;
    assert_eq!((response.status, response.end), (200, End::Closed));
    assert_eq!(response.header("transfer-encoding"), None);
    assert!(response.body.ends_with(b"message_stop\"}\n\n"));
}

#[tokio::test]
async fn a_client_may_close_the_connection_after_the_answer() {
    let server = ModelServer::start(Script::repeat(Reply::bytes("text/plain", "ok")));
    let body = question().to_string();
    let mut client = Client::to(&server).await;
    client
        .send(format!("POST /v1/messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
        .await;
    let response = client.response().await;
    assert_eq!(
        (response.header("connection"), response.text()),
        (Some("close"), "ok")
    );
    assert!(client.more().await.is_err(), "closed");
}

#[tokio::test]
async fn other_paths_and_methods() {
    let server = ModelServer::start(Script::repeat("x"));
    server.page("/hello", Reply::bytes("text/html", "<p>hi</p>"));
    let mut client = Client::to(&server).await;
    for (line, status, inside) in [
        ("GET /nothing", 404, "nothing at this path"),
        ("GET /v1/messages", 405, "use POST"),
        ("GET /hello", 200, "<p>hi</p>"),
        ("POST /hello", 405, "use GET"),
        ("GET /api/version", 200, "version"),
        ("GET /api/tags", 200, "scripted:latest"),
        ("GET http://example.org/hello?x", 200, "<p>hi</p>"),
    ] {
        client
            .send(format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await;
        let response = client.response().await;
        assert_eq!(response.status, status, "{line}");
        assert!(
            response.text().contains(inside),
            "{line}: {}",
            response.text()
        );
    }
    for path in ["/hello", "/nothing"] {
        client
            .send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await;
        let full = client.response().await;
        client
            .send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await;
        let head = client.head_response().await;
        assert_eq!(head.status, full.status);
        let length = full.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()));
    }
    assert_eq!(server.count(), 0, "none of these asks a model");
    client.post("/v1/messages", &question()).await;
    assert_eq!(
        client.response().await.status,
        200,
        "and the connection still works"
    );
}

#[tokio::test]
async fn bad_requests_are_told_and_the_connection_ends() {
    let mut limits = Limits::default();
    limits.head_bytes = 2000;
    limits.body_bytes = 1000;
    let server = ModelServer::start_with(Script::repeat("x"), limits);
    let post = "POST /v1/messages HTTP/1.1\r\nHost: x\r\n";
    for (request, status) in [
        ("\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".to_owned(), 400),
        ("POST /v1/messages HTTP/2.0\r\n\r\n".to_owned(), 505),
        ("POST /v1/messages HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("{post}Content-Length: x\r\n\r\n"), 400),
        (format!("{post}Content-Length: +1\r\n\r\n"), 400),
        (
            format!("{post}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            400,
        ),
        (format!("{post}Content-Length: 1001\r\n\r\n"), 413),
        (
            format!("{post}Content-Length: 99999999999999999999999\r\n\r\n"),
            413,
        ),
        (
            format!("{post}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            400,
        ),
        (format!("{post}Transfer-Encoding: gzip\r\n\r\n"), 501),
        (format!("{post}Expect: magic\r\n\r\n"), 417),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
            400,
        ),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\n1\r\nabc"),
            400,
        ),
        (
            format!("{post}Transfer-Encoding: chunked\r\n\r\nffff\r\n"),
            413,
        ),
        (format!("{post}X: {}\r\n", "x".repeat(3000)), 431),
        (format!("{post}{}\r\n", "A: b\r\n".repeat(200)), 431),
    ] {
        let mut client = Client::to(&server).await;
        client.send(&request).await;
        let response = client.response().await;
        assert_eq!(response.status, status, "{request:?}: {}", response.text());
        assert!(response.json()["error"]["message"].is_string());
        assert!(client.more().await.is_err(), "closed");
    }
    assert_eq!((server.count(), server.open_streams()), (0, 0));
}

#[tokio::test]
async fn scripts_are_lists_closures_or_one_reply() {
    let server = ModelServer::start([Answer::text("only one")]);
    assert_eq!(ask(&server, "/v1/messages", &question()).await.status, 200);
    let response = ask(&server, "/v1/messages", &question()).await;
    assert_eq!(
        (response.status, response.header("x-should-retry")),
        (400, Some("false"))
    );
    assert!(
        response
            .text()
            .contains("the script of 1 replies has none for request: `2`")
    );

    let server = ModelServer::start(Script::with(|request| match request.number {
        1 => Reply::json(&json!({"error": "slow"}))
            .status(429)
            .header("retry-after", "0.5"),
        2 => panic!("the test is wrong"),
        n => Reply::answer(format!("{} {n}", request.model())),
    }));
    let response = ask(&server, "/v1/messages", &question()).await;
    assert_eq!(
        (response.status, response.header("retry-after")),
        (429, Some("0.5"))
    );
    let response = ask(&server, "/v1/messages", &question()).await;
    assert!(
        response
            .text()
            .contains("the script panicked at request: `2`")
    );
    let response = ask(&server, "/v1/messages", &question()).await;
    assert!(
        response.text().contains(r#""text":"m ""#) && response.text().contains(r#""text":"3""#)
    );
}

#[tokio::test]
async fn limits_hold() {
    let mut limits = Limits::default();
    limits.kept_requests = 2;
    limits.connections = 2;
    let server = ModelServer::start_with(Script::repeat("x"), limits);
    let mut first = Client::to(&server).await;
    for _ in 0..5 {
        first.post("/v1/messages", &question()).await;
        first.response().await;
    }
    let numbers: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.number)
        .collect();
    assert_eq!((numbers, server.count()), (vec![4, 5], 5));
    let _second = Client::to(&server).await;
    server
        .until(SECOND, |s| s.connections() == 2)
        .await
        .expect("two connections");
    let mut third = Client::to(&server).await;
    assert!(third.more().await.is_err(), "closed at once");
}

#[tokio::test]
async fn dropping_the_server_closes_everything() {
    let server = ModelServer::start(Script::repeat(Answer::text("x").stall_after(1)));
    let mut client = Client::to(&server).await;
    client.post("/v1/messages", &question()).await;
    server
        .until(SECOND, |s| s.open_streams() == 1)
        .await
        .expect("it answers");
    let address = server.address();
    drop(server);
    let response = client.response().await;
    assert_eq!(response.end, End::Closed);
    tokio::time::timeout(SECOND, async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("nobody listens any more");
}

#[tokio::test]
async fn large_bodies_go_both_ways() {
    let large = Bytes::from(vec![b'x'; 8 << 20]);
    let server = ModelServer::start(Script::repeat(Reply::bytes("text/plain", large.clone())));
    let mut question = question();
    question["padding"] = "y".repeat(4 << 20).into();
    for _ in 0..2 {
        let response = ask(&server, "/v1/messages", &question).await;
        assert_eq!(response.body, large);
    }
    assert_eq!(server.requests()[1].json(), question);
}
