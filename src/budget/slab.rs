//! Numbered places that are used again, so that long chains are links of numbers, not of owners.
//! Refuses to guard against stale keys: a key is kept only by what keeps its place taken.

use std::{fmt, marker::PhantomData};

/// A place that is taken.
pub(super) struct Key<T>(u32, PhantomData<fn() -> T>);

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The places.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<T>,
    free: Vec<Key<T>>,
}

impl<T> Slab<T> {
    /// With room for so many, for a tree that may never grow.
    pub(super) fn with_room(places: usize) -> Self {
        Self {
            places: Vec::with_capacity(places),
            free: Vec::new(),
        }
    }

    /// Puts something into a free place.
    pub(super) fn put(&mut self, thing: T) -> Key<T> {
        if let Some(key) = self.free.pop() {
            self[key] = thing;
            return key;
        }
        let key = Key(self.places.len() as u32, PhantomData);
        self.places.push(thing);
        key
    }

    /// Frees a place; what is in it stays until the place is taken again.
    pub(super) fn free(&mut self, key: Key<T>) {
        self.free.push(key);
    }

    /// How many places are taken.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl<T> std::ops::Index<Key<T>> for Slab<T> {
    type Output = T;

    fn index(&self, key: Key<T>) -> &T {
        &self.places[key.0 as usize]
    }
}

impl<T> std::ops::IndexMut<Key<T>> for Slab<T> {
    fn index_mut(&mut self, key: Key<T>) -> &mut T {
        &mut self.places[key.0 as usize]
    }
}
