//! The change index: which files were equal to their drive entry when they were last read.
//!
//! An entry is believed only if the drive is in the very state it was written for, and the file has the same size,
//! times, inode and device. A file written to within two seconds before it was read may be written again without its
//! times changing, so such files are not entered ("racy", as in git). The file is checksummed; one that is damaged,
//! too large, or of another version, drive or folder counts as absent.
//!
//! ```text
//! "boscidx1" | 32 context | uint count | count x (string key | uint size | u64 mtime | u64 ctime | uint inode |
//! uint device) | 32 BLAKE2b of all before
//! ```

use super::target::{CoreState, TargetState};
use crate::scan::{FileStat, LocalFile, LocalKind};
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::{Hash, hash};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MAGIC: &[u8; 8] = b"boscidx1";
/// Largest index read or written, in bytes: some 400,000 files.
const MAX_LEN: u64 = 64 * 1024 * 1024;
/// Times younger than this when the file is read are not trusted.
const RACY: Duration = Duration::from_secs(2);

/// Files known to be unchanged, by key.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ChangeIndex {
    records: Vec<(String, FileStat)>,
}

/// What an index belongs to: a folder, and a drive in one state.
fn context(root: &Path, state: &TargetState) -> Hash {
    let core = |c: &CoreState| {
        let mut e = Encoder::new();
        e.raw(&c.key).u64(c.fork).u64(c.length).raw(&c.tree_hash);
        e.finish()
    };
    hash(&[&core(&state.db), &core(&state.blobs), root.as_os_str().as_encoded_bytes()])
}

impl ChangeIndex {
    /// Reads the index at `path`; empty unless it is whole and belongs to this folder and state.
    pub(super) fn load(path: &Path, root: &Path, state: &TargetState) -> Self {
        let read = || -> Option<Vec<u8>> {
            let mut bytes = Vec::new();
            std::fs::File::open(path).ok()?.take(MAX_LEN + 1).read_to_end(&mut bytes).ok()?;
            (bytes.len() as u64 <= MAX_LEN).then_some(bytes)
        };
        let records = read().and_then(|bytes| decode(&bytes, &context(root, state)).ok());
        Self { records: records.unwrap_or_default() }
    }

    fn get(&self, key: &str) -> Option<&FileStat> {
        let i = self.records.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok()?;
        self.records.get(i).map(|(_, stat)| stat)
    }

    /// Whether the file is as it was.
    pub(super) fn unchanged(&self, key: &str, stat: &FileStat) -> bool {
        self.get(key).is_some_and(|known| known == stat)
    }

    /// The index after a stage of `files`, all of which now equal the drive. `now` is from before they were read.
    /// Records of this index for files that were not looked at stay.
    pub(super) fn update(
        self,
        files: &[LocalFile],
        now: SystemTime,
        in_scope: impl Fn(&str) -> bool,
    ) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let limit = i64::try_from(since.saturating_sub(RACY).as_nanos()).unwrap_or(i64::MAX);
        let fresh = files.iter().filter_map(|f| match &f.kind {
            LocalKind::File { stat, .. } if stat.mtime < limit && stat.ctime < limit => {
                Some((f.key.clone(), *stat))
            }
            _ => None,
        });
        let mut records: Vec<_> =
            self.records.into_iter().filter(|(key, _)| !in_scope(key)).chain(fresh).collect();
        records.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        records.dedup_by(|a, b| a.0 == b.0);
        Self { records }
    }

    /// Writes the index for this folder and state, replacing the old one at once. An index that would be too large is
    /// not written.
    pub(super) fn save(&self, path: &Path, root: &Path, state: &TargetState) -> std::io::Result<()> {
        let mut e = Encoder::new();
        e.raw(MAGIC).raw(&context(root, state)).uint(self.records.len() as u64);
        for (key, stat) in &self.records {
            e.string(key).uint(stat.size).u64(stat.mtime as u64).u64(stat.ctime as u64);
            e.uint(stat.inode).uint(stat.device);
        }
        let sum = hash(&[e.as_slice()]);
        e.raw(&sum);
        let bytes = e.finish();
        if bytes.len() as u64 > MAX_LEN {
            return Ok(());
        }
        let temp = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = std::fs::File::create(&temp)
            .and_then(|mut f| f.write_all(&bytes))
            .and_then(|()| std::fs::rename(&temp, path));
        if written.is_err() {
            let _ = std::fs::remove_file(&temp);
        }
        written
    }
}

fn decode(bytes: &[u8], context: &Hash) -> Result<Vec<(String, FileStat)>, DecodeError> {
    let (body, sum) = bytes.split_last_chunk::<32>().ok_or(DecodeError::Truncated)?;
    if hash(&[body]) != *sum {
        return Err(DecodeError::Invalid("checksum"));
    }
    let mut d = Decoder::new(body);
    if d.fixed::<8>()? != *MAGIC || d.fixed32()? != *context {
        return Err(DecodeError::Invalid("header"));
    }
    let records = d.list(20, |d| {
        let key = d.string()?.to_owned();
        let (size, mtime, ctime) = (d.uint()?, d.u64()? as i64, d.u64()? as i64);
        Ok((key, FileStat { size, mtime, ctime, inode: d.uint()?, device: d.uint()? }))
    })?;
    d.finish()?;
    if records.iter().zip(records.iter().skip(1)).any(|(a, b)| a.0 >= b.0) {
        return Err(DecodeError::Invalid("order"));
    }
    Ok(records)
}

/// Reads `bytes` as the index of a folder and drive whose context is zeros. With `whole`, header and checksum are put
/// around them first. Says whether they were one.
pub(super) fn check(bytes: &[u8], whole: bool) -> bool {
    let context = Hash::default();
    if !whole {
        return decode(bytes, &context).is_ok();
    }
    let mut all = [&MAGIC[..], &context, bytes].concat();
    let sum = hash(&[&all]);
    all.extend_from_slice(&sum);
    decode(&all, &context).is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn file(key: &str, at: i64) -> LocalFile {
        let stat = FileStat { size: 3, mtime: at, ctime: at, inode: 7, device: 8 };
        LocalFile {
            key: key.into(),
            path: key.into(),
            kind: LocalKind::File { stat, executable: Some(false) },
        }
    }

    fn stat_of(f: &LocalFile) -> FileStat {
        match &f.kind {
            LocalKind::File { stat, .. } => *stat,
            LocalKind::Symlink { .. } => unreachable!(),
        }
    }

    #[test]
    fn it_comes_back_for_the_same_state_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let (root, state) = (Path::new("/r"), TargetState::default());
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let files = [file("/a", 5), file("/b", 998_000_000_000), file("/c", 997_999_999_999)];
        let index = ChangeIndex::default().update(&files, now, |_| true);
        assert!(index.unchanged("/a", &stat_of(&files[0])) && index.unchanged("/c", &stat_of(&files[2])));
        assert!(!index.unchanged("/b", &stat_of(&files[1])), "racy");
        assert!(!index.unchanged("/a", &FileStat { size: 4, ..stat_of(&files[0]) }));
        index.save(&path, root, &state).unwrap();
        assert_eq!(ChangeIndex::load(&path, root, &state), index);
        assert_eq!(ChangeIndex::load(&path, Path::new("/s"), &state), ChangeIndex::default());
        let mut other = state;
        other.blobs.tree_hash[0] = 1;
        assert_eq!(ChangeIndex::load(&path, root, &other), ChangeIndex::default());
        assert_eq!(ChangeIndex::load(&dir.path().join("none"), root, &state), ChangeIndex::default());

        let bytes = std::fs::read(&path).unwrap();
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 1;
            assert!(decode(&bad, &context(root, &state)).is_err(), "byte {i}");
            assert!(decode(&bytes[..i], &context(root, &state)).is_err(), "length {i}");
        }
    }

    #[test]
    fn records_out_of_scope_stay() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let index =
            ChangeIndex::default().update(&[file("/a", 1), file("/b/x", 1), file("/b/y", 1)], now, |_| true);
        let index = index.update(&[file("/b/x", 2)], now, |key| key.starts_with("/b"));
        let keys: Vec<_> = index.records.iter().map(|(k, s)| (k.as_str(), s.mtime)).collect();
        assert_eq!(keys, [("/a", 1), ("/b/x", 2)]);
    }
}
