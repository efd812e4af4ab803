//! Messages on their way to a replicator: those of one channel that came together go together, so that blocks among them
//! are hashed side by side.
//!
//! Invariants:
//! * A replicator sees the messages of a channel in the order in which they came, and before what closes the channel.
//! * Nothing waits here when [`LiveMachine::work`](super::machine::LiveMachine::work) is over.
//! * At most [`MAX_MESSAGES`] wait, and no more once they have [`MAX_BYTES`], however many a frame holds.

use super::machine::LiveMachine;
use crate::swarm::ConnId;
use bosc_format::crypto::CoreKey;
use bosc_wire::replication::PeerId;
use bytes::Bytes;
use std::time::Duration;

/// Enough to fill the lanes of a vector unit several times over.
pub(super) const MAX_MESSAGES: usize = 64;
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Messages of one channel, in order.
#[derive(Debug)]
pub(super) struct Inbox {
    conn: ConnId,
    core: CoreKey,
    messages: Vec<(u32, Bytes)>,
    bytes: usize,
}

#[cfg(test)]
impl Inbox {
    /// Messages that wait, and their bytes.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.messages.len(), self.bytes)
    }
}

impl LiveMachine {
    /// Keeps a message until those after it are known.
    pub(super) fn gather(&mut self, conn: ConnId, core: CoreKey, message: (u32, Bytes), now: Duration) {
        if self.inbox.as_ref().is_some_and(|i| (i.conn, i.core) != (conn, core)) {
            self.take_in(now);
        }
        let inbox = self.inbox.get_or_insert_with(|| Inbox { conn, core, messages: Vec::new(), bytes: 0 });
        inbox.bytes = inbox.bytes.saturating_add(message.1.len());
        inbox.messages.push(message);
        if inbox.messages.len() >= MAX_MESSAGES || inbox.bytes >= MAX_BYTES {
            self.take_in(now);
        }
    }

    /// Gives the replicator what was kept.
    pub(super) fn take_in(&mut self, now: Duration) {
        let Some(Inbox { conn, core, messages, .. }) = self.inbox.take() else { return };
        // What came before on another channel may have changed it.
        self.look_at_db_of(core, conn);
        if let Some(slot) = self.cores.get_mut(&core) {
            slot.with(|r, core| r.handle_messages(PeerId(conn), messages, core, now));
            slot.changed = true;
        }
    }
}
