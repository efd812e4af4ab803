//! The streams of a node.
//!
//! A stream belongs to the node, not to a socket: its packets may arrive through any of the node's sockets. The table
//! finds the stream of a datagram, remembers which streams have something to say, and which timeout is next.
//!
//! Invariants: a stream that was touched is in `active` until it has nothing to send, and in `eventful` until it has
//! no events, once each; `timers` holds one entry for each stream whose `deadline` is set.

use crate::event::{Event, SocketTag, Transmit};
use crate::header;
use crate::stream::Stream;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// What a datagram turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatch {
    /// Not UDX: another protocol on the same socket.
    NotUdx,
    /// UDX for a stream that does not exist (libudx hands these on like foreign datagrams).
    Unknown(u32),
    /// It was given to this stream.
    Stream(u32),
}

#[derive(Debug)]
struct Entry {
    stream: Stream,
    active: bool,
    eventful: bool,
    deadline: Option<Duration>,
}

/// Streams by their local id.
#[derive(Debug, Default)]
pub struct StreamTable {
    entries: HashMap<u32, Entry>,
    /// Streams that may have something to send.
    active: VecDeque<u32>,
    /// Streams that may have events.
    eventful: VecDeque<u32>,
    timers: BTreeSet<(Duration, u32)>,
}

impl StreamTable {
    /// An empty table.
    pub fn new() -> Self {
        StreamTable::default()
    }

    /// Number of streams.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// No streams.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Draws ids until one is free.
    pub fn unused_id(&self, mut random: impl FnMut() -> u32) -> u32 {
        loop {
            let id = random();
            if !self.entries.contains_key(&id) {
                return id;
            }
        }
    }

    /// Adds a stream under its local id. Gives it back if the id is taken.
    #[expect(clippy::result_large_err, reason = "the error is the argument")]
    pub fn insert(&mut self, stream: Stream) -> Result<(), Stream> {
        let id = stream.local_id();
        if self.entries.contains_key(&id) {
            return Err(stream);
        }
        self.entries.insert(id, Entry { stream, active: false, eventful: false, deadline: None });
        self.touch(id);
        Ok(())
    }

    /// Takes a stream out.
    pub fn remove(&mut self, id: u32) -> Option<Stream> {
        let entry = self.entries.remove(&id)?;
        if let Some(deadline) = entry.deadline {
            self.timers.remove(&(deadline, id));
        }
        self.active.retain(|&other| other != id);
        self.eventful.retain(|&other| other != id);
        Some(entry.stream)
    }

    /// Looks at a stream.
    pub fn get(&self, id: u32) -> Option<&Stream> {
        self.entries.get(&id).map(|entry| &entry.stream)
    }

    /// A stream to change; it will be asked for events and packets.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        self.touch(id);
        self.entries.get_mut(&id).map(|entry| &mut entry.stream)
    }

    /// The ids, in no order.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries.keys().copied()
    }

    /// Gives a datagram to the stream it is for.
    pub fn handle_datagram(
        &mut self,
        socket: SocketTag,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> Dispatch {
        let Some(id) = header::stream_id(datagram) else { return Dispatch::NotUdx };
        match self.get_mut(id) {
            Some(stream) => {
                stream.handle_packet(socket, from, datagram, now);
                Dispatch::Stream(id)
            }
            None => Dispatch::Unknown(id),
        }
    }

    /// The next event of any stream. A stream that is finished and has no events left is dropped from the table by
    /// the owner with [`StreamTable::remove`].
    pub fn poll_event(&mut self) -> Option<(u32, Event)> {
        while let Some(&id) = self.eventful.front() {
            if let Some(entry) = self.entries.get_mut(&id) {
                if let Some(event) = entry.stream.poll_event() {
                    return Some((id, event));
                }
                entry.eventful = false;
            }
            self.eventful.pop_front();
        }
        None
    }

    /// Appends the next datagrams of any stream to `out`, up to `max` for one place (see
    /// [`Stream::poll_transmit_many`]). Streams take turns.
    pub fn poll_transmit(&mut self, now: Duration, max: usize, out: &mut Vec<u8>) -> Option<(u32, Transmit)> {
        while let Some(id) = self.active.pop_front() {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            if !entry.active {
                continue;
            }
            if let Some(transmit) = entry.stream.poll_transmit_many(now, max, out) {
                self.active.push_back(id);
                return Some((id, transmit));
            }
            entry.active = false;
            let deadline = entry.stream.next_timeout();
            if deadline != entry.deadline {
                if let Some(old) = entry.deadline.take() {
                    self.timers.remove(&(old, id));
                }
                entry.deadline = deadline;
                if let Some(new) = deadline {
                    self.timers.insert((new, id));
                }
            }
        }
        None
    }

    /// When [`StreamTable::handle_timeout`] wants to be called. Only right after [`StreamTable::poll_transmit`] has
    /// answered none.
    pub fn next_timeout(&self) -> Option<Duration> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// Lets every stream do what is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                return;
            }
            self.timers.pop_first();
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.deadline = None;
                entry.stream.handle_timeout(now);
            }
            self.touch(id);
        }
    }

    fn touch(&mut self, id: u32) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if !entry.active {
            entry.active = true;
            self.active.push_back(id);
        }
        if !entry.eventful {
            entry.eventful = true;
            self.eventful.push_back(id);
        }
    }
}
