//! Server-sent events: whole lines go to the parser one at a time, under a cap for each event.
//! Refuses to parse fields itself, and to reconnect.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use eventsource_stream::{EventStream, EventStreamError};
use futures::Stream;

use super::{
    Frame, MAX_EVENT,
    body::Chunks,
    cut::{Cutter, Ends},
};
use crate::error::{Error, ErrorKind, Result};

/// Events that only say that the vendor is alive.
const PINGS: [&[u8]; 4] = [b"ping", b"keepalive", b"keep-alive", b"heartbeat"];
/// An unfinished event larger than this is on its way, not a dripping ping.
const SUBSTANCE: usize = 4 << 10;

/// The events of an answer.
pub(super) struct Events<S> {
    parser: EventStream<Feed<S>>,
}

impl<S: Chunks + Unpin> Events<S> {
    pub(super) fn new(source: S) -> Self {
        Self::with_cap(source, MAX_EVENT)
    }

    pub(super) fn with_cap(source: S, cap: usize) -> Self {
        Self {
            parser: EventStream::new(Feed {
                source,
                cutter: Cutter::new(Ends::Any, cap),
                event: Seen::Nothing,
                begun: false,
            }),
        }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let event = ready!(Pin::new(&mut self.parser).poll_next(cx));
        Poll::Ready(event.map(|event| match event {
            Ok(event) => Ok(Frame {
                event: event.event,
                data: event.data,
            }),
            Err(EventStreamError::Transport(error)) => Err(error),
            Err(error) => Err(Error::new(ErrorKind::Decode, error.to_string())),
        }))
    }
}

/// What the event in hand has shown so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Lines,
    Ping,
}

/// Gives the parser one small event or one line at a time, always whole, ending in LF or CR LF.
///
/// The parser reads its buffer from the start whenever bytes arrive and copies the rest of it after
/// each line. Fed with raw chunks it is quadratic in the size of an event and of a chunk, it waits
/// at a CR for what follows, and it panics when the first of them begins with a byte order mark. Fed
/// with lines, the first of which is a comment of ours, it does none of that.
struct Feed<S> {
    source: S,
    cutter: Cutter,
    event: Seen,
    begun: bool,
}

impl<S: Chunks> Feed<S> {
    /// A whole event at once, which is what most chunks hold.
    fn block(&mut self) -> Option<Bytes> {
        while self.event == Seen::Nothing {
            let mut seen = Seen::Nothing;
            let block = self.cutter.block(|line| match line[0] {
                b':' => {}
                _ if is_ping(line) => seen = Seen::Ping,
                _ if seen == Seen::Nothing => seen = Seen::Lines,
                _ => {}
            })?;
            if seen == Seen::Lines {
                self.source.moved();
            }
            if seen != Seen::Nothing {
                return Some(block);
            }
        }
        None
    }

    /// What the parser must see of a line; comments are for nobody.
    fn take(&mut self, line: Bytes) -> Result<Option<Bytes>> {
        match line[0] {
            b'\n' | b'\r' => {
                self.cutter.release();
                let seen = std::mem::replace(&mut self.event, Seen::Nothing);
                if seen == Seen::Lines {
                    self.source.moved();
                }
                Ok((seen != Seen::Nothing).then_some(line))
            }
            b':' => Ok(None),
            _ => {
                if let Err(error) = std::str::from_utf8(&line) {
                    let at = self.cutter.offset() - (line.len() - error.valid_up_to()) as u64;
                    let text = format!("the answer is not UTF-8 at byte: `{at}`");
                    return Err(Error::new(ErrorKind::Decode, text).possibly_billed());
                }
                if is_ping(&line) {
                    self.event = Seen::Ping;
                } else if self.event == Seen::Nothing {
                    self.event = Seen::Lines;
                }
                self.cutter.hold(line.len());
                Ok(Some(line))
            }
        }
    }
}

impl<S: Chunks + Unpin> Stream for Feed<S> {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let feed = &mut *self;
        if !std::mem::replace(&mut feed.begun, true) {
            return Poll::Ready(Some(Ok(Bytes::from_static(b":\n"))));
        }
        loop {
            if let Some(block) = feed.block() {
                return Poll::Ready(Some(Ok(block)));
            }
            if let Some(line) = feed.cutter.next()? {
                if let Some(line) = feed.take(line)? {
                    return Poll::Ready(Some(Ok(line)));
                }
                continue;
            }
            if feed.cutter.pending() > SUBSTANCE
                && feed.event != Seen::Ping
                && feed.cutter.beginning().first() != Some(&b':')
            {
                feed.source.moved();
            }
            match ready!(feed.source.poll_chunk(cx)) {
                Some(chunk) => feed.cutter.push(chunk?),
                // What has no blank line behind it is not an event.
                None => return Poll::Ready(None),
            }
        }
    }
}

fn is_ping(line: &[u8]) -> bool {
    let Some(name) = line.strip_prefix(b"event:") else {
        return false;
    };
    PINGS.contains(&name.trim_ascii())
}
