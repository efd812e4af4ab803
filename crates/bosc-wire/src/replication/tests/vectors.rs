//! Messages against those hypercore makes (`interop/vectors/replication.json`).

use super::*;
use bosc_format::manifest::Manifest;
use bosc_format::merkle::Node;
use bosc_format::proof::*;
use messages::{Extension, Handshake, NoDataReason, ReorgHint};
use serde_json::Value;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/vectors/replication.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn hex(v: &Value) -> Bytes {
    data_encoding::HEXLOWER.decode(v.as_str().unwrap().as_bytes()).unwrap().into()
}

fn hash(v: &Value) -> [u8; 32] {
    hex(v).as_ref().try_into().unwrap()
}

fn n(v: &Value) -> u64 {
    v.as_u64().unwrap_or_else(|| v.as_f64().unwrap() as u64)
}

fn b(v: &Value) -> bool {
    v.as_bool().unwrap()
}

fn each(kind: &str, mut f: impl FnMut(&Value, Bytes)) {
    let all = vectors();
    let list = all[kind].as_array().unwrap();
    assert!(!list.is_empty());
    for v in list {
        f(v, hex(&v["bytes"]));
    }
}

#[test]
fn small_messages() {
    each("handshake", |v, bytes| {
        let m = Handshake { seeks: b(&v["seeks"]), capability: hash(&v["capability"]) };
        assert_eq!(m.encode(), bytes);
        assert_eq!(Handshake::decode(&bytes), Ok(m));
    });
    each("sync", |v, bytes| {
        let m = Sync {
            fork: n(&v["fork"]),
            length: n(&v["length"]),
            remote_length: n(&v["remoteLength"]),
            can_upgrade: b(&v["canUpgrade"]),
            uploading: b(&v["uploading"]),
            downloading: b(&v["downloading"]),
            has_manifest: b(&v["hasManifest"]),
            allow_push: b(&v["allowPush"]),
        };
        assert_eq!(m.encode(), bytes);
        assert_eq!(Sync::decode(&bytes), Ok(m));
    });
    each("cancel", |v, bytes| {
        let m = Cancel { request: n(&v["request"]) };
        assert_eq!(m.encode(), bytes);
        assert_eq!(Cancel::decode(&bytes), Ok(m));
    });
    each("noData", |v, bytes| {
        let reason = match n(&v["reason"]) {
            0 => NoDataReason::Unspecified,
            1 => NoDataReason::NotAvailable,
            2 => NoDataReason::InvalidRequest,
            r => NoDataReason::Other(r),
        };
        let m = NoData { request: n(&v["request"]), reason };
        assert_eq!(m.encode(), bytes);
        assert_eq!(NoData::decode(&bytes), Ok(m));
    });
    // Peers before reasons sent the id alone.
    assert_eq!(NoData::decode(&[7]), Ok(NoData { request: 7, reason: NoDataReason::Unspecified }));
    each("want", |v, bytes| {
        let m = Want { start: n(&v["start"]), length: n(&v["length"]), any: b(&v["any"]) };
        assert_eq!(m.encode(), bytes);
        assert_eq!(m.encode(), hex(&v["unwant"]));
        assert_eq!(Want::decode(&bytes), Ok(m));
    });
    each("bitfield", |v, bytes| {
        let words = v["words"].as_array().unwrap().iter().map(|w| n(w) as u32).collect();
        let m = BitfieldPart { start: n(&v["start"]), words };
        assert_eq!(m.encode(), bytes);
        assert_eq!(BitfieldPart::decode(&bytes), Ok(m));
    });
    each("range", |v, bytes| {
        let m = Range { drop: b(&v["drop"]), start: n(&v["start"]), length: n(&v["length"]) };
        assert_eq!(m.encode(), bytes);
        assert_eq!(Range::decode(&bytes), Ok(m));
    });
    each("extension", |v, bytes| {
        let m = Extension { name: v["name"].as_str().unwrap().into(), message: hex(&v["message"]) };
        assert_eq!(m.encode(), bytes);
        assert_eq!(Extension::decode(&bytes), Ok(m));
    });
    each("reorgHint", |v, bytes| {
        let m = ReorgHint { from: n(&v["from"]), to: n(&v["to"]), ancestors: n(&v["ancestors"]) };
        assert_eq!(m.encode(), bytes);
        assert_eq!(ReorgHint::decode(&bytes), Ok(m));
    });
}

#[test]
fn requests() {
    let node =
        |v: &Value| (!v.is_null()).then(|| NodeRequest { index: n(&v["index"]), nodes: n(&v["nodes"]) });
    each("request", |v, bytes| {
        let (s, u) = (&v["seek"], &v["upgrade"]);
        let what = ProofRequest {
            block: node(&v["block"]),
            hash: node(&v["hash"]),
            seek: (!s.is_null()).then(|| SeekRequest { bytes: n(&s["bytes"]), padding: n(&s["padding"]) }),
            upgrade: (!u.is_null())
                .then(|| UpgradeRequest { start: n(&u["start"]), length: n(&u["length"]) }),
            manifest: b(&v["manifest"]),
        };
        let m = Request { id: n(&v["id"]), fork: n(&v["fork"]), what, priority: n(&v["priority"]) };
        assert_eq!(m.encode(), bytes);
        assert_eq!(Request::decode(&bytes), Ok(m));
    });
}

#[test]
fn answers() {
    let manifest = Manifest::decode(&hex(&vectors()["manifest"])).unwrap();
    let nodes = |v: &Value| -> Vec<Node> {
        let node = |v: &Value| Node { index: n(&v[0]), size: n(&v[1]), hash: hash(&v[2]) };
        v.as_array().unwrap().iter().map(node).collect()
    };
    each("data", |v, bytes| {
        let some = |k: &str| (!v[k].is_null()).then(|| v[k].clone());
        let proof = Proof {
            fork: n(&v["fork"]),
            block: some("block").map(|v| BlockProof {
                index: n(&v["index"]),
                value: hex(&v["value"]),
                nodes: nodes(&v["nodes"]),
            }),
            hash: some("hash").map(|v| HashProof { index: n(&v["index"]), nodes: nodes(&v["nodes"]) }),
            seek: some("seek").map(|v| SeekProof { bytes: n(&v["bytes"]), nodes: nodes(&v["nodes"]) }),
            upgrade: some("upgrade").map(|v| UpgradeProof {
                start: n(&v["start"]),
                length: n(&v["length"]),
                nodes: nodes(&v["nodes"]),
                additional_nodes: nodes(&v["additionalNodes"]),
                signature: hex(&v["signature"]).to_vec(),
            }),
            manifest: b(&v["manifest"]).then(|| manifest.clone()),
        };
        let m = Data { request: n(&v["request"]), proof };
        assert_eq!(m.encode().concat(), bytes);
        assert_eq!(Data::decode(&bytes), Ok(m));
    });
}

#[test]
fn capabilities() {
    for v in vectors()["capability"].as_array().unwrap() {
        let (initiator, key, hh) = (b(&v["initiator"]), hash(&v["key"]), hex(&v["handshakeHash"]));
        assert_eq!(capability(initiator, &key, &hh), hash(&v["capability"]));
        let sent = local_handshake(initiator, &key, &hh);
        assert_eq!(verify_remote_handshake(!initiator, &key, &hh, &sent), Ok(true));
        assert_eq!(verify_remote_handshake(initiator, &key, &hh, &sent), Ok(false));
        assert_eq!(verify_remote_handshake(!initiator, &[1; 32], &hh, &sent), Ok(false));
        assert!(verify_remote_handshake(!initiator, &key, &hh, &sent[..20]).is_err());
    }
}
