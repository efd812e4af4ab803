//! The flags of `dump`.

use clap::Args;
use std::path::PathBuf;

/// `bosc dump`
#[derive(Debug, Args)]
pub(crate) struct Dump {
    /// The link; a path may follow the key
    pub(crate) link: String,
    /// Where to write; `-` (the default, unless stdout is a terminal) writes the contents to stdout
    pub(crate) dir: Option<PathBuf>,
    /// Show what would change, and write nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
    /// Read the drive as it was at this length
    #[arg(long, value_name = "LENGTH")]
    pub(crate) checkout: Option<u64>,
    /// Only what is below these paths; nothing else is written or removed
    #[arg(long, value_name = "PATH,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Write into a folder that is not empty, and in the end remove what the drive does not have there
    #[arg(long, short)]
    pub(crate) force: bool,
    /// List the files, and write nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Keep files that the drive does not have
    #[arg(long)]
    pub(crate) no_prune: bool,
    /// Give up when no peer has delivered anything for this long
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
    /// Also fetch from a mirror (`bosc mirror`): a web address, or a folder; may be given more than once
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) mirror: Vec<String>,
}
