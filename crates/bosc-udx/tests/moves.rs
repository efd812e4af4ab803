//! Where the peer is: learnt by the firewall, changed in the middle, pretended by others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]
#![allow(clippy::print_stdout, reason = "figures")]

mod common;

use bosc_testkit::LinkConfig;
use bosc_udx::header::{Header, flags};
use bosc_udx::{CloseReason, Config, Event, Firewall, SocketTag, Stream};
use bytes::Bytes;
use common::{Pair, SOCKET, Side, address, payload};
use std::time::Duration;

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn surface() -> Config {
    Config { firewall: Firewall::Surface, ..Config::default() }
}

/// `b` does not know where `a` is.
fn waiting_pair(config: Config) -> Pair {
    let mut pair = Pair::new(1, LinkConfig::delay(millis(10)));
    pair.b = Side::new(Stream::new(22, config, Duration::ZERO), pair.b.at);
    pair
}

#[test]
fn what_arrives_before_connect_is_read_and_acknowledged_on_connect() {
    let mut pair = waiting_pair(surface());
    pair.a.to_write = payload(1, 500_000);
    assert!(pair.run(millis(100), |pair| !pair.b.events.is_empty()));
    let from = pair.a.at;
    assert_eq!(pair.b.events[0], Event::Firewall { socket: SOCKET, from });
    pair.run(millis(100), |_| false);
    assert!(!pair.b.read.is_empty(), "bytes are handed on at once");
    assert_eq!(pair.b.stream.stats().packets_sent, 0);
    assert_eq!(pair.a.stream.stats().delivered_packets, 0);
    let now = pair.net.now();
    pair.b.stream.connect(SOCKET, 11, from, now);
    assert!(pair.run(Duration::from_secs(10), |pair| pair.b.read.len() == 500_000));
    assert!(pair.b.read == pair.a.to_write);
    let surfaced = pair.b.events.iter().filter(|event| matches!(event, Event::Firewall { .. })).count();
    assert_eq!(surfaced, 1);
}

#[test]
fn without_the_firewall_nothing_is_taken_before_connect() {
    let mut pair = waiting_pair(Config::default());
    pair.a.to_write = payload(1, 5_000);
    pair.run(Duration::from_secs(2), |_| false);
    assert!(pair.b.read.is_empty() && pair.b.events.is_empty());
    assert!(!pair.b.stream.expects(SOCKET, pair.a.at));
    let (now, from) = (pair.net.now(), pair.a.at);
    pair.b.stream.connect(SOCKET, 11, from, now);
    assert!(pair.b.stream.expects(SOCKET, pair.a.at));
    assert!(pair.run(Duration::from_secs(9), |pair| pair.b.read.len() == 5_000));
}

#[test]
fn a_flood_of_places_is_told_a_few_times_only() {
    let mut stream = Stream::new(7, surface(), Duration::ZERO);
    let packet = Header { flags: flags::HEARTBEAT, stream_id: 7, ..Header::default() }.encode();
    for i in 0..10_000u32 {
        let [_, b, c, d] = i.to_be_bytes();
        stream.handle_packet(SOCKET, ([10, b, c, d], 99).into(), &packet, Duration::ZERO);
    }
    let told = std::iter::from_fn(|| stream.poll_event()).count();
    assert_eq!(told, 8);
    stream.handle_packet(SOCKET, ([10, 0, 0, 1], 0).into(), &packet, Duration::ZERO);
    assert_eq!(stream.poll_event(), None, "port 0 is nobody");
}

#[test]
fn both_sides_move_in_the_middle() {
    let mut pair = Pair::new(1, LinkConfig { loss: 0.02, ..LinkConfig::delay(millis(10)) });
    pair.a.addresses.push(address(3));
    pair.b.addresses.push(address(4));
    pair.a.to_write = payload(1, 20_000_000);
    pair.b.to_write = payload(2, 5_000_000);
    pair.a.end_after_write = true;
    pair.b.end_after_write = true;
    pair.run(millis(300), |_| false);
    assert!(!pair.b.read.is_empty() && pair.b.read.len() < 20_000_000);
    let now = pair.net.now();
    pair.a.stream.change_remote(SocketTag(1), 22, address(4), now);
    // Packets of `a` now come in through a socket that `b` does not know.
    pair.run(now + millis(200), |_| false);
    let now = pair.net.now();
    pair.b.stream.change_remote(SocketTag(1), 11, address(3), now);
    assert!(pair.run(Duration::from_secs(60), |pair| pair.a.closed.is_some() && pair.b.closed.is_some()));
    assert!(pair.b.read == pair.a.to_write && pair.a.read == pair.b.to_write);
    for side in [&pair.a, &pair.b] {
        assert_eq!(side.closed, Some(CloseReason::Ended));
        assert_eq!(side.events.iter().filter(|event| **event == Event::RemoteChanged).count(), 1);
    }
}

#[test]
fn moving_away_from_a_dead_path_saves_the_stream() {
    let mut pair = Pair::with(1, LinkConfig::delay(millis(10)), Config::default(), surface());
    pair.a.addresses.push(address(3));
    pair.a.to_write = payload(1, 30_000_000);
    pair.run(millis(300), |_| false);
    pair.net.isolate(pair.a.at, true);
    pair.run(millis(600), |_| false);
    let now = pair.net.now();
    pair.a.stream.change_remote(SocketTag(1), 22, address(2), now);
    pair.b.stream.change_remote(SOCKET, 11, address(3), now);
    assert!(pair.run(Duration::from_secs(30), |pair| pair.b.read.len() == 30_000_000));
    assert!(pair.b.read == pair.a.to_write);
    let changed = |pair: &Pair| pair.a.events.contains(&Event::RemoteChanged);
    assert!(pair.run(Duration::from_secs(31), changed));
}

#[test]
fn a_path_that_dies_as_it_is_left_holds_nothing_up() {
    let mut pair = Pair::with(1, LinkConfig::delay(millis(10)), Config::default(), surface());
    pair.a.addresses.push(address(3));
    pair.a.to_write = payload(1, 20_000_000);
    // As a relay that is let go when the direct way was found.
    assert!(pair.run(millis(300), |pair| pair.b.read.len() > 5_000_000));
    let lost = pair.a.stream.stats().in_flight;
    assert!(lost > 100_000, "{lost} bytes are on their way");
    pair.net.isolate(pair.a.at, true);
    let now = pair.net.now();
    pair.a.stream.change_remote(SocketTag(1), 22, address(2), now);
    pair.b.stream.change_remote(SOCKET, 11, address(3), now);
    let timeouts = pair.a.stream.stats().timeouts;
    let before = pair.b.read.len();
    let goes_on = |pair: &Pair| pair.b.read.len() > before + 1_000_000;
    assert!(pair.run(now + millis(2000), goes_on), "it stands at {}", pair.b.read.len());
    assert_eq!(pair.a.stream.stats().timeouts, timeouts, "it did not need a timeout");
    assert!(pair.run(Duration::from_secs(30), |pair| pair.b.read.len() == 20_000_000));
    assert!(pair.b.read == pair.a.to_write);
}

#[test]
fn only_the_peer_destroys_a_stream() {
    let mut pair = Pair::new(1, LinkConfig::delay(millis(10)));
    pair.a.to_write = payload(1, 50_000);
    pair.run(millis(500), |_| false);
    let now = pair.net.now();
    let next = u32::try_from(pair.a.stream.stats().delivered_packets).unwrap();
    let mut destroy = Header { flags: flags::DESTROY, stream_id: 22, sequence: next, ..Header::default() };
    let wrong = [
        (address(9), destroy),
        (address(1), Header { sequence: 0, ..destroy }),
        (address(1), Header { sequence: 1 << 30, ..destroy }),
        (address(1), Header { flags: flags::DESTROY | flags::DATA, ..destroy }),
        (address(1), Header { stream_id: 23, ..destroy }),
    ];
    for (from, header) in wrong {
        pair.b.stream.handle_packet(SOCKET, from, &header.encode(), now);
        assert!(pair.b.stream.is_connected(), "{from} {header:?}");
    }
    destroy.sequence = u32::try_from(pair.a.stream.stats().delivered_packets).unwrap() + 1;
    pair.b.stream.handle_packet(SOCKET, address(1), &destroy.encode(), now);
    assert!(pair.b.stream.is_closed() && pair.b.stream.is_finished());
    let last = std::iter::from_fn(|| pair.b.stream.poll_event()).last();
    assert_eq!(last, Some(Event::Closed(CloseReason::Reset)));
}

#[test]
fn a_stream_that_never_connected_goes_quietly() {
    let mut stream = Stream::new(7, surface(), Duration::ZERO);
    assert_eq!(stream.write(Bytes::from_static(b"later")), Ok(true));
    stream.destroy(Duration::ZERO);
    assert_eq!(stream.poll_event(), Some(Event::Closed(CloseReason::Destroyed)));
    assert!(stream.is_finished());
    assert_eq!(stream.poll_transmit(Duration::ZERO, &mut Vec::new()), None);
    stream.connect(SOCKET, 1, address(1), Duration::ZERO);
    assert!(!stream.is_connected());
}

/// The address of a side changes: packets from the old one are gone, and it knows nothing of that.
fn address_changes(pair: &mut Pair, of_a: bool, to: std::net::SocketAddr) {
    let side = if of_a { &mut pair.a } else { &mut pair.b };
    pair.net.isolate(side.at, true);
    (side.at, side.addresses) = (to, vec![to]);
}

/// Has an owner that follows, and one that is told that its network has changed.
fn run_following(pair: &mut Pair, limit: Duration, mut done: impl FnMut(&Pair) -> bool) -> bool {
    loop {
        let elsewhere = |side: &Side| {
            let at = |e: &Event| {
                if let Event::Elsewhere { socket, from } = e { Some((*socket, *from)) } else { None }
            };
            side.events.iter().find_map(at)
        };
        let over = pair
            .run(limit, |pair| done(pair) || elsewhere(&pair.a).is_some() || elsewhere(&pair.b).is_some());
        let now = pair.net.now();
        let mut any = false;
        for side in [&mut pair.a, &mut pair.b] {
            if let Some((socket, from)) = elsewhere(side) {
                any = true;
                side.events.retain(|e| !matches!(e, Event::Elsewhere { .. }));
                side.stream.follow(socket, from, now);
            }
        }
        if !any {
            return over;
        }
    }
}

#[test]
fn a_peer_with_a_new_address_is_followed_in_a_second_and_keeps_the_stream() {
    for (of_a, loss) in [(true, 0.0), (false, 0.0), (true, 0.05), (false, 0.05)] {
        let link = LinkConfig { loss, ..LinkConfig::delay(millis(20)) };
        let mut pair = Pair::new(3, link);
        pair.a.to_write = payload(1, 30_000_000);
        assert!(run_following(&mut pair, Duration::from_secs(20), |p| p.b.read.len() > 3_000_000));
        address_changes(&mut pair, of_a, address(7));
        let (now, before) = (pair.net.now(), pair.b.read.len());
        (if of_a { &mut pair.a } else { &mut pair.b }).stream.hurry(now);
        let goes_on = |p: &Pair| p.b.read.len() > before + 1_000_000;
        assert!(
            run_following(&mut pair, now + millis(2500), goes_on),
            "of_a {of_a} loss {loss}: {} of {before}",
            pair.b.read.len()
        );
        assert!(run_following(&mut pair, now + Duration::from_secs(60), |p| p.b.read.len() == 30_000_000));
        assert!(pair.b.read == pair.a.to_write);
    }
}

#[test]
fn who_only_pretends_that_the_peer_moved_is_not_followed() {
    let mut pair = Pair::new(1, LinkConfig::delay(millis(20)));
    pair.a.to_write = payload(1, 4_000_000);
    for _ in 0..200 {
        let until = pair.net.now() + millis(20);
        pair.run(until, |_| false);
        let now = pair.net.now();
        // It sees everything, and cannot keep the peer's packets from arriving.
        let seen = pair.a.stream.stats().delivered_packets as u32;
        let forged =
            Header { flags: flags::HEARTBEAT, stream_id: 22, sequence: seen, ..Header::default() }.encode();
        pair.b.stream.handle_packet(SOCKET, address(9), &forged, now);
    }
    assert!(!pair.b.events.iter().any(|e| matches!(e, Event::Elsewhere { .. })), "{:?}", pair.b.events);
    assert_eq!(pair.b.stream.remote(), Some((SOCKET, address(1))));
    let heartbeats = pair.b.stream.stats().packets_sent;
    assert!(pair.run(Duration::from_secs(30), |p| p.b.read.len() == 4_000_000), "{heartbeats}");
}

#[test]
fn a_guess_from_elsewhere_asks_nobody() {
    let mut pair = Pair::new(1, LinkConfig::delay(millis(20)));
    pair.a.to_write = payload(1, 100_000);
    assert!(pair.run(Duration::from_secs(5), |p| p.b.read.len() == 100_000));
    pair.run(Duration::from_secs(8), |_| false);
    let (now, sent) = (pair.net.now(), pair.b.stream.stats().packets_sent);
    for (sequence, ack) in [(1 << 30, 0), (60, 1 << 30), (1 << 20, 1 << 20)] {
        let header = Header { stream_id: 22, sequence, ack, ..Header::default() };
        pair.b.stream.handle_packet(SOCKET, address(9), &header.encode(), now);
    }
    pair.run(now + Duration::from_secs(5), |_| false);
    assert_eq!(pair.b.stream.stats().packets_sent, sent);
    assert!(!pair.b.events.iter().any(|e| matches!(e, Event::Elsewhere { .. })));
}
