//! What the drive does not have: found before anything is written, removed when everything is in place.

use super::actions::{DumpPlan, Removal, Respelled};
use super::request::DumpError;
use super::root::Root;
use super::scope::{Scope, at_or_below};
use crate::folder::diff::ByteDiff;
use bosc_drive::drive::DriveEntry;
use bosc_files::{Dir, Meta};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::sync::Arc;

/// The names in each folder of the drive.
struct Drive<'a> {
    keys: HashSet<&'a str>,
    pub(crate) names: HashMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Drive<'a> {
    fn new(entries: &'a [DriveEntry]) -> Self {
        let mut names: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        for entry in entries {
            let mut key = entry.key.as_str();
            while let Some((folder, name)) = key.rsplit_once('/') {
                if !names.entry(folder).or_default().insert(name) {
                    break;
                }
                key = folder;
            }
        }
        Self { keys: entries.iter().map(|e| e.key.as_str()).collect(), names }
    }
}

pub(super) struct Search<'a> {
    root: &'a Root,
    drive: Drive<'a>,
    scope: &'a Scope,
    pub(super) removals: Vec<Removal>,
    pub(super) respelled: Vec<Respelled>,
}

impl<'a> Search<'a> {
    pub(super) fn new(root: &'a Root, entries: &'a [DriveEntry], scope: &'a Scope) -> Self {
        let drive = Drive::new(entries);
        Self { root, drive, scope, removals: Vec::new(), respelled: Vec::new() }
    }

    /// Looks for files that the drive does not have. Links are not followed.
    pub(super) fn run(mut self) -> Result<(Vec<Removal>, Vec<Respelled>), DumpError> {
        if let Some(dir) = self.root.dir() {
            self.folder(dir, "", &mut Vec::new())?;
        }
        self.removals.sort_by(|a, b| a.diff.key.cmp(&b.diff.key));
        Ok((self.removals, self.respelled))
    }

    pub(crate) fn folder(&mut self, dir: &Dir, key: &str, way: &mut Vec<OsString>) -> Result<(), DumpError> {
        let io = |name: &OsString| DumpError::io(&dir.path().join(name));
        let mut items = Vec::new();
        for name in dir.list().map_err(DumpError::io(dir.path()))? {
            match dir.metadata(&name) {
                Ok(meta) => items.push((name, meta)),
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(io(&name)(e)),
            }
        }
        let wanted = self.drive.names.get(key).cloned().unwrap_or_default();
        let spelled = respelled(&items, &wanted, |name| dir.metadata(name).ok());
        for (name, meta) in items {
            let drive_name = spelled.get(&name).map(|n| (*n).to_owned());
            if let Some(to) = &drive_name {
                self.respelled.push(Respelled { folder: key.to_owned(), from: name.clone(), to: to.clone() });
            }
            let shown = drive_name.unwrap_or_else(|| name.to_string_lossy().into_owned());
            let below = format!("{key}/{shown}");
            let known = (name.to_str().is_some() || spelled.contains_key(&name))
                && self.drive.keys.contains(below.as_str());
            if meta.is_folder() {
                if self.scope.may_take_below(&below) {
                    let next = match dir.open_dir(&name) {
                        Ok(next) => next,
                        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                            continue;
                        }
                        Err(e) => return Err(io(&name)(e)),
                    };
                    way.push(name);
                    self.folder(&next, &below, way)?;
                    way.pop();
                }
            } else if !known && self.scope.takes(&below) {
                let size = if meta.is_file() { meta.len } else { 0 };
                let mut names = way.clone();
                names.push(name);
                self.removals.push(Removal { names, diff: ByteDiff::remove(below, size) });
            }
        }
        Ok(())
    }
}

/// The names of a folder that its file system takes for names of the drive, spelled otherwise: such a file is the
/// drive's, and removing it would remove what was just written. Each with the drive's name.
///
/// A name of the drive that the folder does not list and that is there all the same is one of the listed names.
fn respelled<'a>(
    items: &[(OsString, Meta)],
    wanted: &BTreeSet<&'a str>,
    look: impl Fn(&str) -> Option<Meta>,
) -> HashMap<OsString, &'a str> {
    let listed: HashSet<&str> = items.iter().filter_map(|(name, _)| name.to_str()).collect();
    let mut out = HashMap::new();
    for name in wanted.iter().filter(|name| !listed.contains(*name)) {
        let Some(meta) = look(name) else { continue };
        let same = items.iter().find(|(other, there)| {
            let spelled = || other.to_str().is_some_and(|o| o.to_lowercase() == name.to_lowercase());
            !other.to_str().is_some_and(|o| wanted.contains(o))
                && (there.same_file(&meta) || (meta.inode == 0 && spelled()))
        });
        if let Some((other, _)) = same {
            out.insert(other.clone(), *name);
        }
    }
    out
}

impl DumpPlan {
    /// Removes what the drive does not have, and folders that become empty; calls `on` for each file. To be called when
    /// everything is written: until then a kill costs nothing.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn prune(&mut self, on: &mut dyn FnMut(&ByteDiff)) -> Result<(), DumpError> {
        for removal in &self.removals {
            if self.context.dry_run || self.remove(removal)? {
                on(&removal.diff);
                self.count.count(&removal.diff);
            }
        }
        if self.context.dry_run {
            return Ok(());
        }
        let mut failed = None;
        for aside in self.context.root.aside() {
            let gone = match aside.folder.metadata(&aside.name) {
                // What is in it was removed above. What came into it since stays.
                Ok(meta) if meta.is_folder() => aside.folder.remove_hollow(&aside.name),
                Ok(_) => aside.folder.remove_file(&aside.name),
                Err(e) => Err(e),
            };
            if let Err(e) = gone
                && e.kind() != ErrorKind::NotFound
            {
                failed = Some(DumpError::io(&aside.folder.path().join(&aside.name))(e));
            }
        }
        self.context.root.forget();
        self.respell()?;
        failed.map_or(Ok(()), Err)
    }

    /// Whether it was there.
    fn remove(&self, removal: &Removal) -> Result<bool, DumpError> {
        let root = &self.context.root;
        let key = removal.diff.key.as_str();
        let io = || DumpError::io(&root.shown(key));
        let Some(top) = root.dir() else { return Ok(false) };
        // From the folder, or from where a part of the way was moved.
        let mut start = top.again().map_err(io())?;
        let mut names = removal.names.clone();
        let mut folder = String::new();
        for aside in root.aside().iter().filter(|a| at_or_below(key, &a.key)) {
            start = aside.folder.again().map_err(io())?;
            let depth = aside.key.matches('/').count();
            names =
                std::iter::once(OsString::from(&aside.name)).chain(names.into_iter().skip(depth)).collect();
            folder = aside.key.rsplit_once('/').map(|(up, _)| up.to_owned()).unwrap_or_default();
        }
        let Some(name) = names.pop() else { return Ok(false) };
        let mut way: Vec<(Arc<Dir>, OsString, String)> = Vec::new();
        let mut at = Arc::new(start);
        for part in names {
            folder = format!("{folder}/{}", part.to_string_lossy());
            let next = match at.open_dir(&part) {
                Ok(next) => next,
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Ok(false);
                }
                Err(e) => return Err(io()(e)),
            };
            way.push((at, part, folder.clone()));
            at = Arc::new(next);
        }
        match at.metadata(&name) {
            Ok(meta) if meta.is_folder() => return Ok(false),
            Ok(_) => at.remove_file(&name).map_err(io())?,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(io()(e)),
        }
        drop(at);
        while let Some((above, part, folder)) = way.pop() {
            // Fails when something is left in it, which is how far this goes.
            if !self.context.scope.takes(&folder) || above.remove_dir(&part).is_err() {
                break;
            }
        }
        Ok(true)
    }

    /// Gives files the drive's spelling.
    fn respell(&self) -> Result<(), DumpError> {
        for item in &self.respelled {
            let super::root::Way::Open(dir) = self.context.root.way(&item.folder)? else { continue };
            // Written anew it has the new spelling already.
            let _ = dir.rename(&item.from, &dir, &item.to);
        }
        self.context.root.forget();
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bosc_files::Kind;

    fn meta(inode: u64) -> Meta {
        Meta { kind: Kind::File, len: 0, mode: 0, uid: 0, gid: 0, device: 1, inode, mtime: 0, ctime: 0 }
    }

    /// Stands in for a file system that does not tell case apart.
    #[test]
    fn another_spelling_is_the_drives_file() {
        let items: Vec<(OsString, Meta)> =
            [("README", 1), ("both", 2), ("extra", 3)].map(|(n, i)| (n.into(), meta(i))).into();
        let wanted = BTreeSet::from(["Readme", "both", "new"]);
        let look = |name: &str| {
            items.iter().find(|(n, _)| n.to_str().unwrap().eq_ignore_ascii_case(name)).map(|(_, m)| *m)
        };
        let found = respelled(&items, &wanted, look);
        assert_eq!(found, HashMap::from([(OsString::from("README"), "Readme")]));
        // Where the system has no numbers, the spelling tells.
        let unnumbered: Vec<(OsString, Meta)> = items.iter().map(|(n, _)| (n.clone(), meta(0))).collect();
        assert_eq!(respelled(&unnumbered, &wanted, |n| look(n).map(|_| meta(0))), found);
        // A second name of one file is none: both are listed.
        let wanted = BTreeSet::from(["README"]);
        let linked: Vec<(OsString, Meta)> =
            [("README", 1), ("copy", 1)].map(|(n, i)| (n.into(), meta(i))).into();
        assert!(respelled(&linked, &wanted, |_| Some(meta(1))).is_empty());
    }
}
