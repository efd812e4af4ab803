//! The flags of `seed`.

use crate::values::size;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `bosc seed`
#[derive(Debug, Args)]
pub(crate) struct Seed {
    /// The link to seed
    #[arg(required_unless_present = "links")]
    pub(crate) link: Option<String>,
    /// Seed the links in FILE, one a line; # begins a comment. SIGHUP has it read again
    #[arg(long, value_name = "FILE", conflicts_with_all = ["link", "until_sync", "timeout"])]
    pub(crate) links: Option<PathBuf>,
    /// Most peers connected at once, 1 to 10000 [default: 128]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_peers: Option<u32>,
    /// Most bytes a second sent to all peers together, such as 500K or 8M; at least 1K [default: any]
    #[arg(long, value_name = "BYTES", value_parser = size, visible_alias = "bandwidth-up")]
    pub(crate) upload_limit: Option<u64>,
    /// Most bytes kept of links that others write, such as 20G: a version that does not fit is not fetched [default: any]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) max_disk: Option<u64>,
    /// Serve /metrics (Prometheus) and /healthz over HTTP: a port of 127.0.0.1, or ADDRESS:PORT [default: no]
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<String>,
    /// Show who is connected and which version each has, every SECONDS and at the end [default: no; without SECONDS: 60]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "60")]
    pub(crate) stats: Option<f64>,
    /// UDP port that peers connect to; 0 takes any free one [default: 0]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Do not ask the router, by UPnP, NAT-PMP or PCP, for a port that leads here
    #[arg(long)]
    pub(crate) no_port_mapping: bool,
    /// Also be a blind relay, for peers that share a link with this seeder or for anyone [default: no]
    #[arg(long, value_name = "WHO", value_enum)]
    pub(crate) relay_for: Option<RelayFor>,
    /// Most bytes a second that are relayed, such as 8M; of one pair a quarter [default: 8M]
    #[arg(long, value_name = "BYTES", value_parser = size, requires = "relay_for")]
    pub(crate) relay_rate: Option<u64>,
    /// Also ask the blind peer with this key to keep the links available; may be given more than once
    #[arg(long, value_name = "KEY")]
    pub(crate) blind_peer: Vec<String>,
    /// End when this peer holds a full copy; may be given more than once
    #[arg(long, value_name = "KEY")]
    pub(crate) until_sync: Vec<String>,
    /// Milliseconds between `stats` lines [default: 500 on a terminal, else 3000]
    #[arg(long, value_name = "MS")]
    pub(crate) stats_interval: Option<u64>,
    /// Print lines instead of the live table
    #[arg(long)]
    pub(crate) no_tty: bool,
    /// Fail when the drive is not here and no peer offers it within this time
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<f64>,
    /// Also fetch from a mirror (`bosc mirror`): a web address, or a folder; may be given more than once
    #[arg(long, value_name = "URL|DIR", conflicts_with = "links")]
    pub(crate) mirror: Vec<String>,
    /// Keep a mirror of the link up to date there: a folder, s3://, gs://, az:// or a WebDAV address (see `bosc mirror`)
    #[arg(long, value_name = "TARGET", conflicts_with = "links")]
    pub(crate) mirror_to: Option<String>,
    /// Say every hour, with this operator's key, that what the link holds is the newest (see `bosc refresh`)
    #[arg(long, value_name = "NAME", conflicts_with = "links")]
    pub(crate) refresh_with: Option<String>,
    /// Folder of the operators' keys [default: ~/.pear, then ~/.hypercore-sign]
    #[arg(long = "keys", env = "BOSC_KEYS", value_name = "DIR")]
    pub(crate) keys: Option<PathBuf>,
    /// Read the passphrase of that key from the first line of this open file descriptor [default: BOSC_PASSPHRASE, else asked for]
    #[arg(long, value_name = "N", requires = "refresh_with")]
    pub(crate) passphrase_fd: Option<u32>,
}

/// Whom a seeder relays for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RelayFor {
    Peers,
    Any,
}
