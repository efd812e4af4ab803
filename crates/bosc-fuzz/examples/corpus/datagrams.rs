//! Datagrams: of the DHT, and of UDX streams.

use crate::samples::{Corpus, hex, list, prefixed, steps, unhex, vectors};
use bosc_format::crypto::{KeyPair, hash};
use bosc_fuzz::{dht, wire};

pub(crate) fn networks(c: &mut Corpus) {
    let (v, connect) = (vectors("dht.json"), vectors("connect.json"));
    let rpc: Vec<Vec<u8>> = list(&v["rpc"]).iter().map(|m| hex(&m["bytes"])).collect();
    for (i, m) in rpc.iter().enumerate() {
        c.add("dht_wire", m.clone());
        for op in [0x80u8, 0x40, 0x21] {
            c.add("dht", steps([(op, &m[..]), (op | 3, &rpc[(i + 3) % rpc.len()][..])]));
        }
    }
    // Datagrams that are obeyed: something stored with the token peer 1 has, and asked for again.
    let token = dht::Host::new().token();
    let ask = |command, target, token, value: Option<&[u8]>| {
        let m = bosc_dht::wire::RequestMessage {
            tid: 9,
            to: dht::own(),
            id: None,
            token,
            internal: false,
            command,
            target: Some(target),
            value,
        };
        m.encode().to_vec()
    };
    let key = KeyPair::from_seed(&[3; 32]);
    let announce = bosc_dht::messages::sign_announce(
        &key,
        &[1; 32],
        &token,
        &bosc_dht::node_id(dht::own()),
        &[dht::peer(4)],
        None,
        1,
    )
    .encode();
    let mutable = bosc_dht::MutableRecord::sign(&key, 1, "value".into()).encode_put(&key.public());
    use bosc_dht::command as cmd;
    let handshake = |mode| {
        bosc_dht::messages::Handshake {
            mode,
            noise: noise_first().into(),
            peer_address: None,
            relay_address: Some(dht::peer(2)),
        }
        .encode()
    };
    let ours = hash(&[&wire::ours().public()]);
    let sequences: Vec<Vec<Vec<u8>>> = vec![
        vec![
            ask(cmd::ANNOUNCE, [1; 32], Some(token), Some(&announce)),
            ask(cmd::LOOKUP, [1; 32], None, None),
            ask(cmd::FIND_PEER, hash(&[&key.public()]), None, None),
        ],
        vec![
            ask(cmd::MUTABLE_PUT, hash(&[&key.public()]), Some(token), Some(&mutable)),
            ask(cmd::MUTABLE_GET, hash(&[&key.public()]), None, Some(&[0])),
        ],
        vec![
            ask(cmd::IMMUTABLE_PUT, hash(&[b"value"]), Some(token), Some(b"value")),
            ask(cmd::IMMUTABLE_GET, hash(&[b"value"]), None, None),
        ],
        vec![
            ask(cmd::PEER_HANDSHAKE, ours, None, Some(&handshake(0))),
            ask(cmd::PEER_HANDSHAKE, ours, None, Some(&handshake(2))),
        ],
    ];
    for s in &sequences {
        c.add("dht", steps(s.iter().map(|m| (0x40, &m[..]))));
        s.iter().for_each(|m| c.add("dht_wire", m.clone()));
    }
    let values = &v["values"];
    for p in list(&values["announces"]) {
        c.add("hyperdht", prefixed(2, &hex(&p["bytes"])));
    }
    c.add("hyperdht", prefixed(2, &hex(&values["unannounce"])));
    c.add("hyperdht", prefixed(2, &announce));
    c.add("hyperdht", prefixed(3, &mutable));
    c.add("hyperdht", prefixed(3, &mutable[32..]));
    c.add("hyperdht", prefixed(0, &hex(&values["record"])));
    c.add("hyperdht", prefixed(1, &hex(&values["lookup"])));
    for (kind, name) in [(3u8, "mutables"), (4, "handshakes"), (5, "holepunches")] {
        for m in list(&values[name]) {
            for bytes in m.as_object().into_iter().flatten().filter_map(|(_, b)| unhex(b.as_str()?)) {
                c.add("hyperdht", prefixed(kind, &bytes));
            }
        }
    }
    for (kind, name) in [(6u8, "payloads"), (7, "rounds")] {
        for m in list(&connect[name]) {
            c.add("hyperdht", prefixed(kind, &hex(&m["bytes"])));
        }
    }
    c.add("hyperdht", prefixed(8, &hex(&connect["handshake"]["first"])));
    c.add("hyperdht", prefixed(8, &noise_first()));
    for sealed in list(&connect["handshake"]["sealed"]).iter().filter_map(|s| unhex(s.as_str()?)) {
        c.add("hyperdht", prefixed(9, &sealed));
    }
    let sealer = bosc_dht::connect::SecurePayload::new(&[7; 64], [6; 32]);
    let round = bosc_dht::connect::HolepunchPayload::decode(&hex(&connect["rounds"][0]["bytes"])).unwrap();
    c.add("hyperdht", prefixed(9, &sealer.seal(&round, [1; 24])));
}

/// The first message of a handshake with the key pair the targets listen for.
fn noise_first() -> Vec<u8> {
    let payload = vectors("connect.json");
    let payload = bosc_dht::connect::NoisePayload::decode(&hex(&payload["payloads"][1]["bytes"])).unwrap();
    bosc_dht::connect::NoiseWrap::initiator(&wire::theirs(), wire::ours().public(), [4; 32])
        .unwrap()
        .send(&payload)
        .unwrap()
}

pub(crate) fn udx(c: &mut Corpus) {
    use bosc_udx::header::{Header, flags, push_sack_range};
    let mut packets = Vec::new();
    for (i, f) in [
        flags::DATA,
        flags::SACK,
        flags::END,
        flags::MESSAGE,
        flags::DESTROY,
        flags::HEARTBEAT,
        flags::DATA | flags::SACK,
        0,
    ]
    .into_iter()
    .enumerate()
    {
        let i = i as u32;
        let h = Header {
            flags: f,
            data_offset: if f & flags::SACK != 0 { 16 } else { 0 },
            stream_id: 5,
            window: 1 << 20,
            sequence: i + 8,
            ack: i % 3 + 8,
        };
        let mut p = h.encode().to_vec();
        if f & flags::SACK != 0 {
            push_sack_range(&mut p, 3, 5);
            push_sack_range(&mut p, 7, 8);
        }
        p.extend_from_slice(&[i as u8; 60][..i as usize * 8]);
        c.add("udx_header", p.clone());
        packets.push(p);
    }
    let orders: [&[usize]; 6] =
        [&[0, 1, 7], &[0, 0, 6, 2], &[5, 3, 0], &[0, 4], &[6, 1, 1, 7, 5, 5], &[2, 0, 0, 7]];
    for order in orders {
        for op in [0u8, 1, 0x0f] {
            c.add("udx_stream", steps(order.iter().map(|i| (op, &packets[*i][..]))));
        }
    }
    // Data in order, then with holes.
    let data = |n: u8| {
        let mut p = packets[0].clone();
        p[12] = n;
        p.extend_from_slice(&[n; 100]);
        p
    };
    let many: Vec<Vec<u8>> = (0..20u8).map(|n| data(8 + n % 4)).collect();
    c.add("udx_stream", steps(many.iter().map(|p| (0, &p[..]))));
    c.add("udx_stream", steps(many.iter().map(|p| (1, &p[..]))));
}
