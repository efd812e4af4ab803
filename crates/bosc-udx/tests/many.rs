//! Many streams in tables over one bottleneck.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(clippy::print_stdout, reason = "figures")]

mod common;

use bosc_testkit::{LinkConfig, Occurrence, Simulator};
use bosc_udx::{Config, Dispatch, Event, SocketTag, Stream, StreamTable};
use bytes::Bytes;
use common::address;
use std::collections::HashMap;
use std::time::Duration;

const STREAMS: u32 = 8;

/// One server writes without end to eight clients behind one bottleneck of 10 MB/s.
#[test]
fn streams_share_a_bottleneck() {
    let link = LinkConfig {
        rate: Some(10_000_000),
        queue: 400_000,
        bottleneck: Some(1),
        ..LinkConfig::delay(Duration::from_millis(15))
    };
    let mut net = Simulator::new(3, LinkConfig::delay(Duration::from_millis(15)));
    let server_at = address(1);
    let (mut server, mut client) = (StreamTable::new(), StreamTable::new());
    for id in 1..=STREAMS {
        let at = address(10 + id as u8);
        net.set_link(server_at, at, link.clone());
        let mut stream = Stream::new(id, Config::default(), net.now());
        stream.connect(SocketTag(1), 100 + id, at, net.now());
        server.insert(stream).unwrap();
        let mut stream = Stream::new(100 + id, Config::default(), net.now());
        stream.connect(SocketTag(u64::from(10 + id)), id, server_at, net.now());
        client.insert(stream).unwrap();
    }
    let data = Bytes::from(vec![7; 16_000]);
    let end = Duration::from_secs(20);
    let mut out = Vec::new();
    let mut received: HashMap<u32, usize> = HashMap::new();
    let mut alarm = Duration::ZERO;
    let mut counted_from = None;
    for id in 1..=STREAMS {
        while server.get_mut(id).unwrap().write(data.clone()).is_ok() {}
    }
    loop {
        let now = net.now();
        while let Some((id, event)) = server.poll_event() {
            if event == Event::Writable {
                while server.get_mut(id).unwrap().write(data.clone()).is_ok() {}
            }
        }
        while let Some((id, _)) = client.poll_event() {
            while let Some(bytes) = client.get_mut(id).unwrap().read() {
                *received.entry(id).or_default() += bytes.len();
            }
        }
        for table in [&mut server, &mut client] {
            out.clear();
            while let Some((_, transmit)) = table.poll_transmit(now, 10, &mut out) {
                let from = address(u8::try_from(transmit.socket.0).unwrap());
                for datagram in out.chunks(transmit.segment) {
                    net.send(from, transmit.to, datagram);
                }
                out.clear();
            }
        }
        let next = [server.next_timeout(), client.next_timeout()].into_iter().flatten().min();
        if let Some(next) = next
            && (alarm <= now || next < alarm)
        {
            alarm = next.max(now + Duration::from_micros(1));
            net.wake(alarm, 0);
        }
        // Let them find each other first.
        if counted_from.is_none() && now > Duration::from_secs(5) {
            counted_from = Some(now);
            received.clear();
        }
        match net.next_until(end) {
            None => break,
            Some(Occurrence::Datagram(d)) => {
                let (table, tag) =
                    if d.to == server_at { (&mut server, 1) } else { (&mut client, host(d.to)) };
                let dispatch = table.handle_datagram(SocketTag(tag), d.from, &d.payload, net.now());
                assert!(matches!(dispatch, Dispatch::Stream(_)));
            }
            Some(Occurrence::Wake { .. }) => {
                server.handle_timeout(net.now());
                client.handle_timeout(net.now());
            }
        }
    }
    let seconds = (end - counted_from.unwrap()).as_secs_f64();
    let total: usize = received.values().sum();
    let rates: Vec<f64> = received.values().map(|bytes| *bytes as f64 / seconds / 1e6).collect();
    let (sent, again) = server.ids().filter_map(|id| server.get(id)).fold((0, 0), |(sent, again), stream| {
        let stats = stream.stats();
        (sent + stats.data_packets_sent, again + stats.retransmitted_packets)
    });
    println!("{rates:.2?} MB/s, {again} of {sent} sent twice");
    assert_eq!(received.len(), STREAMS as usize);
    assert!(total as f64 / seconds > 9.0e6, "the bottleneck is used");
    let (least, most) = rates.iter().fold((f64::MAX, 0.0f64), |(a, b), r| (a.min(*r), b.max(*r)));
    assert!(most / least < 3.0, "{rates:.2?}");
    assert!((again as f64) < sent as f64 * 0.05, "{again} of {sent}");
}

fn host(at: std::net::SocketAddr) -> u64 {
    match at.ip() {
        std::net::IpAddr::V4(ip) => u64::from(ip.octets()[3]),
        std::net::IpAddr::V6(_) => 0,
    }
}
