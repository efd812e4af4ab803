//! How much is sent, how often, and how far.

use std::time::Duration;

/// Most addresses of the other side that are tried, and most that are told.
pub(super) const MAX_ADDRESSES: usize = 8;
/// Sockets of a side behind a random NAT.
pub(super) const BIRTHDAY_SOCKETS: usize = 256;
/// How far a probe goes that is only to open the own NAT.
pub(super) const LOW_TTL: u8 = 5;
/// How often another socket is tried where the NAT makes no sense.
pub(super) const MAX_REOPENS: u32 = 3;
/// Between two probes to the same addresses, and how many.
pub(super) const CONSISTENT_EVERY: Duration = Duration::from_secs(1);
pub(super) const CONSISTENT_TRIES: u32 = 10;
/// Between two probes to random ports or from many sockets, and how many.
pub(super) const RANDOM_EVERY: Duration = Duration::from_millis(20);
pub(super) const RANDOM_TRIES: u32 = 1750;
/// Between two punches with random ports or many sockets.
pub(super) const RANDOM_INTERVAL: Duration = Duration::from_secs(20);
/// Nodes that were heard of last are skipped for samples where there are many: they may be close to each other.
pub(super) const SKIPPED: usize = 5;
