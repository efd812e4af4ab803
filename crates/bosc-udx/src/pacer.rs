//! Pacing: a token bucket that spreads packets over time at the rate congestion control allows.
//!
//! A bucket holds about two milliseconds of the rate, so that an owner whose timers tick once a millisecond keeps up,
//! and never more than [`BURST_MAX`] packets, so that no burst fills a receiver's socket buffer (208 KiB on a stock
//! Linux, which holds about 180 packets of this size).

/// Most packets that leave back to back.
const BURST_MAX: u64 = 96;
/// Least.
const BURST_MIN: u64 = 10;
/// Microseconds of the rate that the bucket holds.
const HORIZON: f64 = 2_000.0;

#[derive(Debug)]
pub(crate) struct Pacer {
    tokens: f64,
    filled_at: u64,
}

impl Pacer {
    pub(crate) fn new(now: u64, packet: u64) -> Self {
        Pacer { tokens: (BURST_MIN * packet) as f64, filled_at: now }
    }

    fn capacity(rate: f64, packet: u64) -> f64 {
        (rate * HORIZON).clamp((BURST_MIN * packet) as f64, (BURST_MAX * packet) as f64)
    }

    /// May a packet leave now? `rate` is bytes a microsecond, `packet` the size of a full packet.
    pub(crate) fn ready(&mut self, now: u64, rate: f64, packet: u64) -> bool {
        if now > self.filled_at {
            let gained = (now - self.filled_at) as f64 * rate;
            self.tokens = (self.tokens + gained).min(Self::capacity(rate, packet));
            self.filled_at = now;
        }
        self.tokens > 0.0
    }

    pub(crate) fn spend(&mut self, bytes: u64) {
        self.tokens -= bytes as f64;
    }

    /// When a worthwhile number of packets (a quarter of the bucket) may leave.
    pub(crate) fn next_at(&self, rate: f64, packet: u64) -> u64 {
        let wanted = Self::capacity(rate, packet) / 4.0;
        let missing = (wanted - self.tokens).max(1.0);
        self.filled_at + (missing / rate.max(1e-6)).ceil().clamp(1.0, 10_000_000.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_and_bursts_are_bounded() {
        for rate in [0.01, 1.0, 100.0, 300.0] {
            let packet = 1472;
            let mut pacer = Pacer::new(0, packet);
            let (mut now, mut sent, mut longest) = (0, 0u64, 0);
            while now < 3_000_000 {
                let mut burst = 0;
                while pacer.ready(now, rate, packet) {
                    pacer.spend(packet);
                    burst += 1;
                    sent += packet;
                }
                longest = longest.max(burst);
                now = pacer.next_at(rate, packet).max(now + 1);
            }
            let expected = rate * now as f64;
            let first = (BURST_MIN + 1) as f64 * packet as f64;
            // The last burst may lie just before or after the end.
            let last = Pacer::capacity(rate, packet);
            assert!((sent as f64) <= expected + first + last, "{rate}: {sent} of {expected}");
            assert!((sent as f64) >= expected * 0.98 - last, "{rate}: {sent} of {expected}");
            assert!(longest <= BURST_MAX + 1);
        }
    }
}
