//! The flags of `dht`.

use clap::Args;

/// `bosc dht`
#[derive(Debug, Args)]
pub(crate) struct Dht {
    /// Run a whole private network on this machine's loopback, and print the line that has commands use it
    #[arg(long, conflicts_with_all = ["host", "public_host"])]
    pub(crate) local: bool,
    /// UDP port; 0 takes any free one
    #[arg(long, default_value_t = 49737)]
    pub(crate) port: u16,
    /// Address to bind
    #[arg(long, default_value = "0.0.0.0")]
    pub(crate) host: std::net::Ipv4Addr,
    /// The address at which others reach this node, if it is not the bound one
    #[arg(long)]
    pub(crate) public_host: Option<std::net::Ipv4Addr>,
}
