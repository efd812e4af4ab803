//! What flows on a connection once its handshake is over: a UDX stream, the encryption on it, and the frames that wait. Which
//! connections there should be is decided in `swarm/links`.

use super::connection::{Connection, Established, Via};
use super::machine::{FIRST_WAIT, MAX_UNOPENED, NetMachine, OPEN_TIMEOUT, PRESSED, new_credit};
use super::share::{self, Earned, LEAST_QUEUED};
use super::tags::POOL;
use crate::between::FromNet;
use crate::swarm::{ConnId, STEP};
use bosc_udx::{CloseReason, Event, SocketTag, Stream};
use bosc_wire::mux::Frame;
use bosc_wire::secret_stream::{Config, SecretStream, Seeds};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Decrypted bytes handed to the core thread at once.
const READ_CHUNK: usize = 1 << 20;

/// Keep-alives that are due so soon go out with one that is due now, or in answer to the other side's.
const TOGETHER: Duration = Duration::from_millis(2500);

/// Both sides' first bytes go at the same moment. Who was dialled waits longer with a keep-alive, so that it goes out with
/// the answer to the other side's and not beside it.
const LATER: Duration = Duration::from_secs(1);

/// While the other side sends keep-alives, which our stream acknowledges, ours go out so often only, in answer to one of
/// them. No peer of the packages waits for them; one whose application gives up after half a minute of silence is spared that.
const SPARED: Duration = Duration::from_secs(20);

/// How often the core thread is told that bytes arrive on a connection.
const ACTIVE_EVERY: Duration = Duration::from_millis(500);

impl NetMachine {
    /// Starts a stream for a finished handshake.
    pub(super) fn establish(&mut self, e: Established, now: Duration) {
        if self.links.contains_key(&e.local_id)
            || self.closing.is_some()
            || self.rest.is_some()
            || !self.room_for(&e, now)
        {
            if let Some(conn) = e.conn {
                self.swarm.closed(conn, now);
            }
            self.not_established(e.local_id, e.socket, e.via, now);
            return;
        }
        let config = bosc_udx::Config {
            send_buffer: self.tuning.send_buffer,
            firewall: bosc_udx::Firewall::Surface,
            ..bosc_udx::Config::default()
        };
        let mut stream = Stream::new(e.local_id, config, now);
        stream.set_write_limit(self.share.first());
        stream.connect(e.socket, e.remote_id, e.to, now);
        let (remote, hash) = (e.handshake.remote_public_key, e.handshake.hash);
        let seeds = Seeds::draw(&mut self.entropy);
        let mut config = Config { spared: SPARED, ..Config::default() };
        if !e.initiator {
            config.keep_alive += LATER;
        }
        let secret = SecretStream::from_handshake(e.initiator, e.handshake, config, seeds, now);
        let host = match e.to.ip() {
            IpAddr::V4(host) => host,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        let pressed = self.half_open().count() >= PRESSED;
        let wait = if pressed && e.conn.is_none() && !e.proved { FIRST_WAIT } else { OPEN_TIMEOUT };
        let link = Connection {
            conn: e.conn,
            conn_open: false,
            remote,
            host,
            proved: e.proved,
            moved: 0,
            held: 0,
            written: 0,
            earned: Earned::new(now),
            initiator: e.initiator,
            hash,
            secret,
            queue: VecDeque::new(),
            sealed: Bytes::new(),
            credit: new_credit(self.tuning.credit),
            open_by: now + wait,
            heard: false,
            told_active: now,
            partial: None,
            check: None,
            via: e.via,
        };
        if self.table.insert(stream).is_err() {
            // One with this id still says good-bye.
            if let Some(conn) = e.conn {
                self.swarm.closed(conn, now);
            }
            self.not_established(e.local_id, e.socket, e.via, now);
            return;
        }
        if e.socket >= POOL {
            self.on_pool.insert(e.local_id, e.socket);
        }
        if let Some(conn) = e.conn {
            self.by_conn.insert(conn, e.local_id);
        }
        self.links.insert(e.local_id, link);
        self.write_stream(e.local_id, now);
    }

    /// Gives back what a handshake that leads to nothing holds.
    fn not_established(&mut self, local_id: u32, socket: SocketTag, via: Option<Via>, now: Duration) {
        self.unused.push_back(socket);
        if let Some(via) = via {
            self.link_over(local_id, via, now);
        }
    }

    /// Connections of others that are not open yet.
    pub(super) fn half_open(&self) -> impl Iterator<Item = (&u32, &Connection)> {
        self.links.iter().filter(|(_, l)| !l.conn_open && l.conn.is_none())
    }

    /// Whether there is room for a connection. Of those of others that are not open yet the oldest makes room, one that has not
    /// shown that it received our answer first: it costs one datagram from any address to make such a one.
    fn room_for(&mut self, e: &Established, now: Duration) -> bool {
        if e.conn.is_some() || self.half_open().count() < MAX_UNOPENED {
            return true;
        }
        let oldest = self.half_open().min_by_key(|(_, l)| (l.proved, l.told_active)).map(|(id, _)| *id);
        if let Some(id) = oldest {
            self.forget_link(id, now);
        }
        oldest.is_some()
    }

    /// Ends a connection that is not open. Nobody who is perhaps not there is told good-bye, and nothing waits for an answer.
    fn forget_link(&mut self, id: u32, now: Duration) {
        if self.links.get(&id).is_some_and(|l| l.proved) {
            return self.destroy_link(id, now);
        }
        self.drop_link(id, now);
        self.table.remove(id);
        self.unused.extend(self.on_pool.remove(&id));
    }

    pub(super) fn stream_events(&mut self, now: Duration) -> bool {
        let mut any = false;
        while let Some((id, event)) = self.table.poll_event() {
            any = true;
            if self.session_event(id, &event, now) {
                continue;
            }
            match event {
                Event::Firewall { socket, from } => self.move_link(id, socket, from, now),
                Event::Elsewhere { socket, from } => self.follow(id, socket, from, now),
                Event::Readable => self.read_stream(id, now),
                Event::Writable | Event::Flushed => self.write_stream(id, now),
                Event::RemoteEnded => {
                    self.read_stream(id, now);
                    if let Some(stream) = self.table.get_mut(id) {
                        stream.end();
                    }
                }
                Event::Closed(reason) => {
                    tracing::debug!(id, ?reason, "stream closed");
                    self.read_stream(id, now);
                    self.ended_by_peer(id, reason, now);
                    self.drop_link(id, now);
                }
                Event::Connected | Event::Message(_) | Event::RemoteChanged => {}
            }
        }
        any
    }

    /// Reads, decrypts and hands on what has arrived, as far as the core thread keeps up.
    pub(super) fn read_stream(&mut self, id: u32, now: Duration) {
        // Whoever ends asks for nothing more, and answers nothing new.
        if self.closing.is_some() && self.links.contains_key(&id) {
            if let Some(stream) = self.table.get_mut(id) {
                stream.discard_incoming();
            }
            return;
        }
        loop {
            let (Some(link), Some(stream)) = (self.links.get_mut(&id), self.table.get_mut(id)) else {
                return;
            };
            let mut messages = Vec::new();
            let mut bytes = 0;
            let mut failed = false;
            let mut drained = false;
            while bytes < READ_CHUNK && link.credit.may_read() {
                let Some(chunk) = stream.read() else {
                    drained = true;
                    break;
                };
                link.credit.received.store(true, Ordering::Relaxed);
                link.proved = true;
                if let Err(e) = link.secret.feed(&chunk, now) {
                    tracing::debug!(id, error = %e, "secret stream failed");
                    failed = true;
                    break;
                }
                loop {
                    match link.secret.next_message() {
                        Ok(Some(m)) => {
                            bytes += m.len();
                            messages.push(m);
                        }
                        Ok(None) => break,
                        Err(e) => {
                            tracing::debug!(id, error = %e, "secret stream failed");
                            failed = true;
                            break;
                        }
                    }
                }
            }
            // Their keep-alive takes ours along, so that one wake-up does for both.
            let quiet = link.secret.poll_timeout().is_some_and(|t| t <= now + TOGETHER);
            let answer = !failed && quiet && link.secret.send(&[], now).is_ok();
            let paused = !link.credit.may_read();
            link.note_partial(!paused, now);
            if link.secret.is_open() && !link.conn_open && !failed && !self.open_link(id, now) {
                return;
            }
            if let Some(Connection { conn: Some(conn), credit, heard, .. }) = self.links.get_mut(&id)
                && !messages.is_empty()
            {
                if !*heard && bytes > 0 {
                    *heard = true;
                    self.swarm.heard(*conn);
                }
                credit.arrived(bytes);
                let conn = *conn;
                self.to_live.push_back(FromNet::Messages { conn, messages, bytes });
            }
            if answer {
                self.write_stream(id, now);
            }
            if failed {
                self.broken += 1;
                self.destroy_link(id, now);
                return;
            }
            self.tell_active(id, now);
            if drained || paused {
                return;
            }
        }
    }

    /// A large block on a slow path takes long to arrive: that is not silence. Whole messages are not told here: a
    /// peer that sends keep-alives and no answers is silent.
    fn tell_active(&mut self, id: u32, now: Duration) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.secret.buffered() == 0 {
            return;
        }
        if let Some(conn) = link.conn.filter(|_| now.saturating_sub(link.told_active) >= ACTIVE_EVERY) {
            link.told_active = now;
            self.to_live.push_back(FromNet::Active { conn });
        }
    }

    /// The other side has shown that it holds the keys. Returns whether the connection stays.
    fn open_link(&mut self, id: u32, now: Duration) -> bool {
        let Some(link) = self.links.get_mut(&id) else { return false };
        match link.conn {
            Some(conn) => self.swarm.opened(conn, now),
            None => {
                let (links, by_conn) = (&self.links, &self.by_conn);
                let carried = |conn: ConnId| {
                    by_conn.get(&conn).and_then(|id| links.get(id)).is_some_and(|l| {
                        l.credit.received.load(Ordering::Relaxed) && l.credit.sent.load(Ordering::Relaxed)
                    })
                };
                let Some(remote) = self.links.get(&id).map(|l| l.remote) else { return false };
                let Some(host) = self.links.get(&id).map(|l| l.host) else { return false };
                match self.swarm.accepted(remote, host, carried, now) {
                    Some(conn) => {
                        if let Some(link) = self.links.get_mut(&id) {
                            link.conn = Some(conn);
                        }
                        self.by_conn.insert(conn, id);
                    }
                    None => {
                        self.destroy_link(id, now);
                        return false;
                    }
                }
            }
        }
        let Some(link) = self.links.get_mut(&id) else { return false };
        let Some(conn) = link.conn else { return false };
        link.conn_open = true;
        self.changed = true;
        self.to_live.push_back(FromNet::Open {
            conn,
            remote: link.remote,
            initiator: link.initiator,
            hash: link.hash,
            credit: Arc::clone(&link.credit),
        });
        true
    }

    pub(super) fn send_frames(&mut self, conn: ConnId, frames: Vec<Frame>, now: Duration) {
        let Some(id) = self.by_conn.get(&conn).copied() else { return };
        let Some(link) = self.links.get_mut(&id) else { return };
        link.queue.extend(frames);
        self.write_stream(id, now);
    }

    /// Encrypts and writes frames as far as the stream takes them.
    pub(super) fn write_stream(&mut self, id: u32, now: Duration) {
        self.share_memory(now);
        let (Some(link), Some(stream)) = (self.links.get_mut(&id), self.table.get_mut(id)) else { return };
        let (mut wake, mut moved) = (false, 0usize);
        loop {
            while stream.write_capacity() > 0 {
                let sealed = std::mem::take(&mut link.sealed);
                let sealed = if sealed.is_empty() { link.secret.take_output() } else { Some(sealed) };
                let Some(mut sealed) = sealed else { break };
                if !self.meter.may_send(id, now) {
                    link.sealed = sealed;
                    break;
                }
                let piece = sealed.split_to(self.meter.piece(sealed.len()));
                link.sealed = sealed;
                self.meter.sent(id, piece.len());
                link.credit.sent.store(true, Ordering::Relaxed);
                link.written = link.written.saturating_add(piece.len() as u64);
                let _ = stream.write(piece);
            }
            if stream.write_capacity() == 0 {
                // Have the stream tell when there is room again.
                let _ = stream.write(Bytes::new());
                break;
            }
            if !link.sealed.is_empty() {
                break;
            }
            let Some(frame) = link.queue.pop_front() else { break };
            let len = frame.len();
            if link.secret.send_shared(frame.into_parts(), now).is_err() {
                break;
            }
            link.held = link.held.saturating_add(len);
            moved = moved.saturating_add(len);
        }
        // No block is made for a reader that has not taken the one before. Of a large one the stream holds what is on its way, and
        // what was acknowledged is free.
        if link.held > 0 && link.sealed.is_empty() && stream.write_capacity() > 0 {
            wake |= link.credit.sent_out(std::mem::take(&mut link.held));
        }
        // Who has nothing to send, or has to wait for its peer, does not wait for its turn.
        if link.sealed.is_empty() || stream.write_capacity() == 0 {
            self.meter.rest(id);
        }
        if self.closing.is_some() && link.is_written() {
            stream.end();
        }
        link.moved = link.moved.saturating_add(moved);
        if let Some(conn) = link.conn.filter(|_| link.moved >= STEP) {
            link.moved = 0;
            self.swarm.moved(conn, now);
        }
        wake |= link.credit.room(stream.write_capacity() > 0);
        if let (true, Some(conn), None) = (wake, link.conn, self.closing) {
            self.to_live.push_back(FromNet::Writable { conn });
        }
    }

    /// Those whose turn it is write what they have, see `meter`.
    pub(super) fn metered_writes(&mut self, now: Duration) {
        while let Some(id) = self.meter.turn(now) {
            if !self.links.contains_key(&id) {
                self.meter.rest(id);
                continue;
            }
            self.write_stream(id, now);
            // One that did nothing with its turn loses it.
            if self.meter.turn(now) == Some(id) {
                self.meter.rest(id);
            }
        }
    }

    pub(super) fn close_conn(&mut self, conn: ConnId, now: Duration) {
        match self.by_conn.get(&conn).copied() {
            Some(id) => self.destroy_link(id, now),
            None => {
                self.dialer.cancel(conn, &mut self.dht, now);
                self.swarm.closed(conn, now);
            }
        }
    }

    /// The next attempt is another one where the peer took this one and closed it without a word.
    fn ended_by_peer(&mut self, id: u32, reason: CloseReason, now: Duration) {
        let by_peer = matches!(reason, CloseReason::Reset | CloseReason::Ended);
        let Some(link) = self.links.get(&id) else { return };
        if by_peer
            && !link.heard
            && let Some(conn) = link.conn
        {
            self.swarm.refused(conn, now);
        }
    }

    pub(super) fn destroy_link(&mut self, id: u32, now: Duration) {
        if let Some(stream) = self.table.get_mut(id) {
            stream.destroy(now);
        }
        self.drop_link(id, now);
    }

    pub(super) fn drop_link(&mut self, id: u32, now: Duration) {
        let Some(link) = self.links.remove(&id) else { return };
        self.meter.rest(id);
        self.changed = true;
        if let Some(via) = link.via {
            self.link_over(id, via, now);
        }
        if let Some(conn) = link.conn {
            self.by_conn.remove(&conn);
            self.forget_offers(conn, link.remote);
            self.swarm.closed(conn, now);
            if link.conn_open {
                self.to_live.push_back(FromNet::Closed { conn });
            }
        }
    }

    pub(super) fn link_timeout(&self) -> Option<Duration> {
        self.links
            .values()
            .flat_map(|l| {
                let via = l.via.and_then(|v| v.until);
                [l.secret.poll_timeout(), (!l.conn_open).then_some(l.open_by), l.stuck_at(), via]
            })
            .flatten()
            .min()
    }

    pub(super) fn link_timeouts(&mut self, now: Duration) {
        for id in self.via_timeouts(now) {
            tracing::debug!(id, "a connection's relay is lost");
            self.destroy_link(id, now);
        }
        let any = self.links.values().any(|l| l.secret.poll_timeout().is_some_and(|t| t <= now));
        let by = if any { now + TOGETHER } else { now };
        let due: Vec<u32> = self
            .links
            .iter()
            .filter(|(_, l)| {
                (any && l.secret.poll_timeout().is_some_and(|t| t <= by))
                    || (!l.conn_open && l.open_by <= now)
                    || l.stuck_at().is_some_and(|t| t <= now)
            })
            .map(|(id, _)| *id)
            .collect();
        // Keep-alives are what goes to those who read nothing.
        if any {
            self.drop_stopped(now);
        }
        for id in due {
            let Some(link) = self.links.get_mut(&id) else { continue };
            let stuck = link.stuck_at().is_some_and(|t| t <= now);
            self.broken += u64::from(stuck);
            let late = stuck || (!link.conn_open && link.open_by <= now);
            let early = link.secret.poll_timeout().is_some_and(|t| t > now && t <= by);
            let said = if early { link.secret.send(&[], now) } else { link.secret.handle_timeout(now) };
            if late || said.is_err() {
                self.forget_link(id, now);
            } else {
                self.write_stream(id, now);
            }
        }
        // Not before its last event was taken: that is what ends the link.
        let over = |s: &Stream| s.is_finished() && !s.has_events();
        let finished: Vec<u32> =
            self.table.ids().filter(|id| self.table.get(*id).is_some_and(over)).collect();
        for id in finished {
            self.table.remove(id);
            self.unused.extend(self.on_pool.remove(&id));
        }
    }

    /// Closes connections that take up memory and stopped, see `share`.
    fn drop_stopped(&mut self, now: Duration) {
        let table = &self.table;
        let each = self
            .links
            .iter()
            .map(|(id, link)| (*id, table.get(*id).map_or(0, Stream::unacknowledged), &link.earned));
        for id in share::stopped(each, now).collect::<Vec<_>>() {
            tracing::debug!(id, "reads nothing any more");
            self.destroy_link(id, now);
        }
    }

    /// Divides the memory for what waits to be acknowledged anew, if it is time.
    fn share_memory(&mut self, now: Duration) {
        let streams = self.links.keys().filter_map(|id| self.table.get(*id));
        let unacknowledged = streams.map(|s| s.unacknowledged());
        let Some(share) = self.share.divide(now, unacknowledged) else { return };
        for (id, link) in &mut self.links {
            if let Some(stream) = self.table.get_mut(*id) {
                let waiting = stream.unacknowledged();
                let acknowledged = link.written.saturating_sub(waiting as u64);
                let limit = link.earned.limit(acknowledged, waiting, share, now);
                stream.set_write_limit(limit);
                link.credit.allow(limit.max(LEAST_QUEUED));
            }
        }
    }
}
