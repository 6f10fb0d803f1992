//! Calls that share a connection: HTTP/2 against a server that counts, HTTP/1.1 where it knows no better.
//! Refuses certificates from a file: they are made here, and trusted by the test's client only.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::{sync::Barrier, task::JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{
    super::{client::Trust, departures::Rush},
    Arc, AtomicUsize, Call, Client, Framing, Governor, Hindsight, Ordering, Pace, Settings,
    SocketAddr, TcpListener, call_to, data, read_request,
};

/// Frames of an answer; the last comes when all calls of a wave have been asked.
const FIRST: &str = "data: 1\n\n";
const LAST: &str = "data: 2\n\n";

/// A server with TLS, and a client that trusts it.
struct Secure {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// The most handshakes that were open at once.
    shaking: Arc<AtomicUsize>,
    client: Client,
    _tasks: JoinSet<()>,
}

#[derive(Clone, Copy, PartialEq)]
enum Speaks {
    Http2,
    Http1,
}

impl Secure {
    /// Each answer ends when so many calls are open.
    async fn start(speaks: Speaks, wave: usize) -> Self {
        Self::shaking(speaks, wave, Duration::ZERO, Rush::default()).await
    }

    /// As [`start`](Self::start), with handshakes that take their time and a client that sets out
    /// like this.
    async fn shaking(speaks: Speaks, wave: usize, takes: Duration, rush: Rush) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (certificate, key) = (own.cert.der().clone(), own.signing_key.serialize_der());
        let mut settings = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.clone()],
                PrivatePkcs8KeyDer::from(key).into(),
            )
            .unwrap();
        if speaks == Speaks::Http2 {
            settings.alpn_protocols = vec![b"h2".to_vec()];
        }
        let mut trusted = rustls::RootCertStore::empty();
        trusted.add(certificate).unwrap();

        let acceptor = TlsAcceptor::from(Arc::new(settings));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let shaking = Arc::new(AtomicUsize::new(0));
        let (most, now) = (Arc::clone(&shaking), Arc::new(AtomicUsize::new(0)));
        let gate = Arc::new(Barrier::new(wave));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut peers = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, count, gate) = (acceptor.clone(), count.clone(), gate.clone());
                let (most, now) = (most.clone(), now.clone());
                peers.spawn(async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::time::sleep(takes).await;
                    let shaken = acceptor.accept(socket).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    let Ok(socket) = shaken else {
                        return;
                    };
                    count.fetch_add(1, Ordering::SeqCst);
                    match speaks {
                        Speaks::Http2 => http2(socket, gate).await,
                        Speaks::Http1 => http1(socket, gate).await,
                    }
                });
            }
        });
        let client = Client::with_settings(Settings {
            governor: Some(Governor::new(Pace::default())),
            trust: Trust::Only(trusted),
            rush,
            ..Settings::default()
        });
        Self {
            address,
            connections,
            shaking,
            client,
            _tasks: tasks,
        }
    }

    fn call(&self) -> Call {
        let url = format!("https://{}/v1/messages", self.address);
        let call = call_to(self.address, Framing::Sse);
        Call { url, ..call }
    }

    /// So many calls at once, all of which must be answered in full.
    async fn wave(&self, calls: usize) {
        let mut tasks = JoinSet::new();
        for _ in 0..calls {
            let (client, call) = (self.client.clone(), self.call());
            tasks.spawn(async move { data(&client, call).await.unwrap() });
        }
        let answers = tokio::time::timeout(Duration::from_secs(60), tasks.join_all());
        let answers = answers.await.expect("all are open at once");
        assert_eq!(answers.len(), calls);
        assert!(answers.iter().all(|answer| answer == &["1", "2"]));
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

type Socket = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;

async fn http2(socket: Socket, gate: Arc<Barrier>) {
    let mut connection = h2::server::Builder::new()
        .max_concurrent_streams(1_000)
        .handshake::<_, Bytes>(socket)
        .await
        .unwrap();
    let mut calls = JoinSet::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let gate = Arc::clone(&gate);
        calls.spawn(async move {
            let response = http::Response::builder()
                .header("content-type", "text/event-stream")
                .body(())
                .unwrap();
            let mut stream = respond.send_response(response, false).unwrap();
            if request.uri().path() == "/flood" {
                // As much as the other side has room for.
                loop {
                    stream.reserve_capacity(1 << 20);
                    let room = futures::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                    let Some(Ok(room)) = room else { return };
                    let line = format!("data: {}\n\n", "x".repeat(room.saturating_sub(8)));
                    if stream.send_data(line.into(), false).is_err() {
                        return;
                    }
                }
            }
            stream.send_data(FIRST.into(), false).unwrap();
            gate.wait().await;
            stream.send_data(LAST.into(), true).unwrap();
        });
    }
}

async fn http1(mut socket: Socket, gate: Arc<Barrier>) {
    use tokio::io::AsyncWriteExt;
    while read_request(&mut socket).await.is_some() {
        let size = FIRST.len() + LAST.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {size}\r\n\r\n"
        );
        let begin = head + FIRST;
        socket.write_all(begin.as_bytes()).await.unwrap();
        gate.wait().await;
        socket.write_all(LAST.as_bytes()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_calls_share_one_connection() {
    let server = Secure::start(Speaks::Http2, 100).await;
    for _ in 0..3 {
        server.wave(100).await;
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hundred_and_first_call_opens_another_connection() {
    let server = Secure::start(Speaks::Http2, 250).await;
    server.wave(250).await;
    server.wave(250).await;
    assert_eq!(server.connections(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_knows_only_http1_has_a_connection_for_each_call() {
    let server = Secure::start(Speaks::Http1, 120).await;
    server.wave(120).await;
    let first = server.connections();
    server.wave(120).await;
    assert_eq!(first, 120);
    assert!(server.connections() <= 2 * first);
}

/// The most handshakes at once of a rush of 200 calls, all of which are open at once in the end.
async fn handshakes_of_a_rush(at_once: u32) -> usize {
    let takes = Duration::from_millis(100);
    let rush = Rush {
        at_once,
        hold: Duration::from_secs(3600),
        ..Rush::default()
    };
    let server = Secure::shaking(Speaks::Http1, 200, takes, rush).await;
    // What the server speaks is known from its first connection.
    let mut first = super::stream(server.client.open(server.call(), Hindsight::default()));
    assert!(first.next().await.unwrap().is_ok());
    drop(first);
    server.wave(199).await;
    server.shaking.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rush_of_calls_makes_its_connections_in_turn() {
    let most = handshakes_of_a_rush(8).await;
    super::figure(format_args!("200 calls: {most} handshakes at once"));
    // The server may hear later than we do that one is over.
    assert!((2..=60).contains(&most), "{most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twin_a_rush_without_turns_makes_all_at_once() {
    let most = handshakes_of_a_rush(100_000).await;
    assert!(most > 60, "{most}");
}

/// Ten calls behind one that has begun to make the connection and is not polled any more: whether all
/// are answered within ten seconds.
async fn ten_behind_one_that_stopped(pass: Duration) -> bool {
    let takes = Duration::from_millis(100);
    let rush = Rush {
        pass,
        ..Rush::default()
    };
    let server = Secure::shaking(Speaks::Http2, 10, takes, rush).await;
    let mut stopped = super::stream(server.client.open(server.call(), Hindsight::default()));
    assert!(futures::poll!(stopped.next()).is_pending());
    tokio::time::timeout(Duration::from_secs(10), server.wave(10))
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_not_polled_while_it_connects_holds_up_no_other() {
    assert!(ten_behind_one_that_stopped(Duration::from_secs(1)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twin_a_call_that_is_not_polled_and_waited_for_holds_up_all() {
    assert!(!ten_behind_one_that_stopped(Duration::from_secs(3600)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_nobody_reads_hold_up_no_other_on_their_connection() {
    const UNREAD: usize = 90;
    let server = Secure::start(Speaks::Http2, 10).await;
    let mut unread = Vec::new();
    for _ in 0..UNREAD {
        let mut call = server.call();
        call.url = call.url.replace("/v1/messages", "/flood");
        let mut stream = super::stream(server.client.open(call, Hindsight::default()));
        assert!(stream.next().await.unwrap().is_ok());
        unread.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.wave(10).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_dropped_call_gives_its_place_back_and_keeps_the_connection() {
    let server = Secure::start(Speaks::Http2, 1).await;
    for _ in 0..150 {
        let mut call = server.call();
        call.url = call.url.replace("/v1/messages", "/flood");
        let mut stream = super::stream(server.client.open(call, Hindsight::default()));
        assert!(stream.next().await.unwrap().is_ok());
    }
    server.wave(1).await;
    assert_eq!(server.connections(), 1);
}
