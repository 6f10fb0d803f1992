//! Joins a framed HTTP answer with a vendor's decoder into one stream of deltas.
//! Refuses to know vendors; it only sees to it that an answer without its end counts as broken.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::Stream;
use tokio::time::Sleep;

use super::{Delta, Deltas};
use crate::{
    error::{Error, ErrorKind, Result},
    http::{Call, Client, Frames, Hindsight},
};

/// A vendor's decoder: frames in, deltas out. One for each answer.
pub(crate) trait Decode: Send + Unpin + 'static {
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
pub(crate) fn follow<F: Frames, D: Decode>(frames: F, decoder: D) -> Follow<F, D> {
    Follow {
        frames,
        decoder,
        out: VecDeque::new(),
        state: State::Coming,
    }
}

/// The deltas of an answer, ending with its `Stop` or with an error.
pub(crate) struct Follow<F, D> {
    frames: F,
    decoder: D,
    /// What was decoded and not given out yet.
    out: VecDeque<Delta>,
    state: State,
}

/// How far an answer is.
enum State {
    Coming,
    /// The vendor said its last word, which is given out when the body has ended too.
    Lingering(Delta, Option<Pin<Box<Sleep>>>),
    /// The body has ended; what is left is given out.
    Ended,
    Over,
}

impl<F: Frames + Unpin, D: Decode> Follow<F, D> {
    /// Reads what follows the last word, for a moment.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let State::Lingering(_, limit) = &mut self.state else {
            return Poll::Ready(());
        };
        while let Poll::Ready(frame) = self.frames.poll_frame(cx, |_, _| ()) {
            if !matches!(frame, Some(Ok(()))) {
                return Poll::Ready(());
            }
        }
        let limit = limit.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        limit.as_mut().poll(cx)
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Delta>>> {
        self.out.clear();
        self.state = State::Over;
        Poll::Ready(Some(Err(error)))
    }
}

impl<F: Frames + Unpin, D: Decode> Stream for Follow<F, D> {
    type Item = Result<Delta>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            ready!(this.poll_rest(cx));
            match this.state {
                State::Coming => {}
                State::Lingering(..) => {
                    if let State::Lingering(last, _) =
                        std::mem::replace(&mut this.state, State::Over)
                    {
                        return Poll::Ready(Some(Ok(last)));
                    }
                }
                State::Ended => {
                    let Some(delta) = this.out.pop_front() else {
                        let text = "the answer broke off before its end";
                        return this.fail(Error::new(ErrorKind::Disconnected, text));
                    };
                    if matches!(delta, Delta::Stop { .. }) {
                        this.state = State::Over;
                    }
                    return Poll::Ready(Some(Ok(delta)));
                }
                State::Over => return Poll::Ready(None),
            }
            match this.out.pop_front() {
                Some(last @ Delta::Stop { .. }) => {
                    this.out.clear();
                    this.state = State::Lingering(last, None);
                    continue;
                }
                Some(delta) => return Poll::Ready(Some(Ok(delta))),
                None => {}
            }
            let (decoder, out) = (&mut this.decoder, &mut this.out);
            let taken = this
                .frames
                .poll_frame(cx, |event, data| decoder.frame(event, data, out));
            match ready!(taken) {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error)) | Err(error)) => return this.fail(error),
                None => {
                    this.state = State::Ended;
                    if let Err(error) = this.decoder.end(&mut this.out) {
                        return this.fail(error);
                    }
                }
            }
        }
    }
}
