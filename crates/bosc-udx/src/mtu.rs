//! Packet size: starts at a size every path carries and is raised by probes (RFC 8899).
//!
//! A probe is an ordinary data packet made larger by padding between header and payload. Padding is at most 255 bytes
//! (one byte says how much), so the search goes up in steps: first as far as padding reaches, and when a probe is lost
//! twice, half way. A lost probe says nothing about congestion; its data is repeated without the padding. libudx
//! searches in steps of 32 from the same base to the same maximum.
//!
//! Sizes include IP, UDP and UDX headers. Packets cannot be cut again once they have a sequence number, so a size is
//! only used after a probe of it was acknowledged.

use std::net::{IpAddr, SocketAddr};

/// Every path is taken to carry this, as libudx does.
pub(crate) const BASE: u16 = 1200;
/// The most a peer's receive buffer surely holds (libudx reads into 2048 bytes and would cut off the rest unseen).
pub(crate) const LIMIT: u16 = 2048;
const TRIES: u8 = 2;
/// The search ends when what is known to work and what is known to fail are this near.
const CLOSE_ENOUGH: u16 = 16;

#[derive(Debug)]
pub(crate) struct Mtu {
    current: u16,
    max: u16,
    /// The least size that failed.
    failed: Option<u16>,
    probe: Option<u16>,
    tries: u8,
    in_flight: bool,
    confirmed: bool,
}

impl Mtu {
    pub(crate) fn new(max: u16) -> Self {
        let max = max.clamp(BASE, LIMIT);
        Mtu { current: BASE, max, failed: None, probe: None, tries: 0, in_flight: false, confirmed: false }
    }

    pub(crate) fn current(&self) -> u16 {
        self.current
    }

    /// The size to probe with the next full packet.
    pub(crate) fn wanted(&self) -> Option<u16> {
        if self.in_flight || !self.confirmed { None } else { self.probe }
    }

    pub(crate) fn sent(&mut self) {
        self.in_flight = true;
        self.tries += 1;
    }

    /// Any packet was acknowledged: the base size works, the search may begin.
    pub(crate) fn on_ack(&mut self) {
        if !self.confirmed {
            self.confirmed = true;
            self.choose();
        }
    }

    pub(crate) fn on_probe_acked(&mut self, size: u16) {
        self.in_flight = false;
        if size > self.current && size <= self.max {
            self.current = size;
        }
        self.tries = 0;
        self.choose();
    }

    pub(crate) fn on_probe_lost(&mut self, size: u16) {
        self.in_flight = false;
        if self.tries >= TRIES {
            self.tries = 0;
            self.failed = Some(self.failed.map_or(size, |least| least.min(size)));
            self.choose();
        }
    }

    fn choose(&mut self) {
        let reach = self.current.saturating_add(255).min(self.max);
        let size = match self.failed {
            None => reach,
            Some(failed) => {
                let between = self.current + failed.saturating_sub(self.current) / 2;
                between.min(reach)
            }
        };
        let gain = size.saturating_sub(self.current);
        self.probe = (gain >= CLOSE_ENOUGH || (gain > 0 && size == self.max)).then_some(size);
    }

    /// Back to the base for packets to come, search included: another path, or this one has changed.
    pub(crate) fn reset(&mut self) {
        *self = Mtu::new(self.max);
    }
}

/// Bytes of IP, UDP and UDX headers on the way to this address.
pub(crate) fn overhead(to: SocketAddr) -> u16 {
    match to.ip() {
        IpAddr::V4(_) => 20 + 8 + 20,
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => 20 + 8 + 20,
        IpAddr::V6(_) => 40 + 8 + 20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(path: u16, max: u16) -> (u16, u32) {
        let mut mtu = Mtu::new(max);
        assert_eq!(mtu.wanted(), None);
        mtu.on_ack();
        let mut probes = 0;
        while let Some(size) = mtu.wanted() {
            assert!(size - mtu.current() <= 255, "padding has one byte for its length");
            mtu.sent();
            assert_eq!(mtu.wanted(), None, "one at a time");
            if size <= path {
                mtu.on_probe_acked(size)
            } else {
                mtu.on_probe_lost(size)
            }
            probes += 1;
            assert!(probes < 30);
        }
        (mtu.current(), probes)
    }

    #[test]
    fn finds_the_size_of_the_path() {
        assert_eq!(search(1500, 1500), (1500, 2));
        assert_eq!(search(9000, 2048), (2048, 4));
        assert_eq!(search(1200, 1500).0, 1200);
        for path in [1280, 1380, 1420, 1460, 1492] {
            let (found, probes) = search(path, 1500);
            assert!(found <= path && path - found <= 16, "{found} of {path}");
            assert!(probes <= 12);
        }
        assert_eq!(search(1500, 1000), (1200, 0));
    }

    #[test]
    fn reset_starts_over() {
        let mut mtu = Mtu::new(1500);
        mtu.on_ack();
        mtu.sent();
        mtu.on_probe_acked(1455);
        assert_eq!(mtu.current(), 1455);
        mtu.reset();
        assert_eq!((mtu.current(), mtu.wanted()), (1200, None));
        mtu.on_ack();
        assert_eq!(mtu.wanted(), Some(1455));
    }
}
