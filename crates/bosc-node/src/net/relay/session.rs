//! A session between a peer and its relay, on either side.

use crate::net::connection::Established;
use crate::net::machine::NetMachine;
use crate::net::tags::POOL;
use bosc_format::crypto::PublicKey;
use bosc_udx::{Event, Stream};
use bosc_wire::blind_relay::{Message, PROTOCOL};
use bosc_wire::mux::{ChannelId, Limits, Mux, MuxEvent};
use bosc_wire::secret_stream::{Config, SecretStream, Seeds};
use std::time::Duration;

/// How long a session may take from the end of its handshake to an open channel.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an ended session waits for the other side's end.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes that wait to be written.
pub(in crate::net) const MAX_OUTPUT: usize = 64 << 10;
/// Bytes that a session's frames may have: messages are 50 bytes, and dozens may share a frame.
const MAX_FRAME: usize = 16 << 10;

/// Which side we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) enum Role {
    /// It is our relay.
    Client,
    /// It is our client.
    Server,
}

pub(in crate::net) struct Session {
    pub(in crate::net) remote: PublicKey,
    pub(in crate::net) role: Role,
    pub(in crate::net) since: Duration,
    secret: SecretStream,
    mux: Mux,
    channel: Option<ChannelId>,
    /// Both sides opened the channel.
    pub(in crate::net) open: bool,
    /// When it ends, unless it opens or has ended before.
    until: Option<Duration>,
    ending: bool,
}

/// What a session has to say.
#[derive(Debug)]
pub(in crate::net) enum Said {
    /// Both sides opened the channel.
    Open,
    /// A message.
    Message(Message),
    /// It is over.
    Closed,
}

impl Session {
    fn new(
        remote: PublicKey,
        role: Role,
        secret: SecretStream,
        channel_id: &PublicKey,
        now: Duration,
    ) -> Self {
        // One channel, short names, and little that waits.
        let limits = Limits {
            max_buffered: MAX_FRAME,
            max_pending: 4,
            max_channels: 16,
            max_queued: MAX_FRAME,
            max_open: 64,
        };
        let mut mux = Mux::new(limits);
        let channel = mux.open(PROTOCOL, Some(channel_id), &[]).ok();
        let until = Some(now.saturating_add(OPEN_TIMEOUT));
        Self { remote, role, since: now, secret, mux, channel, open: false, until, ending: false }
    }

    /// Takes bytes of the stream. False when it cannot go on.
    fn feed(&mut self, bytes: &[u8], said: &mut Vec<Said>, now: Duration) -> bool {
        if self.secret.feed(bytes, now).is_err() || self.secret.buffered() > MAX_FRAME + bytes.len() {
            return false;
        }
        loop {
            match self.secret.next_message() {
                Ok(Some(frame)) if frame.is_empty() => {}
                Ok(Some(frame)) => {
                    if self.mux.feed(frame).is_err() || !self.mux_events(said) {
                        return false;
                    }
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn mux_events(&mut self, said: &mut Vec<Said>) -> bool {
        loop {
            match self.mux.poll_event() {
                Ok(None) => return !self.mux.is_paused(),
                Ok(Some(MuxEvent::RemoteOpen { protocol, id, .. })) => {
                    self.mux.reject(&protocol, id.as_deref());
                }
                Ok(Some(MuxEvent::Opened { channel, .. })) if Some(channel) == self.channel => {
                    self.open = true;
                    if !self.ending {
                        self.until = None;
                    }
                    said.push(Said::Open);
                }
                Ok(Some(MuxEvent::Message { channel, ty, payload })) if Some(channel) == self.channel => {
                    match Message::decode(ty, &payload) {
                        Ok(Some(message)) => said.push(Said::Message(message)),
                        Ok(None) => {}
                        Err(_) => return false,
                    }
                }
                Ok(Some(MuxEvent::Closed { .. })) | Err(_) => return false,
                Ok(Some(_)) => {}
            }
        }
    }

    fn next_timeout(&self) -> Option<Duration> {
        [self.secret.poll_timeout(), self.until].into_iter().flatten().min()
    }
}

impl NetMachine {
    /// Starts a session on a finished handshake. Gives its stream's id, none where that is taken.
    pub(in crate::net) fn start_session(&mut self, e: Established, role: Role, now: Duration) -> Option<u32> {
        let config = bosc_udx::Config {
            send_buffer: MAX_OUTPUT,
            receive_window: MAX_OUTPUT as u32,
            firewall: bosc_udx::Firewall::Surface,
            ..bosc_udx::Config::default()
        };
        let mut stream = Stream::new(e.local_id, config, now);
        stream.connect(e.socket, e.remote_id, e.to, now);
        if self.links.contains_key(&e.local_id) || self.has_relay_id(e.local_id) {
            self.unused.push_back(e.socket);
            return None;
        }
        let remote = e.handshake.remote_public_key;
        // Its id is the client's key, as in JavaScript.
        let channel_id = match role {
            Role::Client => self.key_pair.public(),
            Role::Server => remote,
        };
        let seeds = Seeds::draw(&mut self.entropy);
        let secret = SecretStream::from_handshake(e.initiator, e.handshake, Config::default(), seeds, now);
        if self.table.insert(stream).is_err() {
            self.unused.push_back(e.socket);
            return None;
        }
        if e.socket >= POOL {
            self.on_pool.insert(e.local_id, e.socket);
        }
        let session = Session::new(remote, role, secret, &channel_id, now);
        self.sessions.insert(e.local_id, session);
        self.write_session(e.local_id, now);
        Some(e.local_id)
    }

    /// Sends a message on a session.
    pub(in crate::net) fn say(&mut self, id: u32, message: &Message, now: Duration) {
        if let Some(session) = self.sessions.get_mut(&id)
            && let Some(channel) = session.channel
        {
            let _ = session.mux.send(channel, message.ty(), &message.encode());
            self.write_session(id, now);
        }
    }

    /// Writes what waits, as far as the stream takes it.
    fn write_session(&mut self, id: u32, now: Duration) {
        let (Some(session), Some(stream)) = (self.sessions.get_mut(&id), self.table.get_mut(id)) else {
            return;
        };
        while let Some(frame) = session.mux.poll_frame() {
            if session.secret.send_parts(frame.parts(), now).is_err() {
                break;
            }
        }
        while stream.write_capacity() > 0 {
            let Some(sealed) = session.secret.take_output() else { break };
            let _ = stream.write(sealed);
        }
        if session.secret.output_len() > MAX_OUTPUT {
            session.until = Some(now);
        } else if session.secret.output_len() > 0 {
            // Have the stream tell when there is room again.
            let _ = stream.write(bytes::Bytes::new());
        }
    }

    /// Ends a session after what was said on it. It has nothing more to say.
    pub(in crate::net) fn end_session(&mut self, id: u32, now: Duration) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.ending = true;
        session.until = Some(now.saturating_add(END_TIMEOUT));
        if let Some(stream) = self.table.get_mut(id) {
            stream.end();
        }
    }

    /// Takes an event of a session's stream. False when it is no session's.
    pub(in crate::net) fn session_event(&mut self, id: u32, event: &Event, now: Duration) -> bool {
        if !self.sessions.contains_key(&id) {
            return false;
        }
        match event {
            Event::Readable => self.read_session(id, now),
            Event::Writable => self.write_session(id, now),
            Event::RemoteEnded => {
                self.read_session(id, now);
                self.drop_session(id, true, now);
            }
            Event::Elsewhere { socket, from } => {
                self.table.get_mut(id).into_iter().for_each(|s| s.follow(*socket, *from, now));
            }
            Event::Closed(_) => {
                self.read_session(id, now);
                self.drop_session(id, false, now);
            }
            _ => {}
        }
        true
    }

    fn read_session(&mut self, id: u32, now: Duration) {
        while let Some(chunk) = self.table.get_mut(id).and_then(Stream::read) {
            let Some(session) = self.sessions.get_mut(&id) else { return };
            let mut said = Vec::new();
            let ok = session.feed(&chunk, &mut said, now);
            let (role, ending) = (session.role, session.ending);
            for said in said {
                if ending {
                    continue;
                }
                match role {
                    Role::Client => self.relay_said(id, &said, now),
                    Role::Server => self.client_said(id, &said, now),
                }
            }
            if !ok {
                self.drop_session(id, false, now);
                return;
            }
            self.write_session(id, now);
        }
    }

    /// Forgets a session. `politely`: our direction ends after what was written.
    pub(in crate::net) fn drop_session(&mut self, id: u32, politely: bool, now: Duration) {
        let Some(session) = self.sessions.remove(&id) else { return };
        let remote = bosc_format::id::encode(&session.remote);
        tracing::debug!(id, remote, politely, "a session with a relay or a client is over");
        if let Some(stream) = self.table.get_mut(id) {
            if politely {
                stream.end();
            } else {
                stream.destroy(now);
            }
        }
        match session.role {
            Role::Client => self.relay_said(id, &Said::Closed, now),
            Role::Server => self.client_said(id, &Said::Closed, now),
        }
    }

    pub(in crate::net) fn session_timeout(&self) -> Option<Duration> {
        self.sessions.values().filter_map(Session::next_timeout).min()
    }

    pub(in crate::net) fn session_timeouts(&mut self, now: Duration) {
        let due: Vec<u32> = self
            .sessions
            .iter()
            .filter(|(_, s)| s.next_timeout().is_some_and(|t| t <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            let late = session.until.is_some_and(|t| t <= now);
            if late || session.secret.handle_timeout(now).is_err() {
                self.drop_session(id, false, now);
            } else {
                self.write_session(id, now);
            }
        }
    }
}
