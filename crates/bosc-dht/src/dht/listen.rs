//! Keeping key pairs announced (`hyperdht/lib/announcer.js`).
//!
//! A listening key pair is announced at the three nodes closest to the hash of its public key. They are its
//! relays: pinged so that NATs on the way stay open (every three seconds at first, as hyperdht does, every twenty once
//! it has settled: less than any NAT forgets a path in) and announced to again every five minutes, or at once when too
//! few of them reply. Relays that are no longer among the closest are told to
//! forget it, and on [`Dht::unlisten`] all of them are.
//!
//! ```text
//!      +--------------------------------------------------------------+
//!      v                                                              |
//! Walking -> Announcing -> Pinging <-> Sleeping --(5 minutes, or a relay lost)
//!      |          |            |          |
//!      +----------+-- unlisten +----------+--> Leaving -> (gone)
//! ```
//!
//! While the network is offline it stays in Sleeping. While nobody takes the announce (no network from the start) it is
//! tried again ever later, up to every eight minutes; [`Dht::renew_listen`] ends that.

use super::Dht;
use super::owner::Owner;
use crate::event::{Event, QueryDone, Relay, Reply};
use crate::messages::{self, PeerRecord};
use crate::query::{Kind, Query, QueryOptions, QueryOwner};
use crate::rpc::command;
use crate::rpc::health::NetworkState;
use crate::rpc::io::Outgoing;
use crate::{Busy, ListenId, QueryId};
use bosc_format::crypto::{KeyPair, hash};
use bytes::Bytes;
use std::net::SocketAddrV4;
use std::time::Duration;

/// How many nodes relay for a key pair.
const RELAYS: usize = 3;
/// Time between two rounds of pings.
const ROUND: Duration = Duration::from_millis(3000);
/// Rounds after which the time between two is [`REST`].
const SETTLED: u32 = 5;
/// Time between two rounds of pings once the announce has settled.
const REST: Duration = Duration::from_secs(20);
/// Rounds until it is announced again: five minutes.
const ROUNDS: u32 = 19;
/// Time until it is announced again when nobody took the announce; twice as long the next time, and so on.
const LONELY: Duration = Duration::from_secs(15);
/// How often it doubles.
const LONELY_DOUBLED: u32 = 5;

#[derive(Debug)]
enum Phase {
    Walking(QueryId),
    Announcing { pending: usize, relays: Vec<Relay> },
    Pinging { pending: usize, total: usize, active: usize },
    Sleeping(Duration),
    Leaving { pending: usize },
}

/// A key pair that is announced.
#[derive(Debug)]
pub(super) struct Listener {
    key_pair: KeyPair,
    target: [u8; 32],
    phase: Phase,
    /// Where it was announced: two rounds ago, last round, this round.
    announced: [Vec<SocketAddrV4>; 3],
    relays: Vec<Relay>,
    relay_addresses: Vec<SocketAddrV4>,
    closest: Vec<SocketAddrV4>,
    rounds: u32,
    /// Announces in a row that nobody took.
    lonely: u32,
    renew: bool,
    /// The tick of the last announce because a NAT gave us another address.
    moved: Option<u64>,
    leaving: bool,
}

impl Listener {
    /// Those who relay for it, and our own address if it is open.
    pub(super) fn relay_addresses(&self) -> &[SocketAddrV4] {
        &self.relay_addresses
    }

    /// Between two rounds of pings.
    pub(super) fn is_asleep(&self) -> bool {
        matches!(self.phase, Phase::Sleeping(_))
    }

    /// Whether a relay sees us elsewhere than when we announced: what it would send us does not arrive any more. Then
    /// it is announced again, unless that happened `least` ticks ago or less.
    pub(super) fn saw_us_elsewhere(&mut self, reply: &Reply, tick: u64, least: u64) -> bool {
        let Some(relay) = self.relays.iter().find(|r| r.relay_address == reply.from) else { return false };
        let lately = self.moved.is_some_and(|at| tick.saturating_sub(at) < least);
        if relay.peer_address == reply.to || lately || self.renew {
            return false;
        }
        (self.renew, self.moved) = (true, Some(tick));
        true
    }

    fn current(&self) -> &[SocketAddrV4] {
        let [_, _, current] = &self.announced;
        current
    }
}

impl Dht {
    /// Makes a key pair reachable through the network: serves its handshakes and keeps it announced.
    /// Reports with [`Event::Announced`].
    pub fn listen(&mut self, key_pair: KeyPair, now: Duration) -> Result<ListenId, Busy> {
        if self.listeners.len() >= self.limits.max_listens {
            return Err(Busy);
        }
        let target = hash(&[&key_pair.public()]);
        let id = ListenId(self.next_id());
        self.serve(&key_pair.public());
        let listener = Listener {
            key_pair,
            target,
            phase: Phase::Sleeping(now),
            announced: Default::default(),
            relays: Vec::new(),
            relay_addresses: Vec::new(),
            closest: Vec::new(),
            rounds: 0,
            lonely: 0,
            renew: false,
            moved: None,
            leaving: false,
        };
        self.listeners.insert(id, listener);
        self.announce_again(id, now);
        Ok(id)
    }

    /// Takes a key pair off the network. Ends with [`Event::Unlistened`].
    pub fn unlisten(&mut self, listen: ListenId, now: Duration) {
        let Some(l) = self.listeners.get_mut(&listen) else { return };
        if std::mem::replace(&mut l.leaving, true) {
            return;
        }
        let public_key = l.key_pair.public();
        let target = l.target;
        let query = if let Phase::Walking(query) = l.phase { Some(query) } else { None };
        let announcing = matches!(l.phase, Phase::Announcing { .. });
        if !self.listeners.iter().any(|(id, l)| *id != listen && l.target == target && !l.leaving) {
            self.unserve(&public_key);
        }
        match query {
            Some(query) => self.cancel_query(query, now),
            None if announcing => {}
            None => self.leave(listen, now),
        }
    }

    /// Takes handshakes for this public key: they come as [`Event::Request`]. Without being announced it is
    /// found only by those who know our address.
    pub fn serve(&mut self, public_key: &[u8; 32]) {
        let record = PeerRecord { public_key: *public_key, relay_addresses: Vec::new() };
        self.router.serve(hash(&[public_key]), record.encode().into());
    }

    /// The reverse of [`Dht::serve`].
    pub fn unserve(&mut self, public_key: &[u8; 32]) {
        self.router.unserve(&hash(&[public_key]));
    }

    /// Announces a key pair again soon, as after a change of network.
    pub fn renew_listen(&mut self, listen: ListenId) {
        if let Some(l) = self.listeners.get_mut(&listen) {
            (l.renew, l.lonely) = (true, 0);
            self.wake_soon(listen, self.last_tick);
        }
    }

    pub(super) fn renew_listens(&mut self, now: Duration) {
        for id in self.listeners.keys().copied().collect::<Vec<_>>() {
            self.renew_listen(id);
            self.wake_soon(id, now);
        }
    }

    /// Announces a key pair again now, or as soon as what is under way is over.
    pub(super) fn renew_now(&mut self, id: ListenId, now: Duration) {
        let Some(l) = self.listeners.get_mut(&id) else { return };
        (l.renew, l.lonely) = (true, 0);
        if l.is_asleep() && !l.leaving {
            self.announce_again(id, now);
        }
    }

    /// Ends a long sleep with the next short round.
    fn wake_soon(&mut self, id: ListenId, now: Duration) {
        let Some(l) = self.listeners.get_mut(&id) else { return };
        let soon = now + ROUND;
        if matches!(l.phase, Phase::Sleeping(until) if until > soon) {
            l.phase = Phase::Sleeping(soon);
            self.wakes.insert((soon, id));
        }
    }

    /// The relays of a listening key pair.
    pub fn relays(&self, listen: ListenId) -> &[Relay] {
        self.listeners.get(&listen).map_or(&[], |l| &l.relays)
    }

    /// Where others can ask for a listening key pair: our own address first if it is open, then the relays.
    /// To be announced on topics.
    pub fn relay_addresses(&self, listen: ListenId) -> &[SocketAddrV4] {
        self.listeners.get(&listen).map_or(&[], |l| &l.relay_addresses)
    }

    /// Whether `addr` relays for a listening key pair, or did lately.
    pub fn is_relay(&self, listen: ListenId, addr: SocketAddrV4) -> bool {
        self.listeners.get(&listen).is_some_and(|l| l.announced.iter().any(|round| round.contains(&addr)))
    }

    fn announce_again(&mut self, id: ListenId, now: Duration) {
        let Some(l) = self.listeners.get_mut(&id) else { return };
        let [old, last, current] = &mut l.announced;
        *old = std::mem::take(last);
        *last = std::mem::take(current);
        l.renew = false;
        l.rounds = 0;
        let query = Query::new(QueryOwner::Listen(id), l.target, Kind::FindPeer, false, command::FIND_PEER);
        let options = QueryOptions { nodes: l.closest.clone(), ..QueryOptions::default() };
        // The query may end while it is started, so its id must be known before.
        let query_id = QueryId(self.next_id());
        if let Some(l) = self.listeners.get_mut(&id) {
            l.phase = Phase::Walking(query_id);
        }
        if self.start_query_as(query_id, query, &options, now).is_err() {
            self.sleep(id, now);
        }
    }

    pub(super) fn listen_walked(&mut self, id: ListenId, done: &QueryDone, now: Duration) {
        let own = self.remote_address();
        let Some(l) = self.listeners.get_mut(&id) else { return };
        if l.leaving {
            self.leave(id, now);
            return;
        }
        l.closest = done.closest.iter().map(|c| c.addr).collect();
        l.relay_addresses = own.into_iter().collect();
        let mut pending = 0;
        for node in done.closest.iter().take(RELAYS) {
            let Some(token) = node.token else { continue };
            let ann = messages::sign_announce(&l.key_pair, &l.target, &token, &node.id, &[], None, 0);
            let out = Outgoing {
                token: Some(token),
                target: Some(l.target),
                value: Some(Bytes::from(ann.encode())),
                ..Outgoing::new(node.addr, command::ANNOUNCE, Owner::Announce(id))
            };
            pending += usize::from(self.io.request(out, &mut self.rng, now).is_ok());
        }
        l.phase = Phase::Announcing { pending, relays: Vec::new() };
        if pending == 0 {
            self.announced(id, now);
        }
    }

    pub(super) fn announce_over(&mut self, id: ListenId, reply: Option<&Reply>, now: Duration) {
        let Some(l) = self.listeners.get_mut(&id) else { return };
        let Phase::Announcing { pending, relays } = &mut l.phase else { return };
        *pending = pending.saturating_sub(1);
        let over = *pending == 0;
        if let Some(reply) = reply.filter(|r| r.error == 0) {
            relays.push(Relay { relay_address: reply.from, peer_address: reply.to });
            if l.relay_addresses.len() < RELAYS {
                l.relay_addresses.push(reply.from);
            }
            let [_, _, current] = &mut l.announced;
            current.push(reply.from);
        }
        if over {
            self.announced(id, now);
        }
    }

    fn announced(&mut self, id: ListenId, now: Duration) {
        let Some(l) = self.listeners.get_mut(&id) else { return };
        if l.leaving {
            self.leave(id, now);
            return;
        }
        if let Phase::Announcing { relays, .. } = &mut l.phase {
            l.relays = std::mem::take(relays);
            l.lonely = if l.relays.is_empty() { l.lonely.saturating_add(1) } else { 0 };
        }
        let [_, last, current] = &l.announced;
        let gone: Vec<SocketAddrV4> = last.iter().filter(|a| !current.contains(a)).copied().collect();
        let (relays, relay_addresses) = (l.relays.clone(), l.relay_addresses.clone());
        self.events.push_back(Event::Announced { listen: id, relays, relay_addresses });
        for to in gone {
            self.find_record(id, to, now);
        }
        self.keep_open(id, now);
    }

    /// A round of pings.
    pub(super) fn keep_open(&mut self, id: ListenId, now: Duration) {
        let Some(l) = self.listeners.get_mut(&id) else { return };
        let nodes = l.current().to_vec();
        let total = nodes.len();
        l.phase = Phase::Pinging { pending: total, total, active: 0 };
        if total == 0 {
            self.sleep(id, now);
            return;
        }
        for to in nodes {
            if !self.send_ping(to, Owner::KeepOpen(id), now) {
                self.keep_open_over(id, None, now);
            }
        }
    }

    pub(super) fn keep_open_over(&mut self, id: ListenId, reply: Option<&Reply>, now: Duration) {
        if let Some(reply) = reply {
            self.relay_saw_us(id, reply);
        }
        let Some(l) = self.listeners.get_mut(&id) else { return };
        let Phase::Pinging { pending, total, active } = &mut l.phase else { return };
        *active += usize::from(reply.is_some());
        *pending = pending.saturating_sub(1);
        if *pending > 0 {
            return;
        }
        l.renew |= *active < (*total).min(RELAYS);
        self.sleep(id, now);
    }

    fn sleep(&mut self, id: ListenId, now: Duration) {
        let Some(l) = self.listeners.get_mut(&id) else { return };
        // One that lost a relay does not wait, unless there is no network.
        let hurry = l.renew && self.network != NetworkState::Offline && l.rounds > 0;
        let pause = match l.rounds {
            _ if l.current().is_empty() => {
                LONELY.saturating_mul(1 << l.lonely.saturating_sub(1).min(LONELY_DOUBLED))
            }
            n if n < SETTLED => ROUND,
            _ => REST,
        };
        let until = if hurry { now } else { now + pause };
        l.phase = Phase::Sleeping(until);
        self.wakes.insert((until, id));
    }

    pub(super) fn wake_listeners(&mut self, now: Duration) {
        while let Some((at, id)) = self.wakes.first().copied().filter(|(at, _)| *at <= now) {
            self.wakes.remove(&(at, id));
            let Some(l) = self.listeners.get_mut(&id) else { continue };
            if !matches!(l.phase, Phase::Sleeping(until) if until == at) {
                continue;
            }
            l.rounds += 1;
            let rounds = if l.current().is_empty() { 1 } else { ROUNDS };
            if !l.renew && l.rounds < rounds {
                self.keep_open(id, now);
            } else if self.network == NetworkState::Offline {
                l.renew = true;
                self.keep_open(id, now);
            } else {
                self.announce_again(id, now);
            }
        }
    }

    /// The network is back: announce everything again.
    pub(super) fn listeners_online(&mut self, now: Duration) {
        let asleep: Vec<ListenId> = self
            .listeners
            .iter()
            .filter(|(_, l)| matches!(l.phase, Phase::Sleeping(_)) && l.renew)
            .map(|(id, _)| *id)
            .collect();
        for id in asleep {
            self.announce_again(id, now);
        }
    }

    fn leave(&mut self, id: ListenId, now: Duration) {
        let Some(l) = self.listeners.get_mut(&id) else { return };
        let [_, last, current] = &l.announced;
        let mut nodes = current.clone();
        nodes.extend(last.iter().filter(|a| !current.contains(a)));
        l.phase = Phase::Leaving { pending: nodes.len() + 1 };
        for to in nodes {
            if !self.find_record(id, to, now) {
                self.drop_record_over(id, now);
            }
        }
        self.drop_record_over(id, now);
    }

    /// Asks a relay for its record and a token, so that it can be told to forget it.
    fn find_record(&mut self, id: ListenId, to: SocketAddrV4, now: Duration) -> bool {
        let Some(l) = self.listeners.get(&id) else { return false };
        let target = Some(l.target);
        let out = Outgoing { target, ..Outgoing::new(to, command::FIND_PEER, Owner::FindRecord(id)) };
        self.send(out, now).is_ok()
    }

    pub(super) fn find_record_over(&mut self, id: ListenId, reply: Option<&Reply>, now: Duration) {
        let Some(l) = self.listeners.get(&id) else { return };
        let sent = match reply {
            Some(Reply { from, from_id: Some(node), token: Some(token), value: Some(_), .. }) => {
                let unann = messages::sign_unannounce(&l.key_pair, &l.target, token, node);
                let out = Outgoing {
                    token: Some(*token),
                    target: Some(l.target),
                    value: Some(Bytes::from(unann.encode())),
                    ..Outgoing::new(*from, command::UNANNOUNCE, Owner::DropRecord(id))
                };
                self.send(out, now).is_ok()
            }
            _ => false,
        };
        if !sent {
            self.drop_record_over(id, now);
        }
    }

    pub(super) fn drop_record_over(&mut self, id: ListenId, _now: Duration) {
        let Some(l) = self.listeners.get_mut(&id) else { return };
        let Phase::Leaving { pending } = &mut l.phase else { return };
        *pending = pending.saturating_sub(1);
        if *pending == 0 {
            self.listeners.remove(&id);
            self.events.push_back(Event::Unlistened(id));
        }
    }
}
