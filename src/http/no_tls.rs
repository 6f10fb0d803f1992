//! What stands for TLS in a build that has none: it says so.
//! Refuses https.

use std::sync::Arc;

use super::{client::Trust, departures::Rush, lanes::Spoken};
use crate::error::{Error, ErrorKind, Result};

/// No TLS.
pub(super) struct Tls;

impl Tls {
    pub(super) fn new(Trust::System: Trust, _: Rush) -> Self {
        Self
    }

    /// Says what is missing.
    pub(super) fn client(
        &self,
        _: reqwest::ClientBuilder,
        _: &Arc<Spoken>,
    ) -> Result<reqwest::Client> {
        Err(Error::new(
            ErrorKind::Config,
            "this build has no TLS for https addresses",
        )
        .with_hint("build with the feature `rustls`, or use an http:// base URL"))
    }
}

/// Nothing to be set.
#[expect(clippy::unnecessary_wraps, reason = "with TLS it can fail")]
pub(super) fn plain(builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder> {
    Ok(builder)
}
