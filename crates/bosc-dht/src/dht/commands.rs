//! What the layer above asks for.

use super::Dht;
use super::owner::Owner;
use super::serve::Answering;
use crate::addr::NodeId;
use crate::event::{IncomingRequest, SocketKind};
use crate::messages::{MAX_RELAYS, MutableRecord};
use crate::query::{Announcing, Commit, Kind, Query, QueryOptions, QueryOwner};
use crate::records::store::encode_seq;
use crate::router::Forward;
use crate::rpc::io::Outgoing;
use crate::rpc::wire::{RequestMessage, Token};
use crate::rpc::{command, internal};
use crate::{Busy, QueryId, RequestId};
use bosc_format::crypto::{KeyPair, PublicKey, hash};
use bytes::Bytes;
use std::net::SocketAddrV4;
use std::time::Duration;

/// How long the reply to a round of a holepunch is waited for: it goes through a relay, so the round trip time to that says nothing
/// about it, and the other side thinks before it answers.
const RELAYED_TIMEOUT: Duration = Duration::from_millis(1000);

/// A request to one node.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who is asked.
    pub to: SocketAddrV4,
    /// What, one of [`crate::command`] (or of [`crate::internal`] if `internal`).
    pub command: u64,
    /// Whether it is one of dht-rpc's own commands.
    pub internal: bool,
    /// What it is about.
    pub target: Option<NodeId>,
    /// The argument.
    pub value: Option<Bytes>,
    /// A token the node gave before.
    pub token: Option<Token>,
    /// The socket to ask from; `None`: [`Dht::default_socket`].
    pub socket: Option<SocketKind>,
    /// The IP time to live of the datagrams; `None`: the system's own.
    pub ttl: Option<u8>,
    /// How often it is sent again; 3 unless set.
    pub retries: u32,
    /// How long each reply is waited for; `None`: as measured.
    pub timeout: Option<Duration>,
}

impl Request {
    /// A request with nothing but a command.
    pub fn new(to: SocketAddrV4, command: u64) -> Self {
        Self {
            to,
            command,
            internal: false,
            target: None,
            value: None,
            token: None,
            socket: None,
            ttl: None,
            retries: 3,
            timeout: None,
        }
    }

    /// A ping; the reply's `to` is our own address as the node sees it.
    pub fn ping(to: SocketAddrV4) -> Self {
        Self { internal: true, ..Self::new(to, internal::PING) }
    }
}

/// How a request of others is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplyOptions {
    /// Where the reply goes; `None`: to who asked.
    pub to: Option<SocketAddrV4>,
    /// From which socket; `None`: the one the request came in on.
    pub socket: Option<SocketKind>,
    /// Whether to give a token.
    pub token: bool,
    /// Whether to name closer nodes.
    pub closer: bool,
}

/// How a peer is announced.
#[derive(Debug, Clone, Default)]
pub struct AnnounceOptions {
    /// How the query walks.
    pub query: QueryOptions,
    /// Take older announces of the same key pair off first.
    pub clear: bool,
    /// Milliseconds since 1970, to tell others that something is new; 0: nothing is.
    pub bump: u64,
    /// A refresh token, see [`crate::refresh_chain`].
    pub refresh: Option<[u8; 32]>,
}

/// How a mutable value is read.
#[derive(Debug, Clone, Default)]
pub struct MutableGetOptions {
    /// How the query walks.
    pub query: QueryOptions,
    /// The lowest version of interest.
    pub seq: u64,
    /// Store what is found at the nodes closest now.
    pub refresh: bool,
}

impl Dht {
    /// Asks one node. Ends with [`crate::Event::Response`] or [`crate::Event::RequestTimeout`].
    pub fn request(&mut self, request: Request, now: Duration) -> Result<RequestId, Busy> {
        let relayed = !request.internal && request.command == command::PEER_HOLEPUNCH;
        let out = Outgoing {
            to: request.to,
            node: None,
            token: request.token,
            internal: request.internal,
            command: request.command,
            target: request.target,
            value: request.value,
            socket: request.socket,
            ttl: request.ttl,
            retries: request.retries.min(64),
            timeout: request.timeout.or(relayed.then_some(RELAYED_TIMEOUT)),
            owner: Owner::User,
        };
        self.send(out, now)
    }

    /// Pings a node from the default socket.
    pub fn ping(&mut self, to: SocketAddrV4, now: Duration) -> Result<RequestId, Busy> {
        self.request(Request::ping(to), now)
    }

    /// Sends a probe: one zero byte, which opens a way through our NAT and is no message of the DHT.
    pub(crate) fn probe(&mut self, socket: SocketKind, to: SocketAddrV4, ttl: Option<u8>) {
        if crate::addr::is_sendable(to) {
            self.io.transmit(socket, to, Bytes::from_static(&[0]), ttl);
        }
    }

    /// Gives up a request. No event follows. False if it is over already.
    pub fn cancel_request(&mut self, request: RequestId) -> bool {
        self.io.cancel(request)
    }

    /// Answers a request.
    pub fn reply(
        &mut self,
        request: &IncomingRequest,
        value: Option<&[u8]>,
        options: ReplyOptions,
        now: Duration,
    ) {
        let a = Answering {
            socket: options.socket.unwrap_or(request.socket),
            to: options.to.unwrap_or(request.from),
            tid: request.tid,
            token: options.token,
            closer: request.target.filter(|_| options.closer),
            error: 0,
        };
        self.answer(a, value, now);
    }

    /// Passes a request on to `to` with another value, under its transaction id, so that whoever gets it can
    /// answer whoever sent it.
    pub fn relay(
        &mut self,
        request: &IncomingRequest,
        value: &[u8],
        to: SocketAddrV4,
        socket: Option<SocketKind>,
    ) {
        let message = RequestMessage {
            tid: request.tid,
            to,
            id: None,
            token: None,
            internal: false,
            command: request.command,
            target: request.target,
            value: Some(value),
        };
        self.io.relay(socket.unwrap_or(request.socket), message);
    }

    /// Where messages for a target go, if we know: a key pair announced here, or our own.
    pub fn forward(&mut self, target: &NodeId, now: Duration) -> Option<Forward> {
        self.router.get(target, now).cloned()
    }

    /// Walks to `target`. The closest nodes are in [`crate::QueryDone`].
    pub fn find_node(
        &mut self,
        target: NodeId,
        options: &QueryOptions,
        now: Duration,
    ) -> Result<QueryId, Busy> {
        let query = Query::new(QueryOwner::User, target, Kind::FindNode, true, internal::FIND_NODE);
        self.start_query(query, options, now)
    }

    /// Looks for a listening peer; `target` is the hash of its public key. The nodes that reply with its
    /// record relay handshakes to it.
    pub fn find_peer(
        &mut self,
        target: NodeId,
        options: &QueryOptions,
        now: Duration,
    ) -> Result<QueryId, Busy> {
        let query = Query::new(QueryOwner::User, target, Kind::FindPeer, false, command::FIND_PEER);
        self.start_query(query, options, now)
    }

    /// Looks for peers announced on a topic.
    pub fn lookup(&mut self, target: NodeId, options: &QueryOptions, now: Duration) -> Result<QueryId, Busy> {
        let query = Query::new(QueryOwner::User, target, Kind::Lookup, false, command::LOOKUP);
        self.start_query(query, options, now)
    }

    /// Announces a key pair on a topic, once; looks for the others there on the way. Records last about 20
    /// minutes. `relays`, at most 3, is where it can be reached: see [`Dht::relay_addresses`].
    pub fn announce(
        &mut self,
        target: NodeId,
        key_pair: &KeyPair,
        relays: &[SocketAddrV4],
        options: &AnnounceOptions,
        now: Duration,
    ) -> Result<QueryId, Busy> {
        let mut query = Query::new(QueryOwner::User, target, Kind::Lookup, false, command::LOOKUP);
        if options.clear {
            self.store.unannounce(&target, &key_pair.public(), &mut self.router);
            query.unannounce = Some(key_pair.clone());
        }
        query.commit = Commit::Announce(Box::new(Announcing {
            key_pair: key_pair.clone(),
            relays: relays.iter().copied().take(MAX_RELAYS).collect(),
            refresh: options.refresh,
            bump: options.bump,
        }));
        self.start_query(query, &options.query, now)
    }

    /// Takes a key pair off a topic; looks for the others there on the way, so it serves as a lookup too.
    pub fn unannounce(
        &mut self,
        target: NodeId,
        key_pair: &KeyPair,
        options: &QueryOptions,
        now: Duration,
    ) -> Result<QueryId, Busy> {
        self.store.unannounce(&target, &key_pair.public(), &mut self.router);
        let mut query = Query::new(QueryOwner::User, target, Kind::Lookup, false, command::LOOKUP);
        query.unannounce = Some(key_pair.clone());
        self.start_query(query, options, now)
    }

    /// Stores a value under its hash. Nodes keep it about 48 hours after the last reading.
    pub fn immutable_put(
        &mut self,
        value: Bytes,
        options: &QueryOptions,
        now: Duration,
    ) -> Result<QueryId, Busy> {
        let target = hash(&[&value]);
        let mut query = Query::new(QueryOwner::User, target, Kind::Immutable, false, command::IMMUTABLE_GET);
        query.commit = Commit::Value { command: command::IMMUTABLE_PUT, value };
        self.start_query(query, options, now)
    }

    /// Reads a value by its hash; it is in [`crate::QueryDone::immutable`].
    pub fn immutable_get(
        &mut self,
        target: NodeId,
        options: &QueryOptions,
        now: Duration,
    ) -> Result<QueryId, Busy> {
        let query = Query::new(QueryOwner::User, target, Kind::ImmutableGet, false, command::IMMUTABLE_GET);
        self.start_query(query, options, now)
    }

    /// Stores a value under the hash of the key pair's public key. `seq` must be higher than that of the
    /// value stored before, or the nodes refuse with [`crate::error_code::SEQ_TOO_LOW`] or
    /// [`crate::error_code::SEQ_REUSED`].
    pub fn mutable_put(
        &mut self,
        key_pair: &KeyPair,
        seq: u64,
        value: Bytes,
        options: &QueryOptions,
        now: Duration,
    ) -> Result<QueryId, Busy> {
        let record = MutableRecord::sign(key_pair, seq, value);
        self.mutable_put_signed(&key_pair.public(), &record, options, now)
    }

    /// As [`Dht::mutable_put`], of a record that was signed before: whoever puts it needs no secret. Nodes drop one that the key
    /// did not sign.
    pub fn mutable_put_signed(
        &mut self,
        public_key: &PublicKey,
        record: &MutableRecord,
        options: &QueryOptions,
        now: Duration,
    ) -> Result<QueryId, Busy> {
        let mut query = self.mutable_query(public_key, Kind::Mutable { public_key: None, seq: 0 }, 0);
        let value = record.encode_put(public_key).into();
        query.commit = Commit::Value { command: command::MUTABLE_PUT, value };
        self.start_query(query, options, now)
    }

    /// Reads the newest value a key signed; it is in [`crate::QueryDone::mutable`].
    pub fn mutable_get(
        &mut self,
        public_key: &PublicKey,
        options: &MutableGetOptions,
        now: Duration,
    ) -> Result<QueryId, Busy> {
        let kind = Kind::Mutable { public_key: Some(*public_key), seq: options.seq };
        let mut query = self.mutable_query(public_key, kind, options.seq);
        if options.refresh {
            query.commit = Commit::Refresh(*public_key);
        }
        self.start_query(query, &options.query, now)
    }

    fn mutable_query(&self, public_key: &PublicKey, kind: Kind, seq: u64) -> Query {
        let target = hash(&[public_key]);
        let mut query = Query::new(QueryOwner::User, target, kind, false, command::MUTABLE_GET);
        query.value = Some(encode_seq(seq));
        query
    }

    /// Asks with any command on the way to `target`; with `commit`, sends the same again with tokens to the
    /// closest nodes.
    pub fn query(
        &mut self,
        target: NodeId,
        command: u64,
        value: Option<Bytes>,
        commit: bool,
        options: &QueryOptions,
        now: Duration,
    ) -> Result<QueryId, Busy> {
        let mut query = Query::new(QueryOwner::User, target, Kind::Raw, false, command);
        query.value = value;
        if commit {
            query.commit = Commit::Same;
        }
        self.start_query(query, options, now)
    }
}
