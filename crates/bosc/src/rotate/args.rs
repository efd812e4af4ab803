//! The flags of `rotate`.

use clap::Args;

/// `bosc rotate`
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The link that is followed now
    pub(crate) old: String,
    /// The link that is to be followed
    pub(crate) new: String,
    /// Only see, from outside, where followers of OLD end
    #[arg(long)]
    pub(crate) check: bool,
    /// If a quorum signs OLD: the link to prepare the release on [default: a new one]
    #[arg(long, value_name = "LINK", conflicts_with = "check")]
    pub(crate) target: Option<String>,
    /// Check both links, show what would change, and write nothing
    #[arg(long, short, conflicts_with = "check")]
    pub(crate) dry_run: bool,
    /// No other copy of this store is in use: it was moved or restored from a backup, and may write again
    #[arg(long, conflicts_with = "check")]
    pub(crate) sole_copy: bool,
    /// How many peers must hold full copies of both links
    #[arg(long, value_name = "N", default_value_t = bosc_release::publish::KEPT_COPIES)]
    pub(crate) copies: usize,
    /// Give up when no peer has delivered anything for this long
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
    /// Seed OLD no longer than this after the release
    #[arg(long, value_name = "SECONDS", default_value_t = 600.0)]
    pub(crate) wait: f64,
    /// How long a provision waits before it writes
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) cooldown: f64,
    /// Do not wait before writing
    #[arg(long, short)]
    pub(crate) yes: bool,
}
