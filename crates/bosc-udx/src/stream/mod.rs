//! One stream: the state machine its owner drives.
//!
//! ```text
//!            connect                end() and RemoteEnded, both acknowledged
//!   Idle ─────────────→ Connected ─────────────────────────────────────────→ Lingering → Finished
//!     │                     │  destroy(), the peer's DESTROY, no answer          ↑
//!     └─────────────────────┴────────────────────────────────────────────────────┘
//! ```
//!
//! - **Idle**: packets are taken if the firewall says so, and read; nothing is sent. What came is acknowledged on
//!   `connect`.
//! - **Connected**: both directions work and end each on its own.
//! - **Lingering**: [`Event::Closed`] was told, all buffers but unread bytes are freed. Packets that crossed the end
//!   are answered: the end of the peer with an acknowledgement, anything on a destroyed stream with another DESTROY
//!   (a few times; libudx sends it once and hopes).
//! - **Finished**: nothing happens any more.
//!
//! # Files
//!
//! - Here: calls of the owner, places and messages that are remembered, writes that are refused. `input`: packets in: firewall, whose
//!   DESTROY counts, answers after the end. `output`: packets out, in which order. `timers`: what time demands: keep-alives, the
//!   probe of a closed window, idle and linger limits, when a silent peer is given up.
//! - `stray`: a peer that speaks from elsewhere: when it is believed, how long the old place is asked first. `strays`: what is known
//!   of where it speaks from.

mod input;
mod output;
mod stray;
mod strays;
mod timers;

use crate::config::{Config, Firewall};
use crate::event::{CloseReason, Event, MessageError, SocketTag, WriteError};
use crate::recv::Receiver;
use crate::send::Sender;
use crate::stats::Stats;
use crate::{mtu, sequence};
use bytes::Bytes;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Messages that wait to be sent.
const MESSAGES_OUT: usize = 64;
/// Places a stream remembers: surfaced by the firewall, and known to receive our packets.
const PLACES: usize = 8;
/// Writes beyond the high watermark's largest single write are refused.
const WRITE_MAX: usize = 64 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Connected,
    Lingering {
        until: u64,
        /// DESTROY packets sent in answer; each waits twice as long as the one before.
        answers: u32,
        /// When the next one may be sent.
        answer_at: u64,
    },
    Finished,
}

/// Where packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Path {
    socket: SocketTag,
    to: SocketAddr,
    remote_id: u32,
}

/// One reliable stream without IO. See the [crate's documentation](crate) for how to drive it.
#[derive(Debug)]
pub struct Stream {
    local_id: u32,
    config: Config,
    state: State,
    path: Option<Path>,
    previous: Option<Path>,
    /// Counts changes of the remote; packets remember theirs.
    generation: u32,
    changing_until: Option<u64>,
    /// The previous remote no longer answers: nothing more goes there.
    previous_dead: bool,
    sender: Sender,
    receiver: Receiver,
    ack_pending: bool,
    heartbeat_pending: bool,
    destroy_pending: bool,
    messages: VecDeque<Bytes>,
    messages_waiting: usize,
    firewall_waiting: usize,
    events: VecDeque<Event>,
    readable_told: bool,
    remote_ended_told: bool,
    writer_paused: bool,
    write_limit: usize,
    flush_wanted: bool,
    window_probe_at: Option<u64>,
    window_probes: u32,
    last_sent: u64,
    last_received: u64,
    surfaced: VecDeque<(SocketTag, SocketAddr)>,
    proven: VecDeque<SocketAddr>,
    strays: strays::Strays,
    stats: Stats,
}

impl Stream {
    /// A stream that is not connected. `local_id` is what the peer writes into its packets; the owner chooses it at
    /// random and unique among its streams. `now` is the time since any start, the same for every call.
    pub fn new(local_id: u32, config: Config, now: Duration) -> Self {
        let now = micros(now);
        let first = sequence::first(config.initial_sequence);
        let receive_first = sequence::first(0);
        let window = usize::try_from(config.receive_window).unwrap_or(usize::MAX);
        Stream {
            local_id,
            state: State::Idle,
            path: None,
            previous: None,
            generation: 0,
            changing_until: None,
            previous_dead: false,
            sender: Sender::new(now, first, receive_first, config.mtu_max, local_id),
            receiver: Receiver::new(receive_first, window),
            ack_pending: false,
            heartbeat_pending: false,
            destroy_pending: false,
            messages: VecDeque::new(),
            messages_waiting: 0,
            firewall_waiting: 0,
            events: VecDeque::new(),
            readable_told: false,
            remote_ended_told: false,
            writer_paused: false,
            write_limit: usize::MAX,
            flush_wanted: false,
            window_probe_at: None,
            window_probes: 0,
            last_sent: now,
            last_received: now,
            surfaced: VecDeque::new(),
            proven: VecDeque::new(),
            strays: strays::Strays::default(),
            stats: Stats::default(),
            config,
        }
    }

    /// The id the peer writes into its packets.
    pub fn local_id(&self) -> u32 {
        self.local_id
    }

    /// The id we write into our packets, once connected.
    pub fn remote_id(&self) -> Option<u32> {
        self.path.map(|path| path.remote_id)
    }

    /// Where our packets go, once connected.
    pub fn remote(&self) -> Option<(SocketTag, SocketAddr)> {
        self.path.map(|path| (path.socket, path.to))
    }

    /// [`Stream::connect`] was called and the stream is not over.
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// [`Event::Closed`] was told or is about to be.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Lingering { .. } | State::Finished)
    }

    /// Nothing happens any more: the owner may drop the stream (after taking its events and bytes).
    pub fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// Connects: from now on packets go to `remote` through `socket`, with `remote_id`. What arrived before is
    /// acknowledged. Does nothing if the stream is connected or over.
    pub fn connect(&mut self, socket: SocketTag, remote_id: u32, remote: SocketAddr, now: Duration) {
        if self.state != State::Idle {
            return;
        }
        let now = micros(now);
        self.state = State::Connected;
        self.path = Some(Path { socket, to: remote, remote_id });
        self.last_sent = now;
        self.last_received = now;
        self.events.push_back(Event::Connected);
    }

    /// As [`Stream::connect`], for a peer whose numbering does not start at 0 (`ack` of udx-native's `connect`).
    pub fn connect_at(
        &mut self,
        socket: SocketTag,
        remote_id: u32,
        remote: SocketAddr,
        remote_sequence: u32,
        now: Duration,
    ) {
        if self.state == State::Idle {
            let first = sequence::first(remote_sequence);
            self.receiver.set_next(first);
            self.sender.set_receive_first(self.receiver.next());
        }
        self.connect(socket, remote_id, remote, now);
    }

    /// Moves a connected stream to another remote. Packets that are already on their way are repeated to the old one
    /// once, or not at all after a timeout; when all of them have arrived, [`Event::RemoteChanged`] is told. Packet size starts over.
    /// Does nothing if the stream is not connected.
    pub fn change_remote(&mut self, socket: SocketTag, remote_id: u32, remote: SocketAddr, _now: Duration) {
        if self.state != State::Connected {
            return;
        }
        let next = Path { socket, to: remote, remote_id };
        if self.path == Some(next) {
            return;
        }
        self.previous = self.path.replace(next);
        self.previous_dead = self.sender.in_timeout();
        self.generation = self.generation.wrapping_add(1);
        self.sender.mtu.reset();
        if self.sender.has_outstanding() {
            self.changing_until = Some(self.sender.next());
        } else {
            self.changing_until = None;
            self.events.push_back(Event::RemoteChanged);
        }
    }

    /// True if a packet from there would be taken without [`Event::Firewall`].
    pub fn expects(&self, socket: SocketTag, from: SocketAddr) -> bool {
        self.knows_socket(socket) || self.surfaced.contains(&(socket, canonical(from)))
    }

    /// Queues bytes. All or nothing: `Ok(true)` if more may follow at once, `Ok(false)` if the writer should wait for
    /// [`Event::Writable`]. Bytes written before [`Stream::connect`] leave with it.
    ///
    /// # Errors
    /// [`WriteError::Full`] if the writer did not wait, [`WriteError::Ended`] after [`Stream::end`],
    /// [`WriteError::Closed`] when the stream is over.
    pub fn write(&mut self, bytes: Bytes) -> Result<bool, WriteError> {
        if self.is_closed() {
            return Err(WriteError::Closed);
        }
        if self.sender.ending() {
            return Err(WriteError::Ended);
        }
        if self.sender.buffered() >= self.high_watermark() || bytes.len() > WRITE_MAX {
            self.writer_paused = true;
            return Err(WriteError::Full);
        }
        self.sender.write(bytes);
        self.writer_paused = self.sender.buffered() >= self.high_watermark();
        Ok(!self.writer_paused)
    }

    /// Bytes a writer may add before it should wait.
    pub fn write_capacity(&self) -> usize {
        if self.is_closed() || self.sender.ending() {
            return 0;
        }
        self.high_watermark().saturating_sub(self.sender.buffered())
    }

    /// Bytes written and not acknowledged yet.
    pub fn unacknowledged(&self) -> usize {
        self.sender.buffered()
    }

    /// Has [`Stream::write`] ask the writer to pause at so many unacknowledged bytes, even if the path would take more:
    /// for an owner of many streams, who shares memory among them. Without it there is no such limit.
    pub fn set_write_limit(&mut self, bytes: usize) {
        self.write_limit = bytes;
    }

    /// Asks for [`Event::Flushed`] when everything written so far is acknowledged (at once if it is).
    pub fn flush(&mut self) {
        if self.sender.buffered() == 0 {
            self.events.push_back(Event::Flushed);
        } else {
            self.flush_wanted = true;
        }
    }

    /// Ends our direction after what was written. The other direction goes on until the peer ends it.
    pub fn end(&mut self) {
        if !self.is_closed() {
            self.sender.queue_end();
        }
    }

    /// Forgets the stream at once and tells the peer. Unread bytes stay readable.
    pub fn destroy(&mut self, now: Duration) {
        if !self.is_closed() {
            self.close(micros(now), CloseReason::Destroyed);
        }
    }

    /// The next bytes in order, none if there are none now. A piece is up to 64 KiB.
    pub fn read(&mut self) -> Option<Bytes> {
        let bytes = self.receiver.read();
        if bytes.is_none() {
            self.readable_told = false;
        } else if self.state == State::Connected && self.receiver.wants_window_update() {
            self.ack_pending = true;
        }
        bytes
    }

    /// Bytes that can be read now.
    pub fn readable(&self) -> usize {
        self.receiver.unread()
    }

    /// The peer has ended its direction and everything was read.
    pub fn is_read_finished(&self) -> bool {
        self.receiver.ended() && self.receiver.unread() == 0
    }

    /// The reader is gone: what the peer sends is acknowledged and dropped.
    pub fn discard_incoming(&mut self) {
        self.receiver.discard();
    }

    /// Sends a message outside of the stream: it may be lost, doubled or late, and is not held back by congestion
    /// control.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn send_message(&mut self, message: Bytes) -> Result<(), MessageError> {
        if self.state != State::Connected {
            return Err(MessageError::NotConnected);
        }
        if message.len() > self.max_message() {
            return Err(MessageError::TooLarge);
        }
        if self.messages.len() >= MESSAGES_OUT {
            return Err(MessageError::Full);
        }
        self.messages.push_back(message);
        Ok(())
    }

    /// The longest message now. It grows as the path is found to carry more.
    pub fn max_message(&self) -> usize {
        let overhead = self.path.map_or(68, |path| mtu::overhead(path.to));
        usize::from(self.sender.mtu.current().saturating_sub(overhead))
    }

    /// Changes the interval of heartbeats; see [`Config::keep_alive`].
    pub fn set_keep_alive(&mut self, interval: Option<Duration>) {
        self.config.keep_alive = interval;
    }

    /// The next event. Ask until there is none after every call that takes a packet or a timeout.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        match event {
            Some(Event::Message(_)) => self.messages_waiting = self.messages_waiting.saturating_sub(1),
            Some(Event::Firewall { .. }) => self.firewall_waiting = self.firewall_waiting.saturating_sub(1),
            _ => {}
        }
        event
    }

    /// True if [`Stream::poll_event`] has something.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Counters, and how the path looks.
    pub fn stats(&self) -> Stats {
        let duration = Duration::from_micros;
        Stats {
            rtt: self.sender.rtt.smoothed().map(duration),
            min_rtt: self.sender.rtt.min().map(duration),
            congestion_window: self.sender.bbr.cwnd(),
            in_flight: self.sender.inflight(),
            send_window: self.sender.window(),
            bandwidth: (self.sender.bbr.bandwidth() * 1e6) as u64,
            mtu: self.sender.mtu.current(),
            ..self.stats
        }
    }

    fn high_watermark(&self) -> usize {
        let cwnd = usize::try_from(self.sender.bbr.cwnd()).unwrap_or(usize::MAX);
        let window = usize::try_from(self.sender.window()).unwrap_or(usize::MAX);
        self.config.send_buffer.saturating_add(cwnd.min(window)).min(self.write_limit)
    }

    fn knows_socket(&self, socket: SocketTag) -> bool {
        let known = |path: Option<Path>| path.is_some_and(|path| path.socket == socket);
        known(self.path) || known(self.previous)
    }

    /// A place that surely belongs to the peer: we send there, or it acknowledged what we sent.
    fn trusts(&self, from: SocketAddr) -> bool {
        let known = |path: Option<Path>| path.is_some_and(|path| canonical(path.to) == from);
        known(self.path) || known(self.previous) || self.proven.contains(&from)
    }

    fn surfaces(&self) -> bool {
        self.config.firewall == Firewall::Surface
    }

    fn close(&mut self, now: u64, reason: CloseReason) {
        let connected = self.state == State::Connected;
        let linger = micros(self.config.linger);
        let until = now.saturating_add(linger);
        self.state = match reason {
            CloseReason::Destroyed | CloseReason::TimedOut if connected => {
                self.destroy_pending = true;
                self.ack_pending = false;
                State::Lingering { until, answers: 0, answer_at: now }
            }
            CloseReason::Ended => State::Lingering { until, answers: 0, answer_at: until },
            CloseReason::Destroyed | CloseReason::TimedOut | CloseReason::Reset => State::Finished,
        };
        self.sender.close();
        self.receiver.close();
        self.messages = VecDeque::new();
        self.heartbeat_pending = false;
        self.changing_until = None;
        self.events.push_back(Event::Closed(reason));
    }

    fn close_if_ended(&mut self, now: u64) {
        if self.state == State::Connected && self.sender.end_acked() && self.receiver.ended() {
            self.close(now, CloseReason::Ended);
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
