//! What a file says of itself: owner, group, permissions.

pub(crate) use std::fs::Metadata;

/// Owner, group and permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
}

impl Owner {
    pub(crate) fn of(found: &Metadata) -> Self {
        let (uid, gid) = owner_of(found);
        Self { uid, gid, mode: mode_of(found) }
    }
}

/// The user that this process works as; 0 where there is no such thing.
pub(crate) fn me() -> u32 {
    #[cfg(unix)]
    {
        rustix::process::geteuid().as_raw()
    }
    #[cfg(not(unix))]
    {
        0
    }
}

/// Owner and group; 0 where there is no such thing.
pub(crate) fn owner_of(found: &Metadata) -> (u32, u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (found.uid(), found.gid())
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        (0, 0)
    }
}

/// Permission bits, Unix; 0o755 elsewhere.
pub(crate) fn mode_of(found: &Metadata) -> u32 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        found.mode() & 0o7777
    }
    #[cfg(not(unix))]
    {
        let _ = found;
        0o755
    }
}

/// Neither a link is followed nor a fifo waited for, in a place that is to hold a file.
#[cfg(unix)]
pub(super) fn flags() -> i32 {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    i32::try_from(flags.bits()).unwrap_or(0)
}
