//! Links that somebody else put into the folder, and folders that he exchanges while it is read.
//!
//! Whoever may write to a folder that another user stages could have that user publish files which he himself may not
//! read: a link to one is enough. So a link that belongs neither to the user nor to root, and leaves the folder, may lead
//! only to what belongs to its owner. The same holds for every link on the way.

#[cfg(unix)]
use super::types::MAX_LINKS;
use super::types::ScanError;
use bosc_files::{Dir, Meta};
use std::path::Path;

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
    match owners.into_iter().find(|uid| !bosc_files::trusted_owner(*uid) && *uid != found.uid) {
        Some(owner) => Err(ScanError::Foreign { path: path.to_owned(), owner }),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
pub(super) fn check(_: &Dir, _: &Path, _: &Meta) -> Result<(), ScanError> {
    Ok(())
}

/// The owners of all links between `path`, itself one in `folder`, and its end.
#[cfg(unix)]
fn owners(folder: &Path, path: &Path) -> std::io::Result<Vec<u32>> {
    use std::os::unix::fs::MetadataExt;
    use std::path::{Component, PathBuf};
    let mut at = std::fs::canonicalize(folder)?;
    let mut todo = vec![PathBuf::from(path.file_name().unwrap_or_default())];
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
    Ok(out)
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
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
}
