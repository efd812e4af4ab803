//! What the net machine keeps of a connection and of a query.

use super::life::Check;
use super::share::Earned;
use crate::credit::Credit;
use crate::swarm::{ConnId, Topic};
use bosc_format::crypto::PublicKey;
use bosc_udx::SocketTag;
use bosc_wire::mux::Frame;
use bosc_wire::noise::HandshakeResult;
use bosc_wire::secret_stream::SecretStream;
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// A frame that began to arrive has to grow by [`STUCK_BYTES`] in this time. Its length is not authenticated: when a bit
/// of it flipped on the way, a frame of 16 MiB is waited for, and whatever else the peer says is taken for its content.
const STUCK_AFTER: Duration = Duration::from_secs(30);
const STUCK_BYTES: usize = 4096;

/// One connection, open or about to be.
pub(super) struct Connection {
    /// The swarm's name for it; accepted connections get theirs when they are open.
    pub(super) conn: Option<ConnId>,
    /// Whether the core thread knows it.
    pub(super) conn_open: bool,
    pub(super) remote: PublicKey,
    /// Where its handshake said it is.
    pub(super) host: Ipv4Addr,
    /// A packet of its stream came: it received our answer. Only then is its address more than a claim.
    pub(super) proved: bool,
    /// Bytes of frames since the swarm heard last that it is busy.
    pub(super) moved: usize,
    /// Bytes of frames that are being sealed for the stream: they count as waiting.
    pub(super) held: usize,
    /// Bytes given to its stream.
    pub(super) written: u64,
    pub(super) earned: Earned,
    pub(super) initiator: bool,
    pub(super) hash: [u8; 64],
    pub(super) secret: SecretStream,
    pub(super) queue: VecDeque<Frame>,
    /// Encrypted, and waiting for its turn: see `meter`.
    pub(super) sealed: Bytes,
    pub(super) credit: Arc<Credit>,
    pub(super) open_by: Duration,
    /// Whether the other side said anything, keep-alives aside.
    pub(super) heard: bool,
    /// When the core thread last heard that bytes arrive.
    pub(super) told_active: Duration,
    /// Since when a frame is incomplete without having grown much, and how much of it was here then.
    pub(super) partial: Option<(Duration, usize)>,
    /// The network changed, and it has not answered since.
    pub(super) check: Option<Check>,
    /// It was made through a blind relay.
    pub(super) via: Option<Via>,
}

/// The relay of a connection; see `relay`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Via {
    /// The peer's own stream id: packets on the direct way carry it.
    pub(super) peer_id: u32,
    /// The direct way was found.
    pub(super) moved: bool,
    /// Moved: when the relay is let go. Not moved: the relay is lost, and when the connection ends with it.
    pub(super) until: Option<Duration>,
}

impl Connection {
    /// Notes how a frame grows. `reads` is whether we take what arrives.
    pub(super) fn note_partial(&mut self, reads: bool, now: Duration) {
        let here = self.secret.buffered();
        self.partial = match self.partial {
            _ if here == 0 || !reads => None,
            Some((since, before)) if (before..before.saturating_add(STUCK_BYTES)).contains(&here) => {
                Some((since, before))
            }
            _ => Some((now, here)),
        };
    }

    /// When the frame that arrives counts as stuck.
    pub(super) fn stuck_at(&self) -> Option<Duration> {
        self.partial.map(|(since, _)| since.saturating_add(STUCK_AFTER))
    }

    /// Whether its stream has all that was made for it.
    pub(super) fn is_written(&self) -> bool {
        self.queue.is_empty() && self.sealed.is_empty() && self.secret.output_len() == 0
    }

    /// Bytes of frames that wait for it.
    pub(super) fn waiting(&self) -> usize {
        self.credit.outbound()
    }
}

/// What a finished handshake gives.
pub(super) struct Established {
    pub(super) conn: Option<ConnId>,
    pub(super) initiator: bool,
    pub(super) handshake: HandshakeResult,
    pub(super) local_id: u32,
    pub(super) remote_id: u32,
    pub(super) socket: SocketTag,
    pub(super) to: SocketAddr,
    pub(super) via: Option<Via>,
    /// Packets of its stream came already.
    pub(super) proved: bool,
}

/// What a running query is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Query {
    /// Peers of a topic.
    Discover(Topic),
    /// Taking an announcement back.
    Unannounce,
}
