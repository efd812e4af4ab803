//! Why a call or a frame was refused.

use bosc_format::codec::DecodeError;
use thiserror::Error;

/// Why a mux refused a call or a frame. Errors from [`Mux::feed`](super::Mux::feed) and [`Mux::poll_event`](super::Mux::poll_event) end the mux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MuxError {
    /// A frame is not as the protocol says.
    #[error("invalid mux frame: {0}")]
    Decode(#[from] DecodeError),
    /// The other side opened a channel under a number that is not next and not free.
    #[error("remote opened an invalid channel number")]
    InvalidOpen,
    /// The other side rejected a channel we did not ask for.
    #[error("remote rejected an unknown channel")]
    InvalidReject,
    /// The other side opened more channels than [`Limits::max_channels`](super::Limits::max_channels).
    #[error("remote opened too many channels")]
    TooManyChannels,
    /// More was fed than [`Limits::max_queued`](super::Limits::max_queued) while events were not taken.
    #[error("too many frames are waiting")]
    Backlog,
    /// The channel is closed. Nothing was sent; the mux goes on.
    #[error("channel is closed")]
    Closed,
    /// A payload to send does not fit a frame. Nothing was sent; the mux goes on.
    #[error("message of {0} bytes is too long to send")]
    TooLong(usize),
}
