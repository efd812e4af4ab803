//! What `demo` tells on the way, and what it ends with.

use crate::provision::event::Provisioned;
use crate::stage::event::Summary;
use serde::{Deserialize, Serialize};

/// What happens during `demo`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case")]
pub enum DemoEvent {
    /// A step that was done.
    Step {
        /// In words.
        text: String,
        /// Since the demo began.
        seconds: f64,
        /// What came of it.
        data: StepData,
    },
}

/// What came of a step. Of two that begin alike the longer one comes first: they are told apart by their fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum StepData {
    /// A DHT runs.
    Dht {
        /// Its nodes.
        bootstrap: Vec<String>,
    },
    /// A folder was staged.
    Staged {
        /// What changed.
        summary: Box<Summary>,
        /// How long it took.
        seconds: f64,
        /// What the link holds now.
        verlink: String,
    },
    /// A version came by itself.
    Updated {
        /// Bytes that travelled.
        received: u64,
        /// Bytes of all of it.
        whole: u64,
        /// How long it took.
        seconds: f64,
    },
    /// A version was fetched.
    Fetched {
        /// Bytes that travelled.
        received: u64,
        /// How long it took.
        seconds: f64,
    },
    /// A release came and was compared.
    Arrived {
        /// Bytes that travelled.
        received: u64,
        /// Files compared.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Two folders are equal.
    Compared {
        /// Files compared.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// A second version was made.
    Edited {
        /// How.
        edits: String,
    },
    /// Three people have a link together.
    Team {
        /// The link.
        production: String,
        /// Their keys.
        public_keys: Vec<String>,
        /// How many must sign.
        quorum: u64,
    },
    /// A release was provisioned.
    Provisioned {
        /// Its link with the version.
        verlink: String,
        /// What `provision` ended with.
        result: Box<Provisioned>,
    },
    /// A request was made.
    Requested {
        /// Its text.
        request: String,
    },
    /// Too few signed, and it was refused.
    Refused {
        /// The code of the error.
        code: String,
    },
    /// Enough signed, and it was committed.
    Committed {
        /// Who signed.
        signers: Vec<String>,
        /// What production holds now.
        verlink: String,
    },
    /// A program runs and follows a link.
    Runs {
        /// The link.
        link: String,
        /// The program's size.
        bytes: u64,
    },
    /// A link was made.
    Link {
        /// The link.
        link: String,
    },
    /// A program updated itself.
    Replaced {
        /// Bytes that travelled.
        received: u64,
        /// Bytes that a delta took the place of, where there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instead_of: Option<u64>,
    },
    /// A mirror was written, and a web server serves it.
    Mirrored {
        /// The folder.
        target: String,
        /// Its address.
        url: String,
        /// Files of it.
        objects: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// A release reached a share of all installations.
    Reached {
        /// The release.
        version: String,
        /// The share, in hundredths of a percent.
        hundredths: u16,
        /// Who has it.
        has: Vec<String>,
        /// Who waits.
        held: Vec<String>,
        /// What the web server was asked so far.
        requests: u64,
    },
    /// A release was taken back.
    Recalled {
        /// The release.
        version: String,
        /// What runs instead.
        restored: String,
        /// Where.
        installations: Vec<String>,
    },
    /// An installation noticed that nobody said lately what is the newest.
    Stale {
        /// How many seconds that may be ago.
        limit: u64,
    },
    /// Nothing to tell.
    Nothing,
}

/// What `demo` ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoDone {
    /// The link that was staged to.
    pub link: String,
    /// Bytes that travelled.
    pub received: Received,
    /// Bytes of the application.
    pub bytes: u64,
    /// What was released.
    pub release: DemoRelease,
    /// What the program that updates itself did; none when it was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updates: Option<DemoUpdates>,
    /// What came of the release whose rules an operator used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<DemoControl>,
}

/// Bytes that travelled for each version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// For the first.
    pub first: u64,
    /// For the second.
    pub second: u64,
}

/// What was released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoRelease {
    /// On this link.
    pub production: String,
    /// What it holds.
    pub verlink: String,
    /// Bytes that travelled for the last release.
    pub received: u64,
    /// Bytes of all of it.
    pub bytes: u64,
}

/// What the program that updates itself did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoUpdates {
    /// Bytes that travelled for its update.
    pub received: u64,
    /// Bytes of all of it.
    pub bytes: u64,
    /// Bytes that a delta took the place of, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<u64>,
}

/// What came of a release that went out by a web server, and was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoControl {
    /// The link.
    pub production: String,
    /// Bytes of its mirror.
    pub mirror_bytes: u64,
    /// What the web servers were asked.
    pub requests: u64,
    /// What the installations put into the network without a web server; nobody there answered.
    pub unanswered: u64,
}

#[cfg(test)]
mod tests;
