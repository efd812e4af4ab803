//! Puts in the order of their keys, as one append that is made as it grows.
//!
//! A batch keeps every operation until its end, because each may still change the blocks before it. When keys only rise, what
//! lies left of the newest key stays as it is, and so do the blocks that hold nothing else: they are given out while
//! puts still come. The blocks are those of a [`Batch`] with the same operations, byte for byte. What is held is the way
//! to the newest key and the operations whose nodes lie right of it: of keys that are all new a handful, however many
//! come; of keys that go into a large tree those since a node above was split and until its right half is passed.
//!
//! ```text
//! Batch (puts, deletes in any order) -- rising --> RisingBatch (puts of rising keys; next_block) -- finish --> rest
//! ```
//!
//! Nothing of it may be used unless all of it is appended: only the last block carries a root.

use super::batch::{Batch, BatchBlocks};
use crate::{BlockSource, Error, Result};
use bytes::Bytes;

/// A batch of which only puts are to come, with keys that rise; see [`Batch::rising`].
#[derive(Debug)]
pub struct RisingBatch<S> {
    batch: Batch<S>,
    last: Option<Bytes>,
}

impl<S: BlockSource> Batch<S> {
    /// Goes on with puts of rising keys only. The first may be any.
    pub fn rising(self) -> RisingBatch<S> {
        RisingBatch { batch: self, last: None }
    }
}

impl<S: BlockSource> RisingBatch<S> {
    /// Puts `value` under `key` and returns the block it will be in.
    ///
    /// # Errors
    /// [`Error::NotRising`] unless the key comes after the last one; nothing was put then. Others as [`Batch::put`].
    pub fn put(&mut self, key: impl Into<Bytes>, value: Option<Bytes>) -> Result<u64> {
        let key = key.into();
        if self.last.as_ref().is_some_and(|last| *last >= key) {
            return Err(Error::NotRising);
        }
        let seq = self.batch.put_after(key.clone(), value, true)?;
        self.last = Some(key);
        Ok(seq)
    }

    /// The next block, if no put that is to come can change it. To be asked for after every put, until there is none.
    pub fn next_block(&mut self) -> Option<Vec<u8>> {
        self.batch.next_final()
    }

    /// Whether no operation has made a block.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The blocks that [`RisingBatch::next_block`] has not given.
    pub fn finish(self) -> BatchBlocks {
        self.batch.blocks()
    }

    #[cfg(test)]
    pub(super) fn batch(&self) -> &Batch<S> {
        &self.batch
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Header;
    use super::*;
    use crate::MemorySource;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn key(n: u32) -> String {
        format!("key/{n:06}")
    }

    fn tree(keys: impl IntoIterator<Item = u32>) -> MemorySource {
        let mut core = MemorySource::new();
        let mut batch = Batch::new(&core, Header::plain());
        for n in keys {
            batch.put(key(n), Some("old".into())).unwrap();
        }
        let blocks = batch.into_blocks();
        core.extend(blocks);
        core
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn its_blocks_are_those_of_a_batch(
            before in prop::collection::vec(0u32..600, 0..400),
            gone in prop::collection::vec(0u32..600, 0..60),
            puts in prop::collection::btree_map(0u32..600, any::<bool>(), 0..300),
            ask: bool,
        ) {
            let core = tree(before);
            let (mut whole, mut first) = (Batch::new(&core, Header::plain()), Batch::new(&core, Header::plain()));
            for n in gone {
                prop_assert_eq!(whole.del(key(n)).unwrap(), first.del(key(n)).unwrap());
            }
            let mut rising = first.rising();
            let mut blocks = Vec::new();
            for (n, null) in &puts {
                let value = (!null).then(|| Bytes::from(format!("new {n}")));
                let seq = whole.put(key(*n), value.clone()).unwrap();
                prop_assert_eq!(rising.put(key(*n), value).unwrap(), seq);
                if ask || n % 5 == 0 {
                    blocks.extend(std::iter::from_fn(|| rising.next_block()));
                }
            }
            blocks.extend(rising.finish());
            prop_assert_eq!(blocks, whole.into_blocks());
        }
    }

    #[test]
    fn new_keys_are_not_held() {
        let mut rising = Batch::new(MemorySource::new(), Header::plain()).rising();
        let (mut given, mut held, mut places) = (0, 0, (0, 0));
        for n in 0..20_000 {
            rising.put(key(n), Some("value".into())).unwrap();
            given += std::iter::from_fn(|| rising.next_block()).count();
            let pending = rising.batch().pending();
            held = held.max(pending.held());
            places = (places.0.max(pending.places().0), places.1.max(pending.places().1));
        }
        assert!(held <= 16 && places.0 <= 64 && places.1 <= 256, "{held} {places:?}");
        assert_eq!(given + rising.finish().count(), 20_001);
    }

    #[test]
    fn keys_that_do_not_rise_are_refused_and_change_nothing() {
        let mut rising = Batch::new(MemorySource::new(), Header::plain()).rising();
        rising.put(key(2), None).unwrap();
        for n in [1, 2] {
            assert!(matches!(rising.put(key(n), None), Err(Error::NotRising)));
        }
        rising.put(key(3), None).unwrap();
        let mut whole = Batch::new(MemorySource::new(), Header::plain());
        whole.put(key(2), None).unwrap();
        whole.put(key(3), None).unwrap();
        assert_eq!(rising.finish().collect::<Vec<_>>(), whole.into_blocks());
    }

    #[test]
    fn a_block_that_is_missing_can_be_fetched_and_the_put_repeated() {
        let core = tree(0..300);
        let mut part = MemorySource::absent(usize::try_from(core.length()).unwrap());
        let puts: BTreeMap<u32, ()> = (0..300).step_by(7).map(|n| (n, ())).collect();
        let mut whole = Batch::new(&core, Header::plain());
        for n in puts.keys() {
            whole.put(key(*n), None).unwrap();
        }
        let mut blocks = Vec::new();
        'again: loop {
            // From the start with one block more: what was given out before was the same.
            let mut rising = Batch::new(&part, Header::plain()).rising();
            let mut now = Vec::new();
            for n in puts.keys() {
                if let Err(e) = rising.put(key(*n), None) {
                    let index = e.missing().unwrap();
                    assert!(now.starts_with(&blocks) || blocks.starts_with(&now));
                    blocks = now;
                    drop(rising);
                    part.set(usize::try_from(index).unwrap(), core.block(index).unwrap());
                    continue 'again;
                }
                now.extend(std::iter::from_fn(|| rising.next_block()));
            }
            now.extend(rising.finish());
            assert_eq!(now, whole.into_blocks());
            return;
        }
    }
}
