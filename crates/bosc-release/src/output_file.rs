//! A file or folder that a command writes where the user says: what may not be there, asked by every such command before it
//! writes anything.
//!
//! # Invariants
//!
//! 1. Nothing is written below the folder of a Bosc store, of whatever store: such a file is the store's, or is taken for
//!    its.
//! 2. No command replaces what it reads: a file is the same by device and number, through links too.
//! 3. A key is replaced by a file of its own kind only.
//! 4. What is looked at is where the file will come to lie: links in its place are followed first, as whoever writes it does.
//!
//! Who writes must own what is there anyway (`bosc_files`): this is about mistakes, not about other users. A test holds all of
//! `bosc` and `bosc-release` to it.

use crate::error::{CommandError, ErrorKind};
use crate::keys::backup;
use crate::secrets::{ContentVerdict, Secret, StoreFolders, Suspect, of_file};
use bosc_files::{FolderLock, Meta, read_bounded, refuse_special};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most links followed to the file, as many as `bosc_files::Replace` follows.
const MAX_LINKS: usize = 40;
/// How long another command may change a file.
const PATIENCE: Duration = Duration::from_secs(60);
/// Largest manifest that is recognised, in bytes.
const MAX_MANIFEST: u64 = 4 << 20;

/// What the file that is written is: one like it may be replaced, also when it is, or holds, a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// No key.
    Plain,
    /// The file that is there, with a change.
    Edited,
    /// The key of one link, of `bosc keys export`.
    LinkKey,
    /// All keys of a store, of `bosc keys backup`.
    Backup,
    /// A signing key of `bosc multisig`.
    SigningKey,
    /// A key pair of `bosc updater keygen`.
    UpdaterKey,
    /// A build, as it is offered to applications.
    Artifact,
    /// A manifest for applications.
    Manifest,
}

/// A file that is to be written. See the module.
#[derive(Debug, Clone)]
pub struct OutputFile<'a> {
    path: &'a Path,
    kind: OutputKind,
    inputs: Vec<PathBuf>,
}

impl<'a> OutputFile<'a> {
    /// This file, of this kind.
    pub fn new(path: &'a Path, kind: OutputKind) -> Self {
        Self { path, kind, inputs: Vec::new() }
    }

    /// The command reads these files and, with all they hold, folders. Those that are not there are no matter.
    #[must_use]
    pub fn apart_from(mut self, inputs: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.inputs.extend(inputs.into_iter().map(Into::into));
        self
    }

    /// Whether it may be written.
    ///
    /// # Errors
    /// `ERR_EXISTS` with what is there; nothing was written.
    pub fn check(&self) -> Result<(), CommandError> {
        refuse_special(self.path)
            .map_err(|e| refused(format!("cannot write {}: {e}", self.path.display())))?;
        let at = landing(self.path);
        let folder = real(at.parent().unwrap_or(Path::new(".")));
        not_in_store(self.path, &folder)?;
        for input in &self.inputs {
            if is_or_holds(input, &at, &folder) {
                let what = if same(input, &at) {
                    format!("the command reads {}", input.display())
                } else {
                    format!("{} is in {}, which the command reads", self.path.display(), input.display())
                };
                return Err(refused(format!("cannot write {}: {what}", self.path.display())));
            }
        }
        if self.kind == OutputKind::Edited || !std::fs::symlink_metadata(&at).is_ok_and(|m| m.is_file()) {
            return Ok(());
        }
        // What cannot be read is no key that anybody here uses; whether it may be replaced the system says.
        let Ok(found) = of_file(&at) else { return Ok(()) };
        let what = match found {
            ContentVerdict::Secret(secret) if !self.is_like(secret, &at) => secret.what(),
            ContentVerdict::Suspect(suspect) if !self.takes(suspect, &at) => suspect.what(),
            _ => return Ok(()),
        };
        Err(refused(format!("{} is {what}: it is not replaced", self.path.display())))
    }

    /// Whether it may be written, and nothing is there; unless it is to be replaced.
    ///
    /// # Errors
    /// As [`OutputFile::check`].
    pub fn check_new(&self, replace: bool) -> Result<(), CommandError> {
        self.check()?;
        if !replace && std::fs::symlink_metadata(self.path).is_ok() {
            return Err(refused(format!("{} exists", self.path.display()))
                .hint("name another file, or replace it with --force"));
        }
        Ok(())
    }

    fn is_like(&self, secret: Secret, at: &Path) -> bool {
        match self.kind {
            OutputKind::LinkKey => secret == Secret::KeyFile && key_file_of_link(at) == Some(true),
            OutputKind::Backup => secret == Secret::KeyFile && key_file_of_link(at).is_some(),
            OutputKind::SigningKey => secret == Secret::SigningKey,
            // A pair that is there keeps another name.
            OutputKind::UpdaterKey => secret == Secret::UpdaterKey,
            OutputKind::Manifest => is_manifest(at),
            OutputKind::Plain | OutputKind::Edited | OutputKind::Artifact => false,
        }
    }

    fn takes(&self, suspect: Suspect, at: &Path) -> bool {
        match self.kind {
            // A build may hold an example of a key, which `--allow-key` lets pass.
            OutputKind::Artifact => true,
            OutputKind::Manifest if is_manifest(at) => true,
            _ => !matches!(suspect, Suspect::PrivateKey | Suspect::KeyInText | Suspect::Segment),
        }
    }
}

/// Waits until no other command changes a file of the folder that this one is in, or comes to lie in: what is read, changed and
/// written while it is held loses nothing of another's change, whatever store that one works on.
///
/// # Errors
/// `ERR_LOCKED` when that takes long.
pub fn alone(path: &Path) -> Result<Option<FolderLock>, CommandError> {
    let at = real(landing(path).parent().unwrap_or(Path::new(".")));
    let Some(folder) = at.ancestors().find(|folder| folder.is_dir()) else { return Ok(None) };
    match bosc_files::lock_folder(folder, PATIENCE) {
        Ok(Some(lock)) => Ok(Some(lock)),
        // Whoever writes says what is wrong with the folder.
        Err(_) => Ok(None),
        Ok(None) => Err(CommandError::new(
            ErrorKind::Failed,
            "ERR_LOCKED",
            format!("another command has been changing {} for a minute", path.display()),
        )
        .hint("wait for it, or end it, and run this again")),
    }
}

/// Whether a folder may be made or filled: it is not that of a store and not in one. `inputs`: what the command reads; none of it
/// may be in the folder, or hold it.
///
/// # Errors
/// `ERR_EXISTS`; nothing was written.
pub fn check_output_folder(path: &Path, inputs: &[PathBuf]) -> Result<(), CommandError> {
    let folder = real(path);
    not_in_store(path, &folder)?;
    match inputs.iter().find(|input| is_or_holds(input, &folder, &folder) || holds(&folder, &real(input))) {
        None => Ok(()),
        Some(input) => {
            Err(refused(format!("cannot write {}: the command reads {}", path.display(), input.display())))
        }
    }
}

fn refused(message: String) -> CommandError {
    CommandError::new(ErrorKind::Input, "ERR_EXISTS", message).hint("name another file or folder")
}

fn not_in_store(path: &Path, folder: &Path) -> Result<(), CommandError> {
    match StoreFolders::default().above(folder) {
        None => Ok(()),
        Some(store) => Err(refused(format!(
            "cannot write {}: {} is the folder of a Bosc store",
            path.display(),
            store.display()
        ))
        .hint("name a place outside of the store")),
    }
}

/// Where what is written to a path comes to lie: at the end of the links in its place.
fn landing(path: &Path) -> PathBuf {
    let mut at = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for _ in 0..MAX_LINKS {
        let Ok(text) = std::fs::read_link(&at) else { break };
        at = at.parent().unwrap_or(Path::new("/")).join(text);
    }
    at
}

/// A path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for above in path.ancestors() {
        if let Ok(real) = std::fs::canonicalize(above) {
            return match path.strip_prefix(above) {
                Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
                _ => real,
            };
        }
    }
    path
}

/// Whether both are there and one file or folder.
fn same(one: &Path, other: &Path) -> bool {
    let meta = |path: &Path| std::fs::metadata(path).ok().map(|m| Meta::from(&m));
    match (meta(one), meta(other)) {
        // Where files have no numbers their real paths tell.
        (Some(one_is), Some(other_is)) => one_is.same_file(&other_is) || real(one) == real(other),
        _ => false,
    }
}

/// Whether the input is what lies at `at`, in `folder`, or a folder that holds it.
fn is_or_holds(input: &Path, at: &Path, folder: &Path) -> bool {
    same(input, at) || (input.is_dir() && holds(input, folder))
}

/// Whether `folder`, a real path, is the folder `outer` or in it.
fn holds(outer: &Path, folder: &Path) -> bool {
    folder.ancestors().any(|above| same(outer, above))
}

/// Whether a file of `bosc keys` is for one link; `None` when it is neither that nor a backup.
fn key_file_of_link(path: &Path) -> Option<bool> {
    let bytes = read_bounded(path, backup::MAX_FILE as u64).ok().flatten()?;
    backup::peek(std::str::from_utf8(&bytes).ok()?).ok().map(|link| link.is_some())
}

fn is_manifest(path: &Path) -> bool {
    let text = read_bounded(path, MAX_MANIFEST).ok().flatten().unwrap_or_default();
    let json: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
    json.is_some_and(|json| {
        json.get("platforms").is_some_and(|p| p.is_object()) && json.get("version").is_some()
    })
}

#[cfg(test)]
mod tests;
