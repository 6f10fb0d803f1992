//! The promises about what is kept beside rows: cards, the list, blobs, snapshots, what is cut off.
//! Refuses to know how any of it is kept.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Broken, Seen,
    kit::{Writer, read, refused, same, same_rows},
};
use crate::{
    error::ErrorKind,
    id::SessionId,
    store::{Card, Snapshot, Store},
};

pub(super) async fn card(store: Arc<dyn Store>) -> Seen {
    let id = SessionId::new("log");
    let mut writer = Writer::claim(&store, "log").await?;
    let mut card = Card::new(id.clone());
    card.title = "a \"title\" with 'quotes' and ünïcödé".into();
    card.model = "vendor/name".into();
    card.folder = Some("/some/where".into());
    card.turns = 3;
    card.usage.input = 12_345;
    card.touched = 1_234;
    card.created = 1_000;
    for rows in 1..4 {
        let next = writer.next(&[b"row"]);
        let mut batch = writer.batch(next.clone());
        card.turns += 1;
        card.records = rows;
        batch.card = card.clone();
        store.append(&writer.claim, batch).await?;
        writer.advance(&next);
        same("the card", &store.card(&id).await?, &Some(card.clone()))?;
        same("the list", &store.list().await?, &vec![card.clone()])?;
    }
    let mut batch = writer.batch(Vec::new());
    card.title = "another".into();
    batch.card = card.clone();
    batch.card.records = 77;
    store.append(&writer.claim, batch).await?;
    same(
        "the card, whose count is the log's",
        &store.card(&id).await?,
        &Some(card),
    )
}

pub(super) async fn list(store: Arc<dyn Store>) -> Seen {
    let touched = [("a", 5), ("b", 9), ("c", 5), ("d", 1), ("e", 7), ("f", 5)];
    for (name, touched) in touched {
        let writer = Writer::claim(&store, name).await?;
        let mut batch = writer.batch(writer.next(&[b"row"]));
        batch.card.touched = touched;
        store.append(&writer.claim, batch).await?;
    }
    let _empty = Writer::claim(&store, "without records").await?;
    let cards = store.list().await?;
    let names: Vec<_> = cards.iter().map(|card| card.id.as_str()).collect();
    same("the order", &names, &vec!["b", "e", "f", "c", "a", "d"])?;
    for card in cards {
        same(
            "a card of the list",
            &store.card(&card.id).await?,
            &Some(card),
        )?;
    }
    Ok(())
}

pub(super) async fn removed(store: Arc<dyn Store>) -> Seen {
    let id = SessionId::new("log");
    let mut other = Writer::claim(&store, "other").await?;
    let rows = other.append(&[b"1", b"2"]).await?;
    let mut writer = Writer::claim(&store, "log").await?;
    writer.append(&[b"1", b"2", b"3"]).await?;
    refused(
        "while it is written to",
        store.remove(&id).await,
        ErrorKind::Busy,
    )?;
    writer.append(&[b"4"]).await?;
    drop(writer);
    store.remove(&id).await?;
    refused(
        "reading it",
        store.read(&id, 1..9).await,
        ErrorKind::NotFound,
    )?;
    refused(
        "removing it again",
        store.remove(&id).await,
        ErrorKind::NotFound,
    )?;
    same("its card", &store.card(&id).await?, &None)?;
    same("the length of the list", &store.list().await?.len(), &1)?;
    let mut again = Writer::claim(&store, "log").await?;
    same(
        "the last row of a new one of its name",
        &again.claim.last,
        &0,
    )?;
    let new = again.append(&[b"new"]).await?;
    same_rows("the new log", &read(&store, "log").await?, &new)?;
    same("its snapshot", &store.snapshot(&id).await?, &None)?;
    same_rows("the other log", &read(&store, "other").await?, &rows)
}

pub(super) async fn cut(store: Arc<dyn Store>) -> Seen {
    let id = SessionId::new("log");
    let mut writer = Writer::claim(&store, "log").await?;
    let mut rows = writer.append(&[b"1", b"2", b"3", b"4", b"5"]).await?;
    store.cut(&writer.claim, 7).await?;
    same_rows("cut after its end", &read(&store, "log").await?, &rows)?;
    store.cut(&writer.claim, 3).await?;
    rows.truncate(3);
    same_rows("cut after three", &read(&store, "log").await?, &rows)?;
    let records = store.card(&id).await?.map(|card| card.records);
    same("its card's records", &records, &Some(3))?;
    (writer.last, writer.sum) = (3, rows[2].sum);
    rows.extend(writer.append(&[b"other", b"words"]).await?);
    same_rows("after more", &read(&store, "log").await?, &rows)?;
    drop(writer);
    let mut writer = Writer::claim(&store, "log").await?;
    same("the end", &(writer.last, writer.sum), &(5, rows[4].sum))?;
    store.cut(&writer.claim, 4).await?;
    rows.truncate(4);
    (writer.last, writer.sum) = (4, rows[3].sum);
    rows.extend(writer.append(&[b"more"]).await?);
    same_rows("after a second cut", &read(&store, "log").await?, &rows)?;
    store.cut(&writer.claim, 0).await?;
    same_rows("cut to nothing", &read(&store, "log").await?, &[])?;
    drop(writer);
    let mut writer = Writer::claim(&store, "log").await?;
    same("the end of nothing", &writer.claim.last, &0)?;
    let rows = writer.append(&[b"1"]).await?;
    same_rows("begun again", &read(&store, "log").await?, &rows)?;
    same("the length of the list", &store.list().await?.len(), &1)?;
    drop(writer);
    store.remove(&id).await?;
    same(
        "the length of the list in the end",
        &store.list().await?.len(),
        &0,
    )
}

pub(super) async fn blobs(store: Arc<dyn Store>) -> Seen {
    let large = Bytes::from(vec![9; 3_000_000]);
    let things = [Bytes::new(), "small".into(), "Small".into(), large];
    let mut names = Vec::new();
    for thing in &things {
        let name = store.keep(thing.clone()).await?;
        let again = store.keep(thing.clone()).await?;
        same("the name of the same bytes", &again, &name)?;
        if names.contains(&name) {
            return Err(Broken(format!("two have the name {name}")));
        }
        names.push(name);
    }
    for (name, thing) in names.iter().zip(&things) {
        let kept = store.kept(name).await?;
        let length = kept.as_ref().map(Bytes::len);
        if kept.as_ref() != Some(thing) {
            let text = format!("of {} bytes came back {length:?}", thing.len());
            return Err(Broken(text));
        }
    }
    // The name is known, because it is the hash; nobody waits for the second.
    drop(store.keep("unwaited".into()));
    store.settled().await;
    let name = store.keep("unwaited".into()).await?;
    let kept = store.kept(&name).await?;
    same("what nobody waited for", &kept, &Some("unwaited".into()))?;
    same("what was never kept", &store.kept("nothing").await?, &None)
}

pub(super) async fn snapshots(store: Arc<dyn Store>) -> Seen {
    let id = SessionId::new("log");
    let mut writer = Writer::claim(&store, "log").await?;
    same("of a new log", &store.snapshot(&id).await?, &None)?;
    let rows = writer.append(&[b"1", b"2", b"3"]).await?;
    let of = |row: &crate::store::Row, body: &str| Snapshot {
        row: row.seq,
        sum: row.sum,
        body: Bytes::copy_from_slice(body.as_bytes()),
    };
    for (row, body) in [(0, "first"), (1, ""), (2, "third")] {
        let snapshot = of(&rows[row], body);
        store.put_snapshot(&writer.claim, snapshot.clone()).await?;
        let newest = store.snapshot(&id).await?;
        same("the newest", &newest, &Some(snapshot))?;
    }
    let claiming = crate::store::Claiming::TakeOver;
    let new = Writer::claim_as(&store, "log", claiming).await?;
    let stale = store
        .put_snapshot(&writer.claim, of(&rows[2], "stale"))
        .await;
    refused("a stale claim's", stale, ErrorKind::Fenced)?;
    same(
        "after that",
        &store.snapshot(&id).await?,
        &Some(of(&rows[2], "third")),
    )?;
    drop((writer, new));
    let other = Writer::claim(&store, "other").await?;
    let others = store.snapshot(&other.claim.session).await?;
    match others {
        None => Ok(()),
        Some(_) => Err(Broken("another log has it too".into())),
    }
}
