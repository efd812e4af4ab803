//! A question about a record, as its caller holds it.

use crate::between::NetCommand;
use crate::record::{Asker, RecordQuestion, RecordResult, RecordTicket, Slot};
use crate::signal::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// A question about a record that was asked. Dropping it gives it up.
pub struct RecordQuery {
    ticket: RecordTicket,
    slot: Arc<Slot>,
    net: UnboundedSender<NetCommand>,
}

impl std::fmt::Debug for RecordQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordQuery").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl RecordQuery {
    pub(crate) fn ask(net: &UnboundedSender<NetCommand>, question: RecordQuestion) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (ticket, slot) = (NEXT.fetch_add(1, Ordering::Relaxed), Arc::new(Slot::default()));
        // A node that has ended drops the command, and with it the asker.
        let _ = net.send(NetCommand::Record { ticket, question, asker: Asker(Arc::clone(&slot)) });
        Self { ticket, slot, net: net.clone() }
    }

    /// Raised when the answer is here.
    pub fn signal(&self) -> &Signal {
        &self.slot.signal
    }

    /// The answer, once it is here.
    pub fn answer(&self) -> Option<RecordResult> {
        self.slot.get()
    }

    /// Waits for the answer until `deadline`. A walk ends by itself within about half a minute, however bad the network is.
    pub fn wait(&self, deadline: Option<Instant>) -> Option<RecordResult> {
        self.slot.signal.wait(deadline, || self.answer())
    }
}

impl Drop for RecordQuery {
    fn drop(&mut self) {
        if self.answer().is_none() {
            let _ = self.net.send(NetCommand::DropRecord { ticket: self.ticket });
        }
    }
}
