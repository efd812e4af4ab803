//! How long to wait for a reply before sending again (npm `adaptive-timeout`).
//!
//! Per address, a smoothed round trip time and its deviation; the wait is `rtt + 2 * deviation`, times the
//! attempt, plus jitter, between 300 ms and 4 s. For an address never measured it is 250, 500, 1000, 2000,
//! then 4000 ms, plus jitter. Jitter is up to 256 ms.
//!
//! What a node passes on to another one ([`AdaptiveTimeout::wait_relayed`]) takes a second path, of which nothing is known: npm waits
//! a second each time. Here the first wait is what four round trips to the node take, if that is less: a datagram that is lost on a
//! path of 100 ms costs half a second. Whoever answers takes the repeated one for the same.

use crate::records::cache::Cache;
use crate::rng::Rng;
use std::net::SocketAddrV4;
use std::time::Duration;

const MIN: i64 = 300;
const MAX: i64 = 4000;
const JITTER: u64 = 256;
/// Waits for what is passed on: round trips of the first, least, most.
const RELAYED_TRIPS: i64 = 4;
const RELAYED_MIN: i64 = 400;
const RELAYED: i64 = 1000;
const MAX_AGE: Duration = Duration::from_secs(600);
const MAX_ADDRESSES: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Rtt {
    avg: i64,
    deviation: i64,
}

#[derive(Debug)]
pub(crate) struct AdaptiveTimeout {
    known: Cache<SocketAddrV4, Rtt>,
}

impl AdaptiveTimeout {
    pub(crate) fn new(now: Duration) -> Self {
        Self { known: Cache::new(MAX_ADDRESSES, MAX_AGE, now) }
    }

    pub(crate) fn measured(&mut self, to: SocketAddrV4, rtt: Duration, now: Duration) {
        let value = i64::try_from(rtt.as_millis()).unwrap_or(MAX).min(60_000);
        let next = match self.known.get(&to, now) {
            None => Rtt { avg: value, deviation: value >> 1 },
            Some(r) => Rtt {
                deviation: r.deviation + (((r.avg - value).abs() - r.deviation) >> 2),
                avg: r.avg + ((value - r.avg) >> 3),
            },
        };
        self.known.set(to, next, now);
    }

    /// The wait for the `attempt`-th datagram of a request that is passed on, counted from 1.
    pub(crate) fn wait_relayed(&mut self, to: SocketAddrV4, attempt: u32, now: Duration) -> Duration {
        let first = self.known.get(&to, now).filter(|_| attempt <= 1);
        let ms = first.map_or(RELAYED, |r| {
            (r.avg + (r.deviation << 1)).saturating_mul(RELAYED_TRIPS).clamp(RELAYED_MIN, RELAYED)
        });
        Duration::from_millis(ms.unsigned_abs())
    }

    /// The wait for the `attempt`-th datagram of a request, counted from 1.
    pub(crate) fn wait(&mut self, to: SocketAddrV4, attempt: u32, rng: &mut Rng, now: Duration) -> Duration {
        let jitter = rng.below(JITTER) as i64;
        let ms = match self.known.get(&to, now) {
            Some(r) => {
                ((r.avg + (r.deviation << 1)).saturating_mul(i64::from(attempt)) + jitter).clamp(MIN, MAX)
            }
            None => match attempt {
                0 | 1 => 250 + jitter,
                2 => 500 + jitter,
                3 => 1000 + jitter,
                4 => 2000 + jitter,
                _ => 4000 + jitter,
            },
        };
        Duration::from_millis(ms.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_on_is_repeated_sooner_where_the_first_half_of_the_way_is_short() {
        let (near, far, unknown) = (1, 2, 3);
        let at = |host| SocketAddrV4::new([10, 0, 0, host].into(), 1);
        let mut adaptive = AdaptiveTimeout::new(Duration::ZERO);
        for _ in 0..30 {
            adaptive.measured(at(near), Duration::from_millis(100), Duration::ZERO);
            adaptive.measured(at(far), Duration::from_millis(400), Duration::ZERO);
        }
        let mut wait = |host, attempt| adaptive.wait_relayed(at(host), attempt, Duration::ZERO);
        assert!((400..500).contains(&wait(near, 1).as_millis()));
        for (host, attempt) in [(near, 2), (far, 1), (unknown, 1), (unknown, 2)] {
            assert_eq!(wait(host, attempt), Duration::from_secs(1));
        }
    }
}
