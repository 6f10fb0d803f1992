//! The whole of a large output, kept in the session's store piece by piece while it is written.
//! Refuses to hold more than a few pieces in memory, and to slow the tool down.

use std::{collections::VecDeque, fmt, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};

use crate::{
    error::Result,
    redact::{Redactor, RedactorStream},
    store::{KEPT_PIECE, Store, keep_pieces},
    tool::{Keeper, KeptWhole},
};

/// Bytes of one output that are kept; what comes after is only counted.
pub(super) const MAX_KEPT_OUTPUT: u64 = 64 * 1024 * 1024;

/// Pieces on their way to the store; when it is slower than the tool by more, keeping ends.
const MAX_FLYING: usize = 4;

/// Whether more is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    More,
    /// A limit was reached, or the store is too slow.
    Enough,
    /// The store failed.
    Failed,
}

/// Keeps an output in a store.
pub(super) struct Whole {
    store: Arc<dyn Store>,
    buffer: Vec<u8>,
    flying: VecDeque<BoxFuture<'static, Result<String>>>,
    names: Vec<String>,
    bytes: u64,
    takes: Takes,
    mask: Option<Mask>,
}

/// Takes secrets out on the way.
struct Mask {
    stream: RedactorStream,
    /// The beginning of a character whose end has not come.
    half: Vec<u8>,
}

impl Mask {
    fn clean(&mut self, bytes: &[u8]) -> String {
        self.half.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.half) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.half.len(),
        };
        let later = self.half.split_off(whole);
        let now = std::mem::replace(&mut self.half, later);
        self.stream.push(&String::from_utf8_lossy(&now))
    }

    fn rest(&mut self) -> String {
        let half = std::mem::take(&mut self.half);
        let mut rest = self.stream.push(&String::from_utf8_lossy(&half));
        rest.push_str(&self.stream.finish());
        rest
    }
}

impl Whole {
    pub(super) fn new(store: Arc<dyn Store>, redactor: Option<&Redactor>) -> Self {
        Self {
            mask: redactor.map(|redactor| Mask {
                stream: redactor.stream(),
                half: Vec::new(),
            }),
            store,
            buffer: Vec::new(),
            flying: VecDeque::new(),
            names: Vec::new(),
            bytes: 0,
            takes: Takes::More,
        }
    }

    #[expect(
        clippy::fn_params_excessive_bools,
        reason = "the condition that its name ends with"
    )]
    fn enough_if(&mut self, reached: bool) {
        if reached && self.takes == Takes::More {
            self.takes = Takes::Enough;
        }
    }

    fn send(&mut self) {
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        self.flying.push_back(self.store.keep(piece));
        while let Some(first) = self.flying.front_mut() {
            match first.now_or_never() {
                Some(Ok(name)) => self.names.push(name),
                Some(Err(_)) => self.takes = Takes::Failed,
                None => break,
            }
            self.flying.pop_front();
        }
        self.enough_if(self.flying.len() > MAX_FLYING);
    }
}

impl Whole {
    fn add(&mut self, mut bytes: &[u8]) {
        // Something comes after the limit.
        self.enough_if(!bytes.is_empty() && self.bytes == MAX_KEPT_OUTPUT);
        while !bytes.is_empty() && self.takes == Takes::More {
            let left = MAX_KEPT_OUTPUT - self.bytes;
            let room = (KEPT_PIECE - self.buffer.len()).min(left as usize);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            self.bytes += now.len() as u64;
            bytes = later;
            self.enough_if(!bytes.is_empty() && self.bytes == MAX_KEPT_OUTPUT);
            if self.buffer.len() == KEPT_PIECE {
                self.send();
            }
        }
    }
}

impl Keeper for Whole {
    fn take(&mut self, bytes: &[u8]) {
        match &mut self.mask {
            Some(mask) => {
                let clean = mask.clean(bytes);
                self.add(clean.as_bytes());
            }
            None => self.add(bytes),
        }
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Option<KeptWhole>> {
        if let Some(mask) = &mut self.mask {
            let rest = mask.rest();
            self.add(rest.as_bytes());
        }
        async move {
            if self.takes == Takes::Failed {
                return None;
            }
            if !self.buffer.is_empty() {
                let piece = Bytes::from(std::mem::take(&mut self.buffer));
                self.flying.push_back(self.store.keep(piece));
            }
            for piece in std::mem::take(&mut self.flying) {
                self.names.push(piece.await.ok()?);
            }
            let name = keep_pieces(&*self.store, &self.names).await.ok()?;
            Some(KeptWhole {
                name,
                bytes: self.bytes,
                whole: self.takes == Takes::More,
            })
        }
        .boxed()
    }
}

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Whole({} bytes)", self.bytes)
    }
}
