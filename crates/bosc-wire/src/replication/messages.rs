//! The messages of `hypercore/alpha` channels, byte for byte (npm `hypercore`, `lib/messages.js`).
//!
//! A message's number is its place in the list the JavaScript replicator registers; [`MessageType`] holds it.
//! Optional tails (`noData`, `want`, `unwant`) are read when bytes are left and written only when they say
//! something. Bytes after a message are ignored, as the JavaScript decoder does, so that later tails do not
//! break us. Block data is never copied: decoding slices the payload, encoding leaves the block apart.

use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::Hash;
use bosc_format::manifest::Manifest;
use bosc_format::merkle::Node;
use bosc_format::proof::{
    BlockProof, HashProof, NodeRequest, Proof, ProofRequest, SeekProof, SeekRequest, UpgradeProof,
    UpgradeRequest,
};
use bytes::Bytes;

/// Most nodes taken in one list of a proof. A tree of 2^53 blocks needs under 120.
const MAX_NODES: usize = 1024;
/// Longest signature taken: a multi-signature of some hundred signers with patches.
const MAX_SIGNATURE: usize = 1 << 20;

/// Numbers of the messages on a replication channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MessageType {
    /// [`Sync`].
    Sync = 0,
    /// [`Request`].
    Request = 1,
    /// [`Cancel`].
    Cancel = 2,
    /// [`Data`].
    Data = 3,
    /// [`NoData`].
    NoData = 4,
    /// [`Want`], wanted.
    Want = 5,
    /// [`Want`], no longer wanted.
    Unwant = 6,
    /// [`BitfieldPart`].
    Bitfield = 7,
    /// [`Range`].
    Range = 8,
    /// [`Extension`].
    Extension = 9,
}

impl MessageType {
    /// The type with this number, `None` for numbers of later versions, which are skipped.
    pub fn from_number(n: u32) -> Option<Self> {
        Some(match n {
            0 => Self::Sync,
            1 => Self::Request,
            2 => Self::Cancel,
            3 => Self::Data,
            4 => Self::NoData,
            5 => Self::Want,
            6 => Self::Unwant,
            7 => Self::Bitfield,
            8 => Self::Range,
            9 => Self::Extension,
            _ => return None,
        })
    }
}

/// First payload on a channel, inside the multiplexer's open message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// Whether the sender answers seeks.
    pub seeks: bool,
    /// Proof that the sender knows the core's key; see [`super::capability`].
    pub capability: Hash,
}

impl Handshake {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(33);
        e.uint(u64::from(self.seeks)).raw(&self.capability);
        e.finish()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        Ok(Self { seeks: d.uint()? & 1 != 0, capability: d.fixed32()? })
    }
}

/// What the sender's head is and what it is willing to do. First message on a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sync {
    /// The sender's fork.
    pub fork: u64,
    /// The sender's length in blocks.
    pub length: u64,
    /// The receiver's length as far as the sender knows; 0 when the forks differ.
    pub remote_length: u64,
    /// Whether the sender can prove its length from the receiver's.
    pub can_upgrade: bool,
    /// Whether the sender answers requests.
    pub uploading: bool,
    /// Whether the sender is interested in data.
    pub downloading: bool,
    /// Whether the sender can give a manifest.
    pub has_manifest: bool,
    /// Whether the sender takes data it did not ask for.
    pub allow_push: bool,
}

impl Sync {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let flags = u64::from(self.can_upgrade)
            | u64::from(self.uploading) << 1
            | u64::from(self.downloading) << 2
            | u64::from(self.has_manifest) << 3
            | u64::from(self.allow_push) << 4;
        let mut e = Encoder::with_capacity(28);
        e.uint(flags).uint(self.fork).uint(self.length).uint(self.remote_length);
        e.finish()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let flags = d.uint()?;
        Ok(Self {
            fork: d.uint()?,
            length: d.uint()?,
            remote_length: d.uint()?,
            can_upgrade: flags & 1 != 0,
            uploading: flags & 2 != 0,
            downloading: flags & 4 != 0,
            has_manifest: flags & 8 != 0,
            allow_push: flags & 16 != 0,
        })
    }
}

/// Asks for a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Chosen by the asker, comes back in the answer. 0 asks for a proof of the whole head (conflict check).
    pub id: u64,
    /// The fork the asker believes the receiver is at.
    pub fork: u64,
    /// What is asked for.
    pub what: ProofRequest,
    /// 0 normal, higher is more urgent.
    pub priority: u64,
}

impl Request {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let w = &self.what;
        let flags = u64::from(w.block.is_some())
            | u64::from(w.hash.is_some()) << 1
            | u64::from(w.seek.is_some()) << 2
            | u64::from(w.upgrade.is_some()) << 3
            | u64::from(w.manifest) << 4
            | u64::from(self.priority != 0) << 5;
        let mut e = Encoder::with_capacity(24);
        e.uint(flags).uint(self.id).uint(self.fork);
        for n in [&w.block, &w.hash].into_iter().flatten() {
            e.uint(n.index).uint(n.nodes);
        }
        if let Some(s) = &w.seek {
            e.uint(s.bytes).uint(s.padding);
        }
        if let Some(u) = &w.upgrade {
            e.uint(u.start).uint(u.length);
        }
        if self.priority != 0 {
            e.uint(self.priority);
        }
        e.finish()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let flags = d.uint()?;
        let id = d.uint()?;
        let fork = d.uint()?;
        let node = |d: &mut Decoder<'_>| Ok(NodeRequest { index: d.uint()?, nodes: d.uint()? });
        let block = if flags & 1 != 0 { Some(node(&mut d)?) } else { None };
        let hash = if flags & 2 != 0 { Some(node(&mut d)?) } else { None };
        let seek =
            if flags & 4 != 0 { Some(SeekRequest { bytes: d.uint()?, padding: d.uint()? }) } else { None };
        let upgrade =
            if flags & 8 != 0 { Some(UpgradeRequest { start: d.uint()?, length: d.uint()? }) } else { None };
        let manifest = flags & 16 != 0;
        let priority = if flags & 32 != 0 { d.uint()? } else { 0 };
        Ok(Self { id, fork, what: ProofRequest { block, hash, seek, upgrade, manifest }, priority })
    }
}

/// Takes a request back. No answer comes to a request whose cancellation arrived in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel {
    /// The request's id.
    pub request: u64,
}

impl Cancel {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(9);
        e.uint(self.request);
        e.finish()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { request: Decoder::new(bytes).uint()? })
    }
}

/// Why a request is answered with nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NoDataReason {
    /// Not said.
    #[default]
    Unspecified,
    /// The receiver does not hold what was asked for.
    NotAvailable,
    /// The request cannot be answered by any head.
    InvalidRequest,
    /// A number of a later version.
    Other(u64),
}

impl NoDataReason {
    fn number(self) -> u64 {
        match self {
            Self::Unspecified => 0,
            Self::NotAvailable => 1,
            Self::InvalidRequest => 2,
            Self::Other(n) => n,
        }
    }
}

/// Answers a request with nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoData {
    /// The request's id.
    pub request: u64,
    /// Why.
    pub reason: NoDataReason,
}

impl NoData {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let reason = self.reason.number();
        let mut e = Encoder::with_capacity(11);
        e.uint(self.request).uint(u64::from(reason != 0));
        if reason != 0 {
            e.uint(reason);
        }
        e.finish()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let request = d.uint()?;
        let flags = if d.is_empty() { 0 } else { d.uint()? };
        let reason = match if flags & 1 != 0 { d.uint()? } else { 0 } {
            0 => NoDataReason::Unspecified,
            1 => NoDataReason::NotAvailable,
            2 => NoDataReason::InvalidRequest,
            n => NoDataReason::Other(n),
        };
        Ok(Self { request, reason })
    }
}

/// Asks to be told which blocks of a part the receiver holds, now and as they come; or takes that back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Want {
    /// First block.
    pub start: u64,
    /// Number of blocks.
    pub length: u64,
    /// Any one block of the part is enough.
    pub any: bool,
}

impl Want {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(19);
        e.uint(self.start).uint(self.length);
        if self.any {
            e.uint(1);
        }
        e.finish()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let (start, length) = (d.uint()?, d.uint()?);
        let any = if d.is_empty() { false } else { d.uint()? & 1 != 0 };
        Ok(Self { start, length, any })
    }
}

/// Which blocks the sender holds in one part, as words of 32 blocks, lowest bit first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitfieldPart {
    /// First block; a multiple of 32.
    pub start: u64,
    /// The words.
    pub words: Vec<u32>,
}

impl BitfieldPart {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(self.words.len().saturating_mul(4).saturating_add(18));
        e.uint(self.start).uint(self.words.len() as u64);
        for w in &self.words {
            e.u32(*w);
        }
        e.finish()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        Ok(Self { start: d.uint()?, words: d.list(4, Decoder::u32)? })
    }
}

/// Says that the sender holds a run of blocks, or no longer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The blocks are gone.
    pub drop: bool,
    /// First block.
    pub start: u64,
    /// Number of blocks.
    pub length: u64,
}

impl Range {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let one = self.length == 1;
        let mut e = Encoder::with_capacity(19);
        e.uint(u64::from(self.drop) | u64::from(one) << 1).uint(self.start);
        if !one {
            e.uint(self.length);
        }
        e.finish()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let flags = d.uint()?;
        let start = d.uint()?;
        let length = if flags & 2 != 0 { 1 } else { d.uint()? };
        Ok(Self { drop: flags & 1 != 0, start, length })
    }
}

/// A message of an application over the channel. An empty name repeats the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// Name of the extension.
    pub name: String,
    /// Its bytes.
    pub message: Bytes,
}

impl Extension {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(self.name.len() + self.message.len() + 9);
        e.string(&self.name).raw(&self.message);
        e.finish()
    }

    /// From bytes.
    pub fn decode(payload: &Bytes) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(payload);
        let name = d.string()?.to_owned();
        Ok(Self { name, message: payload.slice_ref(d.rest()) })
    }
}

/// A hint where two forks part. JavaScript defines the bytes and has no number for it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReorgHint {
    /// The old fork.
    pub from: u64,
    /// The new fork.
    pub to: u64,
    /// How many blocks they share.
    pub ancestors: u64,
}

impl ReorgHint {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.uint(self.from).uint(self.to).uint(self.ancestors);
        e.finish()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        Ok(Self { from: d.uint()?, to: d.uint()?, ancestors: d.uint()? })
    }
}

/// Answers a request with a proof. The fork is [`Proof::fork`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The request's id; 0 for data nobody asked for and for conflict checks.
    pub request: u64,
    /// The proof.
    pub proof: Proof,
}

/// An encoded message whose block is kept apart, so that it is not copied: `head`, `block`, `tail` in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// Bytes before the block; all bytes of messages without one.
    pub head: Bytes,
    /// The block.
    pub block: Bytes,
    /// Bytes after the block.
    pub tail: Bytes,
}

impl Payload {
    /// Number of bytes in all three.
    pub fn len(&self) -> usize {
        self.head.len().saturating_add(self.block.len()).saturating_add(self.tail.len())
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The three in order, as the multiplexer's `send_parts` takes them; some may be empty.
    pub fn into_parts(self) -> [Bytes; 3] {
        [self.head, self.block, self.tail]
    }

    /// All bytes in one piece: a copy unless only `head` has any.
    pub fn concat(&self) -> Bytes {
        if self.block.is_empty() && self.tail.is_empty() {
            return self.head.clone();
        }
        let mut out = Vec::with_capacity(self.len());
        for p in [&self.head, &self.block, &self.tail] {
            out.extend_from_slice(p);
        }
        out.into()
    }
}

impl From<Vec<u8>> for Payload {
    fn from(head: Vec<u8>) -> Self {
        Self { head: head.into(), ..Self::default() }
    }
}

impl Data {
    /// The bytes, the block apart.
    pub fn encode(&self) -> Payload {
        let p = &self.proof;
        let flags = u64::from(p.block.is_some())
            | u64::from(p.hash.is_some()) << 1
            | u64::from(p.seek.is_some()) << 2
            | u64::from(p.upgrade.is_some()) << 3
            | u64::from(p.manifest.is_some()) << 4;
        let mut e = Encoder::with_capacity(32);
        e.uint(flags).uint(self.request).uint(p.fork);
        let mut payload = Payload::default();
        if let Some(b) = &p.block {
            e.uint(b.index).uint(b.value.len() as u64);
            payload.head = std::mem::take(&mut e).finish().into();
            payload.block = b.value.clone();
            encode_nodes(&mut e, &b.nodes);
        }
        if let Some(h) = &p.hash {
            e.uint(h.index);
            encode_nodes(&mut e, &h.nodes);
        }
        if let Some(s) = &p.seek {
            e.uint(s.bytes);
            encode_nodes(&mut e, &s.nodes);
        }
        if let Some(u) = &p.upgrade {
            e.uint(u.start).uint(u.length);
            encode_nodes(&mut e, &u.nodes);
            encode_nodes(&mut e, &u.additional_nodes);
            e.buffer(&u.signature);
        }
        if let Some(m) = &p.manifest {
            m.encode_into(&mut e);
        }
        let rest = e.finish().into();
        if p.block.is_some() {
            payload.tail = rest;
        } else {
            payload.head = rest;
        }
        payload
    }

    /// From bytes; the block is a slice of `payload`.
    pub fn decode(payload: &Bytes) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(payload);
        let flags = d.uint()?;
        let request = d.uint()?;
        let mut proof = Proof { fork: d.uint()?, ..Proof::default() };
        if flags & 1 != 0 {
            let index = d.uint()?;
            let value = payload.slice_ref(d.buffer()?);
            proof.block = Some(BlockProof { index, value, nodes: decode_nodes(&mut d)? });
        }
        if flags & 2 != 0 {
            proof.hash = Some(HashProof { index: d.uint()?, nodes: decode_nodes(&mut d)? });
        }
        if flags & 4 != 0 {
            proof.seek = Some(SeekProof { bytes: d.uint()?, nodes: decode_nodes(&mut d)? });
        }
        if flags & 8 != 0 {
            let (start, length) = (d.uint()?, d.uint()?);
            let nodes = decode_nodes(&mut d)?;
            let additional_nodes = decode_nodes(&mut d)?;
            let signature = d.buffer()?;
            if signature.len() > MAX_SIGNATURE {
                return Err(DecodeError::TooLarge("signature"));
            }
            let signature = signature.to_vec();
            proof.upgrade = Some(UpgradeProof { start, length, nodes, additional_nodes, signature });
        }
        if flags & 16 != 0 {
            proof.manifest = Some(Manifest::decode_from(&mut d)?);
        }
        Ok(Self { request, proof })
    }
}

fn encode_nodes(e: &mut Encoder, nodes: &[Node]) {
    e.uint(nodes.len() as u64);
    for n in nodes {
        e.uint(n.index).uint(n.size).raw(&n.hash);
    }
}

fn decode_nodes(d: &mut Decoder<'_>) -> Result<Vec<Node>, DecodeError> {
    let n = d.count(34)?;
    if n > MAX_NODES {
        return Err(DecodeError::TooLarge("list of nodes"));
    }
    let mut nodes = Vec::with_capacity(n);
    for _ in 0..n {
        nodes.push(Node { index: d.uint()?, size: d.uint()?, hash: d.fixed32()? });
    }
    Ok(nodes)
}
