//! Addresses, and the node ids made of them. The DHT speaks IPv4 only.

use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::hash;
use std::net::{Ipv4Addr, SocketAddrV4};

/// A place in the id space: the id of a node, or a target of a query.
pub type NodeId = [u8; 32];

/// How many bytes an address takes on the wire: four octets, then the port as u16 little endian
/// (`ipv4Address` of npm `compact-encoding`).
pub const ADDRESS_LEN: usize = 6;

/// The six bytes of an address.
pub fn address_bytes(addr: SocketAddrV4) -> [u8; ADDRESS_LEN] {
    let [a, b, c, d] = addr.ip().octets();
    let [lo, hi] = addr.port().to_le_bytes();
    [a, b, c, d, lo, hi]
}

/// The network an address counts for where hosts are told apart by who can have many of them: its /24.
pub fn network_of(host: Ipv4Addr) -> [u8; 3] {
    let [a, b, c, _] = host.octets();
    [a, b, c]
}

/// The id every node at `addr` has: the hash of its address. A node cannot choose its place without
/// choosing its address.
pub fn node_id(addr: SocketAddrV4) -> NodeId {
    hash(&[&address_bytes(addr)])
}

/// Appends an address.
pub fn put_address(e: &mut Encoder, addr: SocketAddrV4) {
    e.raw(&address_bytes(addr));
}

/// Reads an address.
pub fn get_address(d: &mut Decoder<'_>) -> Result<SocketAddrV4, DecodeError> {
    let [a, b, c, d0, lo, hi] = d.fixed::<ADDRESS_LEN>()?;
    Ok(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d0), u16::from_le_bytes([lo, hi])))
}

/// Appends a counted list of addresses.
pub fn put_addresses(e: &mut Encoder, list: &[SocketAddrV4]) {
    e.uint(list.len() as u64);
    for addr in list {
        put_address(e, *addr);
    }
}

/// Reads a counted list of addresses. The count is bounded by the bytes that are there.
pub fn get_addresses(d: &mut Decoder<'_>) -> Result<Vec<SocketAddrV4>, DecodeError> {
    d.list(ADDRESS_LEN, get_address)
}

/// Whether a datagram can be sent there at all: a port, and a host that is neither unspecified, multicast
/// nor broadcast.
pub(crate) fn is_sendable(addr: SocketAddrV4) -> bool {
    let ip = addr.ip();
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast()
}

/// Nodes every implementation skips: test nodes that once got into the public network by accident
/// (`filterNode` of `hyperdht/index.js`).
pub(crate) fn is_stray(addr: SocketAddrV4) -> bool {
    match addr.ip().octets() {
        [134, 209, 28, 98] | [167, 99, 142, 185] => addr.port() == 49738,
        [35, 233, 47, 252] => addr.port() == 9400,
        [150, 136, 142, 116] => true,
        _ => false,
    }
}

/// The XOR distance between two places.
pub fn distance(a: &NodeId, b: &NodeId) -> NodeId {
    let mut out = [0; 32];
    for ((o, x), y) in out.iter_mut().zip(a).zip(b) {
        *o = x ^ y;
    }
    out
}
