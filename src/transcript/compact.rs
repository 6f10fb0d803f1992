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
                .filter_map(|(index, entry)| stays(index, entry.get().role).then_some(entry)),
        );
        self.renew(entries, origin);
        let after = self.tokens(&counter);
        Change { before, after }
    }

    /// Which entries stay word for word.
    fn stays(&self) -> impl Fn(usize, Role) -> bool + use<> {
        let role = |index: usize| self.entries[index].get().role;
        let last = |wanted: Role| (0..self.len()).rev().find(|index| role(*index) == wanted);
        let user = last(Role::User);
        let answer = last(Role::Assistant);
        let small = answer.is_some_and(|start| {
            let estimate = Counter::estimate();
            let pair = self.entries[start..].iter().map(Kept::get);
            let pair = pair.take_while(|message| message.role != Role::User);
            pair.map(|message| estimate.message(message)).sum::<u64>() <= TAIL_TOKENS
        });
        let pair_stays = small || !self.open_calls().is_empty();
        move |index, role| {
            // What users said after the last answer has not been answered: all of it stays.
            let recent = answer.is_none_or(|answer| index >= answer);
            user == Some(index) || (recent && (pair_stays || role == Role::User))
        }
    }
}
