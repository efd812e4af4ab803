//! Senders that others bring to a bottleneck, as models: TCP's CUBIC (RFC 9438, with the delay part of HyStart), TCP's BBR of
//! version 1, and libudx, which is the same BBR counting in whole milliseconds. Their bytes are always new, since what a flow
//! takes from a bottleneck does not depend on what is in its packets.
//!
//! Every packet is acknowledged by its number. One is lost when a third later one has arrived.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this")]

use bosc_testkit::Simulator;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

pub const PACKET: usize = 1452;
const MILLI: f64 = 1_000.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Cubic,
    Bbr,
    /// libudx.
    Js,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    number: u64,
    at: f64,
    delivered: f64,
    delivered_at: f64,
    first_sent_at: f64,
}

/// What an acknowledgement tells; packets and microseconds.
struct Told {
    now: f64,
    acked: f64,
    lost: f64,
    rtt: f64,
    inflight: f64,
    delivered: f64,
    prior_delivered: f64,
    rate: Option<f64>,
}

pub struct Rival {
    pub at: SocketAddr,
    pub to: SocketAddr,
    pub received: u64,
    next: u64,
    inflight: VecDeque<Sent>,
    delivered: f64,
    delivered_at: f64,
    first_sent_at: f64,
    least: f64,
    heard_at: f64,
    may_send_at: f64,
    /// Losses before this number belong to a loss that was answered already.
    recovery: Option<u64>,
    control: Control,
}

enum Control {
    Cubic(Cubic),
    Bbr(Box<Bbr>),
}

fn micros(at: Duration) -> f64 {
    at.as_secs_f64() * 1e6
}

impl Rival {
    pub fn new(kind: Kind, at: SocketAddr, to: SocketAddr, phase: u64) -> Self {
        let control = match kind {
            Kind::Cubic => Control::Cubic(Cubic::new()),
            Kind::Bbr => Control::Bbr(Box::new(Bbr::new(1.0, phase))),
            Kind::Js => Control::Bbr(Box::new(Bbr::new(MILLI, 0))),
        };
        Rival {
            at,
            to,
            received: 0,
            next: 0,
            inflight: VecDeque::new(),
            delivered: 0.0,
            delivered_at: 0.0,
            first_sent_at: 0.0,
            least: f64::MAX,
            heard_at: 0.0,
            may_send_at: 0.0,
            recovery: None,
            control,
        }
    }

    pub fn handle(&mut self, net: &mut Simulator, to: SocketAddr, payload: &[u8]) {
        if to == self.to {
            self.received += payload.len() as u64;
            net.send(self.to, self.at, payload[..8].to_vec());
        } else {
            let number = u64::from_be_bytes(payload[..8].try_into().unwrap());
            self.acknowledged(micros(net.now()), number);
        }
    }

    fn acknowledged(&mut self, now: f64, number: u64) {
        let Some(index) = self.inflight.iter().position(|sent| sent.number == number) else { return };
        let sent = self.inflight.remove(index).unwrap();
        let before = self.inflight.len();
        while self.inflight.front().is_some_and(|other| other.number + 3 <= number) {
            self.inflight.pop_front();
        }
        let lost = (before - self.inflight.len()) as f64;
        self.heard_at = now;
        self.delivered += 1.0;
        self.delivered_at = now;
        let rtt = now - sent.at;
        self.least = self.least.min(rtt);
        self.first_sent_at = sent.at;
        let interval = (sent.at - sent.first_sent_at).max(now - sent.delivered_at);
        let rate = (interval >= self.least).then(|| (self.delivered - sent.delivered) / interval);
        let began = lost > 0.0 && self.recovery.is_none();
        let ended = self.recovery.is_some_and(|high| number >= high);
        if began {
            self.recovery = Some(self.next);
        } else if ended {
            self.recovery = None;
        }
        let told = Told {
            now,
            acked: 1.0,
            lost,
            rtt,
            inflight: self.inflight.len() as f64,
            delivered: self.delivered,
            prior_delivered: sent.delivered,
            rate,
        };
        match &mut self.control {
            Control::Cubic(cubic) => cubic.told(&told, began, self.recovery.is_some()),
            Control::Bbr(bbr) => bbr.told(&told, began, ended),
        }
    }

    fn window(&self) -> (f64, Option<f64>) {
        match &self.control {
            Control::Cubic(cubic) => (cubic.window, None),
            Control::Bbr(bbr) => (bbr.window, Some(bbr.pace)),
        }
    }

    /// Sends what may be sent now; when it wants to be asked again.
    pub fn turn(&mut self, net: &mut Simulator) -> Duration {
        let now = micros(net.now());
        let patience = if self.least == f64::MAX { 1e6 } else { 300_000.0 };
        if self.inflight.is_empty() {
            self.heard_at = now;
        } else if now - self.heard_at > patience {
            self.inflight.clear();
            self.heard_at = now;
            self.recovery = None;
            match &mut self.control {
                Control::Cubic(cubic) => cubic.timed_out(),
                Control::Bbr(bbr) => bbr.timed_out(),
            }
        }
        let (window, pace) = self.window();
        let mut payload = vec![0; PACKET];
        // A timer is a millisecond late at most, so that much may be made good.
        self.may_send_at = self.may_send_at.max(now - MILLI);
        while (self.inflight.len() as f64) < window && (pace.is_none() || self.may_send_at <= now) {
            if self.inflight.is_empty() {
                self.first_sent_at = now;
                self.delivered_at = now;
            }
            payload[..8].copy_from_slice(&self.next.to_be_bytes());
            net.send(self.at, self.to, payload.clone());
            self.inflight.push_back(Sent {
                number: self.next,
                at: now,
                delivered: self.delivered,
                delivered_at: self.delivered_at,
                first_sent_at: self.first_sent_at,
            });
            self.next += 1;
            if let Some(pace) = pace {
                self.may_send_at += 1.0 / pace;
            }
        }
        let late = self.heard_at + patience + 1.0;
        let wake = if (self.inflight.len() as f64) < window {
            late.min(self.may_send_at.max(now + 1.0))
        } else {
            late
        };
        Duration::from_secs_f64(wake.ceil() / 1e6)
    }
}

struct Cubic {
    window: f64,
    threshold: f64,
    most: f64,
    epoch: Option<(f64, f64)>,
    /// As Reno would have it.
    reno: f64,
    least: f64,
}

impl Cubic {
    fn new() -> Self {
        Cubic { window: 10.0, threshold: f64::MAX, most: 0.0, epoch: None, reno: 0.0, least: f64::MAX }
    }

    fn told(&mut self, told: &Told, began: bool, recovering: bool) {
        self.least = self.least.min(told.rtt);
        if began {
            self.most = if self.window < self.most { self.window * 0.85 } else { self.window };
            self.window = (self.window * 0.7).max(2.0);
            self.threshold = self.window;
            self.epoch = None;
            return;
        }
        if recovering {
            return;
        }
        if self.window < self.threshold {
            self.window += told.acked;
            if self.window > 16.0 && told.rtt > self.least + (self.least / 8.0).clamp(4_000.0, 16_000.0) {
                self.threshold = self.window;
            }
            return;
        }
        let (from, k) = *self.epoch.get_or_insert_with(|| {
            self.reno = self.window;
            (told.now, ((self.most - self.window).max(0.0) / 0.4).cbrt())
        });
        let t = (told.now + self.least - from) / 1e6;
        let target = (0.4 * (t - k).powi(3) + self.most.max(self.window.min(self.most + 1.0)))
            .clamp(self.window, 1.5 * self.window);
        self.reno += 0.53 * told.acked / self.reno.max(1.0);
        let step =
            if target > self.window { (target - self.window) / self.window } else { 0.01 / self.window };
        self.window = (self.window + step * told.acked).max(self.reno);
    }

    fn timed_out(&mut self) {
        self.most = self.window;
        self.threshold = (self.window * 0.7).max(2.0);
        self.window = 1.0;
        self.epoch = None;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Startup,
    Drain,
    Probe,
    ProbeRtt,
}

struct Bbr {
    /// Microseconds that its clock knows.
    grain: f64,
    state: State,
    window: f64,
    prior_window: f64,
    /// Packets a microsecond.
    pace: f64,
    paced_by_rtt: bool,
    samples: VecDeque<(u64, f64)>,
    round: u64,
    round_ends: f64,
    least: f64,
    least_at: f64,
    probe_done: Option<f64>,
    probe_round: bool,
    full: bool,
    full_rate: f64,
    full_count: u8,
    cycle: usize,
    cycle_at: f64,
    phase: u64,
    conserves: bool,
    extra: [f64; 2],
    extra_index: usize,
    extra_rounds: u8,
    epoch_at: f64,
    epoch_acked: f64,
}

const HIGH: f64 = 2.885_39;

impl Bbr {
    fn new(grain: f64, phase: u64) -> Self {
        Bbr {
            grain,
            state: State::Startup,
            window: 10.0,
            prior_window: 0.0,
            pace: 10.0 / MILLI * HIGH,
            paced_by_rtt: false,
            samples: VecDeque::new(),
            round: 0,
            round_ends: 0.0,
            least: f64::MAX,
            least_at: 0.0,
            probe_done: None,
            probe_round: false,
            full: false,
            full_rate: 0.0,
            full_count: 0,
            cycle: 0,
            cycle_at: 0.0,
            phase,
            conserves: false,
            extra: [0.0; 2],
            extra_index: 0,
            extra_rounds: 0,
            epoch_at: 0.0,
            epoch_acked: 0.0,
        }
    }

    fn rate(&self) -> f64 {
        self.samples.iter().map(|(_, rate)| *rate).fold(0.0, f64::max)
    }

    fn path(&self, gain: f64) -> f64 {
        if self.least == f64::MAX { 10.0 } else { (self.rate() * self.least * gain).floor() }
    }

    fn gain(&self) -> f64 {
        match self.state {
            State::Startup => HIGH,
            State::Drain => 1.0 / HIGH,
            State::Probe => [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0][self.cycle],
            State::ProbeRtt => 1.0,
        }
    }

    fn probe(&mut self, now: f64) {
        self.state = State::Probe;
        // Any but the draining one; libudx always the fifth.
        self.cycle = if self.grain > 1.0 { 4 } else { (2 + self.phase as usize % 7) % 8 };
        self.cycle_at = now;
    }

    fn told(&mut self, told: &Told, began: bool, ended: bool) {
        let rtt = (told.rtt / self.grain).floor().max(1.0) * self.grain;
        let mut round_began = false;
        if let Some(rate) = told.rate {
            if told.prior_delivered >= self.round_ends {
                self.round_ends = told.delivered;
                self.round += 1;
                round_began = true;
                self.conserves = false;
            }
            let (round, keep) = (self.round, 10);
            // Only what may become the greatest is kept.
            while self.samples.back().is_some_and(|(_, other)| *other <= rate) {
                self.samples.pop_back();
            }
            if self.state != State::ProbeRtt || rate >= self.rate() {
                self.samples.push_back((round, rate));
            }
            while self.samples.len() > 1 && self.samples.front().is_some_and(|(at, _)| at + keep < round) {
                self.samples.pop_front();
            }
            self.aggregation(told, round_began);
        }
        self.turn_cycle(told);
        if !self.full && round_began {
            let rate = self.rate();
            if rate >= self.full_rate * 1.25 {
                self.full_rate = rate;
                self.full_count = 0;
            } else {
                self.full_count += 1;
                self.full = self.full_count >= 3;
            }
        }
        if self.state == State::Startup && self.full {
            self.state = State::Drain;
        }
        if self.state == State::Drain && told.inflight <= self.path(1.0) {
            self.probe(told.now);
        }
        self.least_rtt(told, rtt, round_began);
        if !self.paced_by_rtt {
            self.paced_by_rtt = true;
            self.pace = self.window / rtt * HIGH;
        }
        let pace = (self.rate() * self.gain() * 0.99).max(1e-6);
        if self.full || pace > self.pace {
            self.pace = pace;
        }
        self.set_window(told, began, ended);
    }

    fn aggregation(&mut self, told: &Told, round_began: bool) {
        if round_began {
            self.extra_rounds += 1;
            if self.extra_rounds >= 5 {
                self.extra_rounds = 0;
                self.extra_index ^= 1;
                self.extra[self.extra_index] = 0.0;
            }
        }
        let epoch = ((told.now - self.epoch_at) / self.grain).floor() * self.grain;
        let mut expected = self.rate() * epoch;
        if self.epoch_acked <= expected {
            self.epoch_acked = 0.0;
            self.epoch_at = told.now;
            expected = 0.0;
        }
        self.epoch_acked += told.acked;
        let extra = (self.epoch_acked - expected).min(self.window);
        let slot = &mut self.extra[self.extra_index];
        *slot = slot.max(extra);
    }

    fn turn_cycle(&mut self, told: &Told) {
        if self.state != State::Probe {
            return;
        }
        let long = told.now - self.cycle_at > self.least;
        let next = match self.cycle {
            0 => long && (told.lost > 0.0 || told.inflight > self.path(1.25)),
            1 => long || told.inflight <= self.path(1.0),
            _ => long,
        };
        if next {
            self.cycle = (self.cycle + 1) % 8;
            self.cycle_at = told.now;
        }
    }

    fn least_rtt(&mut self, told: &Told, rtt: f64, round_began: bool) {
        let expired = told.now > self.least_at + 10e6;
        if rtt < self.least || expired {
            self.least = rtt;
            self.least_at = told.now;
        }
        if expired && self.state != State::ProbeRtt {
            self.state = State::ProbeRtt;
            self.prior_window = self.window;
            self.probe_done = None;
        }
        if self.state == State::ProbeRtt {
            match self.probe_done {
                None if told.inflight <= 4.0 => {
                    self.probe_done = Some(told.now + 200_000.0);
                    self.probe_round = false;
                    self.round_ends = told.delivered;
                }
                None => {}
                Some(done) => {
                    self.probe_round |= round_began;
                    if self.probe_round && told.now > done {
                        self.least_at = told.now;
                        self.window = self.window.max(self.prior_window);
                        if self.full { self.probe(told.now) } else { self.state = State::Startup }
                    }
                }
            }
        }
    }

    fn set_window(&mut self, told: &Told, began: bool, ended: bool) {
        if told.lost > 0.0 {
            self.window = (self.window - told.lost).max(1.0);
        }
        if began {
            self.prior_window =
                if self.state == State::ProbeRtt { self.prior_window } else { self.window + told.lost };
            self.conserves = true;
            self.round_ends = told.delivered;
            self.window = told.inflight + told.acked;
        } else if ended {
            self.window = self.window.max(self.prior_window);
            self.conserves = false;
        }
        if self.conserves {
            self.window = self.window.max(told.inflight + told.acked);
        } else {
            let gain = if matches!(self.state, State::Startup | State::Drain) { HIGH } else { 2.0 };
            let gain = if self.state == State::ProbeRtt { 1.0 } else { gain };
            let extra =
                if self.full { self.extra[0].max(self.extra[1]).min(self.rate() * 100_000.0) } else { 0.0 };
            let target = self.path(gain) + extra;
            if self.full {
                self.window = (self.window + told.acked).min(target);
            } else if self.window < target || told.delivered < 10.0 {
                self.window += told.acked;
            }
            self.window = self.window.max(4.0);
        }
        if self.state == State::ProbeRtt {
            self.window = self.window.min(4.0);
        }
    }

    fn timed_out(&mut self) {
        self.prior_window = self.prior_window.max(self.window);
        self.window = 4.0;
        self.full_rate = 0.0;
    }
}
