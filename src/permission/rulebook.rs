//! The permissions of an agent and of all above it, of which every one must agree.
//! Refuses to widen: a page that is added can only take away.

use std::sync::Arc;

use super::{Mode, Permissions, Ruling, Unasked};
use crate::spec::ToolSpec;

/// The permissions of an agent and of every agent above it. Cheap to clone.
///
/// A call must pass each page; the narrowest ruling counts. So a rule holds at whatever depth a
/// call is made, and an agent that is opened with looser permissions than its parent has does not
/// get them.
#[derive(Clone, Debug, Default)]
pub struct Rulebook {
    pages: Arc<[Permissions]>,
}

impl Rulebook {
    /// Nothing is forbidden: what stands above a root.
    pub fn unrestricted() -> Self {
        Self::default()
    }

    /// With one more page.
    #[must_use]
    pub fn with(&self, page: &Permissions) -> Self {
        // A page that forbids nothing and asks nothing need not be turned at each call, nor one that
        // was turned already: a long chain of agents has no more pages than it has kinds.
        if *page == Permissions::unrestricted() || self.pages.contains(page) {
            return self.clone();
        }
        Self {
            pages: self.pages.iter().chain([page]).cloned().collect(),
        }
    }

    /// With the pages of another, each unless it is here already.
    #[must_use]
    pub(crate) fn and(&self, more: &Self) -> Self {
        if self.pages.is_empty() {
            return more.clone();
        }
        let joined = |book: Self, page: &Permissions| book.with(page);
        more.pages.iter().fold(self.clone(), joined)
    }

    /// What the pages say of a call on these subjects: see [`Permissions::rule_on`].
    pub fn rule_on(&self, spec: &ToolSpec, subjects: &[String]) -> Ruling {
        self.pages
            .iter()
            .map(|page| page.rule_on(spec, subjects))
            .fold(Ruling::Allow, Ruling::and)
    }

    /// What happens to a question when nobody is there to ask: the most careful of all pages.
    pub fn unasked(&self) -> Unasked {
        let rank = |unasked: &Unasked| match unasked {
            Unasked::Allow => 0,
            Unasked::Wait => 1,
            Unasked::Deny => 2,
        };
        let pages = self.pages.iter().map(|page| page.unasked);
        pages.max_by_key(rank).unwrap_or_default()
    }

    /// Whether a page can hold a call back, so that an agent whose tools we do not run may not be
    /// trusted with it.
    pub fn restricts(&self) -> bool {
        let restricts = |page: &Permissions| {
            let asks = page.mode != Mode::Bypass && page.unasked != Unasked::Allow;
            let rules = !page.deny.is_empty() || !page.ask.is_empty();
            page.mode == Mode::Plan || asks || rules || page.paths.is_some()
        };
        self.pages.iter().any(restricts)
    }
}
