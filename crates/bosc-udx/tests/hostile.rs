//! What a peer, or anyone who knows a stream's id, may send.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(clippy::print_stdout, reason = "figures")]

mod common;

use bosc_testkit::{LinkConfig, Replay, Rng};
use bosc_udx::header::{Header, flags, push_sack_range};
use bosc_udx::{Config, Dispatch, SocketTag, Stream, StreamTable};
use bytes::Bytes;
use common::{Pair, SOCKET, address, payload};
use std::time::Duration;

fn random_packet(rng: &mut Rng, id: u32, near: u32) -> Vec<u8> {
    let close = |rng: &mut Rng| match rng.below(4) {
        0 => rng.next_u32(),
        1 => near.wrapping_add(rng.below(100) as u32),
        2 => near.wrapping_sub(rng.below(100) as u32),
        _ => near.wrapping_add(rng.below(20_000) as u32),
    };
    let header = Header {
        // Never a DESTROY: that one is obeyed.
        flags: rng.next_u32() as u8 & !flags::DESTROY,
        data_offset: if rng.chance(0.5) { 0 } else { rng.next_u32() as u8 },
        stream_id: id,
        window: rng.next_u32() >> rng.below(32),
        sequence: close(rng),
        ack: close(rng),
    };
    let mut packet = header.encode().to_vec();
    for _ in 0..rng.below(60) {
        let start = close(rng);
        push_sack_range(&mut packet, start, start.wrapping_add(rng.below(50) as u32));
    }
    let tail = rng.index(300);
    packet.extend(rng.bytes(tail));
    packet
}

#[test]
fn random_packets_neither_panic_nor_close_nor_fill_memory() {
    for replay in Replay::seeds("random_packets", 30) {
        let mut rng = replay.rng();
        let config = Config { receive_window: 200_000, ..Config::default() };
        let mut stream = Stream::new(5, config, Duration::ZERO);
        if rng.chance(0.8) {
            stream.connect(SOCKET, 6, address(1), Duration::ZERO);
        }
        let mut out = Vec::new();
        let mut now = Duration::ZERO;
        let mut sent = 0u32;
        for _ in 0..20_000 {
            now += rng.duration(Duration::from_micros(200));
            let from = if rng.chance(0.5) { address(1) } else { address(rng.below(255) as u8) };
            let near = if rng.chance(0.5) { sent } else { 0 };
            let packet = if rng.chance(0.1) { rng.bytes(30) } else { random_packet(&mut rng, 5, near) };
            stream.handle_packet(SocketTag(rng.below(3)), from, &packet, now);
            let _ = stream.write(Bytes::from(vec![1; rng.index(2000)]));
            if rng.chance(0.2) {
                while stream.poll_event().is_some() {}
            }
            out.clear();
            for _ in 0..50 {
                if stream.poll_transmit_many(now, 8, &mut out).is_none() {
                    break;
                }
            }
            sent = u32::try_from(stream.stats().data_packets_sent).unwrap();
            if stream.next_timeout().is_some_and(|at| at <= now) {
                stream.handle_timeout(now);
            }
            assert!(stream.readable() <= 200_000 + 2 * 128 * 1024 + 2000);
            assert!(stream.unacknowledged() <= 6_000_000);
        }
        // Two gigabytes of attempts at most; the bound above holds whatever came. It is not closed by any of them.
        assert!(!stream.is_closed());
    }
}

/// An acknowledgement for every second packet of a large flight, ranges in the worst order.
#[test]
fn the_worst_ranges_cost_little() {
    let mut pair = Pair::new(1, LinkConfig::delay(Duration::from_millis(50)));
    pair.a.to_write = payload(1, 40_000_000);
    pair.run(Duration::from_secs(2), |_| false);
    let stream = &mut pair.a.stream;
    let una = u32::try_from(stream.stats().delivered_packets).unwrap();
    let mut now = pair.net.now();
    let start = std::time::Instant::now();
    let mut packets = 0;
    for round in 0..200u32 {
        let mut packet = Header {
            flags: flags::SACK,
            stream_id: 11,
            window: 1 << 22,
            sequence: 0,
            ack: una,
            data_offset: 0,
        }
        .encode()
        .to_vec();
        for i in (0..180).rev() {
            let at = una + 2 + (round * 7 + i * 2) % 2000;
            push_sack_range(&mut packet, at, at + 1);
        }
        now += Duration::from_micros(10);
        stream.handle_packet(SOCKET, address(2), &packet, now);
        packets += 1;
    }
    let each = start.elapsed() / packets;
    // Generous: an unoptimized build on a busy machine takes some 30 µs.
    assert!(each < Duration::from_millis(5), "{each:?}");
}

#[test]
fn acknowledgements_of_nothing_change_nothing() {
    let mut pair = Pair::new(1, LinkConfig::delay(Duration::from_millis(10)));
    pair.a.to_write = payload(1, 10_000);
    pair.run(Duration::from_millis(5), |_| false);
    let before = pair.a.stream.stats();
    let now = pair.net.now();
    for ack in [1000, u32::MAX, 1 << 31] {
        let header = Header { stream_id: 11, ack, window: 0, ..Header::default() };
        pair.a.stream.handle_packet(SOCKET, address(2), &header.encode(), now);
    }
    let after = pair.a.stream.stats();
    assert_eq!(after.delivered_packets, before.delivered_packets);
    assert_eq!((after.in_flight, after.send_window), (before.in_flight, before.send_window));
    assert!(pair.run(Duration::from_secs(2), |pair| pair.b.read.len() == 10_000));
}

#[test]
fn the_table_tells_protocols_and_streams_apart() {
    let now = Duration::ZERO;
    let mut table = StreamTable::new();
    for id in [3, 4] {
        let mut stream = Stream::new(id, Config::default(), now);
        stream.connect(SocketTag(9), 1000 + id, address(1), now);
        table.insert(stream).unwrap();
    }
    assert_eq!(table.insert(Stream::new(3, Config::default(), now)).map_err(|s| s.local_id()), Err(3));
    let mut free = [3, 4, 5].into_iter();
    assert_eq!(table.unused_id(|| free.next().unwrap()), 5);
    let heartbeat = |id| Header { flags: flags::HEARTBEAT, stream_id: id, ..Header::default() }.encode();
    assert_eq!(table.handle_datagram(SocketTag(9), address(1), b"\x03dht-rpc", now), Dispatch::NotUdx);
    assert_eq!(table.handle_datagram(SocketTag(9), address(1), &heartbeat(77), now), Dispatch::Unknown(77));
    assert_eq!(table.handle_datagram(SocketTag(9), address(1), &heartbeat(4), now), Dispatch::Stream(4));
    let mut connected = 0;
    while let Some((_, event)) = table.poll_event() {
        assert_eq!(event, bosc_udx::Event::Connected);
        connected += 1;
    }
    assert_eq!(connected, 2);
    let mut out = Vec::new();
    let (id, transmit) = table.poll_transmit(now, 10, &mut out).unwrap();
    assert_eq!((id, transmit.to, transmit.len), (4, address(1), 20));
    assert_eq!(Header::decode(&out).unwrap().stream_id, 1004);
    assert_eq!(table.poll_transmit(now, 10, &mut out), None);
    assert_eq!(table.next_timeout(), None);
    // A stream that waits for an acknowledgement has a timeout; removed, it has none.
    table.get_mut(3).unwrap().write(Bytes::from_static(b"x")).unwrap();
    assert!(table.poll_transmit(now, 10, &mut out).is_some());
    assert_eq!(table.poll_transmit(now, 10, &mut out), None);
    let at = table.next_timeout().unwrap();
    table.handle_timeout(at);
    assert_eq!(table.poll_transmit(at, 10, &mut out).map(|(id, _)| id), Some(3));
    assert_eq!(table.poll_transmit(at, 10, &mut out), None);
    assert!(table.next_timeout().unwrap() > at);
    table.remove(3).unwrap();
    assert_eq!((table.next_timeout(), table.len()), (None, 1));
}
