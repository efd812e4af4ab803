//! Whether what lies at an application's path was put there by an installer or the updater, and not by somebody else.

use super::journal::Journal;
use super::place::Place;
use super::{fs, tree};
use std::io;
use std::path::Path;

/// What tells a build that was put in its place from whatever comes there later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledMark {
    /// A name that the file system gives what is at a path; it stays when that is renamed or written to.
    pub identity: String,
    /// The fingerprint of the contents; `None` for a build that is too large to be read for it, or cannot be read in full.
    pub contents: Option<[u8; 32]>,
}

impl InstalledMark {
    /// The mark of what is at a path now; a link itself.
    ///
    /// # Errors
    /// `NotFound`; others of the system.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { identity: fs::identity(path)?, contents: tree::known_fingerprint(path) })
    }

    /// Whether what is at the path is what the mark was taken of, or an update that [`super::Installer`] put in its place,
    /// which its journal beside the application says. A folder may have been written to since, as applications do; a file
    /// with other contents is another file.
    ///
    /// # Errors
    /// `NotFound`; others of the system.
    pub fn is_at(&self, path: &Path) -> io::Result<bool> {
        let there = Self::of(path)?;
        let folder = fs::look(path)?.ok_or(io::ErrorKind::NotFound)?.is_dir();
        if there.is(folder, Some(&self.identity), self.contents) {
            return Ok(true);
        }
        let journal = Place::find(path).and_then(|place| Journal::read(&place.folder, false));
        Ok(journal.is_ok_and(|journal| {
            journal.placed().any(|piece| there.is(folder, piece.identity.as_ref(), piece.contents))
        }))
    }

    /// Whether the very file or folder that the mark was taken of is at the path, whatever was written to it since.
    ///
    /// # Errors
    /// Those of the system.
    pub fn is_itself_at(&self, path: &Path) -> io::Result<bool> {
        Ok(fs::identity(path)? == self.identity)
    }

    /// Whether what is at the path has the bytes and names that were marked, or those of an update that [`super::Installer`] put
    /// in its place. Unknown (`false`) of a build that is too large to be read for it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn is_untouched_at(&self, path: &Path) -> io::Result<bool> {
        let Some(there) = Self::of(path)?.contents else { return Ok(false) };
        if self.contents == Some(there) {
            return Ok(true);
        }
        let journal = Place::find(path).and_then(|place| Journal::read(&place.folder, false));
        Ok(journal.is_ok_and(|journal| journal.placed().any(|piece| piece.contents == Some(there))))
    }

    fn is(&self, folder: bool, identity: Option<&String>, contents: Option<[u8; 32]>) -> bool {
        let same = identity == Some(&self.identity);
        match (self.contents, contents) {
            (Some(there), Some(was)) if there == was => true,
            (Some(_), Some(_)) => folder && same,
            _ => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_build_is_known_again_and_what_replaced_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("app");
        fs::write(&at, "build").unwrap();
        let mark = InstalledMark::of(&at).unwrap();
        assert!(mark.is_at(&at).unwrap());
        // The same bytes again, as from a backup.
        fs::rename(&at, dir.path().join("kept")).unwrap();
        fs::write(&at, "build").unwrap();
        assert!(mark.is_at(&at).unwrap());
        fs::write(&at, "mine").unwrap();
        assert!(!mark.is_at(&at).unwrap(), "written over in place");
        fs::remove_file(&at).unwrap();
        assert_eq!(mark.is_at(&at).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::create_dir(&at).unwrap();
        fs::write(at.join("data"), "mine").unwrap();
        assert!(!mark.is_at(&at).unwrap());
        // An application may write into its own folder.
        let mark = InstalledMark::of(&at).unwrap();
        fs::write(at.join("cache"), "x").unwrap();
        assert!(mark.is_at(&at).unwrap());
    }
}
