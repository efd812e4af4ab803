//! What answers are made of: the last snapshot, by its number.

use crate::dashboard::snapshot::Snapshot;

/// A snapshot, and which one it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbered {
    /// Counts what is worth a look.
    pub(super) number: u64,
    /// What was new in it.
    pub(super) news: Option<String>,
    pub(super) snapshot: Snapshot,
}
