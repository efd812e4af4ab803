//! Messages on their way to a replicator: those of one channel that came together go together, so that blocks among them
//! are hashed side by side.
//!
//! Invariants:
//! * A replicator sees the messages of a channel in the order in which they came, and before what closes the channel.
//! * Nothing waits here when [`LiveMachine::work`](super::machine::LiveMachine::work) is over.
//! * At most [`MAX_MESSAGES`] wait, and no more once they have [`MAX_BYTES`], however many a frame holds.

use crate::swarm::ConnId;
use bosc_format::crypto::CoreKey;
use bytes::Bytes;

/// Enough to fill the lanes of a vector unit several times over.
pub(super) const MAX_MESSAGES: usize = 64;
/// Blocks of large files have a MiB and more: enough for four such. What waits counts among what may be received and not
/// worked through ([`crate::credit::Bounds::inbound_high`]).
pub(super) const MAX_BYTES: usize = 4 << 20;

/// Messages of one channel, in order.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) conn: ConnId,
    pub(super) core: CoreKey,
    pub(super) messages: Vec<(u32, Bytes)>,
    bytes: usize,
}

impl Inbox {
    pub(super) fn new(conn: ConnId, core: CoreKey) -> Self {
        Self { conn, core, messages: Vec::new(), bytes: 0 }
    }

    /// Whether it is that of this channel.
    pub(super) fn is_of(&self, conn: ConnId, core: CoreKey) -> bool {
        (self.conn, self.core) == (conn, core)
    }

    /// Keeps a message. `true`: no more may wait.
    pub(super) fn push(&mut self, message: (u32, Bytes)) -> bool {
        self.bytes = self.bytes.saturating_add(message.1.len());
        self.messages.push(message);
        self.messages.len() >= MAX_MESSAGES || self.bytes >= MAX_BYTES
    }
}

#[cfg(test)]
impl Inbox {
    /// Messages that wait, and their bytes.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.messages.len(), self.bytes)
    }
}
