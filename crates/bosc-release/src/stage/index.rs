//! The change index: which files were equal to their drive entry when they were last read, and what was found in them then
//! that looks secret. What [`crate::secrets`] refuses is never in it, nor is what was looked at by older rules.
//!
//! An entry is believed only if the drive is in the very state it was written for, and the file has the same size,
//! times, inode and device. A file written to just before it was read may be written again without its times changing,
//! so such files are not entered ("racy", as in git): see [`Clock`] for how long "just before" is. The file is
//! checksummed; one that is damaged, too large, or of another version, drive or folder counts as absent.
//!
//! ```text
//! "boscidx2" | 32 context | uint count | count x (string key | uint size | u64 mtime | u64 ctime | uint inode |
//! uint device | uint suspect) | 32 BLAKE2b of all before
//! ```

use super::target::{CoreState, TargetState};
use crate::folder::scan::{FileList, FileStat, ListedFile, ListedKind};
use crate::secrets::{KeysInUse, RULES, Suspect};
use bosc_files::{Durability, Replace};
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::{Hash, Hasher, hash};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MAGIC: &[u8; 8] = b"boscidx2";
/// Bytes of magic and context.
const HEADER: usize = 8 + 32;
/// Largest index read or written, in bytes: some 400,000 files.
const MAX_LEN: u64 = 64 * 1024 * 1024;
/// Times younger than this when the file is read are not trusted, whatever the file system: FAT counts two seconds.
const RACY: Duration = Duration::from_secs(2);
/// The same where the clock is known to be fine. Kernels stamp files with the time of their last tick, at most 10 ms old.
const RACY_FINE: Duration = Duration::from_millis(50);

/// How finely a file system tells times apart.
///
/// A file must not be entered if it could be written again after it was read and bear the same times. Every write sets
/// the time of the last change (`ctime`), which nobody can set otherwise, to the file system's clock, rounded down to
/// what it can keep. So it is enough that this clock has moved on by a tick and a unit of rounding since `ctime` when
/// the reading begins. That is [`RACY_FINE`] where all of this holds:
///
/// * the file is on the device of the folder, and that is a local file system that is known to keep times finer than
///   10 ms: the clock is then this machine's own;
/// * its `ctime` is no whole number of seconds: one that is may come from a file system made long ago, which keeps no
///   finer ones (ext3, or ext4 with small inodes).
///
/// Elsewhere (network and removable file systems, Windows) it is [`RACY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Clock {
    /// The device whose times are fine.
    fine: Option<u64>,
}

impl Clock {
    /// The clock of the folder's file system.
    pub(super) fn of(root: &Path) -> Self {
        let device = std::fs::metadata(root).ok().map(|m| FileStat::new(&m).device);
        Self { fine: device.filter(|_| is_fine(root)) }
    }

    /// Whether a file read at `now` or later might be written again and look the same.
    fn is_racy(self, stat: &FileStat, now: SystemTime) -> bool {
        const SECOND: i64 = 1_000_000_000;
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = |window| i64::try_from(since.saturating_sub(window).as_nanos()).unwrap_or(i64::MAX);
        if self.fine == Some(stat.device) && stat.ctime % SECOND != 0 {
            return stat.ctime >= before(RACY_FINE);
        }
        stat.mtime >= before(RACY) || stat.ctime >= before(RACY)
    }
}

#[cfg(target_os = "linux")]
fn is_fine(root: &Path) -> bool {
    /// ext2 to ext4, XFS, Btrfs, tmpfs, overlayfs, F2FS, ZFS, bcachefs: the numbers in statfs(2).
    const KNOWN: [u32; 8] =
        [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0xf2f5_2010, 0x2fc1_2fc1, 0xca45_1a4e];
    // The type of the number differs between machines; all of these have 32 bits.
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
    rustix::fs::statfs(root).is_ok_and(|s| KNOWN.contains(&(s.f_type as u32)))
}

#[cfg(target_vendor = "apple")]
fn is_fine(root: &Path) -> bool {
    let apfs = b"apfs".map(|b| b as _);
    rustix::fs::statfs(root).is_ok_and(|s| s.f_fstypename.starts_with(&apfs))
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn is_fine(_root: &Path) -> bool {
    false
}

/// Files known to be unchanged, by key: the file as it lies on disk, checked, and read from there as it is needed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ChangeIndex {
    /// Empty, or a whole index.
    bytes: Vec<u8>,
}

/// What an index says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct IndexRecord<'i> {
    key: &'i str,
    stat: FileStat,
    /// What its content looks like.
    suspect: Option<Suspect>,
}

impl<'i> IndexRecord<'i> {
    /// Fewest bytes one takes.
    const MIN: usize = 21;

    fn decode(d: &mut Decoder<'i>) -> Result<Self, DecodeError> {
        let key = d.string()?;
        let (size, mtime, ctime) = (d.uint()?, d.u64()? as i64, d.u64()? as i64);
        let stat = FileStat { size, mtime, ctime, inode: d.uint()?, device: d.uint()? };
        let suspect = match d.uint()? {
            0 => None,
            n => Some(Suspect::from_number(n).ok_or(DecodeError::Invalid("suspect"))?),
        };
        Ok(Self { key, stat, suspect })
    }

    fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(self.key.len() + 64);
        let stat = &self.stat;
        e.string(self.key).uint(stat.size).u64(stat.mtime as u64).u64(stat.ctime as u64);
        e.uint(stat.inode).uint(stat.device).uint(self.suspect.map_or(0, Suspect::number));
        e.finish()
    }
}

/// What an index belongs to: rules, keys that were looked for, a folder, and a drive in one state.
fn context(root: &Path, state: &TargetState, keys: &KeysInUse) -> Hash {
    let core = |c: &CoreState| {
        let mut e = Encoder::new();
        e.raw(&c.key).u64(c.fork).u64(c.length).raw(&c.tree_hash);
        e.finish()
    };
    hash(&[
        &RULES.to_le_bytes(),
        &keys.fingerprint(),
        &core(&state.db),
        &core(&state.blobs),
        root.as_os_str().as_encoded_bytes(),
    ])
}

impl ChangeIndex {
    /// Reads the index at `path`; empty unless it is whole and belongs to this folder and state.
    pub(super) fn load(path: &Path, root: &Path, state: &TargetState, keys: &KeysInUse) -> Self {
        let read = || -> Option<Vec<u8>> {
            let file = bosc_files::open_plain(path).ok()?;
            let length = file.metadata().ok()?.len().min(MAX_LEN);
            let mut bytes = Vec::with_capacity(usize::try_from(length).ok()?.saturating_add(1));
            file.take(MAX_LEN + 1).read_to_end(&mut bytes).ok()?;
            (bytes.len() as u64 <= MAX_LEN).then_some(bytes)
        };
        let context = context(root, state, keys);
        let bytes = read().filter(|bytes| check_whole(bytes, &context).is_ok());
        Self { bytes: bytes.unwrap_or_default() }
    }

    fn records(&self) -> impl Iterator<Item = IndexRecord<'_>> + Clone {
        let body = self.bytes.split_last_chunk::<32>().map_or(&[][..], |(body, _)| body);
        let mut d = Decoder::new(body);
        let count = d.raw(HEADER).and_then(|_| d.uint()).unwrap_or(0);
        (0..count).map_while(move |_| IndexRecord::decode(&mut d).ok())
    }

    /// To look up files in the order of their keys.
    pub(super) fn cursor(&self) -> IndexCursor<'_> {
        IndexCursor { records: Box::new(self.records()), next: None }
    }
}

/// A walk through an index beside one through files.
pub(super) struct IndexCursor<'i> {
    records: Box<dyn Iterator<Item = IndexRecord<'i>> + 'i>,
    next: Option<IndexRecord<'i>>,
}

impl IndexCursor<'_> {
    /// Whether the file is as it was; then also what its content looks like. Keys that are asked for rise.
    pub(super) fn unchanged(&mut self, key: &str, stat: &FileStat) -> Option<Option<Suspect>> {
        while self.next.is_none_or(|record| record.key < key) {
            self.next = Some(self.records.next()?);
        }
        self.next.filter(|record| record.key == key && record.stat == *stat).map(|record| record.suspect)
    }
}

/// The index after a stage of `files`, all of which now equal the drive.
pub(super) struct NextIndex<'a> {
    /// The one before: its records of files that were not looked at stay.
    pub(super) before: &'a ChangeIndex,
    pub(super) files: &'a FileList,
    /// Files that are not entered whatever their times say.
    pub(super) left_out: &'a BTreeSet<String>,
    /// What their content looks like, by key.
    pub(super) suspects: &'a BTreeMap<String, Suspect>,
    /// From before the files were read.
    pub(super) now: SystemTime,
    /// That of their folder.
    pub(super) clock: Clock,
    /// Which keys were looked at.
    pub(super) in_scope: &'a dyn Fn(&str) -> bool,
}

impl NextIndex<'_> {
    fn records(&self) -> impl Iterator<Item = IndexRecord<'_>> {
        let mut old = self.before.records().filter(|r| !(self.in_scope)(r.key)).peekable();
        let mut new = self.files.iter().filter_map(|f| self.record(f)).peekable();
        std::iter::from_fn(move || match (old.peek(), new.peek()) {
            (Some(a), Some(b)) if a.key == b.key => {
                old.next();
                new.next()
            }
            (Some(a), Some(b)) if a.key > b.key => new.next(),
            (Some(_), _) => old.next(),
            (None, _) => new.next(),
        })
    }

    fn record<'f>(&self, file: ListedFile<'f>) -> Option<IndexRecord<'f>> {
        let ListedKind::File { stat, .. } = file.kind else { return None };
        if self.clock.is_racy(&stat, self.now) || self.left_out.contains(file.key) {
            return None;
        }
        Some(IndexRecord { key: file.key, stat, suspect: self.suspects.get(file.key).copied() })
    }

    /// Writes the index for this folder and state, replacing the old one at once. An index that would be too large is
    /// not written, nor one that is there already.
    pub(super) fn save(
        &self,
        path: &Path,
        root: &Path,
        state: &TargetState,
        keys: &KeysInUse,
    ) -> io::Result<()> {
        let (mut count, mut length) = (0u64, 0u64);
        for record in self.records() {
            count += 1;
            length = length.saturating_add(record.encode().len() as u64);
        }
        let mut head = Encoder::new();
        head.raw(MAGIC).raw(&context(root, state, keys)).uint(count);
        if length.saturating_add((head.len() + 32) as u64) > MAX_LEN {
            return Ok(());
        }
        if self.before.bytes.starts_with(head.as_slice()) && self.before.records().eq(self.records()) {
            return Ok(());
        }
        // One that a power cut tears fails its checksum.
        Replace::new(Durability::Process).write_with(path, |file| {
            let mut out = BufWriter::with_capacity(64 * 1024, file);
            let mut sum = Hasher::new();
            sum.update(head.as_slice());
            out.write_all(head.as_slice())?;
            for record in self.records() {
                let bytes = record.encode();
                sum.update(&bytes);
                out.write_all(&bytes)?;
            }
            out.write_all(&sum.finish())?;
            out.flush()
        })
    }
}

/// Checks a whole index, record by record.
fn check_whole(bytes: &[u8], context: &Hash) -> Result<(), DecodeError> {
    let (body, sum) = bytes.split_last_chunk::<32>().ok_or(DecodeError::Truncated)?;
    if hash(&[body]) != *sum {
        return Err(DecodeError::Invalid("checksum"));
    }
    let mut d = Decoder::new(body);
    if d.fixed::<8>()? != *MAGIC || d.fixed32()? != *context {
        return Err(DecodeError::Invalid("header"));
    }
    let mut last = None;
    for _ in 0..d.count(IndexRecord::MIN)? {
        let record = IndexRecord::decode(&mut d)?;
        if last.is_some_and(|last| last >= record.key) {
            return Err(DecodeError::Invalid("order"));
        }
        last = Some(record.key);
    }
    d.finish()
}

/// Reads `bytes` as the index of a folder and drive whose context is zeros. With `whole`, header and checksum are put
/// around them first. Says whether they were one.
pub(super) fn check(bytes: &[u8], whole: bool) -> bool {
    let context = Hash::default();
    if !whole {
        return check_whole(bytes, &context).is_ok();
    }
    let mut all = [&MAGIC[..], &context, bytes].concat();
    let sum = hash(&[&all]);
    all.extend_from_slice(&sum);
    check_whole(&all, &context).is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::folder::scan::{LocalFile, LocalKind};

    /// The index after a stage of `files`, by way of the disk.
    fn after(
        before: &ChangeIndex,
        files: &[LocalFile],
        suspects: &BTreeMap<String, Suspect>,
        now: SystemTime,
        in_scope: &dyn Fn(&str) -> bool,
    ) -> ChangeIndex {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        save(before, files, suspects, now, in_scope, &path, Path::new("/r"));
        ChangeIndex::load(&path, Path::new("/r"), &TargetState::default(), &KeysInUse::default())
    }

    fn save(
        before: &ChangeIndex,
        files: &[LocalFile],
        suspects: &BTreeMap<String, Suspect>,
        now: SystemTime,
        in_scope: &dyn Fn(&str) -> bool,
        path: &Path,
        root: &Path,
    ) {
        let mut list = FileList::default();
        files.iter().for_each(|f| list.push(&f.key, &f.kind));
        let (left_out, clock) = (BTreeSet::new(), Clock::default());
        let next = NextIndex { before, files: &list, left_out: &left_out, suspects, now, clock, in_scope };
        next.save(path, root, &TargetState::default(), &KeysInUse::default()).unwrap();
    }

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
        let keys = KeysInUse::default();
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let files = [file("/a", 5), file("/b", 998_000_000_000), file("/c", 997_999_999_999)];
        let suspects = BTreeMap::from([("/c".to_owned(), Suspect::PrivateKey)]);
        let index = after(&ChangeIndex::default(), &files, &suspects, now, &|_| true);
        let unchanged = |key: &str, stat: &FileStat| index.cursor().unchanged(key, stat);
        assert_eq!(unchanged("/a", &stat_of(&files[0])), Some(None));
        assert_eq!(unchanged("/c", &stat_of(&files[2])), Some(Some(Suspect::PrivateKey)));
        assert_eq!(unchanged("/b", &stat_of(&files[1])), None, "racy");
        assert_eq!(unchanged("/a", &FileStat { size: 4, ..stat_of(&files[0]) }), None);
        let mut cursor = index.cursor();
        assert_eq!(cursor.unchanged("/a", &stat_of(&files[0])), Some(None));
        assert_eq!(cursor.unchanged("/b", &stat_of(&files[1])), None);
        assert_eq!(cursor.unchanged("/c", &stat_of(&files[2])), Some(Some(Suspect::PrivateKey)));
        assert_eq!(cursor.unchanged("/d", &stat_of(&files[2])), None);
        save(&ChangeIndex::default(), &files, &suspects, now, &|_| true, &path, root);
        assert_eq!(ChangeIndex::load(&path, root, &state, &keys), index);
        assert_eq!(ChangeIndex::load(&path, Path::new("/s"), &state, &keys), ChangeIndex::default());
        let more = KeysInUse::default().with(b"a key that is looked for from now");
        assert_eq!(ChangeIndex::load(&path, root, &state, &more), ChangeIndex::default());
        let mut other = state;
        other.blobs.tree_hash[0] = 1;
        assert_eq!(ChangeIndex::load(&path, root, &other, &keys), ChangeIndex::default());
        assert_eq!(ChangeIndex::load(&dir.path().join("none"), root, &state, &keys), ChangeIndex::default());

        let bytes = std::fs::read(&path).unwrap();
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 1;
            assert!(check_whole(&bad, &context(root, &state, &keys)).is_err(), "byte {i}");
            assert!(check_whole(&bytes[..i], &context(root, &state, &keys)).is_err(), "length {i}");
        }

        // One that is there already is left alone.
        std::fs::remove_file(&path).unwrap();
        save(&index, &files, &suspects, now, &|_| true, &path, root);
        assert!(!path.exists());
        save(&index, &files[1..], &suspects, now, &|_| true, &path, root);
        assert!(path.exists());
    }

    #[test]
    fn a_fine_clock_has_a_short_window_on_its_own_device_only() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let clock = Clock { fine: Some(8) };
        let stat = |ctime, device| FileStat { size: 3, mtime: 5, ctime, inode: 7, device };
        for (ctime, device, racy) in [
            (999_940_000_001, 8, false),
            (999_950_000_001, 8, true),
            (1_000_500_000_001, 8, true),
            // Another device, and times in whole seconds.
            (999_940_000_001, 9, true),
            (997_940_000_001, 9, false),
            (999_000_000_000, 8, true),
            (997_000_000_000, 8, false),
        ] {
            assert_eq!(clock.is_racy(&stat(ctime, device), now), racy, "{ctime} on {device}");
        }
    }

    /// Somebody rewrites a file as fast as the disk allows, without changing its size: what the index would call
    /// unchanged is unchanged.
    #[test]
    fn a_file_that_is_being_written_never_counts_as_unchanged() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "00000000").unwrap();
        let (clock, stop) = (Clock::of(dir.path()), AtomicBool::new(false));
        let (mut entered, mut believed) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0u64.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    // In place, in bursts with pauses about as long as the window.
                    use std::io::Write;
                    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                    write!(file, "{n:08}").unwrap();
                    if n % 7 == 0 {
                        std::thread::sleep(Duration::from_millis(n % 100));
                    }
                }
            });
            let until = std::time::Instant::now() + Duration::from_secs(3);
            while std::time::Instant::now() < until {
                let now = SystemTime::now();
                let stat = FileStat::new(&std::fs::metadata(&path).unwrap());
                let content = std::fs::read(&path).unwrap();
                if clock.is_racy(&stat, now) {
                    continue;
                }
                entered += 1;
                let again = std::fs::read(&path).unwrap();
                if FileStat::new(&std::fs::metadata(&path).unwrap()) == stat {
                    believed += 1;
                    assert_eq!(content, again, "{stat:?}");
                }
            }
            stop.store(true, Ordering::SeqCst);
        });
        assert!(clock == Clock::default() || (entered > 0 && believed > 0), "{entered} {believed}");
    }

    #[test]
    fn records_out_of_scope_stay() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        let none = BTreeMap::new();
        let files = [file("/a", 1), file("/b/x", 1), file("/b/y", 1)];
        let index = after(&ChangeIndex::default(), &files, &none, now, &|_| true);
        let index = after(&index, &[file("/b/x", 2)], &none, now, &|key| key.starts_with("/b"));
        let keys: Vec<_> = index.records().map(|r| (r.key, r.stat.mtime)).collect();
        assert_eq!(keys, [("/a", 1), ("/b/x", 2)]);
    }
}
