use super::*;
use crate::event::Relay;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::Value;
use std::net::Ipv4Addr;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../interop/vectors/connect.json")).unwrap()
}

fn bytes(v: &Value) -> Vec<u8> {
    HEXLOWER.decode(v.as_str().unwrap().as_bytes()).unwrap()
}

fn array<const N: usize>(v: &Value) -> [u8; N] {
    bytes(v).try_into().unwrap()
}

fn at(v: &Value) -> SocketAddrV4 {
    v.as_str().unwrap().parse().unwrap()
}

fn list(v: &Value) -> Vec<SocketAddrV4> {
    v.as_array().map(|l| l.iter().map(at).collect()).unwrap_or_default()
}

fn payload(v: &Value) -> NoisePayload {
    let some = |v: &Value| (!v.is_null()).then(|| v.clone());
    NoisePayload {
        version: 1,
        error: v["error"].as_u64().unwrap(),
        firewall: v["firewall"].as_u64().unwrap(),
        holepunch: some(&v["holepunch"]).map(|h| HolepunchInfo {
            id: h["id"].as_u64().unwrap(),
            relays: h["relays"]
                .as_array()
                .unwrap()
                .iter()
                .map(|r| Relay { relay_address: at(&r[0]), peer_address: at(&r[1]) })
                .collect(),
        }),
        addresses4: list(&v["addresses4"]),
        udx: some(&v["udx"]).map(|u| UdxInfo {
            version: 1,
            reusable_socket: u["reusableSocket"].as_bool().unwrap(),
            id: u["id"].as_u64().unwrap() as u32,
            seq: u["seq"].as_u64().unwrap(),
        }),
        secret_stream: some(&v["secretStream"]).map(|_| 1),
        relay_through: some(&v["relayThrough"]).map(|r| RelayThrough {
            version: 1,
            public_key: array(&r["publicKey"]),
            token: array(&r["token"]),
        }),
        relay_addresses: list(&v["relayAddresses"]),
    }
}

fn round(v: &Value) -> HolepunchPayload {
    HolepunchPayload {
        error: v["error"].as_u64().unwrap(),
        firewall: v["firewall"].as_u64().unwrap(),
        round: v["round"].as_u64().unwrap(),
        connected: v["connected"].as_bool().unwrap(),
        punching: v["punching"].as_bool().unwrap(),
        addresses: v["addresses"].as_array().map(|l| l.iter().map(at).collect()),
        remote_address: v["remoteAddress"].as_str().map(|s| s.parse().unwrap()),
        token: v["token"].as_str().map(|_| array(&v["token"])),
        remote_token: v["remoteToken"].as_str().map(|_| array(&v["remoteToken"])),
    }
}

#[test]
fn payloads_are_those_of_hyperdht() {
    for p in vectors()["payloads"].as_array().unwrap() {
        let value = payload(&p["value"]);
        assert_eq!(NoisePayload::decode(&bytes(&p["bytes"])), Ok(value.clone()), "{p}");
        // We never send IPv6 addresses.
        if p["value"]["addresses6"].as_array().is_none_or(Vec::is_empty) {
            assert_eq!(value.encode(), bytes(&p["bytes"]), "{p}");
        }
    }
    for r in vectors()["rounds"].as_array().unwrap() {
        let value = round(&r["value"]);
        assert_eq!(HolepunchPayload::decode(&bytes(&r["bytes"])), Ok(value.clone()));
        assert_eq!(value.encode(), bytes(&r["bytes"]));
    }
    let newer = NoisePayload::decode(&[2, 0xff]).unwrap();
    assert_eq!(newer, NoisePayload { version: 2, ..NoisePayload::default() });
}

#[test]
fn handshakes_and_sealed_rounds_are_those_of_hyperdht() {
    let v = vectors();
    let h = &v["handshake"];
    let (client, server) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    let mut a = NoiseWrap::initiator(&client, server.public(), [11; 32]).unwrap();
    let mut b = NoiseWrap::responder(&server, [12; 32]).unwrap();
    let (first, second) = (payload(&v["payloads"][0]["value"]), payload(&v["payloads"][1]["value"]));
    assert_eq!(a.send(&first).unwrap(), bytes(&h["first"]));
    assert_eq!(b.recv(&bytes(&h["first"])), Some(first));
    assert_eq!(b.remote_public_key(), Some(client.public()));
    assert_eq!(b.send(&second).unwrap(), bytes(&h["second"]));
    assert_eq!(a.recv(&bytes(&h["second"])), Some(second));
    let result = a.finish().unwrap();
    assert_eq!((result.tx, result.rx, result.hash), (array(&h["tx"]), array(&h["rx"]), array(&h["hash"])));
    let secure = SecurePayload::new(&result.hash, [13; 32]);
    for (sealed, r) in h["sealed"].as_array().unwrap().iter().zip(v["rounds"].as_array().unwrap()) {
        let value = round(&r["value"]);
        assert_eq!(secure.open(&bytes(sealed)), Some(value.clone()));
        assert_eq!(secure.seal(&value, [value.round as u8; 24]), bytes(sealed));
        let mut bad = bytes(sealed);
        bad[30] ^= 1;
        assert_eq!(secure.open(&bad), None);
    }
    assert_eq!(secure.token(Ipv4Addr::new(1, 2, 3, 4)), array(&h["token"]));
    assert_eq!(secure.open(&[0; 39]), None);
}

#[test]
fn addresses_are_judged_as_by_bogon_and_matched_as_by_hyperdht() {
    let v = vectors();
    for e in v["edges"].as_array().unwrap() {
        let ip: Ipv4Addr = e["ip"].as_str().unwrap().parse().unwrap();
        assert_eq!(reach::is_private(&ip), e["private"].as_bool().unwrap(), "{ip}");
        assert_eq!(reach::is_reserved(&ip), e["reserved"].as_bool().unwrap(), "{ip}");
        assert_eq!(reach::is_bogon(&ip), e["bogon"].as_bool().unwrap(), "{ip}");
    }
    let matches = v["matches"].as_array().unwrap();
    assert!(matches.len() > 100);
    for m in matches {
        let best = reach::match_address(&list(&m[0]), &list(&m[1]));
        assert_eq!(best, m[2].as_str().map(|s| s.parse().unwrap()), "{m}");
    }
}

proptest! {
    #[test]
    fn random_payloads_never_panic_and_come_back(junk in proptest::collection::vec(any::<u8>(), 0..300), flags in 0u8..128) {
        let _ = HolepunchPayload::decode(&junk);
        let _ = NoisePayload::decode(&junk);
        let mut near = vec![1, flags, 0, 1];
        near.extend(junk);
        if let Ok(p) = NoisePayload::decode(&near) {
            prop_assert!(p.addresses4.capacity() * 6 <= near.len() * 2);
            prop_assert_eq!(NoisePayload::decode(&p.encode()), Ok(p));
        }
        near.remove(1);
        if let Ok(r) = HolepunchPayload::decode(&near) {
            prop_assert_eq!(HolepunchPayload::decode(&r.encode()), Ok(r));
        }
    }
}
