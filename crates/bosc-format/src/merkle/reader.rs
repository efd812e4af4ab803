//! Where the nodes of a tree are kept, and why one cannot be used.

use super::node::Node;

/// Reads tree nodes from wherever they are kept.
///
/// Every node a reader returns was proved or computed before it was kept; proofs are checked against them.
pub trait TreeReader {
    /// The node at `index`, `None` when it is not kept here.
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError>;
}

impl<T: TreeReader + ?Sized> TreeReader for &T {
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError> {
        (**self).node(index)
    }
}

/// A tree in memory, for tests and small cores.
impl TreeReader for std::collections::BTreeMap<u64, Node> {
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError> {
        Ok(self.get(&index).copied())
    }
}

/// A tree in memory, for tests and small cores.
impl TreeReader for std::collections::HashMap<u64, Node> {
    fn node(&self, index: u64) -> Result<Option<Node>, TreeReadError> {
        Ok(self.get(&index).copied())
    }
}

/// The place where nodes are kept failed.
#[derive(Debug, thiserror::Error)]
#[error("reading the tree failed: {0}")]
pub struct TreeReadError(pub Box<dyn std::error::Error + Send + Sync>);

/// Why a tree operation could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The place where nodes are kept failed.
    #[error(transparent)]
    Read(#[from] TreeReadError),
    /// A node that is needed is not kept here (a sparse core, or damage).
    #[error("tree node {0} is not here")]
    Missing(u64),
    /// An index, length or offset is outside the tree.
    #[error("{0} is outside the tree")]
    OutOfBounds(&'static str),
    /// The tree would have more than 2^52 blocks or 2^53 - 1 bytes.
    #[error("{0} is over its bound")]
    TooLarge(&'static str),
}
