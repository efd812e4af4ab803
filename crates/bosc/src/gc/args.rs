//! The flags of `gc`.

use clap::{Args, Subcommand};

/// `bosc gc`
#[derive(Debug, Subcommand)]
pub(crate) enum Gc {
    /// Remove the blocks of one link; whoever seeds it has them
    Cores(GcCores),
    /// Remove the blocks of unfinished downloads
    Downloads(GcDownloads),
    /// Remove what `stage` remembers; the next one reads every file again
    StageIndex(GcPlain),
    /// Rewrite the store's files without the space that nothing uses
    Store(GcPlain),
}

/// `bosc gc cores`
#[derive(Debug, Args)]
pub(crate) struct GcCores {
    /// The link
    pub(crate) link: String,
    /// Even if this store writes to the link, or an application was installed from it
    #[arg(long)]
    pub(crate) force: bool,
    /// Show what would be removed, and remove nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
}

/// `bosc gc downloads`
#[derive(Debug, Args)]
pub(crate) struct GcDownloads {
    /// Even if some of it is damaged here and could be repaired, or an application was installed from it
    #[arg(long)]
    pub(crate) force: bool,
    /// Show what would be removed, and remove nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
}

/// Flags of the other kinds of `bosc gc`
#[derive(Debug, Args)]
pub(crate) struct GcPlain {
    /// Show what would be removed, and remove nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
}
