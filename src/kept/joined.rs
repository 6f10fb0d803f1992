//! The bytes of a row of values in one piece, so that a long history is copied and not put together.
//! Refuses to find out what has changed: whoever changes a value before its end says so.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use super::{Dialect, Kept};

/// What is copied at a time.
const PIECE: usize = 1 << 10;
/// Room for what mostly follows.
const TAIL: usize = 8 << 10;

/// The bytes of the first values of a row, joined by commas, in the dialect that was asked for last.
#[derive(Default)]
pub(crate) struct Joined(Mutex<Run>);

#[derive(Default)]
struct Run {
    dialect: Dialect,
    count: usize,
    bytes: Vec<u8>,
}

impl Joined {
    /// Puts the first `count` values of the row, a comma behind each, to the end of `out`. Values
    /// without bytes are left out.
    pub(crate) fn append<T>(
        &self,
        row: &[Kept<T>],
        count: usize,
        dialect: Dialect,
        encode: impl Fn(&T) -> Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        let mut run = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if run.dialect != dialect || run.count > count {
            *run = Run {
                dialect,
                ..Run::default()
            };
        }
        for value in &row[run.count..count] {
            push(&mut run.bytes, &value.encoded(dialect, &encode));
        }
        run.count = count;
        out.reserve(run.bytes.len() + TAIL);
        // Long copies are made by the processor's own string instruction, which is no quicker here,
        // and whose every byte is an instruction to whoever counts them.
        for piece in run.bytes.chunks(PIECE) {
            out.extend_from_slice(piece);
        }
        debug_assert!(run.is_of(row, encode), "a change was not said");
    }

    /// The value at this place is another from now on.
    pub(crate) fn changed(&mut self, at: usize) {
        let run = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if at < run.count {
            *run = Run::default();
        }
    }

    /// Gives the memory back.
    pub(crate) fn forget(&mut self) {
        self.changed(0);
    }
}

impl Run {
    fn is_of<T>(&self, row: &[Kept<T>], encode: impl Fn(&T) -> Vec<u8>) -> bool {
        let mut all = Vec::new();
        for value in &row[..self.count] {
            push(&mut all, &value.encoded(self.dialect, &encode));
        }
        all == self.bytes
    }
}

/// Adds an item and a comma; an empty one is none.
pub(crate) fn push(out: &mut Vec<u8>, item: &[u8]) {
    if !item.is_empty() {
        out.extend_from_slice(item);
        out.push(b',');
    }
}

impl Clone for Joined {
    /// A copy of a row most likely goes another way.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "Joined({}, {} bytes)", run.count, run.bytes.len())
    }
}
