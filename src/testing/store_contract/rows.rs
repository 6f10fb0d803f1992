//! The promises about rows: what was appended is there, in order, whole, and nothing else.
//! Refuses to know of forks and cards, which have files of their own.

use std::sync::Arc;

use super::{
    Broken, Seen,
    kit::{Writer, read, refused, same, same_rows},
};
use crate::{
    error::ErrorKind,
    id::SessionId,
    store::{PAGE_BYTES, PAGE_ROWS, Store, Sum},
};

pub(super) async fn absent(store: Arc<dyn Store>) -> Seen {
    let (id, to) = (SessionId::new("nobody"), SessionId::new("other"));
    let missing = ErrorKind::NotFound;
    refused("reading it", store.read(&id, 1..10).await, missing)?;
    refused("waiting for it", store.tail(&id, 0).await, missing)?;
    refused("its snapshot", store.snapshot(&id).await, missing)?;
    refused("removing it", store.remove(&id).await, missing)?;
    refused("forking it", store.fork(&id, 0, &to).await, missing)?;
    same("its card", &store.card(&id).await?, &None)?;
    same("the list", &store.list().await?, &Vec::new())
}

pub(super) async fn empty(store: Arc<dyn Store>) -> Seen {
    let writer = Writer::claim(&store, "new").await?;
    same("the last row of the claim", &writer.claim.last, &0)?;
    same("the sum of the claim", &writer.claim.sum, &Sum::START)?;
    same(
        "the session of the claim",
        &writer.claim.session,
        &SessionId::new("new"),
    )?;
    same_rows("what is read", &read(&store, "new").await?, &[])?;
    let card = store.card(&SessionId::new("new")).await?;
    same(
        "its card's records",
        &card.map(|card| card.records),
        &Some(0),
    )
}

pub(super) async fn round(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "log").await?;
    let big = vec![0x5a; 700_000];
    let mut rows = Vec::new();
    rows.extend(writer.append(&[b"{\"a\":1}"]).await?);
    same_rows("after one", &read(&store, "log").await?, &rows)?;
    rows.extend(
        writer
            .append(&[b"", b"\0\xff\xfe'\"", &big, b"last"])
            .await?,
    );
    rows.extend(writer.append(&[b"x"]).await?);
    same_rows("after all", &read(&store, "log").await?, &rows)?;
    let (last, sum) = (writer.last, writer.sum);
    drop(writer);
    let writer = Writer::claim(&store, "log").await?;
    same(
        "the end of the next claim",
        &(writer.claim.last, writer.claim.sum),
        &(last, sum),
    )?;
    same_rows("after the next claim", &read(&store, "log").await?, &rows)
}

pub(super) async fn pages(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "log").await?;
    let id = SessionId::new("log");
    let mut rows = Vec::new();
    let small: Vec<&[u8]> = vec![b"small"; PAGE_ROWS];
    for _ in 0..2 {
        rows.extend(writer.append(&small).await?);
    }
    let page = store.read(&id, 1..u64::MAX).await?;
    same("the rows of a page of small ones", &page.len(), &PAGE_ROWS)?;
    let large = vec![7; PAGE_BYTES / 2 + 1];
    for _ in 0..4 {
        rows.extend(writer.append(&[&large]).await?);
    }
    let huge = vec![8; PAGE_BYTES * 2];
    rows.extend(writer.append(&[&huge, b"end"]).await?);
    let from = 2 * PAGE_ROWS as u64 + 1;
    let page = store.read(&id, from..u64::MAX).await?;
    same("the rows of a page of large ones", &page.len(), &2)?;
    let page = store.read(&id, from + 4..u64::MAX).await?;
    same("the rows of a page that is one row", &page.len(), &1)?;
    same_rows("page by page", &read(&store, "log").await?, &rows)
}

pub(super) async fn ranges(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "log").await?;
    let rows = writer.append(&[b"1", b"2", b"3", b"4", b"5"]).await?;
    for from in 0..8u64 {
        for to in 0..8u64 {
            let found = store.read(&SessionId::new("log"), from..to).await?;
            let wanted = rows.iter().filter(|row| (from..to).contains(&row.seq));
            let wanted: Vec<_> = wanted.cloned().collect();
            same_rows(&format!("the range {from}..{to}"), &found, &wanted)?;
        }
    }
    let page = store
        .read(&SessionId::new("log"), u64::MAX - 1..u64::MAX)
        .await?;
    same_rows("a range past all numbers", &page, &[])
}

pub(super) async fn gap(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "log").await?;
    let rows = writer.append(&[b"1", b"2"]).await?;
    let ahead = writer.next(&[b"3", b"4"]).split_off(1);
    refused(
        "a row too far",
        writer.try_rows(ahead).await,
        ErrorKind::Fenced,
    )?;
    same_rows("the log", &read(&store, "log").await?, &rows)?;
    let card = store.card(&SessionId::new("log")).await?;
    same(
        "its card's records",
        &card.map(|card| card.records),
        &Some(2),
    )?;
    writer.append(&[b"3"]).await?;
    Ok(())
}

pub(super) async fn chain(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "log").await?;
    let rows = writer.append(&[b"1", b"2"]).await?;
    let good = writer.sum;
    writer.sum = Sum::START;
    let wrong = writer.next(&[b"3"]);
    refused(
        "another chain",
        writer.try_rows(wrong).await,
        ErrorKind::Fenced,
    )?;
    same_rows("the log", &read(&store, "log").await?, &rows)?;
    writer.sum = good;
    writer.append(&[b"3"]).await?;
    Ok(())
}

pub(super) async fn whole(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "log").await?;
    let rows = writer.append(&[b"1"]).await?;
    let mut torn = writer.next(&[b"2", b"3", b"4", b"5"]);
    torn.remove(2);
    refused(
        "a batch with a hole",
        writer.try_rows(torn).await,
        ErrorKind::Fenced,
    )?;
    same_rows("the log after it", &read(&store, "log").await?, &rows)?;
    let mut twisted = writer.next(&[b"2", b"3", b"4"]);
    twisted[2].sum = Sum::START;
    refused(
        "a batch with a wrong sum",
        writer.try_rows(twisted).await,
        ErrorKind::Fenced,
    )?;
    same_rows("the log after that", &read(&store, "log").await?, &rows)
}

pub(super) async fn repeated(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "log").await?;
    let mut rows = writer.append(&[b"1", b"2", b"3"]).await?;
    let more = writer.next(&[b"4", b"5"]);
    same("all again", &writer.try_rows(rows.clone()).await?, &3)?;
    same(
        "a part again",
        &writer.try_rows(rows[1..2].to_vec()).await?,
        &3,
    )?;
    let mut both = rows[1..].to_vec();
    both.extend(more.iter().cloned());
    same(
        "a part again and more",
        &writer.try_rows(both.clone()).await?,
        &5,
    )?;
    same("that again", &writer.try_rows(both).await?, &5)?;
    rows.extend(more);
    same_rows("the log", &read(&store, "log").await?, &rows)
}

pub(super) async fn reworded(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "log").await?;
    let first = writer.next(&[b"1", b"other"]);
    let rows = writer.append(&[b"1", b"2"]).await?;
    refused(
        "other words",
        writer.try_rows(first).await,
        ErrorKind::Fenced,
    )?;
    same_rows("the log", &read(&store, "log").await?, &rows)
}

pub(super) async fn no_rows(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "log").await?;
    same("on an empty log", &writer.try_rows(Vec::new()).await?, &0)?;
    let rows = writer.append(&[b"1"]).await?;
    same("on a log of one", &writer.try_rows(Vec::new()).await?, &1)?;
    same_rows("the log", &read(&store, "log").await?, &rows)
}

pub(super) async fn eager(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "log").await?;
    let rows = writer.next(&[b"1", b"2"]);
    drop(store.append(&writer.claim, writer.batch(rows.clone())));
    writer.advance(&rows);
    store.settled().await;
    same_rows("the log", &read(&store, "log").await?, &rows)
}

pub(super) async fn order(store: Arc<dyn Store>) -> Seen {
    let mut writer = Writer::claim(&store, "log").await?;
    let (mut rows, mut answers) = (Vec::new(), Vec::new());
    for n in 0..50u8 {
        let next = writer.next(&[&[n], b"and more"]);
        answers.push(store.append(&writer.claim, writer.batch(next.clone())));
        writer.advance(&next);
        rows.extend(next);
    }
    // The last is asked for first.
    for answer in answers.into_iter().rev() {
        answer.await?;
    }
    same_rows("the log", &read(&store, "log").await?, &rows)
}

pub(super) async fn many(store: Arc<dyn Store>) -> Seen {
    let names: Vec<_> = (0..20).map(|n| format!("log {n}")).collect();
    let each = names.iter().map(async |name| {
        let mut writer = Writer::claim(&store, name).await?;
        let mut rows = Vec::new();
        for n in 0..10 {
            rows.extend(writer.append(&[name.as_bytes(), &[n]]).await?);
        }
        Ok::<_, Broken>(rows)
    });
    let written = futures::future::join_all(each).await;
    for (name, rows) in names.iter().zip(written) {
        same_rows(name, &read(&store, name).await?, &rows?)?;
    }
    Ok(())
}

pub(super) async fn names(store: Arc<dyn Store>) -> Seen {
    let long = "long".repeat(2_000);
    let odd = [
        "",
        " ",
        "A",
        "a",
        "a/b",
        "../a",
        "/etc/passwd",
        "a\0b",
        "a\0",
        "con",
        "ä",
        "a\u{308}",
        "%61",
        "*",
        "'; DROP TABLE sessions; --",
        "\u{1F333}",
        "\n",
        ".",
        "-n",
        &long,
    ];
    let mut writers = Vec::new();
    for name in odd {
        let mut writer = Writer::claim(&store, name).await?;
        same("the last row of a new log", &writer.claim.last, &0)?;
        writer.append(&[name.as_bytes()]).await?;
        writers.push(writer);
    }
    for name in odd {
        let rows = read(&store, name).await?;
        let bodies: Vec<_> = rows.iter().map(|row| &row.body[..]).collect();
        same(
            "what was written under a name",
            &bodies,
            &vec![name.as_bytes()],
        )?;
    }
    let cards = store.list().await?;
    same("the length of the list", &cards.len(), &odd.len())?;
    for name in odd {
        if !cards.iter().any(|card| card.id.as_str() == name) {
            return Err(Broken(format!("the list does not have {name:?}")));
        }
    }
    Ok(())
}
