//! The sending half: bytes waiting for a packet, packets waiting for their acknowledgement.
//!
//! A packet's payload is fixed when it gets its sequence number; it can be repeated but not cut anew. Each
//! transmission has a number of its own (`transmission`, never reused), which orders transmissions where time does not.
//!
//! Invariants:
//! - `ring[i]` is the packet `una + i`; `ring[0]` is never `Acked`.
//! - `sacked` holds exactly the sequence numbers whose slot is `Acked`.
//! - `inflight` is the sum of `size` over the slots that are `InFlight`, `inflight_packets` their number.
//! - `order` holds the latest transmission of every `InFlight` slot, oldest first, among stale entries.
//! - `lost` holds every `Lost` slot, among stale entries.
//!
//! # Files
//!
//! - Here: what is sent next, the peer's window, how many packets may be under way. `ack`: what was delivered, how long it took, how
//!   fast. `loss`: packets overtaken, when a tail probe and a timeout are due, a path that swallows large packets.

mod ack;
mod loss;

use crate::bbr::Bbr;
use crate::header::{HEADER_LEN, flags};
use crate::mtu::Mtu;
use crate::pacer::Pacer;
use crate::ranges::Ranges;
use crate::rtt::Rtt;
use crate::stats::Stats;
use bytes::Bytes;
use std::collections::VecDeque;

/// Fewest and most packets that may wait for an acknowledgement, whatever windows say. A receiver of this crate keeps
/// at least [`OUTSTANDING_MIN`] packets ahead of a missing one.
const OUTSTANDING_MIN: usize = 8 * 1024;
const OUTSTANDING_MAX: usize = 64 * 1024;

/// Payload of a packet: one piece as a rule, more where small writes were put together.
#[derive(Debug, Default)]
struct Payload {
    first: Bytes,
    rest: Vec<Bytes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SlotState {
    InFlight,
    Lost,
    Acked,
}

#[derive(Debug)]
struct Slot {
    state: SlotState,
    flags: u8,
    /// Bytes between header and payload, if this is an MTU probe.
    padding: u8,
    /// Header and payload.
    size: u16,
    /// Which of the stream's remotes it is repeated to next.
    path: u32,
    retransmitted: bool,
    /// Taken for lost because later packets arrived.
    overtaken: bool,
    /// Taken for lost by the retransmission timer, and not repeated since.
    timed_out: bool,
    transmission: u64,
    sent_at: u64,
    // The delivery rate's state when it was sent.
    delivered: u64,
    delivered_at: u64,
    first_sent_at: u64,
    app_limited: bool,
    payload: Payload,
}

/// Where loss recovery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recovery {
    Open,
    /// Until this sequence number is acknowledged: packets were found lost by later ones.
    Fast(u64),
    /// The same after a timeout.
    Timeout(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Queued,
    Sent,
    Acked,
}

/// Of what was delivered last (RACK).
#[derive(Debug, Default, Clone, Copy)]
struct Rack {
    transmission: u64,
    rtt: u64,
    /// One past the highest sequence number that was acknowledged in any way.
    highest: u64,
    reordering: bool,
    /// How many quarters of the least round trip a packet may be late.
    patience: u64,
    recoveries_since_spurious: u32,
}

/// A packet chosen for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Repeat this one.
    Again(u64),
    /// The next bytes of the queue, with padding up to a probe's size if some.
    New {
        /// Payload bytes.
        len: usize,
        /// An MTU probe's padding.
        padding: u8,
    },
}

/// What a timer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeoutOutcome {
    /// Nothing was due.
    Idle,
    /// Something may be sent now.
    Send,
    /// The retransmission timer has run out this many times, and this long (µs) nothing was heard.
    Expired {
        /// Timeouts in a row.
        count: u32,
        /// Microseconds since the last progress.
        silence: u64,
    },
}

/// What the stream must write around a packet's payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prepared {
    pub(crate) sequence: u64,
    pub(crate) flags: u8,
    pub(crate) padding: u8,
}

#[derive(Debug)]
pub(crate) struct Sender {
    queue: VecDeque<Bytes>,
    queued: usize,
    unacked: usize,
    end: End,
    una: u64,
    ring: VecDeque<Slot>,
    sacked: Ranges,
    fresh: Vec<(u64, u64)>,
    order: VecDeque<(u64, u64)>,
    lost: VecDeque<u64>,
    lost_count: usize,
    inflight: u64,
    inflight_packets: usize,
    next_transmission: u64,
    window: u32,
    window_sequence: u64,
    window_ack: u64,
    // Delivery rate.
    delivered: u64,
    delivered_at: u64,
    first_sent_at: u64,
    /// Samples are limited by the application until this much is delivered; 0 if they are not.
    app_limited: u64,
    rack: Rack,
    recovery: Recovery,
    /// Tail loss probes since the last progress.
    tail_probes: u32,
    probe_now: bool,
    reorder_at: Option<u64>,
    timeouts: u32,
    last_progress: u64,
    last_data_sent: u64,
    paced: bool,
    pub(crate) mtu: Mtu,
    pub(crate) rtt: Rtt,
    pub(crate) bbr: Bbr,
    pacer: Pacer,
}

impl Sender {
    pub(crate) fn new(now: u64, first: u64, receive_first: u64, mtu_max: u16, phase: u32) -> Self {
        let mtu = Mtu::new(mtu_max);
        let packet = u64::from(mtu.current()) - 28;
        Sender {
            queue: VecDeque::new(),
            queued: 0,
            unacked: 0,
            end: End::Open,
            una: first,
            ring: VecDeque::new(),
            sacked: Ranges::default(),
            fresh: Vec::new(),
            order: VecDeque::new(),
            lost: VecDeque::new(),
            lost_count: 0,
            inflight: 0,
            inflight_packets: 0,
            next_transmission: 1,
            // What libudx takes for granted until the peer says otherwise.
            window: crate::config::DEFAULT_WINDOW,
            window_sequence: receive_first,
            window_ack: first,
            delivered: 0,
            delivered_at: now,
            first_sent_at: now,
            app_limited: 0,
            rack: Rack { patience: 1, highest: first, ..Rack::default() },
            recovery: Recovery::Open,
            tail_probes: 0,
            probe_now: false,
            reorder_at: None,
            timeouts: 0,
            last_progress: now,
            last_data_sent: now,
            paced: false,
            bbr: Bbr::new(now, packet, phase),
            pacer: Pacer::new(now, packet),
            rtt: Rtt::new(),
            mtu,
        }
    }

    /// The next sequence number.
    pub(crate) fn next(&self) -> u64 {
        self.una + self.ring.len() as u64
    }

    pub(crate) fn una(&self) -> u64 {
        self.una
    }

    pub(crate) fn set_receive_first(&mut self, sequence: u64) {
        self.window_sequence = sequence;
    }

    /// Bytes taken from the application and not acknowledged yet.
    pub(crate) fn buffered(&self) -> usize {
        self.queued + self.unacked
    }

    pub(crate) fn inflight(&self) -> u64 {
        self.inflight
    }

    pub(crate) fn has_outstanding(&self) -> bool {
        !self.ring.is_empty()
    }

    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    pub(crate) fn write(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.queued += bytes.len();
            self.queue.push_back(bytes);
        }
    }

    pub(crate) fn queue_end(&mut self) {
        if self.end == End::Open {
            self.end = End::Queued;
        }
    }

    /// The application has ended the stream.
    pub(crate) fn ending(&self) -> bool {
        self.end != End::Open
    }

    /// The peer has everything, the end included.
    pub(crate) fn end_acked(&self) -> bool {
        self.end == End::Acked
    }

    /// Nothing but the end itself waits for its acknowledgement.
    pub(crate) fn only_end_outstanding(&self) -> bool {
        self.end == End::Sent && self.unacked == 0
    }

    /// There is something to send that is not in a packet yet.
    pub(crate) fn has_new(&self) -> bool {
        self.queued > 0 || self.end == End::Queued
    }

    /// Blocked by the peer's window alone, with nothing on its way that would bring an answer.
    pub(crate) fn needs_window_probe(&self) -> bool {
        self.window == 0 && self.ring.is_empty() && self.has_new()
    }

    /// Frees everything.
    pub(crate) fn close(&mut self) {
        self.queue = VecDeque::new();
        self.ring = VecDeque::new();
        self.order = VecDeque::new();
        self.lost = VecDeque::new();
        self.sacked.clear();
        self.queued = 0;
        self.unacked = 0;
        self.inflight = 0;
        self.inflight_packets = 0;
        self.lost_count = 0;
    }

    /// Takes the window out of a packet, unless the packet is older than the one that set it.
    pub(crate) fn update_window(&mut self, window: u32, sequence: u64, ack: u64) {
        if ack < self.una {
            return;
        }
        let newer = (self.window_sequence, self.window_ack) <= (sequence, ack);
        if newer {
            self.window = window;
            self.window_sequence = sequence;
            self.window_ack = ack;
        }
    }

    /// The packet to send now, if there is one. `overhead` is what IP, UDP and UDX headers take.
    pub(crate) fn choose(&mut self, now: u64, overhead: u16, may_probe_mtu: bool) -> Option<Choice> {
        self.paced = false;
        let packet = u64::from(self.mtu.current().saturating_sub(28));
        self.bbr.set_packet(packet);
        if self.probe_now {
            return self.choose_tail_probe(overhead);
        }
        self.skip_stale_lost();
        let new = if self.lost.is_empty() { self.new_packet(overhead, may_probe_mtu) } else { None };
        if self.lost.is_empty() && new.is_none() {
            if !self.has_new() {
                self.note_app_limited();
            }
            return None;
        }
        if self.inflight >= self.bbr.cwnd() {
            self.bbr.on_window_filled();
            return None;
        }
        if !self.pacer.ready(now, self.bbr.pacing_rate(), packet) {
            self.paced = true;
            return None;
        }
        match self.lost.front() {
            Some(&sequence) => Some(Choice::Again(sequence)),
            None => new,
        }
    }

    fn choose_tail_probe(&mut self, overhead: u16) -> Option<Choice> {
        if let Some(new) = self.new_packet(overhead, false) {
            return Some(new);
        }
        let last = self.ring.iter().rposition(|slot| slot.state == SlotState::InFlight);
        match last {
            Some(index) => Some(Choice::Again(self.una + index as u64)),
            None => {
                self.probe_now = false;
                None
            }
        }
    }

    fn skip_stale_lost(&mut self) {
        while let Some(&sequence) = self.lost.front() {
            if self.slot(sequence).is_some_and(|slot| slot.state == SlotState::Lost) {
                return;
            }
            self.lost.pop_front();
        }
    }

    fn new_packet(&self, overhead: u16, may_probe_mtu: bool) -> Option<Choice> {
        if !self.has_new() || self.window == 0 {
            return None;
        }
        let limit = (self.window as usize / 512).clamp(OUTSTANDING_MIN, OUTSTANDING_MAX);
        if self.ring.len() >= limit {
            return None;
        }
        let room = usize::from(self.mtu.current().saturating_sub(overhead));
        let len = room.min(self.queued);
        if self.inflight + len as u64 > u64::from(self.window) && self.inflight > 0 {
            return None;
        }
        let mut padding = 0;
        if may_probe_mtu
            && len == room
            && let Some(size) = self.mtu.wanted()
        {
            padding = u8::try_from(size.saturating_sub(self.mtu.current())).unwrap_or(0);
        }
        Some(Choice::New { len, padding })
    }

    /// Bytes of the datagram this choice makes.
    pub(crate) fn datagram_len(&self, choice: Choice) -> usize {
        match choice {
            Choice::New { len, padding } => HEADER_LEN + usize::from(padding) + len,
            Choice::Again(sequence) => self.slot(sequence).map_or(0, |slot| usize::from(slot.size)),
        }
    }

    /// Commits to a choice: numbers the packet, counts it as in flight.
    pub(crate) fn prepare(
        &mut self,
        now: u64,
        choice: Choice,
        path: u32,
        stats: &mut Stats,
    ) -> Option<Prepared> {
        let was_idle = self.ring.is_empty();
        let probe = std::mem::take(&mut self.probe_now);
        if self.inflight_packets == 0 {
            if self.app_limited != 0 {
                self.bbr.on_restart(now);
            }
            if was_idle {
                self.first_sent_at = now;
                self.delivered_at = now;
                self.last_progress = now;
            }
        }
        let transmission = self.next_transmission;
        self.next_transmission += 1;
        let rate = (self.delivered, self.delivered_at, self.first_sent_at, self.app_limited != 0);
        let sequence = match choice {
            Choice::New { len, padding } => {
                let sequence = self.next();
                let payload = self.take(len);
                let mut packet_flags = 0;
                if len > 0 {
                    packet_flags |= flags::DATA;
                }
                if self.queued == 0 && self.end == End::Queued {
                    packet_flags |= flags::END;
                    self.end = End::Sent;
                }
                if padding > 0 {
                    self.mtu.sent();
                }
                let size = u16::try_from(HEADER_LEN + len).unwrap_or(u16::MAX);
                self.unacked += len;
                self.ring.push_back(Slot {
                    state: SlotState::InFlight,
                    flags: packet_flags,
                    padding,
                    size,
                    path,
                    retransmitted: false,
                    overtaken: false,
                    timed_out: false,
                    transmission,
                    sent_at: now,
                    delivered: rate.0,
                    delivered_at: rate.1,
                    first_sent_at: rate.2,
                    app_limited: rate.3,
                    payload,
                });
                self.inflight += u64::from(size);
                self.inflight_packets += 1;
                sequence
            }
            Choice::Again(sequence) => {
                let slot = slot_mut(&mut self.ring, self.una, sequence)?;
                let was_lost = slot.state == SlotState::Lost;
                if slot.state == SlotState::Acked {
                    return None;
                }
                if slot.padding > 0 {
                    let size = self.mtu.current() + u16::from(slot.padding);
                    slot.padding = 0;
                    self.mtu.on_probe_lost(size);
                }
                slot.state = SlotState::InFlight;
                slot.retransmitted = true;
                // Once to the remote that it was for; who loses it again may be gone.
                slot.path = path;
                slot.timed_out = false;
                slot.transmission = transmission;
                slot.sent_at = now;
                (slot.delivered, slot.delivered_at, slot.first_sent_at, slot.app_limited) = rate;
                if was_lost {
                    let size = u64::from(slot.size);
                    self.lost.pop_front();
                    self.lost_count -= 1;
                    self.inflight += size;
                    self.inflight_packets += 1;
                }
                stats.retransmitted_packets += 1;
                sequence
            }
        };
        self.order.push_back((sequence, transmission));
        self.last_data_sent = now;
        if probe {
            stats.tail_probes += 1;
            self.tail_probes += 1;
        }
        let slot = self.slot(sequence)?;
        let prepared = Prepared { sequence, flags: slot.flags, padding: slot.padding };
        self.pacer.spend(u64::from(slot.size));
        Some(prepared)
    }

    /// Which of the stream's remotes a packet is repeated to: that of its first transmission, then the present one.
    pub(crate) fn path_of(&self, sequence: u64) -> Option<u32> {
        self.slot(sequence).map(|slot| slot.path)
    }

    /// The retransmission timer has run out and nothing was heard since.
    pub(crate) fn in_timeout(&self) -> bool {
        self.timeouts > 0
    }

    /// Appends a packet's payload.
    pub(crate) fn encode_payload(&self, sequence: u64, out: &mut Vec<u8>) {
        if let Some(slot) = self.slot(sequence) {
            out.extend_from_slice(&slot.payload.first);
            for piece in &slot.payload.rest {
                out.extend_from_slice(piece);
            }
        }
    }

    fn take(&mut self, len: usize) -> Payload {
        let mut payload = Payload::default();
        let mut missing = len;
        while missing > 0
            && let Some(front) = self.queue.front_mut()
        {
            let piece = if front.len() > missing {
                front.split_to(missing)
            } else {
                self.queue.pop_front().unwrap_or_default()
            };
            missing -= piece.len();
            if payload.first.is_empty() { payload.first = piece } else { payload.rest.push(piece) }
        }
        self.queued -= (len - missing).min(self.queued);
        payload
    }

    fn note_app_limited(&mut self) {
        if self.inflight < self.bbr.cwnd() {
            self.app_limited = (self.delivered + self.inflight).max(1);
        }
    }

    fn slot(&self, sequence: u64) -> Option<&Slot> {
        let index = sequence.checked_sub(self.una)?;
        self.ring.get(usize::try_from(index).ok()?)
    }
}

/// A function of the parts, so that other fields stay free to borrow.
fn slot_mut(ring: &mut VecDeque<Slot>, una: u64, sequence: u64) -> Option<&mut Slot> {
    let index = sequence.checked_sub(una)?;
    ring.get_mut(usize::try_from(index).ok()?)
}
