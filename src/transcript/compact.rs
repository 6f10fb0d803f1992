//! Puts a summary in the place of a long history.
//! Refuses to write the summary, to decide when, and to lose the user's last words.

use super::{Change, Counter, Transcript};
use crate::{
    kept::Kept,
    message::{Message, Role},
};

const PREAMBLE: &str = include_str!("compact_preamble.md");
const GO_ON: &str = "Go on with the work from where it stood, without asking the user anything about these notes and without repeating them.";

/// The model's last answer and its results stay word for word when they are no larger than this
/// (by the estimate): it has not seen those results yet. Larger ones are in the summary.
const TAIL_TOKENS: u64 = 10_000;

impl Transcript {
    /// Replaces the history by a summary of it and what has to stay word for word: the user's last
    /// message, a call that has no result yet, and the last answer with its results while that is
    /// small. `automatic` tells the model to go on unasked, because nobody paused it.
    #[expect(
        clippy::fn_params_excessive_bools,
        reason = "the engine passes on who asked for it; both words would only repeat the name"
    )]
    pub fn replace_with_summary(&mut self, summary: &str, automatic: bool) -> Change {
        let counter = self.tally.last();
        let before = self.tokens(&counter);
        let mut text = format!("{}\n\nSummary:\n{summary}", PREAMBLE.trim_end());
        if automatic {
            text.push_str("\n\n");
            text.push_str(GO_ON);
        }
        let stays = self.stays();
        let mut entries = vec![Kept::new(Message::user(text))];
        let origin = self.origin();
        let old = std::mem::take(&mut self.entries);
        entries.extend(
            old.into_iter()
                .enumerate()
                .filter_map(|(index, entry)| stays(index).then_some(entry)),
        );
        self.renew(entries, origin);
        let after = self.tokens(&counter);
        Change { before, after }
    }

    /// Which entries stay word for word.
    fn stays(&self) -> impl Fn(usize) -> bool + use<> {
        let role = |index: usize| self.entries[index].get().role;
        let last = |wanted: Role| (0..self.len()).rev().find(|index| role(*index) == wanted);
        let answer = last(Role::Assistant);
        let user = last(Role::User);
        let estimate = Counter::estimate();
        // The last answer and its results, as long as they are small or wait for results.
        let pair = answer.filter(|start| {
            let end = (start + 1..self.len()).find(|index| role(*index) != Role::Tool);
            let end = end.unwrap_or(self.len());
            let size = |entry: &Kept<Message>| estimate.message(entry.get());
            let tokens: u64 = self.entries[*start..end].iter().map(size).sum();
            !self.open_calls().is_empty() || tokens <= TAIL_TOKENS
        });
        // What users said after the last answer has not been answered: all of it stays.
        let users: Vec<usize> = (answer.map_or(0, |answer| answer + 1)..self.len())
            .filter(|index| role(*index) == Role::User)
            .collect();
        move |index| {
            user == Some(index)
                || users.contains(&index)
                || pair
                    .is_some_and(|pair| index == pair || (index > pair && !users.contains(&index)))
        }
    }
}
