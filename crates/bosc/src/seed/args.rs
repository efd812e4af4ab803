//! The flags of `seed`.

use clap::Args;

/// `bosc seed`
#[derive(Debug, Args)]
pub(crate) struct Seed {
    /// The link to seed
    pub(crate) link: String,
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
}
