//! The flags of `data`.

use clap::{Args, Subcommand};

/// `bosc data`
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Show the DHT nodes that this machine can reach
    Dht(DataDht),
    /// Show the links that were committed from this store
    Multisig,
}

/// `bosc data dht`
#[derive(Debug, Args)]
pub(crate) struct DataDht {
    /// How long to ask the network
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) timeout: f64,
}
