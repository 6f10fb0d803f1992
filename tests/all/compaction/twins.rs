//! The proofs about making room once more, each with its defence taken away.
//! Refuses to pass where the proof does not see the fault.

use std::sync::Arc;

use offshoot::{
    Agent, CompactionSettings, Error, ErrorKind, Result, Scope, Summarising, Trimming,
    provider::{Deltas, Model, Provider, Request},
};

use super::{pairs_stay_whole, too_long_is_asked_again};
use crate::kit::{noticed, through};

#[tokio::test]
async fn twin_p21_a_client_that_does_not_know_the_refusal_does_not_shorten() {
    let proof = too_long_is_asked_again(|model| {
        Agent::builder(through(model, |delta| {
            delta.map_err(|error| Error::new(ErrorKind::BadRequest, error.to_string()))
        }))
    });
    let saw = noticed(proof).await;
    assert!(saw.contains("one over"), "{saw}");
}

/// Makes room by leaving the oldest messages out, wherever that cuts.
#[derive(Debug)]
struct Forgetful(Arc<dyn Provider>);

/// Messages that are sent.
const NEWEST: usize = 8;

impl Provider for Forgetful {
    fn model(&self) -> &Model {
        self.0.model()
    }

    fn stream(&self, request: &Request<'_>, scope: &Scope) -> Result<Deltas> {
        let from = request.history.len().saturating_sub(NEWEST);
        let history = &request.history[from..];
        self.0.stream(
            &Request {
                history: history.into(),
                ..*request
            },
            scope,
        )
    }
}

#[tokio::test]
async fn inv08_twin_leaving_out_what_is_old_splits_pairs() {
    let proof = pairs_stay_whole(|model| {
        let mut settings = CompactionSettings::default();
        settings.summarising = Summarising::Never;
        settings.trimming = Trimming::Never;
        Agent::builder(Forgetful(Arc::new(model))).compaction(settings)
    });
    let saw = noticed(proof).await;
    assert!(saw.contains("the turn panicked: request"), "{saw}");
}
