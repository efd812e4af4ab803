//! What a name in a folder stands for.

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plain file.
    File,
    /// A folder.
    Folder,
    /// A symlink.
    Link,
    /// A socket, pipe or device.
    Other,
}

/// What the system says about a name, the name itself when it is a link. Numbers that a system does not have are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Size in bytes.
    pub len: u64,
    /// Permission bits, `0o777` and those above.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Number of its file system.
    pub device: u64,
    /// Number in its file system.
    pub inode: u64,
    /// When its content was last written, in nanoseconds since 1970.
    pub mtime: i64,
    /// When its content or attributes were last changed, in nanoseconds since 1970.
    pub ctime: i64,
}

impl Meta {
    /// Whether it is a plain file.
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }

    /// Whether it is a symlink.
    pub fn is_link(&self) -> bool {
        self.kind == Kind::Link
    }

    /// Whether its owner may run it; `None` where the system does not say.
    pub fn executable(&self) -> Option<bool> {
        if cfg!(unix) { Some(self.mode & 0o100 != 0) } else { None }
    }

    /// Whether both are the same file; `false` where the system has no numbers.
    pub fn same_file(&self, other: &Self) -> bool {
        self.inode != 0 && (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether it belongs to the user of this process. Always where the system does not say.
    pub fn ours(&self) -> bool {
        self.uid == crate::user()
    }
}

impl From<&std::fs::Metadata> for Meta {
    fn from(meta: &std::fs::Metadata) -> Self {
        let kind = match meta.file_type() {
            t if t.is_symlink() => Kind::Link,
            t if t.is_dir() => Kind::Folder,
            t if t.is_file() => Kind::File,
            _ => Kind::Other,
        };
        let mut out =
            Self { kind, len: meta.len(), mode: 0, uid: 0, gid: 0, device: 0, inode: 0, mtime: 0, ctime: 0 };
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let nanos = |s: i64, n: i64| s.saturating_mul(1_000_000_000).saturating_add(n);
            out.mode = meta.mode() & 0o7777;
            (out.uid, out.gid) = (meta.uid(), meta.gid());
            (out.device, out.inode) = (meta.dev(), meta.ino());
            out.mtime = nanos(meta.mtime(), meta.mtime_nsec());
            out.ctime = nanos(meta.ctime(), meta.ctime_nsec());
        }
        #[cfg(windows)]
        {
            use std::os::windows::fs::MetadataExt;
            // From units of 100 ns since 1601.
            let nanos = |t: u64| {
                i64::try_from(t.saturating_sub(116_444_736_000_000_000))
                    .unwrap_or(i64::MAX)
                    .saturating_mul(100)
            };
            out.mtime = nanos(meta.last_write_time());
            out.ctime = nanos(meta.creation_time());
        }
        out
    }
}
