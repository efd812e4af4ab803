//! What a swarm and its owner tell each other.

use bosc_format::crypto::PublicKey;
use std::net::SocketAddrV4;

/// Names a connection attempt or connection.
pub type ConnId = u64;

/// Names a topic: a discovery key.
pub type Topic = [u8; 32];

/// Bounds of a swarm.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most peers that we dial; as many again may connect to us.
    pub peers: usize,
    /// Most connections in all, dialled and accepted; none: twice as many as are dialled.
    pub all: Option<usize>,
    /// Most connection attempts that began within a second.
    pub parallel: usize,
    /// Most peers remembered.
    pub known: usize,
    /// Most topics joined.
    pub topics: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { peers: 64, all: None, parallel: 8, known: 1024, topics: 1024 }
    }
}

/// How a topic is joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Part {
    /// Look for peers and connect to them.
    pub client: bool,
    /// Be announced, so that others find us.
    pub server: bool,
    /// Somebody waits: look again soon and often until the topic is joined without.
    pub urgent: bool,
}

/// What the owner of the swarm has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a query for the topic; `announce` when we serve it, else a lookup.
    Discover {
        /// The topic.
        topic: Topic,
        /// Announce ourselves while looking.
        announce: bool,
    },
    /// Take our announcement back.
    Unannounce {
        /// The topic.
        topic: Topic,
    },
    /// Open a connection.
    Connect {
        /// Id to use for it.
        conn: ConnId,
        /// Whom to.
        peer: PublicKey,
        /// Nodes that can relay the handshake.
        relays: Vec<SocketAddrV4>,
        /// Under a key made for this connection: the peer refused ours, see [`Swarm::refused`](super::Swarm::refused).
        one_time_key: bool,
    },
    /// Close a connection or give an attempt up.
    Close {
        /// Which.
        conn: ConnId,
    },
    /// First discovery of the topic is over.
    Flushed {
        /// The topic.
        topic: Topic,
    },
}
