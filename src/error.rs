//! The one error of this crate: a private kind, questions instead of variants, and a hint.
//! Refuses what the model could mend: that is a `ToolResult`, never an error.

use std::{fmt, sync::Arc, time::Duration};

/// What went wrong, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting or an argument is wrong.
    Config,
    /// The vendor wants a key, or another one.
    Auth,
    /// The vendor says that this may not be done with this key.
    Forbidden,
    /// The vendor does not know the model or the address.
    NotFound,
    /// The vendor says that the request is wrong.
    BadRequest,
    /// The request does not fit the model.
    ContextTooLong,
    /// Too many requests with this key.
    RateLimited,
    /// The account has no money or quota left; waiting does not help.
    QuotaExhausted,
    /// The vendor is overloaded.
    Overloaded,
    /// The vendor failed.
    Server,
    /// No connection could be made, or it broke before an answer began.
    Connect,
    /// The answer broke off.
    Disconnected,
    /// Nothing came for too long.
    Timeout,
    /// What came is not what this vendor's API sends.
    Decode,
    /// A named limit of this crate was reached.
    Limit,
    /// A file or another thing of the operating system.
    Io,
    /// Somebody else has it: a session that another process writes.
    Busy,
    /// Somebody newer has it: what this writer does is refused from now on.
    Fenced,
    /// What was kept is damaged.
    Corrupt,
    /// There is no room left on the disk.
    StorageFull,
    /// It was written by a newer version, which this one must not touch.
    TooNew,
    /// Whether it was done cannot be known; asking again is safe.
    Uncertain,
    /// Cancelled.
    Cancelled,
    /// The model did not give an answer of the asked shape.
    Answer,
    /// A bug in this crate.
    Bug,
}

/// The one error type. Cheap to clone.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    status: Option<u16>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    billed: bool,
    retry: Retry,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What the vendor said about trying again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Retry {
    Unsaid,
    Yes,
    No,
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of a kind, saying what failed, with the value in backticks after a colon.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            status: None,
            request_id: None,
            retry_after: None,
            billed: false,
            retry: Retry::Unsaid,
            source: None,
        }))
    }

    /// With advice for the person who reads it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        self.change(|inner| inner.hint = Some(hint.into()))
    }

    /// With the HTTP status it came with.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        self.change(|inner| inner.status = Some(status))
    }

    /// With the vendor's name for the request, for their support.
    #[must_use]
    pub fn with_request_id(self, id: impl Into<String>) -> Self {
        self.change(|inner| inner.request_id = Some(id.into()))
    }

    /// With the wait that the vendor asked for.
    #[must_use]
    pub fn with_retry_after(self, wait: Duration) -> Self {
        self.change(|inner| inner.retry_after = Some(wait))
    }

    /// Marks that the vendor may have done the work, and charged for it.
    #[must_use]
    pub fn possibly_billed(self) -> Self {
        self.change(|inner| inner.billed = true)
    }

    /// Marks that the vendor says that the same request may succeed later. That is not believed of
    /// a wrong key or a wrong request.
    #[must_use]
    pub fn worth_retrying(self) -> Self {
        self.change(|inner| inner.retry = Retry::Yes)
    }

    /// Marks that the vendor says that trying again is useless.
    #[must_use]
    pub fn not_worth_retrying(self) -> Self {
        self.change(|inner| inner.retry = Retry::No)
    }

    /// With what caused it.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.change(|inner| inner.source = Some(source.into()))
    }

    fn change(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = match Arc::try_unwrap(self.0) {
            Ok(inner) => inner,
            // Shared already: the copy keeps the words of the source, not the source itself.
            Err(shared) => Inner {
                kind: shared.kind,
                message: shared.message.clone(),
                hint: shared.hint.clone(),
                status: shared.status,
                request_id: shared.request_id.clone(),
                retry_after: shared.retry_after,
                billed: shared.billed,
                retry: shared.retry,
                source: shared.source.as_ref().map(|s| s.to_string().into()),
            },
        };
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// What went wrong, in one word.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Advice for the person who reads it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The HTTP status it came with.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The vendor's name for the request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The wait that the vendor asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the vendor may have done the work, and charged for it.
    pub fn is_possibly_billed(&self) -> bool {
        self.0.billed
    }

    /// Whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        use ErrorKind as K;
        let passes = match self.0.kind {
            K::RateLimited | K::Overloaded | K::Server => true,
            K::Connect | K::Disconnected | K::Timeout => true,
            K::Auth | K::Forbidden | K::NotFound | K::BadRequest => return false,
            K::ContextTooLong | K::QuotaExhausted | K::Cancelled => return false,
            _ => false,
        };
        match self.0.retry {
            Retry::Unsaid => passes,
            Retry::Yes => true,
            Retry::No => false,
        }
    }

    /// Whether the history is too long for the model.
    pub fn is_context_too_long(&self) -> bool {
        self.0.kind == ErrorKind::ContextTooLong
    }

    /// Whether the vendor asked for fewer requests.
    pub fn is_rate_limited(&self) -> bool {
        self.0.kind == ErrorKind::RateLimited
    }

    /// Whether a timer of ours ran out.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// Whether somebody cancelled it.
    pub fn is_cancelled(&self) -> bool {
        self.0.kind == ErrorKind::Cancelled
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(id) = &self.0.request_id {
            write!(f, " (request `{id}`)")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.0.kind)
            .field("message", &self.0.message);
        if let Some(status) = self.0.status {
            out.field("status", &status);
        }
        if let Some(hint) = &self.0.hint {
            out.field("hint", hint);
        }
        if let Some(source) = &self.0.source {
            out.field("source", source);
        }
        out.finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        self.0.kind == other.0.kind && self.0.message == other.0.message
    }
}
