//! Serves one connection: request, reply, step by step, and again while both sides keep it open.
//! Refuses to decide what is said; the script and the vendor's encoder have.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{
    Shared,
    gauge::OpenStream,
    plan::Step,
    render::{Rendered, Shape, refusal},
    reply::{Cut, Framing},
    wire::{After, Unread, Wire},
};

/// Bytes that are gathered into one write; longer pieces are written without a copy.
const GATHER: usize = 32 * 1024;
/// Between the last byte and a reset, so that the byte reaches the client before the reset does.
const RESET_SETTLE: Duration = Duration::from_millis(10);

/// Serves requests until one side has enough.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).ok(); // one piece, one packet
    let mut wire = Wire::new(stream);
    loop {
        let incoming = match wire.request(&shared.limits).await {
            Ok(Some(incoming)) => incoming,
            Ok(None) | Err(Unread::Gone) => return,
            Err(Unread::Refused(status, why)) => {
                let Rendered {
                    shape: Shape::Http { head, .. },
                    steps,
                    ..
                } = refusal(status, why)
                else {
                    return;
                };
                let mut sender = Sender::new(&mut wire, Framing::Length, head, None);
                if sender.steps(steps, &shared).await.is_ok() && sender.flush().await.is_ok() {
                    wire.linger().await;
                }
                return;
            }
        };
        let open = shared.gauge.open();
        let after = incoming.after;
        let rendered = shared.answer(incoming);
        match send(&mut wire, rendered, open, &shared).await {
            Ok(()) if after == After::Keep => {}
            Ok(()) => {
                wire.stream.shutdown().await.ok();
                return;
            }
            Err(_) => return,
        }
    }
}

/// Sends one reply. An error means that the connection is over.
async fn send(
    wire: &mut Wire,
    rendered: Rendered,
    open: OpenStream,
    shared: &Shared,
) -> io::Result<()> {
    if let Some(wait) = rendered.delay {
        unless_gone(wire, tokio::time::sleep(wait)).await?;
    }
    let (framing, head) = match rendered.shape {
        Shape::HangUp(how) => return Err(cut(wire, how).await),
        Shape::Raw => (Framing::Close, Vec::new()),
        Shape::Http { head, framing } => (framing, head),
    };
    let mut sender = Sender::new(wire, framing, head, Some(open));
    sender.steps(rendered.steps, shared).await?;
    if framing == Framing::Chunked {
        sender.gathered.extend_from_slice(b"0\r\n\r\n");
    }
    if sender.gathered.len() <= GATHER {
        // Before the last write, so that a client that has read the end finds the count right.
        sender.open = None;
    }
    sender.flush().await?;
    match framing {
        Framing::Close => {
            drop(sender);
            Err(cut(wire, Cut::Close).await)
        }
        Framing::Chunked | Framing::Length => Ok(()),
    }
}

/// Gathers small pieces and writes them together.
struct Sender<'a> {
    wire: &'a mut Wire,
    framing: Framing,
    gathered: Vec<u8>,
    open: Option<OpenStream>,
}

impl<'a> Sender<'a> {
    fn new(wire: &'a mut Wire, framing: Framing, head: Vec<u8>, open: Option<OpenStream>) -> Self {
        Self {
            wire,
            framing,
            gathered: head,
            open,
        }
    }

    async fn steps(&mut self, steps: Vec<Step>, shared: &Shared) -> io::Result<()> {
        for step in steps {
            match step {
                Step::Send(bytes) => self.piece(bytes).await?,
                Step::Pause(wait) => {
                    self.flush().await?;
                    unless_gone(self.wire, tokio::time::sleep(wait)).await?;
                }
                Step::Stall => {
                    self.flush().await?;
                    unless_gone(self.wire, std::future::pending()).await?;
                }
                Step::Hold(n) => {
                    self.flush().await?;
                    unless_gone(self.wire, shared.gauge.hold(n)).await?;
                }
                Step::Cut(how) => {
                    self.flush().await?;
                    self.open = None;
                    return Err(cut(self.wire, how).await);
                }
                Step::Flush => self.flush().await?,
            }
        }
        Ok(())
    }

    async fn piece(&mut self, bytes: Bytes) -> io::Result<()> {
        let chunked = self.framing == Framing::Chunked;
        if chunked {
            if bytes.is_empty() {
                return Ok(()); // an empty chunk would be the end
            }
            self.gathered
                .extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        }
        if self.gathered.len() + bytes.len() <= GATHER {
            self.gathered.extend_from_slice(&bytes);
        } else {
            let mut both = self.gathered.as_slice().chain(bytes);
            self.wire.stream.write_all_buf(&mut both).await?;
            self.gathered.clear();
        }
        if chunked {
            self.gathered.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.wire.stream.write_all(&self.gathered).await?;
        self.gathered.clear();
        Ok(())
    }
}

/// Waits, but not longer than the client does.
async fn unless_gone(wire: &mut Wire, wait: impl Future<Output = ()>) -> io::Result<()> {
    tokio::select! {
        biased;
        () = wait => Ok(()),
        () = wire.gone() => Err(io::ErrorKind::ConnectionReset.into()),
    }
}

/// Ends the connection too early.
async fn cut(wire: &mut Wire, how: Cut) -> io::Error {
    match how {
        Cut::Close => {
            wire.stream.shutdown().await.ok();
        }
        Cut::Reset => {
            tokio::time::sleep(RESET_SETTLE).await;
            wire.stream.set_zero_linger().ok(); // the drop that follows resets
        }
    }
    io::ErrorKind::ConnectionAborted.into()
}
