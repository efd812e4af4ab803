//! Where symlinks lead.
//!
//! What a folder that was itself reached through one holds arrives at another place than where it lies, so its links are followed from where they *lie*
//! (a workspace's `node_modules/lib -> ../../packages/lib` holds links that count from `packages/lib`), and the place they
//! lead to is looked for among the folders that are open:
//!
//! 1. Within the followed folder itself: the link stays as it is written.
//! 2. Within the staged folder, or within a followed folder around this one: a link to where that arrives. Packages that
//!    depend on each other end here, not in a circle.
//! 3. Elsewhere, or at something that is left out: what it leads to is taken, as with every link that leaves.

use super::followed::{FollowedFolder, as_key, relative};
use super::types::{LinkEnd, LocalFile, LocalKind, MAX_LINKS, ScanError};
use super::walk::Walk;
use bosc_files::Meta;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

impl Walk<'_> {
    /// Where a symlink leads, one step after the other.
    pub(super) fn follow(&self, path: &Path, key: &str) -> Result<LinkEnd, ScanError> {
        let mut at = path.to_owned();
        for step in 0..MAX_LINKS {
            let io = |error| ScanError::Io { path: at.clone(), error };
            let meta = match std::fs::symlink_metadata(&at) {
                Ok(meta) => meta,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && step > 0 => {
                    return Ok(LinkEnd::Nowhere);
                }
                Err(e) => return Err(io(e)),
            };
            if !meta.is_symlink() {
                return Ok(LinkEnd::Outside(Meta::from(&meta)));
            }
            let text = std::fs::read_link(&at).map_err(io)?;
            let to = clean(&at.parent().unwrap_or(Path::new("/")).join(&text));
            if let Some(inside) = self.roots.iter().find_map(|root| to.strip_prefix(root).ok()) {
                // As in localdrive: a link to a link is taken for what its last step says.
                let bad = |why| ScanError::Name { path: path.to_owned(), why };
                if step > 0 && text.is_relative() {
                    // The last step counts from elsewhere.
                    let to = as_key("", inside).ok_or(bad("the symlink's target is not Unicode"))?;
                    return Ok(LinkEnd::Inside(relative(key, &to)));
                }
                let shown = if text.is_absolute() { inside } else { &text };
                let shown = shown.to_str().ok_or(bad("the symlink's target is not Unicode"))?;
                let shown = if cfg!(windows) { shown.replace('\\', "/") } else { shown.to_owned() };
                let target = if text.is_absolute() { format!("/{shown}") } else { shown };
                return Ok(LinkEnd::Inside(target));
            }
            at = to;
        }
        Err(ScanError::Loop { path: path.to_owned() })
    }

    /// Where the symlink `path`, with this key, of a followed folder leads.
    pub(super) fn follow_below(
        &self,
        path: &Path,
        key: &str,
        base: &FollowedFolder,
    ) -> Result<LinkEnd, ScanError> {
        let io = |error| ScanError::Io { path: path.to_owned(), error };
        let text = std::fs::read_link(path).map_err(io)?;
        let below = key.strip_prefix(&base.key).unwrap_or(key).trim_start_matches('/');
        let mut folder = base.real.clone();
        folder.extend(below.rsplit_once('/').map(|(folder, _)| folder.split('/')).into_iter().flatten());
        if text.is_relative() && clean(&folder.join(&text)).starts_with(&base.real) {
            let shown = text.to_str().ok_or(ScanError::Name {
                path: path.to_owned(),
                why: "the symlink's target is not Unicode",
            })?;
            return Ok(LinkEnd::Inside(if cfg!(windows) {
                shown.replace('\\', "/")
            } else {
                shown.to_owned()
            }));
        }
        let real = match std::fs::canonicalize(path) {
            Ok(real) => real,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(LinkEnd::Nowhere),
            Err(e) if is_loop(&e) => return Err(ScanError::Loop { path: path.to_owned() }),
            Err(e) => return Err(io(e)),
        };
        let meta = std::fs::metadata(&real).map_err(io)?;
        let root = self.roots.iter().map(|root| (root.as_path(), ""));
        let open = self.followed.iter().map(|f| (f.real.as_path(), f.key.as_str()));
        let found = root
            .chain(open)
            .filter_map(|(folder, key)| Some((folder, as_key(key, real.strip_prefix(folder).ok()?)?)))
            .max_by_key(|(folder, _)| folder.components().count());
        // Absolute texts are followed within followed folders, as they always were.
        let found = found.filter(|(folder, _)| text.is_relative() || self.roots.iter().any(|r| r == folder));
        match found {
            Some((_, to)) if self.is_taken(&to, meta.is_dir()) => Ok(LinkEnd::Inside(relative(key, &to))),
            _ => Ok(LinkEnd::Outside(Meta::from(&meta))),
        }
    }

    /// Whether something at this key arrives, as far as patterns say.
    fn is_taken(&self, key: &str, is_folder: bool) -> bool {
        if is_folder {
            return key.is_empty() || (self.only.may_take_below(key) && !self.ignore.ignores_all_below(key));
        }
        self.takes(key)
    }
}

/// Removes `.` and `..` by name alone.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// The system's own limit of symlinks was reached.
fn is_loop(e: &std::io::Error) -> bool {
    #[cfg(unix)]
    return e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
    #[cfg(not(unix))]
    {
        let _ = e;
        false
    }
}

/// Most links followed for one.
const MAX_STEPS: usize = 64;

/// Symlinks that lead nowhere among these files and what is `there` beside them: their keys and targets. A way through other
/// links is followed; one in a circle leads nowhere.
pub(crate) fn dangling<'f>(
    files: &'f [LocalFile],
    there: impl Iterator<Item = &'f str>,
) -> Vec<(&'f str, &'f str)> {
    let target = |file: &'f LocalFile| match &file.kind {
        LocalKind::Symlink { target } => Some((file.key.as_str(), target.as_str())),
        LocalKind::File { .. } => None,
    };
    let links: BTreeMap<&str, &str> = files.iter().filter_map(target).collect();
    dangling_among(links, files.iter().map(|f| f.key.as_str()).chain(there))
}

/// The same of links given as keys and targets, among all `keys`.
pub(crate) fn dangling_among<'f>(
    links: BTreeMap<&'f str, &'f str>,
    keys: impl Iterator<Item = &'f str>,
) -> Vec<(&'f str, &'f str)> {
    if links.is_empty() {
        return Vec::new();
    }
    let keys: BTreeSet<&str> = keys.collect();
    let is_there = |key: &str| {
        let below = format!("{}/", key.trim_end_matches('/'));
        let first = keys.range(below.as_str()..).next();
        key == "/" || keys.contains(key) || first.is_some_and(|k| k.starts_with(&below))
    };
    let leads = |key: &str, target: &str| {
        let mut to = from(key, target);
        for _ in 0..MAX_STEPS {
            let Some(at) = &to else { return false };
            let ends = at.match_indices('/').map(|(i, _)| i).skip(1).chain([at.len()]);
            let through = ends.into_iter().find_map(|end| {
                let (link, rest) = (at.get(..end)?, at.get(end..)?);
                Some((link, *links.get(link)?, rest))
            });
            let Some((link, target, rest)) = through else { return is_there(at) };
            to = from(link, target).map(|at| format!("{}{rest}", at.trim_end_matches('/')));
        }
        false
    };
    links.iter().filter(|(key, target)| !leads(key, target)).map(|(k, t)| (*k, *t)).collect()
}

/// The key that the link `key` names.
fn from(key: &str, target: &str) -> Option<String> {
    let folder = key.rsplit_once('/').map_or("/", |(folder, _)| if folder.is_empty() { "/" } else { folder });
    bosc_drive::drive::path::resolve(folder, target).ok()
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::folder::glob::{Ignore, Only};
    use crate::folder::scan::{Scan, scan};
    use std::fs;
    use std::os::unix::fs::symlink;

    fn shown(found: &Scan) -> Vec<String> {
        found
            .files
            .iter()
            .map(|f| match &f.kind {
                LocalKind::File { .. } => f.key.clone(),
                LocalKind::Symlink { target } => format!("{} -> {target}", f.key),
            })
            .collect()
    }

    fn file(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
    }

    fn link(text: &str, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(text, path).unwrap();
    }

    #[test]
    fn links_of_a_workspace_lead_where_they_led() {
        let dir = tempfile::tempdir().unwrap();
        let w = dir.path().canonicalize().unwrap();
        file(&w.join("packages/lib/index.js"));
        file(&w.join("packages/lib/src/a.js"));
        file(&w.join("node_modules/dep/dep.js"));
        file(&w.join("app/main.js"));
        link("../../packages/lib", &w.join("app/node_modules/lib"));
        link("../../../node_modules/dep", &w.join("packages/lib/node_modules/dep"));
        link("src/a.js", &w.join("packages/lib/short"));
        link("../../app/main.js", &w.join("packages/lib/back"));
        link("../gone", &w.join("packages/lib/nowhere"));
        let found = scan(&w.join("app"), &Ignore::default(), &Only::default()).unwrap();
        assert_eq!(
            shown(&found),
            [
                "/main.js",
                "/node_modules/lib/back -> ../../main.js",
                "/node_modules/lib/index.js",
                "/node_modules/lib/node_modules/dep/dep.js",
                "/node_modules/lib/short -> src/a.js",
                "/node_modules/lib/src/a.js",
            ]
        );
        assert_eq!(found.skipped.len(), 1);
        assert!(dangling(&found.files, std::iter::empty()).is_empty());
        // What would not arrive is taken along instead.
        let found = scan(&w.join("app"), &Ignore::new(["main.js"]).unwrap(), &Only::default()).unwrap();
        assert!(shown(&found).contains(&"/node_modules/lib/back".to_owned()), "{:?}", shown(&found));
    }

    #[test]
    fn packages_that_need_each_other_end() {
        let dir = tempfile::tempdir().unwrap();
        let w = dir.path().canonicalize().unwrap();
        file(&w.join("packages/a/a.js"));
        file(&w.join("packages/b/b.js"));
        link("../../b", &w.join("packages/a/node_modules/b"));
        link("../../a", &w.join("packages/b/node_modules/a"));
        link("../../packages/a", &w.join("app/node_modules/a"));
        let found = scan(&w.join("app"), &Ignore::default(), &Only::default()).unwrap();
        assert_eq!(
            shown(&found),
            [
                "/node_modules/a/a.js",
                "/node_modules/a/node_modules/b/b.js",
                "/node_modules/a/node_modules/b/node_modules/a -> ../../..",
            ]
        );
        assert!(dangling(&found.files, std::iter::empty()).is_empty());
    }

    #[test]
    fn a_link_to_a_link_outside_counts_from_where_it_arrives() {
        let dir = tempfile::tempdir().unwrap();
        let w = dir.path().canonicalize().unwrap();
        file(&w.join("app/d/x"));
        link("../../elsewhere", &w.join("app/d/link"));
        link("app/d/x", &w.join("elsewhere"));
        let found = scan(&w.join("app"), &Ignore::default(), &Only::default()).unwrap();
        assert_eq!(shown(&found), ["/d/link -> x", "/d/x"]);
    }

    #[test]
    fn links_that_lead_nowhere_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let w = dir.path().canonicalize().unwrap();
        file(&w.join("d/x"));
        for (name, text) in [
            ("ok", "d/x"),
            ("folder", "d"),
            ("gone", "d/y"),
            ("through", "folder/x"),
            ("lost", "folder/y"),
            ("a", "b"),
            ("b", "a"),
        ] {
            link(text, &w.join(name));
        }
        let found = scan(&w, &Ignore::default(), &Only::default()).unwrap();
        let names = |there: &'static [&'static str]| -> Vec<String> {
            dangling(&found.files, there.iter().copied()).iter().map(|(k, _)| (*k).to_owned()).collect()
        };
        assert_eq!(names(&[]), ["/a", "/b", "/gone", "/lost"]);
        assert_eq!(names(&["/d/y"]), ["/a", "/b"]);
        let found = scan(&w, &Ignore::new(["d/x"]).unwrap(), &Only::default()).unwrap();
        assert_eq!(dangling(&found.files, std::iter::empty()).len(), 7, "{:?}", shown(&found));
    }

    #[test]
    fn relative_paths() {
        for (key, to, text) in
            [("/a", "/b", "b"), ("/d/a", "/b", "../b"), ("/d/a", "/d/e/b", "e/b"), ("/d/a", "/d", ".")]
        {
            assert_eq!(relative(key, to), text);
        }
    }
}
