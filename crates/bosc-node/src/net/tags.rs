//! How sockets are called in the stream table.

use bosc_dht::SocketKind;
use bosc_udx::SocketTag;

/// Of the socket others reach us at.
pub const SERVER: SocketTag = SocketTag(0);
/// Of the socket a firewalled node asks from.
pub const CLIENT: SocketTag = SocketTag(1);
/// Of the first socket for holepunching; the others follow.
pub const POOL: SocketTag = SocketTag(2);

pub(super) fn tag(socket: SocketKind) -> SocketTag {
    match socket {
        SocketKind::Server => SERVER,
        SocketKind::Client => CLIENT,
        SocketKind::Pool(number) => SocketTag(POOL.0 + u64::from(number)),
    }
}

pub(super) fn kind(socket: SocketTag) -> SocketKind {
    match socket {
        SERVER => SocketKind::Server,
        CLIENT => SocketKind::Client,
        SocketTag(n) => SocketKind::Pool(u32::try_from(n.saturating_sub(POOL.0)).unwrap_or(u32::MAX)),
    }
}
