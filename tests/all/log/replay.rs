//! What watchers heard, told again from the log alone.
//! Refuses any difference but that neighbouring pieces of a part are joined.

use offshoot::store::{joined, replay};

use super::world::{Deeds, memory, whole};

#[tokio::test]
async fn a_replay_is_what_was_heard() {
    let (deeds, store) = (Deeds::default(), memory());
    let (id, _, events) = whole(&deeds, &store).await;
    let again = replay(&store, &id).await.unwrap();
    let heard = joined(&events);
    assert_eq!(heard.len(), again.len());
    for (heard, again) in heard.iter().zip(&again) {
        assert_eq!(heard, again);
    }
    assert_eq!(joined(&heard), heard, "joined is joined");
}
