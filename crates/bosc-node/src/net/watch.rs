//! Noticing that the network under us has changed, or that the machine slept.
//!
//! On Linux the kernel tells when an IPv4 address or route comes or goes (a netlink socket), so a node at rest is not woken to
//! look. Elsewhere, or where that socket cannot be had, it looks when something else has woken it, at most every
//! [`LOOK_EVERY`]. A look asks the routing table from which address we would reach a few places; nothing is sent for it.
//!
//! A sleep is the difference of two clocks: the one that timers run by stands still in it on Linux and macOS, the one on the wall
//! does not. Somebody who sets the clock looks like a sleep; that costs a round of pings.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// Where nothing else tells, how often it is looked at most.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Changes come in bursts: so long after the first it is looked.
const SETTLE: Duration = Duration::from_millis(200);
/// Where something changes all the time, as on a router, it wakes us and is looked at so often at most.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Changes that left our address alone count so often at most.
const AROUND_EVERY: Duration = Duration::from_secs(10);
/// The wall clock ran ahead by so much: the machine slept.
const SLEPT: Duration = Duration::from_secs(15);
/// Places from the outside whose way is looked at.
const PLACES: usize = 4;
/// An address for documentation: the way to it is the default route.
const ANYWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 9);

/// What a look says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing is different.
    Same,
    /// Something happened that did not change our address.
    Around,
    /// Our address is another one, or it is back.
    Changed,
}

/// What is known, without the system: our addresses toward a few places, and what they were when there was one at last.
#[derive(Debug, Default)]
pub(super) struct Ways {
    last: Vec<Option<Ipv4Addr>>,
    gone: bool,
    around: Option<Duration>,
}

impl Ways {
    /// Takes what the routing table says now. `told` is whether the system said that something happened.
    pub(super) fn look(&mut self, ways: Vec<Option<Ipv4Addr>>, told: bool, now: Duration) -> Seen {
        if ways.iter().all(Option::is_none) {
            // Nothing can be done before one is back.
            self.gone |= !self.last.is_empty();
            return Seen::Same;
        }
        let first = self.last.is_empty();
        let changed = self.gone || self.last != ways;
        self.last = ways;
        self.gone = false;
        if changed && !first {
            return Seen::Changed;
        }
        if told && self.around.is_none_or(|at| now.saturating_sub(at) >= AROUND_EVERY) {
            self.around = Some(now);
            return Seen::Around;
        }
        Seen::Same
    }
}

/// Two clocks, to see which of them stood still.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    last: Option<(Duration, Duration)>,
}

impl Clocks {
    /// Whether the machine slept since the last call. `wall` is the time since 1970.
    pub(super) fn slept(&mut self, wall: Duration, now: Duration) -> bool {
        let before = self.last.replace((wall, now));
        before.is_some_and(|(w, n)| wall.saturating_sub(w) > now.saturating_sub(n).saturating_add(SLEPT))
    }
}

/// Watches the system.
pub(super) struct Watch {
    places: Vec<SocketAddrV4>,
    ways: Ways,
    netlink: system::Netlink,
    /// When it is looked next, after a change.
    due: Option<Duration>,
    looked: Duration,
    told_at: Option<Duration>,
}

impl Watch {
    /// Watches the ways to `places` and to anywhere. Must run inside a tokio runtime.
    pub(super) fn new(places: &[SocketAddrV4], now: Duration) -> Self {
        let places = places.iter().copied().take(PLACES).chain([ANYWHERE]).collect();
        let mut watch = Self {
            places,
            ways: Ways::default(),
            netlink: system::Netlink::open(),
            due: None,
            looked: now,
            told_at: None,
        };
        let ways = watch.ask();
        watch.ways.look(ways, false, now);
        watch
    }

    /// Waits until the system says that something happened.
    pub(super) async fn happened(&self) {
        // What else happens until it is looked is looked at with it.
        if self.due.is_some() {
            std::future::pending::<()>().await;
        }
        self.netlink.readable().await;
    }

    /// Takes what the system said.
    pub(super) fn take(&mut self, now: Duration) {
        if self.netlink.take() && self.due.is_none() {
            let lately = self.told_at.map(|at| at + LOOK_AGAIN);
            self.due = Some(lately.map_or(now, |at| at.max(now)) + SETTLE);
        }
    }

    /// When [`Watch::look`] has something to do, if nothing else happens.
    pub(super) fn next(&self) -> Option<Duration> {
        self.due
    }

    /// Looks, if it is time; `slept` is a reason of its own.
    pub(super) fn look(&mut self, slept: bool, now: Duration) -> Seen {
        let told = self.due.is_some_and(|at| at <= now);
        let polled = !self.netlink.is_open() && now.saturating_sub(self.looked) >= LOOK_EVERY;
        if !told && !polled && !slept {
            return Seen::Same;
        }
        if told {
            (self.due, self.told_at) = (None, Some(now));
        }
        self.looked = now;
        let ways = self.ask();
        self.ways.look(ways, told, now)
    }

    fn ask(&self) -> Vec<Option<Ipv4Addr>> {
        self.places.iter().map(|place| way(*place)).collect()
    }
}

/// Our address toward a place. Connecting a UDP socket only asks the routing table.
fn way(place: SocketAddrV4) -> Option<Ipv4Addr> {
    let probe = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    probe.connect(place).ok()?;
    match probe.local_addr() {
        Ok(SocketAddr::V4(local)) if !local.ip().is_unspecified() => Some(*local.ip()),
        _ => None,
    }
}

/// The addresses that peers in the same network may use: the one of the default route, and loopback.
pub(super) fn local_addresses(host: Ipv4Addr, port: u16) -> Vec<SocketAddrV4> {
    if !host.is_unspecified() {
        return vec![SocketAddrV4::new(host, port)];
    }
    let local = way(ANYWHERE).into_iter().chain([Ipv4Addr::LOCALHOST]);
    local.map(|ip| SocketAddrV4::new(ip, port)).collect()
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
    use std::io;
    use tokio::net::UdpSocket;

    /// `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV4_ROUTE`. Not links: a radio that scans changes those all the time.
    const GROUPS: u32 = 0x10 | 0x40;
    /// Messages taken at once; their content is of no account.
    const TAKEN: usize = 64;

    /// A netlink socket is received from as a UDP socket is.
    pub(super) struct Netlink(Option<UdpSocket>);

    impl Netlink {
        pub(super) fn open() -> Self {
            let open = || -> io::Result<UdpSocket> {
                let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
                bind(&fd, &SocketAddrNetlink::new(0, GROUPS))?;
                UdpSocket::from_std(std::net::UdpSocket::from(fd))
            };
            match open() {
                Ok(socket) => Self(Some(socket)),
                Err(e) => {
                    tracing::debug!(error = %e, "the kernel does not tell of changes of the network");
                    Self(None)
                }
            }
        }

        pub(super) fn is_open(&self) -> bool {
            self.0.is_some()
        }

        pub(super) async fn readable(&self) {
            match &self.0 {
                // It stays ready until it was read to its end.
                Some(socket) => {
                    let _ = socket.readable().await;
                }
                None => std::future::pending().await,
            }
        }

        /// Whether anything was said.
        pub(super) fn take(&mut self) -> bool {
            let Some(socket) = &self.0 else { return false };
            let mut any = false;
            let mut buffer = [0; 4096];
            for _ in 0..TAKEN {
                match socket.try_recv(&mut buffer) {
                    Ok(_) => any = true,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                    // More was said than the socket holds.
                    Err(e) if e.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                        any = true
                    }
                    Err(e) => {
                        tracing::debug!(error = %e, "the kernel tells of no more changes of the network");
                        self.0 = None;
                        break;
                    }
                }
            }
            any
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) struct Netlink;

    impl Netlink {
        pub(super) fn open() -> Self {
            Self
        }

        pub(super) fn is_open(&self) -> bool {
            false
        }

        pub(super) async fn readable(&self) {
            std::future::pending().await
        }

        pub(super) fn take(&mut self) -> bool {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const A: Option<Ipv4Addr> = Some(Ipv4Addr::new(10, 0, 0, 1));
    const B: Option<Ipv4Addr> = Some(Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn an_address_that_goes_and_comes_is_a_change_and_one_that_only_goes_is_none_yet() {
        let mut ways = Ways::default();
        assert_eq!(ways.look(vec![A, A], false, at(0)), Seen::Same);
        assert_eq!(ways.look(vec![A, A], false, at(1)), Seen::Same);
        assert_eq!(ways.look(vec![None, None], true, at(2)), Seen::Same);
        assert_eq!(
            ways.look(vec![A, A], true, at(3)),
            Seen::Changed,
            "another network may use the same address"
        );
        assert_eq!(ways.look(vec![B, B], true, at(4)), Seen::Changed);
        assert_eq!(
            ways.look(vec![B, A], false, at(5)),
            Seen::Changed,
            "a second interface has the way to one of them now"
        );
    }

    #[test]
    fn what_leaves_our_address_alone_is_looked_at_now_and_then() {
        let mut ways = Ways::default();
        ways.look(vec![A], false, at(0));
        assert_eq!(ways.look(vec![A], true, at(1)), Seen::Around);
        assert_eq!(ways.look(vec![A], true, at(9_000)), Seen::Same);
        assert_eq!(ways.look(vec![A], true, at(11_000)), Seen::Around);
    }

    #[test]
    fn who_starts_without_a_network_is_told_when_there_is_one() {
        let mut ways = Ways::default();
        assert_eq!(ways.look(vec![None], false, at(0)), Seen::Same);
        assert_eq!(ways.look(vec![A], true, at(1)), Seen::Around);
    }

    #[test]
    fn a_sleep_is_what_the_wall_clock_alone_counted() {
        let mut clocks = Clocks::default();
        assert!(!clocks.slept(at(1_000_000), at(0)), "the first look");
        assert!(!clocks.slept(at(1_060_000), at(60_000)), "both went on");
        assert!(!clocks.slept(at(1_074_000), at(61_000)), "somebody set the clock a little");
        assert!(clocks.slept(at(1_100_000), at(62_000)));
        assert!(!clocks.slept(at(1_000_000), at(63_000)), "set back");
        assert!(!clocks.slept(at(1_001_000), at(64_000)));
    }
}
