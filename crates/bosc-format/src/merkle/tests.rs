use super::*;
use crate::flat_tree;
use crate::testing::{Core, h, h32, n, numbers, pear, tree_vectors};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn appended(blocks: &[Vec<u8>]) -> Appender {
    let mut a = Appender::default();
    for b in blocks {
        a.append_block(b).unwrap();
    }
    a
}

#[test]
fn tree_hashes_of_a_real_drive_match() {
    let v = pear();
    let db: Vec<_> = v["db"].as_array().unwrap().iter().map(h).collect();
    assert_eq!(appended(&db).tree_hash(), h32(&v["treeHash"]));
    assert_eq!(appended(&db).byte_length(), n(&v["lens"]["byteLength"]));
    let blobs: Vec<_> = v["blobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| if b.as_str().unwrap() == "len 100000" { vec![b'a'; 100_000] } else { h(b) })
        .collect();
    assert_eq!(appended(&blobs).tree_hash(), h32(&v["blobsTreeHash"]));
    assert_eq!(appended(&blobs).byte_length(), n(&v["lens"]["blobsBytes"]));
}

#[test]
fn nodes_and_heads_of_every_length_match_hypercore() {
    let v = tree_vectors();
    let blocks: Vec<Vec<u8>> = v["blocks"].as_array().unwrap().iter().map(h).collect();
    let mut a = Appender::default();
    for (block, head) in blocks.iter().zip(v["heads"].as_array().unwrap()) {
        // Restarting from a head is the same as going on.
        let mut again = Appender::new(&a.head(0));
        a.append_block(block).unwrap();
        again.append_block(block).unwrap();
        assert_eq!(again.head(0), a.head(0));
        assert!(a.head(0).is_well_formed());
        assert_eq!(a.tree_hash(), h32(&head["treeHash"]));
        assert_eq!(a.byte_length(), n(&head["byteLength"]));
    }
    let mut made = a.take_nodes();
    made.sort_by_key(|n| n.index);
    let expected: Vec<Node> = v["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| Node { index: n(&row[0]), size: n(&row[1]), hash: h32(&row[2]) })
        .collect();
    assert_eq!(made, expected);
}

/// The nodes a vector's reader has: those listed and the roots.
pub(crate) fn reader(core: &Core, length: usize, have: &serde_json::Value) -> BTreeMap<u64, Node> {
    let mut nodes: BTreeMap<u64, Node> = match have {
        serde_json::Value::Array(_) => {
            numbers(have).iter().filter_map(|i| core.nodes.get(i)).map(|n| (n.index, *n)).collect()
        }
        _ => core.nodes.clone(),
    };
    nodes.retain(|i, _| flat_tree::right_span(*i) < 2 * length as u64);
    nodes.extend(core.heads[length].roots.iter().map(|n| (n.index, *n)));
    nodes
}

pub(crate) fn vector_core() -> (serde_json::Value, Core) {
    let v = tree_vectors();
    let blocks = v["blocks"].as_array().unwrap().iter().map(|b| Bytes::from(h(b))).collect();
    let core = Core::new(9, 0, blocks);
    assert_eq!(core.key, h32(&v["key"]));
    (v, core)
}

#[test]
fn offsets_seeks_and_missing_nodes_match_hypercore() {
    let (v, core) = vector_core();
    let mut found = [0; 3];
    for row in v["queries"].as_array().unwrap() {
        let length = n(&row[0]) as usize;
        let (head, tree) = (&core.heads[length], reader(&core, length, &row[1]));
        let block = n(&row[2]);
        match (row[3].as_u64(), byte_offset(&tree, head, block)) {
            (Some(expected), Ok(offset)) => assert_eq!(offset, expected),
            (None, Err(TreeError::Missing(_))) if row[3].is_null() => {}
            // Hypercore gives NaN there; see tree.mjs.
            (None, _) if row[3] == "NaN" && block * 2 > flat_tree::right_span(head.roots[0].index) => {}
            (expected, got) => panic!("{row}: {expected:?} {got:?}"),
        }
        assert_eq!(missing_nodes(&tree, head, 2 * block).unwrap(), n(&row[4]), "{row}");
        assert_eq!(max_missing_nodes(2 * block, length as u64), n(&row[5]), "{row}");
        match seek(&tree, head, n(&row[6])).unwrap() {
            Seek::Found { block, offset } => {
                found[0] += 1;
                assert_eq!(numbers(&row[7]["found"]), [block, offset], "{row}");
            }
            Seek::Within { start, end, nodes } => {
                found[1] += 1;
                assert_eq!((n(&row[7]["start"]), n(&row[7]["end"])), (start, end), "{row}");
                assert_eq!(1 << nodes, end - start);
            }
            Seek::Beyond => {
                found[2] += 1;
                assert_eq!((n(&row[7]["start"]), n(&row[7]["end"])), (length as u64, 0), "{row}");
            }
        }
    }
    assert!(found.iter().all(|n| *n > 0), "{found:?}");
}

fn core_of(length: u64) -> Core {
    Core::new(1, 0, (0..length).map(|i| Bytes::from(vec![i as u8; (i * 7 % 11) as usize])).collect())
}

#[test]
fn truncating_gives_the_head_of_that_length() {
    let core = core_of(21);
    for length in 0..=21 {
        let mut cut = truncate(core.head(), &core.nodes, length as u64, 4).unwrap();
        assert_eq!(cut.fork, 4);
        assert!(cut.signature.is_empty());
        (cut.fork, cut.signature) = (0, core.heads[length].signature.clone());
        assert_eq!(cut, core.heads[length]);
        assert_eq!(byte_offset(&core.nodes, core.head(), length as u64).unwrap(), cut.byte_length);
    }
    assert!(matches!(truncate(core.head(), &core.nodes, 22, 1), Err(TreeError::OutOfBounds(_))));
    let none = BTreeMap::new();
    assert!(matches!(truncate(core.head(), &none, 3, 1), Err(TreeError::Missing(_))));
    assert!(matches!(byte_range(&core.nodes, core.head(), 21), Err(TreeError::OutOfBounds(_))));
    assert_eq!(byte_range(&core.nodes, core.head(), 1).unwrap(), 0..7);
}

#[test]
fn replaced_nodes_are_those_that_reach_over_the_cut() {
    for old in 0..=33u64 {
        for kept in 0..=old {
            let replaced = replaced_nodes(kept, old);
            for index in (0..2 * old).filter(|i| flat_tree::right_span(*i) < 2 * old) {
                let gone = flat_tree::end_block(index) > kept;
                let named = replaced.range.contains(&index) || replaced.across.contains(&index);
                assert_eq!(named, gone, "kept {kept} of {old}, node {index}");
            }
        }
    }
}

#[test]
fn appending_over_a_bound_is_refused_and_changes_nothing() {
    let mut a = Appender::default();
    a.append([0; 32], MAX_BYTES).unwrap();
    let before = (a.head(0), a.nodes().to_vec());
    assert!(matches!(a.append([0; 32], 1), Err(TreeError::TooLarge(_))));
    assert!(matches!(a.append([0; 32], u64::MAX), Err(TreeError::TooLarge(_))));
    assert_eq!((a.head(0), a.nodes().to_vec()), before);
    a.append([0; 32], 0).unwrap();

    let root = Node { index: flat_tree::MAX_INDEX >> 2, size: 0, hash: [0; 32] };
    let full = Head { length: flat_tree::MAX_LENGTH / 2, roots: vec![root], ..Head::empty() };
    assert!(full.is_well_formed());
    let mut stack = RootStack::from_head(&full);
    let half = next_subtree(full.length, flat_tree::MAX_LENGTH);
    stack.push(Node { index: half, ..root }, |_| ()).unwrap();
    assert_eq!(stack.length, flat_tree::MAX_LENGTH);
    let mut a = Appender::new(&stack.into_head(0, Vec::new()));
    assert!(matches!(a.append([0; 32], 0), Err(TreeError::TooLarge(_))));
}

#[test]
fn malformed_heads_are_recognised() {
    let core = core_of(5);
    let good = core.head().clone();
    assert!(good.is_well_formed() && Head::empty().is_well_formed());
    let bad: [fn(&mut Head); 5] = [
        |h| h.length += 1,
        |h| h.byte_length += 1,
        |h| h.roots.reverse(),
        |h| h.roots[0].size = u64::MAX,
        |h| h.roots.truncate(1),
    ];
    for change in bad {
        let mut head = good.clone();
        change(&mut head);
        assert!(!head.is_well_formed(), "{head:?}");
    }
}

proptest! {
    #[test]
    fn every_byte_is_found_where_it_is(sizes in prop::collection::vec(0usize..9, 1..60)) {
        let core = Core::new(2, 0, sizes.iter().map(|s| Bytes::from(vec![0; *s])).collect());
        let mut start = 0;
        for (block, size) in sizes.iter().enumerate() {
            let range = byte_range(&core.nodes, core.head(), block as u64).unwrap();
            prop_assert_eq!(&range, &(start..start + *size as u64));
            for byte in range {
                let expected = Seek::Found { block: block as u64, offset: byte - start };
                let got = seek(&core.nodes, core.head(), byte).unwrap();
                // A byte at the border of empty blocks is at the start of the first of them, as in hypercore.
                let at_border = matches!(got, Seek::Found { block: b, offset: 0 } if byte == start && b <= block as u64);
                prop_assert!(got == expected || at_border, "{:?} {:?}", got, expected);
            }
            start += *size as u64;
        }
        prop_assert_eq!(seek(&core.nodes, core.head(), start + 1).unwrap(), Seek::Beyond);
    }

    #[test]
    fn queries_of_wild_indexes_end(index: u64, length: u64) {
        let head = Head { length, ..Head::empty() };
        let none = BTreeMap::new();
        let _ = byte_offset(&none, &head, index);
        let _ = byte_range(&none, &head, index);
        let _ = seek(&none, &head, index);
        let _ = missing_nodes(&none, &head, index);
        let _ = max_missing_nodes(index, length);
        let _ = replaced_nodes(index.min(length), length);
        let _ = truncate(&head, &none, index, 1);
    }
}
