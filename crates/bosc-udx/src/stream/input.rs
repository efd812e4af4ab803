//! Packets in. The order of things is that of libudx: firewall, heartbeat, data, message, window, acknowledgement.

use super::{PLACES, State, Stream, canonical, micros};
use crate::bbr::SHORT_PATH;
use crate::event::{CloseReason, Event, SocketTag};
use crate::header::{Packet, flags};
use crate::recv::Received;
use crate::sequence;
use std::net::SocketAddr;
use std::time::Duration;

/// How far beyond what we have a DESTROY may be numbered: the most packets a peer has on their way.
const DESTROY_AHEAD: u64 = 1 << 20;

/// Least time between the first answers of a destroyed stream, µs.
const ANSWER_INTERVAL: u64 = 25_000;

impl Stream {
    /// Takes a datagram that arrived for this stream (see [`crate::stream_id`]). Anything that is not a packet for it
    /// changes nothing. Afterwards ask for events, then for packets to send; when many datagrams are at hand, hand
    /// in all of them first: they are acknowledged together.
    pub fn handle_packet(&mut self, socket: SocketTag, from: SocketAddr, datagram: &[u8], now: Duration) {
        let Some(packet) = Packet::parse(datagram) else { return };
        if packet.header.stream_id != self.local_id {
            return;
        }
        let now = micros(now);
        let from = canonical(from);
        match self.state {
            State::Finished => return,
            State::Lingering { .. } => return self.linger(now, from, &packet),
            State::Idle | State::Connected => {}
        }
        if !self.knows_socket(socket) && !self.pass_firewall(socket, from) {
            return;
        }
        self.stats.packets_received += 1;
        self.stats.bytes_received += datagram.len() as u64;
        self.last_received = now;
        self.note_place(now, socket, from, &packet);
        let kind = packet.header.flags;
        if kind & flags::HEARTBEAT != 0 {
            self.ack_pending = true;
            return;
        }
        let sequence = sequence::expand(packet.header.sequence, self.receiver.next());
        if kind & flags::SEQUENCED != 0 {
            self.take_data(sequence, kind, packet.payload);
        }
        if kind & flags::DESTROY != 0 && self.take_destroy(now, from, sequence, &packet) {
            return;
        }
        if kind & flags::MESSAGE != 0 {
            self.take_message(packet.payload);
        }
        self.take_ack(now, from, sequence, &packet);
        self.close_if_ended(now);
    }

    fn pass_firewall(&mut self, socket: SocketTag, from: SocketAddr) -> bool {
        if !self.surfaces() || from.port() == 0 {
            return false;
        }
        let place = (socket, from);
        if self.surfaced.contains(&place) {
            return true;
        }
        // The owner does not keep up, or someone plays with addresses.
        if self.firewall_waiting >= PLACES {
            return false;
        }
        if self.surfaced.len() >= PLACES {
            self.surfaced.pop_front();
        }
        self.surfaced.push_back(place);
        self.firewall_waiting += 1;
        self.events.push_back(Event::Firewall { socket, from });
        true
    }

    fn take_data(&mut self, sequence: u64, kind: u8, payload: &[u8]) {
        // A packet of the end alone has no payload that counts.
        let payload = if kind & flags::DATA != 0 { payload } else { &[] };
        self.ack_pending = true;
        match self.receiver.insert(sequence, kind, payload) {
            Received::Duplicate => self.stats.duplicate_packets += 1,
            Received::Refused => self.stats.refused_packets += 1,
            Received::InOrder | Received::Ahead => {}
        }
        if self.receiver.unread() > 0 && !self.readable_told {
            self.readable_told = true;
            self.events.push_back(Event::Readable);
        }
        if self.receiver.ended() && !self.remote_ended_told {
            self.remote_ended_told = true;
            self.events.push_back(Event::RemoteEnded);
        }
    }

    fn take_destroy(&mut self, now: u64, from: SocketAddr, sequence: u64, packet: &Packet<'_>) -> bool {
        let next = self.receiver.next();
        let believable = sequence >= next
            && sequence - next <= DESTROY_AHEAD
            && packet.header.flags == flags::DESTROY
            && packet.payload.is_empty();
        let trusted = self.state == State::Idle || self.trusts(from);
        if believable && trusted {
            self.close(now, CloseReason::Reset);
        }
        believable && trusted
    }

    fn take_message(&mut self, payload: &[u8]) {
        if self.messages_waiting >= self.config.message_queue {
            self.stats.dropped_messages += 1;
            return;
        }
        self.messages_waiting += 1;
        self.events.push_back(Event::Message(bytes::Bytes::copy_from_slice(payload)));
    }

    fn take_ack(&mut self, now: u64, from: SocketAddr, sequence: u64, packet: &Packet<'_>) {
        let ack = sequence::expand(packet.header.ack, self.sender.una());
        if ack > self.sender.next() {
            return;
        }
        self.sender.update_window(packet.header.window, sequence, ack);
        let outcome = self.sender.on_ack(now, ack, packet.sack_ranges(), &mut self.stats);
        self.update_window_probe(now);
        if !outcome.progress {
            self.wake_writer();
            return;
        }
        let short = self.sender.rtt.min().is_some_and(|rtt| rtt < SHORT_PATH);
        let cap = if short { self.config.short_path_window } else { u32::MAX };
        self.receiver.cap_window(usize::try_from(cap).unwrap_or(usize::MAX));
        if !self.trusts(from) {
            if self.proven.len() >= PLACES {
                self.proven.pop_front();
            }
            self.proven.push_back(from);
        }
        if self.changing_until.is_some_and(|until| self.sender.una() >= until) {
            self.changing_until = None;
            self.events.push_back(Event::RemoteChanged);
        }
        if outcome.end_acked {
            // The peer waits to hear that we have its end, if it has ended too.
            self.ack_pending |= self.receiver.ended();
        }
        if self.flush_wanted && self.sender.buffered() == 0 {
            self.flush_wanted = false;
            self.events.push_back(Event::Flushed);
        }
        self.wake_writer();
    }

    fn wake_writer(&mut self) {
        if self.writer_paused && self.sender.buffered() < self.high_watermark() && !self.sender.ending() {
            self.writer_paused = false;
            self.events.push_back(Event::Writable);
        }
    }

    /// A packet for a stream that is over here but not there yet.
    fn linger(&mut self, now: u64, from: SocketAddr, packet: &Packet<'_>) {
        let State::Lingering { until, answers, answer_at } = self.state else { return };
        let kind = packet.header.flags;
        if !self.trusts(from) {
            return;
        }
        if kind & flags::DESTROY != 0 {
            self.state = State::Finished;
            return;
        }
        let asks = kind & (flags::SEQUENCED | flags::HEARTBEAT | flags::MESSAGE) != 0;
        if !asks || now >= until {
            return;
        }
        if self.sender.end_acked() {
            self.ack_pending |= kind & flags::MESSAGE == 0;
        } else if now >= answer_at && !self.destroy_pending {
            self.destroy_pending = true;
            let answer_at = now.saturating_add(ANSWER_INTERVAL << answers.min(20));
            self.state = State::Lingering { until, answers: answers + 1, answer_at };
        }
    }
}
