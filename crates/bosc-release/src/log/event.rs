//! What `log` tells on the way, and what it ends with.

use crate::event::link::UpdateCost;
use bosc_policy::{About, Halt, Signed};
use serde::{Deserialize, Serialize};

/// What happens during `log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum LogEvent {
    /// A release, the newest first.
    Release(Box<ReleaseSeen>),
    /// What an operator says now.
    Statement(Box<StatementSeen>),
    /// A mirror's file of statements could not be had, or is something else.
    StatementsFault {
        /// The mirror's address, without secrets.
        mirror: String,
        /// What kind of fault.
        fault: bosc_follow::mirror::FaultKind,
        /// What exactly.
        why: String,
    },
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSeen {
    /// The version in its package.json; none: there is none, or its content is gone.
    pub version: Option<String>,
    /// Its package.json's content is not here any more, nor at a peer that answered.
    pub gone: bool,
    /// Length of the db at its end, before the next release.
    pub length: u64,
    /// The fork.
    pub fork: u64,
    /// The link with that length.
    pub verlink: String,
    /// The hash of the tree at that length; none where a node of it is not here.
    pub hash: Option<String>,
    /// When it was made, by the quorum's word (`time` of `/release.json`), in seconds since 1970.
    pub time: Option<u64>,
    /// The public keys that signed the head of this length; none where the store does not have that signature.
    pub signers: Option<Vec<String>>,
    /// Files it has.
    pub files: u64,
    /// Their bytes; none where a map of one is not here.
    pub bytes: Option<u64>,
    /// Files that the release before did not have.
    pub added: u64,
    /// Files with another content than before.
    pub changed: u64,
    /// Files that are gone since.
    pub removed: u64,
    /// Bytes of the added and changed ones; none where a map of one is not here.
    pub new_bytes: Option<u64>,
    /// What an update from the release before costs, where the drive has patches.
    pub costs: Vec<UpdateCost>,
}

/// What an operator says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementSeen {
    /// The operator's public key.
    pub operator: String,
    /// What the policy calls the operator.
    pub name: Option<String>,
    /// Of an operator the highest counts.
    pub counter: u64,
    /// Seconds since 1970.
    pub time: u64,
    /// The length that it names as the newest.
    pub newest: Option<u64>,
    /// What it says of versions.
    pub versions: Vec<AboutVersion>,
}

/// What is said of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AboutVersion {
    /// The version.
    pub version: String,
    /// How far it goes, in hundredths of a percent.
    pub hundredths: Option<u16>,
    /// `lifted`, `halted` or `recalled`.
    pub halt: Option<HaltSaid>,
}

/// Whether a version is halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HaltSaid {
    /// It is not, or not any more.
    Lifted,
    /// It goes to nobody more.
    Halted,
    /// Who runs it goes back.
    Recalled,
}

impl From<&About> for AboutVersion {
    fn from(about: &About) -> Self {
        Self {
            version: about.version.to_string(),
            hundredths: about.share.map(bosc_policy::Share::hundredths),
            halt: about.halt.map(|halt| match halt {
                Halt::Lifted => HaltSaid::Lifted,
                Halt::Halted => HaltSaid::Halted,
                Halt::Recalled => HaltSaid::Recalled,
            }),
        }
    }
}

impl StatementSeen {
    /// Of a signed statement, by an operator of this name.
    pub(crate) fn new(signed: &Signed, name: Option<&str>) -> Self {
        let statement = signed.statement();
        Self {
            operator: bosc_format::id::encode(signed.operator()),
            name: name.map(str::to_owned),
            counter: statement.counter,
            time: statement.time,
            newest: statement.newest.map(|newest| newest.length),
            versions: statement.versions.iter().map(AboutVersion::from).collect(),
        }
    }
}

/// What `log` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogShown {
    /// The link.
    pub link: String,
    /// Its newest length.
    pub length: u64,
    /// Its fork.
    pub fork: u64,
    /// How many of its signers have to sign.
    pub quorum: u64,
    /// The public keys of those who may sign.
    pub signers: Vec<String>,
    /// Releases that were told.
    pub shown: usize,
    /// Whether there are older ones.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn what_is_told_has_the_names_that_others_read() {
        let release = ReleaseSeen {
            version: Some("1.0.0".into()),
            gone: false,
            length: 1,
            fork: 2,
            verlink: "v".into(),
            hash: Some("h".into()),
            time: Some(3),
            signers: Some(vec!["k".into()]),
            files: 4,
            bytes: Some(5),
            added: 6,
            changed: 7,
            removed: 8,
            new_bytes: Some(9),
            costs: Vec::new(),
        };
        let statement = StatementSeen {
            operator: "k".into(),
            name: Some("n".into()),
            counter: 1,
            time: 2,
            newest: Some(3),
            versions: vec![AboutVersion {
                version: "1.0.0".into(),
                hundredths: Some(1_000),
                halt: Some(HaltSaid::Halted),
            }],
        };
        golden::events(vec![
            (
                LogEvent::Release(Box::new(release)),
                "release",
                concat!(
                    r#"{"version":"1.0.0","gone":false,"length":1,"fork":2,"verlink":"v","hash":"h","time":3,"#,
                    r#""signers":["k"],"files":4,"bytes":5,"added":6,"changed":7,"removed":8,"newBytes":9,"costs":[]}"#
                ),
            ),
            (
                LogEvent::Statement(Box::new(statement)),
                "statement",
                concat!(
                    r#"{"operator":"k","name":"n","counter":1,"time":2,"newest":3,"versions":[{"version":"1.0.0","#,
                    r#""hundredths":1000,"halt":"halted"}]}"#
                ),
            ),
            (
                LogEvent::StatementsFault {
                    mirror: "m".into(),
                    fault: bosc_follow::mirror::FaultKind::WebPage,
                    why: "w".into(),
                },
                "statements-fault",
                r#"{"mirror":"m","fault":"web-page","why":"w"}"#,
            ),
        ]);
        golden::texts(vec![(
            LogShown {
                link: "l".into(),
                length: 1,
                fork: 2,
                quorum: 3,
                signers: vec!["k".into()],
                shown: 4,
                more: true,
            },
            r#"{"link":"l","length":1,"fork":2,"quorum":3,"signers":["k"],"shown":4,"more":true}"#,
        )]);
    }
}
