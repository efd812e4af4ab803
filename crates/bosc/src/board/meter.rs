//! How fast something moves, and when it will be done: from what is done at each moment. No clock: who measures says when.
//!
//! Bounds: [`SAMPLES`] moments.

use std::collections::VecDeque;
use std::time::Duration;

/// Moments that are remembered.
const SAMPLES: usize = 40;
/// How far back a rate looks.
const WINDOW: Duration = Duration::from_secs(8);
/// Longest time that is told: nobody waits for it, and it would not be true.
const LONGEST: u64 = 99 * 3600;
/// From nothing to the most there was.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Measures one thing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    /// Moments, and what was done at each.
    seen: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// So much is done in all, now. What begins anew (less than before) is measured anew.
    pub(crate) fn at(&mut self, now: Duration, done: u64) {
        if self.seen.back().is_some_and(|(_, before)| done < *before) {
            self.seen.clear();
        }
        if self.seen.back().is_some_and(|(at, _)| *at >= now) {
            return;
        }
        if self.seen.len() == SAMPLES {
            self.seen.pop_front();
        }
        self.seen.push_back((now, done));
    }

    /// What is done.
    pub(crate) fn done(&self) -> u64 {
        self.seen.back().map_or(0, |(_, done)| *done)
    }

    /// Done in a second, of the last few seconds; 0 when that is not known.
    pub(crate) fn rate(&self) -> u64 {
        let Some((now, done)) = self.seen.back() else { return 0 };
        let from = self.seen.iter().find(|(at, _)| *at + WINDOW >= *now);
        let Some((at, before)) = from else { return 0 };
        let ms = now.saturating_sub(*at).as_millis().max(1);
        let moved = u128::from(done.saturating_sub(*before));
        u64::try_from(moved * 1000 / ms).unwrap_or(u64::MAX)
    }

    /// How long the rest takes at this rate; `None` when nothing moves, or that is no time to tell.
    pub(crate) fn left(&self, of: u64) -> Option<Duration> {
        let rest = of.saturating_sub(self.done());
        let seconds = rest.div_ceil(self.rate().max(1));
        (self.rate() > 0 && seconds <= LONGEST).then(|| Duration::from_secs(seconds))
    }

    /// The rates of the last moments as bars, the newest last; as wide as `width`.
    pub(crate) fn bars(&self, width: usize) -> String {
        let pairs = self.seen.iter().zip(self.seen.iter().skip(1));
        let rates: Vec<u128> = pairs
            .map(|((at, before), (now, done))| {
                let ms = now.saturating_sub(*at).as_millis().max(1);
                u128::from(done.saturating_sub(*before)) * 1000 / ms
            })
            .collect();
        let rates = rates.get(rates.len().saturating_sub(width)..).unwrap_or_default();
        let most = rates.iter().copied().max().unwrap_or(0).max(1);
        let bar = |rate: &u128| {
            let step = usize::try_from(rate * (BARS.len() as u128 - 1) / most).unwrap_or(0);
            // What moves at all is seen.
            let step = if *rate > 0 { step.max(1) } else { 0 };
            BARS.get(step).copied().unwrap_or(' ')
        };
        let empty = std::iter::repeat_n(BARS[0], width.saturating_sub(rates.len()));
        empty.chain(rates.iter().map(bar)).collect()
    }
}

/// A time as people read it: `7 s`, `3 min`, `2 h`.
pub(crate) fn time(left: Duration) -> String {
    match left.as_secs() {
        s @ 0..=99 => format!("{s} s"),
        s @ 100..=5999 => format!("{} min", s.div_ceil(60)),
        s => format!("{} h", s.div_ceil(3600)),
    }
}

/// Percent of a whole; 100 only when all is done, whatever it rounds to.
pub(crate) fn percent(done: u64, of: u64) -> u128 {
    if done >= of { 100 } else { (u128::from(done) * 100 / u128::from(of.max(1))).min(99) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut meter = Meter::default();
        assert_eq!((meter.rate(), meter.left(10), meter.bars(3)), (0, None, "▁▁▁".into()));
        for n in 0..=20 {
            meter.at(after(n), n * 1000);
        }
        assert_eq!((meter.rate(), meter.left(25_000)), (1000, Some(after(5))));
        // It stands still: for a while what was is told, then that it does.
        for n in 21..=40 {
            meter.at(after(n), 20_000);
        }
        assert_eq!((meter.rate(), meter.left(25_000)), (0, None));
        assert_eq!(meter.left(u64::MAX), None);
        // Another transfer.
        meter.at(after(41), 5);
        assert_eq!((meter.done(), meter.rate()), (5, 0));
        for n in 42..500 {
            meter.at(after(n), u64::MAX);
        }
        assert!(meter.seen.len() <= SAMPLES && meter.left(u64::MAX).is_none());
    }

    #[test]
    fn bars_show_what_moves() {
        let mut meter = Meter::default();
        for (n, done) in [0, 0, 1, 500, 1500, 1500].into_iter().enumerate() {
            meter.at(after(n as u64), done);
        }
        assert_eq!(meter.bars(5), "▁▂▄█▁");
        assert_eq!(meter.bars(7), "▁▁▁▂▄█▁");
        assert_eq!(meter.bars(2), "█▁");
    }

    #[test]
    fn times_and_percents_are_short_and_true() {
        assert_eq!([time(after(7)), time(after(100)), time(after(7200))], ["7 s", "2 min", "2 h"]);
        assert_eq!(
            [percent(0, 0), percent(999_999, 1_000_000), percent(5, 5), percent(1, 3)],
            [100, 99, 100, 33]
        );
        assert_eq!(percent(u64::MAX - 1, u64::MAX), 99);
    }
}
