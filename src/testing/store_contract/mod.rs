//! What every store of session logs promises, as checks that any implementation can run.
//! Refuses to look inside a store: all that is asked is asked through the contract.

mod claims;
mod forks;
mod kept;
mod kit;
mod rows;

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;

use crate::{error::Error, store::Store};

/// Runs every check of [`Store`]'s contract, each with an empty store of its own.
///
/// A store of one's own is tested like this; [`MemoryStore`](crate::store::MemoryStore) stands for
/// it here:
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use offshoot::{store::MemoryStore, testing::store_contract};
///
/// store_contract(async || MemoryStore::new()).await;
/// # });
/// ```
///
/// What `make` gives must be empty each time, and may be in use only here. A store on a network
/// needs a runtime with its network enabled; all need one with time.
///
/// # Panics
/// When a promise is broken, with its name and what was seen instead.
pub async fn store_contract<S: Store>(make: impl AsyncFn() -> S) {
    for promise in STORE_PROMISES {
        let store: Arc<dyn Store> = Arc::new(make().await);
        if let Err(broken) = (promise.check)(store).await {
            panic!("the store breaks its promise: {}: {broken}", promise.name);
        }
    }
}

/// One promise of the contract.
#[derive(Clone, Copy)]
pub(crate) struct StorePromise {
    /// What is promised, in a sentence.
    pub(crate) name: &'static str,
    /// Sees whether an empty store keeps it.
    check: fn(Arc<dyn Store>) -> BoxFuture<'static, Seen>,
}

type Seen = Result<(), Broken>;

/// What was seen in place of what was promised.
#[derive(Debug)]
struct Broken(String);

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        let hint = error.hint().unwrap_or("no hint");
        Self(format!(
            "an error of kind {:?}: {error} ({hint})",
            error.kind()
        ))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StorePromise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! promises {
    ($($name:literal => $check:path,)*) => {
        &[$(StorePromise { name: $name, check: |store| Box::pin($check(store)) },)*]
    };
}

/// All promises, in the order in which they are checked.
pub(crate) const STORE_PROMISES: &[StorePromise] = promises! {
    "of a log that is not there it says so" => rows::absent,
    "a claim makes an empty log" => rows::empty,
    "what was appended is read back unchanged, by everybody, also after the next claim" => rows::round,
    "a page is bounded, never empty, and pages join without a gap" => rows::pages,
    "a range gives its rows and no others" => rows::ranges,
    "an append that leaves a gap is fenced and changes nothing" => rows::gap,
    "an append that does not continue the chain is fenced and changes nothing" => rows::chain,
    "a batch is there whole or not at all" => rows::whole,
    "an append that repeats rows is well" => rows::repeated,
    "an append that repeats a row with other words is fenced" => rows::reworded,
    "a batch without rows is well" => rows::no_rows,
    "work begins when it is asked for, and goes on when its future is dropped" => rows::eager,
    "work is done in the order in which it is asked for" => rows::order,
    "logs that are written at the same time do not mix" => rows::many,
    "whatever is a name is a name of its own" => rows::names,
    "one claim at a time, and the refusal says who has it" => claims::busy,
    "a claim is given back by drop" => claims::given_back,
    "a claim that was taken over is fenced and changes nothing" => claims::taken_over,
    "a claim that was taken over frees nothing by its drop" => claims::late_drop,
    "each claim has a higher epoch" => claims::epochs,
    "what waits for a log's end hears of it" => claims::tail,
    "the card is that of the last append" => kept::card,
    "the list has all logs with records, the last touched first" => kept::list,
    "a removed log is gone, but not while it is written to" => kept::removed,
    "what is cut off is seen by nobody, and the log goes on" => kept::cut,
    "bytes are kept under a name that is theirs" => kept::blobs,
    "the newest snapshot is given, and a stale claim keeps none" => kept::snapshots,
    "a fork has the first rows of its origin" => forks::shares,
    "a fork and its origin do not see each other's later rows" => forks::apart,
    "a fork of a fork has the rows of both" => forks::deep,
    "a fork keeps what it shares when its origin is removed" => forks::orphan,
    "a fork keeps what it shares when its origin is cut" => forks::cut,
    "a fork of what is not there, or under a name that is, is refused" => forks::refused_forks,
};
