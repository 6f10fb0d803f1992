//! Joins a framed HTTP answer with a vendor's decoder into one stream of deltas.
//! Refuses to know vendors; it only sees to it that an answer without its end counts as broken.

use std::{collections::VecDeque, time::Duration};

use async_stream::try_stream;
use futures::{Stream, StreamExt};

use super::{Delta, Deltas};
use crate::{
    error::{Error, ErrorKind, Result},
    http::{Call, Client, Frame, Hindsight},
};

/// A vendor's decoder: frames in, deltas out. One for each answer.
pub(crate) trait Decode: Send + 'static {
    /// Decodes one frame. Unknown frames become `Delta::Skipped`, never an error.
    fn frame(&mut self, event: &str, data: &str, out: &mut VecDeque<Delta>) -> Result<()>;

    /// The body has ended. Vendors without an end mark give their `Delta::Stop` here.
    fn end(&mut self, out: &mut VecDeque<Delta>) -> Result<()> {
        let _ = out;
        Ok(())
    }
}

/// How long the body may take to end after the vendor's last word. A body that was read to its end
/// gives its connection back; one that is dropped earlier costs the next call a handshake.
const LINGER: Duration = Duration::from_millis(50);

/// The error for a frame that is not what the vendor's API sends.
pub(crate) fn unreadable(event: &str, data: &str, error: serde_json::Error) -> Error {
    // serde_json counts lines and columns; one number is easier to look up in a recording.
    let before: usize = data
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let offset = before + error.column();
    let event = if event.is_empty() {
        "the answer"
    } else {
        event
    };
    let message = format!("cannot read at byte {offset} of the event: `{event}`");
    Error::new(ErrorKind::Decode, message).with_source(error)
}

/// The deltas of one answer. Nothing is sent before the first poll.
pub(crate) fn drive(client: Client, call: Call, decoder: impl Decode) -> Deltas {
    let hindsight = Hindsight::default();
    let frames = client.open(call, hindsight.clone());
    Box::pin(follow(frames, Heeded { decoder, hindsight }))
}

/// A decoder whose errors the governor hears of: they are the vendor's own words.
struct Heeded<D> {
    decoder: D,
    hindsight: Hindsight,
}

impl<D: Decode> Decode for Heeded<D> {
    fn frame(&mut self, event: &str, data: &str, out: &mut VecDeque<Delta>) -> Result<()> {
        let decoded = self.decoder.frame(event, data, out);
        decoded.inspect_err(|error| self.hindsight.failed(error))
    }

    fn end(&mut self, out: &mut VecDeque<Delta>) -> Result<()> {
        self.decoder.end(out)
    }
}

/// The deltas of these frames.
pub(crate) fn follow(
    mut frames: impl Stream<Item = Result<Frame>> + Send + Unpin + 'static,
    mut decoder: impl Decode,
) -> impl Stream<Item = Result<Delta>> + Send + 'static {
    try_stream! {
        let mut out = VecDeque::new();
        while let Some(frame) = frames.next().await {
            let frame = frame?;
            decoder.frame(&frame.event, &frame.data, &mut out)?;
            while let Some(delta) = out.pop_front() {
                let last = matches!(delta, Delta::Stop { .. });
                if last {
                    let rest = async { while frames.next().await.is_some_and(|f| f.is_ok()) {} };
                    tokio::time::timeout(LINGER, rest).await.ok();
                }
                yield delta;
                if last {
                    return;
                }
            }
        }
        decoder.end(&mut out)?;
        for delta in out {
            let last = matches!(delta, Delta::Stop { .. });
            yield delta;
            if last {
                return;
            }
        }
        Err(Error::new(ErrorKind::Disconnected, "the answer broke off before its end"))?;
    }
}
