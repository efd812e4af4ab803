//! Our own address as others see it, by majority of samples (npm `nat-sampler`).
//!
//! Each sample is what one node said our address is. Of the last 16 samples, the address with enough hits
//! wins; if only the host has, the port is unknown (a NAT that gives every remote another port).

use std::net::{Ipv4Addr, SocketAddrV4};

const RING: usize = 32;

#[derive(Debug, Clone, Copy)]
struct Sample {
    host: Ipv4Addr,
    port: u16,
    hits: i32,
}

/// Samples of our own address. Takes constant memory.
#[derive(Debug, Clone, Default)]
pub struct NatSampler {
    host: Option<Ipv4Addr>,
    port: u16,
    size: i32,
    threshold: i32,
    top: usize,
    best: Option<usize>,
    best_host: Option<usize>,
    ring: Vec<usize>,
    arena: Vec<Sample>,
}

impl NatSampler {
    /// No samples.
    pub fn new() -> Self {
        Self::default()
    }

    /// The host most samples agree on.
    pub fn host(&self) -> Option<Ipv4Addr> {
        self.host
    }

    /// The port most samples agree on; 0 when they do not.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, when host and port are both known.
    pub fn address(&self) -> Option<SocketAddrV4> {
        self.host.filter(|_| self.port != 0).map(|h| SocketAddrV4::new(h, self.port))
    }

    /// How many samples count, at most 16.
    pub fn len(&self) -> usize {
        self.ring.len() / 2
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Takes a sample.
    pub fn add(&mut self, addr: SocketAddrV4) {
        let a = self.bump(*addr.ip(), addr.port(), 2);
        let b = self.bump(*addr.ip(), 0, 1);
        if self.ring.len() < RING {
            self.size += 1;
            self.threshold = self.size
                - match self.size {
                    ..4 => 0,
                    4..8 => 1,
                    8..12 => 2,
                    _ => 3,
                };
            self.ring.push(a);
            self.ring.push(b);
            self.top += 2;
        } else {
            if self.top >= RING {
                self.top = 0;
            }
            for new in [a, b] {
                if let Some(slot) = self.ring.get_mut(self.top) {
                    let old = std::mem::replace(slot, new);
                    if let Some(s) = self.arena.get_mut(old) {
                        s.hits -= 1;
                    }
                }
                self.top += 1;
            }
        }
        if self.hits(self.best) < self.hits(Some(a)) {
            self.best = Some(a);
        }
        if self.hits(self.best_host) < self.hits(Some(b)) {
            self.best_host = Some(b);
        }
        let winner =
            [self.best, self.best_host].into_iter().find(|s| self.hits(*s) >= self.threshold).flatten();
        match winner.and_then(|i| self.arena.get(i)) {
            Some(s) => (self.host, self.port) = (Some(s.host), s.port),
            None => (self.host, self.port) = (None, 0),
        }
    }

    fn hits(&self, at: Option<usize>) -> i32 {
        at.and_then(|i| self.arena.get(i)).map_or(-1, |s| s.hits)
    }

    /// Counts a hit for one of the last four samples of the same kind (`back` 2: address, 1: host), or
    /// starts a new sample.
    fn bump(&mut self, host: Ipv4Addr, port: u16, back: usize) -> usize {
        for i in 0..4usize {
            let j = self.top.wrapping_sub(back).wrapping_sub(2 * i) & (RING - 1);
            let Some(at) = self.ring.get(j).copied() else { break };
            if let Some(s) = self.arena.get_mut(at)
                && s.host == host
                && s.port == port
            {
                s.hits += 1;
                return at;
            }
        }
        let fresh = Sample { host, port, hits: 1 };
        let (best, best_host) = (self.best, self.best_host);
        let free = |(i, s): &(usize, &Sample)| s.hits <= 0 && Some(*i) != best && Some(*i) != best_host;
        match self.arena.iter().enumerate().find(free).map(|(i, _)| i) {
            Some(i) => {
                if let Some(s) = self.arena.get_mut(i) {
                    *s = fresh;
                }
                i
            }
            None => {
                self.arena.push(fresh);
                self.arena.len() - 1
            }
        }
    }
}
