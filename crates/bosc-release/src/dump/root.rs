//! The folder that is written, by handle.

use super::request::DumpError;
use super::scope::Scope;
use bosc_files::{Dir, random_name};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The folder of a dump. It is opened once: what comes to be at its path meanwhile does not matter.
#[derive(Debug, Clone)]
pub struct Root(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    dir: OnceLock<Dir>,
    /// The folder used last; the next file is often in it.
    last: Mutex<Option<(String, Arc<Dir>)>>,
    aside: Mutex<Vec<Aside>>,
}

/// Something that was in the way of a file or folder, under another name beside it until all is in place.
#[derive(Debug, Clone)]
pub(super) struct Aside {
    /// What it was called.
    pub(super) key: String,
    pub(super) folder: Arc<Dir>,
    pub(super) name: String,
}

/// The way to a folder.
pub(super) enum Way {
    Open(Arc<Dir>),
    Missing,
    /// This key on it is not a folder.
    Blocked(String),
}

fn is_gone(e: &std::io::Error) -> bool {
    e.kind() == ErrorKind::NotFound
}

/// The folders of a key, each with its own key.
fn folders(folder: &str) -> impl Iterator<Item = (&str, &str)> {
    folder.char_indices().filter(|(_, c)| *c == '/').filter_map(|(start, _)| {
        let name = folder.get(start + 1..)?.split('/').next()?;
        Some((folder.get(..start + 1 + name.len())?, name))
    })
}

impl Root {
    /// Where it was asked for; for messages and for what is read only.
    pub(crate) fn path(&self) -> &Path {
        &self.0.path
    }

    /// The folder at a path; it may be absent.
    ///
    /// # Errors
    /// When it is not a folder, or the way to it leads over a link of another user.
    pub fn open(path: &Path) -> Result<Self, DumpError> {
        let path = std::path::absolute(path).map_err(DumpError::io(path))?;
        let dir = match Dir::open(&path) {
            Ok(dir) => OnceLock::from(dir),
            Err(e) if is_gone(&e) => OnceLock::new(),
            Err(e) => return Err(DumpError::io(&path)(e)),
        };
        Ok(Self(Arc::new(Shared { path, dir, last: Mutex::default(), aside: Mutex::default() })))
    }

    /// A folder that is open.
    pub fn at(dir: Dir) -> Self {
        let path = dir.path().to_owned();
        let dir = OnceLock::from(dir);
        Self(Arc::new(Shared { path, dir, last: Mutex::default(), aside: Mutex::default() }))
    }

    /// Whether anything is in it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_used(&self) -> Result<bool, DumpError> {
        let Some(dir) = self.dir() else { return Ok(false) };
        Ok(!dir.list().map_err(DumpError::io(&self.0.path))?.is_empty())
    }

    /// The folder, when it is there.
    pub(super) fn dir(&self) -> Option<&Dir> {
        self.0.dir.get()
    }

    /// Where a key is, for messages.
    pub(super) fn shown(&self, key: &str) -> PathBuf {
        key.split('/').filter(|p| !p.is_empty()).fold(self.0.path.clone(), |path, name| path.join(name))
    }

    fn make(&self) -> Result<&Dir, DumpError> {
        if self.dir().is_none() {
            let made = Dir::create(&self.0.path, 0o777).map_err(DumpError::io(&self.0.path))?;
            let _ = self.0.dir.set(made);
        }
        self.dir().ok_or_else(|| DumpError::io(&self.0.path)(ErrorKind::NotFound.into()))
    }

    fn cached(&self, folder: &str) -> Option<Arc<Dir>> {
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(key, _)| key == folder).map(|(_, dir)| Arc::clone(dir))
    }

    fn keep(&self, folder: &str, dir: Dir) -> Arc<Dir> {
        let dir = Arc::new(dir);
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((folder.to_owned(), Arc::clone(&dir)));
        dir
    }

    /// The way to a folder, as it is.
    pub(super) fn way(&self, folder: &str) -> Result<Way, DumpError> {
        if let Some(dir) = self.cached(folder) {
            return Ok(Way::Open(dir));
        }
        let io = || DumpError::io(&self.shown(folder));
        let Some(root) = self.dir() else { return Ok(Way::Missing) };
        let mut at = root.again().map_err(io())?;
        for (key, name) in folders(folder) {
            at = match at.open_dir(name) {
                Ok(next) => next,
                Err(e) if is_gone(&e) => return Ok(Way::Missing),
                Err(e) if e.kind() == ErrorKind::NotADirectory => return Ok(Way::Blocked(key.to_owned())),
                Err(e) => return Err(DumpError::io(&self.shown(key))(e)),
            };
        }
        Ok(Way::Open(self.keep(folder, at)))
    }

    /// The folder, made if need be. What stands in its way is moved aside where `scope` (of what may be removed) takes it.
    pub(super) fn make_way(&self, folder: &str, scope: Option<&Scope>) -> Result<Arc<Dir>, DumpError> {
        if let Some(dir) = self.cached(folder) {
            return Ok(dir);
        }
        let mut at = Arc::new(self.make()?.again().map_err(DumpError::io(&self.0.path))?);
        for (key, name) in folders(folder) {
            let mut found = None;
            // Each turn but the first is somebody else at work in the folder.
            for _ in 0..8 {
                match at.open_or_create_dir(name, 0o777) {
                    Ok(dir) => {
                        found = Some(dir);
                        break;
                    }
                    Err(e) if e.kind() == ErrorKind::NotADirectory => {
                        if !scope.is_some_and(|s| s.takes(key)) {
                            return Err(DumpError::Blocked(self.shown(key)));
                        }
                        self.move_aside(&at, name, key)?;
                    }
                    Err(e) => return Err(DumpError::io(&self.shown(key))(e)),
                }
            }
            at = Arc::new(found.ok_or_else(|| DumpError::Blocked(self.shown(key)))?);
        }
        let dir = at.again().map_err(DumpError::io(&self.shown(folder)))?;
        Ok(self.keep(folder, dir))
    }

    /// Gives something another name until all is in place.
    pub(super) fn move_aside(&self, folder: &Arc<Dir>, name: &str, key: &str) -> Result<(), DumpError> {
        let moved = random_name(".bosc-", ".old").and_then(|aside| {
            folder.rename_new(name, folder, &aside)?;
            Ok(aside)
        });
        let name = match moved {
            Ok(name) => name,
            Err(e) if is_gone(&e) => return Ok(()),
            Err(e) => return Err(DumpError::io(&self.shown(key))(e)),
        };
        let aside = Aside { key: key.to_owned(), folder: Arc::clone(folder), name };
        self.0.aside.lock().unwrap_or_else(PoisonError::into_inner).push(aside);
        Ok(())
    }

    /// What was moved aside so far.
    pub(super) fn aside(&self) -> Vec<Aside> {
        self.0.aside.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what was moved aside, and the folder used last.
    pub(super) fn forget(&self) {
        self.0.aside.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::folders;

    #[test]
    fn folders_of_a_key() {
        assert_eq!(folders("").count(), 0);
        assert_eq!(folders("/a").collect::<Vec<_>>(), [("/a", "a")]);
        assert_eq!(folders("/a/bc/d").collect::<Vec<_>>(), [("/a", "a"), ("/a/bc", "bc"), ("/a/bc/d", "d")]);
    }
}
