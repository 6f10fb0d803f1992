//! One small question to a server on this machine or network: is somebody there, and what does it say?
//! Refuses to be patient and to be large: a short time limit, a cap on the answer, no retry.

use std::time::Duration;

use super::client::Client;
use crate::error::{Error, ErrorKind, Result};

/// The largest answer a probe reads.
pub(crate) const PROBE_BYTES: usize = 1 << 20;

/// Asks for an address and gives back the body of a successful answer.
///
/// Cancel safety: dropping it closes the connection.
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
    let mut response = Client::shared()
        .reaching(url)?
        .get(url)
        .send()
        .await
        .map_err(lost)?;
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
