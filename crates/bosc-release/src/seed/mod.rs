//! `seed`: keeping drives available, and looking for rot in them meanwhile.
//!
//! One link, or those of a file that is read again when its owner says so. One thread looks at all of them whenever the node
//! tells of something, and at the times they asked for.
//!
//! # Files
//!
//! - Here: how long a seeder that ends may take.
//! - `command`: one or many links, from the start to a graceful end; the file read again, DHT and router told of. `seeding`: one of
//!   them: what is fetched, when it is whole.
//! - `blind`: blind peers that are asked to keep them, too. `links`: the file of links: comments, bad lines, how many. `disk`: how
//!   much is fetched at most (`--max-disk`), and which link fits.
//! - `board`: what is told to machines, taken from the loop; `metrics`: as Prometheus text; `health`: as yes or no, and why; `serve`:
//!   over HTTP: connections, time and size of a request. `notify`: to systemd.
//! - `scrub`: looking for rot: how fast, how often, after an error. `event/`: what is told on the way.

mod blind;
mod board;
pub(crate) mod command;
mod disk;
pub mod event;
mod health;
mod links;
mod metrics;
mod notify;
pub(crate) mod scrub;
mod seeding;
mod serve;

use crate::operator::RefreshKey;
use bosc_node::RelayBounds;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// How long a seeder that ends may take to write what it has begun to send to peers.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// `bosc seed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// The link to seed; a version of it stands for the link, with all its versions. Empty with `links`.
    pub link: String,
    /// A file of links, instead of one.
    #[serde(default, with = "crate::wire_path")]
    pub links: Option<PathBuf>,
    /// Stop when these peers (z32 public keys) have everything.
    pub until_sync: Vec<String>,
    /// Milliseconds between `stats` events.
    pub stats_interval_ms: u64,
    /// Fail when nothing was received by then, in milliseconds, and nothing is here either.
    pub timeout_ms: Option<u64>,
    /// UDP port; none or 0 takes any free one.
    #[serde(default)]
    pub port: Option<u16>,
    /// Do not ask the router for a port.
    #[serde(default)]
    pub no_port_mapping: bool,
    /// Milliseconds between two tables of peers, which also come at the end; none: no tables.
    #[serde(default)]
    pub peers_interval_ms: Option<u64>,
    /// Be a blind relay as well.
    #[serde(default)]
    pub relay: Option<SeedRelay>,
    /// Public keys of blind peers that are asked to keep the links available, too.
    #[serde(default)]
    pub blind_peers: Vec<String>,
    /// Most connections at once.
    #[serde(default)]
    pub max_peers: Option<usize>,
    /// Most bytes a second to all peers together.
    #[serde(default)]
    pub upload_limit: Option<u64>,
    /// Most bytes of blocks that are kept of links of others.
    #[serde(default)]
    pub max_disk: Option<u64>,
    /// Where metrics are served over HTTP: a port of 127.0.0.1, or an address and a port.
    #[serde(default)]
    pub metrics: Option<String>,
    /// Mirrors to read from beside peers: URLs, or absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// Where a mirror is kept up to date: a URL, or an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror_to: Option<String>,
    /// An operator's key, to say again and again what is the newest. Not for another process.
    #[serde(skip)]
    pub refresh: Option<RefreshKey>,
}

/// A seeder that is a blind relay as well, with bounds that leave most of its line to its links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedRelay {
    /// Everyone may use it, not only peers that share a link with it at the moment.
    pub anyone: bool,
    /// Bytes a second of all pairs together; of one pair a quarter.
    pub rate: u64,
}

impl SeedRelay {
    /// What is passed on if nothing else is asked for: 8 MiB a second.
    pub const RATE: u64 = 8 << 20;

    pub(crate) fn bounds(&self) -> RelayBounds {
        let mut bounds = RelayBounds { clients: 64, clients_per_host: 8, ..RelayBounds::default() };
        bounds.pairs.pairs = 32;
        bounds.pairs.pairs_per_client = 4;
        bounds.pairs.waiting_per_client = 4;
        bounds.traffic.total_rate = self.rate;
        bounds.traffic.rate = (self.rate / 4).max(1);
        bounds.traffic.bytes = 4 << 30;
        bounds
    }
}

impl Seed {
    /// Whether it changes the node or the process as a whole: then it runs in the process that was asked, or not at all.
    pub(crate) fn needs_own_process(&self) -> bool {
        self.links.is_some()
            || self.refresh.is_some()
            || self.mirror_to.as_deref().is_some_and(|to| !crate::mirror::target::is_folder(to))
            || self.max_peers.is_some()
            || self.upload_limit.is_some()
            || self.max_disk.is_some()
            || self.metrics.is_some()
            || self.port.is_some()
            || self.relay.is_some()
            || !self.blind_peers.is_empty()
            || self.no_port_mapping
    }
}
