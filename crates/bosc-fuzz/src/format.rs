//! Encodings, ids, links, manifests, signatures, signing requests and proofs.

use crate::memory_core::MemoryCore;
use bosc_format::codec::{Decoder, Encoder, uint_len};
use bosc_format::crypto::KeyPair;
use bosc_format::link::{Link, PearLink};
use bosc_format::manifest::{Manifest, MultiSignature, SignerSpec, Verifier};
use bosc_format::merkle::{Appender, Head, Node};
use bosc_format::proof::{HashedProof, Reorg, create_proof, verify_detached, verify_hashed, verify_proof};
use bosc_format::signing::{Request, Response};
use bosc_format::{id as ids, link as links, manifest as manifests};
use bosc_wire::replication::messages;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Reads values of all kinds one after the other; the first byte of each says which.
pub fn codec(data: &[u8]) {
    let mut d = Decoder::new(data);
    while let Ok(kind) = d.u8() {
        let before = d.rest().len();
        let done = match kind % 12 {
            0 => d.uint().map(|v| {
                assert!(before - d.rest().len() >= uint_len(v));
                let mut e = Encoder::new();
                e.uint(v);
                assert_eq!(e.len(), uint_len(v));
                assert_eq!(Decoder::new(e.as_slice()).uint(), Ok(v));
            }),
            1 => d.buffer().map(|b| {
                let mut e = Encoder::new();
                e.buffer(b);
                assert_eq!(Decoder::new(e.as_slice()).buffer(), Ok(b));
            }),
            2 => d.string().map(|_| ()),
            3 => d.fixed32().map(|_| ()),
            4 => d.u16().map(|_| ()),
            5 => d.u32().map(|_| ()),
            6 => d.u64().map(|_| ()),
            7 => d.optional_buffer().map(|b| assert_ne!(b, Some(&[][..]))),
            8 => d.list(1, |d| d.u8()).map(|l| assert!(l.len() < before)),
            9 => d.list(2, |d| d.buffer().and_then(|_| d.uint())).map(|l| assert!(l.len() * 2 <= before)),
            10 => d.uint_max(1000, "test").map(|n| assert!(n <= 1000)),
            _ => d.count(32).map(|n| assert!(n * 32 <= d.rest().len())),
        };
        assert!(d.rest().len() <= before);
        if done.is_err() {
            return;
        }
    }
}

/// Keys as text.
pub fn id(data: &[u8]) {
    assert_eq!(ids::decode_bytes(&ids::encode_bytes(data)).as_deref(), Ok(data));
    if let Some(key) = data.first_chunk::<32>() {
        assert_eq!(ids::decode(&ids::encode(key)), Ok(*key));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(bytes) = ids::decode_bytes(text) {
        assert_eq!(ids::decode_bytes(&ids::encode_bytes(&bytes)), Ok(bytes));
    }
    if let Ok(key) = ids::decode(text) {
        assert_eq!(ids::decode(&ids::encode(&key)), Ok(key));
    }
}

/// Links as people write them.
pub fn link(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for folder in [None, Some("/home/someone/app"), Some("C:\\app")] {
        let Ok(link) = Link::parse_in(text, folder) else { continue };
        let shown = link.to_string();
        assert_eq!(Link::parse(&shown).as_ref(), Ok(&link), "{shown:?}");
        match &link {
            Link::File(f) => drop(f.path()),
            Link::Pear(p) => {
                let _ = p.path();
                assert_eq!(PearLink::parse(&shown).as_ref(), Ok(p), "{shown:?}");
            }
        }
        assert!(shown.len() <= links::MAX_LINK * 4);
    }
    let _ = PearLink::parse(text).map(|l| l.origin().to_string());
    let _ = links::normalize(text);
}

fn head(length: u64, signature: &[u8]) -> Head {
    let mut a = Appender::default();
    for i in 0..length.min(16) {
        a.append_block(&[i as u8]).unwrap();
    }
    Head { signature: signature.to_vec(), ..a.head(0) }
}

/// Manifests, and verifying with them.
pub fn manifest(data: &[u8]) {
    let Ok(m) = Manifest::decode(data) else { return };
    assert!(m.signers.len() <= manifests::MAX_SIGNERS);
    assert_eq!(Manifest::decode(&m.encode()).as_ref(), Ok(&m));
    let key = m.key();
    let verifier = Verifier::new(&key, Some(&m)).unwrap();
    assert!(Verifier::new(&[7; 32], Some(&m)).is_err() || m.is_compat_with(&[7; 32]));
    let _ = verifier.verify(&head(3, data));
    let _ = verifier.verify(&head(0, &[]));
    let _ = verifier.sign(&head(2, &[]), &KeyPair::from_seed(&[1; 32]));
    let _ = m.blobs_key();
}

/// Three signers of whom two must sign, and the key pairs.
pub fn quorum() -> (Manifest, [KeyPair; 3]) {
    let keys = [1, 2, 3].map(|n| KeyPair::from_seed(&[n; 32]));
    let signers = keys.iter().map(|k| SignerSpec { namespace: [9; 32], public_key: k.public() }).collect();
    let m = Manifest { quorum: 2, signers, ..Manifest::single(keys[0].public()) };
    (m, keys)
}

/// Signatures of a quorum, with patches, verified against heads of several lengths.
pub fn multisig(data: &[u8]) {
    if let Ok(s) = MultiSignature::decode(data) {
        assert_eq!(MultiSignature::decode(&s.encode()).as_ref(), Ok(&s));
    }
    let _ = MultiSignature::decode_v0(data);
    static MANIFESTS: LazyLock<[Manifest; 3]> = LazyLock::new(|| {
        let (m, _) = quorum();
        let old = Manifest { version: 0, allow_patch: true, ..m.clone() };
        [m.clone(), Manifest { allow_patch: true, ..m }, old]
    });
    for m in &*MANIFESTS {
        let Ok(verifier) = Verifier::new(&m.key(), Some(m)) else { continue };
        for length in [1, 5] {
            let _ = verifier.verify(&head(length, data));
        }
        let forged = head(7, data);
        let signers = [1, 2, 3].map(|n| KeyPair::from_seed(&[n; 32]).public());
        assert!(signers.iter().all(|k| verifier.signer_index(k).is_some()));
        let _ = verifier.verify(&forged);
    }
}

/// Signing requests and responses, as bytes and as text.
pub fn signing(data: &[u8]) {
    let mut requests = Vec::new();
    if let Ok(r) = Request::decode(data) {
        requests.push((r, data.to_vec()));
    }
    let mut responses: Vec<Response> = Response::decode(data).into_iter().collect();
    if let Ok(text) = std::str::from_utf8(data) {
        requests.extend(Request::from_text(text));
        responses.extend(Response::from_text(text));
    }
    for r in &responses {
        assert_eq!(Response::decode(&r.encode()).as_ref(), Ok(r));
        assert_eq!(Response::from_text(&r.to_text()).as_ref(), Ok(r));
    }
    for (r, bytes) in &requests {
        // One request has one encoding, and what is refused was never read.
        assert_eq!((&r.encode(), r.check()), (bytes, Ok(())));
        assert_eq!(Request::decode(&r.encode()).as_ref(), Ok(r));
        assert_eq!(Request::from_text(&r.to_text()).map(|(r, _)| r).as_ref(), Ok(r));
        let key_pair = KeyPair::from_seed(&[1; 32]);
        let own = r.sign(bytes, &key_pair);
        if let Ok(own) = &own {
            assert_eq!(own.verify(r, bytes), Ok(()));
        }
        let _ = r.assemble(bytes, &own.into_iter().chain(responses.iter().cloned()).collect::<Vec<_>>());
        for response in &responses {
            let _ = response.verify(r, bytes);
        }
    }
}

/// Blocks of the core all proof targets are about.
pub fn proved_blocks() -> Vec<Bytes> {
    (0..37u8).map(|i| Bytes::from(vec![i; usize::from(i % 7) * 5])).collect()
}

/// The core all proof targets are about, whole.
pub fn proved_core() -> MemoryCore {
    let mut core = MemoryCore::writer(1);
    core.append(proved_blocks());
    core
}

struct Truth {
    core: Parts,
    /// The tree at a third of the length, with its roots only.
    part: Parts,
    tree_hashes: Vec<[u8; 32]>,
    blocks: Vec<Bytes>,
}

struct Parts {
    head: Head,
    nodes: HashMap<u64, Node>,
    manifest: Manifest,
}

// Built once: the parts of a `MemoryCore` that can be shared.
static TRUTH: LazyLock<Truth> = LazyLock::new(|| {
    let core = proved_core();
    let manifest = core.manifest.clone().unwrap();
    let blocks = proved_blocks();
    let mut a = Appender::default();
    let mut tree_hashes = vec![a.tree_hash()];
    let mut part = None;
    for (i, b) in blocks.iter().enumerate() {
        a.append_block(b).unwrap();
        tree_hashes.push(a.tree_hash());
        if i == 12 {
            let head = a.head(0);
            let nodes = head.roots.iter().map(|n| (n.index, *n)).collect();
            part = Some(Parts { head, nodes, manifest: manifest.clone() });
        }
    }
    let core = Parts { head: core.head.clone(), nodes: core.nodes.clone(), manifest };
    Truth { core, part: part.unwrap(), tree_hashes, blocks }
});

fn check_truth(head: &Head) {
    if head.fork == 0 {
        assert_eq!(Some(&head.tree_hash()), TRUTH.tree_hashes.get(head.length as usize), "a forged head");
    }
}

/// A `data` message, verified against a core of which we hold nothing, a part, all. Whatever is proved is true.
pub fn proof(data: &[u8]) {
    let Ok(message) = messages::Data::decode(&Bytes::copy_from_slice(data)) else { return };
    let t = &*TRUTH;
    let key = t.core.manifest.key();
    let (empty, nothing) = (Head::empty(), HashMap::new());
    let states = [(&empty, &nothing), (&t.part.head, &t.part.nodes), (&t.core.head, &t.core.nodes)];
    for (head, nodes) in states {
        for manifest in [None, Some(&t.core.manifest)] {
            if let Ok(v) = verify_proof(&key, manifest, head, nodes, &message.proof) {
                if let Some((i, value)) = v.block() {
                    assert_eq!(t.blocks.get(i as usize), Some(value), "a forged block");
                }
                if let Some(upgrade) = v.upgrade() {
                    check_truth(upgrade);
                }
                for n in v.nodes() {
                    assert_eq!(t.core.nodes.get(&n.index).map(|n| n.hash), Some(n.hash), "a forged node");
                }
                assert!(v.manifest().is_none_or(|m| m.key() == key));
            }
            let alone = verify_proof(&key, manifest, head, nodes, &message.proof);
            for p in HashedProof::together(vec![message.proof.clone(), message.proof.clone()]) {
                let beside = verify_hashed(&key, manifest, head, nodes, &p);
                assert_eq!(
                    alone.as_ref().ok(),
                    beside.as_ref().ok(),
                    "a group proves what each proves alone"
                );
            }
            if let Ok(head) = verify_detached(&key, manifest, &message.proof) {
                check_truth(&head);
            }
            if let Ok(mut reorg) = Reorg::start(&key, manifest, head, nodes, &message.proof) {
                check_truth(reorg.head());
                let _ = reorg.update(head, nodes, &message.proof);
            }
        }
    }
}

/// A `request` message, answered from the whole core; the answer, if there is one, can be sent.
pub fn proof_request(data: &[u8]) {
    let Ok(request) = messages::Request::decode(data) else { return };
    let t = &*TRUTH;
    let mut read = |i: u64| Ok(t.blocks.get(i as usize).cloned());
    let proof = create_proof(&t.core.head, Some(&t.core.manifest), &t.core.nodes, &request.what, &mut read);
    if let Ok(Some(proof)) = proof {
        let message = messages::Data { request: request.id, proof };
        let bytes = message.encode().concat();
        assert!(bytes.len() < 64 * 1024);
        assert_eq!(messages::Data::decode(&bytes).as_ref(), Ok(&message));
    }
}
