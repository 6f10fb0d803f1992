//! The bytes of a row of values in one piece, so that a long history need not be put together again.
//! Refuses to find out what has changed: whoever changes a value before its end says so.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};

use super::{Dialect, Kept};

/// The bytes of the first values of a row, joined by commas, in the dialect that was asked for last.
#[derive(Default)]
pub(crate) struct Joined(Mutex<Run>);

#[derive(Default)]
struct Run {
    dialect: Dialect,
    count: usize,
    bytes: Bytes,
}

impl Joined {
    /// The first `count` values of the row, a comma behind each. Values without bytes are left out.
    pub(crate) fn join<T>(
        &self,
        row: &[Kept<T>],
        count: usize,
        dialect: Dialect,
        encode: impl Fn(&T) -> Vec<u8>,
    ) -> Bytes {
        let mut run = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if run.dialect != dialect || run.count > count {
            *run = Run {
                dialect,
                ..Run::default()
            };
        }
        if run.count < count {
            // The request before this one has let go of them, as a rule; else they are copied.
            let bytes = std::mem::take(&mut run.bytes).try_into_mut();
            let mut bytes = bytes.unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            for value in &row[run.count..count] {
                let item = value.encoded(dialect, &encode);
                if !item.is_empty() {
                    bytes.extend_from_slice(&item);
                    bytes.extend_from_slice(b",");
                }
            }
            run.bytes = bytes.freeze();
            run.count = count;
        }
        debug_assert!(run.is_of(row, encode), "a change was not said");
        run.bytes.clone()
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
            let item = value.encoded(self.dialect, &encode);
            if !item.is_empty() {
                all.extend_from_slice(&item);
                all.push(b',');
            }
        }
        all == self.bytes
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
