//! A session taken up again: its history, its budget, its questions, its writer.
//! Refuses to look into the store; what counts is what the next life sees.

use futures::StreamExt;
use offshoot::{
    Agent, Answer as Reply, Budget, ErrorKind, EventKind, Hook, HookContext, Lane, Outcome,
    Permissions, Session, StopReason, ToolOutput, ToolSpec, Unasked, Verdict,
    store::Store,
    testing::{Answer, Scripted, check_history},
};
use serde_json::json;
use std::sync::Arc;

use super::world::{Deeds, memory, session, whole};
use crate::kit::work;

#[tokio::test]
async fn a_finished_session_goes_on_where_it_was() {
    let (deeds, store) = (Deeds::default(), memory());
    let (id, history, events) = whole(&deeds, &store).await;
    let done = deeds.all();
    let mut again = session(&deeds, &store)
        .resume(id.clone())
        .open()
        .await
        .unwrap();
    assert!(!again.is_unfinished());
    assert_eq!(again.history(), history);
    assert_eq!(again.id(), &id);
    let next: Vec<_> = again.submit_message("and once more").collect().await;
    assert!(next[0].seq > events.last().unwrap().seq, "numbers go on");
    assert!(matches!(next[0].kind, EventKind::RunStart { .. }));
    assert_eq!(deeds.all(), done, "nothing is done again");
    assert_eq!(again.history()[..history.len()], history[..]);
    check_history(&again.history()).unwrap();
}

#[tokio::test]
async fn a_session_has_one_writer() {
    let (deeds, store) = (Deeds::default(), memory());
    let mut first = session(&deeds, &store).open().await.unwrap();
    first.submit_message("do the work").finish().await;
    let id = first.id().clone();
    let busy = session(&deeds, &store)
        .resume(id.clone())
        .open()
        .await
        .unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    let mut second = session(&deeds, &store)
        .take_over(id.clone())
        .open()
        .await
        .unwrap();
    let fenced = first.submit_message("more").finish().await;
    let StopReason::Failed {
        error: Some(error), ..
    } = fenced.stop
    else {
        panic!("{fenced:?}")
    };
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    let end = second.submit_message("more").finish().await;
    assert_eq!(end.stop, StopReason::Finished);
    drop((first, second));
    session(&deeds, &store).resume(id).open().await.unwrap();
}

#[tokio::test]
async fn what_was_spent_stays_spent() {
    let (deeds, store) = (Deeds::default(), memory());
    let (id, ..) = whole(&deeds, &store).await;
    let card = store.card(&id).await.unwrap().unwrap();
    let again = session(&deeds, &store)
        .resume(id.clone())
        .open()
        .await
        .unwrap();
    let (usage, _) = again.grant().unwrap().meter.spent();
    assert_eq!(usage, card.usage);
    drop(again);
    let budget = Budget::default().tokens(card.usage.total());
    let mut poor = session(&deeds, &store)
        .budget(budget)
        .resume(id)
        .open()
        .await
        .unwrap();
    let end = poor.submit_message("more").finish().await;
    assert_eq!(
        end.stop,
        StopReason::BudgetSpent {
            limit: "tokens".into()
        }
    );
    assert_eq!(
        end.usage.requests, 0,
        "what an earlier life used is not told again"
    );
}

/// Hears how often a session begins, and whether it was there before.
struct Begins(Arc<std::sync::Mutex<Vec<bool>>>);

#[async_trait::async_trait]
impl Hook for Begins {
    async fn on_session_start(&self, at: &HookContext) -> Verdict<String> {
        self.0.lock().unwrap().push(at.resumed);
        Verdict::Keep
    }
}

#[tokio::test]
async fn hooks_hear_that_a_session_was_taken_up_again() {
    let (deeds, store) = (Deeds::default(), memory());
    let heard = Arc::default();
    let hook = || Begins(Arc::clone(&heard));
    let mut first = session(&deeds, &store).hook(hook()).open().await.unwrap();
    first.submit_message("do the work").finish().await;
    first.submit_message("more").finish().await;
    let id = first.id().clone();
    first.close().await;
    let mut second = session(&deeds, &store)
        .hook(hook())
        .resume(id)
        .open()
        .await
        .unwrap();
    second.submit_message("more").finish().await;
    assert_eq!(*heard.lock().unwrap(), [false, true]);
}

#[tokio::test]
async fn a_question_waits_through_a_death() {
    let store = memory();
    let deeds = Deeds::default();
    let make = || {
        let spec = ToolSpec::new("act", "Acts", json!({"type": "object"})).lane(Lane::Shared);
        let deeds = deeds.clone();
        let act = work(spec, move |_, _| {
            let deeds = deeds.clone();
            async move {
                deeds.note("act");
                ToolOutput::from("acted")
            }
        });
        let script = Scripted::with(|seen| match seen.messages.len() {
            1 => Answer::empty().call_as("a", "act", json!({})),
            _ => Answer::text("done"),
        });
        Agent::builder(script)
            .tool(act)
            .permissions(Permissions {
                unasked: Unasked::Wait,
                ..Permissions::default()
            })
            .build()
            .unwrap()
    };
    let open = |store: &Arc<dyn Store>| Session::builder(make()).store_arc(store.clone());
    let mut first = open(&store).open().await.unwrap();
    let id = first.id().clone();
    let mut turn = first.submit_message("act");
    let asked = loop {
        if let EventKind::Approval { id, .. } = turn.next().await.unwrap().kind {
            break id;
        }
    };
    // The program dies here: what follows writes where nobody reads.
    let fork = offshoot::SessionId::new("after-death");
    let last = store.card(&id).await.unwrap().unwrap().records;
    store.fork(&id, last, &fork).await.unwrap();
    drop(turn);
    let mut second = open(&store).resume(fork).open().await.unwrap();
    assert!(second.is_unfinished());
    second.handle().answer(&asked, Reply::Allow).unwrap();
    let events: Vec<_> = second.go_on().collect().await;
    assert_eq!(deeds.all().len(), 1);
    assert!(events.iter().any(|event| matches!(
        &event.kind,
        EventKind::ToolEnd {
            outcome: Outcome::Ok,
            ..
        }
    )));
    check_history(&second.history()).unwrap();
}
