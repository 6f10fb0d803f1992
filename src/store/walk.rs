//! A log from its first record to its last, one after the other, each checked against the chain.
//! Refuses to skip what is damaged: what cannot be believed ends the walk with an error.

use std::sync::Arc;

use async_stream::try_stream;
use futures::stream::{BoxStream, StreamExt};

use super::{PAGE_ROWS, Row, Store, Sum};
use crate::{
    error::{Error, ErrorKind, Result},
    id::SessionId,
};

/// The rows of a log in order, each checked against the chain of sums. An error is the last item.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use futures::StreamExt;
/// use offshoot::{Agent, Session, provider::Offline, store::{MemoryStore, Record, Store, walk}};
///
/// let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
/// let agent = Agent::builder(Offline::new()).build()?;
/// let mut session = Session::builder(agent).store_arc(store.clone()).open().await?;
/// session.submit_message("What can you do?").finish().await;
///
/// let mut rows = walk(&store, session.id());
/// while let Some(row) = rows.next().await {
///     let record = Record::decode(&row?.body)?;
///     println!("{} at {}", record.agent, record.at);
/// }
/// # Ok::<(), offshoot::Error>(()) }).unwrap();
/// ```
pub fn walk(store: &Arc<dyn Store>, id: &SessionId) -> BoxStream<'static, Result<Row>> {
    let (store, id) = (store.clone(), id.clone());
    let rows = try_stream! {
        let (mut last, mut sum) = (0, Sum::START);
        loop {
            let rows = store.read(&id, last + 1..last + 1 + PAGE_ROWS as u64).await?;
            if rows.is_empty() {
                whole(&*store, &id, last).await?;
                return;
            }
            for row in rows {
                sum = sum.next(row.seq, row.told, &row.body);
                if row.seq != last + 1 || sum != row.sum {
                    Err(damaged(last + 1))?;
                }
                last = row.seq;
                yield row;
            }
        }
    };
    rows.boxed()
}

/// A log that ends before its last record is damaged too, and nothing in it says so.
async fn whole(store: &dyn Store, id: &SessionId, last: u64) -> Result<()> {
    match store.card(id).await? {
        Some(card) if card.records > last => Err(damaged(last + 1)),
        _ => Ok(()),
    }
}

fn damaged(record: u64) -> Error {
    let text = format!("record {record} is not what was written");
    let hint = "resume the session to go on from its last good record";
    Error::new(ErrorKind::Corrupt, text).with_hint(hint)
}
