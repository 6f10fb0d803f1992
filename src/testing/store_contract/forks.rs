//! The promises about forks: they share what was, and nothing that comes.
//! Refuses to ask whether rows are copied, which no one can see from here.

use std::sync::Arc;

use super::{
    Seen,
    kit::{Writer, read, refused, same, same_rows},
};
use crate::{error::ErrorKind, id::SessionId, store::Store};

fn id(name: &str) -> SessionId {
    SessionId::new(name)
}

pub(super) async fn shares(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "origin").await?;
    let mut batch = writer.batch(writer.next(&[b"1", b"2", b"3"]));
    batch.card.title = "a title".into();
    batch.card.model = "vendor/name".into();
    let rows = batch.rows.clone();
    store.append(&writer.claim, batch).await?;
    writer.advance(&rows);
    for last in 0..=3u64 {
        let name = format!("fork at {last}");
        store.fork(&id("origin"), last, &id(&name)).await?;
        let shared = &rows[..last as usize];
        same_rows(&name, &read(&store, &name).await?, shared)?;
        let Some(card) = store.card(&id(&name)).await? else {
            return Err(super::Broken(format!("{name} has no card")));
        };
        same("its records", &card.records, &last)?;
        same("its origin", &card.forked, &Some((id("origin"), last)))?;
        let inherited = (card.title.as_str(), card.model.as_str());
        same(
            "its title and model",
            &inherited,
            &("a title", "vendor/name"),
        )?;
        let mut fork = Writer::claim(&store, &name).await?;
        same("the last row of its claim", &fork.claim.last, &last)?;
        let mut all = shared.to_vec();
        all.extend(fork.append(&[b"own"]).await?);
        same_rows("with a row of its own", &read(&store, &name).await?, &all)?;
    }
    same("the length of the list", &store.list().await?.len(), &5)
}

pub(super) async fn apart(store: Arc<dyn Store>) -> Seen {
    let mut origin = Writer::claim(&store, "origin").await?;
    let mut rows = origin.append(&[b"1", b"2", b"3"]).await?;
    store.fork(&id("origin"), 2, &id("fork")).await?;
    let mut forked = rows[..2].to_vec();
    rows.extend(origin.append(&[b"4", b"5"]).await?);
    same_rows("the fork", &read(&store, "fork").await?, &forked)?;
    let mut fork = Writer::claim(&store, "fork").await?;
    forked.extend(fork.append(&[b"three", b"four"]).await?);
    rows.extend(origin.append(&[b"6"]).await?);
    same_rows("the fork's log", &read(&store, "fork").await?, &forked)?;
    same_rows("the origin's log", &read(&store, "origin").await?, &rows)?;
    let part = store.read(&id("fork"), 2..4).await?;
    same_rows("a range across both", &part, &forked[1..3])
}

pub(super) async fn deep(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "0").await?;
    let mut rows = writer.append(&[b"1", b"2"]).await?;
    for n in 1..12u64 {
        let (from, to) = (format!("{}", n - 1), format!("{n}"));
        store.fork(&id(&from), rows.len() as u64, &id(&to)).await?;
        let mut writer = Writer::claim(&store, &to).await?;
        rows.extend(writer.append(&[from.as_bytes(), b"more"]).await?);
        same_rows(&to, &read(&store, &to).await?, &rows)?;
    }
    // Of rows that are its origin's origin's.
    store.fork(&id("11"), 3, &id("short")).await?;
    same_rows(
        "a fork at an old row",
        &read(&store, "short").await?,
        &rows[..3],
    )
}

pub(super) async fn orphan(store: Arc<dyn Store>) -> Seen {
    let mut origin = Writer::claim(&store, "origin").await?;
    let rows = origin.append(&[b"1", b"2", b"3"]).await?;
    drop(origin);
    store.fork(&id("origin"), 2, &id("fork")).await?;
    store.fork(&id("fork"), 1, &id("second")).await?;
    store.remove(&id("origin")).await?;
    same_rows("the fork", &read(&store, "fork").await?, &rows[..2])?;
    let mut fork = Writer::claim(&store, "fork").await?;
    fork.append(&[b"three"]).await?;
    drop(fork);
    // The name is free, and what comes under it is nobody's past.
    let mut new = Writer::claim(&store, "origin").await?;
    same("the last row of a new one of its name", &new.claim.last, &0)?;
    new.append(&[b"new", b"rows"]).await?;
    store.remove(&id("fork")).await?;
    same_rows(
        "a fork of the fork",
        &read(&store, "second").await?,
        &rows[..1],
    )?;
    store.remove(&id("second")).await?;
    same("the length of the list", &store.list().await?.len(), &1)
}

pub(super) async fn cut(store: Arc<dyn Store>) -> Seen {
    let mut origin = Writer::claim(&store, "origin").await?;
    let rows = origin.append(&[b"1", b"2", b"3", b"4"]).await?;
    store.fork(&id("origin"), 3, &id("fork")).await?;
    store.cut(&origin.claim, 1).await?;
    (origin.last, origin.sum) = (1, rows[0].sum);
    origin.append(&[b"two", b"three", b"four"]).await?;
    same_rows("the fork", &read(&store, "fork").await?, &rows[..3])?;
    // A fork is cut within what it shares.
    let fork = Writer::claim(&store, "fork").await?;
    store.cut(&fork.claim, 2).await?;
    same_rows("the fork, cut", &read(&store, "fork").await?, &rows[..2])?;
    same(
        "the origin's length",
        &read(&store, "origin").await?.len(),
        &4,
    )
}

pub(super) async fn refused_forks(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "origin").await?;
    let rows = writer.append(&[b"1"]).await?;
    writer.append(&[b"2"]).await?;
    let past = store.fork(&id("origin"), 3, &id("fork")).await;
    refused("past its end", past, ErrorKind::NotFound)?;
    let nowhere = store.fork(&id("nobody"), 0, &id("fork")).await;
    refused("of nothing", nowhere, ErrorKind::NotFound)?;
    same(
        "the card of what was refused",
        &store.card(&id("fork")).await?,
        &None,
    )?;
    store.fork(&id("origin"), 1, &id("fork")).await?;
    let taken = store.fork(&id("origin"), 2, &id("fork")).await;
    refused("under a name that is taken", taken, ErrorKind::Config)?;
    let own = store.fork(&id("origin"), 2, &id("origin")).await;
    refused("under its own name", own, ErrorKind::Config)?;
    same_rows("the fork", &read(&store, "fork").await?, &rows)
}
