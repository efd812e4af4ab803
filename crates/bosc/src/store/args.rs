//! The flags of `store`.

use clap::{Args, Subcommand};

/// `bosc store`
#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Read every block and compare it with what was stored
    Check(StoreCheck),
    /// Fetch damaged blocks from peers
    Repair(StoreRepair),
}

/// `bosc store check`
#[derive(Debug, Args)]
pub(crate) struct StoreCheck {
    /// Only this link
    pub(crate) link: Option<String>,
}

/// `bosc store repair`
#[derive(Debug, Args)]
pub(crate) struct StoreRepair {
    /// Only this link
    pub(crate) link: Option<String>,
    /// Give up when no peer has delivered anything for this long
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
}
