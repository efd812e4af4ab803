//! Digests and signatures.
//!
//! | payload of the signature | used by |
//! |---|---|
//! | digest (32 bytes) | schema 1 |
//! | digest, then the version's UTF-8 bytes as the manifest has them (at least 1) | schema 2 |
//! | [`binding_payload`] | `boscSignature`, which old clients ignore |
//! | [`ruled_payload`] | `boscSignature` of a release with rules |
//!
//! They never collide: 32 bytes; more than 32 that start with a digest; and ones that start with one of our domain tags, for which a
//! digest with 22 chosen bytes would be needed.
//!
//! Ed25519 is verified as RFC 8032 without cofactor and without the extra refusals of `verify_strict`, as Perry does. Base64
//! is the standard alphabet with padding, canonical, white space around it is cut.

use crate::error::{ErrorKind, UpdateError};
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::path::Path;

/// Bytes of a block that is read and hashed at a time.
const BLOCK: usize = 64 * 1024;
/// Longest Base64 text of a key or signature that is read.
const MAX_BASE64: usize = 256;
/// What [`binding_payload`] starts with.
const BINDING_DOMAIN: &[u8] = b"bosc-updater-asset-v1\0";

/// What [`ruled_payload`] starts with.
const RULED_DOMAIN: &[u8] = b"bosc-updater-asset-v2\0";

/// A SHA-256 digest.
pub type Digest32 = [u8; 32];

/// An Ed25519 public key that may sign releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads Base64 of 32 bytes.
    ///
    /// # Errors
    /// `Input`, with Perry's texts.
    pub fn parse(text: &str) -> Result<Self, UpdateError> {
        let bytes = base64(text).ok_or_else(|| input("pubkey is not valid base64"))?;
        let key: [u8; 32] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| input(&format!("pubkey must decode to 32 bytes (got {})", bytes.len())))?;
        Self::from_bytes(&key)
    }

    /// Takes the 32 bytes of a key.
    ///
    /// # Errors
    /// `Input` when they are not points of the curve.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, UpdateError> {
        VerifyingKey::from_bytes(bytes).map(Self).map_err(|_| input("pubkey is not a valid Ed25519 point"))
    }

    /// Base64 of it.
    pub fn to_base64(&self) -> String {
        BASE64.encode(self.0.as_bytes())
    }

    /// Whether `signature` is this key's over `payload`.
    pub fn verifies(&self, payload: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify(payload, &Signature::from_bytes(signature)).is_ok()
    }
}

fn input(message: &str) -> UpdateError {
    UpdateError::new(ErrorKind::Input, message)
        .hint("a public key is the `public_key` of the file that `bosc updater keygen` wrote")
}

/// Decodes Perry's Base64: trimmed, standard alphabet, padded, canonical; `None` else.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.len() > MAX_BASE64 {
        return None;
    }
    BASE64.decode(text.as_bytes()).ok()
}

/// Decodes a signature.
pub fn parse_signature(text: &str) -> Option<[u8; 64]> {
    base64(text)?.try_into().ok()
}

/// Decodes 64 hex digits of either case.
pub fn parse_digest(text: &str) -> Option<Digest32> {
    if text.len() != 64 {
        return None;
    }
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// 64 lower-case hex digits.
pub fn hex(digest: &Digest32) -> String {
    HEXLOWER.encode(digest)
}

/// The digest of all that a reader gives, and how much that was. Takes one block of memory whatever the length.
///
/// # Errors
/// What the reader returns.
pub fn digest_reader(reader: &mut dyn Read) -> io::Result<(Digest32, u64)> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut size = 0_u64;
    loop {
        let n = match reader.read(&mut block) {
            Ok(0) => return Ok((hasher.finalize().into(), size)),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        hasher.update(block.get(..n).unwrap_or_default());
        size += n as u64;
    }
}

/// The digest and size of a regular file.
///
/// # Errors
/// What opening or reading it returns; `InvalidInput` for a FIFO, device or socket, which is not waited for.
pub fn digest_file(path: &Path) -> io::Result<(Digest32, u64)> {
    digest_reader(&mut bosc_files::open_plain(path)?)
}

/// Perry's `computeFileSha256`: lower-case hex of the whole file, read in blocks.
///
/// # Errors
/// What opening or reading it returns (the original returns an empty text).
pub fn compute_file_sha256(path: &Path) -> io::Result<String> {
    digest_file(path).map(|(digest, _)| hex(&digest))
}

/// Perry's `verifyHash`: whether the file has this SHA-256. Hex of either case.
pub fn verify_hash(path: &Path, expected: &str) -> bool {
    match (parse_digest(expected), digest_file(path)) {
        (Some(want), Ok((got, _))) => want == got,
        _ => false,
    }
}

/// The payload of a schema 2 signature; `None` for an empty version, whose payload would be one of schema 1.
pub fn payload_v2(digest: &Digest32, version: &str) -> Option<Vec<u8>> {
    if version.is_empty() {
        return None;
    }
    let mut payload = Vec::with_capacity(32 + version.len());
    payload.extend_from_slice(digest);
    payload.extend_from_slice(version.as_bytes());
    Some(payload)
}

/// What a release is bound to besides its bytes and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The application.
    pub app: &'a str,
    /// The platform key of the manifest.
    pub platform: &'a str,
    /// The version as the manifest has it.
    pub version: &'a str,
    /// Bytes of the artifact.
    pub size: u64,
}

/// The payload of `boscSignature`: domain tag, then application, platform and version each as u32be length and bytes, the
/// digest, and u64be size. `None` when a text is empty or longer than 4 GiB.
pub fn binding_payload(digest: &Digest32, binding: &Binding<'_>) -> Option<Vec<u8>> {
    bound(BINDING_DOMAIN, digest, binding)
}

/// The payload of `boscSignature` where the manifest has rules: another domain tag, the same as in [`binding_payload`], and behind it
/// the SHA-256 of the rules' text. `None` as there.
///
/// The tag is another one so that neither is the other: a release whose rules were left out on the way is not one without rules.
pub fn ruled_payload(digest: &Digest32, binding: &Binding<'_>, rules: &str) -> Option<Vec<u8>> {
    let mut payload = bound(RULED_DOMAIN, digest, binding)?;
    payload.extend_from_slice(&Sha256::digest(rules.as_bytes()));
    Some(payload)
}

fn bound(domain: &[u8], digest: &Digest32, binding: &Binding<'_>) -> Option<Vec<u8>> {
    let mut payload = domain.to_vec();
    for text in [binding.app, binding.platform, binding.version] {
        if text.is_empty() {
            return None;
        }
        payload.extend_from_slice(&u32::try_from(text.len()).ok()?.to_be_bytes());
        payload.extend_from_slice(text.as_bytes());
    }
    payload.extend_from_slice(digest);
    payload.extend_from_slice(&binding.size.to_be_bytes());
    Some(payload)
}

/// Perry's `verifySignature` (schema 1): whether `signature` is over the file's digest alone.
///
/// Such a signature says nothing about the version: whoever holds an old one can pass the old file off as new.
pub fn verify_signature(path: &Path, signature: &str, public_key: &str) -> bool {
    verify_file(path, signature, public_key, |digest| Some(digest.to_vec()))
}

/// Perry's `verifySignatureV2`: whether `signature` is over the file's digest and this version. An empty version is refused.
pub fn verify_signature_v2(path: &Path, signature: &str, public_key: &str, version: &str) -> bool {
    verify_file(path, signature, public_key, |digest| payload_v2(digest, version))
}

fn verify_file(
    path: &Path,
    signature: &str,
    public_key: &str,
    payload: impl Fn(&Digest32) -> Option<Vec<u8>>,
) -> bool {
    let (Some(signature), Ok(key)) = (parse_signature(signature), PublicKey::parse(public_key)) else {
        return false;
    };
    let Ok((digest, _)) = digest_file(path) else { return false };
    payload(&digest).is_some_and(|p| key.verifies(&p, &signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_of_the_documentation() {
        let page = include_str!("../../../../docs/formats.md");
        let vector =
            page.split("<!-- vector: ruled -->").nth(1).and_then(|rest| rest.split("<!-- end -->").next());
        let hex: String = vector.unwrap().split_whitespace().collect();
        let binding = Binding { app: "hello", platform: "linux-x86_64", version: "1.2.3", size: 3 };
        let digest: Digest32 = Sha256::digest(b"abc").into();
        let policy = r#"{"schema":1,"time":5}"#;
        assert_eq!(HEXLOWER.encode(&ruled_payload(&digest, &binding, policy).unwrap()), hex);
        // Nothing of it is the payload of a release without rules, nor of one with others.
        let plain = binding_payload(&digest, &binding).unwrap();
        assert!(!ruled_payload(&digest, &binding, "").unwrap().starts_with(&plain));
        assert_ne!(ruled_payload(&digest, &binding, policy), ruled_payload(&digest, &binding, ""));
        assert_eq!(ruled_payload(&digest, &Binding { app: "", ..binding }, policy), None);
    }
}
