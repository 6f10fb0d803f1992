//! What some APIs have no field for, said in plain words: a failed outcome, a file nobody can read.
//! Refuses to lose anything silently: what cannot be sent is named in its place.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::message::{Media, MediaSource, Outcome};

/// What stands where a message would otherwise be empty.
pub(crate) const NOTHING: &str = "(empty)";

/// The first line of a result that is not ok, for APIs that have no field for it.
///
/// Without it the model could not tell a command's cut-off output from its whole output.
pub(crate) fn outcome(outcome: Outcome) -> Option<String> {
    outcome
        .is_error()
        .then(|| format!("(outcome: {})", outcome.as_str()))
}

/// The address of media: its own, or one that holds the bytes.
pub(crate) fn address(media: &Media) -> Cow<'_, str> {
    match &media.source {
        MediaSource::Url(url) => Cow::Borrowed(url),
        MediaSource::Base64(data) => Cow::Owned(format!("data:{};base64,{data}", media.mime)),
    }
}

/// The text of a text document; `None` for anything that is no text, or not here.
pub(crate) fn readable(media: &Media) -> Option<String> {
    const TEXTS: [&str; 3] = ["application/json", "application/xml", "application/yaml"];
    let MediaSource::Base64(data) = &media.source else {
        return None;
    };
    if !media.mime.starts_with("text/") && !TEXTS.contains(&&*media.mime) {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(&**data).ok()?).ok()?;
    Some(match &media.name {
        Some(name) => format!("{name}:\n{text}"),
        None => text,
    })
}

/// The words in place of media that an API does not take.
pub(crate) fn unreadable(media: &Media) -> String {
    match &media.source {
        MediaSource::Url(url) => format!("(a file of the type `{}` at {url})", media.mime),
        MediaSource::Base64(_) => {
            let name = media.name.as_deref().unwrap_or("a file");
            format!("({name}, of the type `{}`, not readable here)", media.mime)
        }
    }
}
