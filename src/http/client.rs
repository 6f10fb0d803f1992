//! Sends a call and gives back its frames; the connections of the process live here.
//! Refuses redirects, total timeouts and retries; TLS costs nothing before the first https call.

use std::{
    fmt,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, LazyLock, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{FutureExt, Stream, future::BoxFuture};
use reqwest::{
    Request, Url,
    header::{CONTENT_TYPE, HeaderValue},
};

use super::{
    CONNECT, Call, Frame, Framing, NO_PROGRESS,
    body::Body,
    fault,
    gate::Pace,
    governor::{Governor, Hindsight},
    lines::Lines,
    secrets::Secrets,
    sse::Events,
    status::Head,
    watch::{Timers, Watch},
    whole::Whole,
};
use crate::error::{Error, ErrorKind, Result};

/// Connections that are kept for the next request to the same host. Open streams are not limited.
const IDLE_CONNECTIONS: usize = 1024;
/// How long a connection is kept without a request; shorter than servers' own patience.
const IDLE_CONNECTION: Duration = Duration::from_secs(50);

/// What tests turn.
#[derive(Clone)]
pub(crate) struct Settings {
    /// How long a connection may take to be made.
    pub(crate) connect: Duration,
    /// How long an answer may consist of nothing but pings.
    pub(crate) no_progress: Duration,
    /// The pace of all who share the client; none of them is held back without one.
    pub(crate) governor: Option<Arc<Governor>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: CONNECT,
            no_progress: NO_PROGRESS,
            governor: Some(Governor::new(Pace::default())),
        }
    }
}

/// The pooled client. Cheap to clone; clones share connections and pace.
#[derive(Clone)]
pub(crate) struct Client(Arc<Shared>);

struct Shared {
    settings: Settings,
    /// By `Target::door`.
    doors: [OnceLock<reqwest::Client>; 4],
}

impl Client {
    /// The client that all providers of this process share.
    pub(crate) fn shared() -> Self {
        static SHARED: LazyLock<Client> =
            LazyLock::new(|| Client::with_settings(Settings::default()));
        SHARED.clone()
    }

    /// Forgets the pace of an origin, because a new server listens at an old port.
    #[cfg(feature = "testing")]
    pub(crate) fn forget(&self, origin: &str) {
        if let Some(governor) = &self.0.settings.governor {
            governor.forget(origin);
        }
    }

    /// A client of its own, sharing neither connections nor pace with others.
    pub(crate) fn with_settings(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            settings,
            doors: [const { OnceLock::new() }; 4],
        }))
    }

    /// Sends the call when first polled; dropping the stream closes the connection.
    ///
    /// Cancel safety: a frame that was not given out yet is given out by the next poll.
    pub(crate) fn open(
        &self,
        call: Call,
        hindsight: Hindsight,
    ) -> impl Stream<Item = Result<Frame>> + Send + Unpin + 'static {
        Opened::Beginning(self.clone().begin(call, hindsight).boxed())
    }

    /// Which of the doors have been made: http here, http, https here, https.
    #[cfg(test)]
    pub(super) fn doors_made(&self) -> Vec<bool> {
        let doors = self.0.doors.iter();
        doors.map(|door| door.get().is_some()).collect()
    }

    async fn begin(self, call: Call, hindsight: Hindsight) -> Result<Frames> {
        let target = Target::of(&call.url)?;
        let secrets = Secrets::of(&call, &target.url);
        let request = request(&call, &target)?;
        let settings = &self.0.settings;
        let door = self.door(&target)?;
        let ticket = match &settings.governor {
            Some(governor) => Some(governor.admit(&target.origin, call.account).await?),
            None => None,
        };
        let timers = Timers {
            first_byte: call.first_byte,
            idle: call.idle,
            no_progress: settings.no_progress,
        };
        let host = target.host;
        let mut watch = Watch::new(timers, host.clone());
        let sent = watch.guard(door.execute(request)).await;
        let sent = sent.and_then(|sent| sent.map_err(|error| fault::unsent(error, &host)));
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                if let Some(ticket) = ticket {
                    ticket.failed(&error, None);
                }
                return Err(error);
            }
        };
        let head = Head::of(&response);
        let mut body = Body::new(response, watch, host);
        let mut ticket = ticket;
        if head.is_promising(call.framing)
            && let Some(ticket) = ticket.take()
        {
            // Now, not with the first byte of the body: others wait for this news.
            hindsight.allow(ticket.answered(&head.headers));
        }
        if let Err(error) = head.check(&mut body, &call, &secrets).await {
            match ticket {
                Some(ticket) => ticket.failed(&error, Some(&head.headers)),
                None => hindsight.failed(&error),
            }
            return Err(error);
        }
        if let Some(ticket) = ticket {
            hindsight.allow(ticket.answered(&head.headers));
        }
        Ok(match call.framing {
            Framing::Sse => Frames::Events(Events::new(body)),
            Framing::Lines => Frames::Lines(Lines::new(body)),
            Framing::Whole => Frames::Whole(Whole::new(body)),
        })
    }

    /// The pooled HTTP client for an address.
    pub(super) fn reaching(&self, url: &str) -> Result<reqwest::Client> {
        self.door(&Target::of(url)?)
    }

    fn door(&self, target: &Target) -> Result<reqwest::Client> {
        let door = &self.0.doors[target.door()];
        if let Some(client) = door.get() {
            return Ok(client.clone());
        }
        let made = make(target, &self.0.settings)?;
        Ok(door.get_or_init(|| made).clone())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// A call that was made: what comes of it. Not an async block, which would hold the answer twice.
enum Opened {
    /// By itself, because it is large and done with before the first frame.
    Beginning(BoxFuture<'static, Result<Frames>>),
    Begun(Frames),
    Over,
}

impl Stream for Opened {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let next = match this {
                Self::Beginning(begin) => match ready!(begin.as_mut().poll(cx)) {
                    Ok(frames) => {
                        *this = Self::Begun(frames);
                        continue;
                    }
                    Err(error) => Some(Err(error)),
                },
                Self::Begun(frames) => ready!(frames.poll_frame(cx)),
                Self::Over => None,
            };
            if !matches!(next, Some(Ok(_))) {
                *this = Self::Over;
            }
            return Poll::Ready(next);
        }
    }
}

enum Frames {
    Events(Events<Body>),
    Lines(Lines<Body>),
    Whole(Whole<Body>),
}

impl Frames {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        match self {
            Self::Events(events) => events.poll_frame(cx),
            Self::Lines(lines) => lines.poll_frame(cx),
            Self::Whole(whole) => whole.poll_frame(cx),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// This machine: no proxy can lead here.
    Loopback,
    Network,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// Where a call goes.
struct Target {
    url: Url,
    origin: String,
    host: String,
    scheme: Scheme,
    reach: Reach,
}

impl Target {
    fn of(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            // Queries and user names may hold keys.
            let shown = text.split(['?', '#']).next().unwrap_or("");
            let shown = shown.rsplit_once('@').map_or(shown, |(_, host)| host);
            Error::new(ErrorKind::Config, format!("{why}: `{shown}`"))
                .with_hint("check the base URL: it begins with https:// or http://")
        };
        let url = Url::parse(text).map_err(|_| wrong("this is no address"))?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(wrong("this address is neither https nor http")),
        };
        let name = url
            .host_str()
            .ok_or_else(|| wrong("this address has no host"))?;
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let reach = match bare.parse::<IpAddr>() {
            Ok(ip) if ip.is_loopback() => Reach::Loopback,
            Err(_) if bare == "localhost" || bare.ends_with(".localhost") => Reach::Loopback,
            _ => Reach::Network,
        };
        let host = match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        Ok(Self {
            origin: url.origin().ascii_serialization(),
            host,
            scheme,
            reach,
            url,
        })
    }

    fn door(&self) -> usize {
        usize::from(self.scheme == Scheme::Https) * 2 + usize::from(self.reach == Reach::Network)
    }
}

fn request(call: &Call, target: &Target) -> Result<Request> {
    let mut request = Request::new(reqwest::Method::POST, target.url.clone());
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in &call.headers {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            Error::new(
                ErrorKind::Config,
                format!("a header cannot be sent: `{name}`"),
            )
            .with_hint("its value holds a line break or another control character")
        })?;
        value.set_sensitive(true);
        headers.insert(*name, value);
    }
    *request.body_mut() = Some(call.body.clone().into());
    Ok(request)
}

fn make(target: &Target, settings: &Settings) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("offshoot/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.connect)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_CONNECTION)
        // One connection for each stream: a shared one would cap how many may be open.
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false);
    let builder = match target.reach {
        Reach::Loopback => builder.no_proxy(),
        Reach::Network => builder,
    };
    let builder = match target.scheme {
        Scheme::Http => plain(builder)?,
        Scheme::Https => secure(builder, target)?,
    };
    builder.build().map_err(|error| {
        Error::new(ErrorKind::Config, "the HTTP client could not be set up").with_source(error)
    })
}

/// For http addresses: the library wants TLS settings anyway, these trust nobody and load nothing.
#[cfg(feature = "rustls")]
fn plain(builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let settings = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Bug, "TLS versions").with_source(error))?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(builder.tls_backend_preconfigured(settings))
}

#[cfg(not(feature = "rustls"))]
#[expect(clippy::unnecessary_wraps, reason = "with TLS it can fail")]
fn plain(builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder> {
    Ok(builder)
}

#[cfg(feature = "rustls")]
fn secure(builder: reqwest::ClientBuilder, _: &Target) -> Result<reqwest::ClientBuilder> {
    // Fails when the program has installed one before: then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(builder)
}

#[cfg(not(feature = "rustls"))]
fn secure(_: reqwest::ClientBuilder, target: &Target) -> Result<reqwest::ClientBuilder> {
    let text = format!("this build has no TLS for: `{}`", target.origin);
    Err(Error::new(ErrorKind::Config, text)
        .with_hint("build with the feature `rustls`, or use an http:// base URL"))
}
