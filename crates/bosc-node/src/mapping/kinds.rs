//! What a mapping is, how it was got, and what is needed to renew it and to take it back.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// How a mapping was got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MappedBy {
    /// RFC 6887.
    Pcp,
    /// RFC 6886.
    NatPmp,
    /// UPnP's Internet Gateway Device.
    Upnp,
}

/// What a router gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    /// From outside.
    pub(super) external: SocketAddrV4,
    pub(super) by: MappedBy,
    pub(super) lease: Duration,
    pub(super) undo: Undo,
}

/// How to renew it and to take it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Undo {
    Pcp { gateway: Ipv4Addr, local: Ipv4Addr, nonce: [u8; 12] },
    NatPmp { gateway: Ipv4Addr },
    Upnp(Service),
}

/// What maps ports by UPnP, at a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) at: SocketAddrV4,
    pub(super) path: String,
    pub(super) kind: &'static str,
    /// Our address as the router sees it.
    pub(super) local: Ipv4Addr,
}

/// Fills `out` from the operating system's random source.
pub(super) fn random(out: &mut [u8]) {
    // Without randomness nobody may go on: see the net thread.
    if getrandom::fill(out).is_err() {
        std::process::abort();
    }
}
