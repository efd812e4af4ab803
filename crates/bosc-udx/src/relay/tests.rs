use super::*;
use crate::{Config, Event, Stream};
use bytes::Bytes;

const LEFT: &str = "10.0.0.1:1000";
const RIGHT: &str = "10.0.0.2:2000";
const SOCKET: SocketTag = SocketTag(0);
const MS: Duration = Duration::from_millis(1);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A table with pair 1: the left end has stream 11 and sends to id 1, the right one stream 22 and id 2.
fn table(limits: RelayLimits) -> RelayTable {
    let mut t = RelayTable::new(limits, Duration::ZERO);
    let left = RelayEnd { local_id: 1, remote_id: 11, socket: SOCKET, at: at(LEFT) };
    let right = RelayEnd { local_id: 2, remote_id: 22, socket: SOCKET, at: at(RIGHT) };
    assert!(t.add(1, left, right, Duration::ZERO));
    t
}

fn packet(id: u32, kind: u8, len: usize) -> Vec<u8> {
    let mut out = Header { flags: kind, stream_id: id, ..Header::default() }.encode().to_vec();
    out.resize(len.max(20), 7);
    out
}

fn drain(t: &mut RelayTable) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut out = Vec::new();
    let mut buffer = Vec::new();
    while let Some((_, to, segment)) = t.poll_transmit(44, &mut buffer) {
        out.extend(buffer.chunks(segment).map(|c| (to, c.to_vec())));
    }
    out
}

#[test]
fn two_streams_talk_through_it() {
    let mut t = table(RelayLimits::default());
    let relay = at("10.0.0.9:9000");
    let mut now = Duration::ZERO;
    let mut left = Stream::new(11, Config::default(), now);
    let mut right = Stream::new(22, Config::default(), now);
    left.connect(SOCKET, 1, relay, now);
    right.connect(SOCKET, 2, relay, now);
    let sent: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    left.write(Bytes::from(sent.clone())).unwrap();
    left.end();
    right.end();
    let mut got = Vec::new();
    let mut ended = 0;
    for _ in 0..20_000 {
        now += MS;
        for (stream, from) in [(&mut left, LEFT), (&mut right, RIGHT)] {
            if stream.next_timeout().is_some_and(|t| t <= now) {
                stream.handle_timeout(now);
            }
            let mut datagram = Vec::new();
            while let Some(transmit) = stream.poll_transmit(now, &mut datagram) {
                assert_eq!(transmit.to, relay);
                assert!(t.handle_datagram(SOCKET, at(from), &datagram, now));
                datagram.clear();
            }
        }
        for (to, datagram) in drain(&mut t) {
            let stream = if to == at(LEFT) { &mut left } else { &mut right };
            stream.handle_packet(SOCKET, relay, &datagram, now);
        }
        while let Some(bytes) = right.read() {
            got.extend_from_slice(&bytes);
        }
        for stream in [&mut left, &mut right] {
            while let Some(event) = stream.poll_event() {
                ended += usize::from(event == Event::Closed(crate::CloseReason::Ended));
            }
        }
        if ended == 2 {
            break;
        }
    }
    assert_eq!((got.len(), ended), (sent.len(), 2));
    assert!(got == sent);
    assert!(t.stats().bytes > 200_000 && t.stats().strangers == 0);
}

#[test]
fn only_the_stream_id_changes() {
    let mut t = table(RelayLimits::default());
    let given = packet(1, flags::DATA, 300);
    assert!(t.handle_datagram(SOCKET, at(LEFT), &given, MS));
    let out = drain(&mut t);
    let mut expected = given;
    header::set_stream_id(&mut expected, 22);
    assert_eq!(out, [(at(RIGHT), expected)]);
    assert!(!t.handle_datagram(SOCKET, at(LEFT), &packet(3, 0, 30), MS), "an id that is not here");
    assert!(!t.handle_datagram(SOCKET, at(LEFT), b"no packet", MS));
}

#[test]
fn a_stranger_feeds_nothing_and_redirects_nothing() {
    let mut t = table(RelayLimits::default());
    assert!(t.handle_datagram(SOCKET, at("10.0.0.3:2000"), &packet(2, 0, 30), MS));
    assert_eq!((drain(&mut t).len(), t.stats().strangers), (0, 1));
    // What goes to the right end still goes to its own host.
    t.handle_datagram(SOCKET, at(LEFT), &packet(1, 0, 30), MS);
    assert_eq!(drain(&mut t)[0].0, at(RIGHT));
    // Its first packet may come from another port and socket of the same host, and then that is where it is.
    t.handle_datagram(SocketTag(5), at("10.0.0.2:2222"), &packet(2, 0, 30), MS);
    t.handle_datagram(SOCKET, at("10.0.0.2:3333"), &packet(2, 0, 30), MS);
    drain(&mut t);
    t.handle_datagram(SOCKET, at(LEFT), &packet(1, 0, 30), MS);
    assert_eq!(drain(&mut t)[0].0, at("10.0.0.2:2222"));
}

#[test]
fn packets_of_one_length_leave_together() {
    let mut t = table(RelayLimits::default());
    for len in [100, 100, 100, 60, 100] {
        t.handle_datagram(SOCKET, at(LEFT), &packet(1, 0, len), MS);
    }
    let mut out = Vec::new();
    let mut calls = Vec::new();
    while let Some((_, _, segment)) = t.poll_transmit(2, &mut out) {
        calls.push((segment, out.len()));
    }
    assert_eq!(calls, [(100, 200), (100, 160), (100, 100)]);
    assert_eq!(t.queued, 0);
}

#[test]
fn a_pair_keeps_to_its_rate_and_leaves_the_rest_to_others() {
    let limits = RelayLimits { rate: 100_000, total_rate: 150_000, ..RelayLimits::default() };
    let mut t = table(limits);
    let left = RelayEnd { local_id: 3, remote_id: 33, socket: SOCKET, at: at(LEFT) };
    let right = RelayEnd { local_id: 4, remote_id: 44, socket: SOCKET, at: at(RIGHT) };
    assert!(t.add(2, left, right, Duration::ZERO));
    let mut passed = [0usize; 2];
    for ms in 1..=10_000u32 {
        let now = MS * ms;
        if t.next_timeout().is_some_and(|at| at <= now) {
            t.handle_timeout(now);
        }
        for id in [1, 1, 3] {
            t.handle_datagram(SOCKET, at(LEFT), &packet(id, 0, 1000), now);
        }
        for (_, d) in drain(&mut t) {
            passed[usize::from(header::stream_id(&d) == Some(44))] += d.len();
        }
        assert!(t.held <= 2 * LEAST_HELD as usize, "no more than the hold of each pair waits");
    }
    let (first, second) = (passed[0], passed[1]);
    assert!(first <= 1_030_000 && second <= 1_030_000, "{passed:?}");
    assert!((1_450_000..=1_550_000).contains(&(first + second)), "{passed:?}");
    assert!(second >= 600_000, "the greedy pair kept the other out: {passed:?}");
    assert!(t.stats().dropped > 0);
}

#[test]
fn what_is_above_a_rate_waits_its_turn_in_order() {
    let mut t = table(RelayLimits { rate: 100_000, ..RelayLimits::default() });
    let mut now = MS;
    // The burst passes at once, what follows waits.
    for n in 0..30u16 {
        let mut p = packet(1, 0, 1000);
        p[900..902].copy_from_slice(&n.to_le_bytes());
        t.handle_datagram(SOCKET, at(LEFT), &p, now);
    }
    let mut got = Vec::new();
    let mut take = |t: &mut RelayTable| {
        got.extend(drain(t).iter().map(|(_, d)| u16::from_le_bytes([d[900], d[901]])));
        got.len()
    };
    assert_eq!(take(&mut t), 16);
    // The other direction does not wait behind it.
    t.handle_datagram(SOCKET, at(RIGHT), &packet(2, 0, 20), now);
    let mut back = None;
    while let Some(at) = t.next_timeout().filter(|at| *at < Duration::from_secs(1)) {
        assert!(at > now, "it asks to be woken for nothing");
        now = at;
        t.handle_timeout(now);
        let mut out = Vec::new();
        for (to, d) in drain(&mut t) {
            if to == self::at(LEFT) {
                back.get_or_insert(now);
            } else {
                out.push(u16::from_le_bytes([d[900], d[901]]));
            }
        }
        got.extend(out);
    }
    assert_eq!(got, (0..30).collect::<Vec<_>>());
    assert!(back.unwrap() < MS * 30, "{back:?}");
    assert!((MS * 120..MS * 160).contains(&now), "14 kB at 100 kB a second: {now:?}");
    assert_eq!((t.held, t.stats().dropped), (0, 0));
}

#[test]
fn a_pair_ends_when_its_bytes_are_spent() {
    let mut t = table(RelayLimits { bytes: 1000, ..RelayLimits::default() });
    for _ in 0..9 {
        t.handle_datagram(SOCKET, at(LEFT), &packet(1, 0, 100), MS);
        assert_eq!(t.poll_over(), None);
    }
    t.handle_datagram(SOCKET, at(RIGHT), &packet(2, 0, 100), MS);
    assert_eq!(t.poll_over(), Some((1, RelayOver::Bytes)));
    assert!(t.is_empty() && !t.has_id(1) && !t.has_id(2));
    assert!(!t.handle_datagram(SOCKET, at(LEFT), &packet(1, 0, 100), MS));
    assert_eq!(t.next_timeout(), None);
}

#[test]
fn silence_and_a_destroyed_stream_end_a_pair() {
    let second = Duration::from_secs(1);
    let mut t = table(RelayLimits::default());
    t.handle_timeout(second * 59);
    t.handle_datagram(SOCKET, at(LEFT), &packet(1, 0, 100), second * 59);
    t.handle_timeout(second * 60);
    assert_eq!((t.poll_over(), t.next_timeout()), (None, Some(second * 119)));
    t.handle_timeout(second * 119);
    assert_eq!(t.poll_over(), Some((1, RelayOver::Idle)));

    let mut t = table(RelayLimits::default());
    t.handle_datagram(SOCKET, at(LEFT), &packet(1, flags::DESTROY, 20), second);
    assert_eq!(drain(&mut t).len(), 1, "the other end is to hear of it");
    assert_eq!(t.next_timeout(), Some(second + LINGER));
    t.handle_datagram(SOCKET, at(RIGHT), &packet(2, flags::DESTROY, 20), second * 2);
    t.handle_timeout(second + LINGER);
    assert_eq!(t.poll_over(), Some((1, RelayOver::Destroyed)));
}

#[test]
fn ids_and_names_are_used_once() {
    let mut t = table(RelayLimits::default());
    let end = |local_id| RelayEnd { local_id, remote_id: 5, socket: SOCKET, at: at(LEFT) };
    assert!(!t.add(1, end(5), end(6), MS) && !t.add(2, end(1), end(6), MS) && !t.add(2, end(6), end(6), MS));
    assert_eq!((t.len(), t.remove(2), t.remove(1)), (1, None, Some(0)));
    assert!(t.add(1, end(1), end(2), MS));
}

#[test]
fn a_flood_that_nobody_sends_on_takes_bounded_memory() {
    let mut t = table(RelayLimits::default());
    for _ in 0..10_000 {
        t.handle_datagram(SOCKET, at(LEFT), &packet(1, 0, 1400), MS);
    }
    assert!(t.queued <= QUEUE && t.stats().dropped > 0);
    assert!(drain(&mut t).iter().map(|(_, d)| d.len()).sum::<usize>() <= QUEUE);
}
