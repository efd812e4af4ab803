//! The file a repository keeps of how long a link was after its last release, in the form of `pear-ci`:
//! `[{"key","length","namespace","name"}]`, one object a core, namespace in hex, both null for cores without a name.
//!
//! It is a lower bound: a release is never written on top of less. It is not trusted for more.

use crate::error::{CommandError, ErrorKind};
use bosc_files::{Durability, Replace};
use bosc_format::crypto::CoreKey;
use bosc_format::id;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;

/// Largest file read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// One core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The core's key, z-base-32 (or hex).
    pub key: String,
    /// How long it was.
    pub length: u64,
    /// The namespace of its name, in hex.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
}

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    entries: Vec<Entry>,
}

impl Snapshot {
    /// Reads the file; one that is missing is empty.
    ///
    /// # Errors
    /// `ERR_INVALID_SNAPSHOT` when it is there and not to be understood: taken for empty it would allow a fork.
    pub fn read(path: &Path) -> Result<Self, CommandError> {
        let invalid = |e: Box<dyn std::error::Error + Send + Sync>| {
            CommandError::new(
                ErrorKind::Input,
                "ERR_INVALID_SNAPSHOT",
                format!("the snapshot {} cannot be used", path.display()),
            )
            .because(e)
            .hint("restore it from the repository's history; it records how long the link is")
        };
        let file = match bosc_files::open_plain(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(invalid(e.into())),
        };
        let mut text = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(|e| invalid(e.into()))?;
        if text.len() as u64 > MAX_FILE {
            return Err(invalid("it is over 1 MiB".into()));
        }
        let entries: Vec<Entry> = serde_json::from_slice(&text).map_err(|e| invalid(e.into()))?;
        if let Some(bad) = entries.iter().find(|e| id::decode(&e.key).is_err()) {
            return Err(invalid(
                format!("{:?} is not a key", bad.key.chars().take(80).collect::<String>()).into(),
            ));
        }
        Ok(Self { entries })
    }

    /// How long a core was; 0 when it is not in the file.
    pub fn length(&self, key: &CoreKey) -> u64 {
        self.entries
            .iter()
            .filter(|e| id::decode(&e.key).is_ok_and(|k| k == *key))
            .map(|e| e.length)
            .max()
            .unwrap_or(0)
    }

    /// Notes how long a core is. Lengths only grow.
    pub fn set(&mut self, key: &CoreKey, length: u64, name: Option<(&[u8; 32], &str)>) {
        let known = self.length(key);
        self.entries.retain(|e| id::decode(&e.key).ok().is_none_or(|k| k != *key));
        let (namespace, name) = match name {
            Some((ns, name)) => (Some(data_encoding::HEXLOWER.encode(ns)), Some(name.to_owned())),
            None => (None, None),
        };
        self.entries.push(Entry { key: id::encode(key), length: length.max(known), namespace, name });
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// `ERR_UNWRITABLE`, `ERR_DISK_FULL`.
    pub fn write(&self, path: &Path) -> Result<(), CommandError> {
        let mut text = serde_json::to_vec_pretty(&self.entries).unwrap_or_default();
        text.push(b'\n');
        write_shared(path, &text).map_err(|e| {
            CommandError::unwritable(
                format!("the snapshot {} could not be written", path.display()),
                e,
                "the release is out; make the file writable and run the command again, it will only write it",
            )
        })
    }

    /// Notes what another file tells: another run may have written it since this one was read.
    pub fn merge(&mut self, other: Self) {
        for entry in other.entries {
            let Ok(key) = id::decode(&entry.key) else { continue };
            let known = self.entries.iter_mut().find(|e| id::decode(&e.key).is_ok_and(|k| k == key));
            match known {
                Some(known) => known.length = known.length.max(entry.length),
                None => self.entries.push(entry),
            }
        }
    }
}

/// Replaces a file of a project, which people look at and commit: through their links, with its permissions.
pub(crate) fn write_shared(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    Replace::new(Durability::Disk).follow_links().make_folders().write(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_run_wrote_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.json");
        let (mut one, mut two) = (Snapshot::read(&path).unwrap(), Snapshot::read(&path).unwrap());
        one.set(&[1; 32], 9, Some((&[3; 32], "db")));
        one.write(&path).unwrap();
        two.set(&[2; 32], 4, None);
        two.set(&[1; 32], 5, None);
        two.merge(Snapshot::read(&path).unwrap());
        two.write(&path).unwrap();
        let both = Snapshot::read(&path).unwrap();
        assert_eq!((both.length(&[1; 32]), both.length(&[2; 32])), (9, 4));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_of_ours_is_followed_and_permissions_stay() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (path, real) = (dir.path().join("s.json"), dir.path().join("real.json"));
        std::fs::write(&real, "old").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.json", &path).unwrap();
        write_shared(&path, b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "new");
        assert!(path.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn lengths_are_read_written_and_only_grow() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ci/snapshot.json");
        assert_eq!(Snapshot::read(&path).unwrap(), Snapshot::default());
        let (db, blobs) = ([1; 32], [2; 32]);
        let mut s = Snapshot::default();
        s.set(&db, 9, Some((&[3; 32], "db")));
        s.set(&blobs, 4, None);
        s.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&"03".repeat(32)) && text.ends_with("]\n"), "{text}");
        let mut back = Snapshot::read(&path).unwrap();
        assert_eq!(back, s);
        assert_eq!((back.length(&db), back.length(&blobs), back.length(&[9; 32])), (9, 4, 0));
        back.set(&db, 5, Some((&[3; 32], "db")));
        assert_eq!(back.length(&db), 9);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn one_that_cannot_be_understood_is_not_taken_for_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.json");
        for bad in ["", "{}", "[{\"key\":\"x\",\"length\":1}]", "[{\"key\":1}]", "[{\"length\":-1}]"] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(Snapshot::read(&path).unwrap_err().code(), "ERR_INVALID_SNAPSHOT", "{bad}");
        }
    }
}
