//! Death at every record of a long turn with parallel tools and children.
//! Refuses luck: each record in turn is the last one that was written.

use futures::StreamExt;
use offshoot::{
    SessionId,
    store::{Body, LostChildren, Store},
    testing::check_history,
};
use std::{collections::HashSet, sync::Arc};

use super::world::{Deeds, assert_finished, assert_same_but_interrupted, memory, session, whole};

/// The records of a log, as they are numbered.
pub(super) async fn records(
    store: &Arc<dyn Store>,
    id: &SessionId,
) -> Vec<offshoot::store::Record> {
    let mut records = Vec::new();
    loop {
        let next = records.len() as u64 + 1;
        let rows = store.read(id, next..next + 1000).await.unwrap();
        if rows.is_empty() {
            return records;
        }
        for row in rows {
            records.push(offshoot::store::Record::decode(&row.body).unwrap());
        }
    }
}

/// The calls whose intent is among the first records, by the deed that they do.
pub(super) fn intended(records: &[offshoot::store::Record]) -> HashSet<String> {
    let mut deeds = HashSet::new();
    for record in records {
        if let Body::Intent { tool, input, .. } = &record.body {
            let input: serde_json::Value = serde_json::from_str(input.as_str()).unwrap();
            deeds.insert(format!("{tool}({}) {}", input["n"], record.agent));
        }
    }
    deeds
}

async fn die_everywhere(children: LostChildren) {
    let store = memory();
    let first = Deeds::default();
    let (id, history, _) = whole(&first, &store).await;
    let first = first.all();
    let all = records(&store, &id).await;
    assert!(all.len() > 150, "{}", all.len());
    for last in 1..=all.len() {
        let deeds = Deeds::default();
        let mut session = session(&deeds, &store)
            .fork(id.clone(), Some(last as u64))
            .on_lost_children(children)
            .open()
            .await
            .unwrap();
        let events: Vec<_> = if session.is_unfinished() {
            session.go_on().collect().await
        } else if session.history().is_empty() {
            session.submit_message("do the work").collect().await
        } else {
            assert_eq!(session.history(), history, "record {last}");
            continue;
        };
        assert_finished(&events);
        check_history(&session.history()).unwrap();
        assert_same_but_interrupted(&history, &session.history());
        let before = intended(&all[..last]);
        // What runs again with a key has the key that it had: the service knows it.
        let paid = intended(&all[..last]);
        for (deed, _) in deeds.all() {
            let (what, key) = deed.split_once(" key ").unwrap_or((&deed, ""));
            if paid.contains(&format!("{what} root")) {
                assert!(first.contains_key(&deed), "{deed} has another key: {key}");
            }
        }
        for (deed, count) in deeds.all() {
            if deed.starts_with("act") {
                assert_eq!(count, 1, "{deed} after record {last}");
                assert!(
                    !before.contains(&deed),
                    "{deed} was repeated after record {last}"
                );
            }
        }
        session.close().await;
    }
}

#[tokio::test]
async fn a_death_after_any_record_repeats_nothing_and_loses_nothing() {
    die_everywhere(LostChildren::Report).await;
}

#[tokio::test]
async fn a_death_after_any_record_with_children_that_go_on() {
    die_everywhere(LostChildren::Restart).await;
}
