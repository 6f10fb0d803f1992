//! A store that fails: at every append in turn, for a while or until somebody makes room.
//! Refuses a tool whose intent is not safe, and a word that is lost.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use futures::{FutureExt, StreamExt};
use offshoot::{
    Error, ErrorKind, EventKind, StopReason,
    store::{Durability, Store},
    testing::check_history,
};

use super::{
    around::around,
    boundaries::{intended, records},
    world::{Deeds, memory, session},
};

fn full() -> Error {
    Error::new(ErrorKind::StorageFull, "there is no room left")
}

/// A store that takes nothing from its `at`th append on, until it is mended.
fn failing(at: u64) -> (Arc<dyn Store>, Arc<dyn Store>, Arc<AtomicBool>) {
    let (inner, mended) = (memory(), Arc::new(AtomicBool::new(false)));
    let flag = mended.clone();
    let outer = around(inner.clone(), move |number, append| {
        if number >= at && !flag.load(SeqCst) {
            return std::future::ready(Err(full())).boxed();
        }
        append()
    });
    (outer, inner, mended)
}

#[tokio::test]
async fn d6_a_full_disk_at_every_append_stops_before_the_effect_and_loses_nothing() {
    for at in 1.. {
        let deeds = Deeds::default();
        let (store, inner, mended) = failing(at);
        let mut session = session(&deeds, &store).open().await.unwrap();
        let id = session.id().clone();
        let events: Vec<_> = session.submit_message("do the work").collect().await;
        let EventKind::TurnEnd { stop, .. } = &events.last().unwrap().kind else {
            panic!("no end")
        };
        if stop.is_finished() {
            assert!(at > 30, "{at}");
            return;
        }
        let StopReason::Failed {
            error: Some(error),
            hint,
            ..
        } = stop
        else {
            panic!("append {at}: {stop:?}")
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull, "append {at}");
        assert!(hint.as_ref().unwrap().contains("make room"), "{hint:?}");
        // Nothing was done that the log does not know.
        let safe = match inner.card(&id).await.unwrap() {
            Some(card) if card.records > 0 => records(&inner, &id).await,
            _ => Vec::new(),
        };
        let intended = intended(&safe);
        for (deed, _) in deeds
            .all()
            .iter()
            .filter(|(deed, _)| deed.starts_with("act"))
        {
            assert!(
                intended.contains(deed),
                "append {at}: {deed} without its intent"
            );
        }
        check_history(&session.history()).unwrap();
        // There is room again: the same session goes on, and its log has everything.
        mended.store(true, SeqCst);
        let end = session.submit_message("go on").finish().await;
        assert_eq!(end.stop, StopReason::Finished, "append {at}");
        let history = session.history();
        session.close().await;
        let again = super::world::session(&deeds, &inner)
            .resume(id)
            .open()
            .await
            .unwrap();
        assert_eq!(again.history(), history, "append {at}");
    }
}

/// The switch: without waiting, effects happen that a full disk never knew.
#[tokio::test]
async fn d6_twin_without_waiting_deeds_are_done_that_the_log_does_not_know() {
    let deeds = Deeds::default();
    let (store, inner, _) = failing(1);
    let builder = session(&deeds, &store).durability(Durability::Off);
    let mut session = builder.open().await.unwrap();
    session.submit_message("do the work").finish().await;
    assert!(deeds.all().keys().any(|deed| deed.starts_with("act")));
    assert_eq!(inner.list().await.unwrap().len(), 0);
}

#[tokio::test]
async fn an_answer_that_got_lost_is_asked_for_again() {
    // Every third append is done, and its answer does not come.
    let inner = memory();
    let store = around(inner.clone(), move |number, append| {
        let answer = append();
        if number % 3 == 0 {
            drop(answer);
            let lost = Error::new(ErrorKind::Uncertain, "the connection broke");
            return std::future::ready(Err(lost)).boxed();
        }
        answer
    });
    let deeds = Deeds::default();
    let mut session = session(&deeds, &store).open().await.unwrap();
    let end = session.submit_message("do the work").finish().await;
    assert_eq!(end.stop, StopReason::Finished);
    let (id, history) = (session.id().clone(), session.history());
    session.close().await;
    let again = super::world::session(&deeds, &inner)
        .resume(id)
        .open()
        .await
        .unwrap();
    assert_eq!(again.history(), history);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_ends_the_turn_in_time_and_a_cancel_is_heard() {
    let silent = || {
        around(memory(), move |number, append| match number {
            1..=3 => append(),
            _ => std::future::pending().boxed(),
        })
    };
    let (deeds, store) = (Deeds::default(), silent());
    let mut session = session(&deeds, &store).open().await.unwrap();
    let since = tokio::time::Instant::now();
    let end = session.submit_message("do the work").finish().await;
    let StopReason::Failed {
        error: Some(error), ..
    } = end.stop
    else {
        panic!("{end:?}")
    };
    assert!(error.is_timeout(), "{error}");
    // Once for the step and once for the end.
    assert!(
        since.elapsed() <= 3 * offshoot::store::STORE_LIMIT,
        "{:?}",
        since.elapsed()
    );
    check_history(&session.history()).unwrap();
}
