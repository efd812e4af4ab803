//! The flags of `line`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `bosc line`
#[derive(Debug, Args)]
pub(crate) struct Line {
    /// The file that declares the lines
    #[arg(long, global = true, value_name = "FILE", default_value = bosc_release::line::file::FILE_NAME)]
    pub(crate) file: PathBuf,
    /// How long to look for peers
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 15.0)]
    pub(crate) timeout: f64,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: LineCommand,
}

/// The commands below `bosc line`.
#[derive(Debug, Subcommand)]
pub(crate) enum LineCommand {
    /// Show all lines side by side, and what is ahead of what
    List,
    /// Show one line
    Show {
        /// Its name
        name: String,
    },
    /// Write the five usual lines: development, staging, rc, prerelease, production
    Init {
        /// The file with the signers of production, if there is one yet
        #[arg(long, value_name = "FILE", default_value = "pear.json")]
        config: PathBuf,
    },
    /// Declare a line, with a new link unless one is given
    Add(Add),
    /// Remove a line from the file; its link and what is on it stay
    Remove {
        /// Its name
        name: String,
    },
    /// Make what one line holds the next release of another line
    Promote(Promote),
}

/// How a line gets its releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    // Staged by whoever has its key. (No help for each: see `Color`.)
    Stage,
    // Production's blocks and one batch that equals its source.
    Provision,
    // A copy of its source that a quorum signs.
    Multisig,
}

/// `bosc line add`
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Its name
    pub(crate) name: String,
    /// How it gets its releases
    #[arg(long, value_enum)]
    pub(crate) kind: Kind,
    /// Its link [default: a new one, unless a quorum signs it]
    #[arg(long)]
    pub(crate) link: Option<String>,
    /// The line it is promoted from
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// The line whose blocks it starts with; for provision lines
    #[arg(long, value_name = "NAME")]
    pub(crate) production: Option<String>,
    /// How many full copies are wanted, or the keys of the peers that should hold one
    #[arg(long, value_name = "N|KEY,...")]
    pub(crate) seeds: Option<String>,
    /// Change an existing line
    #[arg(long)]
    pub(crate) replace: bool,
}

/// `bosc line promote`
#[derive(Debug, Args)]
pub(crate) struct Promote {
    /// The line to take from
    pub(crate) from: String,
    /// The line to release on
    pub(crate) to: String,
    /// Take the version of this length, as in a verlink, not the newest
    #[arg(long, value_name = "LENGTH")]
    pub(crate) length: Option<u64>,
    /// Show what would happen, and write nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
    /// Even if the line is declared to come from another one
    #[arg(long)]
    pub(crate) force: bool,
    /// Provision as Pear does, with changed files written whole
    #[arg(long)]
    pub(crate) contiguous: bool,
    /// No other copy of this store is in use: it was moved or restored from a backup, and may write again
    #[arg(long)]
    pub(crate) sole_copy: bool,
    /// How long a provision waits before it writes
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) cooldown: f64,
    /// Do not wait before writing
    #[arg(long, short)]
    pub(crate) yes: bool,
}
