//! Reorgs: hypercore's own, and random ones.

use super::*;
use crate::merkle::replaced_nodes;
use proptest::prelude::*;

fn whole(length: u64) -> ProofRequest {
    ProofRequest { upgrade: Some(UpgradeRequest { start: 0, length }), ..ProofRequest::default() }
}

fn hash(index: u64, nodes: u64) -> ProofRequest {
    ProofRequest { hash: Some(NodeRequest { index, nodes }), ..ProofRequest::default() }
}

fn start(core: &Core, old: &Head, tree: &BTreeMap<u64, Node>, proof: &Proof) -> Result<Reorg, ProofError> {
    Reorg::start(&core.key, Some(&core.manifest), old, tree, proof)
}

#[test]
fn reorgs_go_the_way_hypercore_goes() {
    let (v, core) = vector_core();
    for row in v["reorgs"].as_array().unwrap() {
        let (shared, length, old) = (n(&row["shared"]), n(&row["length"]), n(&row["oldLength"]));
        let mut blocks = core.blocks[..shared as usize].to_vec();
        blocks.extend(row["blocks"].as_array().unwrap().iter().map(|b| Bytes::from(h(b))));
        let other = Core::new(9, 3, blocks);
        assert_eq!(other.head().signature, h(&row["signature"]));
        let head = &core.heads[old as usize];
        let have = if row["whole"] == true { Value::Null } else { Value::Array(Vec::new()) };
        let tree = reader(&core, old as usize, &have);
        let first = answer(&other, length, &whole(length)).unwrap().unwrap();
        let mut reorg = start(&core, head, &tree, &first).unwrap();
        for want in row["wants"].as_array().unwrap() {
            let [from, to, nodes, index] = numbers(want)[..] else { panic!("{want}") };
            assert_eq!(reorg.want(), Some(ReorgWant { start: from, end: to, nodes }), "{row}");
            let proof = answer(&other, length, &hash(2 * index, nodes)).unwrap().unwrap();
            reorg.update(head, &tree, &proof).unwrap();
        }
        let done = reorg.finish().unwrap();
        assert_eq!(done.ancestors(), n(&row["ancestors"]), "{row}");
        assert_eq!(done.head(), other.head());
    }
}

proptest! {
    #[test]
    fn a_reorg_keeps_what_is_common(
        shared in 0usize..40, old in 1usize..45, new in 1usize..45, picks: [u64; 8], extra in 0u64..40
    ) {
        let block = |i: usize, salt: u8| Bytes::from(vec![salt; i % 5 + 1]);
        let common = shared.min(old).min(new);
        let make = |fork, length: usize, salt| {
            Core::new(4, fork, (0..length).map(|i| block(i, if i < shared { 0 } else { salt })).collect())
        };
        let (mine, theirs) = (make(0, old, 1), make(2, new, 2));
        let mut request = whole(new as u64);
        if extra < new as u64 {
            request.block = Some(NodeRequest { index: extra, nodes: 0 });
        }
        let first = answer(&theirs, new as u64, &request).unwrap().unwrap();
        let mut reorg = start(&theirs, mine.head(), &mine.nodes, &first).unwrap();
        let mut rounds = 0;
        while let Some(w) = reorg.want() {
            prop_assert!(w.start < w.end && w.end <= old as u64 && reorg.clone().finish().is_err());
            let index = w.start + picks[rounds % 8] % (w.end.min(new as u64) - w.start);
            let proof = answer(&theirs, new as u64, &hash(2 * index, w.nodes)).unwrap().unwrap();
            reorg.update(mine.head(), &mine.nodes, &proof).unwrap();
            rounds += 1;
            prop_assert!(rounds <= 8);
        }
        let done = reorg.finish().unwrap();
        prop_assert_eq!(done.ancestors(), common as u64);
        // Applied, the reader's tree is the new one wherever it has nodes.
        let gone = replaced_nodes(done.ancestors(), old as u64);
        let mut nodes = mine.nodes.clone();
        nodes.retain(|i, _| !gone.range.contains(i) && !gone.across.contains(i));
        nodes.extend(done.nodes().iter().map(|n| (n.index, *n)));
        for node in nodes.values() {
            prop_assert_eq!(theirs.nodes.get(&node.index), Some(node));
        }
        for root in &done.head().roots {
            prop_assert_eq!(nodes.get(&root.index), Some(root));
        }
        prop_assert_eq!(done.head(), theirs.head());
    }
}

#[test]
fn wrong_reorg_proofs_are_refused() {
    let blocks = |salt: u8| (0..12u8).map(|i| Bytes::from(vec![if i < 3 { 0 } else { salt }; 3])).collect();
    let (mine, theirs) = (Core::new(4, 1, blocks(1)), Core::new(4, 2, blocks(2)));
    let first = answer(&theirs, 12, &whole(12)).unwrap().unwrap();
    let begin = |p: &Proof| start(&theirs, mine.head(), &mine.nodes, p);
    let mut reorg = begin(&first).unwrap();

    for fork in [0, 1] {
        assert!(matches!(begin(&Proof { fork, ..first.clone() }), Err(ProofError::Stale(_))));
    }
    assert!(matches!(
        begin(&Proof { fork: 3, ..first.clone() }),
        Err(ProofError::Invalid(InvalidProof::Signature))
    ));
    assert!(begin(&Proof { upgrade: None, ..first.clone() }).unwrap_err().is_peer_fault());
    let stranger = Core::new(5, 2, blocks(2));
    let theirs_not = answer(&stranger, 12, &whole(12)).unwrap().unwrap();
    assert!(begin(&theirs_not).unwrap_err().is_peer_fault());
    let partial =
        ProofRequest { upgrade: Some(UpgradeRequest { start: 4, length: 8 }), ..ProofRequest::default() };
    assert!(begin(&answer(&theirs, 12, &partial).unwrap().unwrap()).unwrap_err().is_peer_fault());

    let w = reorg.want().unwrap();
    let good = answer(&theirs, 12, &hash(2 * w.start, w.nodes)).unwrap().unwrap();
    let before = format!("{reorg:?}");
    let mut update = |p: &Proof| reorg.update(mine.head(), &mine.nodes, p);
    let mut bad = good.clone();
    bad.hash.as_mut().unwrap().nodes[1].hash[0] ^= 1;
    assert!(update(&bad).unwrap_err().is_peer_fault());
    assert!(update(&Proof { fork: 7, ..good.clone() }).is_err());
    assert!(update(&Proof { hash: None, ..good.clone() }).unwrap_err().is_peer_fault());
    // The root alone brings nothing new, and is not kept.
    let root = answer(&theirs, 12, &hash(7, 0)).unwrap().unwrap();
    assert!(update(&root).unwrap_err().is_peer_fault());
    // Right, but for another place.
    let elsewhere = answer(&theirs, 12, &hash(16, 1)).unwrap().unwrap();
    assert!(matches!(update(&elsewhere), Err(ProofError::Stale(_))));
    assert!(matches!(reorg.update(&mine.heads[5], &mine.nodes, &good), Err(ProofError::Stale(_))));
    assert_eq!(format!("{reorg:?}"), before);
    reorg.update(mine.head(), &mine.nodes, &good).unwrap();
}

#[test]
fn detached_heads_show_conflicts() {
    let blocks = |salt: u8| (0..5u8).map(|i| Bytes::from(vec![salt, i])).collect::<Vec<_>>();
    let (a, b) = (Core::new(4, 0, blocks(1)), Core::new(4, 0, blocks(2)));
    let heads = [&a, &b].map(|c| {
        let proof = answer(c, 5, &whole(5)).unwrap().unwrap();
        verify_detached(&c.key, Some(&c.manifest), &proof).unwrap()
    });
    assert_eq!(&heads[0], a.head());
    assert_ne!(heads[0].tree_hash(), heads[1].tree_hash());
    let mut forged = answer(&a, 5, &whole(5)).unwrap().unwrap();
    forged.fork = 1;
    let result = verify_detached(&a.key, Some(&a.manifest), &forged);
    assert!(matches!(result, Err(ProofError::Invalid(InvalidProof::Signature))), "{result:?}");
}

/// Only two heads of one fork, as far as both go, say anything about each other's history.
#[test]
fn histories_are_compared_where_they_can_be() {
    let blocks = |salt: u8, n: u8| (0..n).map(|i| Bytes::from(vec![salt, i])).collect::<Vec<_>>();
    let (mine, same, other) =
        (Core::new(4, 0, blocks(1, 9)), Core::new(4, 0, blocks(1, 12)), Core::new(4, 0, blocks(2, 9)));
    let compare = |of: &Core, asked: u64, length: u64| {
        let proof = answer(of, of.head().length, &whole(asked)).unwrap().unwrap();
        compare_history(&mine.key, Some(&mine.manifest), mine.head(), &mine.nodes, &proof, length)
    };
    assert!(compare(&same, 9, 9).unwrap().same);
    assert!(compare(&same, 5, 5).unwrap().same);
    let found = compare(&other, 9, 9).unwrap();
    assert_eq!((found.same, &found.theirs), (false, other.head()));
    // It answers another question than was asked.
    for (asked, length) in [(5, 9), (9, 5)] {
        let result = compare(&same, asked, length);
        assert!(matches!(result, Err(ProofError::Invalid(InvalidProof::Malformed(_)))), "{result:?}");
    }
    // A fork is no other history, and what we do not reach says nothing.
    let fork = Core::new(4, 1, blocks(2, 9));
    assert!(matches!(compare(&fork, 9, 9), Err(ProofError::Stale(_))));
    assert!(matches!(compare(&same, 12, 12), Err(ProofError::Stale(_))));
}
