//! Where a test's seed comes from, and how it is shown when the test fails.

use crate::rng::Rng;

/// The environment variable that replays one seed.
pub const SEED_VARIABLE: &str = "BOSC_SEED";

/// Holds a test's seed and prints it if the test panics while this is alive.
///
/// ```
/// use bosc_testkit::Replay;
/// for replay in Replay::seeds("doc", 3) {
///     let mut rng = replay.rng();
///     assert!(rng.below(10) < 10);
/// }
/// ```
#[derive(Debug)]
pub struct Replay {
    name: String,
    seed: u64,
}

impl Replay {
    /// This seed, or the one in `BOSC_SEED` if that is set.
    pub fn new(name: &str, seed: u64) -> Self {
        Replay { name: name.to_owned(), seed: forced().unwrap_or(seed) }
    }

    /// `count` seeds, one after the other; or only the one in `BOSC_SEED` if that is set.
    pub fn seeds(name: &str, count: u64) -> impl Iterator<Item = Replay> + use<> {
        let name = name.to_owned();
        let forced = forced();
        let count = if forced.is_some() { 1 } else { count };
        (0..count).map(move |seed| Replay { name: name.clone(), seed: forced.unwrap_or(seed) })
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A generator for the seed.
    pub fn rng(&self) -> Rng {
        Rng::new(self.seed)
    }
}

impl Drop for Replay {
    #[expect(clippy::print_stderr, reason = "a failing test must say how to repeat it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: repeat with {SEED_VARIABLE}={}", self.name, self.seed);
        }
    }
}

fn forced() -> Option<u64> {
    std::env::var(SEED_VARIABLE).ok()?.trim().parse().ok()
}
