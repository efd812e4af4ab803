#![allow(clippy::single_range_in_vec_init, reason = "one range of blocks is meant")]

use super::*;
use bosc_format::crypto::{CoreKey, KeyPair, hash};
use bosc_format::manifest::{Manifest, Verifier};
use bosc_format::merkle::{self, Appender, Head, Node, TreeReader};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A core that is written here, and a mirror of it.
struct World {
    pair: KeyPair,
    manifest: Manifest,
    blocks: Vec<Bytes>,
    nodes: BTreeMap<u64, Node>,
    head: Head,
    objects: BTreeMap<String, Vec<u8>>,
    at_mirror: Option<CoreHead>,
    /// The tree of the mirror's head.
    old: BTreeMap<u64, Node>,
}

impl World {
    fn new() -> Self {
        let pair = KeyPair::from_seed(&[7; 32]);
        let manifest = Manifest::single(pair.public());
        Self {
            pair,
            manifest,
            blocks: Vec::new(),
            nodes: BTreeMap::new(),
            head: Head::empty(),
            objects: BTreeMap::new(),
            at_mirror: None,
            old: BTreeMap::new(),
        }
    }

    fn key(&self) -> CoreKey {
        self.manifest.key()
    }

    fn sign(&mut self) {
        let verifier = Verifier::new(&self.key(), Some(&self.manifest)).unwrap();
        self.head.signature = verifier.sign(&self.head, &self.pair).unwrap();
    }

    fn append(&mut self, sizes: &[usize]) {
        let mut appender = Appender::new(&self.head);
        for size in sizes {
            let n = self.blocks.len() as u64;
            let block =
                Bytes::from(hash(&[&n.to_le_bytes(), &self.head.fork.to_le_bytes()]).repeat(size / 32 + 1))
                    .slice(..*size);
            appender.append_block(&block).unwrap();
            self.blocks.push(block);
        }
        let (head, nodes) = appender.finish(self.head.fork);
        self.head = head;
        self.nodes.extend(nodes.into_iter().map(|n| (n.index, n)));
        self.sign();
    }

    fn truncate(&mut self, length: u64) {
        self.head = merkle::truncate(&self.head, &self.nodes, length, self.head.fork + 1).unwrap();
        self.blocks.truncate(length as usize);
        self.nodes.retain(|i, _| bosc_format::flat_tree::end_block(*i) <= length);
        if length > 0 {
            self.sign();
        }
    }

    fn wanted(&self) -> Vec<std::ops::Range<u64>> {
        std::iter::once(0..self.head.length).collect()
    }

    /// Publishes; how many bytes were written, and of which objects.
    fn publish(&mut self, wanted: &[std::ops::Range<u64>]) -> (usize, Publication) {
        let before = self.at_mirror.clone();
        let p = publish(
            Part::Db,
            (&self.key(), Some(&self.manifest)),
            (&self.head, &self.nodes),
            wanted,
            before.as_ref().map(|b| (b, &self.old as &dyn TreeReader)),
        )
        .unwrap();
        let mut written = 0;
        for (path, object) in &p.objects {
            let bytes = match object {
                Object::Tile(t) => t.encode(&self.head, &self.nodes).unwrap(),
                Object::Piece(piece) => {
                    piece.blocks().flat_map(|b| self.blocks[b as usize].to_vec()).collect()
                }
            };
            written += bytes.len();
            if let Some(old) = self.objects.get(path) {
                assert_eq!(*old, bytes, "{path} changed");
            }
            self.objects.insert(path.clone(), bytes);
        }
        for path in p.core.objects(Part::Db) {
            assert!(self.objects.contains_key(&path), "{path} is needed and not there");
        }
        self.at_mirror = Some(p.core.clone());
        self.old = self.nodes.clone();
        self.old.extend(self.head.roots.iter().map(|r| (r.index, *r)));
        (written, p)
    }

    /// Reads blocks as a client does; how many requests it took.
    fn read(&self, blocks: &[u64], ranges: bool) -> usize {
        let core = self.at_mirror.clone().unwrap();
        core.verify(&self.key(), None).unwrap();
        let mut tree = ProvenTree::new(core.head.clone());
        let mut requests = 0;
        let mut open: BTreeSet<u64> = blocks.iter().copied().collect();
        while let Some(first) = open.first().copied() {
            let piece = *core.layout.piece(first).unwrap();
            let here: Vec<u64> = open.iter().copied().filter(|b| piece.blocks().contains(b)).collect();
            match plan(Part::Db, &core, &tree, &piece, &here, ranges) {
                Err(ReadError::Lacks(block)) => {
                    for tile in tree.lacks(block) {
                        requests += 1;
                        let path = core.layout.tile_path(Part::Db, tile).unwrap();
                        tree.insert(tile, &self.objects[&path]).unwrap();
                    }
                }
                Err(e) => panic!("{e}"),
                Ok(reads) => {
                    for read in reads {
                        requests += usize::from(!read.is_empty());
                        let object = Bytes::from(self.objects[&read.path].clone());
                        assert_eq!(object.len() as u64, read.object);
                        let answer = match &read.range {
                            Some(r) => object.slice(r.start as usize..r.end as usize),
                            None => object.clone(),
                        };
                        // Without ranges, all of it comes.
                        read.blocks(&object, true, &tree).unwrap();
                        for (block, bytes) in read.blocks(&answer, read.range.is_none(), &tree).unwrap() {
                            assert_eq!(bytes, self.blocks[block as usize]);
                            open.remove(&block);
                        }
                    }
                }
            }
        }
        requests
    }
}

fn sizes(n: usize, size: usize) -> Vec<usize> {
    (0..n).map(|i| size + i % 7).collect()
}

#[test]
fn a_mirror_is_read_block_by_block_and_whole() {
    let mut world = World::new();
    world.append(&sizes(700, 3000));
    let (written, p) = world.publish(&world.wanted());
    assert!(p.retired.is_empty() && p.core.layout.is_whole(700));
    assert!(written < 700 * 3007 + 40 * 800);
    let all: Vec<u64> = (0..700).collect();
    assert_eq!(world.read(&all, true), 1 + 3 + 1, "the tile above, three tiles, one piece");
    assert!(world.read(&[0, 699], true) <= 5);
    assert!(world.read(&[513], false) <= 4);
}

#[test]
fn a_small_version_costs_what_is_new_and_at_most_a_small_piece_again() {
    let mut world = World::new();
    world.append(&sizes(40, 100_000));
    world.publish(&world.wanted());
    for _ in 0..30 {
        world.append(&[20_000]);
        let (written, p) = world.publish(&world.wanted());
        assert!(written as u64 <= 20_000 + MERGE + 256 * 40, "{written}");
        assert!(p.core.layout.pieces.len() <= 2 + 3, "{:?}", p.core.layout.pieces);
    }
    let len = world.head.length;
    assert!(world.read(&[len - 1], true) <= 2);
}

#[test]
fn what_was_cut_back_goes_on_in_another_lineage_and_shares_what_stayed() {
    let mut world = World::new();
    world.append(&sizes(600, 20_000));
    world.publish(&world.wanted());
    let before = world.objects.len();
    world.truncate(530);
    world.append(&sizes(20, 20_000));
    let (written, p) = world.publish(&world.wanted());
    assert_eq!(p.core.layout.lineages.len(), 2);
    assert!(written < 140 * 20_007 + 5 * 10_240, "{written}");
    assert!(!p.retired.is_empty() && world.objects.len() > before);
    world.read(&(0..550).collect::<Vec<_>>(), true);
    world.truncate(3);
    world.append(&sizes(1, 10));
    let (_, p) = world.publish(&world.wanted());
    assert_eq!(p.core.layout.lineages.len(), 2, "{:?}", p.core.layout.lineages);
    world.read(&[0, 1, 2, 3], true);
}

#[test]
fn a_sparse_mirror_has_what_was_asked_for() {
    let mut world = World::new();
    world.append(&sizes(300, 50_000));
    let (_, p) = world.publish(&[10..20, 200..300]);
    assert!(!p.core.layout.is_whole(300));
    assert!(p.core.layout.piece(9).is_none() && p.core.layout.piece(20).is_none());
    world.read(&[10, 19, 200, 299], true);
    // What is not wanted any more is retired.
    let (_, p) = world.publish(std::slice::from_ref(&(200..300)));
    assert!(p.objects.is_empty());
    assert!(p.retired.iter().all(|path| path.contains("/d/10-20")), "{:?}", p.retired);
}

#[test]
fn a_tile_that_is_not_of_the_tree_is_refused() {
    let mut world = World::new();
    world.append(&sizes(600, 10));
    world.publish(&world.wanted());
    let core = world.at_mirror.clone().unwrap();
    let mut tree = ProvenTree::new(core.head.clone());
    let chain = tree.lacks(300);
    assert_eq!(chain.len(), 2);
    let bytes = |t: Tile| world.objects[&core.layout.tile_path(Part::Db, t).unwrap()].clone();
    assert_eq!(tree.insert(chain[1], &bytes(chain[1])), Err(TileError::Unanchored));
    tree.insert(chain[0], &bytes(chain[0])).unwrap();
    for i in [0, 7, 8, 39, 10_239] {
        let mut wrong = bytes(chain[1]);
        wrong[i] ^= 1;
        assert!(tree.insert(chain[1], &wrong).is_err(), "{i}");
    }
    assert!(matches!(tree.insert(chain[1], &[0; 40]), Err(TileError::Length { expected: 10_240, got: 40 })));
    assert!(tree.node(600).unwrap().is_none());
    tree.insert(chain[1], &bytes(chain[1])).unwrap();
    assert_eq!(tree.node(600).unwrap(), world.nodes.get(&600).copied());
}

#[test]
fn what_a_client_asks_of_a_peer_is_answered_from_tiles() {
    use bosc_format::proof::*;
    let mut world = World::new();
    world.append(&sizes(1000, 10));
    world.publish(&world.wanted());
    let core = world.at_mirror.clone().unwrap();
    let mut tree = ProvenTree::new(core.head.clone());
    for tile in Tile::all(1000).collect::<Vec<_>>().into_iter().rev() {
        tree.insert(tile, &world.objects[&core.layout.tile_path(Part::Db, tile).unwrap()]).unwrap();
    }
    for from in [1, 255, 256, 700, 999] {
        let request = ProofRequest {
            upgrade: Some(UpgradeRequest { start: from, length: 1000 - from }),
            ..ProofRequest::default()
        };
        let proof = create_proof(&core.head, None, &tree, &request, &mut |_| Ok(None)).unwrap().unwrap();
        let short = merkle::truncate(&world.head, &world.nodes, from, 0).unwrap();
        let verified =
            verify_proof(&world.key(), Some(&world.manifest), &short, &world.nodes, &proof).unwrap();
        assert_eq!(verified.upgrade().unwrap().length, 1000);
    }
}

fn head_of(world: &World) -> MirrorHead {
    MirrorHead {
        made: 1_700_000_000,
        sparse: Some("only linux-x64".into()),
        db: world.at_mirror.clone().unwrap(),
        blobs: Some(CoreHead {
            key: [9; 32],
            manifest: None,
            head: Head::empty(),
            layout: Layout::default(),
        }),
    }
}

#[test]
fn a_head_is_the_same_read_again_and_nothing_that_was_changed_is_taken() {
    let mut world = World::new();
    world.append(&sizes(3, 10));
    world.publish(&world.wanted());
    let head = head_of(&world);
    let bytes = head.encode();
    assert_eq!(MirrorHead::decode(&bytes).unwrap(), head);
    for i in 0..bytes.len() {
        assert!(MirrorHead::decode(&bytes[..i]).is_err());
        let mut wrong = bytes.clone();
        wrong[i] ^= 64;
        assert!(MirrorHead::decode(&wrong).is_err(), "{i}");
    }
    assert_eq!(MirrorHead::decode(b"<html>").unwrap_err(), HeadError::NotAHead);
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert_eq!(MirrorHead::decode(&newer).unwrap_err(), HeadError::Newer(2));
    // What a later writer adds is skipped.
    let mut longer = bytes[..bytes.len() - 32].to_vec();
    longer.extend_from_slice(b"something new");
    let sum = hash(&[&longer]);
    longer.extend_from_slice(&sum);
    assert_eq!(MirrorHead::decode(&longer).unwrap(), head);
    assert!(head.db.verify(&world.key(), None).is_ok());
    assert!(head.db.verify(&[1; 32], None).is_err(), "another drive's");
}

/// The vector that docs/formats.md shows.
#[test]
fn the_head_of_the_documentation() {
    let mut world = World::new();
    world.append(&[5, 6, 7]);
    world.publish(&world.wanted());
    let head = MirrorHead { sparse: None, blobs: None, ..head_of(&world) };
    let hex = data_encoding::HEXLOWER.encode(&head.encode());
    let text = include_str!("../../../docs/formats.md");
    let drawn: String = text
        .split("<!-- vector: mirror head -->")
        .nth(1)
        .and_then(|rest| rest.split("<!-- end -->").next())
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(drawn, hex, "docs/formats.md has another one");
    let paths: Vec<String> = head.db.objects(Part::Db).into_iter().collect();
    for path in paths {
        assert!(text.contains(&path), "docs/formats.md does not name {path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_history_can_be_mirrored_and_read(
        steps in proptest::collection::vec((0u8..5, 1usize..300, 0usize..4000), 1..8),
        pick in proptest::collection::vec(0u64..10_000, 1..12),
    ) {
        let mut world = World::new();
        for (kind, n, size) in steps {
            let len = world.head.length;
            match kind {
                0 if len > 0 => world.truncate((n as u64 * 31) % len),
                _ => world.append(&sizes(n, size)),
            }
            world.publish(&world.wanted());
            let len = world.head.length;
            if len > 0 {
                let blocks: Vec<u64> = pick.iter().map(|p| p % len).collect();
                world.read(&blocks, true);
                world.read(&blocks, false);
            }
        }
    }
}
