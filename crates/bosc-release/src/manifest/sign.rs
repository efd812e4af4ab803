//! One artifact: sign it, verify it.

use super::event::Envelope;
use super::keypair::KeyPair;
use crate::error::CommandError;
use bosc_updater::manifest::verify::{
    Binding, PublicKey, base64, binding_payload, digest_file, hex, payload_v2, ruled_payload,
};
use bosc_updater::manifest::version::parse_version;
use data_encoding::BASE64;
use ed25519_dalek::Signer;
use std::path::Path;

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedArtifact {
    /// The version.
    pub version: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Base64 of the signature over digest and version.
    pub signature: String,
    /// Base64 of the key that signed.
    pub public_key: String,
    /// Base64 of the signature over the binding, if one was asked for.
    pub bound: Option<String>,
}

impl SignedArtifact {
    /// Perry's envelope.
    pub fn envelope(&self) -> Envelope {
        Envelope {
            schema_version: 2,
            version: self.version.clone(),
            size: self.size,
            sha256: self.sha256.clone(),
            signature: self.signature.clone(),
            public_key: self.public_key.clone(),
        }
    }
}

/// What an artifact is bound to besides its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The application.
    pub app: &'a str,
    /// The platform key of the manifest.
    pub platform: &'a str,
    /// The text of the rules that the manifest has; empty: it says that there are none from now on.
    pub rules: Option<&'a str>,
}

/// Signs a file as this version; with `bind` it is bound to that too. Read in blocks.
///
/// # Errors
/// `Failed`, with Perry's texts; `Input` for a version that no client takes.
pub fn sign(
    path: &Path,
    version: &str,
    key: &KeyPair,
    bind: Option<Bind<'_>>,
) -> Result<SignedArtifact, CommandError> {
    let empty = || {
        CommandError::failed(
            "version must be non-empty (an empty v2 payload would reduce to a v1 signature byte-for-byte; \
             pass the version of the release)",
        )
        .hint("give the version of the release with --version")
    };
    if version.is_empty() {
        return Err(empty());
    }
    let (digest, size) = digest_file(path).map_err(|e| cannot_open(path, e))?;
    if parse_version(version).is_none() {
        let shown: String = version.chars().take(64).collect();
        return Err(CommandError::input(format!(
            "{shown:?} is not a version that clients accept; nothing was signed"
        ))
        .hint("versions are SemVer without a leading v and without spaces, such as 1.2.3"));
    }
    let payload = payload_v2(&digest, version).ok_or_else(empty)?;
    let key_pair = key.signing_key();
    let bound = bind.and_then(|Bind { app, platform, rules }| {
        let binding = Binding { app, platform, version, size };
        let payload = match rules {
            Some(rules) => ruled_payload(&digest, &binding, rules),
            None => binding_payload(&digest, &binding),
        };
        payload.map(|p| BASE64.encode(&key_pair.sign(&p).to_bytes()))
    });
    Ok(SignedArtifact {
        version: version.to_owned(),
        size,
        sha256: hex(&digest),
        signature: BASE64.encode(&key_pair.sign(&payload).to_bytes()),
        public_key: key.public_base64(),
        bound,
    })
}

/// Verifies a file's signature of schema 2.
///
/// # Errors
/// `Failed`, with Perry's texts.
pub fn verify(path: &Path, version: &str, signature: &str, public_key: &str) -> Result<(), CommandError> {
    if version.is_empty() {
        return Err(
            CommandError::failed("version must be non-empty").hint("give the version that was signed")
        );
    }
    let hint = "the signature is the `signature` of what `bosc updater sign` printed, the public key its `publicKey`";
    let bytes =
        base64(signature).ok_or_else(|| CommandError::failed("signature is not valid base64").hint(hint))?;
    let signature: [u8; 64] = bytes.as_slice().try_into().map_err(|_| {
        CommandError::failed(format!("signature must decode to 64 bytes (got {})", bytes.len())).hint(hint)
    })?;
    let key = PublicKey::parse(public_key).map_err(|e| CommandError::failed(e.to_string()).hint(hint))?;
    let (digest, _) = digest_file(path).map_err(|e| cannot_open(path, e))?;
    let good = payload_v2(&digest, version).is_some_and(|p| key.verifies(&p, &signature));
    if good {
        return Ok(());
    }
    Err(CommandError::failed(
        "signature verification failed: signature error: Verification equation was not satisfied",
    )
    .hint("file, version, signature and key must be the four that belong together; do not ship this file"))
}

fn cannot_open(path: &Path, e: std::io::Error) -> CommandError {
    CommandError::failed(format!("failed to open {}", path.display()))
        .hint("check that the file exists and that you may read it")
        .because(e)
}
