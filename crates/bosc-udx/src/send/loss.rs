//! Loss: packets overtaken by later ones (RACK, RFC 8985), the tail loss probe, the retransmission timer.

use super::{Recovery, Sender, SlotState, TimeoutOutcome, slot_mut};
use crate::stats::Stats;

/// Least time before a tail loss probe: timers and machines are not exact.
const PROBE_MIN: u64 = 10_000;
/// Tail loss probes in a row, each after twice the time, before only the retransmission timer is left. One is not
/// enough where an acknowledgement answers a hundred packets: losing two of those would cost 300 ms.
const PROBES_MAX: u32 = 3;
/// Without a measured round trip: the first packet of a stream, or its answer, is as easily lost as any other, and a longer path costs
/// one small packet that is sent twice.
const PROBE_INITIAL: u64 = 400_000;
/// How long a peer may hold back the acknowledgement of a single packet.
const ACK_DELAY: u64 = 2_000;
/// Packets acknowledged out of order that stand for a loss even where reordering is unknown.
const DUPLICATE_THRESHOLD: usize = 3;
/// Consecutive timeouts after which larger packets than the base are taken to be swallowed by the path.
const BLACK_HOLE: u32 = 2;

impl Sender {
    /// When [`Sender::on_timeout`] wants to be called.
    pub(crate) fn timeout_at(&self) -> Option<u64> {
        let rto = self.rto_at();
        [self.reorder_at, self.tail_probe_at(), rto].into_iter().flatten().min()
    }

    /// When pacing lets the next packet go, if pacing alone holds it.
    pub(crate) fn paced_until(&self) -> Option<u64> {
        self.paced.then(|| self.pacer.next_at(self.bbr.pacing_rate(), self.bbr.packet()))
    }

    fn rto_at(&self) -> Option<u64> {
        if self.ring.is_empty() {
            return None;
        }
        Some(self.last_progress.saturating_add(self.waited_until_timeout(self.timeouts)))
    }

    /// Sum of the timers up to and including the one after `count` timeouts.
    fn waited_until_timeout(&self, count: u32) -> u64 {
        (0..=count.min(32)).fold(0u64, |sum, i| sum.saturating_add(self.rtt.backed_off_rto(i)))
    }

    fn tail_probe_at(&self) -> Option<u64> {
        let wanted = self.inflight_packets > 0
            && self.timeouts == 0
            && self.tail_probes < PROBES_MAX
            && !self.probe_now;
        if !wanted {
            return None;
        }
        let wait = match self.rtt.smoothed() {
            Some(smoothed) => {
                let delay = if self.ring.len() == 1 { ACK_DELAY } else { 0 };
                (smoothed * 2).max(self.rtt.quiet()).saturating_add(delay).max(PROBE_MIN)
            }
            None => PROBE_INITIAL,
        };
        let wait = wait.saturating_mul(1 << self.tail_probes.min(PROBES_MAX));
        Some(self.last_data_sent.max(self.last_progress).saturating_add(wait))
    }

    pub(crate) fn on_timeout(&mut self, now: u64, stats: &mut Stats) -> TimeoutOutcome {
        let mut outcome = TimeoutOutcome::Idle;
        if self.reorder_at.is_some_and(|at| at <= now) {
            self.reorder_at = None;
            self.detect_loss(now, self.inflight, stats);
            outcome = TimeoutOutcome::Send;
        }
        if self.rto_at().is_some_and(|at| at <= now) {
            self.retransmission_timeout(now, stats, false);
            let silence = now.saturating_sub(self.last_progress);
            return TimeoutOutcome::Expired { count: self.timeouts, silence };
        }
        if self.tail_probe_at().is_some_and(|at| at <= now) {
            self.probe_now = true;
            outcome = TimeoutOutcome::Send;
        }
        if self.paced_until().is_some_and(|at| at <= now) {
            outcome = TimeoutOutcome::Send;
        }
        outcome
    }

    /// The path is another one: nothing of what is on its way arrives. Timers start over.
    pub(crate) fn all_lost(&mut self, now: u64, stats: &mut Stats) {
        if self.ring.is_empty() {
            return;
        }
        self.last_progress = now;
        self.timeouts = 0;
        self.tail_probes = 0;
        self.reorder_at = None;
        self.retransmission_timeout(now, stats, true);
    }

    fn retransmission_timeout(&mut self, now: u64, stats: &mut Stats, all: bool) {
        self.timeouts += 1;
        stats.timeouts += 1;
        self.probe_now = false;
        if self.timeouts == 1 {
            self.bbr.on_timeout();
        }
        if self.timeouts == BLACK_HOLE {
            self.mtu.reset();
        }
        self.recovery = Recovery::Timeout(self.next());
        let late = self.rack.rtt.saturating_add(self.reordering_window());
        let una = self.una;
        for index in 0..self.ring.len() {
            let sequence = una + index as u64;
            let Some(slot) = self.ring.get(index) else { break };
            let overdue = slot.sent_at.saturating_add(late) <= now;
            if slot.state == SlotState::InFlight && (all || index == 0 || overdue) {
                self.mark_lost(sequence, true, stats);
            }
        }
    }

    /// Finds packets that later ones have overtaken for long enough. `inflight_before` is what was in flight before
    /// the acknowledgement that made us look.
    pub(crate) fn detect_loss(&mut self, now: u64, inflight_before: u64, stats: &mut Stats) {
        self.reorder_at = None;
        let window = self.reordering_window();
        let (mut bytes, mut packets) = (0, 0);
        while let Some(&(sequence, transmission)) = self.order.front() {
            let live = self
                .slot(sequence)
                .filter(|slot| slot.state == SlotState::InFlight && slot.transmission == transmission);
            let Some(slot) = live else {
                self.order.pop_front();
                continue;
            };
            if transmission >= self.rack.transmission {
                break;
            }
            let due = slot.sent_at.saturating_add(self.rack.rtt).saturating_add(window);
            if due > now {
                self.reorder_at = Some(due);
                break;
            }
            self.order.pop_front();
            if let Some(size) = self.mark_lost(sequence, false, stats) {
                bytes += size;
                packets += 1;
            }
        }
        if packets > 0 {
            if self.recovery == Recovery::Open {
                self.recovery = Recovery::Fast(self.next());
                stats.fast_recoveries += 1;
            }
            self.bbr.on_loss(now, bytes, packets, inflight_before, self.rtt.smoothed());
        }
    }

    /// Returns the packet's size if its loss says something about congestion.
    fn mark_lost(&mut self, sequence: u64, timed_out: bool, stats: &mut Stats) -> Option<u64> {
        let slot = slot_mut(&mut self.ring, self.una, sequence)?;
        slot.state = SlotState::Lost;
        slot.timed_out = timed_out;
        slot.overtaken |= !timed_out;
        let size = u64::from(slot.size);
        let padding = std::mem::take(&mut slot.padding);
        self.inflight -= size.min(self.inflight);
        self.inflight_packets = self.inflight_packets.saturating_sub(1);
        self.lost_count += 1;
        self.lost.push_back(sequence);
        if padding > 0 {
            self.mtu.on_probe_lost(self.mtu.current().saturating_add(u16::from(padding)));
            return None;
        }
        stats.lost_packets += 1;
        Some(size)
    }

    fn reordering_window(&self) -> u64 {
        let in_recovery = self.recovery != Recovery::Open;
        if !self.rack.reordering && (in_recovery || self.sacked_packets() >= DUPLICATE_THRESHOLD) {
            return 0;
        }
        let quarter = self.rtt.min().unwrap_or(0) / 4;
        quarter.saturating_mul(self.rack.patience).min(self.rtt.smoothed().unwrap_or(0))
    }

    fn sacked_packets(&self) -> usize {
        self.ring.len().saturating_sub(self.inflight_packets + self.lost_count)
    }

    /// An acknowledgement has shown that packets taken for lost by the timer were only late.
    pub(crate) fn undo_timeout(&mut self) {
        self.bbr.undo_timeout();
        if matches!(self.recovery, Recovery::Timeout(_)) {
            self.recovery = Recovery::Open;
        }
        let mut restored = Vec::new();
        for (index, slot) in self.ring.iter_mut().enumerate() {
            if slot.state == SlotState::Lost && slot.timed_out {
                slot.state = SlotState::InFlight;
                slot.timed_out = false;
                let size = u64::from(slot.size);
                self.inflight += size;
                self.inflight_packets += 1;
                self.lost_count = self.lost_count.saturating_sub(1);
                restored.push((self.una + index as u64, slot.transmission));
            }
        }
        if !restored.is_empty() {
            self.order.extend(restored);
            self.order.make_contiguous().sort_unstable_by_key(|&(_, transmission)| transmission);
        }
    }
}
