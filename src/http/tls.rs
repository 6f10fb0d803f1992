//! TLS: whom it trusts, what it offers to speak, and how HTTP/2 shares a connection fairly.
//! Refuses to read a certificate before the first call that needs one.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use rustls_platform_verifier::Verifier;

use super::{
    client::Trust,
    departures::Rush,
    lanes::{STREAMS, Spoken},
    single::Single,
};
use crate::error::{Error, ErrorKind, Result};

/// How much of an answer may lie unread.
const UNREAD: u32 = 256 << 10;
/// How long a shared connection may be silent before it is asked whether it is still there: calls
/// without number may wait on it.
const SILENCE: Duration = Duration::from_secs(30);
/// How long it may take to answer that.
const NO_ECHO: Duration = Duration::from_secs(20);

/// The TLS settings of a client, made when the first call needs them.
pub(super) struct Tls {
    made: OnceLock<rustls::ClientConfig>,
    trust: Trust,
    rush: Rush,
}

impl Tls {
    pub(super) fn new(trust: Trust, rush: Rush) -> Self {
        let made = OnceLock::new();
        Self { made, trust, rush }
    }

    /// A client for one server. What the server speaks will be noted.
    pub(super) fn client(
        &self,
        builder: reqwest::ClientBuilder,
        spoken: &Arc<Spoken>,
    ) -> Result<reqwest::Client> {
        // Room for as much unread of each call as it may have: a call that nobody reads holds up
        // no other on the same connection.
        let streams = STREAMS as u32;
        builder
            .tls_backend_preconfigured(self.settings()?)
            .connector_layer(Single::new(spoken, self.rush.pass))
            .http2_initial_stream_window_size(UNREAD)
            .http2_initial_connection_window_size(UNREAD * streams)
            .http2_keep_alive_interval(SILENCE)
            .http2_keep_alive_timeout(NO_ECHO)
            .http2_keep_alive_while_idle(true)
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Config, "the HTTP client could not be set up")
                    .with_source(error)
            })
    }

    fn settings(&self) -> Result<rustls::ClientConfig> {
        if let Some(made) = self.made.get() {
            return Ok(made.clone());
        }
        let made = self.make()?;
        Ok(self.made.get_or_init(|| made).clone())
    }

    fn make(&self) -> Result<rustls::ClientConfig> {
        let provider = provider();
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(versions)?;
        let builder = match &self.trust {
            Trust::System => {
                let verifier = Verifier::new(provider).map_err(|error| {
                    let text = "the system's certificates could not be read";
                    Error::new(ErrorKind::Config, text)
                        .with_source(error)
                        .with_hint("install them, or name a file of them in `SSL_CERT_FILE`")
                })?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(verifier))
            }
            #[cfg(test)]
            Trust::Only(these) => builder.with_root_certificates(these.clone()),
        };
        let mut settings = builder.with_no_client_auth();
        settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(settings)
    }
}

/// For http addresses: the library wants TLS settings anyway, these trust nobody and load nothing.
pub(super) fn plain(builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder> {
    let settings = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(versions)?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(builder.tls_backend_preconfigured(settings))
}

/// The program's own choice where it has made one.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    let chosen = rustls::crypto::CryptoProvider::get_default().map(Arc::clone);
    chosen.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()))
}

fn versions(error: rustls::Error) -> Error {
    Error::new(ErrorKind::Bug, "TLS versions").with_source(error)
}
