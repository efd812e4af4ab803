//! Links that somebody else put into the folder, and folders that he exchanges while it is read.
//!
//! Whoever may write to a folder that another user stages could have that user publish files which he himself may not
//! read: a link to one is enough. So a link that belongs neither to the user nor to root, and leaves the folder, may lead
//! only to what belongs to its owner. The same holds for every link on the way, and for all links of a path that is read as it
//! was given ([`check_named`], [`open_named`]): an artifact, release notes.

#[cfg(unix)]
use super::types::MAX_LINKS;
use super::types::ScanError;
use bosc_files::{Dir, Meta, open_plain};
use std::fs::File;
use std::path::Path;
#[cfg(unix)]
use std::path::PathBuf;

/// Opens a folder that was looked at; another one that took its place meanwhile is refused.
pub(super) fn open(path: &Path, looked_at: &Meta) -> Result<Dir, ScanError> {
    Dir::open_same(path, looked_at).map_err(|error| ScanError::Io { path: path.to_owned(), error })
}

/// Checks a link in `dir` that leaves the folder and leads to `found`.
#[cfg(unix)]
pub(super) fn check(dir: &Dir, path: &Path, found: &Meta) -> Result<(), ScanError> {
    let io = |error| ScanError::Io { path: path.to_owned(), error };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let owners = owners(folder, path).map_err(io)?;
    // What was followed began in the folder that was listed.
    open(folder, &dir.own_metadata().map_err(io)?)?;
    judge(path, owners, found.uid)
}

#[cfg(unix)]
fn judge(path: &Path, owners: Vec<u32>, owner_of_end: u32) -> Result<(), ScanError> {
    match owners.into_iter().find(|uid| !bosc_files::trusted_owner(*uid) && *uid != owner_of_end) {
        Some(owner) => Err(ScanError::Foreign { path: path.to_owned(), owner }),
        None => Ok(()),
    }
}

/// Checks all links of a path that was given, whatever it leads to.
///
/// # Errors
/// `Foreign` for a link of another user that leads to what is not his; `Io` when it cannot be followed.
pub(crate) fn check_named(path: &Path) -> Result<(), ScanError> {
    let io = |error| ScanError::Io { path: path.to_owned(), error };
    check_way(path, &std::fs::metadata(path).map_err(io)?)
}

/// Opens a plain file by the path that was given; links are followed, as far as [`check_named`] lets them be.
///
/// # Errors
/// As [`check_named`]; `Io` for what is not a plain file, and for what is exchanged meanwhile.
pub(crate) fn open_named(path: &Path) -> Result<File, ScanError> {
    let io = |error| ScanError::Io { path: path.to_owned(), error };
    let file = open_plain(path).map_err(io)?;
    check_way(path, &file.metadata().map_err(io)?)?;
    Ok(file)
}

/// Checks the way from the root to `found`, which was looked at or opened before.
#[cfg(unix)]
fn check_way(path: &Path, found: &std::fs::Metadata) -> Result<(), ScanError> {
    use std::os::unix::fs::MetadataExt;
    let io = |error| ScanError::Io { path: path.to_owned(), error };
    let (owners, end) = way(Path::new("/").to_owned(), std::path::absolute(path).map_err(io)?).map_err(io)?;
    let there = std::fs::symlink_metadata(end).map_err(io)?;
    if (there.dev(), there.ino()) != (found.dev(), found.ino()) {
        return Err(io(std::io::Error::other("it changed while it was looked at")));
    }
    judge(path, owners, found.uid())
}

#[cfg(not(unix))]
fn check_way(_: &Path, _: &std::fs::Metadata) -> Result<(), ScanError> {
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn check(_: &Dir, _: &Path, _: &Meta) -> Result<(), ScanError> {
    Ok(())
}

/// The owners of all links between `path`, itself one in `folder`, and its end.
#[cfg(unix)]
fn owners(folder: &Path, path: &Path) -> std::io::Result<Vec<u32>> {
    way(std::fs::canonicalize(folder)?, path.file_name().unwrap_or_default().into()).map(|(owners, _)| owners)
}

/// The owners of all links on the way from the folder `at`, itself reached without links, along `path`, and where it ends.
#[cfg(unix)]
fn way(mut at: PathBuf, path: PathBuf) -> std::io::Result<(Vec<u32>, PathBuf)> {
    use std::os::unix::fs::MetadataExt;
    use std::path::Component;
    let mut todo = vec![path];
    let mut out = Vec::new();
    while let Some(next) = todo.pop() {
        let mut parts = next.components();
        let Some(part) = parts.next() else { continue };
        todo.push(parts.as_path().to_owned());
        match part {
            Component::RootDir | Component::Prefix(_) => at = PathBuf::from("/"),
            Component::CurDir => {}
            Component::ParentDir => {
                at.pop();
            }
            Component::Normal(name) => {
                let here = at.join(name);
                let meta = std::fs::symlink_metadata(&here)?;
                if !meta.is_symlink() {
                    at = here;
                    continue;
                }
                out.push(meta.uid());
                if out.len() > MAX_LINKS {
                    return Err(std::io::Error::other("too many links"));
                }
                todo.push(std::fs::read_link(&here)?);
            }
        }
    }
    Ok((out, at))
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{check_named, open_named};
    use crate::folder::glob::{Ignore, Only};
    use crate::folder::scan::{ScanError, scan};
    use std::fs;
    use std::os::unix::fs::{chown, lchown, symlink};
    use std::path::Path;

    const OTHER: u32 = 65534;

    fn look(root: &Path) -> Result<Vec<String>, ScanError> {
        let none: [&str; 0] = [];
        let found = scan(root, &Ignore::new(none).unwrap(), &Only::new(none).unwrap())?;
        Ok(found.files.into_iter().map(|f| f.key).collect())
    }

    #[test]
    fn a_link_of_another_user_leads_only_to_his_own() {
        if bosc_files::user() != 0 {
            eprintln!("LEFT OUT: only root can give links to another user");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (root, ours, his) = (dir.path().join("root"), dir.path().join("ours"), dir.path().join("his"));
        for folder in [&root, &ours, &his] {
            fs::create_dir(folder).unwrap();
        }
        chown(&his, Some(OTHER), Some(OTHER)).unwrap();
        fs::write(root.join("plain"), "x").unwrap();
        fs::write(ours.join("secret"), "x").unwrap();
        fs::write(his.join("file"), "x").unwrap();
        fs::create_dir(his.join("good")).unwrap();
        chown(his.join("good"), Some(OTHER), Some(OTHER)).unwrap();
        chown(his.join("file"), Some(OTHER), Some(OTHER)).unwrap();
        // A link of his in a place of his, to a place of ours.
        symlink(&ours, his.join("way")).unwrap();
        lchown(his.join("way"), Some(OTHER), Some(OTHER)).unwrap();
        symlink("plain", root.join("inside")).unwrap();
        lchown(root.join("inside"), Some(OTHER), Some(OTHER)).unwrap();
        for (to, owner, fine) in [
            (ours.join("secret"), 0, true),
            (ours.join("secret"), OTHER, false),
            (ours.clone(), OTHER, false),
            (his.join("file"), OTHER, true),
            (his.join("file"), 0, true),
            (his.join("good"), OTHER, true),
            (his.join("way/secret"), 0, false),
            (his.join("way/secret"), OTHER, false),
        ] {
            let link = root.join("link");
            symlink(&to, &link).unwrap();
            lchown(&link, Some(owner), Some(owner)).unwrap();
            match look(&root) {
                Ok(keys) => assert!(fine, "{} by {owner} gave {keys:?}", to.display()),
                Err(ScanError::Foreign { path, owner: OTHER }) => assert!(!fine && path == link),
                Err(e) => panic!("{e}"),
            }
            fs::remove_file(&link).unwrap();
        }
        assert_eq!(look(&root).unwrap(), ["/inside", "/plain"]);
    }

    #[test]
    fn a_path_that_is_read_as_given_is_held_to_the_same() {
        if bosc_files::user() != 0 {
            eprintln!("LEFT OUT: only root can give links to another user");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (ours, his) = (dir.path().join("ours"), dir.path().join("his"));
        fs::create_dir(&ours).unwrap();
        fs::create_dir(&his).unwrap();
        fs::write(ours.join("file"), "x").unwrap();
        fs::write(his.join("file"), "x").unwrap();
        chown(his.join("file"), Some(OTHER), Some(OTHER)).unwrap();
        for (to, owner, fine) in [
            (ours.join("file"), 0, true),
            (ours.join("file"), OTHER, false),
            (ours.clone(), OTHER, false),
            (his.join("file"), OTHER, true),
        ] {
            let link = dir.path().join("link");
            symlink(&to, &link).unwrap();
            lchown(&link, Some(owner), Some(owner)).unwrap();
            assert_eq!(check_named(&link).is_ok(), fine, "{} by {owner}", to.display());
            // In a folder on the way as well, and when it is opened.
            let file = if to.is_dir() { link.join("file") } else { link.clone() };
            match open_named(&file) {
                Ok(_) => assert!(fine, "{} by {owner}", file.display()),
                Err(ScanError::Foreign { owner: OTHER, .. }) => assert!(!fine),
                Err(e) => panic!("{e}"),
            }
            fs::remove_file(&link).unwrap();
        }
    }
}
