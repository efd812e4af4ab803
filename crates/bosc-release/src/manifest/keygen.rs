//! Writing a key pair into a file, and keeping the one that is there.

use super::keypair::{KeyPair, MAX_KEY_FILE};
use crate::error::CommandError;
use crate::output_file::{OutputFile, OutputKind};
use bosc_files::{Dir, Durability, Replace};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How long another run may write a key pair into the same folder.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

impl KeyPair {
    /// Writes the file; a link of the user or of root is followed. One that is there is kept under another name, which is
    /// returned: a lost key cannot be made again.
    ///
    /// # Errors
    /// `ERR_EXISTS` for what may not be replaced (see [`crate::output_file`]), `Failed` when the folder or disk does not let it.
    pub fn write(&self, path: &Path) -> Result<Option<PathBuf>, CommandError> {
        let failed = |e: std::io::Error| {
            CommandError::failed(format!("failed to write {}", path.display()))
                .hint("check that the folder exists and that you may write to it")
                .because(e)
        };
        OutputFile::new(path, OutputKind::UpdaterKey).check()?;
        let write = || -> std::io::Result<Option<PathBuf>> {
            let how = Replace::new(Durability::Disk).private().follow_links();
            let (dir, name) = how.place(path)?;
            // The later one would replace a key that nobody kept.
            let _alone = bosc_files::lock_folder(dir.path(), PATIENCE);
            let mut new = how.begin(&dir, &name)?;
            new.file().write_all(self.to_json().as_bytes())?;
            // A file that was named without a folder is shown without one.
            let at = if dir.path() == Path::new(".") { PathBuf::from(&name) } else { dir.path().join(&name) };
            let kept = keep(&dir, &at)?;
            new.commit()?;
            Ok(kept)
        };
        write().map_err(failed)
    }
}

/// Gives the first free `<name>.old`, `<name>.old-2`, ... to what is at `path`, which stays there too until it is replaced: a run
/// that ends here has lost nothing, and no run takes a name that another one just gave.
fn keep(dir: &Dir, path: &Path) -> std::io::Result<Option<PathBuf>> {
    if std::fs::symlink_metadata(path).is_err() {
        return Ok(None);
    }
    for n in 1..1000_u32 {
        let to = beside(path, &if n == 1 { "old".to_owned() } else { format!("old-{n}") });
        match std::fs::hard_link(path, &to).or_else(|e| copy_where_no_links_are(dir, path, &to, e)) {
            Ok(()) => {
                dir.sync()?;
                return Ok(Some(to));
            }
            // Another run was faster, and replaced it by now or is about to.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(std::io::Error::other("there are a thousand old ones already"))
}

/// File systems without second names (FAT), and systems that do not give them to others' files.
fn copy_where_no_links_are(dir: &Dir, path: &Path, to: &Path, e: std::io::Error) -> std::io::Result<()> {
    if matches!(e.kind(), std::io::ErrorKind::AlreadyExists | std::io::ErrorKind::NotFound) {
        return Err(e);
    }
    let (Some(name), Some(to)) = (path.file_name(), to.file_name()) else { return Err(e) };
    let mut bytes = Zeroizing::new(Vec::new());
    dir.open_file(name)?.take(MAX_KEY_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_KEY_FILE {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    let mut copy = Replace::new(Durability::Disk).private().only_new().begin(dir, to)?;
    copy.file().write_all(&bytes)?;
    copy.commit()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}
