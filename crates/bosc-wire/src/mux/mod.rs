//! Many channels over one stream of messages, as npm `protomux` 3 has them.
//!
//! A channel is named by a protocol string and an optional id. Each side opens it on its own, with a handshake
//! the other side sees; when both did, the channel is open and messages, numbered by type, flow. On the wire a
//! frame is `uint channel || uint type || payload`, the channel numbered by its sender. Channel 0 carries the
//! mux's own messages: batch (0), open (1), reject (2), close (3).
//!
//! States of a channel, seen from here: opened by us and waiting; opened by them and waiting for
//! [`Mux::open`] or [`Mux::reject`] ([`MuxEvent::RemoteOpen`]); open on both sides ([`MuxEvent::Opened`]);
//! closed ([`MuxEvent::Closed`]). Messages may be sent as soon as we opened; the other side keeps them until it
//! opens too, as we do with theirs.
//!
//! Invariants:
//! * Frames are decoded one message per [`Mux::poll_event`], so a frame of a million messages costs no more
//!   memory than its bytes.
//! * What a peer can make us keep is bounded by [`Limits`]. When too much waits for us to open or reject
//!   channels the mux pauses ([`Mux::is_paused`]): stop feeding it, decide, go on.
//! * Payloads are slices of the received frame, never copies. Payloads to send are copied only when small.
//!
//! # Files
//!
//! - Here: states of a channel, opened, rejected, closed; a mux that pauses.
//! - `table`: channels and their numbers, which offers are paired, when a number is used again. `incoming`: frames and batches cut
//!   into messages. `outgoing`: frames to send, and how large a batch becomes.
//! - `event`: channels, and what happens to them. `limits`: how long a frame may be, and how much a peer can make us keep. `error`:
//!   why a call or a frame was refused.

mod error;
mod event;
mod incoming;
mod limits;
mod outgoing;
mod table;

use bosc_format::codec::{DecodeError, Decoder, Encoder, uint_len};
use bytes::{Buf, Bytes};
use incoming::{Incoming, read_uint};
use limits::FRAME_HEAD;
use outgoing::Outgoing;
use std::collections::VecDeque;
use std::sync::Arc;
use table::{Close, Key, Pending, Table};

pub use error::MuxError;
pub use event::{ChannelId, CloseReason, MuxEvent};
pub use limits::{Limits, MAX_FRAME, MAX_PAYLOAD};
pub use outgoing::Frame;

const CONTROL_OPEN: u64 = 1;
const CONTROL_REJECT: u64 = 2;
const CONTROL_CLOSE: u64 = 3;

/// Events to hand out before more input is decoded.
#[derive(Debug)]
enum Queued {
    Event(MuxEvent),
    /// The other side closed this channel before we opened it; its messages are queued before this.
    RemoteClosed(u32),
}

/// One end of a protomux.
#[derive(Debug, Default)]
pub struct Mux {
    limits: Limits,
    table: Table,
    incoming: Incoming,
    outgoing: Outgoing,
    queued: VecDeque<Queued>,
}

impl Mux {
    /// A mux without channels.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Opens a channel. An empty id is the same as none. When the other side already opened the same name, the
    /// channel is open at once and [`MuxEvent::Opened`] follows.
    pub fn open(
        &mut self,
        protocol: &str,
        id: Option<&[u8]>,
        handshake: &[u8],
    ) -> Result<ChannelId, MuxError> {
        let id = id.unwrap_or_default();
        let len = protocol.len().saturating_add(id.len()).saturating_add(handshake.len());
        if len > MAX_PAYLOAD {
            return Err(MuxError::TooLong(len));
        }
        let key = Arc::new(Key::new(protocol, id));
        let (channel, pending) = self.table.open(&key);
        let mut e = Encoder::with_capacity(len + FRAME_HEAD);
        e.uint(CONTROL_OPEN).uint(local_number(channel)).string(protocol).buffer(id).raw(handshake);
        self.outgoing.control(e.as_slice());
        if let Some((remote, pending)) = pending {
            self.queue(MuxEvent::Opened { channel, handshake: pending.handshake });
            for (ty, payload) in pending.messages {
                self.queue(MuxEvent::Message { channel, ty, payload });
            }
            if pending.closed {
                self.queued.push_back(Queued::RemoteClosed(remote));
            }
        }
        Ok(channel)
    }

    /// Refuses all channels of this name that the other side opened and we did not.
    pub fn reject(&mut self, protocol: &str, id: Option<&[u8]>) {
        for remote in self.table.reject(&Key::new(protocol, id.unwrap_or_default())) {
            let mut e = Encoder::new();
            e.uint(CONTROL_REJECT).uint(u64::from(remote));
            self.outgoing.control(e.as_slice());
        }
    }

    /// Whether we have a channel of this name, open on our side at least.
    pub fn is_opened(&self, protocol: &str, id: Option<&[u8]>) -> bool {
        self.table.is_opened(&Key::new(protocol, id.unwrap_or_default()))
    }

    /// Whether the channel exists and is not closed.
    pub fn contains(&self, channel: ChannelId) -> bool {
        self.table.contains(channel)
    }

    /// How many channels we have.
    pub fn channels(&self) -> usize {
        self.table.len()
    }

    /// Sends one message. `payload` is copied.
    pub fn send(&mut self, channel: ChannelId, ty: u32, payload: &[u8]) -> Result<(), MuxError> {
        self.send_with(channel, ty, payload.len(), |out| out.put(payload))
    }

    /// Sends one message whose payload is the concatenation of `parts`. Parts over 1 KiB are not copied.
    pub fn send_parts(&mut self, channel: ChannelId, ty: u32, parts: &[Bytes]) -> Result<(), MuxError> {
        let len = parts.iter().fold(0usize, |n, p| n.saturating_add(p.len()));
        self.send_with(channel, ty, len, |out| parts.iter().for_each(|p| out.put_bytes(p)))
    }

    fn send_with(
        &mut self,
        channel: ChannelId,
        ty: u32,
        len: usize,
        fill: impl FnOnce(&mut outgoing::Builder),
    ) -> Result<(), MuxError> {
        if len > MAX_PAYLOAD {
            return Err(MuxError::TooLong(len));
        }
        if !self.table.contains(channel) {
            return Err(MuxError::Closed);
        }
        self.outgoing.message(local_number(channel), uint_len(u64::from(ty)) + len, |out| {
            out.put_uint(u64::from(ty));
            fill(out);
        });
        Ok(())
    }

    /// Closes a channel. No event follows. Does nothing when it is closed already.
    pub fn close(&mut self, channel: ChannelId) {
        if self.table.close(channel) {
            let mut e = Encoder::new();
            e.uint(CONTROL_CLOSE).uint(local_number(channel));
            self.outgoing.control(e.as_slice());
        }
    }

    /// Begins to gather what is sent into one frame, until the matching [`uncork`](Self::uncork). Nests.
    pub fn cork(&mut self) {
        self.outgoing.cork();
    }

    /// Ends what [`cork`](Self::cork) began.
    pub fn uncork(&mut self) {
        self.outgoing.uncork();
    }

    /// Takes one received frame. Nothing is decoded before [`poll_event`](Self::poll_event).
    pub fn feed(&mut self, frame: Bytes) -> Result<(), MuxError> {
        if self.incoming.bytes().saturating_add(frame.len()) > self.limits.max_queued {
            return Err(MuxError::Backlog);
        }
        self.incoming.push(frame);
        Ok(())
    }

    /// Whether the mux waits for [`open`](Self::open) or [`reject`](Self::reject) before it decodes more.
    pub fn is_paused(&self) -> bool {
        self.table.buffered > self.limits.max_buffered || self.table.pending > self.limits.max_pending
    }

    /// The next event, decoding fed frames as far as needed.
    pub fn poll_event(&mut self) -> Result<Option<MuxEvent>, MuxError> {
        loop {
            match self.queued.pop_front() {
                Some(Queued::RemoteClosed(remote)) => self.remote_closed(remote),
                Some(Queued::Event(MuxEvent::Message { channel, .. })) if !self.table.contains(channel) => {}
                Some(Queued::Event(event)) => return Ok(Some(event)),
                None if self.is_paused() => return Ok(None),
                None => match self.incoming.next()? {
                    None => return Ok(None),
                    Some((0, message)) => self.on_control(message)?,
                    Some((remote, message)) => {
                        if let Some(event) = self.on_message(remote, message)? {
                            return Ok(Some(event));
                        }
                    }
                },
            }
        }
    }

    /// The next frame to send.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        self.outgoing.take()
    }

    /// Bytes waiting for [`poll_frame`](Self::poll_frame), without what is corked.
    pub fn output_len(&self) -> usize {
        self.outgoing.bytes()
    }

    /// Closes all channels because the stream ended. [`MuxEvent::Closed`] follows for each.
    pub fn shutdown(&mut self) {
        self.incoming = Incoming::default();
        for channel in self.table.shutdown() {
            self.queue(MuxEvent::Closed { channel, reason: CloseReason::Shutdown });
        }
    }

    fn queue(&mut self, event: MuxEvent) {
        self.queued.push_back(Queued::Event(event));
    }

    fn on_message(&mut self, remote: u64, mut message: Bytes) -> Result<Option<MuxEvent>, MuxError> {
        let ty = read_uint(&mut message)?;
        // A type nobody can have registered is ignored, as is a message for a closed channel.
        let Ok(ty) = u32::try_from(ty) else { return Ok(None) };
        Ok(self.table.route(remote, ty, message).map(|(channel, payload)| MuxEvent::Message {
            channel,
            ty,
            payload,
        }))
    }

    fn on_control(&mut self, mut message: Bytes) -> Result<(), MuxError> {
        match read_uint(&mut message)? {
            CONTROL_OPEN => self.on_open(message),
            CONTROL_REJECT => {
                let local = read_uint(&mut message)?;
                match self.table.rejected(local).ok_or(MuxError::InvalidReject)? {
                    Close::AlreadyClosed => {}
                    Close::Closed(channel) => {
                        self.queue(MuxEvent::Closed { channel, reason: CloseReason::Rejected });
                    }
                }
                Ok(())
            }
            CONTROL_CLOSE => {
                let remote = read_uint(&mut message)?;
                if let Ok(remote) = u32::try_from(remote) {
                    self.remote_closed(remote);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_open(&mut self, mut message: Bytes) -> Result<(), MuxError> {
        let max = self.limits.max_open;
        let mut d = Decoder::new(&message);
        let remote = d.uint()?;
        let protocol = d.string()?;
        let id = d.buffer()?;
        if protocol.len() > max || id.len() > max || d.rest().len() > max {
            return Err(DecodeError::TooLarge("channel name").into());
        }
        let key = Key::new(protocol, id);
        let used = message.len().saturating_sub(d.rest().len());
        message.advance(used);
        let remote = u32::try_from(remote).map_err(|_| MuxError::InvalidOpen)?;
        if remote as usize > self.limits.max_channels {
            return Err(MuxError::TooManyChannels);
        }
        // Small: not worth holding the whole frame for.
        let handshake = Bytes::copy_from_slice(&message);
        match self.table.remote_open(remote, key, Pending::new(handshake.clone()))? {
            table::Open::Ignored => {}
            table::Open::Paired(channel) => self.queue(MuxEvent::Opened { channel, handshake }),
            table::Open::Waiting(key) => {
                let id = (!key.id.is_empty()).then(|| key.id.clone());
                self.queue(MuxEvent::RemoteOpen { protocol: key.protocol.clone(), id, handshake });
            }
        }
        Ok(())
    }

    fn remote_closed(&mut self, remote: u32) {
        if let Some(channel) = self.table.remote_close(remote) {
            self.queue(MuxEvent::Closed { channel, reason: CloseReason::Remote });
        }
    }
}

/// The number a channel of ours has on the wire.
fn local_number(channel: ChannelId) -> u64 {
    u64::from(channel.slot) + 1
}

#[cfg(test)]
mod tests;
