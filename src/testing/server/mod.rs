//! A real HTTP/1.1 server on loopback that answers as five model vendors do, and fails as asked.
//! Refuses TLS and anything but loopback: it is for tests and benchmarks.

mod anthropic;
mod chat;
mod connection;
mod gauge;
mod gemini;
mod ollama;
mod plan;
mod received;
mod render;
mod reply;
mod responses;
mod script;
mod vendor;
mod wire;

pub use self::{
    received::{Format, Received},
    reply::{Cut, Reply},
    script::Script,
};

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket},
    time::Instant,
};

use self::{
    gauge::Gauge,
    render::{Extent, Manners, Rendered},
    wire::Incoming,
};
use crate::{
    error::{Error, ErrorKind, Result},
    http::Client,
    scope::Scope,
};

/// A model server on a free port of `127.0.0.1`.
///
/// It answers `POST` requests to the paths of [`Format`] by its [`Script`], `GET /api/tags` and
/// `GET /api/version` as an Ollama with one model, pages set by [`page`](Self::page), and anything
/// else with 404. It stops when it is dropped: every connection is closed at once.
///
/// It never repeats itself by chance: ids are made of the request's number and the vendors' clock
/// stands still, so the same answer to the n-th request is the same bytes in every run.
#[must_use = "the server stops when this is dropped"]
pub struct ModelServer {
    address: SocketAddr,
    scope: Scope,
    shared: Arc<Shared>,
}

/// The limits of a [`ModelServer`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one request's head; more is answered with 431.
    pub head_bytes: usize,
    /// Bytes of one request's body; more is answered with 413.
    pub body_bytes: usize,
    /// Connections at once; one more is closed.
    pub connections: usize,
    /// Requests that [`ModelServer::requests`] remembers; older ones are forgotten.
    pub kept_requests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            body_bytes: 64 * 1024 * 1024,
            connections: 16 * 1024,
            kept_requests: 10_000,
        }
    }
}

/// What all connections of a server share.
struct Shared {
    script: Script,
    limits: Limits,
    gauge: Arc<Gauge>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    count: u64,
    requests: VecDeque<Received>,
    pages: HashMap<String, Arc<Reply>>,
}

/// Connections that the system holds before they are accepted.
const BACKLOG: u32 = 4096;
/// After a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

impl ModelServer {
    /// Starts on a free port of `127.0.0.1`.
    ///
    /// # Panics
    /// Outside a tokio runtime, and when the machine has no free port on loopback.
    pub fn start(script: impl Into<Script>) -> Self {
        Self::start_with(script, Limits::default())
    }

    /// Starts with other limits.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with(script: impl Into<Script>, limits: Limits) -> Self {
        let bound = bind().and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = match bound {
            Ok(bound) => bound,
            Err(error) => panic!("no port on loopback: {error}"),
        };
        let shared = Arc::new(Shared {
            script: script.into(),
            limits,
            gauge: Arc::default(),
            log: Mutex::default(),
        });
        let scope = Scope::root();
        scope.spawn(accept(listener, scope.clone(), shared.clone()));
        let server = Self {
            address,
            scope,
            shared,
        };
        // The port may be one that another server of this process had, whose wish for a pause of an
        // hour is not this one's.
        server.forget_pace();
        server
    }

    /// Lets the next request come at once, whatever pause the answers so far have asked for.
    ///
    /// All agents of a process share one pace for each address, so that ten refusals in a row keep
    /// the eleventh request waiting, as they should; a test that plays a refusal ten times only to
    /// look at it calls this between them.
    pub fn forget_pace(&self) {
        Client::shared().forget(&self.url());
    }

    /// Such as `http://127.0.0.1:4711`: the base URL for Anthropic, Gemini and Ollama clients;
    /// OpenAI clients want `/v1` after it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers `GET` and `HEAD` of this path with this reply, and leaves the script alone.
    pub fn page(&self, path: impl Into<String>, reply: impl Into<Reply>) {
        self.shared
            .log()
            .pages
            .insert(path.into(), Arc::new(reply.into()));
    }

    /// The requests to models, in order: the last [`Limits::kept_requests`] of them.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.log().requests.iter().cloned().collect()
    }

    /// How many requests to models came, those forgotten included. A request counts when its last
    /// byte has come.
    pub fn count(&self) -> u64 {
        self.shared.log().count
    }

    /// How many requests are being answered right now: from the request's last byte to the
    /// answer's, whether it says anything or not.
    pub fn open_streams(&self) -> usize {
        self.shared.gauge.open_streams()
    }

    /// The most that were ever answered at the same time.
    pub fn peak_streams(&self) -> usize {
        self.shared.gauge.peak_streams()
    }

    /// How many connections are open right now, idle ones included.
    pub fn connections(&self) -> usize {
        self.shared.gauge.connections()
    }

    /// Waits until something holds of the server, such as `|s| s.open_streams() == 0`.
    ///
    /// # Errors
    /// When it does not hold in time.
    ///
    /// Cancel safety: safe, it changes nothing.
    pub async fn until(&self, timeout: Duration, holds: impl Fn(&Self) -> bool) -> Result<()> {
        let mut changed = self.shared.gauge.watch();
        let wait = async {
            loop {
                changed.mark_unchanged();
                if holds(self) {
                    return;
                }
                changed.changed().await.ok();
            }
        };
        let late = |_| {
            let message = format!("the model server did not get there within: `{timeout:?}`");
            Error::new(ErrorKind::Timeout, message).with_hint(format!("{self:?}"))
        };
        tokio::time::timeout(timeout, wait).await.map_err(late)
    }

    /// Closes every connection and waits until that is done.
    ///
    /// Cancel safety: it has stopped at the first poll; the wait can be repeated.
    pub async fn close(&self) {
        self.scope.close().await;
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.scope.cancel();
    }
}

impl fmt::Debug for ModelServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelServer")
            .field("address", &self.address)
            .field("count", &self.count())
            .field("open_streams", &self.open_streams())
            .field("peak_streams", &self.peak_streams())
            .finish_non_exhaustive()
    }
}

fn bind() -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, scope: Scope, shared: Arc<Shared>) {
    while let Some(accepted) = scope.race(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                let Some(open) = shared.gauge.connect(shared.limits.connections) else {
                    continue; // dropped: closed
                };
                let (here, shared) = (scope.clone(), shared.clone());
                scope.spawn(async move {
                    here.race(connection::serve(stream, shared)).await;
                    drop(open);
                });
            }
            Err(_) => {
                scope.race(tokio::time::sleep(ACCEPT_PAUSE)).await;
            }
        }
    }
}

impl Shared {
    /// Routes a request, keeps it, and renders its reply.
    fn answer(&self, incoming: Incoming) -> Rendered {
        let Incoming {
            method,
            target,
            headers,
            body,
            version,
            after,
        } = incoming;
        let extent = match method.as_str() {
            "HEAD" => Extent::Head,
            _ => Extent::Whole,
        };
        let manners = Manners {
            version,
            after,
            extent,
        };
        let (path, query) = split_target(&target);
        let Some(format) = Format::of_path(path) else {
            return self.other(&method, path, manners);
        };
        if method != "POST" {
            let reply = Reply::json(&serde_json::json!({"error": {"message": "use POST"}}));
            return render::page(&reply.status(405).header("allow", "POST"), manners);
        }
        let mut request = Received {
            number: 0,
            format,
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body,
            at: Instant::now(),
        };
        let taken = {
            let mut log = self.log();
            log.count += 1;
            request.number = log.count;
            if log.requests.len() >= self.limits.kept_requests {
                log.requests.pop_front();
            }
            if self.limits.kept_requests > 0 {
                log.requests.push_back(request.clone());
            }
            // Under the same lock, so that the n-th request gets the n-th reply.
            self.script.take()
        };
        self.gauge.touch();
        let reply = taken.unwrap_or_else(|| self.script.make(&request));
        render::render(&reply, &request, manners)
    }

    /// Whatever is not asked of a model.
    fn other(&self, method: &str, path: &str, manners: Manners) -> Rendered {
        let page = self.log().pages.get(path).cloned();
        let json = |body: String| Arc::new(Reply::bytes("application/json; charset=utf-8", body));
        let page = page.or_else(|| match path {
            "/api/tags" => Some(json(ollama::tags(&["scripted:latest".to_owned()]))),
            "/api/version" => Some(json(ollama::version())),
            _ => None,
        });
        match (page, method) {
            (Some(reply), "GET" | "HEAD") => render::page(&reply, manners),
            (Some(_), _) => {
                let reply = Reply::json(&serde_json::json!({"error": {"message": "use GET"}}));
                render::page(&reply.status(405).header("allow", "GET, HEAD"), manners)
            }
            (None, _) => render::plain(404, "there is nothing at this path", manners),
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Path and query of a request's target, which proxies are given as a whole URL.
fn split_target(target: &str) -> (&str, &str) {
    let target = match target.split_once("://") {
        Some(("http" | "https", rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    target.split_once('?').unwrap_or((target, ""))
}
