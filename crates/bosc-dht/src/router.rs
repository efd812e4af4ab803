//! Handshakes and holepunch rounds on their way through us (`hyperdht/lib/router.js`).
//!
//! A key pair that announced itself here is reached through us: its forward has its record and the address
//! it announced from. For such targets messages are passed on, one datagram for one datagram. Targets that
//! [`crate::Dht::serve`] was told about are our own: their messages go to the layer above. Any node takes
//! part in this, persistent or not.
//!
//! ```text
//! client --FROM_CLIENT--> relay --FROM_RELAY--> server          server is known here
//! client --FROM_CLIENT--> relay --FROM_RELAY--> relay 2 --FROM_SECOND_RELAY--> server
//! server --FROM_SERVER--> relay --REPLY--> client               under the client's transaction id
//! ```

use crate::addr::NodeId;
use crate::config::Limits;
use crate::messages::{Handshake, Holepunch, mode};
use crate::records::cache::Cache;
use bytes::Bytes;
use std::net::SocketAddrV4;
use std::time::Duration;

/// Where messages for a target go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Where the peer announced itself from; `None`: it is us.
    pub relay: Option<SocketAddrV4>,
    /// Its record, as FIND_PEER gives it.
    pub record: Bytes,
}

/// What to do with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// It is for us: the layer above answers.
    Up,
    /// Send the request on, under its transaction id, with this value.
    Relay(SocketAddrV4, Vec<u8>),
    /// Send a reply to this address, under its transaction id, with this value.
    Reply(SocketAddrV4, Vec<u8>),
    /// We do not know the target: name closer nodes.
    Closer,
    /// Nothing.
    Drop,
}

#[derive(Debug)]
pub(crate) struct Router {
    forwards: Cache<NodeId, Forward>,
}

impl Router {
    pub(crate) fn new(limits: &Limits, now: Duration) -> Self {
        let forwards = Cache::new(limits.max_records, limits.record_age, now);
        Self { forwards: forwards.bounded(usize::MAX, limits.max_per_source) }
    }

    pub(crate) fn get(&mut self, target: &NodeId, now: Duration) -> Option<&Forward> {
        self.forwards.get(target, now)
    }

    /// Notes that `target` can be reached at `relay`. False when its host has its share already.
    pub(crate) fn forward(
        &mut self,
        target: NodeId,
        relay: SocketAddrV4,
        record: Bytes,
        now: Duration,
    ) -> bool {
        let forward = Forward { relay: Some(relay), record };
        self.forwards.set_from(target, forward, 0, Some(*relay.ip()), now)
    }

    /// Drops what another peer announced; our own targets stay.
    pub(crate) fn drop_forward(&mut self, target: &NodeId) {
        self.forwards.remove_passing(target);
    }

    pub(crate) fn serve(&mut self, target: NodeId, record: Bytes) {
        self.forwards.retain(target, Forward { relay: None, record });
    }

    pub(crate) fn unserve(&mut self, target: &NodeId) {
        self.forwards.remove(target);
    }

    pub(crate) fn handshake(
        &mut self,
        target: Option<&NodeId>,
        from: SocketAddrV4,
        value: Option<&[u8]>,
        now: Duration,
    ) -> Route {
        let Some(hs) = value.and_then(|v| Handshake::decode(v).ok()) else { return Route::Drop };
        let forward = target.and_then(|t| self.get(t, now));
        let served = forward.is_some_and(|f| f.relay.is_none());
        let relay = forward.and_then(|f| f.relay);
        if hs.noise.is_empty() {
            return Route::Drop;
        }
        if served {
            return match hs.mode {
                mode::FROM_CLIENT | mode::FROM_RELAY => Route::Up,
                mode::FROM_SECOND_RELAY if hs.relay_address.is_some() => Route::Up,
                _ => Route::Drop,
            };
        }
        let next = |mode, peer_address, relay_address| {
            Handshake { mode, noise: hs.noise.clone(), peer_address, relay_address }.encode()
        };
        match hs.mode {
            mode::FROM_CLIENT => match hs.relay_address.or(relay) {
                Some(to) => Route::Relay(to, next(mode::FROM_RELAY, Some(from), None)),
                None => Route::Closer,
            },
            mode::FROM_RELAY => match relay {
                Some(to) => Route::Relay(to, next(mode::FROM_SECOND_RELAY, hs.peer_address, Some(from))),
                None => Route::Drop,
            },
            mode::FROM_SERVER => match hs.peer_address {
                Some(to) => Route::Reply(to, next(mode::REPLY, Some(from), None)),
                None => Route::Drop,
            },
            _ => Route::Drop,
        }
    }

    pub(crate) fn holepunch(
        &mut self,
        target: Option<&NodeId>,
        from: SocketAddrV4,
        value: Option<&[u8]>,
        now: Duration,
    ) -> Route {
        let Some(hp) = value.and_then(|v| Holepunch::decode(v).ok()) else { return Route::Drop };
        let forward = target.and_then(|t| self.get(t, now));
        let served = forward.is_some_and(|f| f.relay.is_none());
        let relay = forward.and_then(|f| f.relay);
        let next = |mode, peer_address| {
            Holepunch { mode, id: hp.id, payload: hp.payload.clone(), peer_address }.encode()
        };
        match hp.mode {
            mode::FROM_CLIENT => match hp.peer_address.or(relay) {
                Some(to) => Route::Relay(to, next(mode::FROM_RELAY, Some(from))),
                None => Route::Drop,
            },
            mode::FROM_RELAY if served && hp.peer_address.is_some() => Route::Up,
            mode::FROM_SERVER => match hp.peer_address {
                Some(to) => Route::Reply(to, next(mode::REPLY, Some(from))),
                None => Route::Drop,
            },
            _ => Route::Drop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn at(n: u8) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n), 1)
    }

    fn hs(mode: u64, peer: Option<u8>, relay: Option<u8>) -> Vec<u8> {
        let noise = Bytes::from_static(b"noise");
        Handshake { mode, noise, peer_address: peer.map(at), relay_address: relay.map(at) }.encode()
    }

    #[test]
    fn a_handshake_goes_through_two_relays_and_back() {
        let limits = Limits::default();
        let mut r = Router::new(&limits, Duration::ZERO);
        let target = [1; 32];
        let go =
            |r: &mut Router, from, v: Vec<u8>| r.handshake(Some(&target), at(from), Some(&v), Duration::ZERO);
        assert_eq!(go(&mut r, 1, hs(mode::FROM_CLIENT, None, None)), Route::Closer);
        assert_eq!(
            go(&mut r, 1, hs(mode::FROM_CLIENT, None, Some(3))),
            Route::Relay(at(3), hs(mode::FROM_RELAY, Some(1), None))
        );
        r.forward(target, at(9), Bytes::new(), Duration::ZERO);
        assert_eq!(
            go(&mut r, 1, hs(mode::FROM_CLIENT, None, None)),
            Route::Relay(at(9), hs(mode::FROM_RELAY, Some(1), None))
        );
        assert_eq!(
            go(&mut r, 2, hs(mode::FROM_RELAY, Some(1), None)),
            Route::Relay(at(9), hs(mode::FROM_SECOND_RELAY, Some(1), Some(2)))
        );
        assert_eq!(
            go(&mut r, 9, hs(mode::FROM_SERVER, Some(1), None)),
            Route::Reply(at(1), hs(mode::REPLY, Some(9), None))
        );
        assert_eq!(go(&mut r, 9, hs(mode::REPLY, Some(1), None)), Route::Drop);
        assert_eq!(go(&mut r, 9, vec![]), Route::Drop);
        r.serve(target, Bytes::new());
        assert!(r.forward(target, at(8), Bytes::new(), Duration::ZERO), "answered, but without effect");
        for m in [hs(mode::FROM_CLIENT, None, None), hs(mode::FROM_SECOND_RELAY, Some(1), Some(2))] {
            assert_eq!(go(&mut r, 1, m), Route::Up);
        }
        r.drop_forward(&target);
        assert_eq!(go(&mut r, 1, hs(mode::FROM_RELAY, Some(2), None)), Route::Up);
        r.unserve(&target);
        assert_eq!(go(&mut r, 1, hs(mode::FROM_CLIENT, None, None)), Route::Closer);
    }
}
