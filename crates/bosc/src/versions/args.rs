//! The flags of `versions`.

use clap::Args;

/// `bosc versions`
#[derive(Debug, Args)]
pub(crate) struct Versions {
    /// The link; a verlink says where to stop
    pub(crate) link: Option<String>,
    /// Show at most this many versions, the newest
    #[arg(long, short, default_value_t = 1000)]
    pub(crate) max: usize,
    /// How long to look for peers
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
}
