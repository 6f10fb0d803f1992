//! Sends a call and gives back its frames; the connections of the process live here.
//! Refuses redirects, total timeouts and retries; TLS costs nothing before the first https call.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, LazyLock, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use dashmap::DashMap;
use futures::future::BoxFuture;
use reqwest::{
    Request, Url,
    header::{CONTENT_TYPE, HeaderValue},
};

use super::{
    CONNECT, Call, Frames, NO_PROGRESS,
    body::Body,
    departures::{Departures, Leaving, Rush},
    fault,
    framed::Framed,
    gate::Pace,
    governor::{Governor, Hindsight, Ticket},
    lanes::{Lanes, Place},
    status::Head,
    tls::{self, Tls},
    watch::{Timers, Watch},
};
use crate::error::{Error, ErrorKind, Result};

/// Connections that are kept for the next request to the same host. Open streams are not limited.
const IDLE_CONNECTIONS: usize = 16 << 10;
/// How long a connection is kept without a request; shorter than servers' own patience.
const IDLE_CONNECTION: Duration = Duration::from_secs(50);

/// Addresses that are remembered; when there are more, all are learned anew.
const MAX_TARGETS: usize = 256;

/// What tests turn.
#[derive(Clone)]
pub(crate) struct Settings {
    /// How long a connection may take to be made.
    pub(crate) connect: Duration,
    /// How long an answer may consist of nothing but pings.
    pub(crate) no_progress: Duration,
    /// The pace of all who share the client; none of them is held back without one.
    pub(crate) governor: Option<Arc<Governor>>,
    /// How calls set out who all want a connection at once.
    pub(crate) rush: Rush,
    /// Whom https addresses are believed.
    pub(crate) trust: Trust,
}

/// Who says that a server is who it says it is.
#[derive(Clone, Default)]
pub(crate) enum Trust {
    /// The certificates of the system; `SSL_CERT_FILE` names others where the system is Linux.
    #[default]
    System,
    #[cfg(all(test, feature = "rustls"))]
    Only(rustls::RootCertStore),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: CONNECT,
            no_progress: NO_PROGRESS,
            governor: Some(Governor::new(Pace::default())),
            rush: Rush::default(),
            trust: Trust::default(),
        }
    }
}

/// The pooled client. Cheap to clone; clones share connections and pace.
#[derive(Clone)]
pub(crate) struct Client(Arc<Shared>);

struct Shared {
    settings: Settings,
    /// What the addresses say that were called before.
    targets: DashMap<String, Arc<Target>>,
    /// For http: on this machine, and beyond it.
    plain: [OnceLock<reqwest::Client>; 2],
    /// For https.
    secure: Lanes,
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
        let tls = Tls::new(settings.trust.clone(), settings.rush);
        Self(Arc::new(Shared {
            settings,
            targets: DashMap::new(),
            plain: [const { OnceLock::new() }; 2],
            secure: Lanes::new(tls),
        }))
    }

    /// Sends the call when first polled; dropping the answer closes the connection,
    /// or leaves it where it is shared.
    ///
    /// Cancel safety: a frame that was not given out yet is given out by the next poll.
    pub(crate) fn open(&self, call: Call, hindsight: Hindsight) -> Answer {
        // Boxed, because it is large and done with before the first frame.
        Answer(Stage::Sending(Box::pin(
            self.clone().begin(call, hindsight),
        )))
    }

    /// Whether TLS has been set up.
    #[cfg(all(test, feature = "rustls"))]
    pub(super) fn has_tls(&self) -> bool {
        self.0.secure.is_made()
    }

    async fn begin(self, call: Call, hindsight: Hindsight) -> Result<Framed<Body>> {
        let target = self.target(&call.url)?;
        let mut request = request(&call, &target)?;
        let settings = &self.0.settings;
        let (ticket, turn, door, place) = loop {
            let ticket = match &settings.governor {
                Some(governor) => Some(governor.admit(target.origin.clone(), call.account).await?),
                None => None,
            };
            // Not before: who waits to be admitted needs no place on a connection.
            let (door, place) = self.door(&target)?;
            if place.as_ref().is_some_and(Place::may_be_shared) {
                break (ticket, None, door, place);
            }
            if let Some(turn) = target.departures.now() {
                break (ticket, Some(turn), door, place);
            }
            let turn = target.departures.turn().await;
            // Those who went before may have been refused meanwhile.
            if !ticket.as_ref().is_some_and(Ticket::is_stale) {
                break (ticket, Some(turn), door, place);
            }
        };
        let body = Leaving::new(call.body.clone(), turn);
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        let timers = Timers {
            first_byte: call.first_byte,
            idle: call.idle,
            no_progress: settings.no_progress,
        };
        let host = target.host.clone();
        let mut watch = Watch::new(timers, host.clone());
        let sent = watch.guard(door.execute(request)).await;
        let sent = sent.and_then(|sent| sent.map_err(|error| fault::unsent(error, &host)));
        let mut response = match sent {
            Ok(response) => response,
            Err(error) => {
                if let Some(ticket) = ticket {
                    ticket.failed(&error, None);
                }
                return Err(error);
            }
        };
        let head = Head::of(&mut response);
        let mut body = Body::new(response, watch, host, place);
        let mut ticket = ticket;
        if head.is_promising(call.framing)
            && let Some(ticket) = ticket.take()
        {
            // Now, not with the first byte of the body: others wait for this news.
            hindsight.allow(ticket.answered(&head.headers));
        }
        if let Err(error) = head.check(&mut body, &call, &target.url).await {
            match ticket {
                Some(ticket) => ticket.failed(&error, Some(&head.headers)),
                None => hindsight.failed(&error),
            }
            return Err(error);
        }
        if let Some(ticket) = ticket {
            hindsight.allow(ticket.answered(&head.headers));
        }
        Ok(Framed::new(call.framing, body))
    }

    /// What an address says.
    pub(super) fn target(&self, url: &str) -> Result<Arc<Target>> {
        let targets = &self.0.targets;
        if let Some(known) = targets.get(url) {
            return Ok(known.clone());
        }
        let target = Arc::new(Target::of(url, self.0.settings.rush)?);
        if targets.len() >= MAX_TARGETS {
            targets.clear();
        }
        // Who was quicker has made the one that counts.
        Ok(targets.entry(url.to_owned()).or_insert(target).clone())
    }

    /// The pooled HTTP client for an address.
    pub(super) fn reaching(&self, url: &str) -> Result<reqwest::Client> {
        let (client, _) = self.door(&*self.target(url)?)?;
        Ok(client)
    }

    fn door(&self, target: &Target) -> Result<(reqwest::Client, Option<Place>)> {
        let builder = || builder(target, &self.0.settings);
        if target.scheme == Scheme::Https {
            let (client, place) = self.0.secure.take(&target.origin, builder)?;
            return Ok((client, Some(place)));
        }
        let door = &self.0.plain[usize::from(target.reach == Reach::Network)];
        if let Some(client) = door.get() {
            return Ok((client.clone(), None));
        }
        // One connection for each call; what can share one is only known of servers with TLS.
        let made = tls::plain(builder().http1_only())?.build();
        let made = made.map_err(|error| {
            Error::new(ErrorKind::Config, "the HTTP client could not be set up").with_source(error)
        })?;
        Ok((door.get_or_init(|| made).clone(), None))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// One answer, from the sending of its call to its end.
pub(crate) struct Answer(Stage);

#[expect(
    clippy::large_enum_variant,
    reason = "it is in its large state for nearly all of its life"
)]
enum Stage {
    Sending(BoxFuture<'static, Result<Framed<Body>>>),
    Coming(Framed<Body>),
    Over,
}

impl Frames for Answer {
    fn poll_frame<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&str, &str) -> T,
    ) -> Poll<Option<Result<T>>> {
        let stage = &mut self.0;
        if let Stage::Sending(begin) = stage {
            *stage = match ready!(begin.as_mut().poll(cx)) {
                Ok(framed) => Stage::Coming(framed),
                Err(error) => {
                    *stage = Stage::Over;
                    return Poll::Ready(Some(Err(error)));
                }
            };
        }
        let frame = match stage {
            Stage::Coming(framed) => ready!(framed.poll_frame(cx, take)),
            Stage::Sending(_) | Stage::Over => None,
        };
        if !matches!(frame, Some(Ok(_))) {
            *stage = Stage::Over;
        }
        Poll::Ready(frame)
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
pub(super) struct Target {
    url: Url,
    pub(super) origin: Arc<str>,
    host: Arc<str>,
    scheme: Scheme,
    reach: Reach,
    pub(super) departures: Departures,
}

impl Target {
    fn of(text: &str, rush: Rush) -> Result<Self> {
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
            origin: url.origin().ascii_serialization().into(),
            host: host.into(),
            scheme,
            reach,
            url,
            departures: Departures::new(rush),
        })
    }
}

/// Everything but its body.
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
    Ok(request)
}

/// What all clients have in common.
fn builder(target: &Target, settings: &Settings) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("offshoot/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.connect)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_CONNECTION)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false);
    match target.reach {
        Reach::Loopback => builder.no_proxy(),
        Reach::Network => builder,
    }
}
