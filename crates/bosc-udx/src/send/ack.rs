//! Acknowledgements: what was delivered, how long it took, how fast.

use super::{End, Recovery, Sender, Slot, SlotState, slot_mut};
use crate::bbr::{Ack, RateSample};
use crate::sequence;
use crate::stats::Stats;

/// What an acknowledgement changed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AckOutcome {
    /// Bytes (headers included) that are newly known to have arrived.
    pub(crate) acked: u64,
    /// The peer said something new.
    pub(crate) progress: bool,
    /// The peer now has everything up to and including the end.
    pub(crate) end_acked: bool,
}

/// What the packets newly acknowledged by one packet tell together.
#[derive(Debug, Default)]
struct Delivered {
    bytes: u64,
    /// Of the newest transmission among them.
    newest: Option<Newest>,
    /// Round trip of the newest that was sent once.
    rtt: Option<(u64, u64)>,
    spurious: bool,
    timeout_was_spurious: bool,
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    transmission: u64,
    sent_at: u64,
    first_sent_at: u64,
    delivered: u64,
    delivered_at: u64,
    app_limited: bool,
}

impl Sender {
    /// `ack` is what everything before has arrived of; ranges beyond it are as they stood in the packet. An `ack` for
    /// what was never sent, and such ranges, count for nothing.
    pub(crate) fn on_ack(
        &mut self,
        now: u64,
        ack: u64,
        ranges: impl Iterator<Item = (u32, u32)>,
        stats: &mut Stats,
    ) -> AckOutcome {
        let next = self.next();
        if ack > next {
            return AckOutcome::default();
        }
        if self.ring.is_empty() {
            return AckOutcome::default();
        }
        let advanced = ack > self.una;
        let inflight_before = self.inflight;
        let mut delivered = Delivered::default();
        while self.una < ack {
            let Some(slot) = self.ring.pop_front() else { break };
            let sequence = self.una;
            self.una += 1;
            if slot.state != SlotState::Acked {
                self.deliver(now, sequence, &slot, &mut delivered, stats);
            }
        }
        if advanced {
            self.sacked.remove_below(self.una);
        }
        self.on_sack(now, next, ranges, &mut delivered, stats);

        self.leave_recovery(ack);

        let mut outcome = AckOutcome {
            acked: delivered.bytes,
            progress: delivered.bytes > 0 || advanced,
            end_acked: false,
        };
        if self.end == End::Sent && self.ring.is_empty() && self.queued == 0 {
            self.end = End::Acked;
            outcome.end_acked = true;
        }
        if !outcome.progress {
            return outcome;
        }
        self.last_progress = now;
        self.timeouts = 0;
        self.tail_probes = 0;
        self.probe_now = false;
        self.mtu.on_ack();
        if delivered.timeout_was_spurious {
            stats.spurious_timeouts += 1;
            self.undo_timeout();
        }
        self.note_reordering(delivered.spurious, stats);

        let rtt = delivered.rtt.map(|(_, rtt)| self.rtt.sample(now, rtt));
        if delivered.bytes > 0 {
            self.delivered_at = now;
        }
        if self.app_limited != 0 && self.delivered > self.app_limited {
            self.app_limited = 0;
        }
        let rate = delivered.newest.and_then(|newest| self.rate_sample(now, newest));
        self.detect_loss(now, inflight_before, stats);
        if self.bbr.holds_back() {
            self.app_limited = (self.delivered + self.inflight).max(1);
        }
        self.bbr.on_ack(&Ack {
            now,
            acked: delivered.bytes,
            inflight: self.inflight,
            delivered: self.delivered,
            rtt,
            rate,
        });
        outcome
    }

    fn on_sack(
        &mut self,
        now: u64,
        next: u64,
        ranges: impl Iterator<Item = (u32, u32)>,
        delivered: &mut Delivered,
        stats: &mut Stats,
    ) {
        let mut fresh = std::mem::take(&mut self.fresh);
        for (start, end) in ranges {
            let len = end.wrapping_sub(start);
            let start = sequence::expand(start, self.una);
            let end = start.saturating_add(u64::from(len));
            // The first outstanding one cannot be in a range: it would have been acknowledged.
            if start <= self.una || end > next || len == 0 {
                stats.bad_ranges += 1;
                continue;
            }
            self.sacked.insert(start, end, |a, b| fresh.push((a, b)));
        }
        for (start, end) in fresh.drain(..) {
            for sequence in start..end {
                let Some(slot) = slot_mut(&mut self.ring, self.una, sequence) else { break };
                // The payload goes, the slot stays until everything before it has arrived.
                let taken = Slot { payload: std::mem::take(&mut slot.payload), ..*slot };
                slot.state = SlotState::Acked;
                self.deliver(now, sequence, &taken, delivered, stats);
            }
        }
        self.fresh = fresh;
    }

    /// Books one packet as delivered.
    fn deliver(
        &mut self,
        now: u64,
        sequence: u64,
        slot: &Slot,
        delivered: &mut Delivered,
        stats: &mut Stats,
    ) {
        let size = u64::from(slot.size);
        let elapsed = now.saturating_sub(slot.sent_at);
        match slot.state {
            SlotState::InFlight => {
                self.inflight -= size.min(self.inflight);
                self.inflight_packets = self.inflight_packets.saturating_sub(1);
                // Faster than light: an earlier transmission has arrived after all.
                if slot.overtaken && slot.retransmitted && self.rtt.min().is_some_and(|min| elapsed < min) {
                    delivered.spurious = true;
                }
            }
            SlotState::Lost => {
                self.lost_count = self.lost_count.saturating_sub(1);
                if slot.timed_out && !slot.retransmitted {
                    delivered.timeout_was_spurious = true;
                } else {
                    delivered.spurious = true;
                }
            }
            SlotState::Acked => return,
        }
        if slot.padding > 0 {
            let size = self.mtu.current().saturating_add(u16::from(slot.padding));
            self.mtu.on_probe_acked(size);
        }
        self.unacked -= slot_payload_len(slot).min(self.unacked);
        self.delivered += size;
        delivered.bytes += size;
        stats.delivered_packets += 1;

        let newest = Newest {
            transmission: slot.transmission,
            sent_at: slot.sent_at,
            first_sent_at: slot.first_sent_at,
            delivered: slot.delivered,
            delivered_at: slot.delivered_at,
            app_limited: slot.app_limited,
        };
        if delivered.newest.is_none_or(|other| other.transmission < slot.transmission) {
            delivered.newest = Some(newest);
        }
        if !slot.retransmitted && delivered.rtt.is_none_or(|(other, _)| other < slot.transmission) {
            delivered.rtt = Some((slot.transmission, elapsed));
        }
        let believable = !slot.retransmitted || self.rtt.min().is_none_or(|min| elapsed >= min);
        if believable && slot.transmission > self.rack.transmission {
            self.rack.transmission = slot.transmission;
            self.rack.rtt = elapsed;
        }
        if sequence >= self.rack.highest {
            self.rack.highest = sequence + 1;
        } else if !slot.retransmitted {
            self.rack.reordering = true;
        }
    }

    fn note_reordering(&mut self, spurious: bool, stats: &mut Stats) {
        if spurious {
            stats.spurious_losses += 1;
            self.rack.reordering = true;
            self.rack.patience = (self.rack.patience + 1).min(16);
            self.rack.recoveries_since_spurious = 0;
        }
    }

    fn leave_recovery(&mut self, ack: u64) {
        match self.recovery {
            Recovery::Fast(high) | Recovery::Timeout(high) if ack >= high => {
                self.recovery = Recovery::Open;
                self.rack.recoveries_since_spurious += 1;
                if self.rack.recoveries_since_spurious > 16 {
                    self.rack.patience = 1;
                }
            }
            _ => {}
        }
    }

    fn rate_sample(&mut self, now: u64, newest: Newest) -> Option<RateSample> {
        self.first_sent_at = newest.sent_at;
        let sending = newest.sent_at.saturating_sub(newest.first_sent_at);
        let acking = now.saturating_sub(newest.delivered_at);
        let interval = sending.max(acking);
        // A sample over less than a round trip says more about bunched acknowledgements than about the path.
        if interval == 0 || self.rtt.min().is_some_and(|min| interval < min) {
            return None;
        }
        Some(RateSample {
            delivered: self.delivered.saturating_sub(newest.delivered),
            interval,
            prior_delivered: newest.delivered,
            app_limited: newest.app_limited,
        })
    }
}

fn slot_payload_len(slot: &Slot) -> usize {
    usize::from(slot.size).saturating_sub(crate::header::HEADER_LEN)
}
