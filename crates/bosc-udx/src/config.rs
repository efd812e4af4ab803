//! What the owner of a stream chooses.

use std::time::Duration;

/// Receive window libudx tells and takes for granted: 4 MiB.
pub(crate) const DEFAULT_WINDOW: u32 = 4 * 1024 * 1024;

/// What becomes of packets that arrive on a socket the stream is not connected through: any socket before
/// [`crate::Stream::connect`], another one after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Firewall {
    /// They are dropped (the default of udx-native).
    #[default]
    Deny,
    /// They are taken, and [`crate::Event::Firewall`] tells the owner where they came from, as HyperDHT's streams do:
    /// the owner answers with [`crate::Stream::connect`] or [`crate::Stream::change_remote`], or destroys the stream.
    /// An owner that wants to decide before a packet is taken asks [`crate::Stream::expects`] first.
    Surface,
}

/// What the owner of a stream chooses. `Config::default()` is what udx-native does.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The first sequence number of our packets.
    pub initial_sequence: u32,
    /// Bytes we hold for a reader who is slow; the peer is told. Default 4 MiB.
    pub receive_window: u32,
    /// Largest window told on a path whose round trip is below 1.5 ms. There nearly all that is on its way lies in the
    /// socket's receive buffer, and libudx would overrun it: choose what that buffer surely holds (about two thirds of
    /// what the kernel was asked for and gave). Default 640 KiB, for a buffer of 1 MiB.
    pub short_path_window: u32,
    /// Bytes that wait for a packet or an acknowledgement before [`crate::Stream::write`] asks the writer to pause;
    /// the congestion window comes on top, so that a long path is kept full. Default 256 KiB.
    pub send_buffer: usize,
    /// Largest packet to try, IP, UDP and UDX headers included: 1200 to 2048. Default 1500. The owner's sockets must
    /// forbid fragmentation for the search to find what the path carries.
    pub mtu_max: u16,
    /// After this long without sending, a heartbeat is sent. It keeps address translators awake; its answer counts as
    /// a sign of life for `idle_timeout`. Default none.
    pub keep_alive: Option<Duration>,
    /// After this long without any packet from the peer the stream closes with [`crate::CloseReason::TimedOut`].
    /// Default none: as libudx, only data that is never acknowledged closes a stream.
    pub idle_timeout: Option<Duration>,
    /// Time without any acknowledgement of outstanding data after which the stream closes (and after at least four
    /// timeouts in a row). Default 13 s, about what libudx takes.
    pub give_up_after: Duration,
    /// How long a closed stream still answers packets that crossed its end (see [`crate::Stream::is_finished`]).
    /// Default 10 s.
    pub linger: Duration,
    /// See [`Firewall`].
    pub firewall: Firewall,
    /// Messages that wait to be taken; more are dropped. Default 64.
    pub message_queue: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            initial_sequence: 0,
            receive_window: DEFAULT_WINDOW,
            short_path_window: 640 * 1024,
            send_buffer: 256 * 1024,
            mtu_max: 1500,
            keep_alive: None,
            idle_timeout: None,
            give_up_after: Duration::from_secs(13),
            linger: Duration::from_secs(10),
            firewall: Firewall::Deny,
            message_queue: 64,
        }
    }
}
