//! What comes from a mirror: heads, tiles, pieces.

use crate::Input;
use bosc_format::crypto::{KeyPair, hash};
use bosc_format::manifest::{Manifest, Verifier};
use bosc_format::merkle::{Appender, Head, Node, TreeReader};
use bosc_mirror::{CoreHead, MirrorHead, Part, ProvenTree, ReadError, Tile, plan, publish};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A head. The first byte says whether its hash is put right: then what is in it is looked at. One that is read is the same written and
/// read again, and nothing that a reader asks for by it is without bounds.
pub fn head(data: &[u8]) {
    let mut input = Input::new(data);
    let fix = input.u8() & 1 == 1;
    let mut bytes = input.rest().to_vec();
    if fix {
        let sum = hash(&[&bytes]);
        bytes.extend_from_slice(&sum);
    }
    let Ok(head) = MirrorHead::decode(&bytes) else { return };
    let again = head.encode();
    assert_eq!(
        MirrorHead::decode(&again).unwrap(),
        head,
        "what is added later is left out, and nothing else"
    );
    for part in Part::ALL {
        let Some(core) = head.core(part) else { continue };
        let _ = core.verify(&core.key, None);
        let length = core.head.length;
        for block in [0, 1, length / 2, length.saturating_sub(1), length, u64::MAX] {
            let chain = Tile::chain(block, length);
            assert!(chain.len() <= 7 && chain.iter().all(|t| t.width <= 256));
            let _ = core.layout.piece(block).and_then(|p| core.layout.piece_path(part, p));
        }
    }
}

/// A core of so many blocks: its head, its tree and its blocks.
fn core(blocks: u64) -> (CoreHead, BTreeMap<u64, Node>, Vec<Bytes>) {
    let pair = KeyPair::from_seed(&[3; 32]);
    let manifest = Manifest::single(pair.public());
    let all: Vec<Bytes> = (0..blocks).map(|i| Bytes::from(vec![i as u8; (i as usize % 9) + 1])).collect();
    let mut appender = Appender::new(&Head::empty());
    all.iter().for_each(|b| appender.append_block(b).unwrap());
    let (mut head, nodes) = appender.finish(0);
    head.signature = Verifier::new(&manifest.key(), Some(&manifest)).unwrap().sign(&head, &pair).unwrap();
    let nodes = nodes.into_iter().map(|n| (n.index, n)).collect();
    let key = manifest.key();
    let made =
        publish(Part::Db, (&key, Some(&manifest)), (&head, &nodes), std::slice::from_ref(&(0..blocks)), None)
            .unwrap();
    (made.core, nodes, all)
}

/// Objects that a server made up, in the place of those of a core: none changes what is proved. Each step is a tile, or a piece.
pub fn objects(data: &[u8]) {
    let mut input = Input::new(data);
    let length = [1, 7, 300, 700][usize::from(input.u8()) % 4];
    let (core, nodes, blocks) = core(length);
    let mut tree = ProvenTree::new(core.head.clone());
    while let Some((kind, step)) = input.step() {
        let block = u64::from(kind) * 7 % length;
        if kind & 1 == 0 {
            for tile in tree.lacks(block) {
                // Right, with some bytes of the server's.
                let mut bytes = tile.encode(&core.head, &nodes).unwrap();
                let at = usize::from(kind) % bytes.len();
                bytes.iter_mut().skip(at).zip(step).for_each(|(b, other)| *b ^= other);
                let _ = tree.insert(tile, &bytes);
            }
        } else {
            let piece = *core.layout.piece(block).unwrap();
            match plan(Part::Db, &core, &tree, &piece, &[block], kind & 2 == 0) {
                Ok(reads) => {
                    for read in reads {
                        assert!(read.len() <= bosc_mirror::MAX_PIECE);
                        let answer = Bytes::copy_from_slice(step);
                        for (block, bytes) in read.blocks(&answer, kind & 4 == 0, &tree).into_iter().flatten()
                        {
                            assert_eq!(bytes, blocks[block as usize]);
                        }
                    }
                }
                Err(ReadError::Lacks(_)) => {}
                // Sizes that were shifted between two siblings: only its own pieces look wrong.
                Err(ReadError::Size { .. }) => {}
                Err(e) => panic!("{e}"),
            }
        }
    }
    for (index, node) in &nodes {
        if let Ok(Some(known)) = tree.node(*index) {
            assert_eq!(known.hash, node.hash);
        }
    }
}
