//! Forks: one history shared, two futures that do not see each other.
//! Refuses to copy what is shared.

use futures::StreamExt;
use offshoot::{
    Agent, Session,
    testing::{Answer, Scripted, check_history},
};

use super::{boundaries::records, world::memory};

fn agent(word: &'static str) -> Agent {
    Agent::builder(Scripted::forever(Answer::text(word)))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_fork_shares_the_past_and_has_its_own_future() {
    let store = memory();
    let mut one = Session::builder(agent("one"))
        .store_arc(store.clone())
        .open()
        .await
        .unwrap();
    one.submit_message("first").finish().await;
    let at = one.last_record();
    one.submit_message("second").finish().await;
    let mut other = one.fork_at(at).await.unwrap().open().await.unwrap();
    assert_eq!(other.history().len(), 2);
    other.submit_message("third").finish().await;
    assert_eq!(one.history()[..2], other.history()[..2]);
    assert_eq!(one.history()[2].text(), "second");
    assert_eq!(other.history()[2].text(), "third");
    // With another model.
    let third = Session::builder(agent("another")).store_arc(store.clone());
    let mut third = third.fork(one.id().clone(), Some(at)).open().await.unwrap();
    third.submit_message("fourth").finish().await;
    assert_eq!(third.history()[3].text(), "another");
    check_history(&third.history()).unwrap();
    let (mine, theirs) = (
        records(&store, one.id()).await,
        records(&store, third.id()).await,
    );
    assert_eq!(mine[..at as usize], theirs[..at as usize]);
    let card = store.card(third.id()).await.unwrap().unwrap();
    assert_eq!(card.forked, Some((one.id().clone(), at)));
    // A fork of what never was.
    let wrong = one.fork_at(9_999).await.unwrap().open().await.unwrap_err();
    assert!(wrong.to_string().contains("no record `9999`"), "{wrong}");
    let _: Vec<_> = one.submit_message("goes on").collect().await;
}
