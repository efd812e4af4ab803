//! The values inside HyperDHT requests and replies (`hyperdht/lib/messages.js`) and what is signed
//! (`hyperdht/lib/persistent.js`).

use crate::addr::{self, NodeId};
use crate::rpc::wire::Token;
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::{self, KeyPair, PublicKey};
use bytes::Bytes;
use std::net::SocketAddrV4;
use std::sync::LazyLock;

/// Most relay addresses kept of one announced peer.
pub const MAX_RELAYS: usize = 3;

/// Bytes a peer takes at least.
const MIN_PEER: usize = 33;

struct Namespaces {
    announce: [u8; 32],
    unannounce: [u8; 32],
    mutable_put: [u8; 32],
}

static NS: LazyLock<Namespaces> = LazyLock::new(|| {
    let ns = |command: u64| crypto::namespace("hyperswarm/dht", u8::try_from(command).unwrap_or(u8::MAX));
    Namespaces {
        announce: ns(crate::command::ANNOUNCE),
        unannounce: ns(crate::command::UNANNOUNCE),
        mutable_put: ns(crate::command::MUTABLE_PUT),
    }
});

/// The namespace of the handshake's prologue: see `hyperdht/lib/noise-wrap.js`.
pub fn peer_handshake_namespace() -> [u8; 32] {
    crypto::namespace("hyperswarm/dht", 0)
}

/// The namespace of the holepunch secret: see `hyperdht/lib/noise-wrap.js`.
pub fn peer_holepunch_namespace() -> [u8; 32] {
    crypto::namespace("hyperswarm/dht", 1)
}

/// A peer and the nodes that relay handshakes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    /// Who it is.
    pub public_key: PublicKey,
    /// Through whom it can be reached.
    pub relay_addresses: Vec<SocketAddrV4>,
}

impl PeerRecord {
    fn put(&self, e: &mut Encoder) {
        e.raw(&self.public_key);
        addr::put_addresses(e, &self.relay_addresses);
    }

    fn get(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { public_key: d.fixed32()?, relay_addresses: addr::get_addresses(d)? })
    }

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(MIN_PEER + self.relay_addresses.len() * addr::ADDRESS_LEN);
        self.put(&mut e);
        e.finish()
    }

    /// Reads a record.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::get(&mut Decoder::new(bytes))
    }
}

/// The reply to a lookup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LookupReply {
    /// Some of the topic's peers, at most 20.
    pub peers: Vec<PeerRecord>,
    /// The newest bump of the topic, milliseconds since 1970; 0 when there was none.
    pub bump: u64,
}

impl LookupReply {
    /// The reply's bytes, from records as they are stored.
    pub fn encode_raw(records: &[Bytes], bump: u64) -> Vec<u8> {
        let mut e = Encoder::with_capacity(16 + records.iter().map(Bytes::len).sum::<usize>());
        e.uint(records.len() as u64);
        for r in records {
            e.raw(r);
        }
        e.uint(bump);
        e.finish()
    }

    /// Reads a reply. Old nodes leave the bump out.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let peers = d.list(MIN_PEER, PeerRecord::get)?;
        let bump = if d.is_empty() { 0 } else { d.uint()? };
        Ok(Self { peers, bump })
    }
}

/// The value of an announce or unannounce.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Announce {
    /// Who is announced; absent when only a refresh token is shown.
    pub peer: Option<PeerRecord>,
    /// The refresh token of this announce, or the one that renews the last.
    pub refresh: Option<[u8; 32]>,
    /// The peer's signature.
    pub signature: Option<[u8; 64]>,
    /// Milliseconds since 1970, raises the topic's bump; 0 leaves it.
    pub bump: u64,
}

impl Announce {
    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let flags = u8::from(self.peer.is_some())
            | u8::from(self.refresh.is_some()) << 1
            | u8::from(self.signature.is_some()) << 2
            | u8::from(self.bump != 0) << 3;
        let mut e = Encoder::with_capacity(192);
        e.u8(flags);
        if let Some(p) = &self.peer {
            p.put(&mut e);
        }
        if let Some(r) = &self.refresh {
            e.raw(r);
        }
        if let Some(s) = &self.signature {
            e.raw(s);
        }
        if self.bump != 0 {
            e.uint(self.bump);
        }
        e.finish()
    }

    /// Reads a value.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let flags = d.uint()?;
        Ok(Self {
            peer: if flags & 1 != 0 { Some(PeerRecord::get(&mut d)?) } else { None },
            refresh: if flags & 2 != 0 { Some(d.fixed32()?) } else { None },
            signature: if flags & 4 != 0 { Some(d.fixed::<64>()?) } else { None },
            bump: if flags & 8 != 0 { d.uint()? } else { 0 },
        })
    }
}

fn announce_signable(ns: &[u8; 32], target: &NodeId, token: &Token, id: &NodeId, ann: &Announce) -> [u8; 64] {
    let peer = ann.peer.as_ref().map(PeerRecord::encode).unwrap_or_default();
    let refresh: &[u8] = ann.refresh.as_ref().map_or(&[], |r| r);
    join(ns, &crypto::hash(&[target, id, token, &peer, refresh]))
}

fn join(ns: &[u8; 32], hash: &[u8; 32]) -> [u8; 64] {
    let mut out = [0; 64];
    for (o, b) in out.iter_mut().zip(ns.iter().chain(hash)) {
        *o = *b;
    }
    out
}

/// A signed announce for the node `id`, which gave `token`.
pub fn sign_announce(
    key_pair: &KeyPair,
    target: &NodeId,
    token: &Token,
    id: &NodeId,
    relay_addresses: &[SocketAddrV4],
    refresh: Option<[u8; 32]>,
    bump: u64,
) -> Announce {
    let relay_addresses = relay_addresses.iter().copied().take(MAX_RELAYS).collect();
    let peer = Some(PeerRecord { public_key: key_pair.public(), relay_addresses });
    let mut ann = Announce { peer, refresh, signature: None, bump };
    ann.signature = Some(key_pair.sign(&announce_signable(&NS.announce, target, token, id, &ann)));
    ann
}

/// A signed unannounce for the node `id`, which gave `token`.
pub fn sign_unannounce(key_pair: &KeyPair, target: &NodeId, token: &Token, id: &NodeId) -> Announce {
    let peer = Some(PeerRecord { public_key: key_pair.public(), relay_addresses: Vec::new() });
    let mut ann = Announce { peer, ..Announce::default() };
    ann.signature = Some(key_pair.sign(&announce_signable(&NS.unannounce, target, token, id, &ann)));
    ann
}

fn verify_signed(ns: &[u8; 32], target: &NodeId, token: &Token, id: &NodeId, ann: &Announce) -> bool {
    let (Some(peer), Some(signature)) = (&ann.peer, &ann.signature) else { return false };
    crypto::verify(&announce_signable(ns, target, token, id, ann), signature, &peer.public_key)
}

/// Whether an announce made for the node `id` and its `token` is signed by the peer it names.
pub fn verify_announce(target: &NodeId, token: &Token, id: &NodeId, ann: &Announce) -> bool {
    verify_signed(&NS.announce, target, token, id, ann)
}

/// Whether an unannounce made for the node `id` and its `token` is signed by the peer it names.
pub fn verify_unannounce(target: &NodeId, token: &Token, id: &NodeId, ann: &Announce) -> bool {
    verify_signed(&NS.unannounce, target, token, id, ann)
}

/// A signed, versioned value, stored under the hash of its owner's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutableRecord {
    /// Version; a higher one replaces a lower one.
    pub seq: u64,
    /// The content, never empty.
    pub value: Bytes,
    /// By the owner, over version and content.
    pub signature: [u8; 64],
}

fn mutable_signable(seq: u64, value: &[u8]) -> [u8; 64] {
    let mut e = Encoder::with_capacity(20 + value.len());
    e.uint(seq).buffer(value);
    join(&NS.mutable_put, &crypto::hash(&[e.as_slice()]))
}

impl MutableRecord {
    /// Signs a value.
    pub fn sign(key_pair: &KeyPair, seq: u64, value: Bytes) -> Self {
        let signature = key_pair.sign(&mutable_signable(seq, &value));
        Self { seq, value, signature }
    }

    /// Whether `public_key` signed it.
    pub fn verify(&self, public_key: &PublicKey) -> bool {
        crypto::verify(&mutable_signable(self.seq, &self.value), &self.signature, public_key)
    }

    fn put(&self, e: &mut Encoder) {
        e.uint(self.seq).buffer(&self.value).raw(&self.signature);
    }

    fn get(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self { seq: d.uint()?, value: Bytes::copy_from_slice(d.buffer()?), signature: d.fixed::<64>()? })
    }

    /// The reply to a get.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(84 + self.value.len());
        self.put(&mut e);
        e.finish()
    }

    /// Reads the reply to a get.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::get(&mut Decoder::new(bytes))
    }

    /// The value of a put.
    pub fn encode_put(&self, public_key: &PublicKey) -> Vec<u8> {
        let mut e = Encoder::with_capacity(116 + self.value.len());
        e.raw(public_key);
        self.put(&mut e);
        e.finish()
    }

    /// Reads the value of a put.
    pub fn decode_put(bytes: &[u8]) -> Result<(PublicKey, Self), DecodeError> {
        let mut d = Decoder::new(bytes);
        Ok((d.fixed32()?, Self::get(&mut d)?))
    }
}

/// How a relayed message travels (`hyperdht/lib/router.js`).
pub mod mode {
    /// From the connecting peer to a relay, or directly to the listening peer.
    pub const FROM_CLIENT: u64 = 0;
    /// From the listening peer back to its relay.
    pub const FROM_SERVER: u64 = 1;
    /// From a relay to the listening peer or to the relay it announced itself through.
    pub const FROM_RELAY: u64 = 2;
    /// From the second relay to the listening peer.
    pub const FROM_SECOND_RELAY: u64 = 3;
    /// From the relay to the connecting peer.
    pub const REPLY: u64 = 4;
}

/// The value of a PEER_HANDSHAKE request or reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// One of [`mode`].
    pub mode: u64,
    /// The Noise message.
    pub noise: Bytes,
    /// The other peer, as the relay sees it.
    pub peer_address: Option<SocketAddrV4>,
    /// The relay the reply goes through.
    pub relay_address: Option<SocketAddrV4>,
}

fn get_optional_address(d: &mut Decoder<'_>, there: bool) -> Result<Option<SocketAddrV4>, DecodeError> {
    if there { addr::get_address(d).map(Some) } else { Ok(None) }
}

impl Handshake {
    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(24 + self.noise.len());
        e.u8(u8::from(self.peer_address.is_some()) | u8::from(self.relay_address.is_some()) << 1);
        e.uint(self.mode).buffer(&self.noise);
        for addr in [self.peer_address, self.relay_address].into_iter().flatten() {
            addr::put_address(&mut e, addr);
        }
        e.finish()
    }

    /// Reads a value.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let flags = d.uint()?;
        Ok(Self {
            mode: d.uint()?,
            noise: Bytes::copy_from_slice(d.buffer()?),
            peer_address: get_optional_address(&mut d, flags & 1 != 0)?,
            relay_address: get_optional_address(&mut d, flags & 2 != 0)?,
        })
    }
}

/// The value of a PEER_HOLEPUNCH request or reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holepunch {
    /// One of [`mode`].
    pub mode: u64,
    /// Which handshake of the listening peer this belongs to.
    pub id: u64,
    /// Encrypted for the other peer.
    pub payload: Bytes,
    /// The other peer, as the relay sees it.
    pub peer_address: Option<SocketAddrV4>,
}

impl Holepunch {
    /// The value's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(24 + self.payload.len());
        e.u8(u8::from(self.peer_address.is_some()));
        e.uint(self.mode).uint(self.id).buffer(&self.payload);
        if let Some(addr) = self.peer_address {
            addr::put_address(&mut e, addr);
        }
        e.finish()
    }

    /// Reads a value.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let flags = d.uint()?;
        Ok(Self {
            mode: d.uint()?,
            id: d.uint()?,
            payload: Bytes::copy_from_slice(d.buffer()?),
            peer_address: get_optional_address(&mut d, flags & 1 != 0)?,
        })
    }
}
