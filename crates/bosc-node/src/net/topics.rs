//! Topics on the DHT: looking up, announcing, taking back.

use super::connection::Query;
use super::machine::NetMachine;
use crate::swarm::Topic;
use bosc_dht::connect::{Approach, ServerOptions};
use bosc_dht::{AnnounceOptions, Event, NetworkState, QueryData, QueryOptions};
use bosc_format::crypto::PublicKey;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Most peers whose handshakes are not answered.
const MAX_BANNED: usize = 4096;

impl NetMachine {
    /// Makes our key pair reachable, once.
    pub(super) fn start_listening(&mut self, now: Duration) {
        if self.listen.is_none() {
            let banned = Arc::clone(&self.banned);
            let refuse = move |a: Approach<'_>| {
                let banned = banned.lock().unwrap_or_else(PoisonError::into_inner);
                banned.contains(a.remote_public_key)
            };
            let relay_through = self.choose_relay();
            let options =
                ServerOptions { refuse: Some(Box::new(refuse)), relay_through, ..ServerOptions::default() };
            match self.dialer.connector.listen(&mut self.dht, &self.key_pair, options, now) {
                Ok(id) => self.listen = Some(id),
                Err(e) => tracing::warn!(error = %e, "cannot listen"),
            }
        }
    }

    /// Handshakes of a peer that misbehaved are not answered, as Hyperswarm does it. Beyond [`MAX_BANNED`] they are, and the
    /// connection is closed once it is open, as long as the swarm remembers the ban.
    pub(super) fn refuse(&mut self, peer: PublicKey) {
        let mut banned = self.banned.lock().unwrap_or_else(PoisonError::into_inner);
        if banned.len() < MAX_BANNED {
            banned.insert(peer);
        }
    }

    pub(super) fn discover(&mut self, topic: Topic, announce: bool, now: Duration) {
        if announce && !self.listening {
            // Others need our relays to reach us: they are known after the first announce of our key.
            self.waiting_announces.insert(topic);
            return;
        }
        let started = if announce {
            let relays = self.listen.map(|l| self.dht.relay_addresses(l).to_vec()).unwrap_or_default();
            let options =
                AnnounceOptions { clear: self.announced_on.insert(topic), ..AnnounceOptions::default() };
            self.dht.announce(topic, &self.key_pair, &relays, &options, now)
        } else {
            self.dht.lookup(topic, &QueryOptions::default(), now)
        };
        match started {
            Ok(query) => {
                self.queries.insert(query, Query::Discover(topic));
            }
            Err(_) => self.swarm.query_failed(topic, now),
        }
    }

    pub(super) fn unannounce(&mut self, topic: Topic, now: Duration) {
        self.waiting_announces.remove(&topic);
        if !self.announced_on.remove(&topic) {
            return;
        }
        if let Ok(query) = self.dht.unannounce(topic, &self.key_pair, &QueryOptions::default(), now) {
            self.queries.insert(query, Query::Unannounce);
        }
    }

    pub(super) fn dht_events(&mut self, now: Duration) -> bool {
        let mut any = false;
        while let Some(event) = self.dht.poll_event() {
            any = true;
            let Some(event) = self.dialer.connector.handle_event(&mut self.dht, event, now) else { continue };
            match event {
                Event::QueryReply(reply) if self.queries.contains_key(&reply.query) => {
                    if let (Some(Query::Discover(topic)), QueryData::Peers { peers, .. }) =
                        (self.queries.get(&reply.query).copied(), reply.data)
                    {
                        for peer in peers {
                            self.swarm.peer_found(topic, peer.public_key, peer.relay_addresses, now);
                        }
                    }
                }
                Event::QueryDone(done) if self.record_done(&done) => {}
                Event::QueryDone(done) if self.queries.contains_key(&done.query) => {
                    self.changed = true;
                    if let Some(Query::Discover(topic)) = self.queries.remove(&done.query) {
                        match done.result {
                            Ok(()) => self.swarm.query_done(topic, now),
                            Err(e) => {
                                tracing::debug!(error = %e, "discovery failed");
                                self.swarm.query_failed(topic, now);
                            }
                        }
                    }
                }
                Event::Announced { listen, .. } if self.listen == Some(listen) => {
                    self.listening = true;
                    self.changed = true;
                    for topic in std::mem::take(&mut self.waiting_announces) {
                        self.discover(topic, true, now);
                    }
                }
                Event::Announced { listen, .. }
                    if self.relay_server.as_ref().is_some_and(|s| s.listen == Some(listen)) =>
                {
                    self.relay_server.iter_mut().for_each(|s| s.listening = true);
                    self.changed = true;
                }
                Event::Network(NetworkState::Offline) => self.offline = true,
                Event::Network(_) if self.offline => {
                    self.offline = false;
                    self.network_back(now);
                }
                Event::Wakeup => {
                    self.check_links(true, now);
                    self.network_back(now);
                }
                Event::MappingChanged => self.check_links(false, now),
                Event::Bootstrapped
                | Event::PortMapped(_)
                | Event::NatUpdate { .. }
                | Event::PersistentChanged(_) => {
                    self.changed = true;
                }
                _ => {}
            }
        }
        any
    }
}
