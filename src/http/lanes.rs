//! Which connection a call over TLS takes: where HTTP/2 is spoken, a hundred calls share one.
//! Refuses to limit how many calls are open: when the last connection is full, there is one more.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::tls::Tls;
use crate::error::Result;

/// Calls that share one connection. Servers are asked to allow no fewer, and as a rule do not allow
/// many more; what is over a server's own limit would wait for the end of another call.
pub(super) const STREAMS: usize = 100;
/// More servers than a program talks to; beyond it those with no open call are forgotten.
const ORIGINS: usize = 256;

/// The connections to all servers, by origin.
pub(super) struct Lanes {
    origins: Mutex<HashMap<String, Vec<Lane>>>,
    tls: Tls,
}

/// One pooled client, which with HTTP/2 is one connection.
struct Lane {
    client: reqwest::Client,
    open: Arc<()>,
    spoken: Arc<Spoken>,
}

/// A call's place on its connection, until it is dropped.
pub(super) struct Place {
    /// Counted, not looked at.
    _open: Arc<()>,
    spoken: Arc<Spoken>,
}

impl Place {
    /// Whether others may have, or get, a place on the same connection.
    pub(super) fn may_be_shared(&self) -> bool {
        !self.spoken.is_http1()
    }
}

/// What the server turned out to speak.
#[derive(Default)]
pub(super) struct Spoken {
    /// Each call needs a connection of its own, so that nothing is shared and nothing is counted.
    is_http1: AtomicBool,
}

impl Spoken {
    pub(super) fn is_http1(&self) -> bool {
        self.is_http1.load(Ordering::Relaxed)
    }

    #[cfg(feature = "rustls")]
    pub(super) fn http1(&self) {
        self.is_http1.store(true, Ordering::Relaxed);
    }

    #[cfg(feature = "rustls")]
    pub(super) fn http2(&self) {
        self.is_http1.store(false, Ordering::Relaxed);
    }
}

impl Lanes {
    pub(super) fn new(tls: Tls) -> Self {
        Self {
            origins: Mutex::default(),
            tls,
        }
    }

    /// A client whose connection has room, and the place on it.
    pub(super) fn take(
        &self,
        origin: &str,
        builder: impl FnOnce() -> reqwest::ClientBuilder,
    ) -> Result<(reqwest::Client, Place)> {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lanes) = origins.get_mut(origin) {
            if let Some(lane) = lanes.iter().find(|lane| lane.has_room()) {
                return Ok(lane.place());
            }
            let lane = self.lane(builder())?;
            let place = lane.place();
            lanes.push(lane);
            return Ok(place);
        }
        let lane = self.lane(builder())?;
        let place = lane.place();
        if origins.len() >= ORIGINS {
            origins.retain(|_, lanes| lanes.iter().any(|lane| lane.open() > 0));
        }
        origins.insert(origin.to_owned(), vec![lane]);
        Ok(place)
    }

    /// Whether TLS has been set up.
    #[cfg(all(test, feature = "rustls"))]
    pub(super) fn is_made(&self) -> bool {
        let origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        !origins.is_empty()
    }

    fn lane(&self, builder: reqwest::ClientBuilder) -> Result<Lane> {
        let spoken = Arc::<Spoken>::default();
        Ok(Lane {
            client: self.tls.client(builder, &spoken)?,
            open: Arc::default(),
            spoken,
        })
    }
}

impl Lane {
    fn has_room(&self) -> bool {
        self.spoken.is_http1() || self.open() < STREAMS
    }

    fn open(&self) -> usize {
        Arc::strong_count(&self.open) - 1
    }

    fn place(&self) -> (reqwest::Client, Place) {
        let place = Place {
            _open: Arc::clone(&self.open),
            spoken: Arc::clone(&self.spoken),
        };
        (self.client.clone(), place)
    }
}
