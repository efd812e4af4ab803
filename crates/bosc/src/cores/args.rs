//! The flags of `cores`.

use clap::Args;

/// `bosc cores`
#[derive(Debug, Args)]
pub(crate) struct Cores {
    /// Also cores whose first block is not here
    #[arg(long)]
    pub(crate) all_cores: bool,
}
