//! A piece of an answer that is known to be text and still lies in the buffer it came in.
//! Refuses bytes that are no text, so that who reads it need not ask.

use std::{fmt, ops::Deref, str::Utf8Error};

use bytes::Bytes;

/// Text whose bytes are shared, not copied.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Text(Bytes);

impl Text {
    /// Of these bytes.
    ///
    /// # Errors
    /// When they are no UTF-8.
    pub(super) fn of(bytes: Bytes) -> Result<Self, Utf8Error> {
        std::str::from_utf8(&bytes)?;
        Ok(Self(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        // It was text when it was made, and nothing can change it since. Looking again is cheaper
        // than a copy.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, text: &str) -> bool {
        **self == *text
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, text: &&str) -> bool {
        **self == **text
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
