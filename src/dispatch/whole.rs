//! The whole of a large output, kept in the session's store piece by piece while it is written.
//! Refuses to hold more than a few pieces in memory, and to slow the tool down.

use std::{collections::VecDeque, fmt, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};

use crate::{
    error::Result,
    store::{KEPT_PIECE, Store, keep_pieces},
    tool::{Keeper, KeptWhole},
};

/// Bytes of one output that are kept; what comes after is only counted.
pub(super) const MAX_KEPT_OUTPUT: u64 = 64 * 1024 * 1024;

/// Pieces on their way to the store; when it is slower than the tool by more, keeping ends.
const MAX_FLYING: usize = 4;

/// Keeps an output in a store.
pub(super) struct Whole {
    store: Arc<dyn Store>,
    buffer: Vec<u8>,
    flying: VecDeque<BoxFuture<'static, Result<String>>>,
    names: Vec<String>,
    bytes: u64,
    /// No more is taken: a limit was reached or the store failed.
    over: bool,
}

impl Whole {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            buffer: Vec::new(),
            flying: VecDeque::new(),
            names: Vec::new(),
            bytes: 0,
            over: false,
        }
    }

    fn send(&mut self) {
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        self.flying.push_back(self.store.keep(piece));
        while let Some(first) = self.flying.front_mut() {
            match first.now_or_never() {
                Some(Ok(name)) => self.names.push(name),
                Some(Err(_)) => self.over = true,
                None => break,
            }
            self.flying.pop_front();
        }
        self.over |= self.flying.len() > MAX_FLYING;
    }
}

impl Keeper for Whole {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.over {
            let left = MAX_KEPT_OUTPUT - self.bytes;
            let room = (KEPT_PIECE - self.buffer.len()).min(left as usize);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            self.bytes += now.len() as u64;
            bytes = later;
            self.over |= self.bytes == MAX_KEPT_OUTPUT;
            if self.buffer.len() == KEPT_PIECE {
                self.send();
            }
        }
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Option<KeptWhole>> {
        async move {
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
