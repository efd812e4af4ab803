//! The flags of `publish`.

use crate::build::args::Apps;
use clap::Args;
use std::path::PathBuf;

/// `bosc publish`
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The deployment directory or, with applications, the project
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Show what would change, and write nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
    /// If package.json has no link, make one and write it there without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Leave out what matches these patterns: `*` in a name, `**` across folders, a leading `!` for an exception
    #[arg(long, value_name = "GLOB,...", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// Publish these files and folders although they look secret; --ci refuses all others
    #[arg(long, value_name = "PATH,...", value_delimiter = ',')]
    pub(crate) allow: Vec<String>,
    /// Publish these files although a secret key is written out in them; only for keys that open nothing
    #[arg(long, value_name = "PATH,...", value_delimiter = ',')]
    pub(crate) allow_key: Vec<String>,
    /// Seed until this many peers hold a full copy; 0 does not seed [default: 1, with --ci 2]
    #[arg(long, value_name = "N")]
    pub(crate) copies: Option<usize>,
    /// Seed no longer than this [default: 600; without --copies and --ci, 30 after a peer last came or fetched]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) wait: Option<f64>,
    /// What is built
    #[command(flatten)]
    pub(crate) build: Artifacts,
    /// Publish from a machine that has nothing but the primary key
    #[arg(long)]
    pub(crate) ci: bool,
    /// Name of the link's key pair: one primary key makes many links [default: the package's name]
    #[arg(long, value_name = "NAME", requires = "ci")]
    pub(crate) name: Option<String>,
    /// How long to look for a peer that holds a full copy of the link [default: 60]
    #[arg(long, value_name = "SECONDS", requires = "ci")]
    pub(crate) wait_peers: Option<f64>,
    /// A folder that keeps the link's blocks between runs; it is made when missing
    #[arg(long, alias = "mirror", value_name = "DIR", requires = "ci")]
    pub(crate) cache: Option<PathBuf>,
    /// A small file for the repository that records the link's length: nothing is written on top of less
    #[arg(long, value_name = "FILE", requires = "ci")]
    pub(crate) snapshot: Option<PathBuf>,
    /// The link was never published to: no peer needs to hold it
    #[arg(long, requires = "ci")]
    pub(crate) first: bool,
    /// No other copy of this store is in use: it was moved or restored from a backup, and may write again
    #[arg(long)]
    pub(crate) sole_copy: bool,
}

/// Per-OS applications that make the deployment directory.
#[derive(Debug, Args)]
pub(crate) struct Artifacts {
    /// Where the deployment directory is made [default: DIR/<name>-<version>]
    #[arg(long, value_name = "DIR")]
    pub(crate) target: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) apps: Apps,
    /// Replace an existing deployment directory
    #[arg(long)]
    pub(crate) force_build: bool,
}
