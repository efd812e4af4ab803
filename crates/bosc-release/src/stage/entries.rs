//! The entries of a drive, in little memory: 48 bytes for a file, where a [`DriveEntry`] takes four times that and its key.
//!
//! The key of an entry that is also a file of the folder is not kept twice. Other keys, symlinks, entries without content and
//! those with metadata, of which there are few, are kept whole.

use crate::folder::scan::FileList;
use bosc_drive::blobs::BlobId;
use bosc_drive::drive::{DriveEntry, EntryValue};

/// All entries of a drive, by key, beside the files of a folder.
#[derive(Debug)]
pub(super) struct EntryList<'f> {
    files: &'f FileList,
    items: Vec<Item>,
    keys: Vec<String>,
    values: Vec<EntryValue>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    seq: u64,
    key: ItemKey,
    value: ItemValue,
}

#[derive(Debug, Clone, Copy)]
enum ItemKey {
    /// Place in the list of files.
    File(u32),
    /// Place in `keys`.
    Own(u32),
}

#[derive(Debug, Clone, Copy)]
enum ItemValue {
    File(PlainFile),
    /// Place in `values`.
    Whole(usize),
}

/// The value of most entries: a file without anything unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlainFile {
    pub(super) block_offset: u64,
    pub(super) byte_offset: u64,
    pub(super) byte_length: u64,
    pub(super) block_length: u32,
    pub(super) block_map: bool,
    pub(super) executable: bool,
}

impl PlainFile {
    /// The value as one, if it is one.
    pub(super) fn of(value: &EntryValue) -> Option<Self> {
        let blob = value.blob?;
        let plain = Self {
            block_offset: blob.block_offset,
            byte_offset: blob.byte_offset,
            byte_length: blob.byte_length,
            block_length: u32::try_from(blob.block_length).ok()?,
            block_map: blob.block_map,
            executable: value.executable,
        };
        (plain.value() == *value).then_some(plain)
    }

    /// The value it stands for.
    pub(super) fn value(&self) -> EntryValue {
        let blob = BlobId {
            block_offset: self.block_offset,
            byte_offset: self.byte_offset,
            block_length: u64::from(self.block_length),
            byte_length: self.byte_length,
            block_map: self.block_map,
        };
        EntryValue::file(blob, self.executable)
    }
}

impl<'f> EntryList<'f> {
    /// Of these entries, in any order.
    ///
    /// # Errors
    /// The first that one of them is.
    pub(super) fn new<E>(
        files: &'f FileList,
        entries: impl Iterator<Item = Result<DriveEntry, E>>,
    ) -> Result<Self, E> {
        let mut list = Self { files, items: Vec::new(), keys: Vec::new(), values: Vec::new() };
        for entry in entries {
            list.push(entry?);
        }
        list.sort();
        Ok(list)
    }

    fn push(&mut self, entry: DriveEntry) {
        let file = self.files.find(&entry.key).and_then(|at| u32::try_from(at).ok());
        let key = file.map(ItemKey::File).unwrap_or_else(|| {
            self.keys.push(entry.key);
            ItemKey::Own(u32::try_from(self.keys.len() - 1).unwrap_or(u32::MAX))
        });
        let value = PlainFile::of(&entry.value).map(ItemValue::File).unwrap_or_else(|| {
            self.values.push(entry.value);
            ItemValue::Whole(self.values.len() - 1)
        });
        self.items.push(Item { seq: entry.seq, key, value });
    }

    /// Keys of a drive written by others may have a form that no file of a folder has, and come in another order.
    fn sort(&mut self) {
        let keys = || (0..self.items.len()).map(|at| self.key(at));
        if keys().zip(keys().skip(1)).all(|(a, b)| a <= b) {
            return;
        }
        let mut items = std::mem::take(&mut self.items);
        items.sort_by(|a, b| self.key_of(a).cmp(&self.key_of(b)));
        self.items = items;
    }

    fn key_of(&self, item: &Item) -> Option<&str> {
        match item.key {
            ItemKey::File(at) => self.files.key(usize::try_from(at).ok()?),
            ItemKey::Own(at) => self.keys.get(usize::try_from(at).ok()?).map(String::as_str),
        }
    }

    fn key(&self, at: usize) -> Option<&str> {
        self.key_of(self.items.get(at)?)
    }

    fn get(&self, at: usize) -> Option<DriveEntry> {
        let item = self.items.get(at)?;
        let value = match item.value {
            ItemValue::File(plain) => plain.value(),
            ItemValue::Whole(place) => self.values.get(place)?.clone(),
        };
        Some(DriveEntry { seq: item.seq, key: self.key_of(item)?.to_owned(), value })
    }

    /// Keys that no file of the folder has, in their order, with the targets of symlinks.
    pub(super) fn beside_files(&self) -> impl Iterator<Item = (&str, Option<&str>)> + Clone {
        self.items.iter().filter(|item| matches!(item.key, ItemKey::Own(_))).filter_map(|item| {
            let link = match item.value {
                ItemValue::File(_) => None,
                ItemValue::Whole(place) => self.values.get(place)?.linkname.as_deref(),
            };
            Some((self.key_of(item)?, link))
        })
    }

    /// Of those that no file of the folder has, those whose keys are asked for.
    pub(super) fn select_beside_files(&self, wanted: impl Fn(&str) -> bool) -> Vec<DriveEntry> {
        let is_own = |at: &usize| self.items.get(*at).is_some_and(|i| matches!(i.key, ItemKey::Own(_)));
        let of_wanted = |at| self.key(at).filter(|key| wanted(key)).and_then(|_| self.get(at));
        (0..self.items.len()).filter(is_own).filter_map(of_wanted).collect()
    }

    /// The entry of a key.
    pub(super) fn find(&self, key: &str) -> Option<DriveEntry> {
        let at = self.items.binary_search_by(|item| self.key_of(item).cmp(&Some(key))).ok()?;
        self.get(at)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::folder::scan::LocalKind;

    #[test]
    fn it_holds_entries_of_all_kinds_by_key() {
        let blob =
            BlobId { block_offset: 1, byte_offset: 2, block_length: 3, byte_length: 4, block_map: true };
        let noted = EntryValue { metadata: serde_json::json!({"a": 1}), ..EntryValue::file(blob, false) };
        let values = [
            EntryValue::file(blob, true),
            EntryValue::symlink("x"),
            noted,
            EntryValue::default(),
            EntryValue::file(blob, false),
        ];
        let mut entries: Vec<DriveEntry> = ["/b", "/a/x", "//odd", "/a", "/é"]
            .iter()
            .zip(values)
            .zip(7..)
            .map(|((key, value), seq)| DriveEntry { seq, key: (*key).to_owned(), value })
            .collect();
        let mut files = FileList::default();
        for key in ["/a", "/b", "/only here", "/é"] {
            files.push(key, &LocalKind::Symlink { target: "x".into() });
        }
        let all = entries.clone().into_iter().map(Ok::<_, ()>);
        let list = EntryList::new(&files, all).unwrap();
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        let beside: Vec<DriveEntry> =
            entries.iter().filter(|e| files.find(&e.key).is_none()).cloned().collect();
        assert_eq!(beside.len(), 2);
        assert_eq!(list.select_beside_files(|_| true), beside);
        assert_eq!(list.select_beside_files(|key| key == "/a/x").len(), 1);
        let keys: Vec<_> = beside.iter().map(|e| (e.key.as_str(), e.value.linkname.as_deref())).collect();
        assert_eq!(list.beside_files().collect::<Vec<_>>(), keys);
        for entry in &entries {
            assert_eq!(list.find(&entry.key).as_ref(), Some(entry));
        }
        assert!(list.find("").is_none() && list.find("/a/").is_none() && list.find("/ü").is_none());
        assert!(size_of::<Item>() <= 56, "{}", size_of::<Item>());
    }
}
