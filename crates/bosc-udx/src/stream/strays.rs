//! What is known of where a peer speaks from; `stray` says what follows from it.

use crate::event::SocketTag;
use std::net::SocketAddr;

/// Somebody speaks from there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stray {
    pub(super) socket: SocketTag,
    pub(super) from: SocketAddr,
    /// When the old place is asked again.
    pub(super) half: u64,
    pub(super) asked: bool,
    pub(super) until: u64,
}

/// What is known of where the peer speaks from.
#[derive(Debug, Default)]
pub(super) struct Strays {
    pub(super) now: Option<Stray>,
    /// When something came from where we send to.
    pub(super) path_heard: u64,
    pub(super) quiet_until: u64,
}
