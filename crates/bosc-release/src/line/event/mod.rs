//! What `line` tells on the way, and what it ends with.

use super::compare::LineStanding;
use super::file::{Declared, LineKind};
use crate::event::link::UpdateCost;
use crate::provision::event::Provisioned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What happens during `line`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum LineEvent {
    /// A line, and what it holds.
    Line(Box<LineShown>),
    /// A line holds a newer release than one that comes from it.
    Ahead {
        /// The line.
        line: String,
        /// The one that comes from it.
        of: String,
        /// The version of the former.
        version: Option<String>,
        /// The version of the latter.
        than: Option<String>,
        /// What to do.
        next: String,
    },
    /// A line was declared.
    LineAdded(Declared),
    /// A line was taken out of the file.
    LineRemoved(Declared),
    /// Something to know, and what to do about it.
    Notice(Notice),
    /// A release goes from one line to another.
    Promoting {
        /// From this line.
        from: String,
        /// To this one.
        to: String,
        /// Of this kind.
        kind: LineKind,
        /// What is promoted: a link with its version.
        source: String,
        /// Where to.
        target: String,
        /// The version.
        version: Option<String>,
        /// Nothing will be written.
        dry_run: bool,
    },
    /// What is done now, as a command.
    Command {
        /// The command.
        command: String,
    },
    /// What people have to do.
    NextStep(Step),
    /// The line holds it.
    Promoted(LinePromoted),
}

/// A line that holds a new release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinePromoted {
    /// The line.
    pub line: String,
    /// What it holds now.
    pub verlink: String,
    /// Its version.
    pub version: Option<String>,
    /// What it held before; of a stage line.
    #[serde(flatten)]
    pub over: Option<Over>,
}

/// What a release was put over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// The version that was there.
    pub before: Option<String>,
    /// Whether anything changed.
    pub changed: bool,
}

/// A line and what it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LineShown {
    /// As the file says.
    #[serde(flatten)]
    pub declared: Declared,
    /// What it holds.
    pub verlink: Option<String>,
    /// The version in its package.json.
    pub version: Option<String>,
    /// Length of its db.
    pub length: Option<u64>,
    /// Its fork.
    pub fork: Option<u64>,
    /// This store writes it.
    pub writable: bool,
    /// The link that its release follows.
    pub upgrade: Option<String>,
    /// The line of that link.
    pub upgrade_line: Option<String>,
    /// Who holds it.
    pub seeders: Seeders,
    /// How it stands to the line it comes from.
    pub state: LineStanding,
    /// Why its content cannot be read.
    pub error: Option<String>,
    /// What updates cost who has an older version of it, where it has deltas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub updates: Vec<UpdateCost>,
}

/// Who holds a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeders {
    /// Peers that hold a full copy.
    pub full: usize,
    /// Peers that have it at all.
    pub peers: usize,
    /// How many should hold a full copy.
    pub wanted: u64,
    /// Those who have to and do not, by name.
    pub missing: Vec<String>,
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NoticeCode {
    /// The production line has no link yet.
    NoProductionLink,
    /// A provision line knows no production.
    NoProduction,
    /// Nobody has anything of production.
    EmptyProduction,
    /// What is installed from the line follows another link.
    OtherUpgrade,
}

/// Something to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about.
    pub code: NoticeCode,
    /// In words.
    pub message: String,
    /// Of [`NoticeCode::OtherUpgrade`]: the link that is followed, if any.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::event::fields::present"
    )]
    pub upgrade: Option<Option<String>>,
    /// What to do.
    pub next: String,
}

/// A step that somebody has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which one, from 1.
    pub number: usize,
    /// Who.
    pub who: Who,
    /// The command to run.
    pub command: String,
    /// What it does.
    pub text: String,
}

/// Who does a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// Whoever likes.
    Anyone,
    /// Those whose keys sign releases.
    Signers,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Anyone => "anyone",
            Self::Signers => "signers",
        })
    }
}

/// What `line list` ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedLines {
    /// How many lines were shown.
    pub lines: usize,
}

/// What `line add` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// The file.
    #[serde(serialize_with = "crate::event::fields::path")]
    pub file: PathBuf,
    /// The line's link, when it has one.
    pub link: Option<String>,
}

/// What `line remove` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The file.
    #[serde(serialize_with = "crate::event::fields::path")]
    pub file: PathBuf,
}

/// What `line init` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initialised {
    /// The file.
    #[serde(serialize_with = "crate::event::fields::path")]
    pub file: PathBuf,
    /// How many lines it has now.
    pub lines: usize,
}

/// A release that was promoted to a stage line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotedStage {
    /// From this line.
    pub from: String,
    /// To this one.
    pub to: String,
    /// What was promoted.
    pub source: String,
    /// Where to.
    pub target: String,
    /// What the line holds now.
    pub verlink: String,
    /// Its version.
    pub version: String,
    /// The version it held before.
    pub before: Option<String>,
    /// Whether anything changed.
    pub changed: bool,
    /// It was written.
    pub done: bool,
}

/// A release that was promoted to a provision line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromotedProvision {
    /// What `provision` ended with; nothing of a rehearsal.
    #[serde(flatten)]
    pub provisioned: Option<Provisioned>,
    /// From this line.
    pub from: String,
    /// To this one.
    pub to: String,
    /// What was promoted.
    pub source_link: String,
    /// Where to.
    pub target_link: String,
    /// What it starts with.
    pub production_link: String,
    /// What the line holds now.
    pub verlink: String,
    /// It was written.
    pub done: bool,
}

/// A release that people have to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromotedToSign {
    /// From this line.
    pub from: String,
    /// To this one.
    pub to: String,
    /// What is to be signed.
    pub source: String,
    /// Where it goes.
    pub target: String,
    /// It was not written.
    pub done: bool,
}

#[cfg(test)]
mod tests;
