//! A peer that speaks from another place: its address has changed, its NAT has forgotten it, or somebody pretends.
//!
//! libudx takes packets wherever they come from and goes on sending to the old place, until nothing was acknowledged for 13
//! seconds. Here the old place is asked first: a believable packet from elsewhere makes us send a heartbeat to where we send, and
//! another one half a wait later, when what was on its way from there has arrived. If nothing comes from there in the second half, the
//! owner is told by [`Event::Elsewhere`], and may [`Stream::follow`].
//!
//! To be led astray a stream needs somebody who knows its 32-bit id and roughly both sequence numbers, and keeps the peer's
//! answer from arriving: who can do that can cut the connection anyway. What the owner reads is authenticated above.

use super::strays::Stray;
use super::{State, Stream, canonical, micros};
use crate::event::{Event, SocketTag};
use crate::header::Packet;
use crate::sequence;
use std::net::SocketAddr;
use std::time::Duration;

/// Least and most of half a wait, µs.
const HALF_MIN: u64 = 250_000;
const HALF_MAX: u64 = 1_000_000;
/// After the old place answered, so long nothing is asked again, µs.
const REST: u64 = 1_000_000;
/// How far from ours the numbers of a believable packet are.
const NEAR: u64 = 1 << 16;

impl Stream {
    /// Looks where a packet came from.
    pub(super) fn note_place(&mut self, now: u64, socket: SocketTag, from: SocketAddr, packet: &Packet<'_>) {
        if self.state != State::Connected || !self.knows_socket(socket) {
            return;
        }
        let is = |path: Option<super::Path>| path.is_some_and(|path| canonical(path.to) == from);
        if is(self.path) {
            self.strays.path_heard = now;
            return;
        }
        let leaving = is(self.previous) && self.changing_until.is_some();
        let busy = self.strays.now.is_some() || now < self.strays.quiet_until;
        if leaving || busy || from.port() == 0 || !self.believable(packet) {
            return;
        }
        let wait = self.sender.rtt.quiet().clamp(HALF_MIN, HALF_MAX);
        self.strays.now = Some(Stray { socket, from, wait, asked: None, due: now.saturating_add(wait) });
        self.heartbeat_pending = true;
    }

    fn believable(&self, packet: &Packet<'_>) -> bool {
        let (next, una) = (self.receiver.next(), self.sender.una());
        let theirs = sequence::expand(packet.header.sequence, next);
        let ours = sequence::expand(packet.header.ack, una);
        theirs.abs_diff(next) <= NEAR && ours <= self.sender.next() && ours.saturating_add(NEAR) >= una
    }

    pub(super) fn stray_at(&self) -> Option<u64> {
        self.strays.now.map(|stray| stray.due)
    }

    pub(super) fn judge_stray(&mut self, now: u64) {
        let Some(stray) = self.strays.now.as_mut().filter(|stray| stray.due <= now) else { return };
        let Some(asked) = stray.asked else {
            stray.asked = Some(now);
            // A timer that comes late leaves the peer its time.
            stray.due = stray.due.saturating_add(stray.wait).max(now.saturating_add(HALF_MIN));
            self.heartbeat_pending = true;
            return;
        };
        let stray = *stray;
        self.strays.now = None;
        self.strays.quiet_until = now.saturating_add(REST);
        if self.strays.path_heard < asked {
            self.events.push_back(Event::Elsewhere { socket: stray.socket, from: stray.from });
        }
    }

    /// Moves a connected stream to where its peer was found to be, see [`Event::Elsewhere`]. The old place is dead: what was on
    /// its way is sent again at once. Does nothing if the stream is not connected.
    pub fn follow(&mut self, socket: SocketTag, to: SocketAddr, now: Duration) {
        let Some(path) = self.path.filter(|_| self.state == State::Connected) else { return };
        self.change_remote(socket, path.remote_id, to, now);
        self.previous_dead = true;
        self.hurry(now);
    }

    /// The network under the stream has changed: what is on its way counts as lost and is sent again at once, in small packets at
    /// first, and the peer is asked for a sign of life. Does nothing if the stream is not connected.
    pub fn hurry(&mut self, now: Duration) {
        if self.state == State::Connected {
            self.heartbeat_pending = true;
            self.sender.mtu.reset();
            self.sender.all_lost(micros(now), &mut self.stats);
        }
    }

    /// Asks the peer for a sign of life.
    pub fn ask(&mut self) {
        self.heartbeat_pending |= self.state == State::Connected;
    }

    /// When the last packet came, or the stream was made.
    pub fn heard(&self) -> Duration {
        Duration::from_micros(self.last_received)
    }
}
