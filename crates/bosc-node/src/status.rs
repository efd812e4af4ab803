//! What callers can see of live cores and connections, as snapshots.

use crate::mapping::MappedBy;
use bosc_format::crypto::PublicKey;
use bosc_store::ErrorKind;
use bosc_wire::replication::{Conflict, InvalidPeer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

impl PeerStatus {
    /// Whether it holds the first `length` blocks of our history at `fork`.
    pub fn holds(&self, fork: u64, length: u64) -> bool {
        self.fork == fork && !self.other_history && self.contiguous_length >= length
    }
}

/// Most conflicts remembered for one core.
pub const MAX_CONFLICTS: usize = 16;

/// One peer of a core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its public key.
    pub key: PublicKey,
    /// Whether it told its length yet.
    pub synced: bool,
    /// Its fork.
    pub fork: u64,
    /// Its length in blocks.
    pub length: u64,
    /// How many blocks it holds from 0 on without a gap.
    pub contiguous_length: u64,
    /// Length up to which it proved that it has our history (see [`crate::LiveCore::compare`]).
    pub proved_length: u64,
    /// It proved that it has another history, signed by the core's key. Of a drive's blobs: of this core or of the db.
    pub other_history: bool,
    /// How often it was asked in vain to prove its head, since it last proved a longer one.
    pub unproved: u32,
    /// It claims more than we have for so long that it is not waited for any more: it was asked, and had several times what an
    /// honest peer needs to prove it.
    pub stale: bool,
    /// Bytes of blocks of this core that were sent to it. Changes without a signal.
    pub uploaded_bytes: u64,
}

/// Why what peers sent could not be stored, or what they asked for not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreFailure {
    /// Of the store's error.
    pub kind: ErrorKind,
    /// In words.
    pub why: String,
}

impl CoreFailure {
    /// Whether the disk (or the quota) is full: with space freed it can go on.
    pub fn is_full(&self) -> bool {
        self.kind == ErrorKind::Full
    }
}

impl std::fmt::Display for CoreFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

/// A peer that was dropped for what it sent. Shows itself as what it did: "sent a wrong proof: ...".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedPeer {
    /// Its public key.
    pub key: PublicKey,
    /// What it did.
    pub why: InvalidPeer,
}

impl std::fmt::Display for DroppedPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.why.fmt(f)
    }
}

/// Two histories of one core, both signed by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConflictStatus {
    /// The peer that proved the other one.
    pub peer: PublicKey,
    /// Both heads.
    pub conflict: Conflict,
}

/// A core on the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CoreStatus {
    /// Fork of the proved head.
    pub fork: u64,
    /// Length of the proved head.
    pub length: u64,
    /// Bytes of the proved head.
    pub byte_length: u64,
    /// Blocks held from 0 on without a gap.
    pub contiguous_length: u64,
    /// Whether the manifest is known (always for cores without one).
    pub has_manifest: bool,
    /// Peers that have the core.
    pub peers: Vec<PeerStatus>,
    /// How many times a peer came since the start, those that left included.
    pub peers_seen: u64,
    /// Bytes of blocks received and proved since the start.
    pub downloaded_bytes: u64,
    /// Blocks received and proved since the start.
    pub downloaded_blocks: u64,
    /// Bytes of blocks sent since the start.
    pub uploaded_bytes: u64,
    /// Blocks sent since the start.
    pub uploaded_blocks: u64,
    /// Why the core cannot go on (disk full or broken).
    pub failed: Option<CoreFailure>,
    /// The last peer that was dropped for misbehaving, and why.
    pub dropped_peer: Option<DroppedPeer>,
    /// Other histories that peers proved at the present fork, each once and at most [`MAX_CONFLICTS`]. They stay when the
    /// peer goes.
    pub conflicts: Vec<ConflictStatus>,
}

impl CoreStatus {
    /// Whether a peer says that it has more of our history than we do, and may still prove it.
    pub fn is_behind(&self) -> bool {
        self.peers.iter().any(|p| {
            p.synced && !p.other_history && !p.stale && (p.fork, p.length) > (self.fork, self.length)
        })
    }

    /// How many peers hold the whole head.
    pub fn full_copies(&self) -> usize {
        self.peers.iter().filter(|p| self.length > 0 && p.holds(self.fork, self.length)).count()
    }
}

/// A port of our router that leads to ours, as it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MappingStatus {
    /// From outside.
    pub address: SocketAddrV4,
    /// How it was got.
    pub by: MappedBy,
    /// DHT nodes have reached us there: peers are told of it, and connect to it.
    pub proved: bool,
}

/// An open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// Where its packets go: the peer, or the blind relay between.
    pub address: SocketAddr,
    /// Whether they go through a blind relay.
    pub relayed: bool,
    /// Whether we began it.
    pub dialled: bool,
}

/// The node on the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetStatus {
    /// Whether the first walk through the DHT is over.
    pub bootstrapped: bool,
    /// Whether every DHT node that was to be asked first was asked, as often as one is, and none ever answered.
    pub unanswered: bool,
    /// How many DHT nodes are known.
    pub nodes: usize,
    /// Our address as others see it.
    pub address: Option<SocketAddrV4>,
    /// Whether others can reach us only after we asked them.
    pub firewalled: bool,
    /// Whether each of our connections seems to come from another port.
    pub randomized: bool,
    /// Our host as others see it, where they agree.
    pub nat_host: Option<Ipv4Addr>,
    /// Our port as others see it; 0 where they see different ones.
    pub nat_port: u16,
    /// How many nodes said so, at most 16.
    pub nat_samples: usize,
    /// What our router maps to our port, if it does.
    pub mapping: Option<MappingStatus>,
    /// The router was asked for that.
    pub mapping_known: bool,
    /// Open connections, by their key.
    pub connections: BTreeSet<PublicKey>,
    /// The same with where each leads.
    pub peers: BTreeMap<PublicKey, ConnectionStatus>,
    /// How many of them go through a blind relay.
    pub relayed: usize,
    /// Topics whose first discovery is over.
    pub flushed: BTreeSet<[u8; 32]>,
    /// Whether our key pair can be found by others.
    pub listening: bool,
    /// Whether connections are being tried.
    pub connecting: bool,
    /// Bytes received and sent on the sockets.
    pub received: u64,
    /// Bytes sent on the sockets.
    pub sent: u64,
    /// The server socket's port.
    pub port: u16,
}
