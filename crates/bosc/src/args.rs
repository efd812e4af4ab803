//! The command line: every flag is defined here and nowhere else.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Ships desktop applications to the people who run them, peer to peer.
///
/// A link (`pear://...`) names a drive: a signed, append-only folder. `touch` mints a link, `stage` puts a
/// folder into it, `seed` keeps it available, `info` and `dump` read it from anywhere.
#[derive(Debug, Parser)]
#[command(name = "bosc", version, max_term_width = 100, after_help = EXIT_CODES, args_override_self = true)]
pub(crate) struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Exit codes, told in `--help` and in docs/cli.md.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong input, 3 not found, 4 network, \
5 store, 6 not permitted, 7 signature or hash wrong, 130 stopped with Ctrl+C.";

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Folder of the store (keys and drives) [default: the platform's data folder]
    #[arg(long, global = true, env = "BOSC_STORE", value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// DHT nodes to start from, host:port separated by commas [default: the public HyperDHT nodes]
    #[arg(long, global = true, env = "BOSC_BOOTSTRAP", value_name = "HOST:PORT,...", value_delimiter = ',')]
    pub(crate) bootstrap: Vec<String>,
    /// Write one JSON object a line to stdout: {"cmd","tag","data"}
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print results and errors only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print what happens underneath
    #[arg(long, global = true)]
    pub(crate) verbose: bool,
    /// No progress bars, even on a terminal
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Mint a new link that this machine can write to
    Touch(Touch),
    /// Put a folder into a link's drive
    Stage(Stage),
    /// Keep a link's drive available to others
    Seed(Seed),
    /// Show what a link holds
    Info(Info),
    /// Write a link's files to a folder
    Dump(Dump),
    /// Make the lean prerelease drive: production's blocks and one batch that equals a staged version
    Provision(Provision),
    /// Stage, seed, find and fetch a folder on this machine, and check every byte
    Demo(Demo),
    /// Keep an application up to date: the updater library as a child process
    Watch(crate::watch::Watch),
    /// Run a DHT node: the bootstrap node of a private network
    Dht(Dht),
    /// Keys, signatures and manifests for applications that update themselves over HTTPS
    Updater(crate::updater::Updater),
    /// Links that only a quorum can release to: keys, requests, signatures, commits
    Multisig(crate::multisig::args::Multisig),
    /// From a folder to everyone who follows its link, in one step
    Publish(crate::release::args::Publish),
    /// Release lines: development, staging, rc, prerelease, production, or any others
    Line(crate::release::args::Line),
    /// Move the followers of one link to another
    Rotate(crate::release::args::Rotate),
    /// Everything around the pipeline.
    #[command(flatten)]
    Tools(crate::tools::Tools),
}

/// `bosc touch`
#[derive(Debug, Args)]
pub(crate) struct Touch {
    /// Mint keys until the link starts with this text (each character takes 32 times longer)
    #[arg(long, value_name = "Z32")]
    pub(crate) vanity: Option<String>,
}

/// `bosc stage`
#[derive(Debug, Args)]
pub(crate) struct Stage {
    /// The link to stage to
    pub(crate) link: String,
    /// The folder to stage; it holds a package.json
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Show what would change and write nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
    /// Leave out what matches these patterns (`*`, `**`, leading `!` takes back)
    #[arg(long, value_name = "GLOB,...", value_delimiter = ',')]
    pub(crate) ignore: Vec<String>,
    /// Stage only what is under these paths
    #[arg(long, value_name = "PATH,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Remove files from the drive that are ignored now
    #[arg(long)]
    pub(crate) purge: bool,
    /// First cut the drive back to this length (one that a verlink showed); only for unreleased links
    #[arg(long, value_name = "LENGTH")]
    pub(crate) truncate: Option<u64>,
    /// This store has the newest version of a link whose key other machines have: do not ask peers
    #[arg(long)]
    pub(crate) newest: bool,
}

/// `bosc seed`
#[derive(Debug, Args)]
pub(crate) struct Seed {
    /// The link to seed
    pub(crate) link: String,
    /// End when this peer has everything; may be given several times
    #[arg(long, value_name = "KEY")]
    pub(crate) until_sync: Vec<String>,
    /// Milliseconds between `stats` lines [default: 500 on a terminal, 3000 else]
    #[arg(long, value_name = "MS")]
    pub(crate) stats_interval: Option<u64>,
    /// Lines instead of the live table
    #[arg(long)]
    pub(crate) no_tty: bool,
    /// Fail when the drive is not here and nobody offers it within so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<f64>,
}

/// `bosc info`
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The link
    pub(crate) link: String,
    /// Only name, version and lengths
    #[arg(long)]
    pub(crate) metadata: bool,
    /// Only package.json
    #[arg(long)]
    pub(crate) manifest: bool,
    /// Only the signers
    #[arg(long)]
    pub(crate) multisig: bool,
    /// Only the keys
    #[arg(long)]
    pub(crate) key: bool,
    /// How many seconds to look for peers
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
}

/// `bosc dump`
#[derive(Debug, Args)]
pub(crate) struct Dump {
    /// The link, with an optional path in it
    pub(crate) link: String,
    /// Where to write; `-` (the default unless stdout is a terminal) writes the files' contents to stdout
    pub(crate) dir: Option<PathBuf>,
    /// Show what would change and write nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
    /// Read the drive as it was at this length
    #[arg(long, value_name = "LENGTH")]
    pub(crate) checkout: Option<u64>,
    /// Only what is under these paths
    #[arg(long, value_name = "PATH,...", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Write into a folder that is not empty
    #[arg(long, short)]
    pub(crate) force: bool,
    /// Name the files and write nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Keep files in the folder that are not in the drive
    #[arg(long)]
    pub(crate) no_prune: bool,
    /// Give up when no peer delivers for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub(crate) timeout: f64,
}

/// `bosc provision`
#[derive(Debug, Args)]
pub(crate) struct Provision {
    /// The version to release: the verlink that `bosc stage` printed
    #[arg(value_name = "SOURCE-VERLINK")]
    pub(crate) source: String,
    /// The link to write to, made by `bosc touch` with this store
    #[arg(value_name = "TARGET-LINK")]
    pub(crate) target: String,
    /// The version of production to start from; while there is none, `pear://0.0.<key>`
    #[arg(value_name = "PRODUCTION-VERLINK")]
    pub(crate) production: String,
    /// Show what would change and write nothing
    #[arg(long, short)]
    pub(crate) dry_run: bool,
    /// Write changed files whole, as Pear does, rather than only what is new in them
    #[arg(long)]
    pub(crate) contiguous: bool,
    /// Give up when no peer delivers for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub(crate) timeout: f64,
    /// How many seconds to wait before writing, so that Ctrl+C can still stop it
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) cooldown: f64,
    /// Do not wait before writing
    #[arg(long, short, conflicts_with = "cooldown")]
    pub(crate) yes: bool,
    /// This store has the newest version of a target whose key other machines have: do not ask peers
    #[arg(long)]
    pub(crate) newest: bool,
}

/// `bosc demo`
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The folder to ship [default: a small application made for the demo]
    pub(crate) dir: Option<PathBuf>,
}

/// `bosc dht`
#[derive(Debug, Args)]
pub(crate) struct Dht {
    /// UDP port; 0 takes a free one
    #[arg(long, default_value_t = 49737)]
    pub(crate) port: u16,
    /// Address to bind
    #[arg(long, default_value = "0.0.0.0")]
    pub(crate) host: std::net::Ipv4Addr,
    /// The address others reach this node at, when it is not the bound one
    #[arg(long)]
    pub(crate) public_host: Option<std::net::Ipv4Addr>,
}
