//! `relay`: a blind relay, through which peers connect who cannot reach each other.
//!
//! It passes ciphertext on and sees who talks to whom, how much and when. The relay has a node of its own, beside that of the store: who
//! connects to its key is a client and no peer, and no drive of the store is offered to it. Its key is kept in the store and stays the
//! same.
//!
//! # Files
//!
//! - `command`: the relay's node and its key. `event`: what is told.

pub(crate) mod command;
pub mod event;

use bosc_node::RelayBounds;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `bosc relay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// UDP port; 0 takes a free one.
    pub port: u16,
    /// Public keys of those who may use it; `None`: everyone.
    pub allow: Option<Vec<String>>,
    /// Clients at once.
    pub clients: usize,
    /// Clients at once from one host.
    pub clients_per_host: usize,
    /// Pairs at once.
    pub pairs: usize,
    /// Pairs of one client at once.
    pub pairs_per_client: usize,
    /// How long one half of a pair waits for the other, in milliseconds.
    pub pair_timeout_ms: u64,
    /// A pair over which nothing passes for so long is over, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Bytes a second of one pair; 0: any.
    pub rate: u64,
    /// Bytes a second of all pairs; 0: any.
    pub total_rate: u64,
    /// Bytes of one pair in its life; 0: any.
    pub bytes: u64,
    /// Milliseconds between two `stats`.
    pub stats_interval_ms: u64,
}

impl Default for Relay {
    fn default() -> Self {
        let RelayBounds { clients, clients_per_host, pairs, traffic } = RelayBounds::default();
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Self {
            port: 0,
            allow: Some(Vec::new()),
            clients,
            clients_per_host,
            pairs: pairs.pairs,
            pairs_per_client: pairs.pairs_per_client,
            pair_timeout_ms: ms(pairs.pair_timeout),
            idle_timeout_ms: ms(traffic.idle),
            rate: traffic.rate,
            total_rate: traffic.total_rate,
            bytes: traffic.bytes,
            stats_interval_ms: 10_000,
        }
    }
}

impl Relay {
    fn bounds(&self) -> RelayBounds {
        let mut bounds = RelayBounds {
            clients: self.clients,
            clients_per_host: self.clients_per_host,
            ..RelayBounds::default()
        };
        bounds.pairs.pairs = self.pairs;
        bounds.pairs.pairs_per_client = self.pairs_per_client;
        bounds.pairs.waiting_per_client = self.pairs_per_client;
        bounds.pairs.pair_timeout = Duration::from_millis(self.pair_timeout_ms);
        bounds.traffic.idle = Duration::from_millis(self.idle_timeout_ms);
        (bounds.traffic.rate, bounds.traffic.total_rate, bounds.traffic.bytes) =
            (self.rate, self.total_rate, self.bytes);
        bounds
    }
}

#[cfg(test)]
mod tests {
    use super::event::{RelayEvent, RelayStats};
    use super::*;

    #[test]
    fn its_defaults_are_those_of_the_node() {
        let mut expected = RelayBounds::default();
        expected.pairs.waiting_per_client = expected.pairs.pairs_per_client;
        assert_eq!(Relay::default().bounds(), expected);
    }

    #[test]
    fn its_events_have_the_names_that_others_read() {
        let stats = RelayStats {
            clients: 1,
            waiting: 2,
            pairs: 3,
            paired: 4,
            expired: 5,
            refused: 6,
            bytes: 7,
            packets: 8,
            dropped: 9,
        };
        crate::golden::events(vec![
            (
                RelayEvent::Relaying { key: "k".into(), port: 1, public: true, allowed: 0 },
                "relaying",
                r#"{"key":"k","port":1,"public":true,"allowed":0}"#,
            ),
            (RelayEvent::Announced, "announced", "null"),
            (RelayEvent::Offline { tried: vec!["a".into()] }, "offline", r#"{"tried":["a"]}"#),
            (
                RelayEvent::Stats(stats),
                "stats",
                r#"{"clients":1,"waiting":2,"pairs":3,"paired":4,"expired":5,"refused":6,"bytes":7,"packets":8,"dropped":9}"#,
            ),
        ]);
    }
}
