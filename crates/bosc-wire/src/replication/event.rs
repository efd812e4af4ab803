//! What goes in and comes out of the replicator besides messages.

use super::access::HeadSummary;
use super::messages::{MessageType, Payload};
use std::time::Duration;

/// A peer on one core's replicator, named by the owner. One connection carries one peer per core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// A download started with [`super::Replicator::download`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DownloadId(pub(crate) u64);

/// Which blocks to download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocks {
    /// A run. Without an end it goes on with the core as it grows and is never done.
    Range {
        /// First block.
        start: u64,
        /// Block after the last.
        end: Option<u64>,
    },
    /// These blocks.
    List(Vec<u64>),
}

/// A download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Which blocks.
    pub blocks: Blocks,
    /// From the front to the back. Otherwise, while there are several peers, groups of neighbouring blocks are
    /// taken at random (see [`Config::seed`]), so that peers which download the same core at once have something
    /// to give to each other.
    pub linear: bool,
}

impl Download {
    /// All blocks, those to come included.
    pub fn live() -> Self {
        Self { blocks: Blocks::Range { start: 0, end: None }, linear: false }
    }

    /// A run of blocks from front to back.
    pub fn range(start: u64, end: u64) -> Self {
        Self { blocks: Blocks::Range { start, end: Some(end) }, linear: true }
    }

    /// These blocks, lowest first.
    pub fn list(blocks: Vec<u64>) -> Self {
        Self { blocks: Blocks::List(blocks), linear: true }
    }
}

/// How a replicator behaves.
#[derive(Debug, Clone)]
pub struct Config {
    /// Tell peers that we are interested in data. When neither side is, the channel may be closed.
    pub downloading: bool,
    /// Answer requests.
    pub uploading: bool,
    /// Decides the order of non-linear downloads; any number, different on each machine.
    pub seed: u64,
    /// Ask for the next head whenever a peer has one.
    pub upgrade: bool,
    /// Silence of a peer that owes us data after which its requests go to other peers.
    pub request_timeout: Duration,
    /// Most bytes asked of one peer and not answered yet.
    pub max_window_bytes: u64,
    /// Most requests to one peer not answered yet. JavaScript peers themselves keep up to 512.
    pub max_window_requests: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            downloading: true,
            uploading: true,
            seed: 0,
            upgrade: true,
            request_timeout: Duration::from_secs(10),
            max_window_bytes: 32 << 20,
            max_window_requests: 512,
        }
    }
}

/// Why a peer is of no more use. The owner closes its channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPeer {
    /// A message could not be read.
    #[error("sent a message that cannot be read: {0}")]
    Malformed(String),
    /// A proof was wrong.
    #[error("sent a wrong proof: {0}")]
    WrongProof(String),
    /// It sent data nobody asked for, again and again.
    #[error("sent data nobody asked for")]
    Unasked,
    /// It keeps more requests open than we keep for anyone.
    #[error("sent too many requests")]
    TooManyRequests,
    /// Too many of its requests cannot be answered by any head.
    #[error("sent too many requests that no head can answer")]
    BadRequests,
}

/// Two histories of one core, both signed by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// The fork of both.
    pub fork: u64,
    /// A length both reach, up to which they differ.
    pub length: u64,
    /// Our head.
    pub ours: HeadSummary,
    /// The peer's.
    pub theirs: HeadSummary,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The head became longer by a proof from a peer.
    Upgraded {
        /// Fork.
        fork: u64,
        /// New length.
        length: u64,
    },
    /// The core moved to another fork by proofs from peers.
    Reorged {
        /// New fork.
        fork: u64,
        /// Blocks kept.
        ancestors: u64,
        /// New length.
        length: u64,
    },
    /// The manifest came.
    ManifestReceived,
    /// A block came and is kept.
    BlockReceived {
        /// Its index.
        index: u64,
        /// Its bytes.
        len: usize,
        /// Who sent it.
        peer: PeerId,
    },
    /// The hash of a block's leaf came (see [`super::Replicator::want_hashes`]) and is kept.
    HashReceived {
        /// The block.
        index: u64,
    },
    /// All blocks of a download are held. It is forgotten.
    DownloadDone(DownloadId),
    /// A peer now holds every block of our head.
    PeerSynced {
        /// The peer.
        peer: PeerId,
        /// How many blocks.
        contiguous_length: u64,
    },
    /// A peer's history was compared with ours: see its [`PeerStats`].
    Compared {
        /// The peer.
        peer: PeerId,
    },
    /// A peer proved that it has another history than we do, signed by the core's key. Nothing more is asked of it.
    Conflict {
        /// The peer.
        peer: PeerId,
        /// Both heads.
        conflict: Conflict,
    },
    /// A peer misbehaved and was removed; close its channel.
    InvalidPeer {
        /// The peer.
        peer: PeerId,
        /// Why.
        why: InvalidPeer,
    },
    /// Neither side wants anything: the channel may be closed.
    PeerIdle(PeerId),
    /// Our core failed (disk full, disk error). Nothing is asked for until [`super::Replicator::resume`].
    CoreFailed(String),
}

/// A message to a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its number on the channel.
    pub kind: MessageType,
    /// Its bytes.
    pub payload: Payload,
}

impl Outgoing {
    pub(crate) fn new(kind: MessageType, payload: impl Into<Payload>) -> Self {
        Self { kind, payload: payload.into() }
    }
}

/// Something the owner did to the core itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalChange {
    /// Blocks were appended, or the manifest was set.
    Appended,
    /// Blocks of the present head were put in from elsewhere (another source than a peer).
    Gained {
        /// First block.
        start: u64,
        /// Block after the last.
        end: u64,
    },
    /// Blocks were dropped; the head stays.
    Cleared {
        /// First block.
        start: u64,
        /// Block after the last.
        end: u64,
    },
    /// The core went to another fork (truncation, perhaps with appends after it).
    Reorged {
        /// Blocks kept.
        ancestors: u64,
    },
}

/// Figures of one peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerStats {
    /// Bytes of blocks received from it and kept.
    pub downloaded_bytes: u64,
    /// Blocks received from it and kept.
    pub downloaded_blocks: u64,
    /// Bytes of blocks sent to it.
    pub uploaded_bytes: u64,
    /// Blocks sent to it.
    pub uploaded_blocks: u64,
    /// Bytes of messages received, without the multiplexer's framing.
    pub received_bytes: u64,
    /// Bytes of messages sent, without the multiplexer's framing.
    pub sent_bytes: u64,
    /// Whether it has told its head yet; without that the next figures say nothing.
    pub remote_synced: bool,
    /// Its fork.
    pub remote_fork: u64,
    /// Its length.
    pub remote_length: u64,
    /// How many blocks it holds from 0 on without a gap. A full copy of the core when it is the core's length.
    pub remote_contiguous_length: u64,
    /// How many blocks it is known to hold.
    pub remote_blocks: u64,
    /// Length up to which it proved that it has our history (see [`super::Replicator::compare`]).
    pub remote_proved_length: u64,
    /// It proved that it has another history, signed by the core's key.
    pub remote_other_history: bool,
    /// How often it was asked in vain to prove its head, since it last proved a longer one.
    pub remote_unproved: u32,
    /// It claims more than we have for so long that nobody waits for it any more.
    pub remote_stale: bool,
    /// Requests to it not answered yet.
    pub requests_in_flight: usize,
    /// Its requests not answered yet.
    pub requests_queued: usize,
}
