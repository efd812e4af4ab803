//! Packets of UDX.

use crate::Input;
use bosc_udx::header::{self, HEADER_LEN, Header, Packet, flags};
use bosc_udx::{Config, SocketTag, Stream, StreamTable};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// The fixed header, acknowledged ranges, and rewriting a stream id.
pub fn header(data: &[u8]) {
    let id = header::stream_id(data);
    let Some(h) = Header::decode(data) else {
        assert!(Packet::parse(data).is_none() && id.is_none());
        return;
    };
    assert_eq!(id, Some(h.stream_id));
    assert_eq!(&h.encode()[..], &data[..HEADER_LEN]);
    if let Some(p) = Packet::parse(data) {
        assert!(p.sack_ranges().count() * 8 <= data.len());
    }
    let mut copy = data.to_vec();
    assert!(header::set_stream_id(&mut copy, 77));
    assert_eq!(header::stream_id(&copy), Some(77));
}

fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 1000))
}

/// What a stream may keep of what was sent to it: its window, and what may lie ahead of it.
const WINDOW: usize = 64 * 1024;
const MAX_KEPT: usize = WINDOW + 256 * 1024 + 65_536;

/// A live stream that sends and receives; a step is a packet. The upper bits of a step's first byte say what is put
/// right in the packet beforehand: the stream's id, a sequence number near the one expected, an acknowledgement near
/// what was sent.
pub fn stream(data: &[u8]) {
    let mut input = Input::new(data);
    let now0 = Duration::from_secs(1);
    let config = Config { receive_window: WINDOW as u32, ..Config::default() };
    let mut table = StreamTable::new();
    let mut stream = Stream::new(5, config, now0);
    let (socket, peer) = (SocketTag(0), address(2));
    stream.connect(socket, 6, peer, now0);
    table.insert(stream).unwrap();
    let (mut now, mut out, mut sent, mut next) = (now0, Vec::new(), 0u32, 0u32);
    let _ = table.get_mut(5).unwrap().write(Bytes::from_static(&[1; 5000]));
    for _ in 0..300 {
        let Some((op, bytes)) = input.step() else { break };
        let mut packet = bytes.to_vec();
        if packet.len() >= HEADER_LEN && op & 0x80 == 0 {
            packet[..2].copy_from_slice(&[255, 1]);
            packet[4..8].copy_from_slice(&5u32.to_le_bytes());
            let near = |b: u8, to: u32| to.wrapping_add(u32::from(b)).wrapping_sub(8).to_le_bytes();
            if op & 0x40 == 0 {
                let at = near(packet[12] % 24, next);
                packet[12..16].copy_from_slice(&at);
            }
            if op & 0x20 == 0 {
                let at = near(packet[16] % 24, sent);
                packet[16..20].copy_from_slice(&at);
            }
        }
        if let Some(h) = Header::decode(&packet)
            && h.flags & flags::SEQUENCED != 0
        {
            next = h.sequence.wrapping_add(1);
        }
        now += Duration::from_micros(u64::from(op & 0x0f) * 700);
        let from = if op & 0x10 == 0 { peer } else { address(op & 3) };
        table.handle_datagram(socket, from, &packet, now);
        while table.poll_event().is_some() {}
        out.clear();
        for _ in 0..64 {
            if table.poll_transmit(now, 8, &mut out).is_none() {
                break;
            }
        }
        if table.next_timeout().is_some_and(|at| at <= now) {
            table.handle_timeout(now);
        }
        let Some(stream) = table.get_mut(5) else { break };
        sent = stream.stats().data_packets_sent as u32;
        assert!(stream.readable() <= MAX_KEPT, "{}", stream.readable());
        if op & 1 != 0 {
            while stream.read().is_some() {}
            let _ = stream.write(Bytes::from_static(&[2; 1500]));
            let _ = stream.send_message(Bytes::from_static(b"message"));
        }
    }
    // Whatever came, time alone ends it.
    for _ in 0..200 {
        let Some(at) = table.next_timeout() else { break };
        now = now.max(at);
        table.handle_timeout(now);
        while table.poll_event().is_some() {}
        out.clear();
        while table.poll_transmit(now, 8, &mut out).is_some() {
            out.clear();
        }
    }
}
