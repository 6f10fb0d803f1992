//! A session by its name, or by the beginning or the end of it.
//! Refuses to choose between several.

use std::sync::Arc;

use crate::{
    error::{Error, ErrorKind, Result},
    id::SessionId,
    store::{Card, Store},
};

/// Candidates that an error names.
const MAX_NAMED: usize = 5;

/// The session that a person means.
pub(super) async fn find(store: &Arc<dyn Store>, text: &str) -> Result<Card> {
    let text = text.trim();
    let exact = store.card(&SessionId::new(text)).await?;
    if let Some(card) = exact.filter(|card| card.records > 0) {
        return Ok(card);
    }
    let mut cards = store.list().await?;
    cards.retain(|card| {
        let id = card.id.as_str();
        !text.is_empty() && (id.starts_with(text) || id.ends_with(text))
    });
    match cards.len() {
        0 => Err(
            Error::new(ErrorKind::NotFound, format!("no such session: `{text}`"))
                .with_hint("`offshoot sessions` lists them"),
        ),
        1 => Ok(cards.remove(0)),
        many => {
            let named = cards.iter().take(MAX_NAMED);
            let mut lines: Vec<_> = named
                .map(|card| format!("{}  {}", card.id, card.title))
                .collect();
            if many > MAX_NAMED {
                lines.push(format!("… {} more", many - MAX_NAMED));
            }
            let text = format!("several sessions have this name: `{text}`");
            let hint = format!("say more of one of them:\n{}", lines.join("\n"));
            Err(Error::new(ErrorKind::Config, text).with_hint(hint))
        }
    }
}

/// The session of a folder that was written to last.
pub(super) async fn newest(store: &Arc<dyn Store>, folder: &str) -> Result<Card> {
    let cards = store.list().await?;
    let here = |card: &Card| card.folder.as_deref() == Some(folder);
    cards.into_iter().find(here).ok_or_else(|| {
        let text = format!("no session has worked in this folder: `{folder}`");
        Error::new(ErrorKind::NotFound, text).with_hint("`offshoot sessions` lists them all")
    })
}
