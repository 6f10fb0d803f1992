//! Connections: what cannot be made, TLS, who closes, who keeps, and a thousand at once.
//! Refuses to look at what an answer says.

use std::time::Duration;

use futures::StreamExt;

use super::{
    super::Hindsight, Framing, Peer, SSE_HEAD, Server, assert_no_secrets, client, data, failure,
    stream,
};
use crate::error::ErrorKind;

#[tokio::test]
async fn settings_that_cannot_work_are_told_without_a_request() {
    let server = Server::saying("").await;
    for url in [
        "not a url?key=query-secret-123",
        "ftp://user:query-secret-123@host/",
        "http://",
        "",
    ] {
        let mut call = server.call(Framing::Sse);
        call.url = url.to_owned();
        let error = failure(&client(), call).await;
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        assert_no_secrets(&error);
    }
    let mut call = server.call(Framing::Sse);
    call.headers = vec![("x-api-key", format!("{}\n", super::KEY))];
    let error = failure(&client(), call).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("x-api-key"), "{error}");
    assert_no_secrets(&error);
    assert_eq!(server.requests(), 0);
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn tls_works_up_to_a_certificate_nobody_trusts() {
    // A server that does not speak TLS: the error is one of the connection, and nothing was sent.
    let server = Server::saying("HTTP/1.1 400 No\r\n\r\n").await;
    let mut call = server.call(Framing::Sse);
    call.url = format!("https://{}/", server.address);
    (call.first_byte, call.idle) = (Duration::from_secs(2), Duration::from_secs(2));
    let client = super::Client::with_settings(super::Settings {
        connect: Duration::from_millis(500),
        ..super::Settings::default()
    });
    data(&client, server.call(Framing::Whole))
        .await
        .unwrap_err();
    assert!(!client.has_tls(), "http sets up no TLS");
    let error = failure(&client, call).await;
    assert!(client.has_tls());
    assert!(
        matches!(error.kind(), ErrorKind::Connect | ErrorKind::Timeout),
        "{error}"
    );
    assert!(!error.is_possibly_billed());
}

#[cfg(not(feature = "rustls"))]
#[tokio::test]
async fn https_without_tls_says_what_is_missing() {
    let server = Server::saying("").await;
    let mut call = server.call(Framing::Sse);
    call.url = "https://example.com/".to_owned();
    let error = failure(&client(), call).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint().unwrap().contains("rustls"));
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let (closed, mut is_closed) = tokio::sync::mpsc::channel(1);
    let server = Server::start(move |mut peer: Peer| {
        let closed = closed.clone();
        async move {
            peer.send(format!("{SSE_HEAD}data: 1\n\n")).await;
            let mut byte = [0];
            let _ = tokio::io::AsyncReadExt::read(&mut peer.socket, &mut byte).await;
            let _ = closed.send(()).await;
        }
    })
    .await;
    {
        let mut stream = stream(client().open(server.call(Framing::Sse), Hindsight::default()));
        assert!(stream.next().await.unwrap().is_ok());
    }
    let seen = tokio::time::timeout(Duration::from_secs(2), is_closed.recv()).await;
    assert_eq!(seen, Ok(Some(())));
}

/// A reader that stops at the vendor's end mark, before the end of the body, does not cost the next
/// call a connection where the rest of the body has come already.
#[tokio::test]
async fn a_finished_answer_leaves_its_connection_to_the_next_call() {
    for reads_on in [Reads::ToTheEnd, Reads::ToTheMark] {
        let server = Server::start(|mut peer: Peer| async move {
            loop {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                    transfer-encoding: chunked\r\n\r\n";
                peer.send(format!(
                    "{head}9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"
                ))
                .await;
                if super::read_request(&mut peer.socket).await.is_none() {
                    return;
                }
            }
        })
        .await;
        let client = client();
        for _ in 0..20 {
            let mut stream = stream(client.open(server.call(Framing::Sse), Hindsight::default()));
            assert_eq!(stream.next().await.unwrap().unwrap().data, "1");
            assert_eq!(stream.next().await.unwrap().unwrap().data, "2");
            if reads_on == Reads::ToTheEnd {
                assert!(stream.next().await.is_none());
            }
        }
        // The connection's own task must notice the end before the next call asks: now and then
        // it is late, and a new one is made.
        let most = if reads_on == Reads::ToTheEnd { 1 } else { 10 };
        let connections = server.requests();
        assert!(
            connections <= most,
            "{reads_on:?}: {connections} connections"
        );
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reads {
    ToTheEnd,
    ToTheMark,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_are_open_at_once() {
    const STREAMS: usize = 1_000;
    let gate = std::sync::Arc::new(tokio::sync::Barrier::new(STREAMS));
    let server = Server::start(move |mut peer: Peer| {
        let gate = std::sync::Arc::clone(&gate);
        async move {
            peer.send(format!("{SSE_HEAD}data: 1\n\n")).await;
            // No stream ends before all have begun.
            gate.wait().await;
            peer.send("data: 2\n\n").await;
        }
    })
    .await;
    let client = client();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..STREAMS {
        let (client, call) = (client.clone(), server.call(Framing::Sse));
        tasks.spawn(async move { data(&client, call).await.unwrap() });
    }
    let answers = tokio::time::timeout(Duration::from_secs(60), tasks.join_all())
        .await
        .unwrap();
    assert_eq!(answers.len(), STREAMS);
    assert!(answers.iter().all(|answer| answer == &["1", "2"]));
    assert_eq!(server.requests(), STREAMS);
}
