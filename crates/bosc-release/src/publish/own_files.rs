//! What `publish --ci` keeps between its runs is no part of the release, wherever it lies.

use super::Ci;
use crate::error::CommandError;
use std::path::{Path, PathBuf};

/// Characters that mean something else in a pattern.
const PATTERN: [char; 7] = ['*', '?', '[', ']', '{', '}', '!'];

/// Patterns that leave the cache and the snapshot out of the release of `dir`, as far as they are in it.
///
/// # Errors
/// All of `dir` is in the cache, or what is in `dir` has a name that no pattern says.
pub(super) fn left_out(dir: &Path, ci: &Ci) -> Result<Vec<String>, CommandError> {
    let dir = real(dir);
    let mut patterns = Vec::new();
    for (flag, path) in [("--cache", &ci.cache), ("--snapshot", &ci.snapshot)] {
        let Some(path) = path else { continue };
        let place = real(path);
        let refused = |message: String| {
            CommandError::input(message)
                .hint(format!("name another place with {flag}, outside of the folder"))
        };
        if dir.starts_with(&place) {
            return Err(refused(format!("{flag}: {} holds the folder that is published", path.display())));
        }
        let Ok(below) = place.strip_prefix(&dir) else { continue };
        let names: Option<Vec<&str>> = below.iter().map(|name| name.to_str()).collect();
        let Some(names) = names.filter(|names| !names.iter().any(|n| n.contains(PATTERN))) else {
            return Err(refused(format!(
                "{flag}: {} cannot be left out of what is published",
                path.display()
            )));
        };
        patterns.push(format!("/{}", names.join("/")));
    }
    Ok(patterns)
}

/// A path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|above| Some((above, std::fs::canonicalize(above).ok()?)));
    let Some((above, real)) = there else { return path.to_owned() };
    let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
    if rest.as_os_str().is_empty() { real } else { real.join(rest) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::stage::{StageOptions, stage, tests::MemoryTarget};

    fn ci(cache: Option<PathBuf>, snapshot: Option<PathBuf>) -> Ci {
        Ci { cache, snapshot, ..Ci::default() }
    }

    #[test]
    fn a_runs_own_files_are_no_part_of_the_release() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("app");
        for (file, text) in [
            ("a", "x"),
            ("ci/mm/LOCK", ""),
            ("ci/mm/k.head", "x"),
            ("ci/snap", "x"),
            ("ci/own", "x"),
            ("b/ci/snap", "x"),
        ] {
            let path = dir.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let ignore = left_out(&dir, &ci(Some(dir.join("ci/mm")), Some(dir.join("ci/snap")))).unwrap();
        assert_eq!(ignore, ["/ci/mm", "/ci/snap"]);
        let mut put = Vec::new();
        let options = StageOptions { ignore, ..StageOptions::default() };
        stage(&mut MemoryTarget::default(), &dir, &options, &mut |news| {
            if let crate::stage::StageNews::Diff(diff) = news {
                put.push(diff.key);
            }
        })
        .unwrap();
        put.sort();
        assert_eq!(put, ["/a", "/b/ci/snap", "/ci/own"], "what only has such a name is published");
        // Before they are there, and beside the folder.
        assert_eq!(left_out(&dir, &ci(None, Some(dir.join("new/snap")))).unwrap(), ["/new/snap"]);
        assert_eq!(
            left_out(&dir, &ci(Some(temp.path().join("app-cache")), None)).unwrap(),
            Vec::<String>::new()
        );
        #[cfg(unix)]
        {
            let other = temp.path().join("other");
            std::os::unix::fs::symlink(dir.join("ci"), &other).unwrap();
            assert_eq!(
                left_out(&dir, &ci(Some(other.join("mm")), None)).unwrap(),
                ["/ci/mm"],
                "by another way"
            );
        }
        for cache in [dir.clone(), temp.path().to_owned(), dir.join("m*")] {
            let e = left_out(&dir, &ci(Some(cache.clone()), None)).unwrap_err();
            assert!(e.message().contains("--cache"), "{}: {e}", cache.display());
        }
    }
}
