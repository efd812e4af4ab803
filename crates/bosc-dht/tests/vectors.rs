//! Bytes made by the real `dht-rpc` and `hyperdht` modules: see `interop/vectors/dht.mjs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use bosc_dht::messages::{
    Announce, Handshake, Holepunch, LookupReply, MutableRecord, PeerRecord, peer_handshake_namespace,
    peer_holepunch_namespace, sign_announce, sign_unannounce, verify_announce, verify_unannounce,
};
use bosc_dht::wire::{Message, ReplyMessage, RequestMessage, decode};
use bosc_dht::{NatSampler, NodeId, node_id, refresh_chain};
use bosc_format::crypto::{KeyPair, hash};
use bytes::Bytes;
use serde_json::Value;
use std::net::SocketAddrV4;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/vectors/dht.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(v: &Value) -> Option<Vec<u8>> {
    v.as_str().map(|s| data_encoding::HEXLOWER.decode(s.as_bytes()).unwrap())
}

fn need(v: &Value) -> Vec<u8> {
    bytes(v).unwrap()
}

fn b32(v: &Value) -> Option<[u8; 32]> {
    bytes(v).map(|b| b.try_into().unwrap())
}

fn addr(v: &Value) -> Option<SocketAddrV4> {
    v.as_str().map(|s| s.parse().unwrap())
}

fn addrs(v: &Value) -> Vec<SocketAddrV4> {
    v.as_array().unwrap().iter().map(|a| addr(a).unwrap()).collect()
}

#[test]
fn datagrams_are_those_of_dht_rpc() {
    let all = vectors();
    for v in all["rpc"].as_array().unwrap() {
        let name = &v["name"];
        let wire = need(&v["bytes"]);
        let value = bytes(&v["value"]);
        let from = addr(&v["from"]).unwrap();
        let (tid, to) = (v["tid"].as_u64().unwrap() as u16, addr(&v["to"]).unwrap());
        let (id, token) = (b32(&v["id"]), b32(&v["token"]));
        if v["kind"] == "request" {
            let message = RequestMessage {
                tid,
                to,
                id,
                token,
                internal: v["internal"].as_bool().unwrap(),
                command: v["command"].as_u64().unwrap(),
                target: b32(&v["target"]),
                value: value.as_deref(),
            };
            assert_eq!(message.encode(), wire, "{name}");
            let read = RequestMessage { value: value.as_deref().filter(|v| !v.is_empty()), ..message };
            assert_eq!(decode(&wire, from), Ok(Message::Request(read)), "{name}");
        } else {
            let error = v["error"].as_u64().unwrap();
            let mut message = ReplyMessage {
                tid,
                to,
                id,
                token,
                closer: addrs(&v["closer"]),
                error,
                value: value.as_deref(),
            };
            assert_eq!(message.encode(), wire, "{name}");
            assert_eq!(decode(&wire, from), Ok(Message::Reply(message.clone())), "{name}");
            // From elsewhere, the id does not count.
            message.id = None;
            assert_eq!(decode(&wire, "9.9.9.9:9".parse().unwrap()), Ok(Message::Reply(message)), "{name}");
        }
    }
}

#[test]
fn ids_are_hashes_of_addresses() {
    for v in vectors()["ids"].as_array().unwrap() {
        assert_eq!(Some(node_id(addr(&v["addr"]).unwrap())), b32(&v["id"]));
    }
}

#[test]
fn announces_are_signed_as_hyperdht_signs_them() {
    let all = vectors();
    let v = &all["values"];
    let key_pair = KeyPair::from_seed(&b32(&v["seed"]).unwrap());
    assert_eq!(Some(key_pair.public()), b32(&v["publicKey"]));
    assert_eq!(Some(hash(&[&key_pair.public()])), b32(&v["publicKeyHash"]));
    assert_eq!(Some(peer_handshake_namespace()), b32(&v["namespaces"]["peerHandshake"]));
    assert_eq!(Some(peer_holepunch_namespace()), b32(&v["namespaces"]["peerHolepunch"]));
    let target: NodeId = b32(&v["target"]).unwrap();
    let (token, id) = (b32(&v["token"]).unwrap(), b32(&v["id"]).unwrap());
    for a in v["announces"].as_array().unwrap() {
        let bump = a["bump"].as_u64().unwrap();
        let ann =
            sign_announce(&key_pair, &target, &token, &id, &addrs(&a["relays"]), b32(&a["refresh"]), bump);
        let wire = need(&a["bytes"]);
        assert_eq!(ann.encode(), wire);
        let read = Announce::decode(&wire).unwrap();
        assert_eq!(read, ann);
        assert!(verify_announce(&target, &token, &id, &read));
        assert!(!verify_unannounce(&target, &token, &id, &read));
        assert!(!verify_announce(&id, &token, &id, &read));
        assert!(!verify_announce(&target, &id, &id, &read));
        assert!(!verify_announce(&target, &token, &token, &read));
    }
    let wire = need(&v["unannounce"]);
    assert_eq!(sign_unannounce(&key_pair, &target, &token, &id).encode(), wire);
    assert!(verify_unannounce(&target, &token, &id, &Announce::decode(&wire).unwrap()));
}

#[test]
fn values_are_those_of_hyperdht() {
    let all = vectors();
    let v = &all["values"];
    let key_pair = KeyPair::from_seed(&b32(&v["seed"]).unwrap());
    for m in v["mutables"].as_array().unwrap() {
        let record = MutableRecord::sign(&key_pair, m["seq"].as_u64().unwrap(), need(&m["value"]).into());
        assert_eq!(record.encode(), need(&m["get"]));
        assert_eq!(record.encode_put(&key_pair.public()), need(&m["put"]));
        assert_eq!(MutableRecord::decode(&need(&m["get"])), Ok(record.clone()));
        assert_eq!(MutableRecord::decode_put(&need(&m["put"])), Ok((key_pair.public(), record.clone())));
        assert!(record.verify(&key_pair.public()));
        let other = MutableRecord { seq: record.seq + 1, ..record };
        assert!(!other.verify(&key_pair.public()));
    }
    let relay_addresses = addrs(&v["recordRelays"]);
    let record = PeerRecord { public_key: key_pair.public(), relay_addresses };
    assert_eq!(record.encode(), need(&v["record"]));
    let raw = Bytes::from(need(&v["record"]));
    let wire = need(&v["lookup"]);
    let bump = 1_763_700_000_000;
    assert_eq!(LookupReply::encode_raw(&[raw.clone(), raw], bump), wire);
    assert_eq!(LookupReply::decode(&wire), Ok(LookupReply { peers: vec![record.clone(), record], bump }));
    for h in v["handshakes"].as_array().unwrap() {
        let message = Handshake {
            mode: h["mode"].as_u64().unwrap(),
            noise: need(&h["noise"]).into(),
            peer_address: addr(&h["peer"]),
            relay_address: addr(&h["relay"]),
        };
        assert_eq!(message.encode(), need(&h["bytes"]));
        assert_eq!(Handshake::decode(&need(&h["bytes"])), Ok(message));
    }
    for h in v["holepunches"].as_array().unwrap() {
        let message = Holepunch {
            mode: h["mode"].as_u64().unwrap(),
            id: h["id"].as_u64().unwrap(),
            payload: need(&h["payload"]).into(),
            peer_address: addr(&h["peer"]),
        };
        assert_eq!(message.encode(), need(&h["bytes"]));
        assert_eq!(Holepunch::decode(&need(&h["bytes"])), Ok(message));
    }
}

#[test]
fn the_nat_sampler_decides_as_the_javascript_one() {
    for (run, steps) in vectors()["nat"].as_array().unwrap().iter().enumerate() {
        let mut sampler = NatSampler::new();
        for (i, step) in steps.as_array().unwrap().iter().enumerate() {
            sampler.add(addr(&step[0]).unwrap());
            assert_eq!(
                sampler.host().map(|h| h.to_string()).as_deref(),
                step[1].as_str(),
                "run {run} step {i}"
            );
            assert_eq!(u64::from(sampler.port()), step[2].as_u64().unwrap(), "run {run} step {i}");
        }
    }
}

#[test]
fn a_refresh_chain_is_made_of_hashes() {
    let all = vectors();
    let chain = refresh_chain(&mut (Box::new(|b: &mut [u8]| b.fill(1)) as bosc_dht::Entropy), 3);
    assert_eq!(Some(hash(&[&b32(&all["refresh"]["of"]).unwrap()])), b32(&all["refresh"]["is"]));
    assert_eq!(chain.len(), 3);
    assert_eq!(Some(chain[2]), b32(&all["refresh"]["is"]));
    assert_eq!(chain[1], hash(&[&chain[2]]));
    assert_eq!(chain[0], hash(&[&chain[1]]));
}
