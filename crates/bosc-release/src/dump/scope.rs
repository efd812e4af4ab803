//! What of the folder a dump may touch.

use super::request::DumpError;
use crate::folder::glob::Only;
use crate::folder::pattern::GlobError;
use bosc_drive::drive::DriveEntry;
use bosc_drive::drive::path::normalize_folder;

/// The part of the drive, and of the folder, that is meant: below the link's path, and what `only` takes. Nothing else
/// of the folder is touched.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Without a slash at the end; empty for all.
    below: String,
    only: Only,
}

/// Whether `key` is `folder` or lies below it.
pub(super) fn at_or_below(key: &str, folder: &str) -> bool {
    key.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Scope {
    pub(super) fn new(below: &str, only: &[String]) -> Result<Self, GlobError> {
        let outside = |_| GlobError::Outside(below.chars().take(80).collect());
        let below = normalize_folder(below).map_err(outside)?;
        let below = below.trim_end_matches('/');
        Ok(Self { below: below.to_owned(), only: Only::new(only)? })
    }

    /// The same, without the paths of `only` that the drive has nothing of: a mistyped path must not cost what is in the
    /// folder of that name. `entries` are in the order of their keys.
    pub(super) fn of_drive(&self, only: &[String], entries: &[DriveEntry]) -> Result<Self, DumpError> {
        if entries.is_empty() {
            return Err(DumpError::Empty);
        }
        let mut met = Vec::new();
        for path in only.iter().filter(|p| !p.trim().is_empty()) {
            let one = Self { below: self.below.clone(), only: Only::new([path])? };
            let outside = |_| GlobError::Outside(path.chars().take(80).collect());
            let key = normalize_folder(path.trim()).map_err(outside)?;
            let key = key.trim_end_matches('/');
            let file = entries.partition_point(|e| e.key.as_str() < key);
            let below = format!("{key}/");
            let folder = entries.partition_point(|e| e.key.as_str() < below.as_str());
            if [file, folder].iter().filter_map(|i| entries.get(*i)).any(|e| one.takes(&e.key)) {
                met.push(path);
            }
        }
        if met.is_empty() && only.iter().any(|p| !p.trim().is_empty()) {
            return Err(DumpError::NothingTaken);
        }
        Ok(Self { below: self.below.clone(), only: Only::new(met)? })
    }

    /// Whether the file or folder `key` is meant, with all that is in it.
    pub(super) fn takes(&self, key: &str) -> bool {
        at_or_below(key, &self.below) && self.only.takes(key)
    }

    /// Whether anything in the folder `key` can be meant.
    pub(super) fn may_take_below(&self, key: &str) -> bool {
        (at_or_below(key, &self.below) || at_or_below(&self.below, key)) && self.only.may_take_below(key)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bosc_drive::drive::EntryValue;

    #[test]
    fn a_path_and_only_limit_each_other() {
        let only = ["a/b".to_owned(), "x".to_owned()];
        let scope = Scope::new("/a/", &only).unwrap();
        assert!(scope.takes("/a/b") && scope.takes("/a/b/c") && scope.may_take_below("/a"));
        for key in ["/", "/a", "/a/c", "/ab", "/x", "/x/y"] {
            assert!(!scope.takes(key), "{key}");
        }
        assert!(!scope.may_take_below("/x") && !scope.may_take_below("/a/c"));
        let all = Scope::new("", &[]).unwrap();
        assert!(all.takes("/a") && all.may_take_below(""));
    }

    #[test]
    fn a_path_that_the_drive_does_not_have_is_not_meant() {
        let entries: Vec<DriveEntry> = ["/a", "/b-c", "/b/1", "/d"]
            .into_iter()
            .map(|key| DriveEntry { seq: 1, key: key.into(), value: EntryValue::default() })
            .collect();
        let of = |below: &str, only: &[&str]| {
            let only: Vec<String> = only.iter().map(|p| (*p).to_owned()).collect();
            Scope::new(below, &only).unwrap().of_drive(&only, &entries)
        };
        let some = of("", &["b", "c", "d"]).unwrap();
        assert!(some.takes("/b/2") && some.takes("/d") && !some.takes("/c/1") && !some.takes("/a"));
        assert!(matches!(of("", &["c"]), Err(DumpError::NothingTaken)));
        assert!(matches!(of("/a", &["b"]), Err(DumpError::NothingTaken)));
        assert!(of("", &["."]).unwrap().takes("/x"));
        assert!(matches!(Scope::new("", &[]).unwrap().of_drive(&[], &[]), Err(DumpError::Empty)));
    }
}
