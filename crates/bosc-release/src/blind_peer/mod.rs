//! `blind-peer`: keeps cores available for clients that ask for it, Bosc's (`seed --blind-peer`) and those of npm `blind-peering`.
//!
//! It can write none of them, and reads no more of them than anybody who knows their keys. What it keeps came in blocks that were
//! proved against the core's key.
//!
//! # Files
//!
//! - `plan`: which cores are kept, fetched and cleared: their order, a network's share, the grace of one that nobody wants. `record`:
//!   what is remembered of one in the store. `command`: doing it, how many are announced. `event`: what is told.

pub(crate) mod command;
pub mod event;
mod plan;
mod record;

use serde::{Deserialize, Serialize};

/// `bosc blind-peer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlindPeer {
    /// UDP port; none or 0 takes a free one.
    pub port: Option<u16>,
    /// Do not ask the router for a port.
    pub no_port_mapping: bool,
    /// Everyone may ask, not only those in `allow`.
    pub public: bool,
    /// Public keys of clients that may ask and whose cores are announced if they ask for that.
    pub allow: Vec<String>,
    /// Most bytes of blocks that are kept.
    pub max_disk: u64,
    /// Most cores that are kept.
    pub max_cores: usize,
    /// Milliseconds between two `stats`.
    pub stats_interval_ms: u64,
}

impl Default for BlindPeer {
    fn default() -> Self {
        Self {
            port: None,
            no_port_mapping: false,
            public: false,
            allow: Vec::new(),
            max_disk: 10 << 30,
            max_cores: 1000,
            stats_interval_ms: 10_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::event::{BlindPeerEvent as E, BlindPeerStats};

    #[test]
    fn its_events_have_the_names_that_others_read() {
        let stats = BlindPeerStats {
            clients: 1,
            cores: 2,
            announced: 3,
            bytes: 4,
            waiting: 5,
            added: 6,
            refused: 7,
            cleared_bytes: 8,
        };
        crate::golden::events(vec![
            (
                E::Keeping { key: "k".into(), port: 1, public: true, allowed: 0, cores: 2, bytes: 3 },
                "keeping",
                r#"{"key":"k","port":1,"public":true,"allowed":0,"cores":2,"bytes":3}"#,
            ),
            (E::Announced, "announced", "null"),
            (E::Offline { tried: vec!["a".into()] }, "offline", r#"{"tried":["a"]}"#),
            (
                E::Add { core: "c".into(), client: "k".into(), announce: true },
                "add",
                r#"{"core":"c","client":"k","announce":true}"#,
            ),
            (E::Full { core: "c".into(), client: "k".into() }, "full", r#"{"core":"c","client":"k"}"#),
            (E::Whole { core: "c".into(), bytes: 1 }, "whole", r#"{"core":"c","bytes":1}"#),
            (E::Cleared { core: "c".into(), bytes: 1 }, "cleared", r#"{"core":"c","bytes":1}"#),
            (E::Removed { core: "c".into() }, "removed", r#"{"core":"c"}"#),
            (
                E::Stats(stats),
                "stats",
                r#"{"clients":1,"cores":2,"announced":3,"bytes":4,"waiting":5,"added":6,"refused":7,"clearedBytes":8}"#,
            ),
        ]);
    }
}
