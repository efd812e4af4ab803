//! A change to one core, computed and not yet made.

use crate::core_state::CoreShared;
use crate::events::CoreChange;
use crate::page::{PageKey, SharedPage};
use crate::record::Record;
use crate::segment::Uses;
use std::sync::Arc;

/// A change ready to be installed or committed.
#[derive(Clone)]
pub(crate) struct Delta {
    pub(crate) core: Arc<CoreShared>,
    /// Rows that go before pages are written.
    pub(crate) cuts: Vec<(PageKey, PageKey)>,
    /// Core number under which more pages were put aside, older than `pages`.
    pub(crate) aside: Option<u32>,
    /// Pages, `None` where the row goes.
    pub(crate) pages: Vec<(PageKey, Option<SharedPage>)>,
    /// The record, `None` when the core goes.
    pub(crate) record: Option<Record>,
    pub(crate) uses: Uses,
    pub(crate) changes: Vec<CoreChange>,
}

impl Delta {
    /// Whether readers of the state before must be kept out while it is written: it takes things away.
    pub(crate) fn takes_away(&self) -> bool {
        !self.cuts.is_empty() || self.record.is_none()
    }
}
