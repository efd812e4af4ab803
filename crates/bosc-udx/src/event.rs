//! What a stream tells its owner.

use bytes::Bytes;
use std::net::SocketAddr;
use thiserror::Error;

/// Which of the owner's sockets. The number means nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SocketTag(pub u64);

/// What a stream tells its owner, in order, through [`crate::Stream::poll_event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// [`crate::Stream::connect`] has taken effect. UDX has no handshake: nothing was heard from the peer yet.
    Connected,
    /// There is something to [`crate::Stream::read`]. Told once until a read finds nothing.
    Readable,
    /// A writer that was asked to pause may go on.
    Writable,
    /// All bytes written so far are acknowledged.
    Flushed,
    /// The peer has ended its direction; what it wrote before can still be read.
    RemoteEnded,
    /// A message outside of the stream.
    Message(Bytes),
    /// With [`crate::Firewall::Surface`]: a packet came from a place the stream does not know. Told once for each.
    Firewall {
        /// The socket it came in through.
        socket: SocketTag,
        /// Where it came from.
        from: SocketAddr,
    },
    /// The peer speaks from another place, through a socket that the stream uses, and is silent at the one we send to. The owner
    /// may [`crate::Stream::follow`] it.
    Elsewhere {
        /// The socket it came in through.
        socket: SocketTag,
        /// Where it came from.
        from: SocketAddr,
    },
    /// Everything sent before [`crate::Stream::change_remote`] has arrived; the old address is no longer needed.
    RemoteChanged,
    /// The stream is over. Always the last event; what has arrived can still be read.
    Closed(CloseReason),
}

/// Why a stream is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Both directions have ended and are acknowledged.
    Ended,
    /// We destroyed it.
    Destroyed,
    /// The peer destroyed it.
    Reset,
    /// The peer no longer answers.
    TimedOut,
}

/// Why a write was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WriteError {
    /// The send buffer is full: wait for [`Event::Writable`].
    #[error("the send buffer is full")]
    Full,
    /// [`crate::Stream::end`] was called.
    #[error("the stream was ended")]
    Ended,
    /// The stream is over.
    #[error("the stream is closed")]
    Closed,
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MessageError {
    /// It does not fit in a packet ([`crate::Stream::max_message`]).
    #[error("the message is larger than a packet")]
    TooLarge,
    /// Too many wait already.
    #[error("too many messages wait to be sent")]
    Full,
    /// The stream is not connected, or over.
    #[error("the stream is not connected")]
    NotConnected,
}

/// Datagrams that [`crate::Stream::poll_transmit`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// The socket to send through.
    pub socket: SocketTag,
    /// Where to.
    pub to: SocketAddr,
    /// Bytes appended to the buffer.
    pub len: usize,
    /// Every datagram has this length; the last may be shorter. Equal to `len` if it is one datagram.
    pub segment: usize,
}
