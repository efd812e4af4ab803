//! A port of the router that leads to ours: asked for by PCP (RFC 6887), NAT-PMP (RFC 6886) or UPnP IGD (1 and 2), whichever the
//! router answers first, in that order.
//!
//! ```text
//! idle ── the node is behind a NAT ──▶ looking ── got one ──▶ mapped ── half of the lease: asked again ──▶ mapped, or looking
//!   ▲                                    ▲    └─ nothing ──▶ waits for AGAIN ──▶ looking   │
//!   └────────── the network changed ─────┴─────────────────────────────────────────────────┴── the node ends: taken back, within END
//! ```
//!
//! The node says when it is behind a NAT: it has a public address that is not its own, and is not reached there. On loopback, in a private
//! network and on a machine with a public address nobody is asked anything.
//!
//! It runs in a thread of its own with blocking sockets, which sleeps except for the moments above. What a router says is a claim:
//! whether peers reach us there is found out by DHT nodes (`bosc_dht`'s `dht/mapping`), and nobody is told of it before.
//!
//! # Invariants
//!
//! * Only the router is spoken to: PCP and NAT-PMP go to the default gateway and take answers from nobody else; a description is
//!   read only from the address that answered the search, in our network, and commands go to the address and port it came from.
//!   No redirect is followed.
//! * What a router sends is bounded in bytes ([`http::MAX_BODY`], [`http::MAX_HEAD`]) and in time ([`http::TIME`] a request), whatever
//!   it claims and however slowly it comes; a look as a whole by [`LOOK`].
//! * A mapping is for UDP and for our server socket's port, nothing else.
//!
//! # Files
//!
//! - Here: when is looked, when a lease is renewed and given back, how long all that may take.
//! - `kinds`: what a mapping is, how it was got. `pcp`: messages of PCP and NAT-PMP, which answers count, how long each is waited
//!   for. `igd`: UPnP's search, description and commands, which devices are asked, what its error numbers lead to. `http`: one
//!   request to a router, bounded in bytes and time. `gateway`: where the router is.

mod gateway;
mod http;
mod igd;
mod kinds;
mod pcp;

pub use kinds::MappedBy;
use kinds::{Mapping, Undo};
use std::net::SocketAddrV4;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a lease we ask for.
const LEASE: Duration = Duration::from_secs(3600);
/// A lease is renewed this soon at the earliest, whatever the router gave.
const RENEW_LEAST: Duration = Duration::from_secs(30);
/// When nothing was got it is looked again after so long.
const AGAIN: Duration = Duration::from_secs(30 * 60);
/// A look ends after so long, whatever routers do.
const LOOK: Duration = Duration::from_secs(15);
/// Taking a mapping back may take so long at the end of a node.
const END: Duration = Duration::from_secs(1);

/// Told to the node: a mapping, or that there is none.
pub(crate) type Tell = Box<dyn Fn(Option<(SocketAddrV4, MappedBy)>) + Send>;

enum Ask {
    Look,
    NetworkChanged,
    End,
}

/// The thread. It ends when this is dropped; [`Mapper::end`] takes the mapping back first.
pub(crate) struct Mapper {
    ask: Sender<Ask>,
    thread: Option<JoinHandle<()>>,
}

impl Mapper {
    /// Looks for a router that maps a port to UDP port `port` of this machine, once it is told to.
    pub(crate) fn start(port: u16, tell: Tell) -> std::io::Result<Self> {
        let (ask, asked) = channel();
        let thread =
            std::thread::Builder::new().name("bosc-map".into()).spawn(move || run(port, &asked, &tell))?;
        Ok(Self { ask, thread: Some(thread) })
    }

    /// For who notices changes of the network.
    pub(crate) fn notices(&self) -> Notices {
        Notices(self.ask.clone())
    }

    /// Takes the mapping back. A look that is under way is not waited for: its lease ends by itself.
    pub(crate) fn end(mut self) {
        let _ = self.ask.send(Ask::End);
        let by = Instant::now() + END;
        while self.thread.as_ref().is_some_and(|t| !t.is_finished()) && Instant::now() < by {
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}

/// Tells a mapper.
pub(crate) struct Notices(Sender<Ask>);

impl Notices {
    /// We are behind a NAT.
    pub(crate) fn look(&self) {
        let _ = self.0.send(Ask::Look);
    }

    /// Our address or the network is another one.
    pub(crate) fn network_changed(&self) {
        let _ = self.0.send(Ask::NetworkChanged);
    }
}

fn run(port: u16, asked: &Receiver<Ask>, tell: &Tell) {
    // The same for all looks, so that a mapping that was left behind is found again.
    let wanted = wanted_port(port);
    let mut have: Option<Mapping> = None;
    // When it is looked next; none before somebody says so.
    let mut due: Option<Instant> = None;
    loop {
        let ask = match due {
            None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => asked.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        match ask {
            Ok(Ask::Look) if have.is_some() => continue,
            Ok(Ask::Look) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Ask::NetworkChanged) => {
                // The mapping belongs to the network that is gone.
                (have, due) = (None, None);
                tell(None);
                continue;
            }
            Ok(Ask::End) | Err(RecvTimeoutError::Disconnected) => {
                if let Some(m) = have {
                    take_back(&m, port, Instant::now() + END);
                }
                return;
            }
        }
        let by = Instant::now() + LOOK;
        have = have.and_then(|m| renew(&m, port, by)).or_else(|| look(port, wanted, by));
        tell(have.as_ref().map(|m| (m.external, m.by)));
        let wait = have.as_ref().map_or(AGAIN, |m| (m.lease / 2).clamp(RENEW_LEAST, LEASE));
        due = Some(Instant::now() + wait);
    }
}

/// The port outside to ask for: above those that are given to programs by default, and not ours. Where our own NAT keeps our port anyway,
/// DHT nodes could not tell a mapping of it from that.
fn wanted_port(port: u16) -> u16 {
    let mut random = [0; 2];
    kinds::random(&mut random);
    let wanted = 40_000 + u16::from_le_bytes(random) % 20_000;
    if wanted == port { 39_999 } else { wanted }
}

/// Asks every kind of router.
fn look(port: u16, wanted: u16, by: Instant) -> Option<Mapping> {
    let gateway = gateway::find()?;
    let pcp = pcp::map(gateway.router, gateway.local, port, wanted, None, LEASE, by);
    let found = pcp.or_else(|| pcp::map_nat_pmp(gateway.router, port, wanted, LEASE, by));
    let found = found.or_else(|| igd::map(&gateway, port, wanted, LEASE, by))?;
    let ip = *found.external.ip();
    // Behind another NAT: peers cannot reach that address, so it is of no use, and the mapping is given back.
    if !bosc_dht::is_public(ip) || found.external.port() == 0 {
        tracing::debug!(%ip, "the router is itself behind a NAT");
        take_back(&found, port, by);
        return None;
    }
    tracing::debug!(external = %found.external, by = ?found.by, "the router maps a port to ours");
    Some(found)
}

/// Asks for the same again. None when it is not given, or not the same.
fn renew(m: &Mapping, port: u16, by: Instant) -> Option<Mapping> {
    let wanted = m.external.port();
    let again = match &m.undo {
        Undo::Pcp { gateway, local, nonce } => {
            pcp::map(*gateway, *local, port, wanted, Some(*nonce), LEASE, by)
        }
        Undo::NatPmp { gateway } => pcp::map_nat_pmp(*gateway, port, wanted, LEASE, by),
        Undo::Upnp(service) => service.map(port, wanted, LEASE, by),
    };
    again.filter(|a| a.external == m.external)
}

fn take_back(m: &Mapping, port: u16, by: Instant) {
    match &m.undo {
        Undo::Pcp { gateway, local, nonce } => {
            pcp::map(*gateway, *local, port, 0, Some(*nonce), Duration::ZERO, by);
        }
        Undo::NatPmp { gateway } => {
            pcp::map_nat_pmp(*gateway, port, 0, Duration::ZERO, by);
        }
        Undo::Upnp(service) => service.unmap(m.external.port(), by),
    }
}
