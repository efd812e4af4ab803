//! UDX: reliable, congestion-controlled streams over UDP, as a state machine without IO.
//!
//! It owns order, repetition, pacing, windows and packet sizes of a stream, and what is passed on between two streams of others.
//! It never touches a socket or a clock, never encrypts and never proves who sent a byte: that is `bosc-wire`'s, above it. Where
//! its files are: the end of this text.
//!
//! Speaks the wire format of libudx, the C library in npm udx-native 1.21.3, in both directions.
//!
//! # Driving a stream
//!
//! `now` is the time since any start the owner chose; it never goes backwards. After every call that changes
//! something, in this order:
//!
//! 1. [`Stream::poll_event`] until there is none,
//! 2. [`Stream::poll_transmit_many`] (or [`Stream::poll_transmit`]) until there is nothing to send, or the socket is
//!    full,
//! 3. [`Stream::next_timeout`]: call [`Stream::handle_timeout`] then.
//!
//! ```
//! use bosc_udx::{Config, Event, SocketTag, Stream};
//! use std::time::Duration;
//!
//! let socket = SocketTag(0);
//! let (at_a, at_b) = ("10.0.0.1:1000".parse()?, "10.0.0.2:2000".parse()?);
//! let mut now = Duration::ZERO;
//! let mut a = Stream::new(1, Config::default(), now);
//! let mut b = Stream::new(2, Config::default(), now);
//! a.connect(socket, 2, at_b, now);
//! b.connect(socket, 1, at_a, now);
//! a.write("hello".into())?;
//! a.end();
//! let mut datagram = Vec::new();
//! let transmit = a.poll_transmit(now, &mut datagram).expect("there is data");
//! assert_eq!(transmit.to, at_b);
//! now += Duration::from_millis(20);
//! b.handle_packet(socket, at_a, &datagram, now);
//! let events: Vec<Event> = std::iter::from_fn(|| b.poll_event()).collect();
//! assert_eq!(events, [Event::Connected, Event::Readable, Event::RemoteEnded]);
//! assert_eq!(b.read().as_deref(), Some(&b"hello"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A node with many streams keeps them in a [`StreamTable`], which finds the stream of a datagram, whatever socket it
//! came through, and keeps the order of timeouts.
//!
//! # Speed
//!
//! Work per packet is constant, or logarithmic in the number of gaps. Payload is copied once when sent (from the
//! writer's [`bytes::Bytes`] into the datagram) and once when received. To get the best of it:
//!
//! - Read as many datagrams as there are (up to about 64) before asking for packets: one acknowledgement then answers
//!   all of them.
//! - Send what [`Stream::poll_transmit_many`] gives with one call (UDP segmentation offload), or many `sendmmsg`.
//! - Ask the kernel for receive buffers of 1 MiB or more. Without that nothing breaks: on a short path, where all that
//!   is on its way lies in the receiver's socket buffer, window and pacing begin with about 100 packets, which the
//!   stock 208 KiB hold, and only grow while nothing is lost. That is also why next to nothing is sent twice on a
//!   loopback (`bbr` in the source says how this differs from libudx). [`Config::short_path_window`] does the same for
//!   what a libudx peer sends us.
//! - Forbid fragmentation on the sockets, so that packet size can grow from 1200 to what the path carries.
//!
//! # What a peer can do
//!
//! There is no authentication in UDX: whoever knows a stream's id can feed it bytes. What runs on top (Noise and
//! secretstream) finds out and destroys the stream. Below that, every buffer a peer fills is bounded: bytes in order
//! and ahead by the receive window and 256 KiB, packets ahead by number, messages by number, places the firewall
//! reports by number. A DESTROY counts only from an address we send to or one that has acknowledged our packets.
//!
//! # Files
//!
//! - `stream/`: the state machine, its states and bounds: packets in (`input`, with whose DESTROY counts, the firewall, messages) and
//!   out (`output`), time (`timers`, with keep-alives, idle and linger limits, when a silent peer is given up), a peer that moves
//!   (`stray`, `strays`). `table`: the streams of a node: which one a datagram is for, turns, time-outs.
//! - `relay`: packets passed on between two streams of others: rates, what waits, when a pair is over.
//! - `send/`: what is sent next, first time or again, and how much may be under way (`mod`); acknowledgements (`ack`); what counts as
//!   lost, when a probe is due, and a timeout (`loss`). `recv`: order, the window that is told, and how far a peer may overshoot it.
//! - `bbr`: congestion control (rate, window, steps back after loss or before a queue), with `filter`. `pacer`: when a packet may go,
//!   the largest burst. `rtt`: round trips, the least and most that a retransmission waits, a machine that slept. `mtu`: packet size,
//!   its probes, least and most.
//! - `header`: the wire format, flags, how many ranges. `sequence`: its numbers. `ranges`: sets of them.
//! - `config`, `event`, `stats`: what the owner chooses (receive window, time-outs), is told (why a stream closed), and may count.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]
#![forbid(unsafe_code)]

mod bbr;
mod config;
mod event;
mod filter;
pub mod header;
mod mtu;
mod pacer;
mod ranges;
mod recv;
mod relay;
mod rtt;
mod send;
mod sequence;
mod stats;
mod stream;
mod table;

pub use config::{Config, Firewall};
pub use event::{CloseReason, Event, MessageError, SocketTag, Transmit, WriteError};
pub use header::{set_stream_id, stream_id};
pub use relay::{RelayEnd, RelayLimits, RelayOver, RelayStats, RelayTable};
pub use stats::Stats;
pub use stream::Stream;
pub use table::{Dispatch, StreamTable};
