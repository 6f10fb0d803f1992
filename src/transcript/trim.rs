//! Clears old tool output: the cheapest way to make a conversation shorter.
//! Refuses to touch what a person or the model said, what it reasoned, and the newest results.

use super::{Change, CompactionSettings, Counter, Transcript, Trimming};
use crate::message::{Content, Message, Part, Role};

/// What stands in the place of cleared output.
pub(super) const CLEARED: &str = "[Old tool result content cleared]";

impl Transcript {
    /// Replaces the content of older tool results by `[Old tool result content cleared]`; `None`
    /// when there was nothing to clear.
    ///
    /// Results stay, so that every call keeps its answer and its outcome; the newest few (by
    /// [`CompactionSettings::keep_results`]) keep their content. What is cleared is not cleared
    /// again, and only messages that changed have to be encoded again.
    pub fn trim(&mut self, settings: &CompactionSettings, counter: &Counter) -> Option<Change> {
        if settings.trimming == Trimming::Never {
            return None;
        }
        let before = self.tokens(counter);
        let mut keep = settings.keep_results;
        let mut oldest_kept = self.len();
        let mut changed = false;
        for index in (self.trimmed..self.len()).rev() {
            let results = self.entries[index].get().tool_results().count();
            if keep > 0 && results > 0 {
                oldest_kept = index;
            }
            // The newest results of a message are its last ones.
            let clear = results.saturating_sub(keep);
            keep = keep.saturating_sub(results);
            changed |= self.clear_first(index, clear, counter);
        }
        self.trimmed = oldest_kept;
        let after = self.tokens(counter);
        changed.then_some(Change { before, after })
    }

    fn clear_first(&mut self, index: usize, count: usize, counter: &Counter) -> bool {
        let worth = |message: &Message| {
            message
                .tool_results()
                .take(count)
                .any(|r| is_worth(&r.content))
        };
        if count == 0 || !worth(self.entries[index].get()) {
            return false;
        }
        let old = counter.message(self.entries[index].get());
        self.edit(index, |message| {
            debug_assert_eq!(message.role, Role::Tool, "only results are cleared");
            for part in message.parts.iter_mut().take(count) {
                if let Part::Result(result) = part
                    && is_worth(&result.content)
                {
                    result.content = vec![Content::from(CLEARED)];
                }
            }
        });
        let saved = old.saturating_sub(counter.message(self.entries[index].get()));
        let from = match &mut self.anchor {
            Some(anchor) if index < anchor.covers => {
                anchor.tokens = anchor.tokens.saturating_sub(saved);
                return true;
            }
            Some(anchor) => anchor.covers,
            None => 0,
        };
        self.tally.shrink(counter, index, saved, from);
        true
    }
}

/// Whether clearing makes it shorter.
fn is_worth(contents: &[Content]) -> bool {
    let mut text = 0;
    for content in contents {
        match content {
            Content::Text(words) => text += words.len(),
            Content::Media(_) => return true,
        }
    }
    text > CLEARED.len()
}
