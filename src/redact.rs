//! Takes registered secrets out of text before it is stored or sent, in every spelling they meet.
//! Refuses to guess: only what was registered is found, and too short a secret is refused.

mod spell;
mod stream;

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt,
    sync::{Arc, OnceLock},
};

use aho_corasick::AhoCorasick;

pub use self::stream::RedactorStream;

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";
/// A shorter secret would be found in innocent text.
const MIN_CHARS: usize = 8;
/// A longer secret is a file, not a secret.
const MAX_SECRET_BYTES: usize = 8 * 1024;
/// All secrets together. Spelled in every way, strange bytes grow two hundredfold.
const MAX_TOTAL_BYTES: usize = 64 * 1024;
/// A variable of the environment holds a secret when its name ends so.
const SECRET_NAMES: &[&str] = &[
    "_API_KEY",
    "_APIKEY",
    "_TOKEN",
    "_SECRET",
    "_PASSWORD",
    "_PASSWD",
    "_SECRET_KEY",
    "_SECRET_ACCESS_KEY",
    "_PRIVATE_KEY",
    "_CREDENTIALS",
];

/// Knows secrets, and takes them out of text.
///
/// A secret is found as it is, in base64 (standard and URL alphabet, at any place within a longer
/// encoded text), in hexadecimal digits, URL-encoded, and escaped as JSON writes it, once or twice.
/// It is not found where an encoder broke lines within it or where text was compressed.
///
/// ```
/// use offshoot::Redactor;
///
/// let mut redactor = Redactor::new();
/// redactor.add("correct horse battery")?;
/// assert_eq!(redactor.redact("pw=correct+horse+battery;"), "pw=[redacted];");
/// assert!(redactor.add("short").is_err());
/// # Ok::<(), offshoot::SecretRefused>(())
/// ```
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: HashSet<String>,
    bytes: usize,
    /// Built when first needed, so that adding many secrets costs one building.
    finder: OnceLock<Arc<Finder>>,
}

/// All spellings of all secrets, and what finds them.
struct Finder {
    automaton: AhoCorasick,
    /// Sorted, for questions about beginnings.
    spellings: Vec<Box<[u8]>>,
    longest: usize,
    /// Whether some spelling begins with this byte.
    first: Box<[bool; 256]>,
}

impl Redactor {
    /// Knows no secret yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Knows the values of this process's variables that are secrets by their names: those that
    /// end in `_API_KEY`, `_TOKEN`, `_SECRET`, `_PASSWORD` and the like. Values that are too short
    /// or too long are left out.
    pub fn from_env() -> Self {
        let text = |text: std::ffi::OsString| text.into_string().ok();
        let variables = std::env::vars_os();
        Self::from_variables(
            variables.filter_map(|(name, value)| Some((text(name)?, text(value)?))),
        )
    }

    fn from_variables(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut redactor = Self::new();
        for (name, value) in variables {
            let name = name.to_ascii_uppercase();
            if SECRET_NAMES.iter().any(|end| name.ends_with(end)) {
                // A value that is refused is no key of any vendor.
                let _ = redactor.add(value.trim());
            }
        }
        redactor
    }

    /// Learns a secret.
    ///
    /// # Errors
    /// When it is shorter than eight characters, or there are too many bytes of secrets.
    pub fn add(&mut self, secret: &str) -> Result<(), SecretRefused> {
        if secret.chars().count() < MIN_CHARS {
            return Err(SecretRefused::TooShort);
        }
        if secret.len() > MAX_SECRET_BYTES {
            return Err(SecretRefused::TooLong);
        }
        if self.secrets.contains(secret) {
            return Ok(());
        }
        if self.bytes + secret.len() > MAX_TOTAL_BYTES {
            return Err(SecretRefused::TooMany);
        }
        self.bytes += secret.len();
        self.secrets.insert(secret.to_owned());
        self.finder = OnceLock::new();
        Ok(())
    }

    /// Whether no secret is known.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// The text without secrets. Text without any is not copied.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_empty() {
            return Cow::Borrowed(text);
        }
        let spans = self.finder().spans(text);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (start, end) in spans {
            out.push_str(&text[done..start]);
            out.push_str(REDACTED);
            done = end;
        }
        out.push_str(&text[done..]);
        Cow::Owned(out)
    }

    /// Takes secrets out of text that comes in pieces, also those that lie across their borders.
    pub fn stream(&self) -> RedactorStream {
        if !self.is_empty() {
            self.finder(); // built once here instead of once in each stream
        }
        RedactorStream::new(self.clone())
    }

    fn finder(&self) -> &Finder {
        self.finder
            .get_or_init(|| Arc::new(Finder::new(&self.secrets)))
    }
}

impl Finder {
    fn new(secrets: &HashSet<String>) -> Self {
        let mut spellings: Vec<Box<[u8]>> = secrets
            .iter()
            .flat_map(|secret| spell::all(secret))
            .map(|text| text.into_bytes().into())
            .collect();
        spellings.sort_unstable();
        spellings.dedup();
        let automaton = AhoCorasick::new(&spellings)
            .expect("the limits on secrets keep the automaton far below its own");
        let longest = spellings.iter().map(|s| s.len()).max().unwrap_or(0);
        let mut first = Box::new([false; 256]);
        for spelling in &spellings {
            if let Some(byte) = spelling.first() {
                first[usize::from(*byte)] = true;
            }
        }
        Self {
            automaton,
            spellings,
            longest,
            first,
        }
    }

    /// Where secrets are. Those that overlap are one: taking out the first only would show what
    /// is left of the second.
    fn spans(&self, text: &str) -> Vec<(usize, usize)> {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        // Matches come sorted by their ends.
        for found in self.automaton.find_overlapping_iter(text) {
            let (mut start, end) = (found.start(), found.end());
            while let Some((before, until)) = spans.last().copied()
                && until > start
            {
                start = start.min(before);
                spans.pop();
            }
            spans.push((start, end));
        }
        spans
    }

    /// Where the longest end of the text begins that may grow into a secret; its length if none.
    fn growing(&self, text: &str) -> usize {
        let bytes = text.as_bytes();
        let earliest = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        (earliest..bytes.len())
            .find(|at| self.first[usize::from(bytes[*at])] && self.begins(&bytes[*at..]))
            .unwrap_or(bytes.len())
    }

    /// Whether some spelling is longer than this and begins with it.
    fn begins(&self, head: &[u8]) -> bool {
        let after = self
            .spellings
            .partition_point(|spelling| &**spelling <= head);
        let next = self.spellings.get(after);
        next.is_some_and(|spelling| spelling.starts_with(head))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor")
            .field("secrets", &self.secrets.len())
            .finish_non_exhaustive()
    }
}

/// A secret that is not taken on. Never shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretRefused {
    /// It would be found in innocent text.
    TooShort,
    /// It is too long for one secret.
    TooLong,
    /// All secrets together are too long.
    TooMany,
}

impl fmt::Display for SecretRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "secret shorter than characters: `{MIN_CHARS}`"),
            Self::TooLong => write!(f, "secret longer than bytes: `{MAX_SECRET_BYTES}`"),
            Self::TooMany => write!(f, "secrets together longer than bytes: `{MAX_TOTAL_BYTES}`"),
        }
    }
}

impl std::error::Error for SecretRefused {}

#[cfg(test)]
mod tests;
