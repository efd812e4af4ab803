//! The folder of a store as the system tells it from others: the machine, the numbers of its files, and its mark. What they
//! are compared with: [`crate::identity`].

use bosc_files::open_plain;
use bosc_format::codec::{DecodeError, Decoder, Encoder};
use bosc_format::crypto::{self, Hash};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The name of the mark.
pub(crate) const MARK: &str = "MARK";
const NEW_MARK: &str = "MARK.new";
/// Longest path remembered, in bytes.
const MAX_PATH: usize = 4096;

/// What tells a file from others, as far as the system says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FileId {
    pub(crate) inode: Option<u64>,
    /// Nanoseconds since 1970.
    pub(crate) born: Option<u64>,
}

impl FileId {
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let unlike = |a: Option<u64>, b: Option<u64>| a.zip(b).is_some_and(|(a, b)| a != b);
        unlike(self.inode, other.inode) || unlike(self.born, other.born)
    }

    pub(crate) fn is_known(&self) -> bool {
        self.inode.is_some() && self.born.is_some()
    }

    pub(crate) fn encode(&self, e: &mut Encoder) {
        for value in [self.inode, self.born] {
            e.u8(u8::from(value.is_some())).uint(value.unwrap_or(0));
        }
    }

    pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut value = || Ok::<_, DecodeError>((d.u8()? != 0, d.uint()?));
        let (inode, born) = (value()?, value()?);
        Ok(Self { inode: inode.0.then_some(inode.1), born: born.0.then_some(born.1) })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) nonce: [u8; 16],
    pub(crate) file: FileId,
}

/// A folder of the file system that holds a store.
#[derive(Debug)]
pub struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) machine: Option<Hash>,
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

    pub(crate) fn file_id(&self, name: &str) -> FileId {
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

    /// Whether a file has more than one name. Not told on Windows.
    pub(crate) fn is_linked(&self, name: &str) -> bool {
        #[cfg(unix)]
        {
            let meta = fs::metadata(self.dir.join(name));
            meta.is_ok_and(|m| std::os::unix::fs::MetadataExt::nlink(&m) > 1)
        }
        #[cfg(not(unix))]
        {
            let _ = name;
            false
        }
    }

    /// As [`Place::file_id`]; nothing where a rename may change what was told before it.
    pub(crate) fn mark_id(&self, name: &str) -> FileId {
        if cfg!(unix) { self.file_id(name) } else { FileId::default() }
    }

    /// The mark of the folder. Its number is `None` when the file is cut short.
    pub(crate) fn mark(&self) -> Option<(Option<[u8; 16]>, FileId)> {
        let nonce = read_mark(&self.dir.join(MARK))?;
        Some((nonce, self.mark_id(MARK)))
    }

    pub(crate) fn make_mark(&self) -> io::Result<Mark> {
        let path = self.dir.join(NEW_MARK);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|e| io::Error::other(e.to_string()))?;
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        bosc_files::give_to_owner(&file, &self.dir);
        file.write_all(&nonce)?;
        Ok(Mark { nonce, file: self.mark_id(NEW_MARK) })
    }

    pub(crate) fn put_mark(&self) -> io::Result<()> {
        fs::rename(self.dir.join(NEW_MARK), self.dir.join(MARK))
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        if cfg!(unix) { File::open(&self.dir)?.sync_all() } else { Ok(()) }
    }

    pub(crate) fn path_bytes(&self) -> Vec<u8> {
        let bytes = self.dir.as_os_str().as_encoded_bytes();
        if bytes.len() > MAX_PATH { Vec::new() } else { bytes.to_vec() }
    }
}

/// Outer `None`: there is none.
pub(crate) fn read_mark(path: &Path) -> Option<Option<[u8; 16]>> {
    let mut bytes = Vec::new();
    open_plain(path).ok()?.take(17).read_to_end(&mut bytes).ok()?;
    Some(<[u8; 16]>::try_from(bytes.as_slice()).ok())
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
pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |p: &Path| fs::metadata(p).map(|m| (m.dev(), m.ino())).ok();
    id(a).is_some_and(|a| Some(a) == id(b))
}

#[cfg(not(unix))]
pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
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
