//! What `doctor` tells on the way, and what it ends with.

use super::client::Client;
use super::facts::Platform;
use super::finding::Finding;
use super::nat::NatSeen;
use serde::{Deserialize, Serialize};

/// What happens during `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum DoctorEvent {
    /// What is known of the link.
    Doctor(Box<Examined>),
    /// What a platform has.
    Platform(Platform),
    /// What is well or not.
    Finding(Finding),
    /// Whether a client would update.
    Client(Client),
    /// The network as this machine sees it.
    Nat(NatSeen),
}

/// What is known of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Examined {
    /// The link.
    pub link: String,
    /// Its newest version; none while nothing is known.
    pub verlink: Option<String>,
    /// Its newest length.
    pub length: u64,
    /// Its fork.
    pub fork: u64,
    /// The length that was looked at.
    pub at: u64,
    /// That length ends a batch.
    pub batch_end: bool,
    /// The application's name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The link it follows.
    pub upgrade: Option<String>,
    /// This store writes to the link.
    pub writable: bool,
    /// Others may do so too.
    pub shared_key: bool,
    /// Signers there are.
    pub signers: usize,
    /// Signers that must sign.
    pub quorum: u64,
    /// All of it is here.
    pub here: bool,
    /// This process seeds it.
    pub seeding: bool,
    /// Who holds it.
    pub seeders: SeedersSeen,
    /// Damage on this disk.
    pub rot: RotSeen,
}

/// Who holds a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedersSeen {
    /// Peers that have it at all.
    pub peers: usize,
    /// Peers that have all of the db.
    pub db: usize,
    /// Peers that have all of the blobs.
    pub blobs: usize,
    /// Peers that have all of both.
    pub both: usize,
}

/// Damage on this disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RotSeen {
    /// Blocks that are damaged.
    pub damaged: u64,
    /// Bytes that were read.
    pub checked_bytes: u64,
    /// Bytes there are.
    pub total_bytes: u64,
}

/// What `doctor` ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Findings that are well.
    pub ok: u64,
    /// Findings to look at.
    pub warn: u64,
    /// Findings that are bad.
    pub bad: u64,
}
