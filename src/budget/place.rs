//! What is given back by drop: a child's place in its tree, a process's slot.
//! Refuses to be given back twice; neither can be cloned.

use std::{fmt, sync::Arc};

use super::{
    books::Id,
    meter::{Meter, Tree},
    spent::Limit,
};

/// The place of a child in its tree; dropping it ends the child.
///
/// Its seat is free again and what was reserved for it and not used goes back, however it ended: by
/// return, panic, abort or a dropped future. From then on its meter refuses; what is still charged
/// to it is booked all the same. What living descendants have reserved or may draw on stays with
/// them until they have ended too.
#[must_use = "dropping the place ends the child"]
pub struct Place {
    tree: Arc<Tree>,
    id: Id,
}

impl Place {
    pub(super) fn new(tree: Arc<Tree>, id: Id) -> Self {
        Self { tree, id }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tree.books().end(self.id);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

/// One running process, counted in every limit above until this is dropped.
#[must_use = "the process is counted no longer when this is dropped"]
pub struct ProcessSlot(Meter);

impl ProcessSlot {
    pub(super) fn new(meter: Meter) -> Self {
        Self(meter)
    }
}

impl Drop for ProcessSlot {
    fn drop(&mut self) {
        let id = self.0.id();
        self.0.books().give(id, Limit::Processes);
    }
}

impl fmt::Debug for ProcessSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessSlot").finish_non_exhaustive()
    }
}
