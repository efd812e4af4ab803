//! Running minimum and maximum over a window, in constant space: the three best values of distinct ages.
//!
//! When the best grows too old the second takes its place. A value equal to the best renews it.

#[derive(Debug, Clone, Copy)]
struct Entry<V> {
    at: u64,
    value: V,
}

/// The best of a window. `better(a, b)` says that `a` beats `b` or equals it.
#[derive(Debug)]
struct Best<V> {
    window: u64,
    entries: Option<[Entry<V>; 3]>,
}

impl<V: Copy> Best<V> {
    fn update(&mut self, at: u64, value: V, better: impl Fn(V, V) -> bool) {
        let new = Entry { at, value };
        let Some([mut first, mut second, mut third]) = self.entries else {
            self.entries = Some([new; 3]);
            return;
        };
        if better(value, first.value) || at.saturating_sub(third.at) > self.window {
            self.entries = Some([new; 3]);
            return;
        }
        if better(value, second.value) {
            second = new;
            third = new;
        } else if better(value, third.value) {
            third = new;
        }
        let age = at.saturating_sub(first.at);
        if age > self.window {
            (first, second, third) = (second, third, new);
            if at.saturating_sub(first.at) > self.window {
                (first, second, third) = (second, third, new);
            }
        } else if second.at == first.at && age > self.window / 4 {
            second = new;
            third = new;
        } else if third.at == second.at && age > self.window / 2 {
            third = new;
        }
        self.entries = Some([first, second, third]);
    }

    fn get(&self) -> Option<V> {
        self.entries.map(|[first, ..]| first.value)
    }
}

/// Least value of a window.
#[derive(Debug)]
pub(crate) struct MinFilter(Best<u64>);

impl MinFilter {
    pub(crate) fn new(window: u64) -> Self {
        MinFilter(Best { window, entries: None })
    }

    pub(crate) fn update(&mut self, at: u64, value: u64) {
        self.0.update(at, value, |a, b| a <= b);
    }

    pub(crate) fn get(&self) -> Option<u64> {
        self.0.get()
    }
}

/// Greatest value of a window.
#[derive(Debug)]
pub(crate) struct MaxFilter(Best<f64>);

impl MaxFilter {
    pub(crate) fn new(window: u64) -> Self {
        MaxFilter(Best { window, entries: None })
    }

    pub(crate) fn update(&mut self, at: u64, value: f64) {
        self.0.update(at, value, |a, b| a >= b);
    }

    pub(crate) fn get(&self) -> f64 {
        self.0.get().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_leaves_when_it_is_old() {
        let mut filter = MaxFilter::new(10);
        assert_eq!(filter.get(), 0.0);
        filter.update(0, 50.0);
        for at in 1..=10 {
            filter.update(at, 10.0 + at as f64 / 10.0);
            assert_eq!(filter.get(), 50.0);
        }
        filter.update(11, 10.0);
        assert!(filter.get() < 12.0 && filter.get() >= 10.0);
        filter.update(12, 60.0);
        assert_eq!(filter.get(), 60.0);
        filter.update(100, 1.0);
        assert_eq!(filter.get(), 1.0);
    }

    #[test]
    fn the_least_is_never_above_a_recent_sample() {
        let mut filter = MinFilter::new(100);
        let mut samples = Vec::new();
        let mut x = 12345u64;
        for at in 0..2000u64 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let value = 100 + (x >> 33) % 1000;
            samples.push(value);
            filter.update(at, value);
            let got = filter.get().unwrap();
            let window: Vec<_> = samples.iter().rev().take(102).copied().collect();
            assert!(window.contains(&got), "a value from within the window");
            let recent = samples.iter().rev().take(25).min().unwrap();
            assert!(got <= *recent || window.iter().rev().take(80).any(|v| v == &got));
        }
    }
}
