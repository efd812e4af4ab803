//! Being a relay: sessions of clients, their pairs, and the packets between them.

use super::session::{Role, Said};
use super::{RelayFor, RelaySetup, RelayStatus};
use crate::net::connection::Established;
use crate::net::machine::NetMachine;
use bosc_dht::ListenId;
use bosc_dht::connect::{Approach, ServerOptions};
use bosc_format::crypto::PublicKey;
use bosc_udx::{RelayEnd, RelayOver, RelayTable};
use bosc_wire::blind_relay::{Answer, Ended, Half, Message, Pair, Paired, Pairings, Unpair};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// A session that holds nothing is not sent away before this: its request may be on its way.
const YOUNG: Duration = Duration::from_secs(2);

/// See the module.
pub(in crate::net) struct RelayServer {
    setup: RelaySetup,
    pub(in crate::net) listen: Option<ListenId>,
    pub(in crate::net) listening: bool,
    pairings: Pairings,
    pub(in crate::net) table: RelayTable,
    /// Clients by their stream, and the host each came from.
    clients: BTreeMap<u32, IpAddr>,
    paired: u64,
    refused: u64,
}

impl RelayServer {
    /// The key that it is asked under.
    pub(in crate::net) fn key(&self) -> PublicKey {
        self.setup.key_pair.public()
    }

    pub(in crate::net) fn new(setup: RelaySetup, now: Duration) -> Self {
        Self {
            pairings: Pairings::new(setup.bounds.pairs),
            table: RelayTable::new(setup.bounds.traffic, now),
            setup,
            listen: None,
            listening: false,
            clients: BTreeMap::new(),
            paired: 0,
            refused: 0,
        }
    }

    pub(in crate::net) fn next_timeout(&self) -> Option<Duration> {
        [self.pairings.next_timeout(), self.table.next_timeout()].into_iter().flatten().min()
    }

    pub(in crate::net) fn status(&self) -> RelayStatus {
        let traffic = self.table.stats();
        RelayStatus {
            clients: self.clients.len(),
            waiting: self.pairings.waiting(),
            pairs: self.pairings.pairs(),
            paired: self.paired,
            expired: self.pairings.expired(),
            refused: self.refused,
            bytes: traffic.bytes,
            packets: traffic.packets,
            dropped: traffic.dropped,
            listening: self.listening,
        }
    }
}

fn refusing(refuse: impl FnMut(Approach<'_>) -> bool + Send + 'static) -> ServerOptions {
    ServerOptions { refuse: Some(Box::new(refuse)), ..ServerOptions::default() }
}

impl NetMachine {
    pub(in crate::net) fn has_relay_id(&self, id: u32) -> bool {
        self.relay_server.as_ref().is_some_and(|s| s.table.has_id(id))
    }

    /// Makes the relay's key reachable.
    pub(in crate::net) fn start_relay(&mut self, now: Duration) {
        let Some(server) = &mut self.relay_server else { return };
        let options = match server.setup.allow.clone() {
            RelayFor::Anyone => ServerOptions::default(),
            RelayFor::Keys(keys) => refusing(move |a| !keys.contains::<PublicKey>(a.remote_public_key)),
            RelayFor::Peers => {
                let shares = self.offers.shares();
                refusing(move |a| !shares(a.remote_public_key, *a.address.ip()))
            }
        };
        let key_pair = server.setup.key_pair.clone();
        match self.dialer.connector.listen(&mut self.dht, &key_pair, options, now) {
            Ok(id) => server.listen = Some(id),
            Err(e) => tracing::warn!(error = %e, "the relay cannot listen"),
        }
    }

    /// A client's handshake is over.
    pub(in crate::net) fn client_came(&mut self, e: Established, now: Duration) {
        let host = e.to.ip();
        if self.closing.is_some() || !self.make_room_for(host, now) {
            if let Some(server) = &mut self.relay_server {
                server.refused += 1;
            }
            self.unused.push_back(e.socket);
            return;
        }
        if let Some(id) = self.start_session(e, Role::Server, now)
            && let Some(server) = &mut self.relay_server
        {
            server.clients.insert(id, host);
        }
    }

    /// Room for one more client: the oldest session that holds nothing goes, of the same host where that has its share.
    fn make_room_for(&mut self, host: IpAddr, now: Duration) -> bool {
        let Some(server) = &self.relay_server else { return false };
        let bounds = server.setup.bounds;
        let of_host = server.clients.values().filter(|h| **h == host).count();
        let full_host = of_host >= bounds.clients_per_host;
        if !full_host && server.clients.len() < bounds.clients {
            return true;
        }
        let idle = server.clients.iter().filter(|(id, h)| {
            let old = self.sessions.get(id).is_none_or(|s| now.saturating_sub(s.since) >= YOUNG);
            old && (!full_host || **h == host) && !server.pairings.holds_any(u64::from(**id))
        });
        let since = |id: &u32| self.sessions.get(id).map_or(Duration::ZERO, |s| s.since);
        let Some(oldest) = idle.map(|(id, _)| *id).min_by_key(since) else { return false };
        self.drop_session(oldest, false, now);
        true
    }

    /// A client said something.
    pub(in crate::net) fn client_said(&mut self, session: u32, said: &Said, now: Duration) {
        match said {
            Said::Open => {}
            Said::Message(Message::Pair(pair)) => self.client_asks(session, pair, now),
            Said::Message(Message::Unpair(Unpair { token })) => {
                let ended =
                    self.relay_server.as_mut().and_then(|s| s.pairings.unpair(u64::from(session), token));
                if let Some(ended) = ended {
                    self.pair_over(ended, Some(session), now);
                }
            }
            Said::Closed => {
                let Some(server) = &mut self.relay_server else { return };
                server.clients.remove(&session);
                for ended in server.pairings.left(u64::from(session)) {
                    self.pair_over(ended, Some(session), now);
                }
            }
        }
    }

    fn client_asks(&mut self, session: u32, pair: &Pair, now: Duration) {
        let Some(server) = &mut self.relay_server else { return };
        match server.pairings.pair(u64::from(session), pair, now) {
            Answer::Waiting => {}
            Answer::Refused(why) => {
                tracing::debug!(session, ?why, "a pair was refused");
                server.refused += 1;
                self.say(session, &Message::Unpair(Unpair { token: pair.token }), now);
            }
            Answer::Paired(paired) => self.connect_pair(paired, now),
        }
    }

    /// Both halves are here: packets may pass, and both hear of it.
    fn connect_pair(&mut self, paired: Paired, now: Duration) {
        let (Some(left), Some(right)) = (self.end_of(paired.initiator), self.end_of(paired.responder)) else {
            self.end_pair(paired.pair, now);
            return;
        };
        let Some(server) = &mut self.relay_server else { return };
        if !server.table.add(paired.pair, left, right, now) {
            self.end_pair(paired.pair, now);
            return;
        }
        server.paired += 1;
        for (half, end, is_initiator) in [(paired.initiator, left, true), (paired.responder, right, false)] {
            let answer = Pair { is_initiator, token: paired.token, id: end.local_id, seq: 0 };
            if let Ok(session) = u32::try_from(half.client) {
                self.say(session, &Message::Pair(answer), now);
            }
        }
    }

    /// One end: a new stream id of ours, and the place its client's session comes from.
    fn end_of(&mut self, half: Half) -> Option<RelayEnd> {
        let session = u32::try_from(half.client).ok()?;
        let (socket, at) = self.table.get(session)?.remote()?;
        let local_id = loop {
            let mut bytes = [0; 4];
            (self.entropy)(&mut bytes);
            let id = u32::from_le_bytes(bytes);
            if self.table.get(id).is_none() && !self.has_relay_id(id) {
                break id;
            }
        };
        Some(RelayEnd { local_id, remote_id: half.stream_id, socket, at })
    }

    fn end_pair(&mut self, pair: u64, now: Duration) {
        let ended = self.relay_server.as_mut().and_then(|s| s.pairings.end(pair));
        if let Some(ended) = ended {
            self.pair_over(ended, None, now);
        }
    }

    /// A token is over: nothing passes any more, and who held it hears so, but for the one by whom it ended.
    fn pair_over(&mut self, ended: Ended, by: Option<u32>, now: Duration) {
        if let (Some(pair), Some(server)) = (ended.pair, &mut self.relay_server) {
            server.table.remove(pair);
        }
        for client in ended.clients.into_iter().flatten() {
            if let Some(session) = u32::try_from(client).ok().filter(|s| Some(*s) != by) {
                self.say(session, &Message::Unpair(Unpair { token: ended.token }), now);
            }
        }
    }

    /// Does what is due, and what follows from packets that passed.
    pub(in crate::net) fn relay_work(&mut self, now: Duration) {
        let Some(server) = &mut self.relay_server else { return };
        server.table.handle_timeout(now);
        let expired = server.pairings.handle_timeout(now);
        let mut over: Vec<(u64, RelayOver)> = Vec::new();
        while let Some(one) = server.table.poll_over() {
            over.push(one);
        }
        for ended in expired {
            self.pair_over(ended, None, now);
        }
        for (pair, why) in over {
            tracing::debug!(pair, ?why, "a relayed pair is over");
            self.end_pair(pair, now);
        }
    }
}
