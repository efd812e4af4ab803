//! The end of a node: announcements are taken back, what was made for peers is written, everybody is told good-bye.
//!
//! ```text
//!   shut_down ── nothing is read any more; each stream ends when its frames are written ──▶ closed, when
//!       all said good-bye and no query runs │ after CLOSE_TIMEOUT: everything written is acknowledged │ after the grace: in any case
//! ```

use super::connection::Connection;
use super::machine::NetMachine;
use std::time::Duration;

/// How long the end of the node may take: taking announcements back, sending what is left.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1500);

impl NetMachine {
    /// Begins the end: takes announcements back and ends connections, each when what was made for it is written. Nothing more is
    /// read or made. What is not written within `grace` is lost.
    pub fn shut_down(&mut self, grace: Duration, now: Duration) {
        self.withdraw(now);
        self.closing = Some(now + grace.max(CLOSE_TIMEOUT));
        self.closing_soon = Some(now + CLOSE_TIMEOUT);
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            if grace.is_zero()
                && let Some(link) = self.links.get_mut(&id)
            {
                link.queue.clear();
            }
            self.write_stream(id, now);
        }
    }

    /// Takes announcements back and ends what we have with relays.
    fn withdraw(&mut self, now: Duration) {
        self.lan.iter_mut().for_each(super::lan::Lan::goodbye);
        self.end_records(now);
        for topic in self.swarm.topics().copied().collect::<Vec<_>>() {
            self.swarm.leave(&topic);
        }
        self.actions(now);
        if let Some(listen) = self.listen.take() {
            self.dialer.connector.unlisten(&mut self.dht, listen, now);
        }
        if let Some(listen) = self.relay_server.as_mut().and_then(|s| s.listen.take()) {
            self.dialer.connector.unlisten(&mut self.dht, listen, now);
        }
        for id in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.end_session(id, now);
        }
    }

    /// Takes announcements back and ends connections, whatever is left to be written.
    pub(super) fn withdraw_all(&mut self, now: Duration) {
        self.withdraw(now);
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            if let Some(stream) = self.table.get_mut(id) {
                stream.end();
            }
        }
    }

    /// Whether announcements are taken back and connections closed.
    pub(super) fn is_quiet(&self) -> bool {
        self.queries.is_empty()
            && self.table.ids().all(|id| self.table.get(id).is_none_or(bosc_udx::Stream::is_closed))
    }

    /// Whether the end is over.
    pub fn is_closed(&self, now: Duration) -> bool {
        let Some(by) = self.closing else { return false };
        let written = || {
            self.links.values().all(Connection::is_written)
                && self.table.ids().all(|id| self.table.get(id).is_none_or(|s| s.unacknowledged() == 0))
        };
        self.is_quiet() || now >= by || (self.closing_soon.is_none() && written())
    }
}
