//! Signing requests and responses: how a quorum signs a drive offline (npm `hypercore-signing-request` 5).
//!
//! A request names the *target* core by its manifest and what it is to contain by length, fork and tree hash; for a
//! drive also the blobs core. Each signer answers with one response that carries a signature for each core. As text
//! both are z-base-32.
//!
//! ```text
//! request   3 | u8 0 | length | fork | 32 tree hash | manifest | flags (1 drive) | [length | 32 tree hash]
//! response  3 | u8 1 | 32 H(request) | 32 public key | count | 64 signature ...
//! ```
//!
//! Versions 1 and 2 lack the second byte.
//!
//! # What is refused
//!
//! A signature is over `TREE | context | tree hash | length | fork` and over nothing else of the request. So whoever can
//! choose the context can have something signed that is valid for another link than the one that is shown. Before a
//! request is shown or signed ([`Request::check`]) it is held to this:
//!
//! * Its manifest has version 1 or later: the context is the hash of the whole manifest. Under version 0 it is the
//!   signer's namespace, 32 bytes that the asker chooses: production's key, for example.
//! * It is for a drive. A request for one core of a drive (by production's own manifest, or by that of its blobs) would
//!   let an asker put together a drive from two requests that were looked at apart.
//! * It is written as it is written here, byte for byte. Padded numbers or unknown flags would give one thing to sign
//!   many hashes.
//! * Its quorum is one that its signers can reach, and no signer stands in it twice: "2 of 3" means two people.
//! * Its fork is 0 and its length is not: nothing else can ever be committed.

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::crypto::{self, CoreKey, Hash, KeyPair, PublicKey};
use crate::id;
use crate::manifest::{Manifest, PartialSignature, assemble, signable};
use std::collections::HashSet;
use thiserror::Error;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tricks;

/// The version written here.
pub const VERSION: u64 = 3;
/// The last version without a type byte.
const LAST_UNTYPED: u64 = 2;
const TYPE_REQUEST: u8 = 0;
const TYPE_RESPONSE: u8 = 1;
const FLAG_DRIVE: u64 = 1;
/// The most bytes a request or response may have.
pub const MAX_BYTES: usize = 256 * 1024;

/// Why a request or response cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SigningError {
    /// The text is no z-base-32.
    #[error("this is not z-base-32 text; was it copied whole?")]
    NotText,
    /// The bytes are no request or response.
    #[error("cannot be read: {0}")]
    Decode(#[from] DecodeError),
    /// Made by a later version.
    #[error("version {0} is not known here; upgrade to read it")]
    UnknownVersion(u64),
    /// A response where a request should be, or the other way round.
    #[error("this is a {found}, not a {expected}")]
    WrongType {
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// The request is for an empty core.
    #[error("the request is for a core without blocks; nothing to sign")]
    EmptyCore,
    /// A request of version 0, which no tool writes.
    #[error("the request has version 0, which no tool writes")]
    NoVersion,
    /// The request is for a single core. Its signature would be valid for one half of the drive with that key.
    #[error("the request is for a single core, not for a drive")]
    NotADrive,
    /// The request is for a drive that was cut back, which a quorum's link cannot follow.
    #[error("the request is for fork {0}: a drive that was truncated before can never be committed")]
    Forked(u64),
    /// The same signer stands in the manifest twice, so that one person could make up a quorum.
    #[error("a signer is listed twice in the request")]
    SignerTwice,
    /// No signers, or more needed than there are.
    #[error("the request asks for {quorum} of {signers} signers")]
    ImpossibleQuorum {
        /// How many must sign.
        quorum: u64,
        /// How many there are.
        signers: usize,
    },
    /// The bytes say what they say in an unusual way, so that their hash is not the request's.
    #[error(
        "the request is not encoded as it must be; it was changed on its way or made to have another hash"
    )]
    NotCanonical,
    /// The public key is not in the request's manifest.
    #[error("this key is not a declared signer for the request")]
    NotASigner,
    /// The request is for a drive whose blobs key cannot be derived.
    #[error("the request's manifest has version 0; a drive needs version 1 or later")]
    OldManifest,
    /// The response answers another request.
    #[error("the signature was not made over this request")]
    OtherRequest,
    /// A signature does not verify.
    #[error("the signature is not valid")]
    InvalidSignature,
    /// Too few signers answered.
    #[error("{have} of {need} signatures are here")]
    Quorum {
        /// Valid responses of different signers.
        have: u64,
        /// What the manifest asks for.
        need: u64,
    },
}

/// The blobs core of a drive in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Its length.
    pub length: u64,
    /// Its tree hash at that length.
    pub tree_hash: Hash,
}

/// What signers are asked to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Version of the encoding, 1 to 3; see [`Request::check`].
    pub version: u64,
    /// Length of the core.
    pub length: u64,
    /// Fork of the core, and of the blobs core.
    pub fork: u64,
    /// Tree hash of the core at that length.
    pub tree_hash: Hash,
    /// Manifest of the core that is signed.
    pub manifest: Manifest,
    /// The drive's blobs core.
    pub content: Option<Content>,
}

/// One thing to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signable {
    /// Position among the manifest's signers.
    pub signer: u64,
    /// The message.
    pub message: [u8; 112],
}

impl SigningError {
    /// Whether the bytes are a request that could be read, and that nobody must sign.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::EmptyCore
                | Self::NoVersion
                | Self::NotADrive
                | Self::Forked(_)
                | Self::SignerTwice
                | Self::ImpossibleQuorum { .. }
                | Self::NotCanonical
                | Self::OldManifest
        )
    }
}

/// The hash of a whole request, as responses carry it. `bytes` are those it was read from.
pub fn request_hash(bytes: &[u8]) -> Hash {
    crypto::hash(&[bytes])
}

/// A request's hash for people who compare it aloud: the first 160 bits as eight groups of four characters of
/// z-base-32. Enough that nobody can make two requests that share it.
pub fn spoken(hash: &Hash) -> String {
    let text = id::encode(hash);
    let mut out = String::with_capacity(39);
    for (i, c) in text.chars().take(32).enumerate() {
        if i > 0 && i % 4 == 0 {
            out.push('-');
        }
        out.push(c);
    }
    out
}

fn version(d: &mut Decoder<'_>, expected: u8) -> Result<u64, SigningError> {
    let version = d.uint()?;
    if version > VERSION {
        return Err(SigningError::UnknownVersion(version));
    }
    if version > LAST_UNTYPED {
        let names = ["request", "response"];
        let name = |t: u8| names.get(usize::from(t)).copied().unwrap_or("something else");
        let found = d.u8()?;
        if found != expected {
            return Err(SigningError::WrongType { expected: name(expected), found: name(found) });
        }
    }
    Ok(version)
}

fn from_text(text: &str) -> Result<Vec<u8>, SigningError> {
    // Long texts get wrapped on their way through mails and terminals.
    let text: String = text.chars().filter(|c| !c.is_whitespace()).take(MAX_BYTES * 2).collect();
    id::decode_bytes(&text).map_err(|_| SigningError::NotText)
}

fn bounded(bytes: &[u8]) -> Result<Decoder<'_>, DecodeError> {
    if bytes.len() > MAX_BYTES { Err(DecodeError::TooLarge("the text")) } else { Ok(Decoder::new(bytes)) }
}

impl Request {
    /// A request in the current version.
    pub fn new(
        manifest: Manifest,
        length: u64,
        fork: u64,
        tree_hash: Hash,
        content: Option<Content>,
    ) -> Self {
        Self { version: VERSION, length, fork, tree_hash, manifest, content }
    }

    /// The bytes signers refer to.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.uint(self.version);
        if self.version > LAST_UNTYPED {
            e.u8(TYPE_REQUEST);
        }
        e.uint(self.length).uint(self.fork).raw(&self.tree_hash);
        self.manifest.encode_into(&mut e);
        e.uint(if self.content.is_some() { FLAG_DRIVE } else { 0 });
        if let Some(c) = &self.content {
            e.uint(c.length).raw(&c.tree_hash);
        }
        e.finish()
    }

    /// Reads a request, and refuses what nobody must sign: see [`Request::check`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SigningError> {
        let mut d = bounded(bytes)?;
        let version = version(&mut d, TYPE_REQUEST)?;
        let (length, fork, tree_hash) = (d.uint()?, d.uint()?, d.fixed32()?);
        let manifest = Manifest::decode_from(&mut d)?;
        // The first versions ended here.
        let flags = if d.is_empty() { 0 } else { d.uint()? };
        let content = if flags & FLAG_DRIVE != 0 {
            Some(Content { length: d.uint()?, tree_hash: d.fixed32()? })
        } else {
            None
        };
        d.finish()?;
        let request = Self { version, length, fork, tree_hash, manifest, content };
        request.check()?;
        if request.encode() != bytes {
            return Err(SigningError::NotCanonical);
        }
        Ok(request)
    }

    /// Whether signing it can only mean what it shows. What is refused, and why, stands above.
    ///
    /// # Errors
    /// One for which [`SigningError::is_refusal`] is true.
    pub fn check(&self) -> Result<(), SigningError> {
        if self.version == 0 {
            return Err(SigningError::NoVersion);
        }
        if self.length == 0 {
            return Err(SigningError::EmptyCore);
        }
        if self.manifest.version == 0 {
            return Err(SigningError::OldManifest);
        }
        if self.content.is_none() {
            return Err(SigningError::NotADrive);
        }
        if self.fork != 0 {
            return Err(SigningError::Forked(self.fork));
        }
        let Manifest { quorum, signers, .. } = &self.manifest;
        if *quorum == 0 || *quorum > signers.len() as u64 {
            return Err(SigningError::ImpossibleQuorum { quorum: *quorum, signers: signers.len() });
        }
        let mut seen = HashSet::with_capacity(signers.len());
        if signers.iter().any(|s| !seen.insert(s.public_key)) {
            return Err(SigningError::SignerTwice);
        }
        Ok(())
    }

    /// As people pass it on.
    pub fn to_text(&self) -> String {
        id::encode_bytes(&self.encode())
    }

    /// Reads the text form; white space does not matter. Also returns the bytes, which responses are about.
    pub fn from_text(text: &str) -> Result<(Self, Vec<u8>), SigningError> {
        let bytes = from_text(text)?;
        Ok((Self::decode(&bytes)?, bytes))
    }

    /// The key of the core that is signed.
    pub fn key(&self) -> CoreKey {
        self.manifest.key()
    }

    /// The key of the drive's blobs core, which is signed too. `None` for manifests of version 0.
    pub fn blobs_key(&self) -> Option<CoreKey> {
        self.manifest.blobs_key()
    }

    /// What the signer `public_key` signs: the core, then the drive's blobs core. Nothing for a request that is refused.
    pub fn signables(&self, public_key: &PublicKey) -> Result<Vec<Signable>, SigningError> {
        self.check()?;
        let (signer, _) = self
            .manifest
            .signers
            .iter()
            .enumerate()
            .find(|(_, s)| s.public_key == *public_key)
            .ok_or(SigningError::NotASigner)?;
        let signer = signer as u64;
        let key = self.key();
        let message = signable(&key, &self.tree_hash, self.length, self.fork);
        let mut out = vec![Signable { signer, message }];
        if let Some(c) = &self.content {
            let blobs = self.manifest.blobs(&key).ok_or(SigningError::OldManifest)?;
            let message = signable(&blobs.key(), &c.tree_hash, c.length, self.fork);
            out.push(Signable { signer, message });
        }
        Ok(out)
    }

    /// Signs. `bytes` are those the request was read from. The response has the request's version: who made an old
    /// request may not know newer ones.
    pub fn sign(&self, bytes: &[u8], key_pair: &KeyPair) -> Result<Response, SigningError> {
        let public_key = key_pair.public();
        let signatures = self.signables(&public_key)?.iter().map(|s| key_pair.sign(&s.message)).collect();
        Ok(Response { version: self.version, request_hash: request_hash(bytes), public_key, signatures })
    }

    /// Joins responses into the signatures of the two cores (the second for drives only). Several responses of one
    /// signer count once; any that does not verify is an error.
    pub fn assemble(
        &self,
        bytes: &[u8],
        responses: &[Response],
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), SigningError> {
        let mut of_core = Vec::new();
        let mut of_blobs = Vec::new();
        for (signer, spec) in self.manifest.signers.iter().enumerate() {
            let mut valid = None;
            for r in responses.iter().filter(|r| r.public_key == spec.public_key) {
                r.verify(self, bytes)?;
                valid = Some(r);
            }
            let part = |signature: &[u8; 64]| PartialSignature {
                signer: signer as u64,
                signature: *signature,
                patch: 0,
                nodes: Vec::new(),
            };
            if let Some(r) = valid {
                of_core.extend(r.signatures.first().map(part));
                of_blobs.extend(r.signatures.get(1).map(part));
            }
        }
        if responses.iter().any(|r| self.signables(&r.public_key).is_err()) {
            return Err(SigningError::NotASigner);
        }
        let (have, need) = (of_core.len() as u64, self.manifest.quorum);
        if have < need {
            return Err(SigningError::Quorum { have, need });
        }
        Ok((assemble(&of_core), self.content.map(|_| assemble(&of_blobs))))
    }
}

/// One signer's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Version of the encoding, 1 to 3.
    pub version: u64,
    /// Hash of the request's bytes.
    pub request_hash: Hash,
    /// Who signed.
    pub public_key: PublicKey,
    /// One signature per signable.
    pub signatures: Vec<[u8; 64]>,
}

impl Response {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.uint(self.version);
        if self.version > LAST_UNTYPED {
            e.u8(TYPE_RESPONSE);
        }
        e.raw(&self.request_hash).raw(&self.public_key).uint(self.signatures.len() as u64);
        for s in &self.signatures {
            e.raw(s);
        }
        e.finish()
    }

    /// Reads a response.
    pub fn decode(bytes: &[u8]) -> Result<Self, SigningError> {
        let mut d = bounded(bytes)?;
        let version = version(&mut d, TYPE_RESPONSE)?;
        let (request_hash, public_key) = (d.fixed32()?, d.fixed32()?);
        let signatures = d.list(64, |d| d.fixed())?;
        d.finish()?;
        Ok(Self { version, request_hash, public_key, signatures })
    }

    /// As people pass it on.
    pub fn to_text(&self) -> String {
        id::encode_bytes(&self.encode())
    }

    /// Reads the text form; white space does not matter.
    pub fn from_text(text: &str) -> Result<Self, SigningError> {
        Self::decode(&from_text(text)?)
    }

    /// Checks that this is a declared signer's answer to exactly this request. `bytes` are those the request was
    /// read from.
    pub fn verify(&self, request: &Request, bytes: &[u8]) -> Result<(), SigningError> {
        if self.request_hash != request_hash(bytes) {
            return Err(SigningError::OtherRequest);
        }
        let signables = request.signables(&self.public_key)?;
        let all = signables.len() == self.signatures.len()
            && signables
                .iter()
                .zip(&self.signatures)
                .all(|(s, signature)| crypto::verify(&s.message, signature, &self.public_key));
        if all { Ok(()) } else { Err(SigningError::InvalidSignature) }
    }
}
