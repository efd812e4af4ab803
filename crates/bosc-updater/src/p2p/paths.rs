//! Which names of a drive may become names on this disk.

use crate::error::{ErrorKind, UpdateError};
use bosc_drive::drive::path::{MAX_PATH_LEN, components, windows_name};
use std::collections::HashSet;

/// Longest name of a file, in bytes, that common file systems take.
const MAX_NAME: usize = 255;

fn refuse(key: &str, why: &str) -> UpdateError {
    let shown: String = key.chars().take(200).collect();
    UpdateError::new(ErrorKind::Integrity, format!("the release holds {shown:?}, which {why}"))
        .hint("do not use this release; the publisher has to stage it again")
}

/// The path of `key` below the folder `root` of the drive (without a slash at its end), parts joined by `/`.
pub(super) fn below(root: &str, key: &str, windows: bool) -> Result<String, UpdateError> {
    let rest = key.strip_prefix(root).ok_or_else(|| refuse(key, "lies elsewhere"))?;
    let parts = components(rest).map_err(|_| refuse(key, "is no plain path"))?;
    for part in &parts {
        if part.len() > MAX_NAME {
            return Err(refuse(key, "has a name that is too long"));
        }
        if windows && !windows_name(part) {
            return Err(refuse(key, "has a name that Windows cannot have"));
        }
    }
    Ok(parts.join("/"))
}

/// The text of a symlink at `rel`: a relative path that stays in the build. `..` is taken only in front: behind a
/// name it could climb out through another symlink.
pub(super) fn link_target(rel: &str, linkname: &str) -> Result<String, UpdateError> {
    let bad = |why: &str| refuse(rel, &format!("is a symlink that {why}"));
    if linkname.is_empty() || linkname.contains('\0') || linkname.len() > MAX_PATH_LEN {
        return Err(bad("leads nowhere"));
    }
    let target = linkname.replace('\\', "/");
    if target.starts_with('/') || target.split('/').next().is_some_and(|p| p.ends_with(':')) {
        return Err(bad("leads out of the build"));
    }
    let depth = rel.split('/').count().saturating_sub(1);
    let (mut ups, mut named) = (0, false);
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if named => return Err(bad("goes up behind a name")),
            ".." if ups == depth => return Err(bad("leads out of the build")),
            ".." => ups += 1,
            _ => named = true,
        }
    }
    Ok(target)
}

/// Checks that no path is below another that is no folder, and, where the file system does not tell upper from lower
/// case, that no two fall together. `paths` are all files and symlinks.
pub(super) fn no_clashes<'a>(
    paths: impl Iterator<Item = &'a str> + Clone,
    ignores_case: bool,
) -> Result<(), UpdateError> {
    let fold = |p: &str| if ignores_case { p.to_lowercase() } else { p.to_owned() };
    let mut seen = HashSet::new();
    for path in paths.clone() {
        if !seen.insert(fold(path)) {
            return Err(refuse(path, "stands there twice"));
        }
    }
    for path in paths {
        let mut folder = path;
        while let Some((above, _)) = folder.rsplit_once('/') {
            if seen.contains(&fold(above)) {
                return Err(refuse(path, "lies below a file"));
            }
            folder = above;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_build() {
        assert_eq!(below("/app/Demo", "/app/Demo/bin/x", false).unwrap(), "bin/x");
        for key in
            ["/app/Demo", "/app/Demo/", "/app/Demo/../x", "/app/Demo//x", "/app/Demox", "/app/Demo/a\\b"]
        {
            assert!(below("/app/Demo", key, false).is_err(), "{key}");
        }
        assert!(below("/a", "/a/nul.txt", false).is_ok() && below("/a", "/a/nul.txt", true).is_err());
        assert!(below("/a", &format!("/a/{}", "x".repeat(256)), false).is_err());
    }

    #[test]
    fn links_stay_in_the_build() {
        for (rel, target) in [("a", "b"), ("d/a", "../b"), ("d/a", "./b//c"), ("d/a", "..")] {
            assert_eq!(link_target(rel, target).unwrap(), target);
        }
        for (rel, target) in
            [("a", ".."), ("a", "/etc"), ("a", "x/../b"), ("a", "C:/x"), ("a", "..\\b"), ("a", "")]
        {
            assert!(link_target(rel, target).is_err(), "{rel} -> {target}");
        }
    }

    #[test]
    fn clashes_are_found() {
        let check = |paths: &[&str], fold| no_clashes(paths.iter().copied(), fold);
        assert!(check(&["a", "A", "b/c"], false).is_ok());
        assert!(check(&["a", "A"], true).is_err());
        assert!(check(&["a", "a/b"], false).is_err());
        assert!(check(&["a/b", "A/B/c"], true).is_err());
    }
}
