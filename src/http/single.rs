//! Makes connections to one server one at a time, because over HTTP/2 the first is enough for all.
//! Refuses to hold anybody up where each call needs a connection of its own, or where the one that
//! makes it is not getting on.
//!
//! A hundred calls that find no connection each begin to make one, and only then hear whether the
//! server lets them share: ninety-nine handshakes for nothing. Here they wait for the first. If that
//! one can be shared, the pool gives it to all of them, and what they had begun is given up.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::client::legacy::connect::Connection;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};
use tower_layer::Layer;
use tower_service::Service;

use super::lanes::Spoken;

/// The pool has handed on a shared connection long before this; who still waits then has lost it.
const HANDED_ON: Duration = Duration::from_secs(1);
/// So often calls wait for one of them before they all go for themselves.
const ROUNDS: u32 = 3;
/// So long the pool may take to know of a connection that was made.
const KNOWN: Duration = Duration::from_millis(50);

type Failure = Box<dyn Error + Send + Sync>;

/// Put around whatever makes connections to one server.
#[derive(Clone)]
pub(super) struct Single(Arc<Line>);

struct Line {
    spoken: Arc<Spoken>,
    /// How many attempts have ended that others waited for.
    ended: AtomicU64,
    /// How the last of them ended.
    last: Mutex<Option<(Instant, End)>>,
    /// So long others wait for one attempt. Whoever makes it may not be polled any more: then each
    /// goes for itself.
    pass: Duration,
    /// Held by the one who goes for itself; the others see whether they may share what it makes.
    alone: Mutex<()>,
    /// How many of those have made a connection for all.
    shared: AtomicU64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// With a connection that all can share.
    Shared,
    /// With a connection for one, or with none: nobody is helped by waiting.
    Own,
}

impl Single {
    pub(super) fn new(spoken: &Arc<Spoken>, pass: Duration) -> Self {
        Self(Arc::new(Line {
            spoken: Arc::clone(spoken),
            ended: AtomicU64::new(0),
            last: Mutex::default(),
            pass,
            alone: Mutex::default(),
            shared: AtomicU64::new(0),
        }))
    }
}

impl<S> Layer<S> for Single {
    type Service = Queued<S>;

    fn layer(&self, inner: S) -> Queued<S> {
        let line = Arc::clone(&self.0);
        Queued { line, inner }
    }
}

/// See [`Single`].
#[derive(Clone)]
pub(super) struct Queued<S> {
    line: Arc<Line>,
    inner: S,
}

impl<S, R> Service<R> for Queued<S>
where
    S: Service<R, Error = Failure> + Clone + Send + 'static,
    S::Response: Connection,
    S::Future: Send,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let line = Arc::clone(&self.line);
        // The one that was asked whether it is ready is the one to be called.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            if line.spoken.is_http1() {
                let made = inner.call(request).await;
                line.note(made.as_ref().ok());
                return made;
            }
            let before = line.ended.load(Ordering::Acquire);
            let shared = line.shared.load(Ordering::Acquire);
            let mut rounds = 0;
            let mut last = loop {
                if let Ok(last) = timeout(line.pass, line.last.lock()).await {
                    break last;
                }
                if line.shared.load(Ordering::Acquire) != shared {
                    sleep(HANDED_ON).await;
                    return Err(Superseded.into());
                }
                rounds += 1;
                let alone = line.alone.try_lock();
                if alone.is_ok() || line.spoken.is_http1() || rounds == ROUNDS {
                    let made = inner.call(request).await;
                    if line.note(made.as_ref().ok()) == End::Shared {
                        line.shared.fetch_add(1, Ordering::Release);
                    }
                    return made;
                }
            };
            let waited = line.ended.load(Ordering::Acquire) != before;
            match *last {
                Some((_, End::Own)) if waited => {
                    drop(last);
                    let made = inner.call(request).await;
                    line.note(made.as_ref().ok());
                    made
                }
                Some((at, End::Shared)) if waited || at.elapsed() < KNOWN => {
                    drop(last);
                    sleep(HANDED_ON).await;
                    Err(Superseded.into())
                }
                _ => {
                    let made = inner.call(request).await;
                    *last = Some((Instant::now(), line.note(made.as_ref().ok())));
                    line.ended.fetch_add(1, Ordering::Release);
                    made
                }
            }
        })
    }
}

impl Line {
    /// Remembers what was spoken; an attempt that failed says nothing about it.
    fn note(&self, made: Option<&impl Connection>) -> End {
        match made.map(|made| made.connected().is_negotiated_h2()) {
            Some(true) => {
                self.spoken.http2();
                End::Shared
            }
            Some(false) => {
                self.spoken.http1();
                End::Own
            }
            None => End::Own,
        }
    }
}

/// Nobody reads it unless the shared connection was lost as soon as it was made.
#[derive(Debug)]
struct Superseded;

impl fmt::Display for Superseded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection that was shared is gone again")
    }
}

impl Error for Superseded {}
