//! The promises about claims: one writer at a time, and whoever is not the newest is fenced.
//! Refuses to trust a refusal alone: what was refused must also have changed nothing.

use std::{sync::Arc, time::Duration};

use super::{
    Broken, Seen,
    kit::{Writer, read, refused, same, same_rows},
};
use crate::{
    error::ErrorKind,
    id::SessionId,
    store::{Claiming, Snapshot, Store},
};

/// How long a reader may take to hear of a row.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn busy(store: Arc<dyn Store>) -> Seen {
    let held = Writer::claim(&store, "log").await?;
    let other = store.claim(&SessionId::new("log"), Claiming::IfFree).await;
    let Err(error) = other else {
        return Err(Broken("two claims live at the same time".into()));
    };
    same("the kind of the refusal", &error.kind(), &ErrorKind::Busy)?;
    if error.hint().is_none_or(str::is_empty) {
        return Err(Broken("the refusal does not say who has it".into()));
    }
    // Another log is free.
    Writer::claim(&store, "other").await?;
    held.try_rows(held.next(&[b"it still writes"])).await?;
    Ok(())
}

pub(super) async fn given_back(store: Arc<dyn Store>) -> Seen {
    for n in 0..3u8 {
        let mut writer = Writer::claim(&store, "log").await?;
        same("the last row", &writer.claim.last, &u64::from(n))?;
        writer.append(&[&[n]]).await?;
    }
    let writer = Writer::claim(&store, "log").await?;
    drop(store.append(&writer.claim, writer.batch(writer.next(&[b"handed over"]))));
    drop(writer);
    let writer = Writer::claim(&store, "log").await?;
    same(
        "the last row after one was handed over",
        &writer.claim.last,
        &4,
    )
}

pub(super) async fn taken_over(store: Arc<dyn Store>) -> Seen {
    let mut old = Writer::claim(&store, "log").await?;
    let mut rows = old.append(&[b"1", b"2"]).await?;
    let mut new = Writer::claim_as(&store, "log", Claiming::TakeOver).await?;
    same(
        "the end of the new claim",
        &(new.claim.last, new.claim.sum),
        &(old.last, old.sum),
    )?;
    let fenced = ErrorKind::Fenced;
    let next = old.next(&[b"stale"]);
    let mut batch = old.batch(next);
    batch.card.title = "stale".into();
    refused("its append", store.append(&old.claim, batch).await, fenced)?;
    refused("its empty append", old.try_rows(Vec::new()).await, fenced)?;
    refused("its repetition", old.try_rows(rows.clone()).await, fenced)?;
    refused("its cut", store.cut(&old.claim, 1).await, fenced)?;
    let snapshot = Snapshot {
        row: 1,
        sum: rows[0].sum,
        body: "stale".into(),
    };
    let put = store.put_snapshot(&old.claim, snapshot).await;
    refused("its snapshot", put, fenced)?;
    same_rows("the log", &read(&store, "log").await?, &rows)?;
    let id = SessionId::new("log");
    let title = store.card(&id).await?.map(|card| card.title);
    same("the title on the card", &title, &Some(String::new()))?;
    same("the snapshot", &store.snapshot(&id).await?, &None)?;
    rows.extend(new.append(&[b"3"]).await?);
    refused(
        "its next append",
        old.try_rows(old.next(&[b"stale"])).await,
        fenced,
    )?;
    same_rows("the log in the end", &read(&store, "log").await?, &rows)
}

pub(super) async fn late_drop(store: Arc<dyn Store>) -> Seen {
    let old = Writer::claim(&store, "log").await?;
    let mut new = Writer::claim_as(&store, "log", Claiming::TakeOver).await?;
    drop(old);
    let third = store.claim(&SessionId::new("log"), Claiming::IfFree).await;
    refused("a third claim", third, ErrorKind::Busy)?;
    new.append(&[b"1"]).await?;
    drop(new);
    Writer::claim(&store, "log").await?;
    Ok(())
}

pub(super) async fn epochs(store: Arc<dyn Store>) -> Seen {
    let mut before = 0;
    for n in 0..6 {
        let claiming = match n % 2 {
            0 => Claiming::IfFree,
            _ => Claiming::TakeOver,
        };
        let writer = Writer::claim_as(&store, "log", claiming).await?;
        let epoch = writer.claim.epoch;
        if epoch <= before {
            return Err(Broken(format!("epoch {epoch} follows {before}")));
        }
        before = epoch;
    }
    Ok(())
}

pub(super) async fn tail(store: Arc<dyn Store>) -> Seen {
    let id = SessionId::new("log");
    let mut writer = Writer::claim(&store, "log").await?;
    writer.append(&[b"1", b"2"]).await?;
    same("the length of a longer log", &store.tail(&id, 0).await?, &2)?;
    let waits = store.tail(&id, 2);
    let mut waits = std::pin::pin!(tokio::time::timeout(PATIENCE, waits));
    let early = tokio::time::timeout(Duration::from_millis(30), &mut waits).await;
    if early.is_ok() {
        return Err(Broken("it does not wait for the next row".into()));
    }
    writer.append(&[b"3"]).await?;
    match waits.await {
        Ok(length) => same("the length", &length?, &3),
        Err(_) => Err(Broken(format!("nothing is heard in {PATIENCE:?}"))),
    }
}
