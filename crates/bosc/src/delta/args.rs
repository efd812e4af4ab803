//! The flags of `delta`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `bosc delta`
#[derive(Debug, Subcommand)]
pub(crate) enum Delta {
    /// Write the patch that makes one file of another
    Make(DeltaMake),
    /// Write the file that a patch makes of another
    Apply(DeltaApply),
    /// Show what a patch says of itself
    Inspect(DeltaInspect),
    /// Show what a patch costs beside the other ways to send a file
    Bench(DeltaBench),
}

/// `bosc delta make`
#[derive(Debug, Args)]
pub(crate) struct DeltaMake {
    /// The old file
    pub(crate) old: PathBuf,
    /// The new file
    pub(crate) new: PathBuf,
    /// The patch to write
    pub(crate) patch: PathBuf,
    /// Replace an existing file
    #[arg(long, short)]
    pub(crate) force: bool,
}

/// `bosc delta apply`
#[derive(Debug, Args)]
pub(crate) struct DeltaApply {
    /// The old file
    pub(crate) old: PathBuf,
    /// The patch
    pub(crate) patch: PathBuf,
    /// The new file to write
    pub(crate) new: PathBuf,
    /// Replace an existing file
    #[arg(long, short)]
    pub(crate) force: bool,
}

/// `bosc delta inspect`
#[derive(Debug, Args)]
pub(crate) struct DeltaInspect {
    /// The patch
    pub(crate) patch: PathBuf,
}

/// `bosc delta bench`
#[derive(Debug, Args)]
pub(crate) struct DeltaBench {
    /// The old file
    pub(crate) old: PathBuf,
    /// The new file
    pub(crate) new: PathBuf,
}
