#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::MemorySource;
use crate::error::Error;
use crate::source::BlockSource;
use bosc_format::crypto;
use bytes::Bytes;
use proptest::prelude::*;

/// Content cut at `sizes`, some of it twice, as a map blob or a plain one.
fn core(sizes: &[usize], map: bool) -> (MemorySource, BlobId, Vec<u8>) {
    let mut core: MemorySource = [Bytes::from_static(b"before")].into_iter().collect();
    let mut content = Vec::new();
    let mut builder = ContentMap::new(1, 6);
    for (i, &n) in sizes.iter().enumerate() {
        let block: Vec<u8> = (0..n).map(|b| (b * 7 + (i % 5) * 31) as u8).collect();
        content.extend_from_slice(&block);
        let placement = builder.push(&crypto::hash(&[&block]), n as u64, |_| None);
        if !map || matches!(placement, Placement::New(_)) {
            core.push(block);
        }
    }
    let id = if map {
        let (id, blocks) = builder.finish().unwrap();
        core.extend(blocks);
        id
    } else {
        let (blocks, bytes) = (sizes.len() as u64, content.len() as u64);
        BlobId { block_offset: 1, byte_offset: 6, block_length: blocks, byte_length: bytes, block_map: false }
    };
    core.push(Bytes::from_static(b"after"));
    (core, id, content)
}

fn read_all<S: BlockSource>(mut reader: BlobReader<S>, mut fetch: impl FnMut(u64, Vec<u64>)) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(item) = reader.next() {
        match item {
            Ok(bytes) => out.extend_from_slice(&bytes),
            Err(Error::Missing(i)) => fetch(i, reader.wanted(3)),
            Err(e) => panic!("{e}"),
        }
    }
    out
}

proptest! {
    #[test]
    fn any_part_of_a_blob_comes_back(
        sizes in prop::collection::vec(1usize..50, 0..40),
        map: bool,
        a in 0u64..1500,
        b in 0u64..1500,
    ) {
        let (core, id, content) = core(&sizes, map);
        let whole = read_all(BlobReader::new(&core, id), |i, _| panic!("missing {i}"));
        prop_assert_eq!(&whole, &content);
        prop_assert_eq!(content_length(&core, &id).unwrap(), content.len() as u64);
        let range = a.min(b)..a.max(b);
        let from = (range.start as usize).min(content.len());
        let to = (range.end as usize).min(content.len());
        let part = read_all(BlobReader::range(&core, id, range.clone()), |i, _| panic!("missing {i}"));
        prop_assert_eq!(&part, &content[from..to]);

        // Only the blocks of the content and the map are asked for, each once, in whatever order.
        let here = std::cell::RefCell::new(MemorySource::absent(core.length() as usize));
        struct Shared<'a>(&'a std::cell::RefCell<MemorySource>);
        impl BlockSource for Shared<'_> {
            fn length(&self) -> u64 { self.0.borrow().length() }
            fn block(&self, i: u64) -> Result<Bytes, crate::SourceError> { self.0.borrow().block(i) }
        }
        let part = read_all(BlobReader::range(Shared(&here), id, range), |i, wanted| {
            assert!(wanted.contains(&i));
            for i in wanted {
                here.borrow_mut().set(i as usize, core.block(i).unwrap());
            }
        });
        prop_assert_eq!(&part, &content[from..to]);
    }

    #[test]
    fn maps_come_back(refs in prop::collection::vec((0u64..u64::MAX, 0u64..1 << 40), 0..20_000)) {
        let refs: Vec<BlockRef> = refs.into_iter().map(|(index, byte_length)| BlockRef { index, byte_length }).collect();
        let blocks: Vec<Bytes> = encode_map(&refs).unwrap().into_iter().map(Bytes::from).collect();
        prop_assert_eq!(blocks.len(), refs.len().div_ceil(MAP_REFS_PER_BLOCK));
        prop_assert_eq!(decode_map(0, &blocks).unwrap(), refs);
    }

    #[test]
    fn random_maps_are_errors_not_panics(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..6),
        offset in 0u64..8, length in 0u64..8, bytes in 0u64..200, block_map: bool,
        range in any::<(u64, u64)>(),
    ) {
        let core: MemorySource = blocks.into_iter().collect();
        let id = BlobId { block_offset: offset, byte_offset: 0, block_length: length, byte_length: bytes, block_map };
        for range in [0..u64::MAX, range.0..range.1] {
            let mut total = 0u64;
            for item in BlobReader::range(&core, id, range) {
                match item {
                    Ok(b) => total += b.len() as u64,
                    Err(_) => break,
                }
            }
            prop_assert!(block_map || total <= bytes);
        }
    }
}

#[test]
fn hostile_ids_and_maps_are_refused() {
    let (core, id, _) = core(&[10, 20], true);
    let read = |id: BlobId| BlobReader::new(&core, id).next().unwrap();
    assert!(matches!(read(BlobId { block_length: 65, ..id }), Err(Error::TooLarge(_))));
    assert!(matches!(read(BlobId { block_offset: 0, ..id }), Err(Error::Malformed { .. })));
    let plain = BlobId { block_map: false, ..id };
    assert!(matches!(read(BlobId { block_length: u64::MAX, ..plain }), Err(Error::Malformed { .. })));
    assert!(matches!(
        read(BlobId { block_length: 1000, byte_length: 5, ..plain }),
        Err(Error::Malformed { .. })
    ));
    // More bytes than its blocks hold.
    let mut short = BlobReader::new(&core, BlobId { byte_length: 1000, ..plain });
    assert!(short.by_ref().any(|r| matches!(r, Err(Error::Malformed { .. }))));
    assert!(short.next().is_none());
    // A map that lies about a block's size, or names one beyond the core.
    for (index, byte_length) in [(1, 11), (1, 9), (99, 10)] {
        let mut bad = core.clone();
        let map = encode_map(&[BlockRef { index, byte_length }]).unwrap().remove(0);
        let id = BlobId {
            block_offset: bad.length(),
            byte_offset: 0,
            block_length: 1,
            byte_length: 4,
            block_map: true,
        };
        bad.push(map);
        assert!(matches!(BlobReader::new(&bad, id).next(), Some(Err(Error::Malformed { .. }))));
    }
    let too_many = vec![BlockRef { index: 0, byte_length: 1 }; MAP_REFS_PER_BLOCK * 64 + 1];
    assert!(encode_map(&too_many).is_err());
    assert_eq!(encode_map(too_many.get(1..).unwrap()).unwrap().len(), 64);
}

#[test]
fn known_chunks_are_used_again() {
    let mut map = ContentMap::new(10, 1000);
    let known = |hash: &[u8; 32]| (hash[0] == 1).then_some(BlockRef { index: 3, byte_length: 5 });
    assert_eq!(map.push(&[1; 32], 5, known), Placement::Known(BlockRef { index: 3, byte_length: 5 }));
    assert_eq!(map.push(&[2; 32], 7, known), Placement::New(BlockRef { index: 10, byte_length: 7 }));
    assert_eq!(map.push(&[2; 32], 7, known), Placement::Known(BlockRef { index: 10, byte_length: 7 }));
    let (id, blocks) = map.finish().unwrap();
    assert_eq!((id.block_offset, id.byte_offset, id.block_length, id.byte_length), (11, 1007, 1, 8));
    assert_eq!(blocks, [vec![0, 3, 3, 5, 10, 7, 10, 7]]);
    let (id, blocks) = ContentMap::new(4, 9).finish().unwrap();
    assert!(blocks.is_empty());
    assert_eq!(
        id,
        BlobId { block_offset: 4, byte_offset: 9, block_length: 0, byte_length: 0, block_map: true }
    );
}
