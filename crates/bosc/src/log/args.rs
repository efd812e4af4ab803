//! The flags of `log`.

use clap::Args;

/// `bosc log`
#[derive(Debug, Args)]
pub(crate) struct Log {
    /// The link; a verlink says where to begin
    pub(crate) link: String,
    /// Show at most this many releases, the newest
    #[arg(long, short, default_value_t = 20)]
    pub(crate) max: usize,
    /// Also read a mirror: a web address, or a folder; may be given more than once
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) mirror: Vec<String>,
    /// How long to look for peers
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
}
