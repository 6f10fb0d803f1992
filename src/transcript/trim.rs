//! Clears old tool output: the cheapest way to make a conversation shorter.
//! Refuses to touch what a person or the model said, what it reasoned, and the newest results.

use std::collections::HashSet;

use super::{Change, CompactionSettings, Counter, Transcript, Trimming};
use crate::{
    id::CallId,
    message::{Content, Message, Part, Role},
};

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
        self.trim_named(settings, counter).map(|(change, _)| change)
    }

    /// As [`trim`](Self::trim); names the calls whose results were cleared.
    pub(crate) fn trim_named(
        &mut self,
        settings: &CompactionSettings,
        counter: &Counter,
    ) -> Option<(Change, Vec<CallId>)> {
        if settings.trimming == Trimming::Never {
            return None;
        }
        let before = self.tokens(counter);
        let mut keep = settings.keep_results;
        let mut oldest_kept = self.len();
        let mut cleared = Vec::new();
        for index in (self.trimmed..self.len()).rev() {
            let results = self.entries[index].get().tool_results().count();
            if keep > 0 && results > 0 {
                oldest_kept = index;
            }
            // The newest results of a message are its last ones.
            let clear = results.saturating_sub(keep);
            keep = keep.saturating_sub(results);
            self.clear_first(index, clear, counter, &mut cleared);
        }
        self.trimmed = oldest_kept;
        let after = self.tokens(counter);
        (!cleared.is_empty()).then_some((Change { before, after }, cleared))
    }

    /// Clears the results of these calls, as an earlier [`trim`](Self::trim) of the same history did.
    pub(crate) fn clear(&mut self, calls: &[CallId]) {
        let calls: HashSet<_> = calls.iter().collect();
        for index in 0..self.len() {
            let named = |message: &Message| message.tool_results().any(|r| calls.contains(&r.call));
            if !named(self.entries[index].get()) {
                continue;
            }
            self.edit(index, |message| {
                for part in &mut message.parts {
                    if let Part::Result(result) = part
                        && calls.contains(&result.call)
                    {
                        result.content = vec![Content::from(CLEARED)];
                    }
                }
            });
        }
        // Counted anew by whoever asks next: what a vendor said was of the longer history.
        self.set_anchor(None);
    }

    fn clear_first(
        &mut self,
        index: usize,
        count: usize,
        counter: &Counter,
        cleared: &mut Vec<CallId>,
    ) {
        let worth = |message: &Message| {
            message
                .tool_results()
                .take(count)
                .any(|r| is_worth(&r.content))
        };
        if count == 0 || !worth(self.entries[index].get()) {
            return;
        }
        let old = counter.message(self.entries[index].get());
        self.edit(index, |message| {
            debug_assert_eq!(message.role, Role::Tool, "only results are cleared");
            for part in message.parts.iter_mut().take(count) {
                if let Part::Result(result) = part
                    && is_worth(&result.content)
                {
                    result.content = vec![Content::from(CLEARED)];
                    cleared.push(result.call.clone());
                }
            }
        });
        let saved = old.saturating_sub(counter.message(self.entries[index].get()));
        let from = match &mut self.anchor {
            Some(anchor) if index < anchor.covers => {
                anchor.tokens = anchor.tokens.saturating_sub(saved);
                return;
            }
            Some(anchor) => anchor.covers,
            None => 0,
        };
        self.tally.shrink(counter, index, saved, from);
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
