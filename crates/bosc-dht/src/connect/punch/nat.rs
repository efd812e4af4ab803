//! What kind of NAT one socket is behind, by what nodes see of it (`hyperdht/lib/nat.js`).
//!
//! Each node that answers counts once. Three samples decide where they agree, four or five in any case.

use super::super::payload::firewall;
use super::bounds::MAX_ADDRESSES;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Samples that are enough for a decision.
pub(super) const ENOUGH: u32 = 4;

/// What was seen, most often first.
#[derive(Debug)]
struct Counts<T>(Vec<(T, u32)>);

impl<T: PartialEq> Counts<T> {
    fn add(&mut self, value: T) {
        let Some(at) = self.0.iter().position(|(v, _)| *v == value) else {
            self.0.push((value, 1));
            return;
        };
        if let Some((_, hits)) = self.0.get_mut(at) {
            *hits += 1;
        }
        // The sort is stable: of two seen equally often the first stays first.
        self.0.sort_by_key(|(_, hits)| std::cmp::Reverse(*hits));
    }

    fn hits(&self, at: usize) -> u32 {
        self.0.get(at).map_or(0, |(_, hits)| *hits)
    }
}

/// Samples of one socket's address.
#[derive(Debug)]
pub(super) struct Nat {
    hosts: Counts<Ipv4Addr>,
    full: Counts<SocketAddrV4>,
    /// Who answered already.
    from: Vec<SocketAddrV4>,
    sampled: u32,
    firewall: u64,
    addresses: Option<Vec<SocketAddrV4>>,
    frozen: bool,
    decided: bool,
}

impl Nat {
    pub(super) fn new() -> Self {
        Self {
            hosts: Counts(Vec::new()),
            full: Counts(Vec::new()),
            from: Vec::new(),
            sampled: 0,
            firewall: firewall::UNKNOWN,
            addresses: None,
            frozen: false,
            decided: false,
        }
    }

    /// One of [`firewall`].
    pub(super) fn firewall(&self) -> u64 {
        self.firewall
    }

    /// Where others may reach the socket; a port 0 stands for any.
    pub(super) fn addresses(&self) -> Option<&[SocketAddrV4]> {
        self.addresses.as_deref()
    }

    /// Whether there is nothing more to wait for.
    pub(super) fn is_decided(&self) -> bool {
        self.decided
    }

    /// Whether more samples are wanted.
    pub(super) fn wants_more(&self) -> bool {
        self.sampled < ENOUGH
    }

    pub(super) fn sampled(&self) -> u32 {
        self.sampled
    }

    /// Nobody is left to ask.
    pub(super) fn give_up(&mut self) {
        self.decided = true;
    }

    /// From now on samples change nothing: the other side was told.
    pub(super) fn freeze(&mut self) {
        self.frozen = true;
    }

    /// A node sees the socket at `seen`.
    pub(super) fn add(&mut self, seen: SocketAddrV4, from: SocketAddrV4) {
        if self.from.contains(&from) || !crate::addr::is_sendable(seen) {
            return;
        }
        self.from.push(from);
        self.hosts.add(*seen.ip());
        self.full.add(seen);
        self.sampled += 1;
        if self.sampled >= 3 && !self.frozen {
            self.classify();
        }
        if self.firewall == firewall::CONSISTENT || self.sampled >= ENOUGH {
            self.decided = true;
        }
    }

    fn classify(&mut self) {
        let several_hosts = self.hosts.0.len() > 1;
        self.firewall = match self.full.hits(0) {
            3.. => firewall::CONSISTENT,
            1 => firewall::RANDOM,
            // Two samples of four contradict each other.
            _ if !several_hosts && self.sampled > 3 => firewall::RANDOM,
            // Two addresses of ours, each seen twice.
            _ if several_hosts && self.full.hits(1) > 1 => firewall::CONSISTENT,
            _ if self.sampled > ENOUGH => firewall::RANDOM,
            _ => self.firewall,
        };
        self.addresses = match self.firewall {
            firewall::RANDOM => self.hosts.0.first().map(|(host, _)| vec![SocketAddrV4::new(*host, 0)]),
            firewall::CONSISTENT => {
                let counts = self.full.0.iter().enumerate();
                let kept = counts.filter(|(i, (_, hits))| *hits >= 2 || *i < 2);
                Some(kept.map(|(_, (addr, _))| *addr).take(MAX_ADDRESSES).collect())
            }
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nat(seen: &[(u8, u16)]) -> Nat {
        let mut nat = Nat::new();
        for (i, (host, port)) in seen.iter().enumerate() {
            let from = SocketAddrV4::new(Ipv4Addr::new(9, 9, 9, i as u8), 1);
            nat.add(SocketAddrV4::new(Ipv4Addr::new(1, 1, 1, *host), *port), from);
        }
        nat
    }

    #[test]
    fn the_kind_is_the_one_that_javascript_sees() {
        for (seen, want, decided) in [
            (&[][..], firewall::UNKNOWN, false),
            (&[(1, 5), (1, 5)], firewall::UNKNOWN, false),
            (&[(1, 5), (1, 5), (1, 5)], firewall::CONSISTENT, true),
            (&[(1, 5), (1, 6), (1, 7)], firewall::RANDOM, false),
            (&[(1, 5), (1, 6), (1, 7), (1, 8)], firewall::RANDOM, true),
            (&[(1, 5), (1, 5), (1, 6)], firewall::UNKNOWN, false),
            (&[(1, 5), (1, 5), (1, 6), (1, 6)], firewall::RANDOM, true),
            (&[(1, 5), (1, 5), (1, 6), (1, 5)], firewall::CONSISTENT, true),
            (&[(1, 5), (1, 5), (2, 6), (2, 6)], firewall::CONSISTENT, true),
            (&[(1, 5), (1, 5), (2, 6), (2, 7)], firewall::UNKNOWN, true),
            (&[(1, 5), (1, 5), (2, 6), (2, 7), (2, 8)], firewall::RANDOM, true),
        ] {
            let nat = nat(seen);
            assert_eq!((nat.firewall(), nat.is_decided()), (want, decided), "{seen:?}");
        }
        let at = |host: u8, port| SocketAddrV4::new(Ipv4Addr::new(1, 1, 1, host), port);
        assert_eq!(nat(&[(1, 5), (1, 6), (1, 7)]).addresses(), Some(&[at(1, 0)][..]));
        assert_eq!(nat(&[(1, 5), (1, 6), (1, 5), (1, 5)]).addresses(), Some(&[at(1, 5), at(1, 6)][..]));
        assert_eq!(nat(&[(1, 5)]).addresses(), None);
    }

    #[test]
    fn a_node_counts_once_and_nothing_after_the_end() {
        let mut nat = Nat::new();
        let (us, node) = (SocketAddrV4::new(Ipv4Addr::new(1, 1, 1, 1), 5), |n| {
            SocketAddrV4::new(Ipv4Addr::new(9, 9, 9, n), 1)
        });
        for _ in 0..5 {
            nat.add(us, node(1));
        }
        assert_eq!((nat.sampled(), nat.is_decided()), (1, false));
        nat.freeze();
        for n in 2..6 {
            nat.add(us, node(n));
        }
        assert_eq!((nat.firewall(), nat.is_decided()), (firewall::UNKNOWN, true));
    }
}
