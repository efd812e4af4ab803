//! Random plays against a model in memory, with caches and segments so small that everything spills, and the store
//! closed and opened in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bosc_format::merkle::Appender;
use bosc_format::proof::{NodeRequest, ProofRequest, UpgradeRequest};
use bosc_store::disk::MemoryDisk;
use bosc_store::{Applied, Core, CreateOptions, Options, Store};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;

#[derive(Debug, Clone)]
enum Op {
    Append { core: usize, blocks: usize, size: usize },
    Batch { blocks: usize, size: usize, commit: bool },
    Truncate { core: usize, at: prop::sample::Index },
    Clear { core: usize, from: prop::sample::Index, count: u64 },
    Download { blocks: Vec<prop::sample::Index> },
    GrowRemote { blocks: usize },
    Remove { core: usize },
    Gc,
    Flush,
    Reopen,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let core = 0..2usize;
    let index = any::<prop::sample::Index>;
    let op = prop_oneof![
        4 => (core.clone(), 0..90usize, 0..300usize)
            .prop_map(|(core, blocks, size)| Op::Append { core, blocks, size }),
        3 => (1..200usize, 0..300usize, any::<bool>())
            .prop_map(|(blocks, size, commit)| Op::Batch { blocks, size, commit }),
        1 => (core.clone(), index()).prop_map(|(core, at)| Op::Truncate { core, at }),
        2 => (core.clone(), index(), 0..100u64)
            .prop_map(|(core, from, count)| Op::Clear { core, from, count }),
        3 => prop::collection::vec(index(), 1..60).prop_map(|blocks| Op::Download { blocks }),
        2 => (1..70usize).prop_map(|blocks| Op::GrowRemote { blocks }),
        1 => core.prop_map(|core| Op::Remove { core }),
        1 => Just(Op::Gc),
        1 => Just(Op::Flush),
        2 => Just(Op::Reopen),
    ];
    prop::collection::vec(op, 1..25)
}

fn options() -> Options {
    let mut o = Options::default();
    o.segment_bytes = 4_000;
    o.pending_bytes = 12_000;
    o.pending_block_bytes = 10_000;
    o.page_cache_bytes = 10_000;
    o.database_cache_bytes = 256 * 1024;
    o
}

/// Blocks by index, `None` where not kept; and the leaves of the whole tree.
#[derive(Default, Clone)]
struct Model {
    fork: u64,
    kept: Vec<Option<Bytes>>,
    all: Vec<Bytes>,
}

impl Model {
    fn append(&mut self, block: Bytes) {
        self.kept.push(Some(block.clone()));
        self.all.push(block);
    }

    fn check(&self, core: &Core) {
        let head = core.head();
        assert_eq!((head.length, head.fork), (self.all.len() as u64, self.fork));
        let mut tree = Appender::default();
        self.all.iter().for_each(|b| tree.append_block(b).unwrap());
        assert_eq!(head.tree_hash(), tree.tree_hash());
        for (i, kept) in self.kept.iter().enumerate() {
            let i = i as u64;
            assert_eq!(core.has(i).unwrap(), kept.is_some());
            assert_eq!(&core.block(i).unwrap(), kept, "block {i}");
        }
        let gap = self.kept.iter().position(Option::is_none).unwrap_or(self.kept.len());
        assert_eq!(core.contiguous_length(), gap as u64);
        assert_eq!(core.first_missing(0, u64::MAX).unwrap(), Some(gap as u64).filter(|g| *g < head.length));
        let info = core.info();
        assert_eq!(info.blocks, self.kept.iter().flatten().count() as u64);
        assert_eq!(info.block_bytes, self.kept.iter().flatten().map(|b| b.len() as u64).sum::<u64>());
        let words = core.bitfield_words(0, self.kept.len() / 32 + 1).unwrap();
        for (i, kept) in self.kept.iter().enumerate() {
            assert_eq!(words[i / 32] >> (i % 32) & 1 == 1, kept.is_some());
        }
    }
}

fn own(store: &Store, core: usize) -> Core {
    store.create_core(CreateOptions::named(["a", "b"][core])).unwrap()
}

fn play(ops: Vec<Op>) {
    let disk = MemoryDisk::new();
    let open = || Store::open_disk(Arc::new(disk.clone()), options()).unwrap();
    let remote = Store::memory(Options::default()).unwrap();
    let source = remote.create_core(CreateOptions::named("far")).unwrap();
    let mut store = open();
    let mut models = [Model::default(), Model::default()];
    let mut replica = Model::default();
    let mut count = 0usize;
    let mut fresh = |size: usize| {
        count += 1;
        Bytes::from([count.to_le_bytes().as_slice(), &vec![count as u8; size]].concat())
    };
    for op in ops {
        match op {
            Op::Append { core, blocks, size } => {
                let data: Vec<_> = (0..blocks).map(|_| fresh(size)).collect();
                own(&store, core).append(&data).unwrap();
                data.into_iter().for_each(|b| models[core].append(b));
            }
            Op::Batch { blocks, size, commit } => {
                let mut batch = store.batch();
                let mut after = models.clone();
                for i in 0..blocks {
                    let (core, block) = (i % 3 / 2, fresh(size));
                    let index = batch.append_block(&own(&store, core), block.clone()).unwrap();
                    assert_eq!(index, after[core].all.len() as u64);
                    after[core].append(block);
                }
                if commit {
                    batch.commit().unwrap();
                    models = after;
                }
            }
            Op::Truncate { core, at } => {
                let model = &mut models[core];
                let length = at.index(model.all.len() + 1);
                model.fork += 1;
                model.all.truncate(length);
                model.kept.truncate(length);
                own(&store, core).truncate(length as u64, model.fork).unwrap();
            }
            Op::Clear { core, from, count } => {
                let model = &mut models[core];
                let from = from.index(model.all.len() + 1);
                let to = (from + count as usize).min(model.all.len());
                let here = model.kept[from..to].iter().flatten().count() as u64;
                model.kept[from..to].fill(None);
                assert_eq!(own(&store, core).clear(from as u64, from as u64 + count).unwrap(), here);
            }
            Op::GrowRemote { blocks } => {
                let data: Vec<_> = (0..blocks).map(|_| fresh(30)).collect();
                source.append(&data).unwrap();
                replica.all.extend(data);
            }
            Op::Download { blocks } => {
                if source.length() == 0 {
                    continue;
                }
                let core = store.open_core(source.key()).unwrap();
                if core.length() < source.length() {
                    let start = core.length();
                    let upgrade = Some(UpgradeRequest { start, length: source.length() - start });
                    let request = ProofRequest { upgrade, manifest: true, ..Default::default() };
                    core.apply(&source.prove(&request).unwrap().unwrap()).unwrap();
                }
                replica.kept.resize(replica.all.len(), None);
                for index in blocks {
                    let at = index.index(replica.all.len());
                    let index = at as u64;
                    let nodes = core.missing_nodes(2 * index).unwrap();
                    let block = Some(NodeRequest { index, nodes });
                    let request = ProofRequest { block, ..Default::default() };
                    let proof = source.prove(&request).unwrap().unwrap();
                    let applied = core.apply(&proof).unwrap();
                    assert_eq!(applied, Applied::Stored { block: Some(index), upgraded: false });
                    replica.kept[at] = Some(replica.all[at].clone());
                }
            }
            Op::Remove { core } => {
                let core_ = own(&store, core);
                let key = *core_.key();
                store.remove_core(&key).unwrap();
                models[core] = Model::default();
            }
            Op::Gc => {
                store.gc().unwrap();
            }
            Op::Flush => store.flush().unwrap(),
            Op::Reopen => {
                drop(store);
                store = open();
            }
        }
    }
    for round in 0..2 {
        for (i, model) in models.iter().enumerate() {
            model.check(&own(&store, i));
        }
        if !replica.kept.is_empty() {
            let core = store.open_core(source.key()).unwrap();
            let seen = Model { all: replica.all[..replica.kept.len()].to_vec(), ..replica.clone() };
            seen.check(&core);
        }
        let live = store.cores().unwrap().iter().map(|c| c.block_bytes).sum::<u64>();
        assert_eq!(store.stats().live_bytes, live);
        if round == 0 {
            drop(store);
            store = open();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_store_does_what_the_model_does(ops in ops()) {
        play(ops);
    }
}
