//! Encodings, links, manifests, proofs, drives.

use crate::samples::{Corpus, hex, list, prefixed, steps, unhex, vectors};
use bosc_drive::MemorySource;
use bosc_drive::blobs::{BlobId, BlockRef, encode_map};
use bosc_drive::drive::{DriveBatch, EntryValue};
use bosc_format::codec::Encoder;
use bosc_format::crypto::{KeyPair, hash};
use bosc_format::manifest::{Manifest, Verifier, assemble};
use bosc_format::merkle::Appender;
use bosc_format::proof::{NodeRequest, ProofRequest, SeekRequest, UpgradeRequest};
use bosc_fuzz::format;
use bosc_wire::replication::CoreAccess;
use bosc_wire::replication::messages::{self, Data};
use serde_json::Value;

pub(crate) fn formats(c: &mut Corpus) {
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

pub(crate) fn proofs(c: &mut Corpus) {
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

pub(crate) fn drives(c: &mut Corpus) {
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
