//! Records on their way to a store: numbered, chained, kept until the store has confirmed them.
//! Refuses to hand them over by itself, and to forget one that was not confirmed.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{Batch, Body, Card, PAGE_BYTES, PAGE_ROWS, Record, Row, Sum};
use crate::error::{Error, Result};

/// How far a record must have come before one goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// The store has it.
    Written,
    /// It would survive a power loss.
    OnDisk,
}

/// What of a log is not in its store yet.
pub(super) struct State {
    /// Records that the store has not confirmed, oldest first.
    pub(super) rows: VecDeque<Row>,
    pub(super) bytes: usize,
    /// The number and the sum of the last record, confirmed or not.
    pub(super) last: u64,
    pub(super) sum: Sum,
    pub(super) card: Card,
    /// Why nothing more can be written, ever.
    pub(super) broken: Option<Error>,
    /// Records up to here are known to survive a power loss.
    pub(super) synced: u64,
}

impl State {
    /// Whether everything up to this record is written, and on the disk where that is wanted.
    pub(super) fn has_written(&self, wanted: u64, until: Until) -> bool {
        let written = self.rows.front().is_none_or(|row| row.seq > wanted);
        written && (until == Until::Written || self.synced >= wanted)
    }

    pub(super) fn check(&self) -> Result<()> {
        match &self.broken {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    pub(super) fn push(&mut self, record: &Record, body: Bytes) {
        let told = matches!(record.body, Body::Told(_));
        self.last += 1;
        self.sum = self.sum.next(self.last, told, &body);
        self.bytes += body.len();
        self.rows.push_back(Row {
            seq: self.last,
            sum: self.sum,
            told,
            body,
        });
        self.card.records = self.last;
        self.card.note(record);
    }

    /// What is handed over next.
    pub(super) fn batch(&self, until: Until) -> Option<Batch> {
        let mut bytes = 0;
        let rows = self.rows.iter().take(PAGE_ROWS).take_while(|row| {
            let before = bytes;
            bytes += row.body.len();
            before < PAGE_BYTES
        });
        let rows: Vec<_> = rows.cloned().collect();
        let last = rows.last()?.seq;
        let mut card = self.card.clone();
        card.records = last;
        let sync = until == Until::OnDisk;
        Some(Batch { rows, sync, card })
    }

    pub(super) fn confirm(&mut self, last: u64, until: Until) {
        while self.rows.front().is_some_and(|row| row.seq <= last) {
            if let Some(row) = self.rows.pop_front() {
                self.bytes -= row.body.len();
            }
        }
        if until == Until::OnDisk {
            self.synced = self.synced.max(last);
        }
    }
}
