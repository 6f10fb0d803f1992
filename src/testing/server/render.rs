//! Makes of a reply what goes over the wire: a head, and the steps of a body.
//! Refuses to send it, and to know how vendors spell answers.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{
    plan::{Step, plan},
    received::{Received, find},
    reply::{Body, Cut, Faults, Framing, Reply},
    vendor::{self, Spoken},
    wire::{After, Version},
};

/// A reply, ready to be sent.
pub(super) struct Rendered {
    pub(super) delay: Option<Duration>,
    pub(super) shape: Shape,
    pub(super) steps: Vec<Step>,
}

pub(super) enum Shape {
    Http {
        head: Vec<u8>,
        framing: Framing,
    },
    /// The steps are all there is.
    Raw,
    /// Not a byte.
    HangUp(Cut),
}

/// What the request allows the reply to be.
#[derive(Clone, Copy)]
pub(super) struct Manners {
    pub(super) version: Version,
    pub(super) after: After,
    pub(super) extent: Extent,
}

/// How much of the reply is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    /// To a `HEAD` request.
    Head,
}

/// A reply to a model's request.
pub(super) fn render(reply: &Reply, request: &Received, manners: Manners) -> Rendered {
    match &reply.body {
        Body::Answer(answer) => match vendor::speak(answer, request) {
            Ok(spoken) => finish(reply, spoken, manners),
            Err(how) => hang_up(reply, how),
        },
        _ => page(reply, manners),
    }
}

/// A reply that does not depend on who asks.
pub(super) fn page(reply: &Reply, manners: Manners) -> Rendered {
    match &reply.body {
        Body::Bytes(bytes) => finish(reply, Spoken::bytes(bytes.clone()), manners),
        Body::Raw(bytes) => Rendered {
            delay: reply.faults.delay,
            shape: Shape::Raw,
            steps: plan(vec![bytes.clone()], &reply.faults, None),
        },
        Body::HangUp(how) => hang_up(reply, *how),
        Body::Answer(_) => plain(500, "an answer needs a vendor's path", manners),
    }
}

/// A few words of the server itself.
pub(super) fn plain(status: u16, words: &str, manners: Manners) -> Rendered {
    let body = serde_json::json!({"error": {"message": words}});
    page(&Reply::json(&body).status(status), manners)
}

/// The answer to what is no request; the connection ends with it.
pub(super) fn refusal(status: u16, words: &str) -> Rendered {
    plain(
        status,
        words,
        Manners {
            version: Version::Modern,
            after: After::Close,
            extent: Extent::Whole,
        },
    )
}

fn hang_up(reply: &Reply, how: Cut) -> Rendered {
    let (delay, shape) = (reply.faults.delay, Shape::HangUp(how));
    Rendered {
        delay,
        shape,
        steps: Vec::new(),
    }
}

fn finish(reply: &Reply, spoken: Spoken, manners: Manners) -> Rendered {
    let faults = Faults {
        stalls: [reply.faults.stalls.clone(), spoken.stalls].concat(),
        cut: reply.faults.cut.or(spoken.cut),
        ..reply.faults.clone()
    };
    let own = |name: &str| find(&reply.headers, name).is_some();
    let lies = own("content-length") || own("transfer-encoding");
    let natural = if spoken.streamed {
        Framing::Chunked
    } else {
        Framing::Length
    };
    let framing = match reply.framing.unwrap_or(natural) {
        Framing::Chunked if manners.version == Version::Old => Framing::Close,
        framing => framing,
    };
    let status = reply.status.unwrap_or(spoken.status);
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    let mut line = |name: &str, value: &str| {
        if !own(name) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    };
    line("date", &httpdate::fmt_http_date(SystemTime::now()));
    line(
        "content-type",
        reply.content_type.as_deref().unwrap_or(spoken.content_type),
    );
    for (name, value) in &spoken.headers {
        line(name, value);
    }
    let bodiless = matches!(status, 204 | 304);
    let length: usize = spoken.frames.iter().map(Bytes::len).sum();
    match framing {
        _ if lies || bodiless => {}
        Framing::Chunked => line("transfer-encoding", "chunked"),
        Framing::Length => line("content-length", &length.to_string()),
        Framing::Close => {}
    }
    if framing == Framing::Close || manners.after == After::Close {
        line("connection", "close");
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let silent = manners.extent == Extent::Head || bodiless;
    let steps = if silent {
        Vec::new()
    } else {
        plan(spoken.frames, &faults, spoken.pause)
    };
    // A lying head comes with a body as it is, and the end of the connection after it.
    let framing = match framing {
        _ if silent => Framing::Length,
        _ if lies => Framing::Close,
        framing => framing,
    };
    Rendered {
        delay: faults.delay,
        shape: Shape::Http {
            head: head.into_bytes(),
            framing,
        },
        steps,
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        529 => "Overloaded",
        _ => "Unknown",
    }
}
