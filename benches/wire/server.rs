//! A local model server in three forms: plain HTTP/1.1, HTTP/1.1 over TLS, HTTP/2 over TLS.
//! Refuses to answer one call of a wave before all of it are open, and to be measured.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Barrier,
};
use tokio_rustls::TlsAcceptor;

/// Pieces of text in an answer.
pub(crate) const DELTAS: usize = 10;

/// What the server saw since it was last asked.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    peak: AtomicUsize,
    answered: AtomicUsize,
}

#[derive(Clone)]
struct Door {
    seen: Arc<Seen>,
    wave: Arc<Barrier>,
    answer: Arc<str>,
}

/// Serves until the process is killed. Prints its addresses, plain, HTTP/1.1, HTTP/2, the address
/// that says what was seen, and the file of the certificate.
pub(crate) async fn serve(folder: &str, wave: usize) {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = format!("{folder}/certificate.pem");
    write_pem(&file, own.cert.der());
    let door = Door {
        seen: Arc::default(),
        wave: Arc::new(Barrier::new(wave)),
        answer: answer().into(),
    };
    let tls = |protocol: &[u8]| {
        let mut settings = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(
                vec![own.cert.der().clone()],
                PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()).into(),
            )
            .unwrap();
        settings.alpn_protocols = vec![protocol.to_vec()];
        Some(TlsAcceptor::from(Arc::new(settings)))
    };
    let plain = listen(None, door.clone()).await;
    let http1 = listen(tls(b"http/1.1"), door.clone()).await;
    let http2 = listen(tls(b"h2"), door.clone()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let told = listener.local_addr().unwrap();
    println!("http://{plain} https://{http1} https://{http2} {told} {file}");
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let seen = &door.seen;
        let take = |count: &AtomicUsize| count.swap(0, Ordering::SeqCst);
        let (connections, peak) = (take(&seen.connections), take(&seen.peak));
        let line = format!("{connections} {peak} {}\n", take(&seen.answered));
        socket.write_all(line.as_bytes()).await.ok();
    }
}

async fn listen(tls: Option<TlsAcceptor>, door: Door) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            spawn(connection(socket, tls.clone(), door.clone()));
        }
    });
    address
}

async fn connection(socket: TcpStream, tls: Option<TlsAcceptor>, door: Door) {
    socket.set_nodelay(true).unwrap();
    door.seen.connections.fetch_add(1, Ordering::SeqCst);
    let Some(tls) = tls else {
        return http1(socket, &door).await;
    };
    let Ok(socket) = tls.accept(socket).await else {
        return;
    };
    if socket.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2(socket, &door).await;
    } else {
        http1(socket, &door).await;
    }
}

impl Door {
    /// Waits until all calls of the wave are here.
    async fn wait(&self) {
        let open = self.seen.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.seen.peak.fetch_max(open, Ordering::SeqCst);
        self.wave.wait().await;
    }

    fn answered(&self) {
        self.seen.open.fetch_sub(1, Ordering::SeqCst);
        self.seen.answered.fetch_add(1, Ordering::SeqCst);
    }
}

async fn http1(mut socket: impl AsyncRead + AsyncWrite + Unpin, door: &Door) {
    let mut buffer = Vec::with_capacity(1 << 14);
    let size = door.answer.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {size}\r\n\r\n"
    );
    let answer = head + &door.answer;
    while let Some(length) = request(&mut socket, &mut buffer).await {
        door.wait().await;
        door.answered();
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        buffer.drain(..length);
    }
}

/// The length of the next request, once it is there in full.
async fn request(socket: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<usize> {
    loop {
        let text = String::from_utf8_lossy(buffer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let size = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_size = name.eq_ignore_ascii_case("content-length");
                is_size.then(|| value.trim().parse::<usize>().ok())?
            });
            let size = size.unwrap_or(0);
            if body.len() >= size {
                return Some(head.len() + 4 + size);
            }
        }
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

async fn http2(socket: impl AsyncRead + AsyncWrite + Unpin, door: &Door) {
    // What vendors allow.
    let handshake = h2::server::Builder::new()
        .max_concurrent_streams(100)
        .handshake::<_, bytes::Bytes>(socket)
        .await;
    let Ok(mut connection) = handshake else {
        return;
    };
    let answer = bytes::Bytes::copy_from_slice(door.answer.as_bytes());
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (door, answer) = (door.clone(), answer.clone());
        spawn(async move {
            let mut body = request.into_body();
            while let Some(Ok(chunk)) = body.data().await {
                body.flow_control().release_capacity(chunk.len()).ok();
            }
            door.wait().await;
            door.answered();
            let response = http::Response::builder()
                .header("content-type", "text/event-stream")
                .body(())
                .unwrap();
            if let Ok(mut stream) = respond.send_response(response, false) {
                stream.send_data(answer, true).ok();
            }
        });
    }
}

fn answer() -> String {
    let mut out = String::new();
    let mut event = |name: &str, data: &str| {
        write!(
            out,
            "event: {name}\ndata: {{\"type\":\"{name}\",{data}}}\n\n"
        )
        .unwrap();
    };
    event(
        "message_start",
        r#""message":{"id":"msg_1","type":"message","role":"assistant","model":"bench","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":1}}"#,
    );
    event(
        "content_block_start",
        r#""index":0,"content_block":{"type":"text","text":""}"#,
    );
    for number in 0..DELTAS {
        let data = format!(r#""index":0,"delta":{{"type":"text_delta","text":" word{number}"}}"#);
        event("content_block_delta", &data);
    }
    event("content_block_stop", r#""index":0"#);
    event(
        "message_delta",
        r#""delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}"#,
    );
    write!(
        out,
        "event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
    )
    .unwrap();
    out
}

#[expect(clippy::disallowed_methods, reason = "a program of its own")]
fn write_pem(file: &str, certificate: &[u8]) {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|at| &text[at..text.len().min(at + 64)])
        .collect();
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    );
    std::fs::write(file, pem).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a program of its own")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}
