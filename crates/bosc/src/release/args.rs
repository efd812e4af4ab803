//! Flags of `bosc publish`, `bosc line` and `bosc rotate`.

use crate::tools::Apps;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `bosc publish`
///
/// Reads the link from `upgrade` in DIR/package.json (or makes one and writes it there), builds when per-OS applications
/// are given, stages, shows what changed, and seeds until enough others hold it. Clients take only higher versions, so
/// a folder with changes and a version that is not above the link's is refused.
///
/// With --ci any machine that has the primary key publishes to the same link. The key comes from BOSC_PRIMARY_KEY (64 hex
/// characters), or from the file named in BOSC_PRIMARY_KEY_FILE (written by `bosc keys backup`) with BOSC_PASSPHRASE.
/// Before it writes it learns the newest version from a peer that holds all of it, or from a --mirror.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The folder with package.json: the deployment directory, or with applications the project
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Show what would change and write nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
    /// Make a link and write it to package.json when there is none, without asking
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Leave out what matches these patterns (`*`, `**`, leading `!` takes back)
    #[arg(long, value_name = "GLOB,...", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// Seed until so many others hold it whole; 0 does not seed
    #[arg(long, value_name = "N", default_value_t = bosc_release::publish::COPIES)]
    pub(crate) copies: usize,
    /// Seed at most so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600.0)]
    pub(crate) wait: f64,
    /// What is built
    #[command(flatten)]
    pub(crate) build: Artifacts,
    /// Publish from a machine that has nothing but the primary key
    #[arg(long)]
    pub(crate) ci: bool,
    /// Names the key pair of the link, so that one primary key makes many links [default: the package's name]
    #[arg(long, value_name = "NAME", requires = "ci")]
    pub(crate) name: Option<String>,
    /// How many seconds to look for a peer that holds the link whole [default: 60]
    #[arg(long, value_name = "SECONDS", requires = "ci")]
    pub(crate) wait_peers: Option<f64>,
    /// A folder that keeps the link's blocks between runs: a store another runner left, or one made here
    #[arg(long, value_name = "DIR", requires = "ci")]
    pub(crate) mirror: Option<PathBuf>,
    /// A file that keeps how long the link was: never written on below it, brought up to date at the end
    #[arg(long, value_name = "FILE", requires = "ci")]
    pub(crate) snapshot: Option<PathBuf>,
    /// The link was never published: nobody has to hold it
    #[arg(long, requires = "ci")]
    pub(crate) first: bool,
}

/// Per-OS applications that make the deployment directory.
#[derive(Debug, Args)]
pub(crate) struct Artifacts {
    /// Where the deployment directory is made (default: `DIR/<name>-<version>`)
    #[arg(long, value_name = "DIR")]
    pub(crate) target: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) apps: Apps,
    /// Replace an existing deployment directory
    #[arg(long)]
    pub(crate) force_build: bool,
}

/// `bosc line`
///
/// Release lines are declared in bosc.toml, one table a line:
///
///   [line.rc]
///   kind = "stage"        # stage, provision or multisig
///   link = "pear://..."
///   source = "staging"    # the line it is promoted from
///   seeds = 2             # full copies wanted, or a list of peers' keys
///
/// Provision lines may name the line whose blocks they start with (production = "..."); without, it is the multisig line
/// that comes from them. Keep the file out of what is released: a link is the right to read what is on it.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Line {
    /// The file with the lines
    #[arg(long, global = true, value_name = "FILE", default_value = bosc_release::lines::FILE_NAME)]
    pub(crate) file: PathBuf,
    /// How many seconds to look for peers
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 15.0)]
    pub(crate) timeout: f64,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: LineCommand,
}

/// The commands below `bosc line`.
#[derive(Debug, Subcommand)]
pub(crate) enum LineCommand {
    /// Show all lines side by side: version, length, who holds them, what is ahead of what
    List,
    /// Show one line
    Show {
        /// Its name
        name: String,
    },
    /// Write the five usual lines: development, staging, rc, prerelease, production
    Init {
        /// The file with the signers of production, if there are any yet
        #[arg(long, value_name = "FILE", default_value = "pear.json")]
        config: PathBuf,
    },
    /// Declare a line, with a new link when this machine shall write it
    Add(Add),
    /// Take a line out of the file; its link and what is on it stay
    Remove {
        /// Its name
        name: String,
    },
    /// Make what one line holds the next release of another
    Promote(Promote),
}

/// How a line gets its releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Staged by whoever has its key
    Stage,
    /// Production's blocks and one batch that equals its source
    Provision,
    /// A copy of its source that a quorum signs
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
    /// Its link [default: a new one, unless it is signed by a quorum]
    #[arg(long)]
    pub(crate) link: Option<String>,
    /// The line it is promoted from
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// The line whose blocks it starts with; for provision lines
    #[arg(long, value_name = "NAME")]
    pub(crate) production: Option<String>,
    /// Full copies wanted, or the keys of the peers who shall hold one, with commas between
    #[arg(long, value_name = "N|KEY,...")]
    pub(crate) seeds: Option<String>,
    /// Change the line of this name
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
    /// Take the version of this length (one that a verlink showed) rather than the newest
    #[arg(long, value_name = "LENGTH")]
    pub(crate) length: Option<u64>,
    /// Show what would happen and write nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
    /// Also when the line comes from another one
    #[arg(long)]
    pub(crate) force: bool,
    /// Provision as Pear does, with changed files whole
    #[arg(long)]
    pub(crate) contiguous: bool,
    /// How many seconds a provision waits before it writes
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) cooldown: f64,
    /// Do not wait before writing
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `bosc rotate`
///
/// Moves the followers of OLD to NEW: what NEW holds (builds whose `upgrade` is NEW) becomes the last release of OLD. When
/// a quorum signs OLD, the release is prepared on a link of its own, and the steps for the signers are told. --check
/// looks from outside whether a follower of OLD ends on NEW.
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The link that is followed now
    pub(crate) old: String,
    /// The link that shall be followed
    pub(crate) new: String,
    /// Only look, from outside, where followers of OLD end
    #[arg(long)]
    pub(crate) check: bool,
    /// The link to prepare a signed release on [default: a new one]
    #[arg(long, value_name = "LINK", conflicts_with = "check")]
    pub(crate) target: Option<String>,
    /// Check both links, show what would change and write nothing
    #[arg(long, short, conflicts_with = "check")]
    pub(crate) dry_run: bool,
    /// How many others must hold the links whole
    #[arg(long, value_name = "N", default_value_t = bosc_release::publish::COPIES)]
    pub(crate) copies: usize,
    /// Give up when no peer delivers for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
    /// Seed OLD at most so many seconds after the release
    #[arg(long, value_name = "SECONDS", default_value_t = 600.0)]
    pub(crate) wait: f64,
    /// How many seconds a provision waits before it writes
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) cooldown: f64,
    /// Do not wait before writing
    #[arg(long, short)]
    pub(crate) yes: bool,
}
