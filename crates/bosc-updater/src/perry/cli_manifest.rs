//! The wholly signed manifest of a command-line tool: `<artifact>.update.json`, `perry-cli-update-manifest-v1`.
//!
//! Every field is signed. The payload is the domain tag with its zero byte, then u32be schema, then key id, version,
//! platform, artifact name and URL, each as u32be length and bytes, then the 32 bytes of the digest and u64be size.

use super::url::{SecureUrl, UrlKind};
use super::verify::{PublicKey, digest_file, hex, parse_digest, parse_signature};
use super::version::MAX_VERSION_LEN;
use crate::error::{ErrorKind, UpdateError};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Largest manifest that is read, in bytes.
pub const MAX_CLI_MANIFEST_LEN: usize = 64 * 1024;
/// What every payload starts with.
pub const DOMAIN: &[u8] = b"perry-cli-update-manifest-v1\0";

/// The manifest. Unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CliManifest {
    /// 1.
    pub schema_version: u32,
    /// Which key signed it.
    pub key_id: String,
    /// The version; leading `v`s are allowed.
    pub version: String,
    /// The artifact's name again.
    pub platform: String,
    /// What to fetch.
    pub artifact: CliArtifact,
    /// Base64 of the Ed25519 signature over [`CliManifest::payload`].
    pub signature: String,
}

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CliArtifact {
    /// File name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// 64 hex digits.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// A key that may sign, and its name.
#[derive(Debug, Clone)]
pub struct NamedKey {
    /// What `keyId` names it.
    pub id: String,
    /// The key.
    pub key: PublicKey,
}

impl CliManifest {
    /// Reads a manifest. Nothing is proved yet.
    ///
    /// # Errors
    /// `Integrity`.
    pub fn parse(bytes: &[u8]) -> Result<Self, UpdateError> {
        if bytes.len() > MAX_CLI_MANIFEST_LEN {
            return Err(bad(format!("the update manifest is larger than {MAX_CLI_MANIFEST_LEN} bytes")));
        }
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|e| bad("not an update manifest").because(e))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The rules that need no key.
    fn check(&self) -> Result<(Version, [u8; 32]), UpdateError> {
        if self.schema_version != 1 {
            return Err(bad(format!("unsupported update manifest schemaVersion {}", self.schema_version)));
        }
        for (name, value) in [
            ("keyId", &self.key_id),
            ("version", &self.version),
            ("platform", &self.platform),
            ("artifact.name", &self.artifact.name),
            ("artifact.url", &self.artifact.url),
        ] {
            if value.is_empty() {
                return Err(bad(format!("the update manifest's {name} is empty")));
            }
        }
        let version = (self.version.len() <= MAX_VERSION_LEN)
            .then(|| Version::parse(self.version.trim_start_matches('v')).ok())
            .flatten()
            .ok_or_else(|| bad("the update manifest's version is not SemVer"))?;
        let digest = parse_digest(&self.artifact.sha256)
            .ok_or_else(|| bad("the update manifest's artifact.sha256 is not 64 hex digits"))?;
        if self.platform != self.artifact.name {
            return Err(bad("the update manifest's platform is not its artifact's name"));
        }
        SecureUrl::parse(UrlKind::Asset, &self.artifact.url)?;
        Ok((version, digest))
    }

    /// What is signed.
    ///
    /// # Errors
    /// `Integrity` when a field breaks the rules.
    pub fn payload(&self) -> Result<Vec<u8>, UpdateError> {
        let (_, digest) = self.check()?;
        let mut payload = DOMAIN.to_vec();
        payload.extend_from_slice(&self.schema_version.to_be_bytes());
        for text in [&self.key_id, &self.version, &self.platform, &self.artifact.name, &self.artifact.url] {
            let len = u32::try_from(text.len()).map_err(|_| bad("the update manifest is too large"))?;
            payload.extend_from_slice(&len.to_be_bytes());
            payload.extend_from_slice(text.as_bytes());
        }
        payload.extend_from_slice(&digest);
        payload.extend_from_slice(&self.artifact.size.to_be_bytes());
        Ok(payload)
    }

    /// Whether the named key signed it, for `platform`, and newer than `installed`.
    ///
    /// # Errors
    /// `Integrity` for an unknown key, a wrong signature or another platform; `Refused` when it is not strictly newer.
    pub fn verify(
        &self,
        keys: &[NamedKey],
        platform: &str,
        installed: &Version,
    ) -> Result<Version, UpdateError> {
        let payload = self.payload()?;
        let (version, _) = self.check()?;
        let signature = parse_signature(&self.signature)
            .ok_or_else(|| bad("the update manifest's signature is not Base64 of 64 bytes"))?;
        let mut named = keys.iter().filter(|k| k.id == self.key_id).peekable();
        if named.peek().is_none() {
            return Err(bad(format!(
                "the update manifest is signed by the unknown key {:?}",
                brief(&self.key_id)
            )));
        }
        if !named.any(|k| k.key.verifies(&payload, &signature)) {
            return Err(bad("the update manifest's signature is wrong"));
        }
        if self.platform != platform {
            return Err(bad(format!("the update manifest is for {}", brief(&self.platform))));
        }
        if version <= *installed {
            return Err(UpdateError::new(
                ErrorKind::Refused,
                format!("{version} is not newer than the installed {installed}: replay/downgrade rejected"),
            )
            .hint("nothing was changed"));
        }
        Ok(version)
    }

    /// Whether a file is the artifact: a regular file of the size and digest that are signed.
    ///
    /// # Errors
    /// `Disk` when it cannot be read, `Integrity` when it is another.
    pub fn verify_artifact(&self, path: &Path) -> Result<(), UpdateError> {
        let (_, want) = self.check()?;
        let disk = |e| {
            UpdateError::new(ErrorKind::Disk, format!("failed to open {}", path.display()))
                .hint("check that the file is there and may be read")
                .because(e)
        };
        let meta = std::fs::symlink_metadata(path).map_err(disk)?;
        if !meta.is_file() {
            return Err(bad("the artifact is not a regular file"));
        }
        if meta.len() != self.artifact.size {
            return Err(bad(format!("the artifact has {} bytes, not {}", meta.len(), self.artifact.size)));
        }
        let (got, _) = digest_file(path).map_err(disk)?;
        if got != want {
            return Err(bad(format!("SHA-256 mismatch — expected {}, got {}", hex(&want), hex(&got))));
        }
        Ok(())
    }
}

fn brief(text: &str) -> String {
    text.chars().take(80).collect()
}

fn bad(message: impl Into<String>) -> UpdateError {
    UpdateError::new(ErrorKind::Integrity, message)
        .hint("nothing was changed; fetch it again, from another place")
}
