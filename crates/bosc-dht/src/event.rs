//! What goes in and out of the machine besides commands.

use crate::addr::NodeId;
use crate::messages::{MutableRecord, PeerRecord};
use crate::rpc::health::NetworkState;
use crate::rpc::wire::Token;
use crate::{ListenId, QueryId, RequestId};
use bytes::Bytes;
use std::net::SocketAddrV4;
use std::time::Duration;
use thiserror::Error;

/// One of the machine's UDP sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SocketKind {
    /// Where a firewalled node asks from. Its port is any.
    Client,
    /// Where an open node asks from and is asked. Its port is the one others are told.
    Server,
    /// A socket the layer above opened, for holepunching. The number is the caller's. The machine sends on
    /// it only when told to, and takes replies and requests from it.
    Pool(u32),
}

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// From which socket.
    pub socket: SocketKind,
    /// Where to.
    pub to: SocketAddrV4,
    /// The whole datagram.
    pub bytes: Bytes,
    /// The IP time to live; `None`: the system's own.
    pub ttl: Option<u8>,
}

/// A reply to one of our requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Who replied; always the address asked.
    pub from: SocketAddrV4,
    /// Its id, if it is persistent.
    pub from_id: Option<NodeId>,
    /// Our own address as it sees us.
    pub to: SocketAddrV4,
    /// The socket the reply came in on.
    pub socket: SocketKind,
    /// Allows us to store something there for some seconds.
    pub token: Option<Token>,
    /// Nodes close to the target.
    pub closer: Vec<SocketAddrV4>,
    /// 0, or one of [`crate::error_code`].
    pub error: u64,
    /// The result.
    pub value: Option<Bytes>,
    /// Time from the last sending to the reply.
    pub rtt: Duration,
}

/// What one node said to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryReply {
    /// Which query.
    pub query: QueryId,
    /// Who said it.
    pub from: SocketAddrV4,
    /// Its id, if it is persistent.
    pub from_id: Option<NodeId>,
    /// Our own address as it sees us.
    pub to: SocketAddrV4,
    /// Allows us to store something there for some seconds.
    pub token: Option<Token>,
    /// What it said.
    pub data: QueryData,
}

/// The content of a query's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryData {
    /// The node is there; of `find_node`.
    Node,
    /// The record of the peer asked for; of `find_peer`.
    Peer(PeerRecord),
    /// Peers announced on the topic; of `lookup`, `announce` and `unannounce`. The peers may be more than 20
    /// together and the same peer comes from several nodes.
    Peers {
        /// Who is announced.
        peers: Vec<PeerRecord>,
        /// The topic's newest bump, milliseconds since 1970.
        bump: u64,
    },
    /// A value whose hash is the target.
    Immutable(Bytes),
    /// A value signed by the key asked for. Not yet the newest: see [`QueryDone::mutable`].
    Mutable(MutableRecord),
    /// The reply's value as it is; of `query`.
    Raw(Option<Bytes>),
}

/// Why a query failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Nobody close to the target replied, so nothing could be stored.
    #[error("too few nodes responded")]
    TooFewNodes,
    /// The closest nodes were told to store it and none replied.
    #[error("none of the closest nodes confirmed to have stored it")]
    CommitTimeout,
    /// All of the closest nodes that replied refused to store it, with this error number.
    #[error("the closest nodes refused to store it (error {0})")]
    CommitRefused(u64),
    /// It was cancelled.
    #[error("the query was cancelled")]
    Cancelled,
}

/// A node at the end of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosestNode {
    /// Its id.
    pub id: NodeId,
    /// Where it is.
    pub addr: SocketAddrV4,
    /// Our own address as it sees us.
    pub to: SocketAddrV4,
    /// Its token.
    pub token: Option<Token>,
}

/// A query is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryDone {
    /// Which query.
    pub query: QueryId,
    /// What was looked for.
    pub target: NodeId,
    /// Whether what was to be stored was stored by at least one node.
    pub result: Result<(), QueryError>,
    /// The closest nodes that replied, closest first, at most 20. Hand their addresses to the next query of
    /// the same target.
    pub closest: Vec<ClosestNode>,
    /// How many nodes replied without error.
    pub successes: usize,
    /// How many did not.
    pub errors: usize,
    /// How many confirmed to have stored it.
    pub committed: usize,
    /// The value found by `immutable_get`.
    pub immutable: Option<Bytes>,
    /// The newest value found by `mutable_get`.
    pub mutable: Option<MutableRecord>,
}

/// A request of another node that the layer above answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingRequest {
    /// The socket it came in on.
    pub socket: SocketKind,
    /// Who asks.
    pub from: SocketAddrV4,
    /// Its id, if it is persistent.
    pub from_id: Option<NodeId>,
    /// Our own address as it sees us.
    pub to: SocketAddrV4,
    /// Its transaction.
    pub tid: u16,
    /// [`crate::command::PEER_HANDSHAKE`] or [`crate::command::PEER_HOLEPUNCH`].
    pub command: u64,
    /// The target; one that was given to [`crate::Dht::serve`].
    pub target: Option<NodeId>,
    /// A token of ours that was checked.
    pub token: Option<Token>,
    /// The argument.
    pub value: Option<Bytes>,
}

/// A node that relays handshakes to a listening key pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relay {
    /// The node.
    pub relay_address: SocketAddrV4,
    /// Our own address as it sees us.
    pub peer_address: SocketAddrV4,
}

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The first walk through the network is over. Comes once, also when nobody was there.
    Bootstrapped,
    /// The node became persistent (true: it has an id and stores for others) or ephemeral.
    PersistentChanged(bool),
    /// Our own address as others see it changed. `host` is `None` when they disagree, `port` 0 when they
    /// see different ones.
    NatUpdate {
        /// Our host.
        host: Option<std::net::Ipv4Addr>,
        /// Our port.
        port: u16,
    },
    /// The network works, works badly, or not at all.
    Network(NetworkState),
    /// A node that relays for us sees us elsewhere than before: our NAT gave us another address. Connections that go through it may
    /// be dead.
    MappingChanged,
    /// Our server socket can be reached at this address, by a mapping of our router; or no longer.
    PortMapped(Option<SocketAddrV4>),
    /// More than three tick intervals passed between two ticks: the machine slept.
    Wakeup,
    /// A node replied to a query.
    QueryReply(QueryReply),
    /// A query is over.
    QueryDone(QueryDone),
    /// A request got its reply.
    Response {
        /// Which request.
        request: RequestId,
        /// The reply.
        reply: Reply,
    },
    /// A request got no reply.
    RequestTimeout {
        /// Which request.
        request: RequestId,
        /// Who did not reply.
        to: SocketAddrV4,
    },
    /// A handshake or holepunch for a target that [`crate::Dht::serve`] was told about.
    Request(IncomingRequest),
    /// A listening key pair was announced again; these relays know it now. The first such event means it
    /// can be found (unless `relays` is empty).
    Announced {
        /// Which one.
        listen: ListenId,
        /// Its relays.
        relays: Vec<Relay>,
        /// What to tell others: our own address first if it is open, then the relays; at most 3 and 1.
        relay_addresses: Vec<SocketAddrV4>,
    },
    /// A listening key pair was taken off the network.
    Unlistened(ListenId),
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Requests started.
    pub requests: u64,
    /// Requests that were answered.
    pub responses: u64,
    /// Requests that were given up.
    pub timeouts: u64,
    /// Datagrams of requests that were sent again.
    pub retries: u64,
    /// Queries started.
    pub queries: u64,
    /// Requests of others.
    pub served: u64,
    /// Datagrams that were no DHT message.
    pub malformed: u64,
    /// Replies nobody waited for.
    pub unexpected: u64,
    /// Datagrams and events dropped because a bound was reached.
    pub dropped: u64,
    /// Datagrams out.
    pub datagrams_sent: u64,
    /// Bytes out.
    pub bytes_sent: u64,
    /// Datagrams in.
    pub datagrams_received: u64,
    /// Bytes in.
    pub bytes_received: u64,
    /// Per internal command, by number: requests sent and replies received.
    pub internal: [(u64, u64); 5],
}

impl Stats {
    pub(crate) fn count_internal(&mut self, command: u64, sent: bool) {
        if let Some((tx, rx)) = usize::try_from(command).ok().and_then(|c| self.internal.get_mut(c)) {
            *(if sent { tx } else { rx }) += 1;
        }
    }
}
