//! Errors of the connection in words: what broke, at which host, and whether it may cost money.
//! Refuses to print an address beyond its host: keys travel in queries.

use std::error::Error as _;

use crate::error::{Error, ErrorKind};

/// The request did not get an answer.
pub(super) fn unsent(error: reqwest::Error, host: &str) -> Error {
    let error = error.without_url();
    let why = why(&error);
    if !error.is_connect() {
        // The connection stood, so that the vendor may have read the request and begun to work.
        let text = format!("`{host}` broke the connection before it answered: `{why}`");
        return Error::new(ErrorKind::Connect, text)
            .with_source(error)
            .possibly_billed();
    }
    if error.is_timeout() {
        let text = format!("connect timer: no connection could be made to: `{host}`");
        return Error::new(ErrorKind::Timeout, text).with_source(error);
    }
    let text = format!("no connection to `{host}`: `{why}`");
    let hint = if error.is_dns() {
        "check the host name in the base URL, and the network"
    } else if why.to_ascii_lowercase().contains("certificate") {
        "the server's certificate is not trusted here: check the base URL and the system's certificates"
    } else {
        "is a server running there? check the base URL, the network and the proxy settings"
    };
    Error::new(ErrorKind::Connect, text)
        .with_hint(hint)
        .with_source(error)
}

/// The answer broke off.
pub(super) fn broken(error: reqwest::Error, host: &str) -> Error {
    let error = error.without_url();
    let text = format!("the answer of `{host}` broke off: `{}`", why(&error));
    Error::new(ErrorKind::Disconnected, text)
        .with_source(error)
        .possibly_billed()
}

/// The innermost cause, which is the one that says something.
fn why(error: &reqwest::Error) -> String {
    let mut last = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        last = inner.to_string();
        source = inner.source();
    }
    last
}
