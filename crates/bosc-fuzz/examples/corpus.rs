//! Writes `fuzz/corpus`: samples from the vectors made by the JavaScript modules, and from our own encoders.
//!
//! Run it in the workspace: `cargo run -p bosc-fuzz --example corpus`. It is deterministic; files are named by their
//! number.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a tool for the tests"
)]

use bosc_drive::MemorySource;
use bosc_drive::blobs::{BlobId, BlockRef, encode_map};
use bosc_drive::drive::{DriveBatch, EntryValue};
use bosc_format::codec::Encoder;
use bosc_format::crypto::{KeyPair, hash};
use bosc_format::manifest::{Manifest, Verifier, assemble};
use bosc_format::merkle::Appender;
use bosc_format::proof::{NodeRequest, ProofRequest, SeekRequest, UpgradeRequest};
use bosc_fuzz::{TARGETS, dht, format, push_step, store, wire};
use bosc_wire::replication::messages::{self, Data};
use bosc_wire::replication::{Config, CoreAccess, Download, PeerId, Replicator};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most samples of one target, and the longest.
const MAX_SAMPLES: usize = 60;
const MAX_LEN: usize = 6 * 1024;

#[derive(Default)]
struct Corpus(BTreeMap<&'static str, Vec<Vec<u8>>>);

impl Corpus {
    fn add(&mut self, target: &'static str, bytes: impl Into<Vec<u8>>) {
        assert!(TARGETS.iter().any(|(n, _)| *n == target));
        let (bytes, list) = (bytes.into(), self.0.entry(target).or_default());
        if bytes.len() <= MAX_LEN && list.len() < MAX_SAMPLES && !list.contains(&bytes) {
            list.push(bytes);
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn vectors(name: &str) -> Value {
    let path = root().join("interop/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

fn hex(v: &Value) -> Vec<u8> {
    unhex(v.as_str().unwrap()).unwrap()
}

fn list(v: &Value) -> &[Value] {
    v.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn steps<'a>(items: impl IntoIterator<Item = (u8, &'a [u8])>) -> Vec<u8> {
    let mut out = Vec::new();
    for (op, bytes) in items {
        push_step(&mut out, op, bytes);
    }
    out
}

fn prefixed(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first], rest].concat()
}

fn main() {
    let mut c = Corpus::default();
    formats(&mut c);
    proofs(&mut c);
    drives(&mut c);
    connections(&mut c);
    replication(&mut c);
    networks(&mut c);
    udx(&mut c);
    releases(&mut c);
    stores(&mut c);
    let mut total = 0;
    for (name, _) in TARGETS {
        let folder = root().join("fuzz/corpus").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let samples = c.0.get(name).map(Vec::as_slice).unwrap_or_default();
        for (i, bytes) in samples.iter().enumerate() {
            std::fs::write(folder.join(format!("{i:03}")), bytes).unwrap();
            total += bytes.len();
        }
        println!("{name:16} {:3}", samples.len());
    }
    println!("{total} bytes");
}

fn formats(c: &mut Corpus) {
    let mut e = Encoder::new();
    for v in [0, 0xfc, 0xfd, 0xffff, 0x1_0000, u64::from(u32::MAX) + 1, u64::MAX] {
        e.u8(0).uint(v);
    }
    e.u8(1).buffer(b"buffer").u8(2).string("text").u8(3).raw(&[7; 32]).u8(8).buffer(b"list");
    e.u8(9).uint(1).buffer(b"x").uint(5).u8(10).uint(1000).u8(7).uint(0).u8(11).uint(0);
    c.add("codec", e.finish());
    c.add("codec", [1, 0xff, 255, 255, 255, 255, 255, 255, 255, 255]);
    let key = [0x5a; 32];
    let z = bosc_format::id::encode(&key);
    for text in [z.clone(), "00".repeat(32), "AbCd".repeat(16), format!("{z}y"), "ybndrfg8".into()] {
        c.add("id", text.clone());
        c.add("link", text);
    }
    c.add("id", key);
    for rest in ["", "/", "/a/b%20c?x=1#frag", "?q", "#f", "/%2e%2e/x", "/\u{e9}"] {
        for host in [z.clone(), format!("0.12.{z}"), format!("3.99.{z}.{z}"), "ab".repeat(32), "keet".into()]
        {
            c.add("link", format!("pear://{host}{rest}"));
        }
    }
    for text in
        ["file:///a/b", "file:///C:/x?y#z", "./app", "../x", "/abs", "pear:dev", "pear://", "'pear://keet'"]
    {
        c.add("link", text);
    }
    for m in list(&vectors("manifests.json")) {
        c.add("manifest", hex(&m["manifest"]));
        for head in list(&m["heads"]) {
            c.add("multisig", hex(&head["signature"]));
        }
    }
    let pear = vectors("pear.json");
    for m in [&pear["single"]["manifest"], &pear["multi"]["manifest"], &pear["multi"]["blobsManifest"]] {
        c.add("manifest", hex(m));
    }
    c.add("multisig", hex(&pear["committedSig"]["db"]));
    c.add("multisig", hex(&pear["committedSig"]["blobs"]));
    let (m, keys) = format::quorum();
    for length in [1u8, 5] {
        let mut a = Appender::default();
        (0..length).for_each(|i| a.append_block(&[i]).unwrap());
        let verifier = Verifier::new(&m.key(), Some(&m)).unwrap();
        let parts: Vec<_> = keys[..2].iter().map(|k| verifier.sign_partial(&a.head(0), k).unwrap()).collect();
        c.add("multisig", assemble(&parts));
        c.add("multisig", bosc_format::manifest::assemble_v0(&parts));
    }
    let request = &pear["request"];
    c.add("signing", hex(&request["hex"]));
    c.add("signing", request["z32"].as_str().unwrap());
    for r in list(&pear["responses"]) {
        c.add("signing", hex(&r["hex"]));
        c.add("signing", r["z32"].as_str().unwrap());
    }
    let own = Manifest::single(KeyPair::from_seed(&[1; 32]).public());
    let content = bosc_format::signing::Content { length: 4, tree_hash: [4; 32] };
    for content in [None, Some(content)] {
        let request = bosc_format::signing::Request::new(own.clone(), 5, 0, [3; 32], content);
        c.add("signing", request.encode());
    }
}

fn requests() -> Vec<ProofRequest> {
    let mut out = vec![ProofRequest { manifest: true, ..ProofRequest::default() }];
    let upgrade = |start, length| Some(UpgradeRequest { start, length });
    let (none, head) = (None, upgrade(0, 37));
    for up in [none, head, upgrade(13, 24), upgrade(13, 5), upgrade(0, 13)] {
        for i in [0u64, 7, 12, 20, 36] {
            let block = Some(NodeRequest { index: i, nodes: i % 6 });
            out.push(ProofRequest { block, upgrade: up, manifest: i == 0, ..ProofRequest::default() });
        }
        let hash = Some(NodeRequest { index: 23, nodes: 2 });
        out.push(ProofRequest { hash, upgrade: up, ..ProofRequest::default() });
        let seek = Some(SeekRequest { bytes: 300, padding: 0 });
        out.push(ProofRequest { seek, upgrade: up, manifest: true, ..ProofRequest::default() });
        let block = Some(NodeRequest { index: 3, nodes: 1 });
        out.push(ProofRequest { seek, block, upgrade: up, ..ProofRequest::default() });
    }
    out
}

fn proofs(c: &mut Corpus) {
    let core = format::proved_core();
    for (id, what) in requests().into_iter().enumerate() {
        if let Ok(Some(proof)) = core.prove(&what) {
            let bytes = Data { request: id as u64, proof }.encode().concat();
            c.add("proof", bytes.to_vec());
            c.add("messages", prefixed(3, &bytes));
        }
        let request = messages::Request { id: id as u64, fork: 0, what, priority: 1 };
        c.add("proof_request", request.encode());
    }
}

fn blocks(v: &Value) -> Vec<Vec<u8>> {
    list(v).iter().filter_map(|b| unhex(b.as_str()?)).collect()
}

fn drives(c: &mut Corpus) {
    let (pear, drive) = (vectors("pear.json"), vectors("drive.json"));
    let db = blocks(&pear["db"]);
    c.add("bee", steps(db.iter().map(|b| (0, &b[..]))));
    c.add("bee_header", db[0].clone());
    let mut all = Vec::new();
    for step in list(&drive["drive"]["steps"]) {
        all.extend(blocks(&step["db"]));
        c.add("bee", steps(all.iter().map(|b| (0, &b[..]))));
    }
    c.add("bee_header", all[0].clone());
    let header =
        bosc_drive::bee::Metadata { content_feed: Some(vec![1; 32].into()), user_data: Some("u".into()) };
    let header = bosc_drive::bee::Header { metadata: Some(header), ..bosc_drive::bee::Header::drive() };
    c.add("bee_header", header.encode());
    // A drive of ours whose entries name blocks of the same core, as maps and as content.
    let map =
        encode_map(&[BlockRef { index: 1, byte_length: 5 }, BlockRef { index: 0, byte_length: 9 }]).unwrap();
    let mut batch = DriveBatch::new(MemorySource::new());
    for i in 0..20u64 {
        let blob = BlobId {
            block_offset: i % 3,
            block_length: 1 + i % 2,
            byte_length: 9,
            byte_offset: i,
            block_map: i % 2 == 1,
        };
        let entry = EntryValue::file(blob, i % 3 == 0);
        batch.put(&format!("/d{}/f{i}", i % 4), &entry).unwrap();
        c.add("entry", entry.encode());
    }
    batch.put("/link", &EntryValue::symlink("d1/f1")).unwrap();
    batch.put("/package.json", &EntryValue::symlink("link")).unwrap();
    let own = batch.into_blocks();
    c.add("bee", steps(own.iter().map(|b| (0, &b[..]))));
    c.add("bee", steps(own.iter().enumerate().map(|(i, b)| (if i % 7 == 3 { 0xff } else { 0 }, &b[..]))));
    c.add(
        "bee",
        steps([(0, &own[0][..]), (0, &map[0][..])].into_iter().chain(own[2..].iter().map(|b| (0, &b[..])))),
    );
    c.add("entry", EntryValue::symlink("../x \" \\ \u{1}").encode());
    for e in list(&pear["entries"]) {
        c.add("entry", e["value"].to_string());
    }
    c.add("entry", r#"{"executable":1,"linkname":false,"blob":{"blockOffset":1e3,"byteOffset":0,"blockLength":2.0,"byteLength":9007199254740991},"metadata":{"10":[1.5e300,-0,{}],"a":null},"x":[]}"#);
    c.add("block_map", map[0].clone());
    let refs: Vec<BlockRef> =
        (0..300).map(|i| BlockRef { index: i * i * 1000, byte_length: i << 20 }).collect();
    c.add("block_map", encode_map(&refs).unwrap().remove(0));
    for p in list(&drive["paths"]) {
        c.add("path", p["name"].as_str().unwrap_or_default());
        c.add("path", p["key"].as_str().unwrap_or_default());
        c.add("path", format!("/a/b\n{}", p["name"].as_str().unwrap_or_default()));
    }
    let noise: Vec<u8> = (0..120u8).flat_map(|i| hash(&[&[i]])).collect();
    for (min, max) in [(1u8, 16u16), (16, 200), (64, 4000)] {
        let sizes =
            [&[min][..], &max.to_le_bytes(), &[1, 7, 0, 200, 3, 90, 1, 1, 5, 5, 5, 5, 5, 5, 5, 5]].concat();
        c.add("chunker", [&sizes[..], &noise].concat());
        c.add("chunker", [&sizes[..], &[0; 3000]].concat());
        c.add("chunker", [&sizes[..], &[1; 3000]].concat());
    }
}

fn connections(c: &mut Corpus) {
    // Handshakes with the keys of the target.
    for kind in 0..4u8 {
        let we_begin = kind & 2 != 0;
        let mut us = wire::handshake(kind, &wire::ours(), &wire::theirs(), we_begin);
        let mut them = wire::handshake(kind, &wire::theirs(), &wire::ours(), !we_begin);
        let mut said = Vec::new();
        while !(us.is_finished() && them.is_finished()) {
            if us.is_our_turn() {
                them.recv(&us.send(b"payload").unwrap()).unwrap();
            } else {
                let m = them.send(b"their payload").unwrap();
                us.recv(&m).unwrap();
                push_step(&mut said, 0, &m);
            }
        }
        c.add("noise", prefixed(kind, &said));
    }
    for n in list(&vectors("secure.json")["noise"]) {
        let messages: Vec<Vec<u8>> = list(&n["messages"]).iter().map(|m| hex(&m["bytes"])).collect();
        c.add("noise", prefixed(0, &steps(messages.iter().map(|m| (0, &m[..])))));
    }
    // What the other end of the open stream sends, in slices.
    let mut them = wire::open_stream(true);
    let mut bytes = Vec::new();
    for m in &wire::SAID[..4] {
        them.send(m, Duration::ZERO).unwrap();
    }
    while let Some(out) = them.take_output() {
        bytes.extend_from_slice(&out);
    }
    for size in [1, 7, 50, 5000] {
        c.add("secret_stream", prefixed(0, &steps(bytes.chunks(size).map(|s| (2, s)))));
    }
    for (kind, pattern) in [(1u8, bosc_wire::noise::Pattern::IK), (2, bosc_wire::noise::Pattern::XX)] {
        let mut other = bosc_wire::secret_stream::SecretStream::in_band(
            true,
            pattern,
            &wire::theirs(),
            Some(wire::ours().public()),
            bosc_wire::secret_stream::Config::default(),
            bosc_wire::secret_stream::Seeds::draw(&mut |out| out.fill(6)),
            Duration::ZERO,
        )
        .unwrap();
        let mut first = Vec::new();
        while let Some(out) = other.take_output() {
            first.extend_from_slice(&out);
        }
        c.add("secret_stream", prefixed(kind, &steps([(0, &first[..])])));
        c.add("secret_stream", prefixed(3, &steps([(0, &first[..])])));
    }
    let secure = vectors("secure.json");
    let frames: Vec<Vec<u8>> = list(&secure["mux"])
        .iter()
        .filter(|f| f["side"] == "a")
        .filter_map(|f| unhex(f["sent"].as_str()?))
        .collect();
    for op in 0..3 {
        c.add("mux", steps(frames.iter().map(|f| (op, &f[..]))));
        for f in &frames {
            c.add("mux", steps([(op, &frames[0][..]), (op | 0x80, &f[..])]));
        }
    }
}

fn replication(c: &mut Corpus) {
    let v = vectors("replication.json");
    let names = [
        "sync",
        "request",
        "cancel",
        "data",
        "noData",
        "want",
        "reorgHint",
        "bitfield",
        "range",
        "extension",
        "handshake",
    ];
    let mut of_kind: Vec<Vec<u8>> = Vec::new();
    for (kind, name) in names.iter().enumerate() {
        for m in list(&v[*name]) {
            let bytes = hex(&m["bytes"]);
            c.add("messages", prefixed(kind as u8, &bytes));
            if kind < 10 {
                of_kind.push(steps([(kind as u8, &bytes[..])]));
            }
        }
    }
    for kind in 0..3u8 {
        for some in of_kind.chunks(9) {
            c.add("replicator", prefixed(kind, &some.concat()));
        }
        // What is said to each of the cores by one that has (or wants) everything, with our answers delivered.
        let (mut ours, mut theirs) = (wire::replicated(kind), wire::replicated((kind == 0).into()));
        let now = Duration::from_secs(1);
        let mut us = Replicator::new(Config::default(), &ours);
        us.download(Download::live(), &ours);
        let mut them = Replicator::new(Config::default(), &theirs);
        them.download(Download::live(), &theirs);
        us.add_peer(PeerId(1), &ours, now);
        us.add_peer(PeerId(2), &ours, now);
        them.add_peer(PeerId(1), &theirs, now);
        let mut said = vec![kind];
        for _ in 0..6 {
            while let Some(m) = us.poll_outgoing(PeerId(1), &mut ours, now) {
                them.handle_message(PeerId(1), m.kind as u32, m.payload.concat(), &mut theirs, now);
            }
            while us.poll_outgoing(PeerId(2), &mut ours, now).is_some() {}
            let mut quiet = true;
            while let Some(m) = them.poll_outgoing(PeerId(1), &mut theirs, now) {
                let bytes = m.payload.concat();
                push_step(&mut said, m.kind as u8, &bytes);
                us.handle_message(PeerId(1), m.kind as u32, bytes, &mut ours, now);
                quiet = false;
                while let Some(m) = us.poll_outgoing(PeerId(1), &mut ours, now) {
                    them.handle_message(PeerId(1), m.kind as u32, m.payload.concat(), &mut theirs, now);
                }
                while us.poll_outgoing(PeerId(2), &mut ours, now).is_some() {}
            }
            if quiet {
                break;
            }
        }
        said.truncate(MAX_LEN);
        println!("replicator {kind}: {} bytes, length {}", said.len(), ours.head().length);
        c.add("replicator", said);
    }
}

fn networks(c: &mut Corpus) {
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

fn udx(c: &mut Corpus) {
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

fn releases(c: &mut Corpus) {
    for text in [
        r#"{"name":"a","productName":"A B","version":"1.2.3","upgrade":"pear://x","pear":{"name":"c","stage":{"ignore":["x","!y"],"only":"p, q,","purge":true}}}"#,
        "\u{feff}{\"name\":\"x\"}",
        r#"{"upgrade":{"rc":"x"},"pear":5}"#,
        r#"{"pear":{"stage":{"ignore":"a,b/**","only":["dist"]}}}"#,
        "[]",
    ] {
        c.add("package", text);
    }
    for text in [
        "node_modules\n/node_modules/a.js",
        "*.log\n!keep.log\n/logs/keep.log",
        "**/test/**\n{a,b}/c?\n/a/cx",
        "[!a-z]*\n[]-]\n/Q",
        "{a,{b,c}}{d,e}\n/cd",
        "**/**/**/*a*b*c*d\n/x/y/z/aabbccdd",
        "/dist/\n./src\nbuild\\out\n/dist/x",
        "\\*\n!**\n/x",
    ] {
        c.add("glob", text);
    }
    let mut e = Encoder::new();
    e.uint(2);
    for (key, suspect) in [("/a", 0), ("/b/c", 1)] {
        e.string(key)
            .uint(300)
            .u64(1_700_000_000_000_000_000)
            .u64(u64::MAX)
            .uint(77)
            .uint(66_000)
            .uint(suspect);
    }
    let body = e.finish();
    let mut whole = [&b"boscidx2"[..], &[0; 32], &body].concat();
    let sum = hash(&[&whole]);
    whole.extend_from_slice(&sum);
    c.add("change_index", body);
    c.add("change_index", whole);
    for text in [
        r#"{"port":4000,"token":"abc","pid":77}"#,
        r#"{"token":"abc","request":{"command":"touch","vanity":null}}"#,
        r#"{"token":"abc","request":{"command":"seed","link":"pear://x","until_sync":["a"],"stats_interval_ms":1000,"timeout_ms":null}}"#,
        r#"{"token":"abc","request":{"command":"dump","link":"x","dir":"/tmp/x","dry_run":false,"checkout":3,"only":[],"force":true,"list":false,"prune":true,"timeout_ms":18446744073709551615}}"#,
        r#"{"event":{"tag":"stats","data":{"peers":3}}}"#,
        r#"{"done":null}"#,
        r#"{"error":{"success":false,"code":"ERR_INVALID_LINK","message":"m","hint":null}}"#,
    ] {
        c.add("owner", text);
    }
}

fn stores(c: &mut Corpus) {
    let edit =
        |op: u8, at: u32, bytes: &[u8]| [&[op][..], &at.to_le_bytes(), &[bytes.len() as u8], bytes].concat();
    let cut = |op: u8, at: u32| [&[op | 0x80][..], &at.to_le_bytes()].concat();
    for file in 0..6u8 {
        c.add("store_files", cut(file, 1000 + u32::from(file)));
        c.add("store_files", edit(file, 0, &[0; 4]));
        c.add("store_files", edit(file | 0x40, 77, &[0xff; 9]));
        c.add(
            "store_files",
            [edit(file, 5000, b"xx"), edit(file, 9000, &[1; 40]), cut(file + 1, 12)].concat(),
        );
    }
    for at in (0..32).map(|i| i * 4096 + 20) {
        c.add("store_files", edit(0, at, &[0x80; 3]));
        c.add("store_files", edit(1, at, &[0x80; 3]));
    }
    let rows = store::row_values();
    for (op, value) in &rows {
        c.add("store_rows", steps([(*op, &value[..])]));
    }
    // Each row's value under the next row's key.
    for pair in rows.windows(2) {
        c.add("store_rows", steps([(pair[0].0, &pair[1].1[..]), (pair[1].0, &pair[0].1[..])]));
    }
    c.add("store_rows", steps([(4u8, &[0xff; 16][..]), (5, &[]), (6, &[])]));
    c.add(
        "store_rows",
        steps([
            (7u8, &rows[rows.len() / 2].1[..]),
            (4 | 8, &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]),
        ]),
    );
}
