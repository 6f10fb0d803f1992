//! Large outputs out of line: pieces under their hashes, and the list of pieces under its own.
//! Refuses to read a list where bytes are meant: the two have different names.

use std::sync::Arc;

use bytes::Bytes;

use super::Store;
use crate::error::{Error, ErrorKind, Result};

/// Bytes of one piece.
pub const KEPT_PIECE: usize = 1024 * 1024;

/// What the name of a list of pieces begins with.
pub(super) const LIST: &str = "pieces-";

/// Keeps the list of the pieces of one output, and gives the name of the whole.
pub(crate) async fn keep_pieces(store: &dyn Store, names: &[String]) -> Result<String> {
    if let [name] = names {
        return Ok(name.clone());
    }
    let list = Bytes::from(names.join("\n"));
    let name = store.keep(list).await?;
    Ok(format!("{LIST}{name}"))
}

/// Bytes of an output that was kept, from an offset, at most so many; and how many there are.
///
/// # Errors
/// `NotFound` when nothing is kept under this name; `Corrupt` when it is damaged.
///
/// Cancel safety: safe, it holds no state.
pub async fn read_kept(
    store: &Arc<dyn Store>,
    name: &str,
    offset: u64,
    limit: usize,
) -> Result<(Bytes, u64)> {
    let Some(list) = name.strip_prefix(LIST) else {
        let whole = piece(store, name).await?;
        let from = whole
            .len()
            .min(usize::try_from(offset).unwrap_or(usize::MAX));
        let to = whole.len().min(from.saturating_add(limit));
        return Ok((whole.slice(from..to), whole.len() as u64));
    };
    let names = piece(store, list).await?;
    let names = String::from_utf8_lossy(&names).into_owned();
    let names: Vec<_> = names.lines().collect();
    let mut out = Vec::new();
    let last = names.len().saturating_sub(1);
    let first = usize::try_from(offset / KEPT_PIECE as u64).unwrap_or(usize::MAX);
    let mut skip = (offset % KEPT_PIECE as u64) as usize;
    for name in names.iter().skip(first) {
        if out.len() >= limit {
            break;
        }
        let bytes = piece(store, name).await?;
        let bytes = &bytes[skip.min(bytes.len())..];
        out.extend_from_slice(&bytes[..bytes.len().min(limit - out.len())]);
        skip = 0;
    }
    let tail = match names.last() {
        Some(name) => piece(store, name).await?.len() as u64,
        None => 0,
    };
    Ok((out.into(), last as u64 * KEPT_PIECE as u64 + tail))
}

async fn piece(store: &Arc<dyn Store>, name: &str) -> Result<Bytes> {
    store.kept(name).await?.ok_or_else(|| {
        let text = format!("nothing is kept under this name: `{name}`");
        Error::new(ErrorKind::NotFound, text)
            .with_hint("names stand in results whose middle was left out")
    })
}
