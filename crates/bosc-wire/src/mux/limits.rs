//! How long a frame may be, and how much a peer can make us keep.

/// The longest frame, in bytes: one message of a secret stream.
pub const MAX_FRAME: usize = crate::secret_stream::MAX_MESSAGE;
/// Room left in a frame for the numbers before a payload.
pub(super) const FRAME_HEAD: usize = 64;
/// The longest payload of one message, in bytes.
pub const MAX_PAYLOAD: usize = MAX_FRAME - FRAME_HEAD;
/// What a waiting message counts for on top of its bytes, as in protomux.
pub(super) const MESSAGE_COST: usize = 512;

/// Bounds on what a peer can make us keep.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of messages for channels we have not opened, 512 added per message, above which the mux pauses.
    pub max_buffered: usize,
    /// Channels waiting for our decision above which the mux pauses.
    pub max_pending: usize,
    /// Channel numbers of the other side ever in use. More is an error.
    pub max_channels: usize,
    /// Bytes of frames fed and not yet decoded. More is an error.
    pub max_queued: usize,
    /// The longest protocol name, id and handshake, in bytes, each. Longer is an error.
    pub max_open: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_buffered: 32 * 1024,
            max_pending: 256,
            max_channels: 64 * 1024,
            max_queued: 2 * MAX_FRAME,
            max_open: 4 * 1024,
        }
    }
}
