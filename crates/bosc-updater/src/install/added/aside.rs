//! The folder beside the application for what was added to it and cannot come along: `App.added/<version>/`, as it lay in the build
//! of that version. Nothing in it is ever removed.

use crate::install::folder::MAX_SLOTS;
use bosc_files::{Dir, give_folder_to_owner, user};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

/// Where it is, or would be: made when the first file goes there.
#[derive(Debug)]
pub struct Aside {
    parent: Dir,
    name: OsString,
    label: String,
    open: Option<Dir>,
}

impl Aside {
    /// Beside an application of this name, for files of the build that the label names.
    pub fn new(parent: Dir, name: &OsStr, label: &str) -> Self {
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
        let label: String = label.chars().filter(plain).take(64).collect();
        let label = if label.trim_matches('.').is_empty() { "before".to_owned() } else { label };
        Self { parent, name: name.to_owned(), label, open: None }
    }

    /// The folder for things of that folder of the build.
    pub(super) fn folder(&mut self, at: &str) -> io::Result<Dir> {
        let root = match self.open.take() {
            Some(root) => root,
            None => self.root()?,
        };
        let mut here = root.again()?;
        self.open = Some(root);
        for part in at.split('/').filter(|part| !part.is_empty()) {
            here = make(&here, OsStr::new(part))?;
        }
        Ok(here)
    }

    /// The application's own name is free for whatever the user keeps beside it: a file, or another's folder, has another number.
    fn root(&self) -> io::Result<Dir> {
        let owner = self.parent.own_metadata()?.uid;
        for number in 1..=MAX_SLOTS {
            let mut name = self.name.clone();
            name.push(if number == 1 { ".added".to_owned() } else { format!(".added-{number}") });
            match self.parent.metadata(&name) {
                Ok(found) if found.is_folder() && (found.uid == user() || found.uid == owner) => {}
                Ok(_) => continue,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
            return make(&make(&self.parent, &name)?, OsStr::new(&self.label));
        }
        Err(io::Error::other("every name for what was added to the application is in use"))
    }

    /// Where a file is that was put there.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.open.as_ref().map(|root| root.path().join(path)).unwrap_or_default()
    }
}

/// Opens a folder, or makes it for the owner of the one it is in.
fn make(dir: &Dir, name: &OsStr) -> io::Result<Dir> {
    match dir.open_dir(name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let made = dir.create_dir(name, 0o777)?;
    give_folder_to_owner(&dir.path().join(name));
    Ok(made)
}
