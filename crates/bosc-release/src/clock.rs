//! The time of day, where something has to be dated. What only passes is measured by `bosc_follow::Alarm`.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970; 0 by a clock that stands before.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
