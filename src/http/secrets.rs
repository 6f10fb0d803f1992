//! Keeps keys out of messages: what was sent as a key, and what looks like one.
//! Refuses to guess beyond that; stored text has a redactor of its own.

use std::borrow::Cow;

use super::Call;

const REDACTED: &str = "<redacted>";
/// Shorter values are no keys, and would be found everywhere.
const SHORTEST: usize = 6;
/// How the vendors' keys begin.
const PREFIXES: [&str; 8] = [
    "sk-", "AIza", "xai-", "gsk_", "r8_", "hf_", "pplx-", "Bearer ",
];
/// So many characters must follow the prefix.
const TAIL: usize = 12;
/// How much of a body a message shows.
const EXCERPT: usize = 200;

/// The keys of one call.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn of(call: &Call, url: &reqwest::Url) -> Self {
        let headers = call.headers.iter().filter(|(name, _)| is_secret(name));
        let headers = headers.map(|(_, value)| {
            let value = value.as_str();
            value.strip_prefix("Bearer ").unwrap_or(value).to_owned()
        });
        let queries = url.query_pairs().filter(|(name, _)| is_secret(name));
        let queries = queries.map(|(_, value)| value.into_owned());
        let password = url.password().map(str::to_owned);
        let mut all: Vec<_> = headers.chain(queries).chain(password).collect();
        all.retain(|secret| secret.len() >= SHORTEST);
        // Longest first, or a key that begins with another would leave its tail behind.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(all)
    }

    /// The text without the keys.
    pub(super) fn out_of(&self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = Cow::Owned(text.replace(secret.as_str(), REDACTED));
            }
        }
        shapes(&text)
    }
}

/// The start of a text, on one line.
pub(super) fn excerpt(text: &str) -> String {
    let text = text.trim();
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= EXCERPT).last().unwrap_or(0);
    text[..end]
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "key", "token", "secret", "cookie", "password"]
        .iter()
        .any(|word| name.contains(word))
}

/// Takes out what looks like a key of somebody.
fn shapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, prefix)) = first_prefix(rest) {
        let (before, from) = rest.split_at(at);
        let tail = &from[prefix.len()..];
        let in_key = |c: char| c.is_ascii_alphanumeric() || "-_*.".contains(c);
        let end = tail.find(|c| !in_key(c)).unwrap_or(tail.len());
        // In the middle of a word it is no prefix: `task-…`.
        let starts = !before.ends_with(|c: char| c.is_ascii_alphanumeric());
        out.push_str(before);
        if starts && end >= TAIL {
            out.push_str(REDACTED);
        } else {
            out.push_str(&from[..prefix.len() + end]);
        }
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

fn first_prefix(text: &str) -> Option<(usize, &'static str)> {
    let places = PREFIXES
        .iter()
        .filter_map(|prefix| Some((text.find(prefix)?, *prefix)));
    places.min_by_key(|(at, _)| *at)
}
