//! What is in a monitor's file. The bytes are drawn in docs/formats.md.

use bosc_follow::CoreName;
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::{Hash, PublicKey};
use bosc_format::flat_tree;
use bosc_format::manifest::{MAX_SIGNATURE, Manifest};
use bosc_format::merkle::{Head, MAX_BYTES, Node};
use bosc_policy::{MAX_OPERATORS, Right, Signed};

/// Most bytes of a record.
pub(super) const MAX_RECORD: usize = 512 << 10;

/// An operator, and the rights that the policy gives: a bit for each of [`Right::ALL`].
pub(super) type Named = (PublicKey, u8);

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// When, in seconds since 1970 by this machine's clock. Nothing is decided by it.
    pub(super) time: u64,
    pub(super) seen: Seen,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// Who signs the db of the link; nothing stands there for a key that signs by itself.
    Manifest(Manifest),
    /// A head, with its signature.
    Head(CoreName, Head),
    /// Who the policy of the newest head names.
    Operators(Vec<Named>),
    /// What an operator says.
    Statement(Signed),
    /// A peer proved another history to this machine. Its head is not in the file.
    Conflict { core: CoreName, fork: u64, ours: (u64, Hash), theirs: (u64, Hash), peer: PublicKey },
}

fn part(core: CoreName) -> u8 {
    match core {
        CoreName::Db => 0,
        CoreName::Blobs => 1,
    }
}

fn take_part(from: &mut Decoder<'_>) -> Result<CoreName, DecodeError> {
    match from.u8()? {
        0 => Ok(CoreName::Db),
        1 => Ok(CoreName::Blobs),
        _ => Err(DecodeError::Invalid("core")),
    }
}

/// The rights of an operator as bits.
pub(super) fn rights(may: &[Right]) -> u8 {
    Right::ALL.iter().zip(0..).fold(0, |bits, (right, bit)| bits | u8::from(may.contains(right)) << bit)
}

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        let mut begin = |kind: u8| {
            out.u8(kind).uint(self.time);
        };
        match &self.seen {
            Seen::Manifest(manifest) => {
                begin(1);
                out.buffer(&manifest.encode());
            }
            Seen::Head(core, head) => {
                begin(2);
                out.u8(part(*core)).uint(head.fork).uint(head.length);
                for root in &head.roots {
                    out.uint(root.size).raw(&root.hash);
                }
                out.buffer(&head.signature);
            }
            Seen::Operators(all) => {
                begin(3);
                out.uint(all.len() as u64);
                for (key, rights) in all {
                    out.raw(key).u8(*rights);
                }
            }
            Seen::Statement(signed) => {
                begin(4);
                out.buffer(signed.as_bytes());
            }
            Seen::Conflict { core, fork, ours, theirs, peer } => {
                begin(5);
                out.u8(part(*core)).uint(*fork);
                for (length, hash) in [ours, theirs] {
                    out.uint(*length).raw(hash);
                }
                out.raw(peer);
            }
        }
        out.finish()
    }

    /// Reads a record. Whether a head is signed is for those who know the manifest.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Decoder::new(bytes);
        let (kind, time) = (from.u8()?, from.uint()?);
        let seen = match kind {
            1 => Seen::Manifest(Manifest::decode(from.buffer()?)?),
            2 => Seen::Head(take_part(&mut from)?, head(&mut from)?),
            3 => {
                let count = from.uint_max(MAX_OPERATORS, "operators")?;
                let all = (0..count).map(|_| Ok((from.fixed32()?, from.u8()?)));
                Seen::Operators(all.collect::<Result<_, DecodeError>>()?)
            }
            4 => {
                let signed = Signed::read(from.buffer()?);
                Seen::Statement(signed.map_err(|_| DecodeError::Invalid("statement"))?)
            }
            5 => {
                let (core, fork) = (take_part(&mut from)?, from.uint()?);
                let ours = (from.uint()?, from.fixed32()?);
                let theirs = (from.uint()?, from.fixed32()?);
                Seen::Conflict { core, fork, ours, theirs, peer: from.fixed32()? }
            }
            _ => return Err(DecodeError::Invalid("kind of record")),
        };
        from.finish()?;
        Ok(Self { time, seen })
    }
}

fn head(from: &mut Decoder<'_>) -> Result<Head, DecodeError> {
    let (fork, length) = (from.uint()?, from.uint()?);
    if length > flat_tree::MAX_LENGTH {
        return Err(DecodeError::TooLarge("length of a head"));
    }
    let (mut roots, mut byte_length) = (Vec::new(), 0u64);
    for index in flat_tree::full_roots(length) {
        let (size, hash) = (from.uint()?, from.fixed32()?);
        let sum = byte_length.checked_add(size).filter(|n| *n <= MAX_BYTES);
        byte_length = sum.ok_or(DecodeError::TooLarge("the number of bytes"))?;
        roots.push(Node { index, size, hash });
    }
    let signature = from.buffer()?;
    if signature.len() > MAX_SIGNATURE {
        return Err(DecodeError::TooLarge("a signature"));
    }
    Ok(Head { fork, length, byte_length, roots, signature: signature.to_vec() })
}
