//! A key and its value.

use super::proto::NodeBlock;
use bytes::Bytes;

/// A key and its value at some version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The block that wrote it.
    pub seq: u64,
    /// The key.
    pub key: Bytes,
    /// The value; `None` when it was put as null.
    pub value: Option<Bytes>,
}

impl From<NodeBlock> for Entry {
    fn from(b: NodeBlock) -> Self {
        Self { seq: b.seq, key: b.key, value: b.value }
    }
}
