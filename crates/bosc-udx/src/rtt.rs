//! Round trip time: smoothed, its variation, the least of the recent past. Microseconds.

use crate::filter::MinFilter;

/// Least and most a retransmission timer waits.
const RTO_MIN: u64 = 300_000;
const RTO_MAX: u64 = 30_000_000;
/// Before the first measurement, as libudx.
const RTO_INITIAL: u64 = 1_000_000;
/// The least round trip time of this long is what reordering is measured against.
const MIN_WINDOW: u64 = 300_000_000;
/// A sample above this is taken for a machine that slept if it is also far from the usual.
const OUTLIER: u64 = 5_000_000;

#[derive(Debug)]
pub(crate) struct Rtt {
    smoothed: Option<u64>,
    variation: u64,
    min: MinFilter,
}

impl Rtt {
    pub(crate) fn new() -> Self {
        Rtt { smoothed: None, variation: 0, min: MinFilter::new(MIN_WINDOW) }
    }

    /// Takes one sample; returns it, clamped if it looks like time the machine slept.
    pub(crate) fn sample(&mut self, now: u64, rtt: u64) -> u64 {
        let mut rtt = rtt.clamp(1, RTO_MAX);
        if let Some(smoothed) = self.smoothed {
            let usual = smoothed.saturating_add(self.variation.saturating_mul(5));
            if rtt > usual && rtt > OUTLIER {
                rtt = usual.min(RTO_MAX);
            }
            let difference = smoothed.abs_diff(rtt);
            self.variation = (self.variation * 3 + difference) / 4;
            self.smoothed = Some((smoothed * 7 + rtt) / 8);
        } else {
            self.smoothed = Some(rtt);
            self.variation = rtt / 2;
        }
        self.min.update(now, rtt);
        rtt
    }

    pub(crate) fn smoothed(&self) -> Option<u64> {
        self.smoothed
    }

    pub(crate) fn min(&self) -> Option<u64> {
        self.min.get()
    }

    /// How long an answer takes when it takes long.
    pub(crate) fn quiet(&self) -> u64 {
        self.smoothed.unwrap_or(0).saturating_add(self.variation.saturating_mul(4))
    }

    pub(crate) fn rto(&self) -> u64 {
        match self.smoothed {
            Some(smoothed) => (smoothed + self.variation * 4).clamp(RTO_MIN, RTO_MAX),
            None => RTO_INITIAL,
        }
    }

    /// The timer after `count` timeouts without progress.
    pub(crate) fn backed_off_rto(&self, count: u32) -> u64 {
        self.rto().saturating_mul(1 << count.min(10)).min(RTO_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_samples() {
        let mut rtt = Rtt::new();
        assert_eq!((rtt.smoothed(), rtt.rto()), (None, RTO_INITIAL));
        rtt.sample(0, 100_000);
        assert_eq!(rtt.smoothed(), Some(100_000));
        assert_eq!(rtt.rto(), 300_000);
        for i in 0..200 {
            rtt.sample(i, 20_000);
        }
        assert!(rtt.smoothed().unwrap() < 21_000);
        assert_eq!(rtt.min(), Some(20_000));
        assert_eq!(rtt.rto(), RTO_MIN);
        assert_eq!(rtt.backed_off_rto(2), RTO_MIN * 4);
        assert_eq!(rtt.backed_off_rto(60), RTO_MAX);
    }

    #[test]
    fn a_machine_that_slept_is_no_slow_network() {
        let mut rtt = Rtt::new();
        rtt.sample(0, 50_000);
        rtt.sample(1, 3_600_000_000);
        assert!(rtt.rto() < 2_000_000);
    }
}
