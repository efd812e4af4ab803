//! What `updater` tells on the way, and what it ends with.

use crate::secrets::check::LooksSecret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What happens during `updater manifest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "tag", content = "data", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum UpdaterEvent {
    /// Something that looks like a secret.
    LooksSecret(LooksSecret),
    /// A build says that it is another version than the release.
    VersionMismatch {
        /// The file that says so, in the folder.
        path: String,
        /// The release's version.
        release: String,
        /// The build's.
        running: String,
    },
    /// An artifact that was written and signed.
    Artifact {
        /// Its platform, as Perry calls it.
        platform: String,
        /// Its file.
        file: String,
        /// Its size in bytes.
        size: u64,
        /// Its SHA-256, lower-case hex.
        sha256: String,
    },
    /// A patch from an earlier artifact was written.
    Delta {
        /// Its platform, as Perry calls it.
        platform: String,
        /// Its file.
        file: String,
        /// The version that it starts from.
        from: String,
        /// Its size in bytes.
        size: u64,
        /// The size of the artifact.
        instead_of: u64,
    },
    /// There is no patch.
    NoDelta {
        /// Of what, and why.
        reason: String,
    },
    /// A build that no manifest can name.
    Skipping {
        /// Which, and why.
        reason: String,
    },
    /// The manifest was written.
    Manifest {
        /// To this file.
        #[serde(serialize_with = "crate::event::fields::path")]
        path: PathBuf,
        /// How many platforms it has.
        platforms: usize,
    },
}

/// What `updater sign` ends with: Perry's envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// 2.
    pub schema_version: u8,
    /// The version that was signed.
    pub version: String,
    /// The artifact's size in bytes.
    pub size: u64,
    /// Its SHA-256, lower-case hex.
    pub sha256: String,
    /// Base64 of the signature.
    pub signature: String,
    /// Base64 of the key that signed.
    pub public_key: String,
}

/// What `updater manifest` ends with: the manifest itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComposedManifest {
    /// 2.
    pub schema_version: u8,
    /// The version.
    pub version: String,
    /// When it was published: ISO 8601.
    pub pub_date: String,
    /// The release notes.
    pub notes: String,
    /// The artifact of each platform, as Perry calls it.
    pub platforms: BTreeMap<String, PlatformEntry>,
    /// Clients take no older signatures from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_schema: Option<u8>,
    /// It should be installed before the application is used further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandatory: Option<bool>,
    /// The oldest version of the operating system that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_system_version: Option<String>,
    /// The rules of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bosc_rules: Option<RulesEntry>,
}

/// The rules of a release, as they are signed with each artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesEntry {
    /// The application that they are of.
    pub app: String,
    /// The text of a `release.json`; empty: there are none from this release on.
    pub policy: String,
}

/// The artifact of a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformEntry {
    /// Where it will be.
    pub url: String,
    /// Its SHA-256, lower-case hex.
    pub sha256: String,
    /// Base64 of the signature.
    pub signature: String,
    /// Its size in bytes.
    pub size: u64,
    /// Base64 of the signature that binds it to application and platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bosc_signature: Option<String>,
    /// Patches that make it of earlier artifacts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deltas: Vec<DeltaEntry>,
}

/// A patch that makes the artifact of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeltaEntry {
    /// The version of the earlier artifact.
    pub from: String,
    /// Its SHA-256, lower-case hex.
    pub base_sha256: String,
    /// Where the patch will be.
    pub url: String,
    /// SHA-256 of the patch, lower-case hex.
    pub sha256: String,
    /// Bytes of the patch.
    pub size: u64,
}

#[cfg(test)]
mod tests;
