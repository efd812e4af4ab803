//! Honest peers: what is proved verifies and is what was written.

use super::*;
use crate::merkle::{Seek, missing_nodes, seek};
use proptest::prelude::*;

/// One step of a reader, in numbers to be taken modulo what makes sense.
#[derive(Debug, Clone)]
struct Step {
    what: u8,
    at: u64,
    more: u64,
    bytes: u64,
}

fn steps() -> impl Strategy<Value = (Vec<usize>, Vec<Step>)> {
    let step =
        any::<(u8, u64, u64, u64)>().prop_map(|(what, at, more, bytes)| Step { what, at, more, bytes });
    (prop::collection::vec(0usize..12, 1..70), prop::collection::vec(step, 1..40))
}

/// The request a well-behaved reader makes.
fn request(reader: &Reader, remote: u64, step: &Step) -> ProofRequest {
    let have = reader.head.length;
    let mut r = ProofRequest { manifest: reader.manifest.is_none(), ..ProofRequest::default() };
    if have < remote && (have == 0 || step.what & 1 == 1) {
        let length = 1 + step.more % (remote - have);
        r.upgrade = Some(UpgradeRequest { start: have, length });
    }
    let end = r.upgrade.map_or(have, |u| u.start + u.length);
    let nodes = |index| missing_nodes(&reader.nodes, &reader.head, index).unwrap();
    match step.what >> 1 & 3 {
        0 => {
            let index = step.at % end;
            r.block = Some(NodeRequest { index, nodes: if index < have { nodes(2 * index) } else { 0 } });
        }
        1 => {
            let index = step.at % (2 * end - 1);
            // A node that reaches over the old length cannot be asked for in an upgrade.
            if flat_tree::right_span(index) < 2 * have {
                r.hash = Some(NodeRequest { index, nodes: nodes(index) });
            } else if flat_tree::left_span(index) >= 2 * have && flat_tree::right_span(index) < 2 * end {
                r.hash = Some(NodeRequest { index, nodes: 0 });
            }
        }
        2 if r.upgrade.is_some() => r.seek = Some(SeekRequest { bytes: step.bytes % 600, padding: 0 }),
        2 => {
            let bytes = step.bytes % (reader.head.byte_length + 1);
            if let Seek::Within { start, end, nodes } = seek(&reader.nodes, &reader.head, bytes).unwrap() {
                let index = 2 * (start + step.at % (end - start));
                r.hash = Some(NodeRequest { index, nodes });
                r.seek = Some(SeekRequest { bytes, padding: 0 });
            }
        }
        _ => {}
    }
    r
}

/// Whether a hash request can fail because its node is shared with an upgrade that has another shape.
fn may_fail(r: &ProofRequest) -> bool {
    r.upgrade.is_some() && r.hash.is_some()
}

proptest! {
    #[test]
    fn what_is_proved_verifies((sizes, steps) in steps()) {
        let blocks = sizes.iter().enumerate().map(|(i, s)| Bytes::from(vec![i as u8; *s])).collect();
        let core = Core::new(7, 0, blocks);
        let mut reader = Reader::new();
        for step in &steps {
            let remote = (reader.head.length).max(1 + step.at % core.head().length);
            let r = request(&reader, remote, step);
            let proof = match answer(&core, remote, &r) {
                Ok(Some(proof)) => proof,
                Ok(None) => continue,
                Err(e) => {
                    prop_assert!(may_fail(&r), "{:?} {}", r, e);
                    continue;
                }
            };
            prop_assert_eq!(proof.block.is_some(), r.block.is_some());
            let verified = match reader.verify(&core, &proof) {
                Ok(v) => v,
                Err(e) => return Err(TestCaseError::fail(format!("{r:?} {proof:?} {e}"))),
            };
            prop_assert_eq!(verified.block().map(|(i, _)| i), r.block.map(|b| b.index));
            if let Some(u) = r.upgrade {
                prop_assert!(verified.upgrade().unwrap().length >= u.start + u.length);
            }
            reader.apply(verified);
            reader.check(&core);
            if let Some(s) = r.seek.filter(|s| r.upgrade.is_none() && s.bytes > 0) {
                // A seek with a hash finds the block at once: the server has all nodes.
                let found = seek(&reader.nodes, &reader.head, s.bytes).unwrap();
                let is_found = matches!(found, Seek::Found { .. });
                prop_assert!(is_found, "{:?} {:?}", r, found);
            }
        }
        prop_assert!(reader.head.length == 0 || reader.manifest.is_some());
    }

    /// A sparse reader serves what it has, and says so when it has not.
    #[test]
    fn sparse_readers_serve_others((sizes, steps) in steps()) {
        let blocks = sizes.iter().enumerate().map(|(i, s)| Bytes::from(vec![i as u8; *s])).collect();
        let core = Core::new(7, 0, blocks);
        let mut first = Reader::new();
        let length = core.head().length;
        let whole = ProofRequest {
            upgrade: Some(UpgradeRequest { start: 0, length }),
            manifest: true,
            ..ProofRequest::default()
        };
        first.apply(first.verify(&core, &answer(&core, length, &whole).unwrap().unwrap()).unwrap());
        let mut second = first.clone();
        for step in &steps {
            let index = step.at % length;
            let nodes = missing_nodes(&first.nodes, &first.head, 2 * index).unwrap();
            let r = ProofRequest { block: Some(NodeRequest { index, nodes }), ..ProofRequest::default() };
            first.apply(first.verify(&core, &answer(&core, length, &r).unwrap().unwrap()).unwrap());
            first.check(&core);

            let index = if step.what & 1 == 0 { index } else { step.more % length };
            let nodes = missing_nodes(&second.nodes, &second.head, 2 * index).unwrap();
            let r = ProofRequest { block: Some(NodeRequest { index, nodes }), ..ProofRequest::default() };
            let mut block = |i: u64| Ok(first.blocks.get(&i).cloned());
            let proof = create_proof(&first.head, first.manifest.as_ref(), &first.nodes, &r, &mut block).unwrap();
            prop_assert_eq!(proof.is_some(), first.blocks.contains_key(&index));
            if let Some(proof) = proof {
                second.apply(second.verify(&core, &proof).unwrap());
                second.check(&core);
            }
        }
    }
}

#[test]
fn the_manifest_comes_along_and_is_kept_once() {
    let core = Core::new(3, 0, vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]);
    let r = ProofRequest {
        upgrade: Some(UpgradeRequest { start: 0, length: 2 }),
        manifest: true,
        ..ProofRequest::default()
    };
    let proof = answer(&core, 2, &r).unwrap().unwrap();
    let mut reader = Reader::new();
    let v = reader.verify(&core, &proof).unwrap();
    assert_eq!(v.manifest(), Some(&core.manifest));
    assert_eq!(v.upgrade(), Some(core.head()));
    reader.apply(v);
    let only = ProofRequest { manifest: true, ..ProofRequest::default() };
    let proof = answer(&core, 2, &only).unwrap().unwrap();
    assert_eq!(reader.verify(&core, &proof).unwrap(), Verified::default());
    // An empty core still has a manifest to tell.
    assert!(answer(&core, 0, &only).unwrap().unwrap().manifest.is_some());
    assert!(answer(&core, 0, &ProofRequest { manifest: false, ..r }).unwrap().is_none());
    let without = Proof { manifest: None, ..answer(&core, 2, &r).unwrap().unwrap() };
    let error = Reader::new().verify(&core, &without).unwrap_err();
    assert!(matches!(error, ProofError::Invalid(InvalidProof::Signature)));
}

#[test]
fn compat_keys_need_no_manifest() {
    let pair = crate::crypto::KeyPair::from_seed(&[5; 32]);
    let mut core = Core::new(3, 0, vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]);
    core.key = pair.public();
    let verifier = crate::manifest::Verifier::new(&core.key, None).unwrap();
    core.heads[2].signature = verifier.sign(core.head(), &pair).unwrap();
    let r = ProofRequest { upgrade: Some(UpgradeRequest { start: 0, length: 2 }), ..ProofRequest::default() };
    let mut proof = answer(&core, 2, &r).unwrap().unwrap();
    let v = Reader::new().verify(&core, &proof).unwrap();
    assert_eq!((v.upgrade(), v.manifest()), (Some(core.head()), None));
    // A compat manifest in the proof says nothing new, whatever else it claims.
    let mut manifest = Manifest::single(pair.public());
    manifest.quorum = 0;
    proof.manifest = Some(manifest);
    assert_eq!(Reader::new().verify(&core, &proof).unwrap().manifest(), None);
}

#[test]
fn prologues_are_sent_whole_and_checked() {
    let mut core = Core::new(3, 0, (0..9u8).map(|i| Bytes::from(vec![i])).collect());
    core.manifest.prologue = Some(crate::manifest::Prologue { hash: core.heads[6].tree_hash(), length: 6 });
    core.key = core.manifest.key();
    let pair = crate::crypto::KeyPair::from_seed(&[3; 32]);
    let verifier = crate::manifest::Verifier::new(&core.key, Some(&core.manifest)).unwrap();
    for head in &mut core.heads[1..] {
        head.signature = if head.length <= 6 { Vec::new() } else { verifier.sign(head, &pair).unwrap() };
    }
    let r = |start, length| ProofRequest {
        upgrade: Some(UpgradeRequest { start, length }),
        manifest: true,
        ..ProofRequest::default()
    };
    // Asked for less than the prologue, all of it comes.
    let proof = answer(&core, 9, &r(0, 2)).unwrap().unwrap();
    assert_eq!(proof.upgrade.as_ref().map(|u| (u.start, u.length)), Some((0, 6)));
    let mut reader = Reader::new();
    reader.apply(reader.verify(&core, &proof).unwrap());
    assert_eq!(reader.head, core.heads[9]);
    // Static part alone: no signature.
    let mut reader = Reader::new();
    reader.apply(reader.verify(&core, &answer(&core, 6, &r(0, 6)).unwrap().unwrap()).unwrap());
    assert_eq!(reader.head, core.heads[6]);
    reader.apply(reader.verify(&core, &answer(&core, 9, &r(6, 3)).unwrap().unwrap()).unwrap());
    assert_eq!(reader.head, core.heads[9]);
    // A core whose first blocks are others, rightly signed.
    let mut other = Core::new(3, 0, (0..9u8).map(|i| Bytes::from(vec![i ^ 1])).collect());
    (other.key, other.manifest) = (core.key, core.manifest.clone());
    for head in &mut other.heads[1..] {
        head.signature = verifier.sign(head, &pair).unwrap();
    }
    for request in [r(0, 6), r(0, 9)] {
        let proof = answer(&other, 9, &request).unwrap().unwrap();
        let result = Reader::new().verify(&core, &proof);
        assert!(matches!(result, Err(ProofError::Invalid(InvalidProof::Prologue))), "{result:?}");
    }
    // Nor does it get by with an upgrade that ends before the prologue does and brings the rest as additional nodes.
    let mut block = |_| Ok(None);
    let proof = create_proof(other.head(), None, &other.nodes, &r(0, 2), &mut block).unwrap().unwrap();
    assert_eq!(proof.upgrade.as_ref().map(|u| (u.start, u.length)), Some((0, 2)));
    let mut reader = Reader::new();
    reader.manifest = Some(core.manifest.clone());
    let result = reader.verify(&core, &proof);
    assert!(matches!(result, Err(ProofError::Invalid(InvalidProof::Prologue))), "{result:?}");
}

#[test]
fn several_proofs_at_once_come_to_the_same_as_one_by_one() {
    let core = Core::new(3, 0, (0..20u8).map(|i| Bytes::from(vec![i; usize::from(i) * 50])).collect());
    let mut reader = Reader::new();
    let upgrade = Some(UpgradeRequest { start: 0, length: 20 });
    let r = ProofRequest { upgrade, manifest: true, ..ProofRequest::default() };
    reader.apply(reader.verify(&core, &answer(&core, 20, &r).unwrap().unwrap()).unwrap());
    let ask = |index| {
        let nodes = missing_nodes(&reader.nodes, &reader.head, 2 * index).unwrap();
        let block = Some(NodeRequest { index, nodes });
        answer(&core, 20, &ProofRequest { block, ..ProofRequest::default() }).unwrap().unwrap()
    };
    let mut proofs: Vec<Proof> = (0..20).map(ask).collect();
    proofs[7].block.as_mut().unwrap().value = Bytes::from_static(b"lie");
    proofs.insert(3, Proof { manifest: Some(core.manifest.clone()), ..Proof::default() });
    let all: Vec<_> = HashedProof::together(proofs.clone())
        .iter()
        .map(|p| verify_hashed(&core.key, reader.manifest.as_ref(), &reader.head, &reader.nodes, p))
        .collect();
    assert_eq!(all.len(), 21);
    for (i, (proof, result)) in proofs.iter().zip(all).enumerate() {
        match (reader.verify(&core, proof), result) {
            (Ok(one), Ok(many)) => assert_eq!(one, many),
            (Err(one), Err(many)) => assert_eq!((i, one.to_string()), (8, many.to_string())),
            other => panic!("{i} {other:?}"),
        }
    }
}
