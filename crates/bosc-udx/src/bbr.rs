//! Congestion control: BBR, version 1, as libudx runs it, with a bound on loss from version 2.
//!
//! The model is two numbers: the most bytes a microsecond delivered in the last ten rounds, and the least round trip
//! of the last ten seconds. Their product is what the path holds. Out of it come the pacing rate and the window.
//!
//! States: Startup (rate grows by 2.885 a round until three rounds bring less than a quarter more, or a tenth of a
//! round is lost to a queue) → Drain (until what is in flight fits the path) → ProbeBandwidth (eight phases: 1.25, 0.75,
//! then 1)
//! ⇄ ProbeRtt (200 ms with a quarter of what the path holds, when the least round trip is five seconds old).
//!
//! What differs from libudx, and why:
//! - Bytes and microseconds instead of packets and milliseconds. A loopback round trip is 30 µs; counted as one
//!   millisecond the window becomes larger than the receiver's socket buffer, and libudx sends a quarter of its
//!   packets twice. Instead of that rounding up, the window has an allowance for a receiver that wakes once and then
//!   reads many. On a path of more than [`SHORT_PATH`] it is one millisecond of the rate. On a shorter one, where the
//!   receiver's own pauses are most of the round trip, it starts at [`ALLOWANCE_START`] packets, which the socket
//!   buffer of a stock Linux holds, grows while nothing is lost (a machine may give more), and falls back for a
//!   second when something is.
//! - A round lasts at least a millisecond, so that ten rounds of a loopback are not shorter than one pause of a busy
//!   machine.
//! - The first window is [`INITIAL_PACKETS`], not 10: an update is small, and on a long path every doubling costs its
//!   user a round trip. They are paced as soon as a round trip is known.
//! - Loss is a sign of congestion only beside another one. A radio link loses at random, at any rate; a full queue loses
//!   what is too much for it, and until it does it makes round trips longer. So when more than [`LOSS_BOUND`] of a round
//!   is lost while the smoothed round trip is beyond [`QUEUE_GROWN`] times the least, or more than [`LOSS_ALWAYS`] in any
//!   case, then Startup ends, and the window is bounded by 0.85 of what was in flight (`ceiling`), to grow again by a
//!   quarter each cycle without such loss. It never keeps a stream from growing with what it is measured to get
//!   ([`CEILING_FOLLOWS`]): who starts beside a running flow loses much before it has anything. Any other loss changes nothing.
//!   Without the ceiling a stream leaves nothing to TCP's CUBIC in a short queue; with it one has little beside libudx and TCP's
//!   BBR, which do not mind loss (`node interop/bench/loss.mjs --fair`).
//! - The least round trip stays until ProbeRtt has measured another: a sample taken when it is merely old holds the queue
//!   that others keep, and a stream that believes it keeps a longer one still.
//! - A probe that brought most of what it asked for ([`PROBE_GROWN`]) is followed by the next at once, and that one asks for
//!   twice as much. Only a stream with a small part of a bottleneck, or on one that became faster, sees that: it gets its
//!   part in a few round trips instead of a few cycles of eight.
//! - While there is a queue, what is beyond the path's content is let go by pacing up to [`YIELD_MOST`] slower: the most by
//!   who holds the most.
//! - The extra for aggregated acknowledgements is at most one path's content, so a receiver that stalls does not
//!   inflate the window.

use crate::filter::MaxFilter;

const HIGH_GAIN: f64 = 2.885_39;
/// Phases of a cycle: one probes, one drains, the others keep the rate.
const CYCLE: usize = 8;
const PROBE_GAIN: f64 = 1.25;
const PROBE_GAIN_MAX: f64 = 2.0;
const DRAIN_GAIN: f64 = 0.75;
/// The first phase in which it is known what a probe brought.
const JUDGED: usize = 3;
/// Part of the asked growth that a probe has to bring to be followed by another at once.
const PROBE_GROWN: f64 = 0.75;
/// Part of the rate given up for each path's content that is in flight beyond the first, and the most.
const YIELD: f64 = 0.1;
const YIELD_MOST: f64 = 0.2;
const CWND_GAIN: f64 = 2.0;
const PACING_MARGIN: f64 = 0.99;
const BANDWIDTH_ROUNDS: u64 = 10;
const ROUND_MIN: u64 = 1_000;
const MIN_RTT_INTERVAL: u64 = 5_000_000;
/// Part of what the path holds that is in flight while the least round trip is measured.
const PROBE_RTT_PART: f64 = 0.25;
const PROBE_RTT_TIME: u64 = 200_000;
const FULL_GROWTH: f64 = 1.25;
const FULL_ROUNDS: u8 = 3;
const EXTRA_ROUNDS: u8 = 5;
const EXTRA_RTT_MAX: u64 = 100_000;
const INITIAL_PACKETS: u64 = 32;
const MIN_PACKETS: u64 = 4;
/// Round trips below this (µs) are a loopback or a wire in the house.
pub(crate) const SHORT_PATH: u64 = 1_500;
/// Packets of the allowance: least, first, most, and what a round without loss adds.
const ALLOWANCE_MIN: u64 = 64;
const ALLOWANCE_START: u64 = 96;
const ALLOWANCE_MAX: u64 = 512;
const ALLOWANCE_STEP: u64 = 8;
/// On a short path the allowance beyond its first size is at most this much of the rate, µs.
const ALLOWANCE_HORIZON: f64 = 5_000.0;
/// Part of a round whose loss makes the allowance fall back, and for how long, µs.
const ALLOWANCE_LOSS_BOUND: f64 = 0.01;
const ALLOWANCE_LOSS_PACKETS: u32 = 3;
const ALLOWANCE_HOLD: u64 = 1_000_000;
/// Part of a round whose loss makes us step back if there is a queue, part that does in any case, and the fewest packets
/// that count as either.
const LOSS_BOUND: f64 = 0.1;
const LOSS_ALWAYS: f64 = 0.3;
const LOSS_PACKETS: u32 = 8;
/// There is a queue when round trips are beyond the least by this factor, and this time for what machines add, µs.
const QUEUE_GROWN: f64 = 1.5;
const QUEUE_TIME: u64 = 1_000;
/// How long the ceiling stays before it rises again, µs.
const CEILING_HOLD: u64 = 2_000_000;
/// The ceiling is never below so many times what the path is measured to hold.
const CEILING_FOLLOWS: f64 = 1.25;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Startup,
    Drain,
    ProbeBandwidth,
    ProbeRtt,
}

/// One measurement of the delivery rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RateSample {
    pub(crate) delivered: u64,
    pub(crate) interval: u64,
    /// What was delivered when the packet left that was acknowledged last.
    pub(crate) prior_delivered: u64,
    pub(crate) app_limited: bool,
}

/// What one acknowledgement told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ack {
    pub(crate) now: u64,
    pub(crate) acked: u64,
    /// In flight now, losses taken off.
    pub(crate) inflight: u64,
    /// Delivered since the stream began.
    pub(crate) delivered: u64,
    pub(crate) rtt: Option<u64>,
    pub(crate) rate: Option<RateSample>,
}

#[derive(Debug)]
pub(crate) struct Bbr {
    state: State,
    packet: u64,
    cwnd: u64,
    prior_cwnd: u64,
    pacing_rate: f64,
    seen_rtt: bool,
    bandwidth: MaxFilter,
    min_rtt: Option<u64>,
    min_rtt_at: u64,
    probe_rtt_done_at: Option<u64>,
    probe_rtt_round_done: bool,
    probe_rtt_least: Option<u64>,
    round: u64,
    round_start: bool,
    round_began: u64,
    next_round_delivered: u64,
    round_lost: u64,
    round_lost_packets: u32,
    round_acked: u64,
    round_peak: u64,
    round_stepped_back: bool,
    /// The window was used up at some time of the round.
    round_filled: bool,
    ceiling: Option<u64>,
    ceiling_at: u64,
    /// Packets.
    allowance: u64,
    allowance_fell_at: Option<u64>,
    cycle: usize,
    cycle_at: u64,
    /// How much the next probe asks for, and the bandwidth before it.
    probe_gain: f64,
    probed: f64,
    full_bandwidth: f64,
    full_count: u8,
    full: bool,
    idle_restart: bool,
    extra: [u64; 2],
    extra_index: bool,
    extra_rounds: u8,
    epoch_at: u64,
    epoch_acked: u64,
}

impl Bbr {
    /// `packet` is the size of a full packet, `phase` (any number) where in its cycle the stream begins to probe, so
    /// that streams do not probe at once.
    pub(crate) fn new(now: u64, packet: u64, phase: u32) -> Self {
        let cwnd = INITIAL_PACKETS * packet;
        Bbr {
            state: State::Startup,
            packet,
            cwnd,
            prior_cwnd: 0,
            pacing_rate: cwnd as f64 / 1000.0 * HIGH_GAIN,
            seen_rtt: false,
            bandwidth: MaxFilter::new(BANDWIDTH_ROUNDS),
            min_rtt: None,
            min_rtt_at: now,
            probe_rtt_done_at: None,
            probe_rtt_round_done: false,
            probe_rtt_least: None,
            round: 0,
            round_start: false,
            round_began: now,
            next_round_delivered: 0,
            round_lost: 0,
            round_lost_packets: 0,
            round_acked: 0,
            round_peak: 0,
            round_stepped_back: false,
            round_filled: false,
            ceiling: None,
            ceiling_at: now,
            allowance: ALLOWANCE_START,
            allowance_fell_at: None,
            // Any phase but the draining one.
            cycle: 2 + (phase % 6) as usize,
            cycle_at: now,
            probe_gain: PROBE_GAIN,
            probed: f64::MAX,
            full_bandwidth: 0.0,
            full_count: 0,
            full: false,
            idle_restart: false,
            extra: [0; 2],
            extra_index: false,
            extra_rounds: 0,
            epoch_at: now,
            epoch_acked: 0,
        }
    }

    /// Bytes that may be in flight.
    pub(crate) fn cwnd(&self) -> u64 {
        self.cwnd
    }

    /// Bytes a microsecond.
    pub(crate) fn pacing_rate(&self) -> f64 {
        self.pacing_rate
    }

    /// Estimated bandwidth, bytes a microsecond.
    pub(crate) fn bandwidth(&self) -> f64 {
        self.bandwidth.get()
    }

    pub(crate) fn packet(&self) -> u64 {
        self.packet
    }

    pub(crate) fn set_packet(&mut self, packet: u64) {
        self.packet = packet;
    }

    /// Sending begins again after nothing was in flight and nothing was to be sent.
    pub(crate) fn on_restart(&mut self, now: u64) {
        self.idle_restart = true;
        self.epoch_at = now;
        self.epoch_acked = 0;
        match self.state {
            State::ProbeBandwidth => self.set_pacing_rate(1.0),
            State::ProbeRtt => self.leave_probe_rtt(now),
            State::Startup | State::Drain => {}
        }
    }

    /// Packets were found lost. `inflight` is what was in flight before that, `rtt` the smoothed round trip.
    pub(crate) fn on_loss(&mut self, now: u64, bytes: u64, packets: u32, inflight: u64, rtt: Option<u64>) {
        self.round_lost += bytes;
        self.round_lost_packets += packets;
        self.round_peak = self.round_peak.max(inflight);
        let total = (self.round_lost + self.round_acked) as f64;
        let lost = self.round_lost as f64 / total.max(1.0);
        if self.round_lost_packets >= ALLOWANCE_LOSS_PACKETS && lost > ALLOWANCE_LOSS_BOUND {
            let fell = self.allowance_fell_at.replace(now);
            if fell.is_none_or(|at| at < self.round_began) {
                self.allowance = (self.allowance * 7 / 10).max(ALLOWANCE_MIN);
            }
        }
        let bound = if self.has_queue(rtt) { LOSS_BOUND } else { LOSS_ALWAYS };
        if self.round_stepped_back || self.round_lost_packets < LOSS_PACKETS || lost <= bound {
            return;
        }
        self.round_stepped_back = true;
        if self.state == State::Startup {
            self.full = true;
        }
        let stepped_back = (self.round_peak as f64 * 0.85) as u64;
        let floor = (self.path(1.0) + self.allowance().min(ALLOWANCE_MIN * self.packet))
            .max(self.packet * MIN_PACKETS);
        let ceiling = stepped_back.max(floor);
        self.ceiling = Some(self.ceiling.map_or(ceiling, |before| before.min(ceiling)));
        self.ceiling_at = now;
        self.cwnd = self.cwnd.min(ceiling);
    }

    fn has_queue(&self, rtt: Option<u64>) -> bool {
        let (Some(rtt), Some(least)) = (rtt, self.min_rtt) else { return true };
        rtt > (least as f64 * QUEUE_GROWN) as u64 + QUEUE_TIME
    }

    /// The window was used up.
    pub(crate) fn on_window_filled(&mut self) {
        self.round_filled = true;
    }

    /// The retransmission timer fired: begin again from a few packets.
    pub(crate) fn on_timeout(&mut self) {
        self.prior_cwnd = self.prior_cwnd.max(self.cwnd);
        self.cwnd = self.packet * MIN_PACKETS;
        self.full_bandwidth = 0.0;
    }

    /// The timer fired for nothing.
    pub(crate) fn undo_timeout(&mut self) {
        self.cwnd = self.cwnd.max(self.prior_cwnd);
        self.prior_cwnd = 0;
    }

    /// True while the stream holds itself back, so that rate samples say nothing about the path.
    pub(crate) fn holds_back(&self) -> bool {
        self.state == State::ProbeRtt
    }

    pub(crate) fn on_ack(&mut self, ack: &Ack) {
        self.update_bandwidth(ack);
        self.update_extra(ack);
        self.update_cycle(ack);
        self.check_full(ack);
        self.check_drain(ack);
        self.update_min_rtt(ack);
        let gain = match self.state {
            State::Startup => HIGH_GAIN,
            State::Drain => 1.0 / HIGH_GAIN,
            State::ProbeBandwidth => self.cycle_gain() * self.yields(ack),
            State::ProbeRtt => 1.0,
        };
        self.set_pacing_rate(gain);
        self.set_cwnd(ack);
    }

    /// What the path holds, times a gain.
    fn path(&self, gain: f64) -> u64 {
        match self.min_rtt {
            Some(min_rtt) => (self.bandwidth() * min_rtt as f64 * gain) as u64,
            None => INITIAL_PACKETS * self.packet,
        }
    }

    /// Bytes for a receiver that wakes once and reads many.
    fn allowance(&self) -> u64 {
        let bandwidth = self.bandwidth();
        if self.min_rtt.is_some_and(|rtt| rtt < SHORT_PATH) {
            let most = ((bandwidth * ALLOWANCE_HORIZON) as u64).max(ALLOWANCE_START * self.packet);
            (self.allowance * self.packet).min(most)
        } else {
            ((bandwidth * 1_000.0) as u64).clamp(2 * self.packet, ALLOWANCE_START * self.packet)
        }
    }

    fn update_allowance(&mut self, now: u64) {
        let held = self.allowance_fell_at.is_some_and(|at| now.saturating_sub(at) < ALLOWANCE_HOLD);
        if self.round_filled && self.round_lost == 0 && !held {
            self.allowance = (self.allowance + ALLOWANCE_STEP).min(ALLOWANCE_MAX);
        }
    }

    fn set_pacing_rate(&mut self, gain: f64) {
        if !self.seen_rtt
            && let Some(rtt) = self.min_rtt
        {
            self.seen_rtt = true;
            self.pacing_rate = self.cwnd as f64 / rtt.max(1_000) as f64 * HIGH_GAIN;
        }
        // Never less than a packet in ten milliseconds.
        let floor = self.packet as f64 / 10_000.0;
        let rate = (self.bandwidth() * gain * PACING_MARGIN).max(floor);
        if self.full || rate > self.pacing_rate {
            self.pacing_rate = rate;
        }
    }

    fn set_cwnd(&mut self, ack: &Ack) {
        let gain = if self.state == State::ProbeBandwidth { CWND_GAIN } else { HIGH_GAIN };
        let extra = if self.full { self.extra[0].max(self.extra[1]) } else { 0 };
        let target = self.path(gain) + extra.min(self.path(1.0)) + self.allowance();
        if self.full {
            self.cwnd = (self.cwnd + ack.acked).min(target);
        } else if self.cwnd < target || ack.delivered < INITIAL_PACKETS * self.packet {
            self.cwnd += ack.acked;
        }
        if let Some(ceiling) = self.ceiling {
            self.cwnd = self.cwnd.min(ceiling.max(self.path(CEILING_FOLLOWS) + self.allowance()));
        }
        self.cwnd = self.cwnd.max(self.packet * MIN_PACKETS);
        if self.state == State::ProbeRtt {
            let small = self.path(PROBE_RTT_PART).max(self.packet * MIN_PACKETS);
            self.cwnd = self.cwnd.min(small);
        }
    }

    fn update_bandwidth(&mut self, ack: &Ack) {
        self.round_start = false;
        self.round_acked += ack.acked;
        self.round_peak = self.round_peak.max(ack.inflight + ack.acked);
        let Some(rate) = ack.rate else { return };
        let long_enough = ack.now.saturating_sub(self.round_began) >= ROUND_MIN;
        if rate.prior_delivered >= self.next_round_delivered && long_enough {
            self.update_allowance(ack.now);
            self.next_round_delivered = ack.delivered;
            self.round += 1;
            self.round_start = true;
            self.round_filled = false;
            self.round_began = ack.now;
            self.round_lost = 0;
            self.round_lost_packets = 0;
            self.round_acked = 0;
            self.round_peak = ack.inflight;
            self.round_stepped_back = false;
        }
        let bandwidth = rate.delivered as f64 / rate.interval.max(1) as f64;
        if !rate.app_limited || bandwidth >= self.bandwidth() {
            self.bandwidth.update(self.round, bandwidth);
        }
    }

    fn update_extra(&mut self, ack: &Ack) {
        if ack.acked == 0 || ack.rate.is_none() {
            return;
        }
        if self.round_start {
            self.extra_rounds += 1;
            if self.extra_rounds >= EXTRA_ROUNDS {
                self.extra_rounds = 0;
                self.extra_index = !self.extra_index;
                *self.extra_slot() = 0;
            }
        }
        let epoch = ack.now.saturating_sub(self.epoch_at).min(EXTRA_RTT_MAX);
        let mut expected = (self.bandwidth() * epoch as f64) as u64;
        if self.epoch_acked <= expected {
            self.epoch_acked = 0;
            self.epoch_at = ack.now;
            expected = 0;
        }
        self.epoch_acked += ack.acked;
        let extra = self.epoch_acked.saturating_sub(expected).min(self.cwnd);
        let slot = self.extra_slot();
        *slot = extra.max(*slot);
    }

    fn extra_slot(&mut self) -> &mut u64 {
        let [first, second] = &mut self.extra;
        if self.extra_index { second } else { first }
    }

    fn update_cycle(&mut self, ack: &Ack) {
        if self.state != State::ProbeBandwidth {
            return;
        }
        let length = self.min_rtt.unwrap_or(0).max(ROUND_MIN);
        let elapsed = ack.now.saturating_sub(self.cycle_at) > length;
        let gain = self.cycle_gain();
        let next = if gain > 1.0 {
            let filled = ack.inflight + ack.acked >= self.path(gain);
            elapsed && (filled || self.round_lost > 0 || self.idle_restart)
        } else if gain < 1.0 {
            elapsed || ack.inflight <= self.path(1.0)
        } else {
            elapsed
        };
        if next {
            self.next_phase(ack.now);
        }
    }

    fn cycle_gain(&self) -> f64 {
        match self.cycle {
            0 => self.probe_gain,
            1 => DRAIN_GAIN,
            _ => 1.0,
        }
    }

    /// What is left of the rate where a queue holds more than the path.
    fn yields(&self, ack: &Ack) -> f64 {
        if self.cycle <= 1 || !self.has_queue(ack.rtt) {
            return 1.0;
        }
        let beyond = ack.inflight as f64 / self.path(1.0).max(1) as f64 - 1.0;
        1.0 - (YIELD * beyond).clamp(0.0, YIELD_MOST)
    }

    fn next_phase(&mut self, now: u64) {
        self.cycle = (self.cycle + 1) % CYCLE;
        if self.cycle == JUDGED {
            let asked = self.probe_gain - 1.0;
            if self.bandwidth() >= self.probed * (1.0 + PROBE_GROWN * asked) {
                self.probe_gain = (1.0 + 2.0 * asked).min(PROBE_GAIN_MAX);
                self.cycle = 0;
            } else {
                self.probe_gain = PROBE_GAIN;
            }
        }
        if self.cycle == 0 {
            self.probed = self.bandwidth();
        }
        self.cycle_at = now;
        if self.cycle == 0
            && let Some(ceiling) = self.ceiling
            && now.saturating_sub(self.ceiling_at) > CEILING_HOLD
        {
            let raised = ceiling + (ceiling / 4).max(self.packet);
            self.ceiling = (raised < self.path(2.0 * CWND_GAIN) + self.allowance()).then_some(raised);
        }
    }

    fn check_full(&mut self, ack: &Ack) {
        if self.full || !self.round_start || ack.rate.is_none_or(|rate| rate.app_limited) {
            return;
        }
        let bandwidth = self.bandwidth();
        if bandwidth >= self.full_bandwidth * FULL_GROWTH {
            self.full_bandwidth = bandwidth;
            self.full_count = 0;
            return;
        }
        self.full_count += 1;
        self.full = self.full_count >= FULL_ROUNDS;
    }

    fn check_drain(&mut self, ack: &Ack) {
        if self.state == State::Startup && self.full {
            self.state = State::Drain;
        }
        if self.state == State::Drain && ack.inflight <= self.path(1.0).max(self.packet * MIN_PACKETS) {
            self.enter_probe_bandwidth(ack.now);
        }
    }

    fn enter_probe_bandwidth(&mut self, now: u64) {
        self.state = State::ProbeBandwidth;
        self.next_phase(now);
    }

    fn update_min_rtt(&mut self, ack: &Ack) {
        let expired = ack.now > self.min_rtt_at.saturating_add(MIN_RTT_INTERVAL);
        if let Some(rtt) = ack.rtt
            && self.min_rtt.is_none_or(|min| rtt <= min)
        {
            self.min_rtt = Some(rtt.max(1));
            self.min_rtt_at = ack.now;
        }
        if expired && !self.idle_restart && self.state != State::ProbeRtt {
            self.prior_cwnd = self.cwnd;
            self.state = State::ProbeRtt;
            self.probe_rtt_done_at = None;
        }
        if self.state == State::ProbeRtt {
            let small = self.path(PROBE_RTT_PART).max(self.packet * MIN_PACKETS);
            match self.probe_rtt_done_at {
                None if ack.inflight <= small => {
                    self.probe_rtt_done_at = Some(ack.now + PROBE_RTT_TIME);
                    self.probe_rtt_round_done = false;
                    self.probe_rtt_least = None;
                    self.next_round_delivered = ack.delivered;
                }
                None => {}
                Some(_) => {
                    self.probe_rtt_least = self.probe_rtt_least.into_iter().chain(ack.rtt).min();
                    self.probe_rtt_round_done |= self.round_start;
                    if self.probe_rtt_round_done {
                        self.leave_probe_rtt(ack.now);
                    }
                }
            }
        }
        if ack.acked > 0 {
            self.idle_restart = false;
        }
    }

    fn leave_probe_rtt(&mut self, now: u64) {
        if self.probe_rtt_done_at.is_none_or(|done| now <= done) {
            return;
        }
        self.min_rtt_at = now;
        self.min_rtt = self.probe_rtt_least.take().map(|rtt| rtt.max(1)).or(self.min_rtt);
        self.cwnd = self.cwnd.max(self.prior_cwnd);
        self.prior_cwnd = 0;
        if self.full { self.enter_probe_bandwidth(now) } else { self.state = State::Startup }
    }
}
