//! Memory of entries that are over, for those to come: in steady state an entry takes nothing from the heap.

use super::{Branch, Setup};
use crate::limits;

/// Boxes and lists of one worker.
#[derive(Default)]
pub(crate) struct SpareEntries {
    #[expect(clippy::vec_box, reason = "the boxes are what is kept")]
    boxes: Vec<Box<Setup>>,
}

impl SpareEntries {
    /// An empty list of branches.
    pub(super) fn branches(&mut self) -> Vec<Branch> {
        self.boxes.last_mut().map(|setup| std::mem::take(&mut setup.branches)).unwrap_or_default()
    }

    /// The entry in a box.
    pub(crate) fn fill(&mut self, setup: Setup) -> Box<Setup> {
        match self.boxes.pop() {
            Some(mut boxed) => {
                *boxed = setup;
                boxed
            }
            None => Box::new(setup),
        }
    }

    /// Take the box of an entry that is over.
    pub(crate) fn give(&mut self, mut setup: Box<Setup>) {
        if self.boxes.len() < limits::SPARE_ENTRIES {
            setup.forget();
            self.boxes.push(setup);
        }
    }
}

impl Setup {
    /// Free what a box in reserve need not hold.
    fn forget(&mut self) {
        self.held = None;
        self.branches.clear();
        self.plan = super::Plan::Bindings(super::Bound::default());
        self.best = None;
        self.cancel_reason = None;
    }
}
