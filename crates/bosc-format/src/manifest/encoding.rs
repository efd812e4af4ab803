//! Manifests as bytes.
//!
//! Version 0: `0 | hash 0 | type`, then for type 0 (no signers) the prologue's hash, type 1 (one signer) the signer,
//! type 2 `flags (1 patch) | quorum | signers`. Versions 1 to 3: `version | flags | hash 0 | quorum | signers`, then
//! what the flags name: 1 patch, 2 prologue, 4 linked, 8 user data. A signer is `signature 0 | namespace | key`.

use super::bounds::{MAX_LINKED, MAX_SIGNERS, MAX_USER_DATA};
use super::fields::{Manifest, Prologue, SignerSpec};
use crate::codec::{DecodeError, Decoder, Encoder};

const FLAG_PATCH: u64 = 1;
const FLAG_PROLOGUE: u64 = 2;
const FLAG_LINKED: u64 = 4;
const FLAG_USER_DATA: u64 = 8;

const SIGNER_BYTES: usize = 65;

fn encode_signer(e: &mut Encoder, s: &SignerSpec) {
    e.uint(0).raw(&s.namespace).raw(&s.public_key);
}

fn decode_signer(d: &mut Decoder<'_>) -> Result<SignerSpec, DecodeError> {
    if d.uint()? != 0 {
        return Err(DecodeError::Invalid("signature algorithm"));
    }
    Ok(SignerSpec { namespace: d.fixed32()?, public_key: d.fixed32()? })
}

fn encode_signers(e: &mut Encoder, signers: &[SignerSpec]) {
    e.uint(signers.len() as u64);
    for s in signers {
        encode_signer(e, s);
    }
}

fn bounded<T>(
    d: &mut Decoder<'_>,
    max: usize,
    what: &'static str,
    min_item: usize,
    item: impl FnMut(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut ahead = d.clone();
    if ahead.count(min_item)? > max {
        return Err(DecodeError::TooLarge(what));
    }
    d.list(min_item, item)
}

fn decode_signers(d: &mut Decoder<'_>) -> Result<Vec<SignerSpec>, DecodeError> {
    bounded(d, MAX_SIGNERS, "the number of signers", SIGNER_BYTES, decode_signer)
}

fn hash_id(d: &mut Decoder<'_>) -> Result<(), DecodeError> {
    if d.uint()? == 0 { Ok(()) } else { Err(DecodeError::Invalid("hash algorithm")) }
}

impl Manifest {
    /// The bytes that are hashed, stored and sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(16 + self.signers.len().saturating_mul(SIGNER_BYTES));
        self.encode_into(&mut e);
        e.finish()
    }

    /// Appends the manifest to a message. It tells its own length.
    pub fn encode_into(&self, e: &mut Encoder) {
        e.uint(u64::from(self.version));
        if self.version == 0 {
            return self.encode_v0(e);
        }
        let mut flags = 0;
        if self.allow_patch {
            flags |= FLAG_PATCH;
        }
        if self.prologue.is_some() {
            flags |= FLAG_PROLOGUE;
        }
        if self.linked.is_some() {
            flags |= FLAG_LINKED;
        }
        if self.user_data.is_some() {
            flags |= FLAG_USER_DATA;
        }
        e.uint(flags).uint(0).uint(self.quorum);
        encode_signers(e, &self.signers);
        if let Some(p) = &self.prologue {
            e.raw(&p.hash).uint(p.length);
        }
        if let Some(keys) = &self.linked {
            e.uint(keys.len() as u64);
            for key in keys {
                e.raw(key);
            }
        }
        if let Some(data) = &self.user_data {
            e.buffer(data);
        }
    }

    fn encode_v0(&self, e: &mut Encoder) {
        e.uint(0);
        match (&self.prologue, self.signers.as_slice()) {
            (Some(p), []) => {
                e.uint(0).raw(&p.hash);
            }
            (_, [signer]) if self.quorum == 1 && !self.allow_patch => {
                e.uint(1);
                encode_signer(e, signer);
            }
            (_, signers) => {
                e.uint(2).uint(u64::from(self.allow_patch)).uint(self.quorum);
                encode_signers(e, signers);
            }
        }
    }

    /// Reads a manifest that fills `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let manifest = Self::decode_from(&mut d)?;
        d.finish()?;
        Ok(manifest)
    }

    /// Reads a manifest out of a message.
    pub fn decode_from(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let version = match d.uint()? {
            0 => return Self::decode_v0(d),
            v @ 1..=3 => v as u8,
            _ => return Err(DecodeError::Invalid("manifest version")),
        };
        let flags = d.uint()?;
        hash_id(d)?;
        let quorum = d.uint()?;
        let signers = decode_signers(d)?;
        let has = |flag| flags & flag != 0;
        let prologue =
            if has(FLAG_PROLOGUE) { Some(Prologue { hash: d.fixed32()?, length: d.uint()? }) } else { None };
        let linked = if has(FLAG_LINKED) {
            Some(bounded(d, MAX_LINKED, "the number of linked cores", 32, |d| d.fixed32())?)
        } else {
            None
        };
        let user_data = if has(FLAG_USER_DATA) {
            let data = d.buffer()?;
            if data.len() > MAX_USER_DATA {
                return Err(DecodeError::TooLarge("the manifest's user data"));
            }
            Some(data.to_vec())
        } else {
            None
        };
        Ok(Self { version, allow_patch: has(FLAG_PATCH), quorum, signers, prologue, linked, user_data })
    }

    fn decode_v0(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        hash_id(d)?;
        let none = Self {
            version: 0,
            allow_patch: false,
            quorum: 0,
            signers: Vec::new(),
            prologue: None,
            linked: None,
            user_data: None,
        };
        match d.uint()? {
            0 => Ok(Self { prologue: Some(Prologue { hash: d.fixed32()?, length: 0 }), ..none }),
            1 => Ok(Self { quorum: 1, signers: vec![decode_signer(d)?], ..none }),
            2 => {
                let flags = d.uint()?;
                let quorum = d.uint()?;
                let signers = decode_signers(d)?;
                Ok(Self { allow_patch: flags & FLAG_PATCH != 0, quorum, signers, ..none })
            }
            _ => Err(DecodeError::Invalid("manifest type")),
        }
    }
}
