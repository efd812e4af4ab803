//! Which names of a drive may become names on this disk: the rules of [`bosc_names`], which the publisher's tools ask too.

use crate::error::{ErrorKind, UpdateError};
use bosc_drive::drive::path::components;
use bosc_names::{Clash, NameProblem, Target, Twins, check_link, check_name};

fn refuse(key: &str, why: &str) -> UpdateError {
    let shown: String = key.chars().take(200).collect();
    UpdateError::new(ErrorKind::Integrity, format!("the release holds {shown:?}, which {why}"))
        .hint("do not use this release; the publisher has to stage it again")
}

/// The path of `key` below the folder `root` of the drive (without a slash at its end), parts joined by `/`.
pub(super) fn below(root: &str, key: &str, on: Target) -> Result<String, UpdateError> {
    let rest = key.strip_prefix(root).ok_or_else(|| refuse(key, "lies elsewhere"))?;
    let parts = components(rest).map_err(|_| refuse(key, "is not a plain path"))?;
    for part in &parts {
        match check_name(part, on) {
            Ok(()) => {}
            Err(NameProblem::TooLong) => return Err(refuse(key, "has a name that is too long")),
            Err(_) => return Err(refuse(key, &format!("has a name that {} cannot have", on.name()))),
        }
    }
    Ok(parts.join("/"))
}

/// The text of a symlink at `rel`: a relative path that stays in the build.
pub(super) fn link_target(rel: &str, linkname: &str) -> Result<String, UpdateError> {
    check_link(rel, linkname, Target::Linux).map_err(|e| refuse(rel, &format!("is a symlink that {e}")))?;
    Ok(linkname.replace('\\', "/"))
}

/// Checks that no path is below another that is not a folder, and that no two are one to the file system. `paths` are all
/// files and symlinks.
pub(super) fn no_clashes<'a>(paths: impl Iterator<Item = &'a str>, on: Target) -> Result<(), UpdateError> {
    let mut twins = Twins::new(on);
    for path in paths {
        twins.add(path).map_err(|e| match e {
            Clash::Twin(other) => {
                refuse(path, &format!("differs from {other:?} only in case or Unicode form"))
            }
            e => refuse(path, &e.to_string()),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_build() {
        assert_eq!(below("/app/Demo", "/app/Demo/bin/x", Target::Linux).unwrap(), "bin/x");
        for key in
            ["/app/Demo", "/app/Demo/", "/app/Demo/../x", "/app/Demo//x", "/app/Demox", "/app/Demo/a\\b"]
        {
            assert!(below("/app/Demo", key, Target::Darwin).is_err(), "{key}");
        }
        assert!(
            below("/a", "/a/nul.txt", Target::Linux).is_ok()
                && below("/a", "/a/nul.txt", Target::Windows).is_err()
        );
        assert!(below("/a", &format!("/a/{}", "x".repeat(256)), Target::Linux).is_err());
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
        let check = |paths: &[&str], on| no_clashes(paths.iter().copied(), on);
        assert!(check(&["a", "A", "b/c"], Target::Linux).is_ok());
        assert!(check(&["a", "A"], Target::Windows).is_err());
        assert!(check(&["a", "a/b"], Target::Linux).is_err());
        assert!(check(&["a/b", "A/B/c"], Target::Darwin).is_err());
        assert!(
            check(&["N/a", "n/b"], Target::Darwin).is_err() && check(&["N/a", "n/b"], Target::Linux).is_ok()
        );
        assert!(check(&["caf\u{e9}", "cafe\u{301}"], Target::Darwin).is_err());
    }
}
