//! Artifacts are looked at before they are copied: for secrets, and for names that clients of their platform refuse.

use super::event::BuildEvent;
use super::package::ProjectPackage;
use super::plan::BuildPlan;
use crate::command::Sink;
use crate::error::CommandError;
use crate::folder::glob::{Ignore, Only};
use crate::folder::portable_names::check_drive;
use crate::folder::said_version::{Mismatch, mismatches};
use crate::folder::scan::{FileStat, LocalFile, LocalKind, Scan, check_named, scan};
use crate::secrets::{KeysInUse, StorePlaces, check_files};
use std::collections::BTreeMap;
use std::path::Path;

/// Looks at all artifacts and at the files that are carried beside them.
pub(super) fn check(
    plan: &BuildPlan,
    project: &ProjectPackage,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let (places, keys) = (StorePlaces::default(), KeysInUse::of_environment());
    let mut all = Vec::new();
    let mut suspects = Vec::new();
    let carried = plan.carried.iter().map(|(path, name)| (path.clone(), format!("/{name}")));
    let artifacts = plan.artifacts.iter().map(|a| (a.origin.clone(), format!("/{}", a.file)));
    for (origin, key) in artifacts.chain(carried) {
        check_named(&origin)?;
        let mut found = match origin.is_dir() {
            true => scan(&origin, &Ignore::default(), &Only::default())?,
            false => Scan { files: vec![one(&origin)], ..Scan::default() },
        };
        suspects.extend(check_files(&origin, &found, &places, &keys)?.into_iter().map(|mut s| {
            s.key = format!("{key}{}", s.key);
            s
        }));
        for file in &mut found.files {
            file.key = format!("{key}{}", file.key);
        }
        all.append(&mut found.files);
    }
    let names: Vec<String> = std::iter::once(project.app_name().to_owned()).chain(project.bins()).collect();
    let entries = all.iter().map(|f| match &f.kind {
        LocalKind::Symlink { target } => (f.key.as_str(), Some(target.as_str())),
        LocalKind::File { .. } => (f.key.as_str(), None),
    });
    // An absolute target is written relative to its link when it is copied, and stays in the artifact.
    let entries = entries.map(|(key, link)| (key, link.filter(|l| !l.starts_with('/'))));
    let report = check_drive(entries, &names);
    report.warned.iter().for_each(|name| sink.tell(BuildEvent::BadName(name.told())));
    report.check()?;
    let files: BTreeMap<&str, &Path> = all.iter().map(|f| (f.key.as_str(), f.path.as_path())).collect();
    let path = |key: &str| files.get(key).copied().unwrap_or_else(|| Path::new(""));
    for Mismatch { key, running } in mismatches(&project.version, files.keys().copied(), path) {
        let path = key.trim_start_matches('/').to_owned();
        sink.tell(BuildEvent::VersionMismatch { path, release: project.version.clone(), running });
    }
    suspects.iter().for_each(|s| sink.tell(BuildEvent::LooksSecret(s.told())));
    Ok(())
}

fn one(path: &Path) -> LocalFile {
    let kind = LocalKind::File { stat: FileStat::default(), executable: None };
    LocalFile { key: String::new(), path: path.to_owned(), kind }
}
