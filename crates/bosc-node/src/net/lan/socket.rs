//! The sockets of multicast DNS: one that receives on port 5353 on every interface, and sends on each.

use super::packet::MAX_PACKET;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;
/// Most interfaces that are used.
const MAX_INTERFACES: usize = 16;

/// An interface with an IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) struct Interface {
    ip: Ipv4Addr,
    mask: Ipv4Addr,
}

impl Interface {
    fn holds(&self, host: Ipv4Addr) -> bool {
        let mask = u32::from(self.mask);
        u32::from(self.ip) & mask == u32::from(host) & mask
    }
}

/// The local networks, loopback left out.
fn interfaces() -> Vec<Interface> {
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    let of = |i: &if_addrs::Interface| match &i.addr {
        if_addrs::IfAddr::V4(v4) if !v4.ip.is_loopback() => Some(Interface { ip: v4.ip, mask: v4.netmask }),
        _ => None,
    };
    all.iter().filter_map(of).take(MAX_INTERFACES).collect()
}

/// See the module.
pub(in crate::net) struct LanSocket {
    io: tokio::net::UdpSocket,
    interfaces: Vec<Interface>,
    buffer: Vec<u8>,
}

impl LanSocket {
    /// Binds beside others on this machine that speak multicast DNS. Must run inside a tokio runtime.
    pub(in crate::net) fn bind() -> io::Result<Self> {
        let raw = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
        raw.set_reuse_address(true)?;
        #[cfg(unix)]
        raw.set_reuse_port(true)?;
        raw.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
        raw.set_nonblocking(true)?;
        raw.set_multicast_loop_v4(true)?;
        // RFC 6762, section 11: all are sent with 255.
        raw.set_multicast_ttl_v4(255)?;
        let io = tokio::net::UdpSocket::from_std(raw.into())?;
        let mut socket = Self { io, interfaces: Vec::new(), buffer: vec![0; MAX_PACKET] };
        socket.look();
        Ok(socket)
    }

    /// Joins the group on the interfaces that are there now.
    pub(in crate::net) fn look(&mut self) {
        self.interfaces = interfaces();
        for interface in &self.interfaces {
            // Fails where it is joined already.
            let _ = self.io.join_multicast_v4(GROUP, interface.ip);
        }
    }

    pub(in crate::net) async fn readable(&self) {
        let _ = self.io.readable().await;
    }

    /// Takes up to `most` packets, and calls `each` for those of hosts in our networks, other processes of this one included.
    pub(in crate::net) fn receive(&mut self, most: usize, mut each: impl FnMut(Ipv4Addr, &[u8])) {
        for _ in 0..most {
            let Ok((len, from)) = self.io.try_recv_from(&mut self.buffer) else { return };
            let SocketAddr::V4(from) = from else { continue };
            let near = self.interfaces.iter().any(|i| i.holds(*from.ip()));
            // Those from another port are resolvers, which know nothing of peers.
            if near && from.port() == PORT {
                each(*from.ip(), self.buffer.get(..len).unwrap_or_default());
            }
        }
    }

    /// Sends on every interface; `bytes` makes the packet for the address that it is sent from.
    pub(in crate::net) fn send(&self, bytes: impl Fn(Ipv4Addr) -> Vec<u8>) {
        for interface in &self.interfaces {
            let raw = socket2::SockRef::from(&self.io);
            if raw.set_multicast_if_v4(&interface.ip).is_ok() {
                let _ = self.io.try_send_to(&bytes(interface.ip), SocketAddrV4::new(GROUP, PORT).into());
            }
        }
    }
}
