//! The flags of `stage`.

use clap::Args;
use std::path::PathBuf;

/// `bosc stage`
#[derive(Debug, Args)]
pub(crate) struct Stage {
    /// The link to stage to
    pub(crate) link: String,
    /// The folder to stage; it holds a package.json, or lies in a Rust or Tauri project
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Show what would change, and write nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
    /// Leave out what matches these patterns: `*` in a name, `**` across folders, a leading `!` for an exception
    #[arg(long, value_name = "GLOB,...", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// Stage only what is below these paths
    #[arg(long, value_name = "PATH,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Remove staged files that are ignored now
    #[arg(long)]
    pub(crate) purge: bool,
    /// First cut the drive back to this length, as in a verlink; only for links that were not released
    #[arg(long, value_name = "LENGTH")]
    pub(crate) truncate: Option<u64>,
    /// Do not ask peers for the newest version: this store has it, although other machines have the key (not for a
    /// copied store)
    #[arg(long)]
    pub(crate) newest: bool,
    /// No other copy of this store is in use: it was moved or restored from a backup, and may write again
    #[arg(long)]
    pub(crate) sole_copy: bool,
    /// Stage a folder without a package.json, or with one that clients cannot use
    #[arg(long)]
    pub(crate) skip_package_json: bool,
    /// Do not warn about these files and folders that look secret
    #[arg(long, value_name = "PATH,...", value_delimiter = ',')]
    pub(crate) allow: Vec<String>,
    /// Stage these files although a secret key is written out in them; only for keys that open nothing
    #[arg(long, value_name = "PATH,...", value_delimiter = ',')]
    pub(crate) allow_key: Vec<String>,
    /// Make no deltas from the releases before: installed applications fetch the blocks that changed
    #[arg(long)]
    pub(crate) no_deltas: bool,
    /// Keep no packed copies of large files for first installs
    #[arg(long)]
    pub(crate) no_packed: bool,
}
