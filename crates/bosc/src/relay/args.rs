//! The flags of `relay`.

use crate::values::size;
use clap::Args;

/// `bosc relay`
#[derive(Debug, Args)]
pub(crate) struct Relay {
    /// Let everyone use it
    #[arg(long, conflicts_with = "allow")]
    pub(crate) public: bool,
    /// Let the peer with this public key use it; may be given more than once
    #[arg(long, value_name = "KEY")]
    pub(crate) allow: Vec<String>,
    /// UDP port; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Most peers connected to it [default: 256, of these 16 from one host]
    #[arg(long, value_name = "N")]
    pub(crate) max_clients: Option<usize>,
    /// Most pairs of peers at once [default: 128]
    #[arg(long, value_name = "N")]
    pub(crate) max_pairs: Option<usize>,
    /// Most pairs of one peer at once [default: 16]
    #[arg(long, value_name = "N")]
    pub(crate) max_pairs_per_client: Option<usize>,
    /// Most bytes a second between two peers, such as 500K or 8M; 0: any [default: 8M]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) max_rate: Option<u64>,
    /// Most bytes a second of all pairs together; 0: any [default: 64M]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) max_total_rate: Option<u64>,
    /// Bytes after which a pair ends; 0: any [default: 32G]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) max_bytes: Option<u64>,
    /// Milliseconds between `stats` lines [default: 10000]
    #[arg(long, value_name = "MS")]
    pub(crate) stats_interval: Option<u64>,
}
