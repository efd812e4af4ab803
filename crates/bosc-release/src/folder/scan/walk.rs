//! The walk through a folder.

use super::followed::FollowedFolder;
use super::foreign;
use super::list::FileList;
use super::types::{
    FileStat, FolderId, LinkEnd, LocalFile, LocalKind, MAX_DEPTH, Scan, ScanError, Skipped, id_of,
};
use crate::folder::glob::{Ignore, Only};
use bosc_drive::drive::path::MAX_PATH_LEN;
use bosc_files::{Dir, Meta};
use std::path::{Path, PathBuf};

/// Looks through `root` for what `ignore` and `only` leave.
pub fn scan(root: &Path, ignore: &Ignore, only: &Only) -> Result<Scan, ScanError> {
    let root = absolute(root)?;
    let mut files = Vec::new();
    let mut add = |key, path: &Path, kind| files.push(LocalFile { key, path: path.to_owned(), kind });
    let out = walk(&root, ignore, only, &mut add)?;
    files.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(Scan { files, ..out })
}

/// As [`scan`], with the files in a list that takes little memory and none in the scan.
pub(crate) fn scan_list(root: &Path, ignore: &Ignore, only: &Only) -> Result<(FileList, Scan), ScanError> {
    let root = absolute(root)?;
    let mut list = FileList::new(root.clone());
    let out = walk(&root, ignore, only, &mut |key: String, _: &Path, kind| list.push(&key, &kind))?;
    list.sort();
    Ok((list, out))
}

fn absolute(root: &Path) -> Result<PathBuf, ScanError> {
    std::path::absolute(root).map_err(|error| ScanError::Io { path: root.to_owned(), error })
}

/// What is done with a file or symlink: its key, its path, what it is.
type Add<'a> = &'a mut dyn FnMut(String, &Path, LocalKind);

fn walk(root: &Path, ignore: &Ignore, only: &Only, add: Add<'_>) -> Result<Scan, ScanError> {
    let meta = std::fs::metadata(root).map_err(|error| ScanError::Io { path: root.to_owned(), error })?;
    if !meta.is_dir() {
        return Err(ScanError::NotAFolder { path: root.to_owned() });
    }
    // A link may name the folder by a path that itself leads through links.
    let mut roots = vec![root.to_owned()];
    roots.extend(std::fs::canonicalize(root).ok().filter(|real| real != root));
    let out = Scan::default();
    let mut walk = Walk { roots, ignore, only, add, out, open: Vec::new(), followed: Vec::new() };
    walk.folder(root, "", &Meta::from(&meta))?;
    let mut out = walk.out;
    out.skipped.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(out)
}

pub(super) struct Walk<'a> {
    /// The folder, as given and as it really is.
    pub(super) roots: Vec<PathBuf>,
    pub(super) ignore: &'a Ignore,
    pub(super) only: &'a Only,
    add: Add<'a>,
    /// What is found beside files.
    pub(super) out: Scan,
    /// Identities of the folders around the present one.
    pub(super) open: Vec<FolderId>,
    /// Those of them that were reached through a symlink.
    pub(super) followed: Vec<FollowedFolder>,
}

impl Walk<'_> {
    pub(super) fn folder(&mut self, path: &Path, key: &str, meta: &Meta) -> Result<(), ScanError> {
        let io = |error| ScanError::Io { path: path.to_owned(), error };
        let id = id_of(path, meta)?;
        if self.open.contains(&id) {
            return Err(ScanError::Loop { path: path.to_owned() });
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(ScanError::TooDeep { path: path.to_owned() });
        }
        self.out.folders.push((key.to_owned(), id.clone()));
        self.open.push(id);
        let dir = foreign::open(path, meta)?;
        for name in dir.list().map_err(io)? {
            self.item(&dir, &path.join(&name), &name, key)?;
        }
        self.open.pop();
        Ok(())
    }

    fn item(
        &mut self,
        dir: &Dir,
        path: &Path,
        name: &std::ffi::OsStr,
        folder: &str,
    ) -> Result<(), ScanError> {
        let bad = |why| ScanError::Name { path: path.to_owned(), why };
        let Some(name) = name.to_str() else {
            // The key as it can be shown decides whether anyone wants the file.
            let shown = format!("{folder}/{}", name.to_string_lossy());
            let wanted = self.only.takes(&shown) && !self.ignore.ignores(&shown);
            return if wanted { Err(bad("it is not Unicode")) } else { Ok(()) };
        };
        let key = format!("{folder}/{name}");
        let found = dir.metadata(name);
        let is_folder = found.as_ref().is_ok_and(Meta::is_folder);
        let left_out = self.ignore.ignores_all_below(&key) && (is_folder || self.ignore.ignores(&key));
        if left_out || !self.only.may_take_below(&key) {
            return Ok(());
        }
        if name.contains('\\') {
            return Err(bad("it contains a backslash"));
        }
        if key.len() > MAX_PATH_LEN {
            return Err(bad("its path is too long"));
        }
        let io = |error| ScanError::Io { path: path.to_owned(), error };
        let mut meta = found.map_err(io)?;
        let mut is_followed = false;
        if meta.is_link() {
            let link = match self.followed.last() {
                Some(base) => self.follow_below(path, &key, base)?,
                None => self.follow(path, &key)?,
            };
            match link {
                LinkEnd::Inside(target) => {
                    self.add(key, path, LocalKind::Symlink { target });
                    return Ok(());
                }
                LinkEnd::Nowhere => {
                    self.skip(key, path, "it is a symlink that leads nowhere");
                    return Ok(());
                }
                LinkEnd::Outside(found) => {
                    foreign::check(dir, path, &found)?;
                    meta = found;
                    is_followed = true;
                }
            }
        }
        if meta.is_folder() {
            if is_followed {
                if self.ignore.ignores_all_below(&key) {
                    return Ok(());
                }
                self.followed.push(FollowedFolder::new(path, &key)?);
            }
            self.folder(path, &key, &meta)?;
            if is_followed {
                self.followed.pop();
            }
            return Ok(());
        }
        if meta.is_file() {
            let kind = LocalKind::File { stat: FileStat::of(&meta), executable: meta.executable() };
            self.add(key, path, kind);
        } else {
            self.skip(key, path, "it is neither a file nor a folder");
        }
        Ok(())
    }

    pub(super) fn takes(&self, key: &str) -> bool {
        self.only.takes(key) && !self.ignore.ignores(key)
    }

    fn add(&mut self, key: String, path: &Path, kind: LocalKind) {
        if self.takes(&key) {
            (self.add)(key, path, kind);
        }
    }

    fn skip(&mut self, key: String, path: &Path, why: &'static str) {
        if self.takes(&key) {
            self.out.skipped.push(Skipped { path: path.to_owned(), why });
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::fs;

    fn keys(scan: &Scan) -> Vec<&str> {
        scan.files.iter().map(|f| f.key.as_str()).collect()
    }

    fn all(root: &Path) -> Scan {
        scan(root, &Ignore::default(), &Only::default()).unwrap()
    }

    #[test]
    fn files_come_in_the_order_of_their_keys() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a/x", "a-b", "a.b", "é", "a/y/z"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        fs::create_dir(dir.path().join("empty")).unwrap();
        let found = all(dir.path());
        assert_eq!(keys(&found), ["/a-b", "/a.b", "/a/x", "/a/y/z", "/b", "/é"]);
        assert!(matches!(&found.files[0].kind, LocalKind::File { stat, .. } if stat.size == 3));
        let ignore = Ignore::new(["a", "!a/y", "*.b"]).unwrap();
        assert_eq!(
            keys(&scan(dir.path(), &ignore, &Only::default()).unwrap()),
            ["/a-b", "/a/y/z", "/b", "/é"]
        );
        let only = Only::new(["a/y", "b"]).unwrap();
        assert_eq!(keys(&scan(dir.path(), &Ignore::default(), &only).unwrap()), ["/a/y/z", "/b"]);
        assert!(matches!(scan(&dir.path().join("b"), &ignore, &only), Err(ScanError::NotAFolder { .. })));
        let none = scan(&dir.path().join("none"), &ignore, &only);
        assert!(matches!(none, Err(ScanError::Io { path, .. }) if path.ends_with("none")));
    }

    #[cfg(unix)]
    #[test]
    fn links_within_stay_links_and_links_out_are_followed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir(outside.path().join("sub")).unwrap();
        fs::write(outside.path().join("sub/file"), "out").unwrap();
        symlink("file", outside.path().join("sub/inner")).unwrap();
        symlink(outside.path().join("sub"), outside.path().join("again")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("app");
        fs::create_dir_all(root.join("d")).unwrap();
        fs::create_dir(dir.path().join("app-other")).unwrap();
        fs::write(dir.path().join("app-other/f"), "other").unwrap();
        fs::write(root.join("run"), "x").unwrap();
        fs::set_permissions(root.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("../run", root.join("d/rel")).unwrap();
        symlink(root.join("run"), root.join("abs")).unwrap();
        symlink("app", dir.path().join("alias")).unwrap();
        symlink("d", root.join("folder")).unwrap();
        symlink("missing", root.join("dangling")).unwrap();
        symlink("/no/such/place", root.join("nowhere")).unwrap();
        symlink(outside.path().join("again"), root.join("ext")).unwrap();
        symlink("../app-other/f", root.join("near")).unwrap();
        std::os::unix::net::UnixListener::bind(root.join("sock")).unwrap();
        let found = all(&root);
        // Through another path to the same folder the links are the same.
        let keys_and_kinds = |s: Scan| s.files.into_iter().map(|f| (f.key, f.kind)).collect::<Vec<_>>();
        assert_eq!(keys_and_kinds(all(&dir.path().join("alias"))), keys_and_kinds(found.clone()));
        let shown: Vec<String> = found
            .files
            .iter()
            .map(|f| match &f.kind {
                LocalKind::File { executable, stat } => {
                    format!("{} {} {}", f.key, stat.size, executable.unwrap())
                }
                LocalKind::Symlink { target } => format!("{} -> {target}", f.key),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "/abs -> /run",
                "/d/rel -> ../run",
                "/dangling -> missing",
                "/ext/file 3 false",
                "/ext/inner -> file",
                "/folder -> d",
                "/near 5 false",
                "/run 1 true",
            ]
        );
        let skipped: Vec<_> = found.skipped.iter().map(|s| s.path.file_name().unwrap()).collect();
        assert_eq!(skipped, ["nowhere", "sock"]);
    }

    #[cfg(unix)]
    #[test]
    fn circles_and_bad_names_are_errors_that_name_the_place() {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), outside.path().join("self")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("ext")).unwrap();
        assert!(matches!(
            scan(dir.path(), &Ignore::default(), &Only::default()),
            Err(ScanError::Loop { .. })
        ));
        let ignore = Ignore::new(["ext"]).unwrap();
        assert!(scan(dir.path(), &ignore, &Only::default()).unwrap().files.is_empty());
        for name in [&b"back\\slash"[..], b"no\xffutf8"] {
            let path = dir.path().join(std::ffi::OsStr::from_bytes(name));
            fs::write(&path, "").unwrap();
            match scan(dir.path(), &ignore, &Only::default()) {
                Err(ScanError::Name { path: named, .. }) => assert_eq!(named, path),
                other => unreachable!("{other:?}"),
            }
            let only = Only::new(["elsewhere"]).unwrap();
            assert!(scan(dir.path(), &ignore, &only).unwrap().files.is_empty());
            fs::remove_file(path).unwrap();
        }
    }
}
