//! The flags of `blind-peer`.

use crate::values::size;
use clap::Args;

/// `bosc blind-peer`
#[derive(Debug, Args)]
pub(crate) struct BlindPeer {
    /// Let everyone ask; cores of those who are not allowed by name are not announced
    #[arg(long)]
    pub(crate) public: bool,
    /// Let the peer with this public key ask, and announce its cores; may be given more than once
    #[arg(long, value_name = "KEY")]
    pub(crate) allow: Vec<String>,
    /// UDP port; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Do not ask the router, by UPnP, NAT-PMP or PCP, for a port that leads here
    #[arg(long)]
    pub(crate) no_port_mapping: bool,
    /// Most bytes kept, such as 20G
    #[arg(long, value_name = "BYTES", value_parser = size, default_value = "10G")]
    pub(crate) max_disk: u64,
    /// Most cores kept, 1 to 10000; a drive has two
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) max_cores: u32,
    /// Milliseconds between `stats` lines [default: 10000]
    #[arg(long, value_name = "MS")]
    pub(crate) stats_interval: Option<u64>,
}
