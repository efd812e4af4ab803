//! Counters of a stream.

use std::time::Duration;

/// What a stream has done so far, and how its path looks now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams sent.
    pub packets_sent: u64,
    /// Their bytes, UDX headers included.
    pub bytes_sent: u64,
    /// Datagrams that arrived for this stream.
    pub packets_received: u64,
    /// Their bytes, UDX headers included.
    pub bytes_received: u64,
    /// Data packets sent for the first time or again.
    pub data_packets_sent: u64,
    /// Data packets sent again.
    pub retransmitted_packets: u64,
    /// Data packets the peer has acknowledged.
    pub delivered_packets: u64,
    /// Data packets taken for lost.
    pub lost_packets: u64,
    /// Data packets taken for lost that had arrived.
    pub spurious_losses: u64,
    /// Data packets that arrived and were there already.
    pub duplicate_packets: u64,
    /// Data packets that arrived and were not taken (no room).
    pub refused_packets: u64,
    /// Times loss was found by later packets.
    pub fast_recoveries: u64,
    /// Times the retransmission timer ran out.
    pub timeouts: u64,
    /// Of those, for nothing.
    pub spurious_timeouts: u64,
    /// Tail loss probes sent.
    pub tail_probes: u64,
    /// Acknowledged ranges that made no sense.
    pub bad_ranges: u64,
    /// Messages dropped because nobody took them in time.
    pub dropped_messages: u64,
    /// Smoothed round trip.
    pub rtt: Option<Duration>,
    /// Least round trip of the last minutes.
    pub min_rtt: Option<Duration>,
    /// Bytes that may be in flight.
    pub congestion_window: u64,
    /// Bytes in flight.
    pub in_flight: u64,
    /// The peer's receive window, bytes.
    pub send_window: u32,
    /// Estimated bandwidth, bytes a second.
    pub bandwidth: u64,
    /// Packet size in use, IP, UDP and UDX headers included.
    pub mtu: u16,
}
