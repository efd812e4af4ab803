//! Peers that lie: nothing untrue gets through, nothing panics, nothing loops.

use super::*;
use crate::merkle::{TreeReadError, TreeReader};
use proptest::prelude::*;

fn core() -> Core {
    Core::new(6, 0, (0..23u8).map(|i| Bytes::from(vec![i; usize::from(i % 4) + 1])).collect())
}

/// A reader that has the core's first `length` blocks' roots.
fn reader_at(core: &Core, length: u64) -> Reader {
    let mut reader = Reader::new();
    reader.manifest = Some(core.manifest.clone());
    if length > 0 {
        let upgrade = Some(UpgradeRequest { start: 0, length });
        let r = ProofRequest { upgrade, ..ProofRequest::default() };
        reader.apply(reader.verify(core, &answer(core, length, &r).unwrap().unwrap()).unwrap());
    }
    reader
}

/// Everything that came out is the core's. Sizes of single nodes may be shifted between siblings when no block came.
fn assert_true(core: &Core, v: &Verified, sizes: bool) {
    if let Some((i, b)) = v.block() {
        assert_eq!(core.blocks.get(i as usize), Some(b));
    }
    if let Some(head) = v.upgrade() {
        // The encoding of a signature can be changed without changing what it says, as in hypercore.
        assert!(crate::manifest::verify_head(&core.key, Some(&core.manifest), head));
        let signature = head.signature.clone();
        let real = &core.heads[head.length as usize];
        assert_eq!(head, &Head { signature, ..real.clone() });
    }
    for node in v.nodes() {
        let real = &core.nodes[&node.index];
        assert_eq!(node.hash, real.hash);
        assert!(!sizes || node.size == real.size);
    }
}

fn requests() -> Vec<(u64, ProofRequest)> {
    let block = |index, nodes| Some(NodeRequest { index, nodes });
    let up = |start, length| Some(UpgradeRequest { start, length });
    let none = ProofRequest::default();
    vec![
        (23, ProofRequest { block: block(5, 4), ..none.clone() }),
        (23, ProofRequest { block: block(22, 0), ..none.clone() }),
        (23, ProofRequest { hash: block(18, 4), ..none.clone() }),
        (
            23,
            ProofRequest {
                hash: block(9, 3),
                seek: Some(SeekRequest { bytes: 5, padding: 0 }),
                ..none.clone()
            },
        ),
        (0, ProofRequest { upgrade: up(0, 23), ..none.clone() }),
        (0, ProofRequest { upgrade: up(0, 9), block: block(3, 0), ..none.clone() }),
        (9, ProofRequest { upgrade: up(9, 14), block: block(11, 0), ..none.clone() }),
        (9, ProofRequest { upgrade: up(9, 3), block: block(2, 3), ..none.clone() }),
        (13, ProofRequest { upgrade: up(13, 6), seek: Some(SeekRequest { bytes: 40, padding: 0 }), ..none }),
    ]
}

#[derive(Debug, Clone)]
struct Change {
    what: u8,
    at: u16,
    value: u64,
    byte: u8,
}

fn pick<T>(list: &mut [T], at: u16) -> Option<&mut T> {
    let n = list.len().max(1);
    list.get_mut(usize::from(at) % n)
}

fn change(p: &mut Proof, c: &Change) {
    let mut lists: Vec<&mut Vec<Node>> = Vec::new();
    let mut signature = None;
    let mut numbers: Vec<&mut u64> = vec![&mut p.fork];
    let mut value = None;
    if let Some(b) = &mut p.block {
        lists.push(&mut b.nodes);
        numbers.push(&mut b.index);
        value = Some(&mut b.value);
    }
    if let Some(b) = &mut p.hash {
        lists.push(&mut b.nodes);
        numbers.push(&mut b.index);
    }
    if let Some(b) = &mut p.seek {
        lists.push(&mut b.nodes);
        numbers.push(&mut b.bytes);
    }
    if let Some(u) = &mut p.upgrade {
        lists.push(&mut u.nodes);
        lists.push(&mut u.additional_nodes);
        numbers.push(&mut u.start);
        numbers.push(&mut u.length);
        signature = Some(&mut u.signature);
    }
    if c.what % 10 == 9 {
        // Bytes shifted between two nodes.
        let mut nodes: Vec<&mut Node> = lists.into_iter().flatten().collect();
        if nodes.len() > 1 {
            let i = usize::from(c.at) % (nodes.len() - 1);
            // An earlier change may have made one of the sizes any number.
            let moved = c.value % nodes[i].size.saturating_add(1);
            nodes[i].size -= moved;
            nodes[i + 1].size = nodes[i + 1].size.wrapping_add(moved);
        }
        return;
    }
    let Some(list) = pick(&mut lists, c.at) else { return };
    match c.what % 10 {
        0 => {
            if let Some(n) = pick(list, c.at >> 4) {
                n.hash[usize::from(c.byte % 32)] ^= 1 << (c.value % 8);
            }
        }
        1 => {
            if let Some(n) = pick(list, c.at >> 4) {
                n.size = c.value;
            }
        }
        2 => {
            if let Some(n) = pick(list, c.at >> 4) {
                n.index = if c.byte & 1 == 0 { c.value } else { c.value % 46 };
            }
        }
        3 => drop(list.pop()),
        4 => {
            let extra = Node { index: c.value % 50, size: 1, hash: [c.byte; 32] };
            list.insert(usize::from(c.at >> 4) % (list.len() + 1), extra);
        }
        5 => list.reverse(),
        6 => {
            if let Some(n) = pick(&mut numbers, c.at >> 4) {
                **n = if c.byte & 1 == 0 { c.value } else { c.value % 46 };
            }
        }
        7 => {
            if let Some(s) = signature
                && let Some(b) = pick(s, c.at >> 4)
            {
                *b ^= c.byte | 1;
            }
        }
        _ => {
            if let Some(v) = value {
                *v = Bytes::from(vec![c.byte; (c.value % 6) as usize]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn changed_proofs_prove_nothing_untrue(
        changes in prop::collection::vec(any::<(u8, u16, u64, u8)>(), 1..4)
    ) {
        let core = core();
        for (length, request) in requests() {
            let reader = reader_at(&core, length);
            let good = answer(&core, 23, &request).unwrap().unwrap();
            assert_true(&core, &reader.verify(&core, &good).unwrap(), true);
            let mut proof = good.clone();
            for (what, at, value, byte) in &changes {
                change(&mut proof, &Change { what: *what, at: *at, value: *value, byte: *byte });
            }
            if let Ok(v) = reader.verify(&core, &proof) {
                assert_true(&core, &v, request.block.is_some() && request.upgrade.is_none());
            }
            let _ = verify_detached(&core.key, None, &proof);
            proof.fork = 9;
            let _ = Reorg::start(&core.key, None, &reader.head, &reader.nodes, &proof);
        }
    }

    #[test]
    fn wild_requests_are_answered_or_refused(
        block: Option<(u64, u64)>, hash: Option<(u64, u64)>, seek: Option<(u64, u64)>, upgrade: Option<(u64, u64)>,
        small: bool
    ) {
        let core = core();
        let cut = |(a, b): (u64, u64)| if small { (a % 50, b % 30) } else { (a, b) };
        let node = |p: Option<(u64, u64)>| p.map(cut).map(|(index, nodes)| NodeRequest { index, nodes });
        let request = ProofRequest {
            block: node(block),
            hash: node(hash),
            seek: seek.map(cut).map(|(bytes, padding)| SeekRequest { bytes, padding }),
            upgrade: upgrade.map(cut).map(|(start, length)| UpgradeRequest { start, length }),
            manifest: false,
        };
        let _ = answer(&core, 23, &request);
        let mut no_block = |_| Ok(None);
        let _ = create_proof(core.head(), None, &BTreeMap::new(), &request, &mut no_block);
    }
}

#[test]
fn lists_of_many_nodes_cost_nothing() {
    let core = core();
    let reader = reader_at(&core, 23);
    let nodes: Vec<Node> = (0..100_000).map(|i| Node { index: i, size: u64::MAX, hash: [0; 32] }).collect();
    let upgrade = UpgradeProof {
        start: 23,
        length: 1 << 60,
        nodes: nodes.clone(),
        additional_nodes: nodes.clone(),
        signature: vec![0; 9],
    };
    let block = BlockProof { index: u64::MAX, value: Bytes::new(), nodes };
    let mut proof = Proof { upgrade: Some(upgrade), block: Some(block), ..Proof::default() };
    assert!(reader.verify(&core, &proof).unwrap_err().is_peer_fault());
    proof.block = None;
    assert!(reader.verify(&core, &proof).unwrap_err().is_peer_fault());
    proof.upgrade.as_mut().unwrap().length = 0;
    assert!(reader.verify(&core, &proof).unwrap_err().is_peer_fault());
}

#[test]
fn stale_proofs_are_not_the_peers_fault() {
    let core = core();
    let reader = reader_at(&core, 9);
    let request = |start| ProofRequest {
        upgrade: Some(UpgradeRequest { start, length: 2 }),
        ..ProofRequest::default()
    };
    for start in [0, 8, 12] {
        let proof = answer(&core, 23, &request(start)).unwrap().unwrap();
        assert!(matches!(reader.verify(&core, &proof), Err(ProofError::Stale(_))));
    }
    let mut proof = answer(&core, 23, &request(9)).unwrap().unwrap();
    proof.fork = 1;
    assert!(matches!(reader.verify(&core, &proof), Err(ProofError::Stale(_))));
    // A block with too few nodes hangs in the air.
    let short = ProofRequest { block: Some(NodeRequest { index: 2, nodes: 1 }), ..ProofRequest::default() };
    let proof = answer(&core, 23, &short).unwrap().unwrap();
    assert!(matches!(reader.verify(&core, &proof), Err(ProofError::Stale(_))));
    // Nodes left behind by a longer tree are not believed.
    let mut left_over = reader_at(&core, 9);
    left_over.nodes = core.nodes.clone();
    let beyond = ProofRequest { block: Some(NodeRequest { index: 12, nodes: 0 }), ..ProofRequest::default() };
    let proof = answer(&core, 23, &beyond).unwrap().unwrap();
    assert!(matches!(left_over.verify(&core, &proof), Err(ProofError::Stale(_))));
}

#[test]
fn a_store_that_fails_is_not_the_peers_fault() {
    struct Broken;
    impl TreeReader for Broken {
        fn node(&self, _: u64) -> Result<Option<Node>, TreeReadError> {
            Err(TreeReadError("disk".into()))
        }
    }
    let core = core();
    let r = ProofRequest { block: Some(NodeRequest { index: 2, nodes: 1 }), ..ProofRequest::default() };
    let proof = answer(&core, 23, &r).unwrap().unwrap();
    let result = verify_proof(&core.key, Some(&core.manifest), core.head(), &Broken, &proof);
    assert!(matches!(result, Err(ProofError::Read(_))));
    let mut block = |_| Ok(None);
    assert!(matches!(create_proof(core.head(), None, &Broken, &r, &mut block), Err(RequestError::Read(_))));
}

/// Sizes of two siblings can be shifted by a proof without blocks; the blocks set them right, all of them.
#[test]
fn shifted_sizes_are_set_right_by_blocks() {
    let core = core();
    for index in 0..16u64 {
        for level in 0..4u32 {
            let mut reader = reader_at(&core, 23);
            let node = flat_tree::index(level, index >> level);
            let nodes = crate::merkle::missing_nodes(&reader.nodes, &reader.head, node).unwrap();
            let r =
                ProofRequest { hash: Some(NodeRequest { index: node, nodes }), ..ProofRequest::default() };
            let mut proof = answer(&core, 23, &r).unwrap().unwrap();
            let [first, second, ..] = proof.hash.as_mut().unwrap().nodes.as_mut_slice() else { panic!() };
            first.size -= 1;
            second.size += 1;
            reader.apply(reader.verify(&core, &proof).unwrap());
            assert_ne!(reader.nodes[&node], core.nodes[&node]);
            // What is right is not replaced by later lies.
            let mut honest = reader_at(&core, 23);
            let good = answer(&core, 23, &r).unwrap().unwrap();
            honest.apply(honest.verify(&core, &good).unwrap());
            honest.apply(honest.verify(&core, &proof).unwrap());
            honest.check(&core);

            let nodes = crate::merkle::missing_nodes(&reader.nodes, &reader.head, 2 * index).unwrap();
            let r = ProofRequest { block: Some(NodeRequest { index, nodes }), ..ProofRequest::default() };
            let proof = answer(&core, 23, &r).unwrap().unwrap();
            reader.apply(reader.verify(&core, &proof).unwrap());
            reader.check(&core);
        }
    }
}

#[test]
fn a_manifest_of_another_key_is_refused() {
    let core = core();
    let upgrade = Some(UpgradeRequest { start: 0, length: 23 });
    let r = ProofRequest { upgrade, manifest: true, ..ProofRequest::default() };
    let mut proof = answer(&core, 23, &r).unwrap().unwrap();
    let stranger = Manifest::single([1; 32]);
    proof.manifest = Some(stranger.clone());
    let result = Reader::new().verify(&core, &proof);
    assert!(matches!(result, Err(ProofError::Invalid(InvalidProof::Manifest))));
    // Known, it is not looked at.
    let mut reader = Reader::new();
    reader.manifest = Some(core.manifest.clone());
    assert_eq!(reader.verify(&core, &proof).unwrap().manifest(), None);
    // The caller's own mistake is an error too.
    reader.manifest = Some(stranger.clone());
    assert!(matches!(reader.verify(&core, &proof), Err(ProofError::Invalid(InvalidProof::Manifest))));
    // Alone, without a head that its signers would have to have signed: a peer may send what it can.
    let alone = |manifest: &Manifest| {
        Reader::new().verify(&core, &Proof { manifest: Some(manifest.clone()), ..Proof::default() })
    };
    assert_eq!(alone(&core.manifest).unwrap().manifest(), Some(&core.manifest));
    assert!(matches!(alone(&stranger), Err(ProofError::Invalid(InvalidProof::Manifest))));
}

#[test]
fn nodes_that_nobody_needs_are_refused() {
    let core = core();
    let r = ProofRequest {
        upgrade: Some(UpgradeRequest { start: 9, length: 14 }),
        block: Some(NodeRequest { index: 11, nodes: 0 }),
        ..ProofRequest::default()
    };
    let mut proof = answer(&core, 23, &r).unwrap().unwrap();
    assert!(reader_at(&core, 9).verify(&core, &proof).is_ok());
    let spare = Node { index: 46, size: 1, hash: [1; 32] };
    proof.upgrade.as_mut().unwrap().nodes.push(spare);
    let result = reader_at(&core, 9).verify(&core, &proof);
    assert!(matches!(result, Err(ProofError::Invalid(InvalidProof::SpareNodes))), "{result:?}");
}

/// A node's hash covers the sum of the sizes below it and not its own: whoever sends the node alone may say any.
#[test]
fn a_node_that_is_known_keeps_its_size() {
    let core = core();
    let mut reader = reader_at(&core, 23);
    let r = |nodes| ProofRequest { hash: Some(NodeRequest { index: 10, nodes }), ..ProofRequest::default() };
    let nodes = crate::merkle::missing_nodes(&reader.nodes, &reader.head, 10).unwrap();
    reader.apply(reader.verify(&core, &answer(&core, 23, &r(nodes)).unwrap().unwrap()).unwrap());
    let mut proof = answer(&core, 23, &r(0)).unwrap().unwrap();
    assert_eq!(reader.verify(&core, &proof).unwrap().nodes(), []);
    proof.hash.as_mut().unwrap().nodes[0].size -= 1;
    let result = reader.verify(&core, &proof);
    assert!(matches!(result, Err(ProofError::Invalid(InvalidProof::Checksum(10)))), "{result:?}");
}
