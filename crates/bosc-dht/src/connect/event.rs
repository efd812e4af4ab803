//! What happens to a connection: made, failed, counted.

use super::names::ConnectId;
use crate::ListenId;
use crate::event::SocketKind;
use bosc_format::crypto::PublicKey;
use bosc_wire::noise::HandshakeResult;
use bytes::Bytes;
use std::net::SocketAddrV4;
use thiserror::Error;

/// Why an outgoing connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody relays for the peer: it does not listen, or nobody can be asked.
    #[error("peer not found")]
    PeerNotFound,
    /// Relays were asked, and no answer of the peer came through.
    #[error("peer did not answer the handshake")]
    PeerConnectionFailed,
    /// The peer speaks another version.
    #[error("peer speaks version {0}")]
    ServerIncompatible(u64),
    /// The peer refused with this error, one of [`error`](super::error).
    #[error("peer refused the connection (error {0})")]
    ServerError(u64),
    /// The peer answered and then no stream packet came from it.
    #[error("peer answered but did not connect")]
    Aborted,
    /// Both sides are behind NATs, and the peer offers no way through.
    #[error("neither side can be reached directly")]
    CannotHolepunch,
    /// Both sides are behind NATs that give every remote another port: no way leads through.
    #[error("both sides are behind NATs that give every remote another port")]
    BothNatsRandom,
    /// Both sides sent probes, or agreed that it is of no use, and nothing came through.
    #[error("no way through the NATs was found")]
    HolepunchFailed,
    /// The DHT has too much going on.
    #[error("too much is going on at once")]
    Busy,
}

/// A stream packet that arrived before its stream was made. Feed it to the stream first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyPacket {
    /// Where it came in.
    pub socket: SocketKind,
    /// Where it came from.
    pub from: SocketAddrV4,
    /// The whole datagram.
    pub bytes: Bytes,
}

/// Everything needed to make the streams of a connection: a UDX stream that takes packets from anywhere
/// (`Firewall::Surface` in `bosc-udx`), connected to `remote_address` under `remote_id`, and a secret stream on
/// it, [`bosc_wire::secret_stream::SecretStream::from_handshake`].
#[derive(Debug, Clone)]
pub struct Connection {
    /// Whether we connected. Also the role in the secret stream.
    pub is_initiator: bool,
    /// Keys for the secret stream, and who the other side proved to be.
    pub handshake: HandshakeResult,
    /// Our UDX stream id: packets to us carry it. Drawn at random; in the unlikely case that the owner has
    /// such a stream already, drop the connection.
    pub local_id: u32,
    /// Their UDX stream id.
    pub remote_id: u32,
    /// Where they are.
    pub remote_address: SocketAddrV4,
    /// The socket to reach them through.
    pub socket: SocketKind,
    /// The blind relay in between, whose `remote_address` and `remote_id` these are.
    pub relay: Option<PublicKey>,
    /// Their own UDX stream id, also where a relay is in between.
    pub peer_id: u32,
    /// Packets of theirs that came first.
    pub early: Vec<EarlyPacket>,
}

/// What happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConnectEvent {
    /// A connection is made, ours or theirs.
    Connected {
        /// Ours: which one.
        connect: Option<ConnectId>,
        /// Theirs: which listening key pair.
        listen: Option<ListenId>,
        /// All about it.
        connection: Box<Connection>,
    },
    /// An outgoing connection failed.
    Failed {
        /// Which one.
        connect: ConnectId,
        /// Who was to be reached.
        remote_public_key: PublicKey,
        /// Why.
        error: ConnectError,
    },
    /// A stream is to be paired at a blind relay: connect to `relay`, and tell [`Connector::relayed`](super::Connector::relayed) or
    /// [`Connector::relay_failed`](super::Connector::relay_failed) what became of it.
    Relay {
        /// The stream that goes through it.
        local_id: u32,
        /// The relay's key.
        relay: PublicKey,
        /// Names the pairing.
        token: [u8; 32],
        /// Which half of it we are.
        is_initiator: bool,
    },
    /// Nobody waits for the pairing of this stream any more.
    RelayUnused {
        /// The stream.
        local_id: u32,
    },
    /// The direct way was found for a connection that goes through a relay. Move its stream there and send a message on it, so that the
    /// other side sees it.
    Direct {
        /// Our stream id.
        local_id: u32,
        /// Their stream id, which is another one than the relay's.
        remote_id: u32,
        /// Where they are.
        remote_address: SocketAddrV4,
        /// The socket to reach them through.
        socket: SocketKind,
    },
    /// A [`SocketKind::Pool`] socket is not needed any more, unless a connection that is not taken yet has it.
    SocketUnused {
        /// Its number.
        number: u32,
    },
}

/// What became of a stream packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamPacket {
    /// It belongs to no connection under way.
    Unknown,
    /// It was taken; it comes out with [`Connection::early`].
    Taken,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectStats {
    /// Outgoing connections made.
    pub connected: u64,
    /// Outgoing connections failed.
    pub failed: u64,
    /// Incoming connections made.
    pub accepted: u64,
    /// Incoming handshakes refused by the owner.
    pub refused: u64,
    /// Incoming handshakes that did not authenticate, or made room for others.
    pub dropped: u64,
    /// Incoming handshakes answered whose peer then did not come.
    pub passive_timeouts: u64,
    /// Holepunches that both sides agreed to, outgoing and incoming.
    pub punches: u64,
    /// Connections made through a blind relay, outgoing and incoming.
    pub relayed: u64,
}
