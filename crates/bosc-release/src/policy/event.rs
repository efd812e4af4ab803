//! What `policy` and the commands of operators report on the way, and what they end with.

use super::shown::{AboutShown, FreshnessShown, OperatorNamed, PolicyShown, StatementShown, VersionStanding};
use crate::doctor::finding::Level;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// What happens around rules and statements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum PolicyEvent {
    /// The rules of a release.
    Policy(Box<PolicyShown>),
    /// A release has no rules: nothing is restricted, and nobody is asked.
    NoPolicy {
        /// The link or folder.
        of: String,
    },
    /// An operator, and what it says.
    Operator(Box<OperatorShown>),
    /// How a version stands.
    Standing(VersionStanding),
    /// Whether what is known of the newest head is recent enough.
    Freshness(FreshnessShown),
    /// Something that is wrong with the rules, or should be looked at.
    PolicyFinding(PolicyFinding),
    /// A field of the file was changed.
    FieldChanged {
        /// Its name.
        field: String,
        /// What it was; null: it was not there.
        before: Value,
        /// What it is; null: it is not there any more.
        after: Value,
    },
    /// What an operator is about to sign.
    Statement(Box<Prepared>),
    /// A seeder said again what is the newest.
    Refreshed(Box<Stated>),
    /// A seeder could not, and tries again.
    RefreshFailed {
        /// Its code.
        code: String,
        /// Why.
        message: String,
        /// What to do.
        hint: String,
        /// When it is tried again, in seconds from now.
        again: u64,
    },
}

/// An operator of a link, and what it says now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorShown {
    /// As the quorum names it.
    #[serde(flatten)]
    pub operator: OperatorNamed,
    /// What was heard of it.
    pub heard: Heard,
    /// What it says; none if nothing counts.
    pub statement: Option<StatementShown>,
}

/// What the DHT answered about an operator's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heard {
    /// A statement about this link.
    Statement,
    /// No node keeps a record of it.
    Nothing,
    /// A record that is no statement about this link, and counts for nothing.
    Foreign,
    /// No node answered.
    NoAnswer,
}

/// What was found about a field of the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFinding {
    /// How bad it is.
    pub level: Level,
    /// Its path in the file.
    pub field: String,
    /// How it is.
    pub message: String,
    /// What to do.
    pub next: Option<String>,
}

/// What an operator is about to sign, and what follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Prepared {
    /// The link. Of a manifest: one that its application's name stands for.
    pub link: String,
    /// The manifest, where releases come by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// The release that is the newest.
    pub version: Option<String>,
    /// Who speaks.
    pub operator: OperatorNamed,
    /// The name of the key on this machine.
    pub key: String,
    /// What is signed: all of it, with what holds since before.
    pub statement: StatementShown,
    /// How the version stood that it is about.
    pub before: Option<VersionStanding>,
    /// How it will stand.
    pub after: Option<VersionStanding>,
    /// Versions that are not repeated, for want of room.
    pub dropped: Vec<AboutShown>,
    /// Why it does not say which length is the newest.
    pub unsaid: Option<Unsaid>,
    /// The operator had said two things under one counter: the stricter of both is repeated.
    pub contradicted: bool,
}

/// Why a statement does not say which length is the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsaid {
    /// The operator may not.
    NoRight,
    /// No peer vouched that what is here is the newest.
    NotVouched,
    /// An operator named a longer one than was found.
    Longer,
}

/// What a statement became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// The link.
    pub link: String,
    /// The operator's key.
    pub operator: String,
    /// What was said.
    pub statement: StatementShown,
    /// How many nodes of the DHT keep it.
    pub nodes: usize,
    /// The file that it was written into, where releases come by a manifest: it goes to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// What `policy show` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyLooked {
    /// The link or folder.
    pub of: String,
    /// Whether there are rules.
    pub policy: bool,
}

/// What `policy check` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChecked {
    /// The link or folder.
    pub of: String,
    /// Whether there are rules.
    pub policy: bool,
    /// How many findings should be looked at.
    pub warn: usize,
}

/// What `policy set` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySet {
    /// The file.
    #[serde(serialize_with = "crate::event::fields::path")]
    pub file: PathBuf,
    /// How many fields changed.
    pub changed: usize,
}

#[cfg(test)]
mod tests;
