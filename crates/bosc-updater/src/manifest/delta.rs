//! Patches that a manifest names.

use super::url::SecureUrl;
use super::verify::Digest32;

/// Most deltas of one platform that are looked at.
pub const MAX_DELTAS: usize = 16;

/// A patch that makes an artifact of an older one. Nothing of it is proved, nor has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetDelta {
    /// The version of the older artifact.
    pub from: String,
    /// SHA-256 of the older artifact.
    pub base_sha256: Digest32,
    /// Where the patch is.
    pub url: SecureUrl,
    /// SHA-256 of the patch.
    pub sha256: Digest32,
    /// Bytes of the patch.
    pub size: u64,
}
