//! Whether this store is the one it was, or a copy of it.
//!
//! Two copies of a store that both sign make two histories of every link they write, and no follower can tell which is
//! right. So a store notices that it was copied or brought back from a backup, and says so ([`crate::Store::copied`])
//! until someone says that it is the only copy ([`crate::Store::declare_sole_copy`]). What it means is the caller's: the
//! store refuses nothing.
//!
//! # What is compared
//!
//! The row `identity` of the database remembers, as of its last change: the machine's id; inode and time of birth of
//! the database's file; the folder's path; and two *marks*. The file `MARK` in the folder is a random number that is
//! made anew, as a new file, with what is signed. What the system does not tell is not compared.
//!
//! | what happened | what differs |
//! |---|---|
//! | `cp -a`, a backup unpacked elsewhere, `mv` to another file system | inode or birth of the database |
//! | the disk or its image in another machine | the machine's id (not on network file systems) |
//! | an older database put back in its place | `MARK` is newer than both marks |
//! | the whole folder written over in its place | `MARK` is another file than the mark names |
//! | a snapshot of the file system, opened beside the original | the old path has a file with our mark |
//!
//! `mv` within a file system, a renamed mount point and another device number change none of these. A machine or a
//! file system that was put back as a whole cannot be told from one that stood still: see docs/recovery.md.
//!
//! # States
//!
//! ```text
//! no row --open--> original <-------- declare_sole_copy ---------.
//!                     |                                          |
//!                     '--open, something differs--> copied ------'
//!                                                    |      ^
//!                                                    '------' open, something differs again
//! ```
//!
//! Each time something differs the store gets a new *lineage*, a random number that it keeps for good, for what has to differ
//! between copies.
//!
//! # The mark, and why a crash does not cry wolf
//!
//! ```text
//! MARK = m1, row = (m0, m1)
//!   the folder is synced                      so that MARK = m1 stays
//!   MARK.new is made: m2
//!   the transaction that signs: row = (m1, m2)
//!   MARK.new is renamed to MARK: m2
//! ```
//!
//! Whatever of this a crash leaves, `MARK` is one of the row's two. It is renewed with the first signature after opening
//! and then at most once a minute, so that appending costs no sync of its own. A `MARK` without content (it is not
//! synced) or none at all says nothing.
//!
//! What is signed between two renewals is not told apart: a database that was copied while the store was in use, and put
//! back in the same minute, is taken for the original.

use crate::commit::MetaRow;
use crate::db::{self, Db};
use crate::error::{Error, Result};
use bosc_files::open_plain;
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::{self, Hash};
use redb::ReadableTable;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Name of the row.
const ROW: &str = "identity";
const MARK: &str = "MARK";
const NEW_MARK: &str = "MARK.new";
const VERSION: u8 = 1;
/// How often the mark is renewed at most.
const RENEW: Duration = Duration::from_secs(60);
/// Longest path remembered, in bytes.
const MAX_PATH: usize = 4096;

/// Why a store is taken for a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// Its database is another file than it was.
    OtherFile,
    /// It is on another machine than it was.
    OtherMachine,
    /// Its database is older than its folder, or its files were written over: something was put back.
    Restored,
    /// The folder it was in is still there and holds it as well.
    Beside,
}

impl Evidence {
    fn code(self) -> u8 {
        match self {
            Self::OtherFile => 1,
            Self::OtherMachine => 2,
            Self::Restored => 3,
            Self::Beside => 4,
        }
    }

    fn of(code: u8) -> Result<Self, DecodeError> {
        [Self::OtherFile, Self::OtherMachine, Self::Restored, Self::Beside]
            .into_iter()
            .find(|e| e.code() == code)
            .ok_or(DecodeError::Invalid("evidence"))
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherFile => "its files are copies",
            Self::OtherMachine => "it was made on another machine",
            Self::Restored => "older files were put back into it",
            Self::Beside => "the folder it was copied from is still there",
        })
    }
}

/// What is known of a store that is a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// How it is known.
    pub evidence: Evidence,
    /// Cores of lower numbers may be in the other copy too.
    first_own: u32,
}

impl Copied {
    pub(crate) fn covers(&self, core: u32) -> bool {
        core < self.first_own
    }
}

/// What tells a file from others, as far as the system says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct FileId {
    inode: Option<u64>,
    /// Nanoseconds since 1970.
    born: Option<u64>,
}

impl FileId {
    fn differs(&self, other: &Self) -> bool {
        let unlike = |a: Option<u64>, b: Option<u64>| a.zip(b).is_some_and(|(a, b)| a != b);
        unlike(self.inode, other.inode) || unlike(self.born, other.born)
    }

    fn is_known(&self) -> bool {
        self.inode.is_some() && self.born.is_some()
    }

    fn encode(&self, e: &mut Encoder) {
        for value in [self.inode, self.born] {
            e.u8(u8::from(value.is_some())).uint(value.unwrap_or(0));
        }
    }

    fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut value = || Ok::<_, DecodeError>((d.u8()? != 0, d.uint()?));
        let (inode, born) = (value()?, value()?);
        Ok(Self { inode: inode.0.then_some(inode.1), born: born.0.then_some(born.1) })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    nonce: [u8; 16],
    file: FileId,
}

/// A folder of the file system that holds a store.
#[derive(Debug)]
pub struct Place {
    dir: PathBuf,
    machine: Option<Hash>,
    /// Inodes and times of birth stay what they are while the file is the same.
    steady: bool,
}

impl Place {
    pub(crate) fn new(dir: &Path) -> Self {
        let kind = FileSystem::of(dir);
        Self {
            dir: fs::canonicalize(dir).unwrap_or_else(|_| dir.to_path_buf()),
            // A folder that several machines mount is used by each in turn.
            machine: if kind == FileSystem::Steady { machine() } else { None },
            steady: kind.is_steady(),
        }
    }

    fn file_id(&self, name: &str) -> FileId {
        let Ok(meta) = fs::metadata(self.dir.join(name)) else { return FileId::default() };
        if !self.steady {
            return FileId::default();
        }
        // Wine gives the time of the last change for that of birth. A file that looks born after its last write says nothing:
        // on Windows that is also a fresh copy, which is known once it was written to.
        let told = cfg!(unix) || meta.created().ok().zip(meta.modified().ok()).is_some_and(|(b, m)| b < m);
        let born = meta.created().ok().filter(|_| told).and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        FileId { inode: inode(&meta), born: born.and_then(|d| u64::try_from(d.as_nanos()).ok()) }
    }

    /// As [`Place::file_id`]; nothing where a rename may change what was told before it.
    fn mark_id(&self, name: &str) -> FileId {
        if cfg!(unix) { self.file_id(name) } else { FileId::default() }
    }

    /// The mark of the folder. Its number is `None` when the file is cut short.
    fn mark(&self) -> Option<(Option<[u8; 16]>, FileId)> {
        let nonce = read_mark(&self.dir.join(MARK))?;
        Some((nonce, self.mark_id(MARK)))
    }

    fn make_mark(&self) -> io::Result<Mark> {
        let path = self.dir.join(NEW_MARK);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let nonce = random()?;
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path)?.write_all(&nonce)?;
        Ok(Mark { nonce, file: self.mark_id(NEW_MARK) })
    }

    fn put_mark(&self) -> io::Result<()> {
        fs::rename(self.dir.join(NEW_MARK), self.dir.join(MARK))
    }

    fn sync(&self) -> io::Result<()> {
        if cfg!(unix) { File::open(&self.dir)?.sync_all() } else { Ok(()) }
    }

    fn path_bytes(&self) -> Vec<u8> {
        let bytes = self.dir.as_os_str().as_encoded_bytes();
        if bytes.len() > MAX_PATH { Vec::new() } else { bytes.to_vec() }
    }
}

/// Outer `None`: there is none.
fn read_mark(path: &Path) -> Option<Option<[u8; 16]>> {
    let mut bytes = Vec::new();
    open_plain(path).ok()?.take(17).read_to_end(&mut bytes).ok()?;
    Some(<[u8; 16]>::try_from(bytes.as_slice()).ok())
}

fn random() -> io::Result<[u8; 16]> {
    let mut out = [0; 16];
    getrandom::fill(&mut out).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(out)
}

#[cfg(unix)]
fn inode(meta: &fs::Metadata) -> Option<u64> {
    Some(std::os::unix::fs::MetadataExt::ino(meta))
}

/// Numbers of files are not to be had without unsafe code here; times of birth are.
#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> Option<u64> {
    None
}

/// Device and inode at this moment, for telling two paths to one file from two files.
#[cfg(unix)]
fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |p: &Path| fs::metadata(p).map(|m| (m.dev(), m.ino())).ok();
    id(a).is_some_and(|a| Some(a) == id(b))
}

#[cfg(not(unix))]
fn same_file(a: &Path, b: &Path) -> bool {
    fs::canonicalize(a).is_ok_and(|a| fs::canonicalize(b).is_ok_and(|b| a == b))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileSystem {
    /// Of this machine, with numbers that stay.
    Steady,
    /// Numbers stay, and other machines may have it too.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Shared,
    /// Numbers of files are made up anew at each mount.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Unsteady,
}

impl FileSystem {
    /// Whether numbers of files stay.
    fn is_steady(self) -> bool {
        match self {
            Self::Steady => true,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Shared => true,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Unsteady => false,
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn of(dir: &Path) -> Self {
        // Magic numbers of linux/magic.h.
        match rustix::fs::statfs(dir).map(|s| s.f_type as u64 & 0xffff_ffff) {
            // nfs, afs, ceph, gfs2, ocfs2
            Ok(0x6969 | 0x5346_414f | 0x00c3_6400 | 0x0116_1970 | 0x7461_636f) => Self::Shared,
            // fat, exfat, fuse, 9p, cifs, smb2, smb, vboxsf, ntfs
            Ok(
                0x4d44 | 0x2011_bab0 | 0x6573_5546 | 0x0102_1997 | 0xff53_4d42 | 0xfe53_4d42 | 0x517b
                | 0x786f_4256 | 0x5346_544e,
            )
            | Err(_) => Self::Unsteady,
            Ok(_) => Self::Steady,
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn of(_: &Path) -> Self {
        Self::Steady
    }
}

/// The machine's id, hashed so that the store does not tell it.
fn machine() -> Option<Hash> {
    let text = ["/etc/machine-id", "/var/lib/dbus/machine-id"].iter().find_map(|path| {
        let mut text = String::new();
        open_plain(Path::new(path)).ok()?.take(64).read_to_string(&mut text).ok()?;
        let id = text.trim();
        (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_owned())
    })?;
    Some(crypto::hash(&[b"bosc store machine", text.as_bytes()]))
}

/// The row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    machine: Option<Hash>,
    database: FileId,
    path: Vec<u8>,
    marks: [Option<Mark>; 2],
    /// A random number of this copy. It stays when the store is declared to be the only one.
    lineage: Option<[u8; 16]>,
    copied: Option<Copied>,
}

impl Row {
    fn here(place: &Place) -> Self {
        Self {
            machine: place.machine,
            database: place.file_id(db::FILE),
            path: place.path_bytes(),
            marks: [None, None],
            lineage: None,
            copied: None,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(256);
        e.u8(VERSION).u8(u8::from(self.machine.is_some())).raw(&self.machine.unwrap_or_default());
        self.database.encode(&mut e);
        e.buffer(&self.path);
        for mark in &self.marks {
            e.u8(u8::from(mark.is_some()));
            if let Some(mark) = mark {
                e.raw(&mark.nonce);
                mark.file.encode(&mut e);
            }
        }
        e.u8(u8::from(self.lineage.is_some()));
        if let Some(lineage) = &self.lineage {
            e.raw(lineage);
        }
        e.u8(self.copied.map_or(0, |c| c.evidence.code()));
        if let Some(c) = &self.copied {
            e.uint(u64::from(c.first_own));
        }
        e.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        if d.u8()? != VERSION {
            return Err(DecodeError::Invalid("version"));
        }
        let nonce = |d: &mut Decoder<'_>| {
            let mut nonce = [0; 16];
            for byte in &mut nonce {
                *byte = d.u8()?;
            }
            Ok::<_, DecodeError>(nonce)
        };
        let (known, machine) = (d.u8()? != 0, d.fixed32()?);
        let database = FileId::decode(&mut d)?;
        let path = d.buffer()?.to_vec();
        let mut marks = [None, None];
        for mark in &mut marks {
            if d.u8()? != 0 {
                *mark = Some(Mark { nonce: nonce(&mut d)?, file: FileId::decode(&mut d)? });
            }
        }
        let lineage = if d.u8()? == 0 { None } else { Some(nonce(&mut d)?) };
        let copied = match d.u8()? {
            0 => None,
            code => {
                let evidence = Evidence::of(code)?;
                let first_own = u32::try_from(d.uint()?).unwrap_or(u32::MAX);
                Some(Copied { evidence, first_own })
            }
        };
        Ok(Self { machine: known.then_some(machine), database, path, marks, lineage, copied })
    }

    /// What says that the store at `place` is not the one that wrote this.
    fn evidence(&self, place: &Place) -> Option<Evidence> {
        if self.machine.zip(place.machine).is_some_and(|(then, now)| then != now) {
            return Some(Evidence::OtherMachine);
        }
        if self.database.differs(&place.file_id(db::FILE)) {
            return Some(Evidence::OtherFile);
        }
        if let Some((nonce, file)) = place.mark()
            && self.marks.iter().any(Option::is_some)
        {
            let is = |m: &Mark| match nonce {
                Some(nonce) => nonce == m.nonce && !file.differs(&m.file),
                // Never synced. The file alone tells, where files can be told.
                None => !(file.is_known() && m.file.is_known() && file.differs(&m.file)),
            };
            if !self.marks.iter().flatten().any(is) {
                return Some(Evidence::Restored);
            }
        }
        if !self.path.is_empty() && self.path != place.path_bytes() && self.is_at_old_path(place) {
            return Some(Evidence::Beside);
        }
        None
    }

    /// Whether the folder of the row's path holds another file with one of the row's marks.
    fn is_at_old_path(&self, place: &Place) -> bool {
        let Ok(text) = std::str::from_utf8(&self.path) else { return false };
        let old = Path::new(text).join(MARK);
        let Some(Some(nonce)) = read_mark(&old) else { return false };
        self.marks.iter().flatten().any(|m| m.nonce == nonce) && !same_file(&old, &place.dir.join(MARK))
    }
}

/// The identity of an open store. Empty where nothing can be told.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    known: Option<Known>,
}

#[derive(Debug)]
struct Known {
    row: Row,
    /// What `MARK` is now.
    current: Option<Mark>,
    renewed: Option<Instant>,
}

/// What [`Identity::open`] found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Something differs that did not at the last opening: the database may be older than the files beside it.
    pub(crate) put_back: bool,
    /// To be written. Until it is, the next opening finds the same again.
    pub(crate) row: Option<MetaRow>,
}

/// A renewal of the mark on its way: the row goes into the transaction that signs.
#[derive(Debug)]
pub(crate) struct Renewal {
    next: Mark,
    row: Row,
}

impl Renewal {
    /// Puts the row into a transaction.
    pub(crate) fn write(&self, txn: &redb::WriteTransaction) -> Result<(), db::Fail> {
        txn.open_table(db::META)?.insert(ROW, self.row.encode().as_slice())?;
        Ok(())
    }
}

/// The row of a new store.
pub(crate) fn first_row(place: Option<&Place>) -> Option<(&'static str, Vec<u8>)> {
    place.map(|p| (ROW, Row::here(p).encode()))
}

impl Identity {
    /// Looks whether the store was copied. Nothing is written: what is to be is in the second part.
    pub(crate) fn open(place: Option<&Place>, db: &Db) -> Result<(Self, Found)> {
        let nothing = || Ok(Default::default());
        let Some(place) = place else { return nothing() };
        let (bytes, last) = db.read(|txn| {
            let row = txn.open_table(db::META)?.get(ROW)?.map(|v| v.value().to_vec());
            let last = txn.open_table(db::CORES)?.last()?.map_or(0, |(id, _)| id.value());
            Ok((row, last))
        })?;
        let current = place.mark().and_then(|(nonce, file)| Some(Mark { nonce: nonce?, file }));
        let kept = match &bytes {
            // What a later version wrote is not ours to judge.
            Some(bytes) if bytes.first() != Some(&VERSION) => return nothing(),
            Some(bytes) => {
                Some(Row::decode(bytes).map_err(|e| Error::corrupt(format!("the store's identity: {e}")))?)
            }
            None => None,
        };
        let evidence = kept.as_ref().and_then(|row| row.evidence(place));
        let mut found = Found { put_back: evidence.is_some(), row: None };
        let row = match (kept, evidence) {
            (Some(row), None) => row,
            (_, evidence) => {
                let mut row = Row::here(place);
                row.marks = [current, None];
                if let Some(evidence) = evidence {
                    row.lineage = Some(random().map_err(|e| Error::io("the system's random source", e))?);
                    row.copied = Some(Copied { evidence, first_own: last.saturating_add(1) });
                }
                found.row = Some((ROW, row.encode()));
                row
            }
        };
        Ok((Self { known: Some(Known { row, current, renewed: None }) }, found))
    }

    pub(crate) fn copied(&self) -> Option<Copied> {
        self.known.as_ref()?.row.copied
    }

    pub(crate) fn lineage(&self) -> Option<[u8; 16]> {
        self.known.as_ref()?.row.lineage
    }

    /// Makes the next mark, when it is time. What fails is tried with the next signature.
    pub(crate) fn renew(&mut self, place: Option<&Place>) -> Option<Renewal> {
        let (known, place) = (self.known.as_mut()?, place?);
        if known.renewed.is_some_and(|at| at.elapsed() < RENEW) {
            return None;
        }
        place.sync().ok()?;
        let next = place.make_mark().ok()?;
        let Row { lineage, copied, .. } = known.row;
        let row = Row { lineage, copied, marks: [known.current, Some(next)], ..Row::here(place) };
        Some(Renewal { next, row })
    }

    /// The transaction of a renewal is durable.
    pub(crate) fn renewed(&mut self, place: Option<&Place>, renewal: Renewal) {
        let (Some(known), Some(place)) = (self.known.as_mut(), place) else { return };
        known.row = renewal.row;
        known.renewed = Some(Instant::now());
        if place.put_mark().is_ok() {
            known.current = Some(renewal.next);
        }
    }

    /// The row without the copy, to be written.
    pub(crate) fn as_original(&self) -> Option<(&'static str, Vec<u8>)> {
        let row = Row { copied: None, ..self.known.as_ref()?.row.clone() };
        Some((ROW, row.encode()))
    }

    /// [`Identity::as_original`] is durable.
    pub(crate) fn set_original(&mut self) {
        if let Some(known) = &mut self.known {
            known.row.copied = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_survives_a_round_trip_and_damage_is_no_panic() {
        let id = |n| FileId { inode: Some(n), born: Some(n + 1) };
        let mark = |n| Some(Mark { nonce: [n; 16], file: id(u64::from(n)) });
        let copied = Some(Copied { evidence: Evidence::Restored, first_own: 7 });
        for (machine, marks, lineage, copied) in [
            (None, [None, None], None, None),
            (Some([3; 32]), [mark(1), mark(2)], Some([9; 16]), copied),
            (None, [None, mark(4)], Some([8; 16]), None),
        ] {
            let row = Row { machine, database: id(5), path: b"/a/store".to_vec(), marks, lineage, copied };
            let bytes = row.encode();
            assert_eq!(Row::decode(&bytes).unwrap(), row);
            for cut in 0..bytes.len() {
                assert!(Row::decode(&bytes[..cut]).is_err());
            }
        }
    }

    #[test]
    fn what_is_not_known_differs_from_nothing() {
        let id = |inode, born| FileId { inode, born };
        assert!(!id(None, None).differs(&id(Some(1), Some(2))));
        assert!(!id(Some(1), None).differs(&id(Some(1), Some(2))));
        assert!(id(Some(1), Some(2)).differs(&id(Some(3), Some(2))));
        assert!(id(Some(1), Some(2)).differs(&id(Some(1), Some(3))));
    }
}
