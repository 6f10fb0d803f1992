//! Where a session waits for the disk: at each step, at the end of a turn, nowhere.
//! Refuses the log's word: what it asks of its store is seen on the way.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use offshoot::{
    Agent, Session, StopReason,
    store::Durability,
    testing::{Answer, Scripted},
};
use serde_json::json;

use super::{around::around_batches, world::memory};
use crate::kit::{shared, work};

/// How often the disk was waited for: when each of three tools ran, and at the end of the turn.
async fn waits(durability: Durability) -> (Vec<u64>, u64) {
    let waited = Arc::new(AtomicU64::new(0));
    let counter = waited.clone();
    let store = around_batches(memory(), move |_, batch, append| {
        counter.fetch_add(u64::from(batch.sync), SeqCst);
        append()
    });
    let seen = Arc::<Mutex<Vec<u64>>>::default();
    let (log, counter) = (seen.clone(), waited.clone());
    let look = work(shared("look"), move |_, _| {
        log.lock().unwrap().push(counter.load(SeqCst));
        async { "seen".into() }
    });
    let call = || Answer::empty().call("look", json!({}));
    let script = Scripted::new([call(), call(), call(), Answer::text("done")]);
    let agent = Agent::builder(script).tool(look).build().unwrap();
    let session = Session::builder(agent).store_arc(store);
    let mut session = session.durability(durability).open().await.unwrap();
    let outcome = session.submit_message("go").finish().await;
    assert_eq!(outcome.stop, StopReason::Finished);
    let seen = seen.lock().unwrap().clone();
    (seen, waited.load(SeqCst))
}

#[tokio::test]
async fn each_durability_waits_for_the_disk_where_it_says() {
    let (seen, end) = waits(Durability::Step).await;
    assert!(seen[0] > 0, "before the first effect: {seen:?}");
    assert!(
        seen[0] < seen[1] && seen[1] < seen[2],
        "at each step: {seen:?}"
    );
    assert!(seen[2] < end, "and at the end: {end}");
    assert_eq!(waits(Durability::Turn).await, (vec![0, 0, 0], 1));
    assert_eq!(waits(Durability::Off).await, (vec![0, 0, 0], 0));
}
