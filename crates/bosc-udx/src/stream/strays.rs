//! What is known of where a peer speaks from; `stray` says what follows from it.

use crate::event::SocketTag;
use std::net::SocketAddr;

/// Somebody speaks from there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stray {
    pub(super) socket: SocketTag,
    pub(super) from: SocketAddr,
    /// Half of what is waited for the old place.
    pub(super) wait: u64,
    /// When the old place was asked again.
    pub(super) asked: Option<u64>,
    /// When it is asked again, and then when the wait is over. One field: chosen from two by a `bool` in an `Option`, the value is
    /// loaded by LLVM 20 and later before it is known that there is one, at an address that nobody set (rust-lang/rust#159035).
    pub(super) due: u64,
}

/// What is known of where the peer speaks from.
#[derive(Debug, Default)]
pub(super) struct Strays {
    pub(super) now: Option<Stray>,
    /// When something came from where we send to.
    pub(super) path_heard: u64,
    pub(super) quiet_until: u64,
}
