//! What a release consists of: its entries in the drive, checked, as files, symlinks and folders of a build.

use super::fetching::Fetching;
use super::options::candidates;
use super::paths::{below, link_target, no_clashes};
use crate::error::{ErrorKind, UpdateError};
use bosc_drive::blobs::BlobId;
use bosc_drive::drive::{Drive, DriveEntry};
use bosc_follow::{CoreSource, Fetch};
use bosc_names::Target;
use std::collections::BTreeSet;

/// Most files of a build.
const MAX_ENTRIES: usize = 1 << 18;

/// A file of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlanFile {
    /// Below the build's root, empty for a build of one file.
    pub(super) rel: String,
    pub(super) blob: Option<BlobId>,
    pub(super) executable: bool,
}

/// All of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The name its root has in the drive.
    pub(super) name: String,
    /// Sorted by path.
    pub(super) files: Vec<PlanFile>,
    /// Path and target.
    pub(super) links: Vec<(String, String)>,
    /// Folders below the root.
    pub(super) folders: BTreeSet<String>,
    /// Whether the build is one file.
    pub(super) single: bool,
}

fn app_folder(platform: &str) -> String {
    format!("/by-arch/{platform}/app")
}

/// Whether the drive has a build for the platform, and under which name. Reads a few blocks of the db.
pub(super) fn find_name(
    fetching: &mut Fetching<'_, '_>,
    source: &CoreSource,
    version: u64,
    name: &str,
    platform: &str,
) -> Result<String, UpdateError> {
    let db = fetching.link.db();
    let drive = Drive::checkout(source.clone(), version);
    for candidate in candidates(name, platform) {
        let path = format!("{}/{candidate}", app_folder(platform));
        let found = fetching.of(db).read(|| {
            if drive.entry(&path).map_err(|e| (e, Vec::new()))?.is_some() {
                return Ok(true);
            }
            let mut list = drive.list(&path).map_err(|e| (e, Vec::new()))?;
            match list.next() {
                None => Ok(false),
                Some(Ok(_)) => Ok(true),
                Some(Err(e)) => Err((e, list.wanted(1))),
            }
        })?;
        if found {
            return Ok(candidate);
        }
    }
    Err(UpdateError::new(
        ErrorKind::Input,
        format!("the release has no {}/{name}: no build for this platform under this name", app_folder(platform)),
    )
    .hint("check the application's name in the updater's options, and that the release was built for this platform"))
}

/// Reads all entries of the build called `name`.
pub(super) fn load(
    fetching: &mut Fetching<'_, '_>,
    source: &CoreSource,
    version: u64,
    name: &str,
    platform: &str,
) -> Result<Plan, UpdateError> {
    let db = fetching.link.db();
    let drive = Drive::checkout(source.clone(), version);
    let root = format!("{}/{name}", app_folder(platform));
    let one = fetching.of(db).read(|| drive.entry_follow(&root))?;
    if let Some(entry) = one {
        let file =
            PlanFile { rel: String::new(), blob: entry.value.blob, executable: entry.value.executable };
        return Ok(Plan { name: name.to_owned(), files: vec![file], single: true, ..Plan::default() });
    }
    let mut list = drive.list(&root)?;
    let mut entries = Vec::new();
    while let Some(entry) = fetching.of(db).next(&mut list)? {
        if entries.len() >= MAX_ENTRIES {
            return Err(UpdateError::new(ErrorKind::Integrity, "the release has too many files"));
        }
        entries.push(entry);
    }
    checked(name, &root, entries, Target::here())
}

fn checked(name: &str, root: &str, entries: Vec<DriveEntry>, on: Target) -> Result<Plan, UpdateError> {
    let mut plan = Plan { name: name.to_owned(), ..Plan::default() };
    for entry in entries {
        let rel = below(root, &entry.key, on)?;
        let mut folder = rel.as_str();
        while let Some((above, _)) = folder.rsplit_once('/') {
            if !plan.folders.insert(above.to_owned()) {
                break;
            }
            folder = above;
        }
        match entry.value.linkname {
            Some(linkname) => {
                let target = link_target(&rel, &linkname)?;
                plan.links.push((rel, target));
            }
            None => {
                plan.files.push(PlanFile { rel, blob: entry.value.blob, executable: entry.value.executable });
            }
        }
    }
    plan.files.sort_by(|a, b| a.rel.cmp(&b.rel));
    plan.links.sort();
    let paths = plan.files.iter().map(|f| f.rel.as_str()).chain(plan.links.iter().map(|l| l.0.as_str()));
    no_clashes(paths, on)?;
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bosc_drive::drive::EntryValue;

    fn entry(key: &str, link: Option<&str>) -> DriveEntry {
        let value = match link {
            Some(l) => EntryValue::symlink(l),
            None => EntryValue::file(BlobId::default(), true),
        };
        DriveEntry { seq: 1, key: key.into(), value }
    }

    #[test]
    fn a_folder_becomes_files_links_and_folders() {
        let entries = vec![
            entry("/r/b/c/d", None),
            entry("/r/a", Some("b/c")),
            entry("/r/b/x", None),
            entry("/r/z", None),
        ];
        let plan = checked("r", "/r", entries, Target::Windows).unwrap();
        assert_eq!(plan.files.iter().map(|f| f.rel.as_str()).collect::<Vec<_>>(), ["b/c/d", "b/x", "z"]);
        assert_eq!(plan.links, [("a".to_owned(), "b/c".to_owned())]);
        assert_eq!(plan.folders.iter().map(String::as_str).collect::<Vec<_>>(), ["b", "b/c"]);
    }

    #[test]
    fn hostile_entries_are_refused() {
        for bad in [
            vec![entry("/r/../x", None)],
            vec![entry("/r/a", Some("../../x"))],
            vec![entry("/r/a", Some("b")), entry("/r/a/x", None)],
        ] {
            assert_eq!(checked("r", "/r", bad, Target::Linux).unwrap_err().kind(), ErrorKind::Integrity);
        }
    }
}
