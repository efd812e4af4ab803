//! How much to ask of a peer at once.
//!
//! The window is a number of bytes: twice the best latency's worth of the best rate of the last second, and 50 ms
//! more of it. While the link is the limit, answers come at the link's rate and the window is about two round
//! trips; while the window is the limit, each answer raises the rate and with it the window. Asking too much costs
//! the giver a few bytes a request, since answers are made only when the connection takes them.

use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(100);
const INITIAL: u64 = 1 << 20;
const MIN: u64 = 256 << 10;
/// Fewest requests in flight, so that one big block does not stop the pipe.
const MIN_REQUESTS: usize = 3;
/// How long a best latency is believed.
const LATENCY_LIFE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// Bytes a second of the last intervals, a ring.
    rates: [u64; 8],
    at: usize,
    interval_start: Option<Duration>,
    interval_bytes: u64,
    latency: Duration,
    latency_until: Duration,
    measured: bool,
    /// One request at a time until an answer comes.
    probing: bool,
    /// An answer came since the start, whatever was forgotten since.
    answered: bool,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            rates: [0; 8],
            at: 0,
            interval_start: None,
            interval_bytes: 0,
            latency: Duration::MAX,
            latency_until: Duration::ZERO,
            measured: false,
            probing: false,
            answered: false,
        }
    }

    /// An answer of `bytes` came `latency` after its request.
    pub(crate) fn on_answer(&mut self, now: Duration, latency: Duration, bytes: u64) {
        if latency < self.latency || now >= self.latency_until {
            self.latency = latency;
            self.latency_until = now.saturating_add(LATENCY_LIFE);
        }
        self.probing = false;
        self.answered = true;
        self.interval_bytes = self.interval_bytes.saturating_add(bytes);
        let start = *self.interval_start.get_or_insert(now.saturating_sub(latency));
        let elapsed = now.saturating_sub(start);
        if elapsed >= INTERVAL {
            let rate = u128::from(self.interval_bytes) * 1_000_000 / elapsed.as_micros().max(1);
            if let Some(r) = self.rates.get_mut(self.at) {
                *r = u64::try_from(rate).unwrap_or(u64::MAX);
            }
            self.at = (self.at + 1) % self.rates.len();
            self.interval_start = Some(now);
            self.interval_bytes = 0;
            self.measured = true;
        }
    }

    /// The peer went silent: one request until it answers, then start small again.
    pub(crate) fn reset(&mut self) {
        *self = Self { measured: true, probing: true, answered: self.answered, ..Self::new() };
    }

    /// Nothing is in flight any more: a pause of ours is not the peer's slowness.
    pub(crate) fn on_idle(&mut self) {
        self.interval_start = None;
        self.interval_bytes = 0;
    }

    /// It was overtaken by one that was asked later: one request until it answers, what it measured stays.
    pub(crate) fn slow_down(&mut self) {
        self.probing = true;
    }

    /// Whether it is to owe one answer at most.
    pub(crate) fn is_probing(&self) -> bool {
        self.probing
    }

    /// Whether an answer ever came.
    pub(crate) fn has_answered(&self) -> bool {
        self.answered
    }

    /// The best latency, once measured.
    pub(crate) fn latency(&self) -> Option<Duration> {
        Some(self.latency).filter(|l| *l < Duration::MAX)
    }

    /// Bytes a second at best.
    pub(crate) fn rate(&self) -> u64 {
        self.rates.iter().copied().max().unwrap_or(0)
    }

    /// Bytes that may be in flight, at most `max`.
    pub(crate) fn bytes(&self, max: u64) -> u64 {
        let rate = self.rate();
        if rate == 0 {
            return if self.measured { MIN } else { INITIAL }.min(max);
        }
        let span = self.latency.min(LATENCY_LIFE).saturating_mul(2) + Duration::from_millis(50);
        let bytes = u128::from(rate) * span.as_micros() / 1_000_000;
        u64::try_from(bytes).unwrap_or(max).max(MIN).min(max)
    }

    /// Whether one more request of about `next` bytes may be sent.
    pub(crate) fn allows(
        &self,
        requests: usize,
        bytes: u64,
        next: u64,
        max_requests: usize,
        max_bytes: u64,
    ) -> bool {
        requests < if self.probing { 1 } else { max_requests.max(1) }
            && (requests < MIN_REQUESTS || bytes.saturating_add(next) <= self.bytes(max_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: u64 = 32 << 20;

    /// A link of `rate` bytes a second and `rtt`, blocks of `block` bytes; how long until `total` bytes came.
    fn run(rate: u64, rtt: Duration, block: u64, total: u64) -> Duration {
        let mut w = Window::new();
        let mut now = Duration::ZERO;
        let mut free_at = Duration::ZERO;
        let mut answers = std::collections::VecDeque::new();
        let (mut bytes, mut got) = (0, 0);
        while got < total {
            while w.allows(answers.len(), bytes, block, 512, MAX) {
                let start = free_at.max(now + rtt / 2);
                free_at = start + Duration::from_nanos(block * 1_000_000_000 / rate);
                answers.push_back((now, free_at + rtt / 2));
                bytes += block;
            }
            let (sent, at) = answers.pop_front().unwrap();
            now = at;
            bytes -= block;
            got += block;
            w.on_answer(now, now - sent, block);
        }
        now
    }

    #[test]
    fn links_are_filled() {
        for (rate, rtt_ms, block) in [
            (250_000_000u64, 1u64, 65_536u64),
            (250_000_000, 1, 8 << 20),
            (10_000_000, 100, 65_536),
            (100_000, 20, 65_536),
        ] {
            let total = rate * 10;
            let took = run(rate, Duration::from_millis(rtt_ms), block, total);
            assert!(took < Duration::from_millis(11_500), "{rate} {rtt_ms} {block}: {took:?}");
        }
    }

    #[test]
    fn a_slow_peer_is_not_given_much() {
        let mut w = Window::new();
        for i in 1..50 {
            w.on_answer(Duration::from_secs(i), Duration::from_millis(500), 65_536);
        }
        assert_eq!(w.bytes(MAX), MIN);
        w.reset();
        assert!(w.allows(0, 0, 1, 512, MAX) && !w.allows(1, 1, 1, 512, MAX));
        w.on_answer(Duration::from_secs(60), Duration::from_secs(1), 10);
        assert!(w.allows(1, 1, 1, 512, MAX));
        assert_eq!(w.bytes(MAX), MIN);
    }
}
