//! Channels, and what happens to them.

use bytes::Bytes;

/// One of our channels. Never reused within a mux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// Why a channel closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The other side closed it.
    Remote,
    /// The other side does not open it.
    Rejected,
    /// [`Mux::shutdown`](super::Mux::shutdown) was called.
    Shutdown,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MuxEvent {
    /// The other side opened a channel we have not opened. Answer with [`Mux::open`](super::Mux::open) or [`Mux::reject`](super::Mux::reject).
    RemoteOpen {
        /// Name of the protocol.
        protocol: String,
        /// Id of the channel.
        id: Option<Vec<u8>>,
        /// Their handshake, as bytes. [`MuxEvent::Opened`] repeats it.
        handshake: Bytes,
    },
    /// Both sides opened the channel.
    Opened {
        /// Our channel.
        channel: ChannelId,
        /// Their handshake, as bytes.
        handshake: Bytes,
    },
    /// A message arrived on an open channel.
    Message {
        /// Our channel.
        channel: ChannelId,
        /// Number of the message type.
        ty: u32,
        /// The message. Shares memory with its frame: copy it to keep it long.
        payload: Bytes,
    },
    /// The channel is closed, not by [`Mux::close`](super::Mux::close). Nothing follows for it.
    Closed {
        /// Our channel.
        channel: ChannelId,
        /// Why.
        reason: CloseReason,
    },
}
