//! The command line: every flag is defined here, or in the `args` of a command's own folder (those of `updater` in its `mod.rs`),
//! and nowhere else. What `--help` shows beside that is in [`crate::help`].

use crate::blind_peer::args::BlindPeer;
use crate::build::args::Build;
use crate::changelog::args::Changelog;
use crate::cores::args::Cores;
use crate::dashboard::args::Dashboard;
use crate::data::args::Data;
use crate::delta::args::Delta;
use crate::demo::args::Demo;
use crate::dht::args::Dht;
use crate::doctor::args::Doctor;
use crate::dump::args::Dump;
use crate::gc::args::Gc;
use crate::generate::args::{Completions, Man};
use crate::global::Global;
use crate::info::args::Info;
use crate::init::args::Init;
use crate::install::args::Install;
use crate::keys::args::Keys;
use crate::log::args::Log;
use crate::mirror::args::Mirror;
use crate::monitor::args::Monitor;
use crate::operator::args::{Halt, Lift, Refresh, Rollout};
use crate::policy::args::Policy;
use crate::provision::args::Provision;
use crate::relay::args::Relay;
use crate::seed::args::Seed;
use crate::stage::args::Stage;
use crate::store::args::Store;
use crate::touch::args::Touch;
use crate::versions::args::Versions;
use clap::{Args, Parser, Subcommand};

/// Ship desktop applications to the people who run them, peer to peer.
#[derive(Debug, Parser)]
#[command(name = "bosc", version, args_override_self = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prepare a project: find builds, make a link, write what is needed
    Init(Init),
    /// Mint a new link that this machine can write to
    Touch(Touch),
    /// Put a folder on a link
    Stage(Stage),
    /// Keep what a link holds available to others
    Seed(Seed),
    /// Show what a link holds
    Info(Info),
    /// Write a link's files to a folder
    Dump(Dump),
    /// Write a link's drive as static files, for a web server or bucket
    Mirror(Mirror),
    /// Make the small drive that becomes the release
    Provision(Provision),
    /// Do the whole job once on this machine, and check every byte
    Demo(Demo),
    /// Keep an application up to date, as its child process
    Watch(crate::watch::Watch),
    /// Run a DHT node, such as the bootstrap node of a private network
    Dht(Dht),
    /// Run a blind relay, for peers who cannot reach each other
    Relay(Relay),
    /// Run a blind peer, which keeps others' links available
    BlindPeer(BlindPeer),
    /// Keys, signatures, manifests for updates over HTTPS; try an update
    Updater(crate::updater::Updater),
    /// Release to a link that a quorum signs: keys, requests, commits
    Multisig(crate::multisig::args::Multisig),
    /// Build, stage and seed in one step
    Publish(crate::publish::args::Publish),
    /// Keep release lines (staging, rc, production, ...) side by side
    Line(crate::line::args::Line),
    /// Move the followers of one link to another
    Rotate(crate::rotate::args::Rotate),
    /// Show help of a command, or a topic
    Help(HelpArgs),
    /// Everything around the pipeline.
    #[command(flatten)]
    Tools(Tools),
}

/// `bosc help`
#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// A command, or a topic: exit-codes, errors, environment, or the code of an error
    #[arg(value_name = "COMMAND|TOPIC")]
    pub(crate) words: Vec<String>,
}

/// The commands around the pipeline.
#[derive(Debug, Subcommand)]
pub(crate) enum Tools {
    /// Merge builds for several systems into one deployment directory
    Build(Box<Build>),
    /// Show what changed, release by release
    Changelog(Changelog),
    /// Show every version in a link's history, or the version of bosc
    Versions(Versions),
    /// Show every release of a link: who signed it, and what changed
    Log(Log),
    /// Record a link's signed heads and statements; find contradictions
    Monitor(Monitor),
    /// List the cores kept in the store
    Cores(Cores),
    /// Free disk space
    #[command(subcommand)]
    Gc(Gc),
    /// Show what the store and the DHT node know
    #[command(subcommand)]
    Data(Data),
    /// Make and apply patches between two files, without a link
    #[command(subcommand)]
    Delta(Delta),
    /// Install the application that a link ships
    Install(Install),
    /// Show releases, peers and health as a page in a browser
    Dashboard(Dashboard),
    /// Find out what is wrong with a link, and why clients do not update
    Doctor(Doctor),
    /// Back up the keys that write to links, or move them elsewhere
    #[command(subcommand)]
    Keys(Keys),
    /// Show, set and check the rules of a link
    #[command(subcommand)]
    Policy(Policy),
    /// Say how far a version goes, as an operator of the link
    Rollout(Rollout),
    /// Stop a version: nobody installs it any more
    Halt(Halt),
    /// Take a halt back
    Lift(Lift),
    /// Say that what the link holds is the newest
    Refresh(Refresh),
    /// Check the store for damage, and repair it
    #[command(subcommand)]
    Store(Store),
    /// Print completions for your shell
    Completions(Completions),
    /// Print the manual page, or write one for each command
    Man(Man),
}

impl Tools {
    /// The `cmd` of its JSON lines.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Build(_) => "build",
            Self::Changelog(_) => "changelog",
            Self::Versions(_) => "versions",
            Self::Log(_) => "log",
            Self::Monitor(_) => "monitor",
            Self::Cores(_) => "cores",
            Self::Gc(_) => "gc",
            Self::Data(_) => "data",
            Self::Delta(_) => "delta",
            Self::Install(_) => "install",
            Self::Dashboard(_) => "dashboard",
            Self::Doctor(_) => "doctor",
            Self::Keys(_) => "keys",
            Self::Policy(_) => "policy",
            Self::Rollout(_) => "rollout",
            Self::Halt(_) => "halt",
            Self::Lift(_) => "lift",
            Self::Refresh(_) => "refresh",
            Self::Store(_) => "store",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}
