//! The names of things: agents, calls, turns, sessions and places in the agent tree.
//! Refuses to know what any of them does; an id is compared, printed and stored, nothing else.

use std::{
    fmt,
    hash::{BuildHasher, Hasher},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

mod path;

pub use self::path::AgentPath;

/// Sixty-four bits nobody can foresee, from the keys the standard library seeds its maps with.
///
/// Good enough for names and for jitter; never used where secrecy matters.
pub(crate) fn random_u64() -> u64 {
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u8(1);
    hasher.finish()
}

/// A number in `0.0..1.0`, for jitter.
pub(crate) fn random_unit() -> f64 {
    (random_u64() >> 11) as f64 / (1u64 << 53) as f64
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

text_id! {
    /// One living agent: `a` and sixteen hexadecimal digits.
    AgentId
}

text_id! {
    /// One tool call, named by the model vendor (or by us, where the vendor names none).
    CallId
}

text_id! {
    /// One session. Ids made here sort by the time they were made.
    SessionId
}

impl AgentId {
    /// A new name that no other agent has.
    pub fn random() -> Self {
        Self::new(format!("a{:016x}", random_u64()))
    }
}

impl CallId {
    /// A new name for a call that came without one.
    pub fn random() -> Self {
        Self::new(format!("call_{:016x}", random_u64()))
    }
}

impl SessionId {
    /// A new name: `s`, the milliseconds since 1970 and a random tail, so that names sort by age.
    pub fn random() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        Self::new(format!("s{now:012x}{:08x}", random_u64() as u32))
    }
}

/// The number of a turn within its session, from 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TurnId(pub u64);

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
