//! The updater's folder beside the application: which one it is.
//!
//! Somebody may have a folder of that name, as one whose application is called `App` and who keeps a folder `.App.bosc`. Nothing of it
//! is used, changed or removed: another name is taken. Ours is known by what its file `LOCK` says, which is written when it is made;
//! one of an older version by what is in it: an updater's journal, or nothing but what an updater puts there.

use super::errors::At;
use super::fs;
use super::fs::Owner;
use crate::error::UpdateError;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Names that are tried, for the folder and for a kept build. Somebody who uses more of them has to clear them away.
pub(crate) const MAX_SLOTS: u32 = 64;
/// The file that says whose the folder is.
const MARK: &str = "LOCK";
const TEXT: &[u8] = b"bosc-updater: what it keeps of the application beside this folder\n";
/// What older versions have in it.
const KNOWN: [&str; 9] = [
    "LOCK",
    "RUNNING",
    "incoming",
    "journal.damaged",
    "journal.json",
    "journal.new",
    "outgoing",
    "staging",
    "trash",
];
/// Names that are read of a folder to know it: an updater has fewer.
const MAX_NAMES: usize = 1000;

/// The folder of an application: ours, wherever it is; else the first name that is free. What has the first name and is no folder is
/// told by whoever wants to make it.
pub(crate) fn of(parent: &Path, name: &OsStr) -> Result<PathBuf, UpdateError> {
    let mut free = None;
    for number in 1..=MAX_SLOTS {
        let path = parent.join(named(name, number));
        match fs::look(&path).at("look at", &path)? {
            Some(found) if found.is_dir() => {
                if is_ours(&path) {
                    return Ok(path);
                }
            }
            // Nobody needs two names unless the first is taken.
            None if number == 1 => return of_later(parent, name, path),
            None => return Ok(free.unwrap_or(path)),
            Some(_) => free = free.or((number == 1).then_some(path)),
        }
    }
    Ok(free.unwrap_or_else(|| parent.join(named(name, 1))))
}

/// The first name is free; ours may have the next, from when it was not.
fn of_later(parent: &Path, name: &OsStr, first: PathBuf) -> Result<PathBuf, UpdateError> {
    let second = parent.join(named(name, 2));
    let found = fs::look(&second).at("look at", &second)?;
    Ok(if found.is_some_and(|found| found.is_dir()) && has_mark(&second) { second } else { first })
}

fn named(name: &OsStr, number: u32) -> OsString {
    let mut folder = OsString::from(".");
    folder.push(name);
    folder.push(".bosc");
    if number > 1 {
        folder.push(format!("-{number}"));
    }
    folder
}

fn has_mark(folder: &Path) -> bool {
    match bosc_files::read_plain(&folder.join(MARK), 4096) {
        Ok(text) => text.starts_with(TEXT),
        // Windows lets nobody read it while an updater works.
        Err(e) => cfg!(windows) && e.kind() != std::io::ErrorKind::NotFound,
    }
}

/// Whether an updater worked in a folder, which somebody's empty one is not a sign of.
pub(crate) fn was_used(folder: &Path) -> bool {
    has_mark(folder) || is_journal(&folder.join("journal.json"))
}

/// One that cannot be read is ours, as far as anybody knows: whoever uses it is told why not.
fn is_ours(folder: &Path) -> bool {
    if has_mark(folder) {
        return true;
    }
    match fs::names(folder, MAX_NAMES) {
        Ok(names) => names.iter().all(|name| is_known(name)) || is_journal(&folder.join("journal.json")),
        Err(e) => e.kind() != std::io::ErrorKind::InvalidData,
    }
}

fn is_known(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        KNOWN.contains(&name) || name.starts_with("staging-") || name.starts_with("shipped-")
    })
}

fn is_journal(path: &Path) -> bool {
    #[derive(serde::Deserialize)]
    struct Journal {
        #[serde(rename = "format")]
        _format: u32,
        #[serde(rename = "state")]
        _state: super::journal::State,
    }
    let text = bosc_files::read_plain(path, super::journal::MAX_BYTES);
    text.is_ok_and(|text| serde_json::from_slice::<Journal>(&text).is_ok())
}

/// Says in a folder whose it is. Not being able to is no reason to stop: what is in it says so as well.
pub(crate) fn mark(folder: &Path, owner: Owner) {
    let written = fs::create(&folder.join(MARK)).and_then(|mut file| {
        file.write(TEXT)?;
        file.finish(owner.mode)
    });
    // An updater that is as fast has made it.
    drop(written);
}

/// The same, by whoever has locked that file: an updater that was as fast as the one that made the folder may have made it empty. So
/// nothing else is ever in the folder before it says whose it is, and nobody takes it for somebody else's while files come and go in it.
pub(crate) fn mark_locked(mut lock: &File) {
    if lock.metadata().is_ok_and(|found| found.len() == 0) {
        let _ = lock.write_all(TEXT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs as disk;

    #[test]
    fn a_folder_that_an_updater_did_not_make_is_not_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let chosen = || of(dir.path(), OsStr::new("App")).unwrap().file_name().unwrap().to_owned();
        assert_eq!(chosen(), ".App.bosc");
        disk::create_dir(at(".App.bosc")).unwrap();
        assert_eq!(chosen(), ".App.bosc", "an empty one: made a moment ago");
        disk::write(at(".App.bosc/LOCK"), "").unwrap();
        assert_eq!(chosen(), ".App.bosc", "of an older version");
        disk::create_dir(at(".App.bosc/staging")).unwrap();
        disk::write(at(".App.bosc/letters.txt"), "mine").unwrap();
        assert_eq!(chosen(), ".App.bosc-2", "somebody's own");
        disk::write(at(".App.bosc/journal.json"), "{\"entries\":[]}").unwrap();
        assert_eq!(chosen(), ".App.bosc-2", "with a journal of their own");
        disk::write(at(".App.bosc/journal.json"), "{\"format\":1,\"state\":\"settled\"}").unwrap();
        assert_eq!(chosen(), ".App.bosc", "ours, and somebody put a file into it");
        disk::remove_file(at(".App.bosc/journal.json")).unwrap();
        disk::create_dir(at(".App.bosc-2")).unwrap();
        disk::write(at(".App.bosc-2").join(MARK), TEXT).unwrap();
        disk::write(at(".App.bosc-2/notes"), "mine, in ours").unwrap();
        assert_eq!(chosen(), ".App.bosc-2");
        disk::remove_dir_all(at(".App.bosc")).unwrap();
        assert_eq!(chosen(), ".App.bosc-2", "it stays where it is when the name gets free");
        disk::remove_dir_all(at(".App.bosc-2")).unwrap();
        disk::write(at(".App.bosc"), "a file").unwrap();
        assert_eq!(chosen(), ".App.bosc", "told by whoever makes it");
    }

    #[test]
    fn whoever_locks_it_says_whose_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let ours = dir.path().join(".App.bosc");
        disk::create_dir(&ours).unwrap();
        // As an updater leaves it that was as fast as the one that made the folder.
        let lock = File::options().read(true).write(true).create_new(true).open(ours.join(MARK)).unwrap();
        mark_locked(&lock);
        mark_locked(&lock);
        assert_eq!(disk::read(ours.join(MARK)).unwrap(), TEXT);
        disk::write(ours.join("a file on its way"), "").unwrap();
        assert_eq!(of(dir.path(), OsStr::new("App")).unwrap(), ours);
    }
}
