//! A topic that is joined: how, when it was looked at last, and when it is looked at next.

use super::types::Part;
use bosc_format::crypto::PublicKey;
use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Joined {
    pub(super) part: Part,
    pub(super) announced: bool,
    pub(super) querying: bool,
    pub(super) again: bool,
    pub(super) next: Option<Duration>,
    pub(super) flushing: Option<BTreeSet<PublicKey>>,
    pub(super) queried_once: bool,
    /// This query found somebody.
    pub(super) found: bool,
    /// Queries in a row that found nobody.
    pub(super) empty: u32,
    /// Queries in a row that failed outright.
    pub(super) failed: u32,
    /// When the last query began.
    pub(super) looked: Option<Duration>,
    pub(super) urgent: Option<Urgent>,
}

/// How far a topic's urgency has got.
#[derive(Debug)]
pub(super) struct Urgent {
    pub(super) wait: Duration,
    /// Of the next look; `None` while a query runs.
    pub(super) at: Option<Duration>,
}

impl Joined {
    /// When the next look is due.
    pub(super) fn due(&self) -> Option<Duration> {
        let urgent = self.urgent.as_ref().and_then(|u| u.at);
        [self.next, urgent].into_iter().flatten().min().filter(|_| !self.querying)
    }

    pub(super) fn restart(&mut self, wait: Duration, now: Duration) {
        if let Some(u) = &mut self.urgent {
            u.wait = wait;
            u.at = (!self.querying).then_some(now + wait);
        }
    }
}
