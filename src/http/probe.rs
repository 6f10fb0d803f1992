//! One small question to a server on this machine or network: is somebody there, and what does it say?
//! Refuses to be patient and to be large: a short time limit, a cap on the answer, no retry, no proxy.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// The largest answer a probe reads.
pub(crate) const PROBE_BYTES: usize = 1 << 20;

/// Asks for a plain `http://` address and gives back the body of a successful answer.
///
/// No proxy is asked: the servers that are probed are neighbours, and a proxy would answer in their
/// place.
pub(crate) async fn probe(url: &str, wait: Duration) -> Result<Vec<u8>> {
    let asked = tokio::time::timeout(wait, read(url)).await;
    asked.map_err(|_| {
        Error::new(
            ErrorKind::Timeout,
            format!("no answer in time from: `{url}`"),
        )
    })?
}

async fn read(url: &str) -> Result<Vec<u8>> {
    let lost = |error: reqwest::Error| {
        Error::new(ErrorKind::Connect, format!("no answer from: `{url}`")).with_source(error)
    };
    let mut response = client()?.get(url).send().await.map_err(lost)?;
    let status = response.status();
    if !status.is_success() {
        let message = format!("status {} from: `{url}`", status.as_u16());
        return Err(Error::new(ErrorKind::Server, message).with_status(status.as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > PROBE_BYTES {
            let message = format!("more than {PROBE_BYTES} bytes from: `{url}`");
            return Err(Error::new(ErrorKind::Limit, message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn client() -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    // A client wants its TLS settings even where it never speaks TLS; these trust nobody and
    // cost next to nothing to make.
    #[cfg(feature = "rustls")]
    let builder = {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let settings = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::new(ErrorKind::Bug, "TLS settings for a probe").with_source(e))?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        builder.tls_backend_preconfigured(settings)
    };
    builder
        .build()
        .map_err(|e| Error::new(ErrorKind::Bug, "no client for a probe").with_source(e))
}
