//! A value and the bytes it was encoded to, so that nothing is encoded twice.
//! Refuses to know who encodes or into what; a dialect is only a name here.

mod joined;

use std::{borrow::Cow, sync::OnceLock};

use bytes::Bytes;

pub(crate) use self::joined::Joined;

/// The name of a way to write messages as bytes: a vendor, and what changes its spelling.
pub type Dialect = &'static str;

/// A value and the bytes it was encoded to, remembered for two dialects (a model and its fallback).
#[derive(Debug, Default)]
pub struct Kept<T> {
    value: T,
    first: OnceLock<(Dialect, Bytes)>,
    /// By itself, for most values are only ever encoded for one vendor.
    second: OnceLock<Box<(Dialect, Bytes)>>,
}

impl<T> Kept<T> {
    /// Nothing encoded yet.
    pub fn new(value: T) -> Self {
        Self {
            value,
            first: OnceLock::new(),
            second: OnceLock::new(),
        }
    }

    /// The value.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// Gives the value back.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The bytes in this dialect, if they were made and are remembered.
    pub fn kept(&self, dialect: Dialect) -> Option<&[u8]> {
        let (owner, bytes) = self.first.get()?;
        if is_same(owner, dialect) {
            return Some(bytes);
        }
        let (owner, bytes) = &**self.second.get()?;
        is_same(owner, dialect).then_some(bytes)
    }

    /// The bytes in this dialect: made by `encode` the first time, remembered afterwards.
    ///
    /// A third dialect is encoded each time and not remembered.
    pub fn encoded(&self, dialect: Dialect, encode: impl FnOnce(&T) -> Vec<u8>) -> Cow<'_, [u8]> {
        if let Some(bytes) = self.kept(dialect) {
            return Cow::Borrowed(bytes);
        }
        let mut encode = Some(encode);
        let mut fill = || {
            let encode = encode.take().expect("a slot is filled once");
            (dialect, Bytes::from(encode(&self.value)))
        };
        let (owner, bytes) = self.first.get_or_init(&mut fill);
        if is_same(owner, dialect) {
            return Cow::Borrowed(bytes);
        }
        let (owner, bytes) = &**self.second.get_or_init(|| Box::new(fill()));
        if is_same(owner, dialect) {
            return Cow::Borrowed(bytes);
        }
        match encode {
            Some(encode) => Cow::Owned(encode(&self.value)),
            None => unreachable!("a slot filled here has this dialect"),
        }
    }
}

/// Names are constants: the same text nearly always lies at the same place.
fn is_same(one: Dialect, other: Dialect) -> bool {
    std::ptr::eq(one, other) || one == other
}

impl<T: Clone> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            first: self.first.clone(),
            second: self.second.clone(),
        }
    }
}

impl<T> From<T> for Kept<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_dialects_are_remembered_and_a_third_is_right() {
        let kept = Kept::new(7);
        let count = std::cell::Cell::new(0);
        let encode = |dialect: Dialect| {
            kept.encoded(dialect, |n| {
                count.set(count.get() + 1);
                format!("{dialect}{n}").into_bytes()
            })
        };
        for _ in 0..3 {
            assert_eq!(*encode("a"), *b"a7");
            assert_eq!(*encode("b"), *b"b7");
        }
        assert_eq!(count.get(), 2);
        assert_eq!(*encode("c"), *b"c7");
        assert_eq!(*encode("c"), *b"c7");
        assert_eq!(count.get(), 4);
    }
}
