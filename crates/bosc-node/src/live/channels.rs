//! Channels: opening, proving that both sides know the key, and what comes in on them.

use super::conn::Channel;
use super::inbox::Inbox;
use super::machine::{LiveMachine, RELAY_PROTOCOL};
use crate::between::FromLive;
use crate::swarm::ConnId;
use bosc_format::crypto::CoreKey;
use bosc_wire::mux::{ChannelId, MuxEvent};
use bosc_wire::replication::{PROTOCOL, PeerId, local_handshake, verify_remote_handshake};
use bytes::Bytes;
use std::time::Duration;

impl LiveMachine {
    /// Offers a core to a connection.
    pub(super) fn open_channel(&mut self, conn: ConnId, key: CoreKey) {
        let (Some(c), Some(slot)) = (self.conns.get_mut(&conn), self.cores.get(&key)) else { return };
        if c.by_core.contains_key(&key) {
            return;
        }
        let handshake = local_handshake(c.initiator, &key, &c.hash);
        let id = slot.core.discovery_key();
        if let Ok(channel) = c.mux.open(PROTOCOL, Some(&id[..]), &handshake) {
            c.channels.insert(channel, Channel { core: key, verified: false });
            c.by_core.insert(key, channel);
            self.dirty.insert(conn);
        }
    }

    pub(super) fn messages(&mut self, conn: ConnId, messages: Vec<Bytes>, bytes: usize, now: Duration) {
        for message in messages {
            let Some(c) = self.conns.get_mut(&conn) else { break };
            if let Err(e) = c.mux.feed(message) {
                tracing::debug!(conn, error = %e, "mux refused a frame");
                self.to_net.push_back(FromLive::Close { conn });
                self.take_in(now);
                self.conn_closed(conn);
                break;
            }
            self.mux_events(conn, now);
        }
        if let Some(c) = self.conns.get(&conn) {
            if c.credit.worked(bytes) {
                self.to_net.push_back(FromLive::Read { conn });
            }
            self.dirty.insert(conn);
        }
    }

    fn mux_events(&mut self, conn: ConnId, now: Duration) {
        loop {
            let Some(c) = self.conns.get_mut(&conn) else { return };
            match c.mux.poll_event() {
                Ok(Some(event)) => self.mux_event(conn, event, now),
                Ok(None) => return,
                Err(e) => {
                    tracing::debug!(conn, error = %e, "mux failed");
                    self.to_net.push_back(FromLive::Close { conn });
                    self.take_in(now);
                    self.conn_closed(conn);
                    return;
                }
            }
        }
    }

    fn mux_event(&mut self, conn: ConnId, event: MuxEvent, now: Duration) {
        if !matches!(event, MuxEvent::Message { .. }) {
            // What a channel carried counts before what becomes of it.
            self.take_in(now);
        }
        match event {
            MuxEvent::RemoteOpen { protocol, id, handshake } => {
                if protocol == RELAY_PROTOCOL
                    && let Ok(key) = <[u8; 32]>::try_from(&handshake[..])
                {
                    self.to_net.push_back(FromLive::RelayOffered { conn, key });
                }
                if !self.blind_offered(conn, &protocol, now) {
                    self.remote_open(conn, &protocol, id.as_deref());
                }
            }
            MuxEvent::Opened { channel, handshake } => {
                if !self.blind_opened(conn, channel) {
                    self.opened(conn, channel, &handshake, now);
                }
            }
            MuxEvent::Message { channel, ty, payload } => {
                if self.blind_message(conn, channel, (ty, &payload), now) {
                    return;
                }
                let Some(c) = self.conns.get(&conn) else { return };
                if let Some(Channel { core, verified: true }) = c.channels.get(&channel).copied() {
                    self.gather(conn, core, (ty, payload), now);
                }
            }
            MuxEvent::Closed { channel, .. } => {
                self.blind_closed(conn, channel);
                self.channel_closed(conn, channel);
            }
        }
    }

    /// The other side offers a channel we did not open: a core we keep but that is not live, or one we have not.
    fn remote_open(&mut self, conn: ConnId, protocol: &str, id: Option<&[u8]>) {
        if protocol == PROTOCOL {
            let known = id.and_then(|id| <[u8; 32]>::try_from(id).ok());
            let core = known
                .and_then(|d| self.setup.store.as_ref().and_then(|s| s.get_by_discovery_key(&d).ok()?));
            if let Some(core) = core {
                let key = *core.key();
                // What a blind peer keeps is offered to nobody else.
                match self.setup.blind_for {
                    Some(_) => self.attach_as(core, false),
                    None => self.attach(core),
                };
                self.open_channel(conn, key);
                return;
            }
        }
        if let Some(c) = self.conns.get_mut(&conn) {
            c.mux.reject(protocol, id);
        }
    }

    fn opened(&mut self, conn: ConnId, channel: ChannelId, handshake: &[u8], now: Duration) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        let Some(ch) = c.channels.get_mut(&channel) else { return };
        let key = ch.core;
        // A peer that does not know the key learns nothing, not even what we hold.
        if verify_remote_handshake(c.initiator, &key, &c.hash, handshake) != Ok(true) {
            tracing::debug!(conn, "peer does not know the key of the core it asks for");
            c.mux.close(channel);
            self.strangers += 1;
            self.channel_closed(conn, channel);
            return;
        }
        ch.verified = true;
        // To those who share something, once.
        if let (Some(key), false) = (&self.setup.offer_relay, std::mem::replace(&mut c.relay_offered, true)) {
            let _ = c.mux.open(RELAY_PROTOCOL, None, key);
        }
        if let Some(slot) = self.cores.get_mut(&key) {
            slot.with(|r, core| r.add_peer(PeerId(conn), core, now));
            if c.told_delivered.is_some() {
                slot.replicator.delivers(PeerId(conn));
            }
            let topic = *slot.core.discovery_key();
            self.to_net.push_back(FromLive::Shares { conn, topic, shared: true });
            slot.peers.insert(conn);
            slot.peers_seen += 1;
            slot.changed = true;
        }
        self.dirty.insert(conn);
    }

    pub(super) fn channel_closed(&mut self, conn: ConnId, channel: ChannelId) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        let Some(ch) = c.channels.remove(&channel) else { return };
        c.by_core.remove(&ch.core);
        self.remove_peer(conn, ch.core);
    }

    fn remove_peer(&mut self, conn: ConnId, key: CoreKey) {
        if let Some(slot) = self.cores.get_mut(&key) {
            if let Some(stats) = slot.replicator.stats(PeerId(conn)) {
                slot.gone.0 += stats.uploaded_bytes;
                slot.gone.1 += stats.uploaded_blocks;
            }
            slot.with(|r, core| r.remove_peer(PeerId(conn), core));
            slot.others.remove(&conn);
            if slot.peers.remove(&conn) {
                let topic = *slot.core.discovery_key();
                self.to_net.push_back(FromLive::Shares { conn, topic, shared: false });
            }
            slot.changed = true;
        }
    }

    pub(super) fn conn_closed(&mut self, conn: ConnId) {
        let Some(c) = self.conns.remove(&conn) else { return };
        self.dirty.remove(&conn);
        self.blind_gone(c.remote);
        for key in c.by_core.keys() {
            self.remove_peer(conn, *key);
        }
    }
}

impl LiveMachine {
    /// Keeps a message until those after it are known.
    pub(super) fn gather(&mut self, conn: ConnId, core: CoreKey, message: (u32, Bytes), now: Duration) {
        if self.inbox.as_ref().is_some_and(|inbox| !inbox.is_of(conn, core)) {
            self.take_in(now);
        }
        if self.inbox.get_or_insert_with(|| Inbox::new(conn, core)).push(message) {
            self.take_in(now);
        }
    }

    /// Gives the replicator what was kept.
    pub(super) fn take_in(&mut self, now: Duration) {
        let Some(Inbox { conn, core, messages, .. }) = self.inbox.take() else { return };
        // What came before on another channel may have changed it.
        self.look_at_db_of(core, conn);
        if let Some(slot) = self.cores.get_mut(&core) {
            slot.with(|r, core| r.handle_messages(PeerId(conn), messages, core, now));
            slot.changed = true;
        }
    }
}
