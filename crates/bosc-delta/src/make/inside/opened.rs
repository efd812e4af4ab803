//! What was opened.

use crate::packed::Unpack;

/// A piece and what it holds.
pub(super) struct Opened {
    pub(super) piece: Unpack,
    pub(super) bytes: Vec<u8>,
}
