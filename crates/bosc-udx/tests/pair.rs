//! Two streams under a seeded network in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(clippy::print_stdout, reason = "figures")]

mod common;

use bosc_testkit::{LinkConfig, Replay};
use bosc_udx::{CloseReason, Config, Event};
use bytes::Bytes;
use common::{Pair, address, payload, rate};
use std::time::Duration;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Both directions, ended by both sides.
fn exchange(pair: &mut Pair, a_len: usize, b_len: usize, limit: Duration) {
    pair.a.to_write = payload(1, a_len);
    pair.b.to_write = payload(2, b_len);
    pair.a.end_after_write = true;
    pair.b.end_after_write = true;
    let done = pair.run(limit, |pair| pair.a.closed.is_some() && pair.b.closed.is_some());
    assert!(
        done,
        "not done at {:?}: a {:?} read {} {:?}, b {:?} read {} {:?}",
        pair.net.now(),
        pair.a.closed,
        pair.a.read.len(),
        pair.a.stream.stats(),
        pair.b.closed,
        pair.b.read.len(),
        pair.b.stream.stats()
    );
    assert!(pair.b.read == pair.a.to_write, "a to b: {} bytes", pair.b.read.len());
    assert!(pair.a.read == pair.b.to_write, "b to a: {} bytes", pair.a.read.len());
    assert_eq!(pair.a.closed, Some(CloseReason::Ended));
    assert_eq!(pair.b.closed, Some(CloseReason::Ended));
}

#[test]
fn a_perfect_network_repeats_nothing() {
    for delay in [Duration::from_micros(20), millis(1), millis(50)] {
        let mut pair = Pair::new(1, LinkConfig::delay(delay));
        exchange(&mut pair, 3_000_000, 500_000, seconds(60));
        for side in [&pair.a, &pair.b] {
            let stats = side.stream.stats();
            assert_eq!((stats.retransmitted_packets, stats.duplicate_packets), (0, 0), "{delay:?} {stats:?}");
            assert_eq!(stats.mtu, 1500);
        }
    }
}

#[test]
fn everything_that_can_go_wrong() {
    for replay in Replay::seeds("everything_that_can_go_wrong", 30) {
        let mut rng = replay.rng();
        let link = LinkConfig {
            corrupt: 0.0, // see `flipped_bits_never_panic`: UDP's checksum turns them into loss
            loss: [0.0, 0.01, 0.1, 0.3][rng.index(4)],
            rate: rng.chance(0.3).then_some(1_000_000),
            queue: 30_000,
            mtu: [1500, 1500, 1280, 1492][rng.index(4)],
            ..LinkConfig::hostile(Duration::from_micros(rng.range(10, 60_000)))
        };
        let config = |first| Config { initial_sequence: first, ..Config::default() };
        let mut pair = Pair::with(replay.seed(), link, config(rng.next_u32()), config(u32::MAX - 100));
        let (a, b) = (rng.index(600_000), rng.index(600_000));
        exchange(&mut pair, a, b, seconds(600));
    }
}

#[test]
fn two_percent_loss_costs_little() {
    let clean = LinkConfig { rate: Some(12_500_000), queue: 1_250_000, ..LinkConfig::delay(millis(20)) };
    let lossy = LinkConfig { loss: 0.02, ..clean.clone() };
    let mut rates = Vec::new();
    for link in [clean, lossy] {
        let mut pair = Pair::new(5, link);
        let len = 40_000_000;
        pair.a.to_write = payload(1, len);
        assert!(pair.run(seconds(100), |pair| pair.b.read.len() == len));
        let stats = pair.a.stream.stats();
        let sent_twice = stats.retransmitted_packets as f64 / stats.data_packets_sent as f64;
        let rate = rate(len, pair.b.done_at);
        println!("{rate:.1} MiB/s, {:.2} % sent twice, {:?}", sent_twice * 100.0, stats);
        rates.push((rate, sent_twice));
    }
    // The link carries 11.5 MiB/s of payload.
    assert!(rates[0].0 > 9.5, "{rates:?}");
    assert!(rates[0].1 < 0.03, "{rates:?}");
    assert!(rates[1].0 > 8.5, "{rates:?}");
    assert!(rates[1].1 < 0.04, "{rates:?}");
}

#[test]
fn a_short_queue_does_not_cost_much() {
    // A receiver's socket buffer: 200 kB, no delay to speak of, drained at 200 MB/s.
    let link = LinkConfig {
        rate: Some(200_000_000),
        queue: 250_000,
        ..LinkConfig::delay(Duration::from_micros(20))
    };
    let mut pair = Pair::new(5, link);
    let len = 100_000_000;
    pair.a.to_write = payload(1, len);
    assert!(pair.run(seconds(100), |pair| pair.b.read.len() == len));
    let stats = pair.a.stream.stats();
    let sent_twice = stats.retransmitted_packets as f64 / stats.data_packets_sent as f64;
    let rate = rate(len, pair.b.done_at);
    println!("{rate:.1} MiB/s, {:.3} % sent twice, {:?}", sent_twice * 100.0, stats);
    assert!(rate > 150.0 && sent_twice < 0.01);
}

#[test]
fn a_reader_who_pauses_stops_the_writer_and_starts_it_again() {
    let small = Config { receive_window: 100_000, ..Config::default() };
    let mut pair = Pair::with(1, LinkConfig::delay(millis(5)), Config::default(), small);
    pair.a.to_write = payload(3, 2_000_000);
    pair.b.read_limit = Some(0);
    assert!(!pair.run(seconds(20), |_| false));
    let held = pair.b.stream.readable();
    assert!((90_000..110_000).contains(&held), "{held}");
    let quiet = pair.a.stream.stats();
    assert_eq!(quiet.timeouts, 0, "a closed window is no loss");
    assert!(quiet.packets_sent < 150, "{}", quiet.packets_sent);
    pair.b.read_limit = None;
    let start = pair.net.now();
    assert!(pair.run(seconds(60), |pair| pair.b.read.len() == 2_000_000));
    assert!(pair.b.read == pair.a.to_write);
    assert!(pair.net.now() - start < seconds(3), "{:?}", pair.net.now() - start);
    // And when the packet that opens the window is lost, the writer asks.
    pair.a.to_write = payload(4, 1_000_000);
    pair.a.written = 0;
    pair.b.read.clear();
    pair.b.read_limit = Some(0);
    pair.run(seconds(70), |_| false);
    pair.net.cut(pair.b.at, pair.a.at, true);
    pair.b.read_limit = None;
    let now = pair.net.now();
    pair.run(now + millis(50), |_| false);
    pair.net.cut(pair.b.at, pair.a.at, false);
    assert!(pair.run(seconds(200), |pair| pair.b.read.len() == 1_000_000));
}

#[test]
fn a_writer_holds_no_more_than_it_may_and_all_arrives() {
    for limit in [20_000, 200_000] {
        let mut pair = Pair::new(1, LinkConfig::delay(millis(20)));
        pair.a.stream.set_write_limit(limit);
        pair.a.to_write = payload(3, 3_000_000);
        let mut most = 0;
        assert!(pair.run(seconds(100), |pair| {
            most = most.max(pair.a.stream.unacknowledged());
            pair.b.read.len() == 3_000_000
        }));
        assert!(pair.b.read == pair.a.to_write);
        // One write may reach over the limit.
        assert!((limit / 2..limit + 70_000).contains(&most), "{most} of {limit}");
    }
}

#[test]
fn a_cut_is_survived_if_it_is_short_and_closes_the_stream_if_not() {
    let mut pair = Pair::new(1, LinkConfig::delay(millis(10)));
    pair.a.to_write = payload(3, 60_000_000);
    pair.a.end_after_write = true;
    pair.b.end_after_write = true;
    pair.run(millis(200), |_| false);
    assert!(!pair.b.read.is_empty());
    pair.net.isolate(pair.b.at, true);
    pair.run(seconds(5), |_| false);
    assert!(pair.a.closed.is_none());
    pair.net.isolate(pair.b.at, false);
    assert!(pair.run(seconds(60), |pair| pair.b.read.len() == 60_000_000));
    assert!(pair.b.read == pair.a.to_write);

    let mut pair = Pair::new(1, LinkConfig::delay(millis(10)));
    pair.a.to_write = payload(3, 60_000_000);
    pair.run(millis(200), |_| false);
    pair.net.isolate(pair.b.at, true);
    let cut = pair.net.now();
    assert!(pair.run(seconds(100), |pair| pair.a.closed.is_some()));
    assert_eq!(pair.a.closed, Some(CloseReason::TimedOut));
    let took = pair.a.closed_at - cut;
    assert!(took > seconds(12) && took < seconds(30), "{took:?}");
    assert_eq!(pair.b.closed, None, "nothing told b, and it has nothing to send");
}

#[test]
fn idle_streams_notice_a_dead_peer_if_they_are_asked_to() {
    let config =
        Config { keep_alive: Some(seconds(5)), idle_timeout: Some(seconds(12)), ..Config::default() };
    let mut pair = Pair::with(1, LinkConfig::delay(millis(10)), config.clone(), config);
    pair.run(seconds(300), |_| false);
    assert_eq!((pair.a.closed, pair.b.closed), (None, None));
    let sent = pair.a.stream.stats().packets_sent;
    assert!((60..130).contains(&sent), "a heartbeat or an answer every five seconds: {sent}");
    pair.net.isolate(pair.b.at, true);
    pair.run(seconds(320), |_| false);
    assert_eq!(pair.a.closed, Some(CloseReason::TimedOut));
    assert_eq!(pair.b.closed, Some(CloseReason::TimedOut));
}

#[test]
fn destroy_reaches_the_peer_even_if_its_packet_is_lost() {
    let mut pair = Pair::new(1, LinkConfig::delay(millis(10)));
    pair.a.to_write = payload(3, 100_000_000);
    pair.run(millis(300), |_| false);
    pair.net.cut(pair.b.at, pair.a.at, true);
    let now = pair.net.now();
    pair.b.stream.destroy(now);
    pair.run(now + millis(30), |_| false);
    assert_eq!(pair.b.closed, Some(CloseReason::Destroyed));
    assert_eq!(pair.a.closed, None);
    pair.net.cut(pair.b.at, pair.a.at, false);
    assert!(pair.run(now + seconds(3), |pair| pair.a.closed.is_some()));
    assert_eq!(pair.a.closed, Some(CloseReason::Reset));
    assert!(pair.run(now + seconds(20), |pair| pair.b.stream.is_finished() && pair.a.stream.is_finished()));
    assert_eq!(pair.b.stream.next_timeout(), None);
    assert!(pair.a.stream.write(Bytes::from_static(b"x")).is_err());
}

#[test]
fn an_end_whose_acknowledgement_is_lost_is_no_error() {
    for replay in Replay::seeds("an_end_whose_acknowledgement_is_lost", 300) {
        let mut pair = Pair::new(replay.seed(), LinkConfig { loss: 0.1, ..LinkConfig::delay(millis(10)) });
        exchange(&mut pair, 100, 100, seconds(200));
    }
}

#[test]
fn half_closed_streams_go_on() {
    let mut pair = Pair::new(1, LinkConfig::delay(millis(10)));
    pair.a.end_after_write = true;
    pair.run(seconds(2), |_| false);
    assert!(pair.b.events.contains(&Event::RemoteEnded));
    assert!(pair.b.stream.is_read_finished());
    pair.b.to_write = payload(9, 300_000);
    assert!(pair.run(seconds(9), |pair| pair.a.read.len() == 300_000));
    assert_eq!((pair.a.closed, pair.b.closed), (None, None));
    pair.b.end_after_write = true;
    assert!(pair.run(seconds(19), |pair| pair.a.closed.is_some() && pair.b.closed.is_some()));
}

#[test]
fn messages_come_beside_the_stream() {
    let mut pair = Pair::new(1, LinkConfig::delay(millis(10)));
    pair.a.stream.send_message(Bytes::from_static(b"ping")).unwrap();
    pair.a.stream.send_message(Bytes::new()).unwrap();
    assert!(pair.a.stream.send_message(vec![0; 1200].into()).is_err());
    assert_eq!(pair.a.stream.max_message(), 1152);
    pair.a.stream.send_message(vec![7; 1152].into()).unwrap();
    pair.run(seconds(1), |_| false);
    let messages: Vec<_> = pair
        .b
        .events
        .iter()
        .filter_map(|event| if let Event::Message(m) = event { Some(m.clone()) } else { None })
        .collect();
    assert_eq!(messages, [Bytes::from_static(b"ping"), Bytes::new(), Bytes::from(vec![7; 1152])]);
    // A flood is dropped, not kept.
    let now = pair.net.now();
    for _ in 0..1000 {
        let mut packet =
            bosc_udx::header::Header { flags: 8, stream_id: 22, ..Default::default() }.encode().to_vec();
        packet.extend_from_slice(&[1; 1000]);
        pair.b.stream.handle_packet(common::SOCKET, pair.a.at, &packet, now);
    }
    assert_eq!(pair.b.stream.stats().dropped_messages, 1000 - 64);
}

#[test]
fn flush_tells_when_all_is_acknowledged() {
    let mut pair = Pair::new(1, LinkConfig::delay(millis(10)));
    pair.a.to_write = payload(9, 300_000);
    pair.run(millis(1), |_| false);
    pair.a.stream.flush();
    assert!(pair.run(seconds(9), |pair| pair.a.events.contains(&Event::Flushed)));
    assert_eq!(pair.b.read.len(), 300_000);
    assert_eq!(pair.a.stream.unacknowledged(), 0);
}

#[test]
fn flipped_bits_never_panic() {
    for replay in Replay::seeds("flipped_bits_never_panic", 40) {
        let link = LinkConfig { corrupt: 0.05, ..LinkConfig::hostile(millis(10)) };
        let mut pair = Pair::new(replay.seed(), link);
        pair.a.to_write = payload(1, 400_000);
        pair.b.to_write = payload(2, 400_000);
        // Bytes may come out wrong (UDP's checksum is what prevents that) or the stream may stand still.
        pair.run(seconds(100), |pair| pair.a.closed.is_some() || pair.b.closed.is_some());
        let held = pair.b.stream.readable().max(pair.a.stream.readable());
        assert!(held <= 5_000_000);
    }
}

#[test]
fn a_first_packet_that_is_lost_is_repeated_before_a_second_is_over() {
    let mut pair = Pair::new(1, LinkConfig::delay(Duration::from_millis(50)));
    pair.net.cut(address(1), address(2), true);
    pair.a.to_write = payload(1, 100);
    pair.run(Duration::from_millis(10), |_| false);
    pair.net.cut(address(1), address(2), false);
    assert!(
        pair.run(Duration::from_millis(700), |pair| pair.b.read.len() == 100),
        "{:?}",
        pair.a.stream.stats()
    );
    assert_eq!(pair.a.stream.stats().tail_probes, 1);
}
