//! Datagrams from people who mean harm.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use bosc_dht::messages::{MutableRecord, sign_announce, sign_unannounce};
use bosc_dht::wire::{self, Message, ReplyMessage, RequestMessage, Token};
use bosc_dht::{
    Config, Dht, Event, Limits, NodeId, QueryOptions, SocketKind, command, error_code, internal, node_id,
};
use bosc_format::crypto::{KeyPair, hash};
use bytes::Bytes;
use common::seeded;
use proptest::prelude::*;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

const NOW: Duration = Duration::from_secs(100);

fn own() -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 49737)
}

fn peer(n: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(0x0b00_0000 + n), 4000)
}

fn node(limits: Limits) -> Dht {
    let config = Config {
        ephemeral: Some(false),
        firewalled: false,
        known_address: Some(own()),
        server_port: own().port(),
        limits,
        ..Config::default()
    };
    let mut dht = Dht::new(config, seeded(1), NOW);
    dht.bootstrap(NOW);
    assert_eq!(dht.id(), Some(node_id(own())));
    dht
}

/// An owned reply.
#[derive(Debug, PartialEq)]
struct Got {
    token: Option<Token>,
    error: u64,
    value: Option<Vec<u8>>,
}

fn ask(dht: &mut Dht, from: SocketAddrV4, message: &RequestMessage<'_>, now: Duration) -> Option<Got> {
    while dht.poll_transmit().is_some() {}
    dht.handle_datagram(SocketKind::Server, from, &message.encode(), now);
    let t = dht.poll_transmit()?;
    assert_eq!(t.to, from);
    match wire::decode(&t.bytes, own()).unwrap() {
        Message::Reply(r) => {
            assert_eq!((r.tid, r.to), (message.tid, from));
            Some(Got { token: r.token, error: r.error, value: r.value.map(<[u8]>::to_vec) })
        }
        Message::Request(r) => panic!("{r:?}"),
    }
}

fn message<'a>(
    command: u64,
    target: NodeId,
    token: Option<Token>,
    value: Option<&'a [u8]>,
) -> RequestMessage<'a> {
    RequestMessage {
        tid: 7,
        to: own(),
        id: None,
        token,
        internal: false,
        command,
        target: Some(target),
        value,
    }
}

fn token(dht: &mut Dht, from: SocketAddrV4) -> Token {
    ask(dht, from, &message(command::LOOKUP, [1; 32], None, None), NOW).unwrap().token.unwrap()
}

#[test]
fn only_a_signed_announce_with_a_token_of_ours_is_stored() {
    let mut d = node(Limits::default());
    let from = peer(1);
    let id = node_id(own());
    let (k, other) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    let topic = [1; 32];
    let t = token(&mut d, from);
    let good = sign_announce(&k, &topic, &t, &id, &[], None, 0).encode();
    let mut forged = sign_announce(&k, &topic, &t, &id, &[], None, 0);
    forged.peer.as_mut().unwrap().public_key = other.public();
    let cases: Vec<(&str, Option<Token>, NodeId, Vec<u8>)> = vec![
        ("no token", None, topic, good.clone()),
        ("signed by another", Some(t), topic, forged.encode()),
        ("for another node", Some(t), topic, sign_announce(&k, &topic, &t, &[9; 32], &[], None, 0).encode()),
        (
            "for another token",
            Some(t),
            topic,
            sign_announce(&k, &topic, &[9; 32], &id, &[], None, 0).encode(),
        ),
        ("for another topic", Some(t), [2; 32], good.clone()),
        ("an unannounce", Some(t), topic, sign_unannounce(&k, &topic, &t, &id).encode()),
        ("cut off", Some(t), topic, good[..good.len() - 1].to_vec()),
        ("empty", Some(t), topic, vec![]),
        ("unknown refresh", Some(t), topic, [&[2u8][..], &[3; 32]].concat()),
    ];
    for (what, token, target, value) in cases {
        let m = message(command::ANNOUNCE, target, token, Some(&value));
        assert_eq!(ask(&mut d, from, &m, NOW), None, "{what}");
        assert_eq!(d.record_count(), 0, "{what}");
    }
    let m = message(command::ANNOUNCE, topic, Some(t), Some(&good));
    let refused = ask(&mut d, peer(2), &m, NOW).unwrap();
    assert_eq!(refused.error, error_code::INVALID_TOKEN, "the token of another host");
    assert!(refused.token.is_some(), "and a good one to try again with");
    let late = ask(&mut d, from, &m, NOW + Duration::from_secs(20)).unwrap();
    assert_eq!(late.error, error_code::INVALID_TOKEN, "an old token");

    let mut d = node(Limits::default());
    let t = token(&mut d, from);
    let good = sign_announce(&k, &topic, &t, &id, &[], None, 0).encode();
    let m = message(command::ANNOUNCE, topic, Some(t), Some(&good));
    assert_eq!(ask(&mut d, from, &m, NOW).unwrap().error, 0);
    assert_eq!(d.record_count(), 1);
    for forged in [sign_announce(&k, &topic, &t, &id, &[], None, 0), sign_unannounce(&other, &topic, &t, &id)]
    {
        let value = forged.encode();
        ask(&mut d, from, &message(command::UNANNOUNCE, topic, Some(t), Some(&value)), NOW);
        assert_eq!(d.record_count(), 1);
    }
    let value = sign_unannounce(&k, &topic, &t, &id).encode();
    ask(&mut d, from, &message(command::UNANNOUNCE, topic, Some(t), Some(&value)), NOW).unwrap();
    assert_eq!(d.record_count(), 0);
}

#[test]
fn a_refresh_token_renews_once_and_only_forward() {
    let mut d = node(Limits::default());
    let (from, topic) = (peer(1), [1; 32]);
    let chain = bosc_dht::refresh_chain(&mut seeded(3), 3);
    let k = KeyPair::from_seed(&[1; 32]);
    let t = token(&mut d, from);
    let ann = sign_announce(&k, &topic, &t, &node_id(own()), &[], Some(chain[0]), 0).encode();
    ask(&mut d, from, &message(command::ANNOUNCE, topic, Some(t), Some(&ann)), NOW).unwrap();
    let show = |d: &mut Dht, link: &[u8; 32]| {
        let value = [&[2u8][..], link].concat();
        ask(d, from, &message(command::ANNOUNCE, topic, Some(t), Some(&value)), NOW).is_some()
    };
    assert!(!show(&mut d, &chain[0]), "the hash of it is not known");
    assert!(!show(&mut d, &chain[2]), "a link was left out");
    assert!(show(&mut d, &chain[1]));
    assert!(!show(&mut d, &chain[1]), "used");
    assert!(show(&mut d, &chain[2]));
}

#[test]
fn values_must_match_their_target() {
    let mut d = node(Limits::default());
    let from = peer(1);
    let t = Some(token(&mut d, from));
    let value = vec![1; 500];
    let target = hash(&[&value]);
    let put = |d: &mut Dht, command, target, token, value: &[u8]| {
        ask(d, from, &message(command, target, token, Some(value)), NOW).map(|g| g.error)
    };
    assert_eq!(put(&mut d, command::IMMUTABLE_PUT, [0; 32], t, &value), None);
    assert_eq!(put(&mut d, command::IMMUTABLE_PUT, target, None, &value), None);
    let big = vec![1; Limits::default().max_value_len + 1];
    assert_eq!(put(&mut d, command::IMMUTABLE_PUT, hash(&[&big]), t, &big), None);
    assert_eq!(d.record_count(), 0);
    assert_eq!(put(&mut d, command::IMMUTABLE_PUT, target, t, &value), Some(0));
    let k = KeyPair::from_seed(&[1; 32]);
    let target = hash(&[&k.public()]);
    let good = MutableRecord::sign(&k, 1, Bytes::from_static(b"v"));
    let other = MutableRecord::sign(&KeyPair::from_seed(&[2; 32]), 1, Bytes::from_static(b"v"));
    let empty = MutableRecord::sign(&k, 1, Bytes::new());
    for bad in [&other, &empty, &MutableRecord { seq: 2, ..good.clone() }] {
        assert_eq!(put(&mut d, command::MUTABLE_PUT, target, t, &bad.encode_put(&k.public())), None);
    }
    assert_eq!(put(&mut d, command::MUTABLE_PUT, [1; 32], t, &good.encode_put(&k.public())), None);
    assert_eq!(put(&mut d, command::MUTABLE_PUT, target, None, &good.encode_put(&k.public())), None);
    assert_eq!(put(&mut d, command::MUTABLE_PUT, target, t, &good.encode_put(&k.public())), Some(0));
    assert_eq!(d.record_count(), 2);
}

#[test]
fn a_reply_from_elsewhere_or_to_nothing_changes_nothing() {
    let mut d = node(Limits::default());
    let request = d.ping(peer(1), NOW).unwrap();
    let t = d.poll_transmit().unwrap();
    let Ok(Message::Request(sent)) = wire::decode(&t.bytes, own()) else { panic!() };
    let mut reply = ReplyMessage {
        tid: sent.tid,
        to: own(),
        id: Some(node_id(peer(2))),
        token: None,
        closer: vec![],
        error: 0,
        value: None,
    };
    d.handle_datagram(SocketKind::Server, peer(2), &reply.encode(), NOW);
    reply.tid = reply.tid.wrapping_add(1);
    d.handle_datagram(SocketKind::Server, peer(1), &reply.encode(), NOW);
    assert_eq!(d.node_count(), 0);
    while let Some(e) = d.poll_event() {
        assert!(!matches!(e, Event::Response { .. }));
    }
    reply.tid = sent.tid;
    d.handle_datagram(SocketKind::Server, peer(1), &reply.encode(), NOW);
    assert_eq!(d.node_count(), 0, "the id is another's");
    assert!(matches!(d.poll_event(), Some(Event::Response { request: r, .. }) if r == request));
}

#[test]
fn a_node_cannot_choose_its_id() {
    let mut d = node(Limits::default());
    let mut m = message(command::LOOKUP, [1; 32], None, None);
    m.id = Some([5; 32]);
    ask(&mut d, peer(1), &m, NOW);
    assert_eq!(d.node_count(), 0);
    m.id = Some(node_id(peer(1)));
    ask(&mut d, peer(1), &m, NOW);
    assert_eq!(d.node_count(), 1);
}

#[test]
fn what_others_can_store_is_bounded() {
    let limits = Limits { max_records: 500, max_per_source: 100, ..Limits::default() };
    let mut d = node(limits);
    let id = node_id(own());
    let k = KeyPair::from_seed(&[1; 32]);
    let store = |d: &mut Dht, n: u32, from| {
        let topic = hash(&[&n.to_le_bytes()]);
        let t = token(d, from);
        let ann = sign_announce(&k, &topic, &t, &id, &[], None, 0).encode();
        ask(d, from, &message(command::ANNOUNCE, topic, Some(t), Some(&ann)), NOW).is_some()
    };
    let stored = (0..300).filter(|n| store(&mut d, *n, peer(1))).count();
    assert_eq!(stored, 100, "the share of one host");
    for n in 0..3000 {
        store(&mut d, 1000 + n, peer(n));
    }
    assert!(d.record_count() <= 2 * 501, "{}", d.record_count());
}

#[test]
fn delayed_pings_events_and_datagrams_do_not_pile_up() {
    let limits = Limits { max_delayed_pings: 10, max_events: 10, max_transmits: 100, ..Limits::default() };
    let mut d = node(limits);
    let k = KeyPair::from_seed(&[1; 32]);
    d.serve(&k.public());
    while d.poll_event().is_some() {}
    let delay = 5000u32.to_le_bytes();
    let ping = RequestMessage {
        internal: true,
        command: internal::DELAYED_PING,
        target: None,
        ..message(0, [0; 32], None, Some(&delay))
    };
    let target = hash(&[&k.public()]);
    let shake = message(command::PEER_HANDSHAKE, target, None, Some(&[0, 0, 1, 1]));
    let lookup = message(command::LOOKUP, target, None, None);
    for n in 0..1000 {
        d.handle_datagram(SocketKind::Server, peer(n), &ping.encode(), NOW);
        d.handle_datagram(SocketKind::Server, peer(n), &shake.encode(), NOW);
        d.handle_datagram(SocketKind::Server, peer(n), &lookup.encode(), NOW);
    }
    assert_eq!(std::iter::from_fn(|| d.poll_event()).count(), 10);
    assert_eq!(std::iter::from_fn(|| d.poll_transmit()).count(), 100);
    d.handle_timeout(NOW + Duration::from_secs(4));
    assert_eq!(std::iter::from_fn(|| d.poll_transmit()).count(), 0);
    d.handle_timeout(NOW + Duration::from_secs(5));
    assert_eq!(std::iter::from_fn(|| d.poll_transmit()).count(), 10);
}

#[test]
fn nothing_is_sent_to_places_that_are_no_hosts() {
    let mut d = node(Limits::default());
    for addr in ["0.0.0.0:5", "224.0.0.1:5", "255.255.255.255:5", "1.2.3.4:0"] {
        d.ping(addr.parse().unwrap(), NOW).unwrap();
    }
    assert_eq!(d.poll_transmit(), None);
}

fn junk() -> impl Strategy<Value = Vec<u8>> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        bytes.clone(),
        (any::<u8>(), bytes.clone()).prop_map(|(f, rest)| [&[wire::REQUEST, f & 31][..], &rest].concat()),
        (any::<u8>(), bytes.clone()).prop_map(|(f, rest)| [&[wire::REPLY, f & 31][..], &rest].concat()),
        (0..12u64, any::<bool>(), any::<[u8; 32]>(), bytes).prop_map(|(command, internal, target, value)| {
            let m = message(command, target, None, Some(&value));
            RequestMessage { internal, ..m }.encode().to_vec()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_datagram_panics(datagrams in proptest::collection::vec((junk(), 0..5u32), 1..50)) {
        let mut d = node(Limits::default());
        d.lookup([1; 32], &QueryOptions { nodes: vec![peer(0), peer(1)], ..QueryOptions::default() }, NOW).unwrap();
        let mut now = NOW;
        for (bytes, n) in datagrams {
            d.handle_datagram(SocketKind::Server, peer(n), &bytes, now);
            d.handle_datagram(SocketKind::Client, peer(n), &bytes, now);
            now += Duration::from_millis(700);
            d.handle_timeout(now);
        }
        while d.poll_event().is_some() {}
        while d.poll_transmit().is_some() {}
    }

    /// Whoever answers every request with lies of the right form can waste a query's time, not more.
    #[test]
    fn a_query_among_liars_ends(seed in any::<u64>()) {
        let mut d = node(Limits::default());
        let mut random = seeded(seed);
        let options = QueryOptions { nodes: vec![peer(0)], ..QueryOptions::default() };
        let query = d.lookup([1; 32], &options, NOW).unwrap();
        let mut now = NOW;
        let mut asked = 0;
        let mut over = false;
        for _ in 0..20_000 {
            while let Some(t) = d.poll_transmit() {
                asked += 1;
                let Ok(Message::Request(r)) = wire::decode(&t.bytes, own()) else { continue };
                let mut lies = vec![0; 32 * 6];
                random(&mut lies);
                let closer = lies.chunks(6).map(|c| bosc_dht::get_address(&mut bosc_format::codec::Decoder::new(c)).unwrap());
                let reply = ReplyMessage { tid: r.tid, to: own(), id: Some(node_id(t.to)), token: Some([0; 32]),
                    closer: closer.collect(), error: 0, value: Some(&lies) };
                d.handle_datagram(SocketKind::Server, t.to, &reply.encode(), now);
            }
            over |= std::iter::from_fn(|| d.poll_event()).any(|e| matches!(e, Event::QueryDone(q) if q.query == query));
            if over { break }
            now += Duration::from_millis(50);
            d.handle_timeout(now);
        }
        prop_assert!(over);
        prop_assert!(asked < 3000, "{}", asked);
    }
}

#[test]
fn a_node_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Dht>();
}

#[test]
fn internal_commands_are_answered_as_dht_rpc_answers_them() {
    let mut d = node(Limits::default());
    let mut known = message(command::LOOKUP, [1; 32], None, None);
    known.id = Some(node_id(peer(2)));
    ask(&mut d, peer(2), &known, NOW);
    let send = |d: &mut Dht, command, target, value: Option<&[u8]>| -> Vec<bosc_dht::Transmit> {
        while d.poll_transmit().is_some() {}
        let m = RequestMessage { internal: true, command, target, ..message(0, [0; 32], None, value) };
        d.handle_datagram(SocketKind::Client, peer(1), &m.encode(), NOW);
        std::iter::from_fn(|| d.poll_transmit()).collect()
    };
    let read = |t: &bosc_dht::Transmit| match wire::decode(&t.bytes, own()).unwrap() {
        Message::Reply(r) => (r.id, r.token, r.closer, r.error),
        Message::Request(r) => panic!("{r:?}"),
    };
    let pong = send(&mut d, internal::PING, None, None);
    assert_eq!((pong[0].socket, pong[0].to), (SocketKind::Client, peer(1)));
    assert_eq!(read(&pong[0]), (None, None, vec![], 0), "no id from the client socket");
    let pong = send(&mut d, internal::PING_NAT, None, Some(&[0x39, 0x05]));
    assert_eq!(pong[0].to, SocketAddrV4::new(*peer(1).ip(), 1337));
    assert!(send(&mut d, internal::PING_NAT, None, Some(&[0, 0])).is_empty());
    assert!(send(&mut d, internal::PING_NAT, None, Some(&[1])).is_empty());
    assert!(send(&mut d, internal::FIND_NODE, None, None).is_empty());
    let found = send(&mut d, internal::FIND_NODE, Some([1; 32]), None);
    assert_eq!(read(&found[0]), (None, None, vec![peer(2)], 0));
    let unknown = send(&mut d, 99, Some([1; 32]), None);
    assert_eq!(read(&unknown[0]), (None, None, vec![peer(2)], error_code::UNKNOWN_COMMAND));

    // Someone says a node we know is down: it is asked, and dropped when it does not reply.
    let hint = bosc_dht::address_bytes(peer(2));
    let sent = send(&mut d, internal::DOWN_HINT, None, Some(&hint));
    assert_eq!(sent.iter().map(|t| t.to).collect::<Vec<_>>(), [peer(2), peer(1)]);
    assert_eq!(send(&mut d, internal::DOWN_HINT, None, Some(&hint)).len(), 1, "asked already");
    let unknown = bosc_dht::address_bytes(peer(3));
    assert_eq!(send(&mut d, internal::DOWN_HINT, None, Some(&unknown)).len(), 1, "not known");
    assert_eq!(d.node_count(), 1);
    for s in 1..30 {
        d.handle_timeout(NOW + Duration::from_secs(s));
    }
    assert_eq!(d.node_count(), 0);
}

#[test]
fn a_bump_rises_but_not_into_the_future() {
    let mut d = node(Limits::default());
    let (from, topic, id) = (peer(1), [1; 32], node_id(own()));
    let t = token(&mut d, from);
    let k = KeyPair::from_seed(&[1; 32]);
    let now_ms = 100_000;
    for (bump, want) in
        [(5, 5), (4, 5), (now_ms + 60_000, now_ms + 60_000), (now_ms + 60_001, now_ms + 60_000)]
    {
        let ann = sign_announce(&k, &topic, &t, &id, &[], None, bump).encode();
        ask(&mut d, from, &message(command::ANNOUNCE, topic, Some(t), Some(&ann)), NOW).unwrap();
        let got = ask(&mut d, from, &message(command::LOOKUP, topic, None, None), NOW).unwrap();
        let reply = bosc_dht::messages::LookupReply::decode(&got.value.unwrap()).unwrap();
        assert_eq!((reply.peers.len(), reply.bump), (1, want));
    }
}

/// Datagrams that go out, with where they go.
fn sent(dht: &mut Dht) -> Vec<(SocketAddrV4, Bytes)> {
    std::iter::from_fn(|| dht.poll_transmit()).map(|t| (t.to, t.bytes)).collect()
}

#[test]
fn large_values_go_to_nobody_who_did_not_show_that_it_receives_there() {
    let mut d = node(Limits::default());
    let put = |d: &mut Dht, value: &[u8]| {
        let target = hash(&[value]);
        let t = token(d, peer(1));
        assert!(
            ask(d, peer(1), &message(command::IMMUTABLE_PUT, target, Some(t), Some(value)), NOW).is_some()
        );
        target
    };
    let (large, small) = (put(&mut d, &[7; 16 << 10]), put(&mut d, &[8; 1000]));
    let victim = peer(2);
    let get = |target, token| message(command::IMMUTABLE_GET, target, token, None);
    assert_eq!(ask(&mut d, victim, &get(small, None), NOW).unwrap().value.unwrap().len(), 1000);
    sent(&mut d);
    // The address of the request is forged: what comes to the victim is no more than the forger sent.
    let (mut spent, mut came) = (0, 0);
    for n in 0..200u16 {
        let request = RequestMessage { tid: n, ..get(large, None) }.encode();
        spent += request.len();
        d.handle_datagram(SocketKind::Server, victim, &request, NOW);
        came += sent(&mut d)
            .iter()
            .inspect(|(to, _)| assert_eq!(*to, victim))
            .map(|(_, b)| b.len())
            .sum::<usize>();
    }
    d.handle_timeout(NOW + Duration::from_secs(30));
    came += sent(&mut d).iter().filter(|(to, _)| *to == victim).map(|(_, b)| b.len()).sum::<usize>();
    assert!(came <= spent, "{came} for {spent}");
    // Who is there answers the ping and has it, under its own transaction id, whatever was forged meanwhile.
    let honest = peer(3);
    d.handle_datagram(
        SocketKind::Server,
        honest,
        &RequestMessage { tid: 99, ..get(large, None) }.encode(),
        NOW,
    );
    let pings = sent(&mut d);
    let Message::Request(ping) = wire::decode(&pings[0].1, own()).unwrap() else { panic!("no ping") };
    assert_eq!((pings.len(), pings[0].0, ping.internal, ping.command), (1, honest, true, internal::PING));
    let pong = ReplyMessage {
        tid: ping.tid,
        to: own(),
        id: None,
        token: None,
        closer: vec![],
        error: 0,
        value: None,
    };
    d.handle_datagram(SocketKind::Server, peer(4), &pong.encode(), NOW);
    assert!(sent(&mut d).is_empty(), "somebody else answered");
    d.handle_datagram(SocketKind::Server, honest, &pong.encode(), NOW);
    let got = sent(&mut d);
    let Message::Reply(reply) = wire::decode(&got[0].1, own()).unwrap() else { panic!("no reply") };
    assert_eq!((got[0].0, reply.tid, reply.value.map(<[u8]>::len)), (honest, 99, Some(16 << 10)));
    // A token shows it as well.
    let t = reply.token.unwrap();
    assert_eq!(ask(&mut d, honest, &get(large, Some(t)), NOW).unwrap().value.unwrap().len(), 16 << 10);
}
