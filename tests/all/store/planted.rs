//! Stores that each break one promise; the suite must see every one of them.
//! Refuses to be subtle twice: each wrong store is wrong in one place only.

use std::{ops::Range, panic::AssertUnwindSafe, sync::Mutex};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use offshoot::{
    Result, SessionId,
    store::{Batch, Card, Claim, Claiming, MemoryStore, Row, Snapshot, Store},
    testing::store_contract,
};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    /// The last row of a batch is not written.
    LosesTheLastRow,
    /// Whoever was fenced writes on.
    BelievesOldClaims,
    /// What is good of a refused batch is kept.
    KeepsHalfABatch,
    /// A claim begins an empty log.
    ForgetsAtClaim,
    /// The list is the wrong way round.
    ListsTheOldestFirst,
    /// A fork reads what its origin appends.
    LetsForksSeeLaterRows,
    /// Nothing is done before the future is polled.
    IsLazy,
    /// Two may write.
    ClaimsForEverybody,
    /// What is there already is refused.
    RefusesRepetition,
    /// A page gives more than was asked.
    IgnoresTheEndOfARange,
    /// The first title stays on the card.
    NeverRetitles,
    /// Bytes kept come back without their last.
    ShortensBlobs,
}

#[derive(Debug)]
struct Planted {
    inner: MemoryStore,
    wrong: Wrong,
    /// The newest epoch that was given out.
    epoch: Mutex<u64>,
}

impl Planted {
    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    /// The claim, with the newest epoch whatever its own was.
    fn claim_of(&self, claim: &Claim) -> Claim {
        let epoch = match self.is(Wrong::BelievesOldClaims) {
            true => *self.epoch.lock().unwrap(),
            false => claim.epoch,
        };
        Claim {
            session: claim.session.clone(),
            epoch,
            last: claim.last,
            sum: claim.sum,
            hold: claim.hold.clone(),
        }
    }

    fn origin(&self, id: &SessionId) -> Option<SessionId> {
        let card = self.inner.card(id).now_or_never().unwrap().unwrap()?;
        card.forked.map(|(origin, _)| origin)
    }
}

impl Store for Planted {
    fn claim(&self, id: &SessionId, claiming: Claiming) -> BoxFuture<'static, Result<Claim>> {
        if self.is(Wrong::ForgetsAtClaim) {
            drop(self.inner.remove(id));
        }
        let claiming = match self.is(Wrong::ClaimsForEverybody) {
            true => Claiming::TakeOver,
            false => claiming,
        };
        let claim = self.inner.claim(id, claiming).now_or_never().unwrap();
        if let Ok(claim) = &claim {
            *self.epoch.lock().unwrap() = claim.epoch;
        }
        std::future::ready(claim).boxed()
    }

    fn append(&self, claim: &Claim, mut batch: Batch) -> BoxFuture<'static, Result<u64>> {
        let claim = self.claim_of(claim);
        let end = batch.rows.last().map(|row| row.seq);
        if self.is(Wrong::LosesTheLastRow) && batch.rows.len() > 1 {
            batch.rows.pop();
            let done = self.inner.append(&claim, batch);
            return done
                .map(move |done| done.map(|last| end.unwrap_or(last)))
                .boxed();
        }
        if self.is(Wrong::KeepsHalfABatch) {
            for row in &batch.rows {
                let mut one = batch.clone();
                one.rows = vec![row.clone()];
                if let Err(error) = self.inner.append(&claim, one).now_or_never().unwrap() {
                    return std::future::ready(Err(error)).boxed();
                }
            }
        }
        if self.is(Wrong::IsLazy) {
            let inner = self.inner.clone();
            return async move { inner.append(&claim, batch).await }.boxed();
        }
        if self.is(Wrong::RefusesRepetition) {
            let page = self.inner.read(&claim.session, 1..u64::MAX).now_or_never();
            let last = page.unwrap().unwrap().last().map_or(0, |row| row.seq);
            if batch.rows.iter().any(|row| row.seq <= last) {
                batch
                    .rows
                    .insert(0, batch.rows[batch.rows.len() - 1].clone());
            }
        }
        let card = self.inner.card(&claim.session).now_or_never();
        if self.is(Wrong::NeverRetitles)
            && let Some(card) = card.unwrap().unwrap()
            && !card.title.is_empty()
        {
            batch.card.title = card.title;
        }
        self.inner.append(&claim, batch)
    }

    fn cut(&self, claim: &Claim, last: u64) -> BoxFuture<'static, Result<()>> {
        self.inner.cut(&self.claim_of(claim), last)
    }

    fn read(&self, id: &SessionId, rows: Range<u64>) -> BoxFuture<'static, Result<Vec<Row>>> {
        let mut rows = rows;
        if self.is(Wrong::IgnoresTheEndOfARange) {
            rows.end = u64::MAX;
        }
        match self
            .origin(id)
            .filter(|_| self.is(Wrong::LetsForksSeeLaterRows))
        {
            Some(origin) => self.inner.read(&origin, rows),
            None => self.inner.read(id, rows),
        }
    }

    fn tail(&self, id: &SessionId, after: u64) -> BoxFuture<'static, Result<u64>> {
        self.inner.tail(id, after)
    }

    fn card(&self, id: &SessionId) -> BoxFuture<'static, Result<Option<Card>>> {
        self.inner.card(id)
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<Card>>> {
        let backwards = self.is(Wrong::ListsTheOldestFirst);
        let turn = move |cards: Result<Vec<Card>>| {
            let mut cards = cards?;
            if backwards {
                cards.reverse();
            }
            Ok(cards)
        };
        self.inner.list().map(turn).boxed()
    }

    fn fork(&self, from: &SessionId, last: u64, to: &SessionId) -> BoxFuture<'static, Result<()>> {
        self.inner.fork(from, last, to)
    }

    fn remove(&self, id: &SessionId) -> BoxFuture<'static, Result<()>> {
        self.inner.remove(id)
    }

    fn keep(&self, bytes: Bytes) -> BoxFuture<'static, Result<String>> {
        self.inner.keep(bytes)
    }

    fn kept(&self, name: &str) -> BoxFuture<'static, Result<Option<Bytes>>> {
        let short = self.is(Wrong::ShortensBlobs);
        let cut = move |bytes: Bytes| match short {
            true => bytes.slice(..bytes.len().saturating_sub(1)),
            false => bytes,
        };
        let kept = self.inner.kept(name);
        kept.map(move |kept| kept.map(|bytes| bytes.map(cut)))
            .boxed()
    }

    fn put_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> BoxFuture<'static, Result<()>> {
        self.inner.put_snapshot(&self.claim_of(claim), snapshot)
    }

    fn snapshot(&self, id: &SessionId) -> BoxFuture<'static, Result<Option<Snapshot>>> {
        self.inner.snapshot(id)
    }

    fn settled(&self) -> BoxFuture<'static, ()> {
        self.inner.settled()
    }
}

/// Runs the suite against a wrong store.
async fn suite(wrong: Wrong) {
    store_contract(async || Planted {
        inner: MemoryStore::new(),
        wrong,
        epoch: Mutex::default(),
    })
    .await;
}

/// Runs the suite against a wrong store, which it must say to break this promise.
async fn broken(wrong: Wrong, promise: &str) {
    let seen = AssertUnwindSafe(suite(wrong)).catch_unwind().await;
    let panic = seen.expect_err("the suite sees nothing wrong");
    let text = panic.downcast_ref::<String>().expect("a panic with words");
    assert!(text.contains(promise), "{text}");
}

macro_rules! seen {
    ($($test:ident: $wrong:ident, $promise:literal;)*) => {$(
        #[tokio::test]
        async fn $test() {
            broken(Wrong::$wrong, $promise).await;
        }
    )*};
}

seen! {
    twin_a_lost_last_row_is_seen: LosesTheLastRow, "what was appended is read back unchanged";
    twin_an_old_claim_that_writes_is_seen: BelievesOldClaims, "a claim that was taken over is fenced";
    twin_half_a_batch_is_seen: KeepsHalfABatch, "a batch is there whole or not at all";
    twin_a_log_that_a_claim_empties_is_seen: ForgetsAtClaim, "also after the next claim";
    twin_a_list_in_the_wrong_order_is_seen: ListsTheOldestFirst, "the last touched first";
    twin_a_fork_that_sees_later_rows_is_seen: LetsForksSeeLaterRows, "a fork";
    twin_work_that_waits_to_be_polled_is_seen: IsLazy, "work begins when it is asked for";
    twin_two_claims_at_a_time_are_seen: ClaimsForEverybody, "one claim at a time";
    twin_a_refused_repetition_is_seen: RefusesRepetition, "an append that repeats rows is well";
    twin_a_page_that_ends_too_late_is_seen: IgnoresTheEndOfARange, "a range gives its rows";
    twin_a_title_that_stays_is_seen: NeverRetitles, "the card is that of the last append";
    twin_shortened_bytes_are_seen: ShortensBlobs, "bytes are kept under a name that is theirs";
}
