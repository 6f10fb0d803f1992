//! Server-sent events: plain ones are taken as they lie, all others go to the parser line by line.
//! Refuses to parse fields itself where a line is anything but plain, and to reconnect.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use eventsource_stream::{EventStream, EventStreamError};
use futures::Stream;

use super::{
    Frames, MAX_EVENT,
    body::Chunks,
    cut::{Cutter, Ends, Plain},
};
use crate::error::{Error, ErrorKind, Result};

/// Events that only say that the vendor is alive.
const PINGS: [&[u8]; 4] = [b"ping", b"keepalive", b"keep-alive", b"heartbeat"];
/// An unfinished event larger than this is on its way, not a dripping ping.
const SUBSTANCE: usize = 4 << 10;

/// The events of an answer.
pub(super) struct Events<S> {
    feed: Feed<S>,
    belt: Belt,
    parser: EventStream<Belt>,
}

impl<S: Chunks> Events<S> {
    pub(super) fn new(source: S) -> Self {
        Self::with_cap(source, MAX_EVENT)
    }

    pub(super) fn with_cap(source: S, cap: usize) -> Self {
        let belt = Belt::default();
        belt.put(Bytes::from_static(b":\n"));
        Self {
            feed: Feed {
                source,
                cutter: Cutter::new(Ends::Any, cap),
                event: Seen::Nothing,
            },
            parser: EventStream::new(belt.clone()),
            belt,
        }
    }
}

impl<S: Chunks> Frames for Events<S> {
    fn poll_frame<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&str, &str) -> T,
    ) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(plain) = self.feed.plain() {
                let seen = match PINGS.contains(&plain.event.as_bytes().trim_ascii()) {
                    true => Seen::Ping,
                    false => Seen::Lines,
                };
                let (taken, size) = (take(plain.event, plain.data), plain.size);
                self.feed.skip(size, seen);
                return Poll::Ready(Some(Ok(taken)));
            }
            match ready!(self.feed.poll_line(cx)) {
                Some(Ok(Piece::Line(line))) => self.belt.put(line),
                Some(Ok(Piece::Chunk)) => continue,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
            // Nothing comes of it while the event goes on.
            if let Poll::Ready(Some(event)) = Pin::new(&mut self.parser).poll_next(cx) {
                let told = |error: EventStreamError<_>| error.to_string();
                let event = event.map_err(|error| Error::new(ErrorKind::Decode, told(error)))?;
                return Poll::Ready(Some(Ok(take(&event.event, &event.data))));
            }
        }
    }
}

/// What lies between the lines and the parser, which both sides hold.
#[derive(Clone, Default)]
struct Belt(Arc<Mutex<VecDeque<Bytes>>>);

impl Belt {
    fn put(&self, piece: Bytes) {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.push_back(piece);
    }
}

impl Stream for Belt {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Nobody is woken: who puts something on it asks the parser himself.
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match pieces.pop_front() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None => Poll::Pending,
        }
    }
}

/// What the feed gives.
enum Piece {
    /// A line for the parser.
    Line(Bytes),
    /// Nothing yet, but there are more bytes to look at.
    Chunk,
}

/// What the event in hand has shown so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Lines,
    Ping,
}

/// An event that is whole in its chunk, named at most and with one line of data, is taken as it
/// lies: reading it with the parser costs more than all else that is done with a delta. Of any other
/// the parser gets one line at a time, always whole, ending in LF or CR LF.
///
/// The parser reads its buffer from the start whenever bytes arrive and copies the rest of it after
/// each line. Fed with raw chunks it is quadratic in the size of an event and of a chunk, it waits
/// at a CR for what follows, and it panics when the first of them begins with a byte order mark. Fed
/// with lines, the first of which is a comment of ours, it does none of that.
struct Feed<S> {
    source: S,
    cutter: Cutter,
    event: Seen,
}

impl<S: Chunks> Feed<S> {
    /// An event that needs no parser.
    fn plain(&self) -> Option<Plain<'_>> {
        match self.event {
            Seen::Nothing => self.cutter.plain(),
            _ => None,
        }
    }

    /// Goes on behind it.
    fn skip(&mut self, size: usize, seen: Seen) {
        self.cutter.skip(size);
        if seen == Seen::Lines {
            self.source.moved();
        }
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

    /// The next line for the parser.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece>>> {
        loop {
            if let Some(line) = self.cutter.next()? {
                if let Some(line) = self.take(line)? {
                    return Poll::Ready(Some(Ok(Piece::Line(line))));
                }
                continue;
            }
            if self.cutter.pending() > SUBSTANCE
                && self.event != Seen::Ping
                && self.cutter.beginning().first() != Some(&b':')
            {
                self.source.moved();
            }
            match ready!(self.source.poll_chunk(cx)) {
                Some(chunk) => self.cutter.push(chunk?),
                // What has no blank line behind it is not an event.
                None => return Poll::Ready(None),
            }
            return Poll::Ready(Some(Ok(Piece::Chunk)));
        }
    }
}

fn is_ping(line: &[u8]) -> bool {
    let Some(name) = line.strip_prefix(b"event:") else {
        return false;
    };
    PINGS.contains(&name.trim_ascii())
}
