//! Commands as plain data and what they tell on the way.

use crate::error::CommandError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// `bosc touch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// Mint keys until the link starts with this text.
    pub vanity: Option<String>,
}

/// `bosc stage`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The link to stage to; its version part is ignored.
    pub link: String,
    /// The folder to stage; absolute.
    pub dir: PathBuf,
    /// Only tell what would change.
    pub dry_run: bool,
    /// Patterns to leave out, added to `pear.stage.ignore`.
    pub ignore: Vec<String>,
    /// Prefixes to restrict to, added to `pear.stage.only`.
    pub only: Vec<String>,
    /// Remove staged files that are ignored now.
    pub purge: bool,
    /// First cut the drive back to this length.
    pub truncate: Option<u64>,
    /// Do not ask peers for a newer version of a link whose key other machines have as well.
    #[serde(default)]
    pub newest: bool,
}

/// `bosc seed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// The link to seed.
    pub link: String,
    /// Stop when these peers (z32 public keys) have everything.
    pub until_sync: Vec<String>,
    /// Milliseconds between `stats` events.
    pub stats_interval_ms: u64,
    /// Fail when nothing was received by then, in milliseconds, and nothing is here either.
    pub timeout_ms: Option<u64>,
}

/// `bosc info`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The link.
    pub link: String,
    /// Show name, version and lengths only.
    pub metadata: bool,
    /// Show package.json only.
    pub manifest: bool,
    /// Show the signers only.
    pub multisig: bool,
    /// Show the keys only.
    pub key: bool,
    /// How long to look for peers, in milliseconds.
    pub timeout_ms: u64,
}

/// `bosc dump`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// The link, with an optional path to a file or folder in it.
    pub link: String,
    /// Where to write, absolute; `None` writes file contents as events.
    pub dir: Option<PathBuf>,
    /// Only tell what would change.
    pub dry_run: bool,
    /// Length to read the drive at.
    pub checkout: Option<u64>,
    /// Prefixes to restrict to.
    pub only: Vec<String>,
    /// Write into a folder that is not empty.
    pub force: bool,
    /// Name the files only.
    pub list: bool,
    /// Remove files that are not in the drive.
    pub prune: bool,
    /// Give up when no peer delivers for so long, in milliseconds.
    pub timeout_ms: u64,
}

/// `bosc provision`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provision {
    /// The version to release, as a versioned link.
    pub source: String,
    /// The link to write to; its version part is ignored.
    pub target: String,
    /// The version of production to start from, as a versioned link; length 0 while there is none.
    pub production: String,
    /// Only tell what would change.
    pub dry_run: bool,
    /// Write changed files whole, as Pear does, rather than naming blocks that are there.
    pub contiguous: bool,
    /// Give up when no peer delivers for so long, in milliseconds.
    pub timeout_ms: u64,
    /// How long to wait before writing, so that it can be stopped, in milliseconds.
    pub cooldown_ms: u64,
    /// Do not ask peers for a newer version of a target whose key other machines have as well.
    #[serde(default)]
    pub newest: bool,
}

/// A command that needs a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub enum Request {
    /// Mint a link.
    Touch(Touch),
    /// Put a folder into a drive.
    Stage(Stage),
    /// Keep a drive available.
    Seed(Seed),
    /// Show what a link holds.
    Info(Info),
    /// Write a drive to a folder.
    Dump(Dump),
    /// Work on a drive that a quorum signs.
    Multisig(crate::multisig::Work),
    /// Make a drive of production's blocks and one batch that equals a source.
    Provision(Provision),
    /// Look into, keep up or move what is here.
    Tool(crate::tools::Tool),
    /// From a folder to those who follow a link.
    Publish(crate::publish::Publish),
    /// Release lines.
    Line(crate::lines::Line),
    /// Move followers to another link.
    Rotate(crate::rotate::Rotate),
}

impl Request {
    /// The `cmd` of its JSON lines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Touch(_) => "touch",
            Self::Stage(_) => "stage",
            Self::Seed(_) => "seed",
            Self::Info(_) => "info",
            Self::Dump(_) => "dump",
            Self::Multisig(crate::multisig::Work::Records) => "data",
            Self::Multisig(_) => "multisig",
            Self::Provision(_) => "provision",
            Self::Tool(t) => t.name(),
            Self::Publish(_) => "publish",
            Self::Line(_) => "line",
            Self::Rotate(_) => "rotate",
        }
    }
}

/// One thing that happened: the `tag` and `data` of a JSON line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub tag: String,
    /// Its fields.
    pub data: Value,
}

/// Where events go, and whether to go on.
pub trait Sink: Send {
    /// Takes one event.
    fn event(&mut self, tag: &str, data: Value);
}

impl<F: FnMut(&str, Value) + Send> Sink for F {
    fn event(&mut self, tag: &str, data: Value) {
        self(tag, data);
    }
}

/// Tells a running command to stop. Cloned freely; once set it stays set.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Not stopped yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the command to end.
    pub fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked to.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a command ends with: the `data` of its `final` event, or why it failed.
pub type Outcome = Result<Value, CommandError>;
