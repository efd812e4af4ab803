//! Connections: a UDX stream, the encryption on it, frames that wait: what `net::links` does in the node.

use super::host::{Host, tag};
use bosc_dht::connect::Connection;
use bosc_format::crypto::PublicKey;
use bosc_node::swarm::ConnId;
use bosc_udx::{Event, Stream};
use bosc_wire::mux::Frame;
use bosc_wire::secret_stream::{Config, SecretStream, Seeds};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

const OPEN_TIMEOUT: Duration = Duration::from_secs(12);
/// Frames given up as gone to a connection before the bound looks at them again.
const OUTBOUND_LOW: usize = 48 << 10;

pub(super) struct Link {
    conn: Option<ConnId>,
    open: bool,
    remote: PublicKey,
    initiator: bool,
    hash: [u8; 64],
    secret: SecretStream,
    queue: VecDeque<Frame>,
    queued: usize,
    received: bool,
    sent: bool,
    open_by: Duration,
}

impl Host {
    pub(super) fn establish(&mut self, conn: Option<ConnId>, c: Connection, now: Duration) {
        if self.links.contains_key(&c.local_id) {
            if let Some(conn) = conn {
                self.swarm.closed(conn, now);
            }
            return;
        }
        let config = bosc_udx::Config {
            send_buffer: 64 << 10,
            firewall: bosc_udx::Firewall::Surface,
            ..bosc_udx::Config::default()
        };
        let mut stream = Stream::new(c.local_id, config, now);
        stream.connect(tag(c.socket), c.remote_id, SocketAddr::V4(c.remote_address), now);
        let (remote, hash) = (c.handshake.remote_public_key, c.handshake.hash);
        let rng = &mut self.rng;
        let seeds = Seeds::draw(&mut |out: &mut [u8]| rng.fill(out));
        let secret = SecretStream::from_handshake(c.is_initiator, c.handshake, Config::default(), seeds, now);
        if let Some(conn) = conn {
            self.by_conn.insert(conn, c.local_id);
        }
        let link = Link {
            conn,
            open: false,
            remote,
            initiator: c.is_initiator,
            hash,
            secret,
            queue: VecDeque::new(),
            queued: 0,
            received: false,
            sent: false,
            open_by: now + OPEN_TIMEOUT,
        };
        self.links.insert(c.local_id, link);
        assert!(self.table.insert(stream).is_ok(), "a stream without a link");
        self.write_stream(c.local_id, now);
        for early in c.early {
            let from = SocketAddr::V4(early.from);
            self.table.handle_datagram(tag(early.socket), from, &early.bytes, now);
        }
    }

    pub(super) fn stream_events(&mut self, now: Duration) -> bool {
        let mut any = false;
        while let Some((id, event)) = self.table.poll_event() {
            any = true;
            match event {
                Event::Readable => self.read_stream(id, now),
                Event::Writable => self.write_stream(id, now),
                Event::RemoteEnded => {
                    self.read_stream(id, now);
                    if let Some(stream) = self.table.get_mut(id) {
                        stream.end();
                    }
                }
                Event::Closed(_) => {
                    self.read_stream(id, now);
                    self.drop_link(id, now);
                }
                _ => {}
            }
        }
        any
    }

    fn read_stream(&mut self, id: u32, now: Duration) {
        loop {
            let (Some(link), Some(stream)) = (self.links.get_mut(&id), self.table.get_mut(id)) else {
                return;
            };
            let Some(chunk) = stream.read() else { return };
            link.received = true;
            let mut messages = Vec::new();
            let mut failed = link.secret.feed(&chunk, now).is_err();
            while !failed {
                match link.secret.next_message() {
                    Ok(Some(m)) => messages.push(m),
                    Ok(None) => break,
                    Err(_) => failed = true,
                }
            }
            if link.secret.is_open() && !link.open && !failed && !self.open_link(id, now) {
                return;
            }
            if let Some(conn) = self.links.get(&id).and_then(|l| l.conn) {
                for message in messages {
                    self.message(conn, message, now);
                }
            }
            if failed {
                self.broken += 1;
                self.destroy_link(id, now);
                return;
            }
        }
    }

    fn open_link(&mut self, id: u32, now: Duration) -> bool {
        let Some(link) = self.links.get(&id) else { return false };
        let conn = match link.conn {
            Some(conn) => {
                self.swarm.opened(conn, now);
                conn
            }
            None => {
                let (links, by_conn) = (&self.links, &self.by_conn);
                let carried = |conn: ConnId| {
                    by_conn.get(&conn).and_then(|id| links.get(id)).is_some_and(|l| l.received && l.sent)
                };
                let Some(conn) = self.swarm.accepted(link.remote, carried, now) else {
                    self.destroy_link(id, now);
                    return false;
                };
                self.by_conn.insert(conn, id);
                conn
            }
        };
        let Some(link) = self.links.get_mut(&id) else { return false };
        link.conn = Some(conn);
        link.open = true;
        let (remote, initiator, hash) = (link.remote, link.initiator, link.hash);
        self.opened += 1;
        self.conn_opened(conn, remote, initiator, hash);
        true
    }

    /// Bytes of frames that wait for the connection's stream.
    pub(super) fn outbound(&self, conn: ConnId) -> usize {
        self.by_conn.get(&conn).and_then(|id| self.links.get(id)).map_or(0, |l| l.queued)
    }

    pub(super) fn send_frames(&mut self, conn: ConnId, frames: Vec<Frame>, now: Duration) {
        let Some(id) = self.by_conn.get(&conn).copied() else { return };
        let Some(link) = self.links.get_mut(&id) else { return };
        link.queued += frames.iter().map(Frame::len).sum::<usize>();
        link.queue.extend(frames);
        self.write_stream(id, now);
    }

    pub(super) fn write_stream(&mut self, id: u32, now: Duration) {
        let (Some(link), Some(stream)) = (self.links.get_mut(&id), self.table.get_mut(id)) else { return };
        loop {
            while stream.write_capacity() > 0 {
                let Some(sealed) = link.secret.take_output() else { break };
                link.sent = true;
                let _ = stream.write(sealed);
            }
            if stream.write_capacity() == 0 {
                let _ = stream.write(bytes::Bytes::new());
                break;
            }
            let Some(frame) = link.queue.pop_front() else { break };
            link.queued -= frame.len();
            if link.secret.send_parts(frame.parts(), now).is_err() {
                break;
            }
        }
        if link.queued < OUTBOUND_LOW
            && let Some(conn) = link.conn
            && self.starved.remove(&conn)
        {
            self.dirty.insert(conn);
        }
    }

    pub(super) fn close_conn(&mut self, conn: ConnId, now: Duration) {
        match self.by_conn.get(&conn).copied() {
            Some(id) => self.destroy_link(id, now),
            None => {
                self.cancel(conn, now);
                self.swarm.closed(conn, now);
            }
        }
    }

    fn destroy_link(&mut self, id: u32, now: Duration) {
        if let Some(stream) = self.table.get_mut(id) {
            stream.destroy(now);
        }
        self.drop_link(id, now);
    }

    fn drop_link(&mut self, id: u32, now: Duration) {
        let Some(link) = self.links.remove(&id) else { return };
        if let Some(conn) = link.conn {
            self.by_conn.remove(&conn);
            self.starved.remove(&conn);
            self.swarm.closed(conn, now);
            if link.open {
                self.conn_closed(conn);
            }
        }
    }

    /// Remote keys of all links, whether they are open and carried bytes, for the message of a failed test.
    pub(super) fn link_states(&self) -> Vec<(PublicKey, String)> {
        let state = |(id, l): (&u32, &Link)| {
            let stream = self.table.get(*id).expect("a link has a stream");
            let (wait, queued, unacknowledged) = (stream.next_timeout(), l.queued, stream.unacknowledged());
            let text = format!(
                "(open {} queued {queued} unacknowledged {unacknowledged} room {} closed {} timer {wait:?})",
                l.open,
                stream.write_capacity(),
                stream.is_closed(),
            );
            (l.remote, text)
        };
        self.links.iter().map(state).collect()
    }

    pub(super) fn link_timeout(&self) -> Option<Duration> {
        let timers = |l: &Link| [l.secret.poll_timeout(), (!l.open).then_some(l.open_by)];
        self.links.values().flat_map(timers).flatten().min()
    }

    pub(super) fn link_timeouts(&mut self, now: Duration) {
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            let Some(link) = self.links.get_mut(&id) else { continue };
            let late = !link.open && link.open_by <= now;
            let due = link.secret.poll_timeout().is_some_and(|t| t <= now);
            if late || (due && link.secret.handle_timeout(now).is_err()) {
                self.destroy_link(id, now);
            } else if due {
                self.write_stream(id, now);
            }
        }
        // Not before its last event was taken: that is what ends the link.
        let over = |s: &Stream| s.is_finished() && !s.has_events();
        let mut finished: Vec<u32> =
            self.table.ids().filter(|id| self.table.get(*id).is_some_and(over)).collect();
        finished.sort_unstable();
        for id in finished {
            self.table.remove(id);
        }
        // A stream lives on without its link only for as long as it takes to say good-bye.
        assert!(self.table.len() <= self.links.len() + 64, "{} streams linger", self.table.len());
        for id in self.links.keys() {
            assert!(self.table.get(*id).is_some(), "a link outlived its stream");
        }
    }
}
