//! `install --uninstall`: what was installed from a link is taken away again, from every place or from one.
//!
//! Only what the receipts name is removed, and only as far as it is what was installed or an update of it. What cannot be removed
//! keeps nothing else, and stays in the receipt.

use super::receipt::{Receipt, ReceiptState};
use super::{io, split, work_prefix};
use crate::command::Sink;
use crate::engine::Engine;
use crate::engine::drive::parse_whole_link;
use crate::error::{CommandError, ErrorKind};
use crate::install::Install;
use crate::install::event::{InstallEvent, Uninstalled};
use bosc_files::{Dir, Work};
use bosc_updater::install::{Installer, Options, Shipped, Stayed, forget};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

impl Engine {
    pub(crate) fn uninstall(
        &self,
        request: &Install,
        sink: &mut dyn Sink,
    ) -> Result<Uninstalled, CommandError> {
        let link = parse_whole_link(&request.link)?;
        let mut receipts = Receipt::all(&self.dir, &link.key)?;
        if receipts.is_empty() {
            return Err(CommandError::not_found("nothing was installed from the link with this store")
                .hint("use the store that installed it (`--store DIR`)"));
        }
        if let Some(to) = &request.to {
            let all: Vec<String> = receipts
                .iter()
                .flat_map(Receipt::folders)
                .map(|folder| folder.display().to_string())
                .collect();
            receipts.retain(|receipt| receipt.is_in(&BTreeSet::from([to.clone()])));
            if receipts.is_empty() {
                return Err(CommandError::not_found(format!(
                    "nothing was installed from the link to {}",
                    to.display()
                ))
                .hint(format!("it was installed to {}; without --to all of it is removed", all.join(", "))));
            }
        }
        let app = receipts.first().map(|receipt| receipt.name.clone()).unwrap_or_default();
        let mut gone = Gone::default();
        for receipt in &receipts {
            self.uninstall_place(receipt, &link.key, &mut gone, sink)?;
        }
        if let Some(e) = gone.failed {
            return Err(e);
        }
        if !gone.left.is_empty() {
            return Err(CommandError::new(
                ErrorKind::Failed,
                "ERR_NOT_INSTALLED_HERE",
                format!("not removed, because something else put it there: {}", gone.left.join(", ")),
            )
            .hint("everything else that was installed is gone; remove this yourself if you do not want it"));
        }
        Ok(Uninstalled { uninstalled: true, app, removed: gone.removed })
    }

    /// Removes what was installed to one place. What cannot be removed does not keep the rest, and is not forgotten.
    fn uninstall_place(
        &self,
        receipt: &Receipt,
        key: &[u8; 32],
        gone: &mut Gone,
        sink: &mut dyn Sink,
    ) -> Result<(), CommandError> {
        let (removed, left) = (&mut gone.removed, &mut gone.left);
        let mut stuck = BTreeSet::new();
        for path in receipt.files.iter().chain(&receipt.extras) {
            let message = match remove(path, receipt, key) {
                Ok(Removed::Yes) => {
                    sink.tell(InstallEvent::Removed { file: path.clone() });
                    removed.push(path.clone());
                    continue;
                }
                Ok(Removed::Not) => continue,
                // The install there did not end, and the folder is refused: another user's, by now or since before.
                Err(e) if e.kind() == ErrorKind::Permission && !receipt.marks.contains_key(path) => {
                    let message = format!("nothing is known to have been put there, and it was left alone: {e}");
                    sink.tell(InstallEvent::Warning { file: path.clone(), message });
                    continue;
                }
                Err(e) => {
                    sink.tell(InstallEvent::Warning { file: path.clone(), message: e.to_string() });
                    stuck.insert(path.clone());
                    gone.failed.get_or_insert(e);
                    continue;
                }
                Ok(Removed::Foreign) => "it now belongs to another user and was left alone".to_owned(),
                Ok(Removed::Changed) => "it is no longer what was installed and was left alone".to_owned(),
                Ok(Removed::Unknown) => {
                    "it was updated and written to since, and was left alone: look what you want to keep of it".to_owned()
                }
                Ok(Removed::But(stayed)) => {
                    // What was installed is gone; the rest was never ours.
                    let message = format!("what was added to it was left alone: {stayed}");
                    sink.tell(InstallEvent::Warning { file: path.clone(), message });
                    removed.push(path.clone());
                    continue;
                }
            };
            sink.tell(InstallEvent::Warning { file: path.clone(), message });
            left.push(path.display().to_string());
        }
        if stuck.is_empty() {
            // What is left is not ours: there is nothing more to take away.
            return receipt.forget(&self.dir, key);
        }
        let mut rest = receipt.clone();
        rest.files.retain(|path| stuck.contains(path));
        rest.extras.retain(|path| stuck.contains(path));
        (rest.folders, rest.state) = (receipt.folders(), ReceiptState::Installing);
        rest.keep(&self.dir, key)
    }
}

/// What `--uninstall` did so far.
#[derive(Default)]
struct Gone {
    removed: Vec<PathBuf>,
    /// What is somebody else's, as text.
    left: Vec<String>,
    /// Why the first that could not be removed was not.
    failed: Option<CommandError>,
}

pub(super) enum Removed {
    Yes,
    /// There was none.
    Not,
    /// It is another user's.
    Foreign,
    /// Somebody put something else there.
    Changed,
    /// But for what somebody added to it.
    But(Stayed),
    /// It was updated and then written to: what is whose is not known.
    Unknown,
}

/// Removes a file, symlink or folder, and what a killed install left beside it.
pub(super) fn remove(path: &Path, receipt: &Receipt, key: &[u8; 32]) -> Result<Removed, CommandError> {
    let (parent, name) = split(path)?;
    let failed = || io("cannot remove", path);
    let folder = match Dir::open(parent) {
        Ok(folder) => folder,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Removed::Not),
        Err(e) => return Err(failed()(e)),
    };
    Work::sweep(&folder, &work_prefix(key)).map_err(failed())?;
    match folder.metadata(name) {
        Ok(meta) if !meta.ours() => return Ok(Removed::Foreign),
        Ok(_) if !receipt.put(path)? => return Ok(Removed::Changed),
        Ok(meta) if meta.is_folder() && !receipt.is_untouched(path)? => {
            let removed = remove_known(&folder, name, path, receipt)?;
            if !matches!(removed, Removed::Unknown) {
                forget_updates(path);
            }
            return Ok(removed);
        }
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Removed::Not),
        Err(e) => return Err(failed()(e)),
    }
    folder.remove(name).map_err(failed())?;
    forget_updates(path);
    Ok(Removed::Yes)
}

/// What the application's own updater kept beside it goes as well. That it cannot be is no harm.
fn forget_updates(path: &Path) {
    let _ = forget(path);
}

/// Removes what was installed from the folder of an application that was written to since.
fn remove_known(
    folder: &Dir,
    name: &std::ffi::OsStr,
    path: &Path,
    receipt: &Receipt,
) -> Result<Removed, CommandError> {
    let failed = || io("cannot remove", path);
    let inner: Shipped = match receipt.contents.get(path) {
        Some(inner) if receipt.is_as_installed(path)? => inner.iter().cloned().collect(),
        // An update that the application installed itself: its updater knows.
        _ => {
            let any = semver::Version::new(0, 0, 0);
            let updater = Installer::open(Options::new(path, any)).ok();
            match updater.and_then(|updater| updater.shipped()) {
                Some(shipped) => shipped,
                None => return Ok(Removed::Unknown),
            }
        }
    };
    let dir = folder.open_dir(name).map_err(failed())?;
    let stayed = inner.remove(&dir).map_err(failed())?;
    if !stayed.is_empty() {
        return Ok(Removed::But(stayed));
    }
    drop(dir);
    folder.remove_dir(name).map_err(failed())?;
    Ok(Removed::Yes)
}
