//! What the two threads of a node are told: by each other, and by callers.

use crate::credit::Credit;
use crate::live::shared::{CoreShared, DownloadState};
use crate::mapping::MappedBy;
use crate::record::{Asker, RecordQuestion, RecordTicket};
use crate::swarm::{ConnId, Part, Topic};
use bosc_format::crypto::{CoreKey, PublicKey};
use bosc_store::Core;
use bosc_wire::blind_peer::Cores;
use bosc_wire::mux::Frame;
use bosc_wire::replication::{Download, LocalChange};
use bytes::Bytes;
use std::net::SocketAddrV4;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// What the net side tells the live side.
#[derive(Debug)]
pub enum FromNet {
    /// A connection is open.
    Open {
        /// Its name.
        conn: ConnId,
        /// Who is at the other end.
        remote: PublicKey,
        /// Whether we began it.
        initiator: bool,
        /// Of its handshake.
        hash: [u8; 64],
        /// Bounds what waits for it.
        credit: Arc<Credit>,
    },
    /// Messages came in on it.
    Messages {
        /// Which connection.
        conn: ConnId,
        /// In order.
        messages: Vec<Bytes>,
        /// Of all of them.
        bytes: usize,
    },
    /// There is room to send on it again.
    Writable {
        /// Which connection.
        conn: ConnId,
    },
    /// Bytes arrive on it, perhaps of a message that is not whole yet.
    Active {
        /// Which connection.
        conn: ConnId,
    },
    /// It ended.
    Closed {
        /// Which connection.
        conn: ConnId,
    },
}

/// What the live side tells the net side.
#[derive(Debug)]
pub enum FromLive {
    /// Send frames on a connection.
    Send {
        /// Which.
        conn: ConnId,
        /// In order.
        frames: Vec<Frame>,
    },
    /// It has caught up: read on.
    Read {
        /// Which connection.
        conn: ConnId,
    },
    /// End a connection.
    Close {
        /// Which.
        conn: ConnId,
    },
    /// End it and never connect to the peer again.
    Ban {
        /// Which.
        conn: ConnId,
        /// Whose it is.
        remote: PublicKey,
        /// What the peer did.
        why: bosc_wire::replication::InvalidPeer,
    },
    /// Its peer shares the core with this discovery key, or does so no longer.
    Shares {
        /// Which connection.
        conn: ConnId,
        /// The core's discovery key.
        topic: Topic,
        /// Whether it does.
        shared: bool,
    },
    /// Its peer says that it is a blind relay for those who share a core with it.
    RelayOffered {
        /// Which connection.
        conn: ConnId,
        /// The relay's key.
        key: PublicKey,
    },
    /// Its peer delivered blocks.
    Delivered {
        /// Which connection.
        conn: ConnId,
    },
}

/// What the live thread is told.
pub(crate) enum Input {
    /// By the socket thread.
    Net(FromNet),
    /// Make a core live.
    Attach { core: Core, reply: Sender<Arc<CoreShared>> },
    /// Make a core live for those who ask for it.
    AttachForClients { core: Core, reply: Sender<Arc<CoreShared>> },
    /// It is live no longer.
    Detach { key: CoreKey },
    /// Ask a blind peer to keep cores, in place of what it was asked before; none: for no more.
    AskBlindPeer { peer: PublicKey, cores: Option<Cores> },
    /// Download blocks.
    Download { key: CoreKey, download: Download, reply: Sender<Arc<DownloadState>> },
    /// Stop downloading them.
    Cancel { key: CoreKey, state: Arc<DownloadState> },
    /// Compare peers' histories with ours.
    Compare { key: CoreKey },
    /// Get these blocks before others.
    Want { key: CoreKey, blocks: Vec<u64> },
    /// Get the leaf hashes of these blocks of the present head, without the blocks.
    Hashes { key: CoreKey, ranges: Vec<Range<u64>> },
    /// The store's core was changed by someone else in this process.
    Changed { key: CoreKey, change: LocalChange },
    /// Keep DHT nodes for the next run, with the time since 1970 when each answered last.
    KeepNodes { nodes: Vec<(SocketAddrV4, Duration)> },
    /// Write all that was received to disk, then answer.
    Flush { reply: Sender<Result<(), String>> },
    /// End.
    Close,
}

/// What the net thread is told.
pub(crate) enum NetCommand {
    /// By the core thread.
    Live(FromLive),
    /// Name up to `limit` known DHT nodes.
    Nodes { limit: usize, reply: Sender<Vec<SocketAddrV4>> },
    /// Join a topic.
    Join { topic: Topic, part: Part },
    /// Leave it.
    Leave { topic: Topic },
    /// Connect to a peer for its own sake, or no longer.
    Name { peer: PublicKey, named: bool },
    /// What the router maps to our port, and how; nothing any more.
    Mapping { got: Option<(SocketAddrV4, MappedBy)> },
    /// Let peers connect to our key, whether or not a topic is announced.
    Listen,
    /// Go through these relays, too, where there is no direct way.
    AddRelays { relays: Vec<PublicKey> },
    /// Look again; it counts as flushed when that is over. Answers when the snapshot says so.
    LookAgain { topic: Topic, reply: Sender<()> },
    /// Ask the DHT about a record.
    Record { ticket: RecordTicket, question: RecordQuestion, asker: Asker },
    /// Nobody waits for that answer any more.
    DropRecord { ticket: RecordTicket },
    /// Rest: send nothing until told to go on. The channel is dropped when it does.
    Suspend { done: Sender<()> },
    /// Go on.
    Resume,
    /// End the node, but write what was made for peers within `grace`. The channel is dropped when that is done.
    Shutdown { grace: Duration, done: Sender<()> },
}
