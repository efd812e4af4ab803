//! The entries that a stage writes, in little memory: some ten bytes for a file whose content follows that of the one before.

use super::entries::PlainFile;
use bosc_drive::drive::EntryValue;
use bosc_format::codec::{Decoder, Encoder};

/// Entries to write, each by its place in the list of files, which rises.
#[derive(Debug, Default)]
pub(super) struct PutList {
    /// Of each: places since the one before; 0 for one of `others`, else 1, plus 2 when it may be run, plus 4 with a map of its
    /// blocks; then how far its content begins from the end of the one before, in blocks and in bytes, and its lengths.
    records: Vec<u8>,
    /// Those that are no plain file.
    others: Vec<EntryValue>,
    before: Before,
}

/// What a record counts from.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    at: u64,
    block: u64,
    byte: u64,
}

impl Before {
    fn go_on(&mut self, plain: &PlainFile) {
        self.block = plain.block_offset.wrapping_add(u64::from(plain.block_length));
        self.byte = plain.byte_offset.wrapping_add(plain.byte_length);
    }
}

/// A difference to either side as a small number.
fn fold(n: u64) -> u64 {
    (n << 1) ^ (0u64.wrapping_sub(n >> 63))
}

fn unfold(n: u64) -> u64 {
    (n >> 1) ^ (0u64.wrapping_sub(n & 1))
}

impl PutList {
    /// Adds the entry of the file at this place.
    pub(super) fn push(&mut self, at: usize, value: EntryValue) {
        let at = at as u64;
        let mut e = Encoder::with_capacity(32);
        e.uint(at.wrapping_sub(self.before.at));
        self.before.at = at;
        match PlainFile::of(&value) {
            Some(plain) => {
                e.uint(1 + 2 * u64::from(plain.executable) + 4 * u64::from(plain.block_map));
                e.uint(fold(plain.block_offset.wrapping_sub(self.before.block)));
                e.uint(fold(plain.byte_offset.wrapping_sub(self.before.byte)));
                e.uint(u64::from(plain.block_length)).uint(plain.byte_length);
                self.before.go_on(&plain);
            }
            None => {
                e.uint(0);
                self.others.push(value);
            }
        }
        self.records.extend_from_slice(&e.finish());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All, as they were added.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, EntryValue)> {
        let (mut d, mut before, mut others) =
            (Decoder::new(&self.records), Before::default(), self.others.iter());
        std::iter::from_fn(move || {
            before.at = before.at.wrapping_add(d.uint().ok()?);
            let kind = d.uint().ok()?;
            let value = if kind == 0 {
                others.next()?.clone()
            } else {
                let plain = PlainFile {
                    block_offset: before.block.wrapping_add(unfold(d.uint().ok()?)),
                    byte_offset: before.byte.wrapping_add(unfold(d.uint().ok()?)),
                    block_length: u32::try_from(d.uint().ok()?).ok()?,
                    byte_length: d.uint().ok()?,
                    block_map: kind & 4 != 0,
                    executable: kind & 2 != 0,
                };
                before.go_on(&plain);
                plain.value()
            };
            Some((usize::try_from(before.at).ok()?, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bosc_drive::blobs::BlobId;

    #[test]
    fn it_gives_back_what_it_was_given() {
        let blob = |block_offset, byte_offset, block_length, byte_length| BlobId {
            block_offset,
            byte_offset,
            block_length,
            byte_length,
            block_map: block_length > 1,
        };
        let given = [
            (0, EntryValue::file(blob(7, 1000, 1, 300), false)),
            (1, EntryValue::file(blob(8, 1300, 3, 300), true)),
            (2, EntryValue::symlink("x")),
            (70_000, EntryValue::file(blob(0, 0, 0, 0), false)),
            (70_001, EntryValue::default()),
            (70_002, EntryValue::file(blob(u64::MAX, u64::MAX - 1, u64::from(u32::MAX), u64::MAX), true)),
            (70_003, EntryValue::file(blob(1 << 33, 1 << 60, 1, 1), true)),
            (70_009, EntryValue::file(blob(3, 4, 1 << 40, 1), true)),
        ];
        let mut list = PutList::default();
        assert!(list.is_empty());
        given.iter().for_each(|(at, value)| list.push(*at, value.clone()));
        assert!(!list.is_empty());
        assert_eq!(list.iter().collect::<Vec<_>>(), given);
    }

    #[test]
    fn files_behind_each_other_take_little() {
        let mut list = PutList::default();
        for n in 0..1000 {
            let blob = BlobId {
                block_offset: n,
                byte_offset: n * 200,
                block_length: 1,
                byte_length: 200,
                block_map: false,
            };
            list.push(n as usize, EntryValue::file(blob, false));
        }
        assert!(list.records.len() <= 7_000, "{}", list.records.len());
    }
}
