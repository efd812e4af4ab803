//! Files that nobody else can read, whole or not there at all.

use bosc_files::{Durability, Replace};
use std::io;
use std::path::Path;

/// Makes the folder with mode 0700. One that is there already is tightened only when it is `own`: a folder that the user
/// named may be shared on purpose, and its files are 0600 anyway.
pub(crate) fn make_dir(dir: &Path, own: bool) -> io::Result<()> {
    if dir.is_dir() {
        if own {
            tighten(dir, 0o700);
        }
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Takes the rights of others to a secret key's file. What belongs to someone else stays as it is.
pub(crate) fn tighten_file(path: &Path) {
    tighten(path, 0o600);
}

#[cfg(unix)]
fn tighten(path: &Path, most: u32) {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    // By its handle: what is looked at is what is changed. Nobody waits for a FIFO.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let Ok(file) = std::fs::File::options().read(true).custom_flags(flags).open(path) else { return };
    let Ok(meta) = file.metadata() else { return };
    let mode = meta.permissions().mode() & 0o777;
    if mode & !most != 0 {
        let _ = file.set_permissions(std::fs::Permissions::from_mode(mode & most));
    }
}

#[cfg(not(unix))]
fn tighten(_: &Path, _: u32) {
    // The user's folder is private by its access list.
}

/// Writes a new file; fails with `AlreadyExists` when there is one.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Replace::new(Durability::Disk).private().only_new().write(path, bytes)
}

/// Replaces a file in one step.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Replace::new(Durability::Disk).private().write(path, bytes)
}
