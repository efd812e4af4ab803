//! `install`: an application from a link to where applications live; `--uninstall` takes it away again.
//!
//! What is installed is remembered in `<store>/installs/<key>.json`, with one receipt for each place. Steps:
//! 1. find the application for this machine in the drive, decide where it goes, refuse what is there already;
//! 2. open the folders it goes to, and make those that are missing: one that is refused leaves no receipt. Then the receipt, state
//!    `installing`: from here on the destinations are ours;
//! 3. each item is written into a work folder beside its destination ([`bosc_files::Work`]: made anew, mode 0700), synced,
//!    and put into place: a destination is absent, the old one or the new one, and belongs to the user who installs;
//! 4. desktop entry (Linux) or search path (Windows); receipt, state `installed`.
//!
//! The receipt has a mark of each ([`bosc_updater::install::InstalledMark`]): what somebody put in place of one since is
//! neither replaced nor removed; an update that the application installed itself is.
//!
//! Killed anywhere, running it again continues: blocks that came are in the store, destinations that the receipt names and
//! that belong to the user are replaced, the work folder that was left is removed. The drive stays in the store, so that it can be
//! seeded and an updater finds its parts.
//!
//! What somebody added to the folder of an application stays when another build takes its place or it is uninstalled: see
//! [`bosc_updater::install::Shipped`]. The updater is told what was installed.
//!
//! Only files below `/by-arch/<host>/app/<name>` are written, and only below the destination: entries are checked as
//! `dump` checks them, and symlinks must stay inside their item.
//!
//! # Files
//!
//! - `receipt`: what was installed, in a file of the store. `desktop`: the entry on Linux, what is taken of an AppImage. `system`:
//!   what else the system wants to know. `uninstall`: taking it away, and what stays.

mod desktop;
mod receipt;
mod system;
mod uninstall;

use super::event::{InstallEvent, Installed, Installing};
use super::{Application, Install, InstallItem, ItemKind, PlanError, plan};
use crate::command::{Sink, Stop};
use crate::dump::command::{Dumping, no_files};
use crate::dump::{Dump, Root, check_link};
use crate::engine::Engine;
use crate::engine::drive::parse_link;
use crate::engine::errors::{invalid_manifest, store_error};
use crate::engine::follow::stopped;
use crate::error::{CommandError, ErrorKind};
use crate::output_file::check_output_folder;
use crate::versions::command::said;
use bosc_drive::drive::DriveEntry;
use bosc_files::{Dir, Work};
use bosc_format::id;
use bosc_updater::install::{Aside, Installer, Options, Shipped};
use receipt::{Receipt, ReceiptState};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

impl Engine {
    pub(crate) fn install(
        &self,
        request: &Install,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<Installed, CommandError> {
        let link = parse_link(&request.link)?;
        let host = request.places.host();
        let timeout = Duration::from_millis(request.timeout_ms);
        sink.tell(InstallEvent::Installing { link: request.link.clone(), host: host.clone() });
        let _mirrors = self.read_mirrors(&link.key, &request.mirrors)?;
        let opened = self.open_fresh(&link, timeout, stop)?;
        let length = link.version.map_or(opened.drive.db.length(), |v| v.length);
        if length <= 1 {
            return Err(no_files(length));
        }
        let json = self.package_json(&opened, length, timeout, stop)?;
        let json = json.ok_or_else(|| invalid_manifest("it has no package.json"))?;
        let package = said(&json);
        let name = package.name.clone().unwrap_or_default();
        let app = package.product_name.clone().unwrap_or_else(|| name.clone());
        let bins = json.as_object().map(|o| crate::folder::package::bin_names(o, &name)).unwrap_or_default();
        let all = {
            let mut dumping = self.dumping(&opened, length, timeout, stop, sink)?;
            match dumping.entries("/by-arch") {
                Err(e) if e.kind() == ErrorKind::NotFound => Vec::new(),
                other => other?,
            }
        };
        let folder = format!("/by-arch/{host}/app/");
        let found = names_below(&all, &folder);
        let application = Application { app: &app, bins, found };
        let items =
            plan(&application, &request.only, request.to.as_deref(), &request.places, &|p| p.is_dir())
                .map_err(|e| plan_error(e, &all))?;
        let folders: BTreeSet<PathBuf> = items
            .iter()
            .map(|item| split(&item.dest).map(|(folder, _)| folder.to_owned()))
            .collect::<Result<_, _>>()?;
        for folder in &folders {
            check_output_folder(folder, &[])?;
        }
        let old = Receipt::of_place(&self.dir, opened.drive.key(), &folders)?;
        if let Some(done) = already(old.as_ref(), &items, length)? {
            return Ok(done);
        }
        let mut ours = old.as_ref().map(|r| r.files.clone()).unwrap_or_default();
        if let Some(old) = &old {
            for path in &old.files {
                if !old.put(path)? {
                    ours.remove(path);
                }
            }
        }
        let before = old.as_ref().and_then(|old| old.version.clone()).unwrap_or_default();
        for item in &items {
            if fs::symlink_metadata(&item.dest).is_ok() && !ours.contains(&item.dest) {
                return Err(exists(&item.dest, "move it away, or choose another folder with --to"));
            }
        }
        let entries = inside(&all, &folder, &items)?;
        let mut now = Receipt {
            folders: old
                .as_ref()
                .map(Receipt::folders)
                .unwrap_or_default()
                .into_iter()
                .chain(folders)
                .collect(),
            link: opened.drive.plain_link(),
            verlink: opened.drive.verlink(),
            name: app.clone(),
            version: package.version.clone(),
            length,
            state: ReceiptState::Installing,
            // What an earlier try put elsewhere is still ours to take away.
            files: ours.iter().cloned().chain(items.iter().map(|i| i.dest.clone())).collect(),
            extras: old.as_ref().map(|r| r.extras.clone()).unwrap_or_default(),
            contents: old.as_ref().map(|r| r.contents.clone()).unwrap_or_default(),
            marks: old.map(|r| r.marks).unwrap_or_default(),
        };
        // What was installed there before is still known as that, until the new build is in its place.
        let new_contents = contents(&entries, &items);
        for (path, inner) in &new_contents {
            now.contents.entry(path.clone()).or_default().extend(inner.iter().cloned());
        }
        // Until the end it is not known which build is there.
        now.marks.retain(|path, _| !items.iter().any(|i| i.dest == *path));
        let opened_folders = folders_of(&items)?;
        now.keep(&self.dir, opened.drive.key())?;
        let places = places(opened_folders, opened.drive.key())?;
        for item in &items {
            let work = places.iter().find(|p| p.items.iter().any(|i| i.dest == item.dest));
            sink.tell(InstallEvent::App(Box::new(Installing {
                app: app.clone(),
                name: item.name.clone(),
                version: package.version.clone(),
                upgrade: package.upgrade.clone(),
                verlink: opened.drive.verlink(),
                key: id::encode(opened.drive.key()),
                tmp: work.map(|p| p.work.path().to_owned()),
                dest: item.dest.clone(),
            })));
        }
        let mut dumping = self.dumping(&opened, length, timeout, stop, sink)?;
        let old = OldBuilds { ours: &ours, contents: &now.contents, version: &before };
        write(&mut dumping, places, &entries, &old, &new_contents, stop)?;
        self.store.flush().map_err(store_error)?;
        let extras = system::after(&items, &app, &request.places, sink);
        let put: Vec<PathBuf> = items
            .iter()
            .filter(|i| i.kind != ItemKind::Msix)
            .map(|i| i.dest.clone())
            .chain(extras.clone())
            .collect();
        now.extras.extend(extras);
        // What was put there before and is there still is not forgotten.
        now.files.retain(|path| {
            let msix = items.iter().any(|i| i.kind == ItemKind::Msix && i.dest == *path);
            !msix && fs::symlink_metadata(path).is_ok()
        });
        for path in put {
            if fs::symlink_metadata(&path).is_ok() {
                now.mark(&path)?;
            }
        }
        now.contents.retain(|path, _| now.files.contains(path));
        for (path, inner) in &new_contents {
            tell_updater(path, package.version.as_deref(), inner);
        }
        now.contents.extend(new_contents);
        now.state = ReceiptState::Installed;
        now.keep(&self.dir, opened.drive.key())?;
        Ok(Installed {
            installed: true,
            exists: false,
            app,
            version: package.version,
            paths: items.into_iter().map(|i| i.dest).collect(),
            link: opened.drive.plain_link(),
        })
    }

    /// Whether something was installed from a drive.
    pub(crate) fn is_installed_from(&self, key: &[u8; 32]) -> Result<bool, CommandError> {
        Ok(!Receipt::all(&self.dir, key)?.is_empty())
    }
}

/// The names directly below a folder, and whether each is a folder itself.
fn names_below(entries: &[DriveEntry], folder: &str) -> BTreeMap<String, bool> {
    let mut out = BTreeMap::new();
    for rest in entries.iter().filter_map(|e| e.key.strip_prefix(folder)) {
        match rest.split_once('/') {
            Some((name, _)) => *out.entry(name.to_owned()).or_default() = true,
            None => {
                out.entry(rest.to_owned()).or_default();
            }
        }
    }
    out
}

/// Whether all of it is installed in this version already.
fn already(
    old: Option<&Receipt>,
    items: &[InstallItem],
    length: u64,
) -> Result<Option<Installed>, CommandError> {
    let Some(old) = old.filter(|r| r.state == ReceiptState::Installed) else { return Ok(None) };
    let there: Vec<&InstallItem> =
        items.iter().filter(|i| i.kind != ItemKind::Msix && i.dest.exists()).collect();
    if there.len() != items.len() || !there.iter().all(|i| old.files.contains(&i.dest)) {
        return Ok(None);
    }
    for item in &there {
        if !old.put(&item.dest)? {
            return Ok(None);
        }
    }
    if old.length == length {
        return Ok(Some(Installed {
            installed: false,
            exists: true,
            app: old.name.clone(),
            version: old.version.clone(),
            paths: old.files.iter().cloned().collect(),
            link: old.link.clone(),
        }));
    }
    let version = old.version.as_deref().unwrap_or("another version");
    let path = there.first().map_or(Path::new(""), |i| &i.dest);
    Err(exists(
        path,
        &format!(
            "{version} was installed from this link and updates itself; to reinstall, first run \
             `bosc install --uninstall <link>`"
        ),
    ))
}

fn exists(path: &Path, hint: &str) -> CommandError {
    CommandError::new(ErrorKind::Input, "ERR_EXISTS", format!("{} exists", path.display())).hint(hint)
}

fn plan_error(e: PlanError, entries: &[DriveEntry]) -> CommandError {
    let staged: BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| entry.key.strip_prefix("/by-arch/")?.split_once('/'))
        .map(|(arch, _)| arch)
        .take(10_000)
        .collect();
    let message = e.to_string();
    match e {
        PlanError::Name(_) => CommandError::new(
            ErrorKind::Integrity,
            "ERR_INVALID_MANIFEST",
            format!("the application's name is refused: {message}"),
        )
        .hint("ask whoever staged it to give it a productName that is a file name"),
        PlanError::NotFound { .. } => {
            let list = staged.into_iter().collect::<Vec<_>>().join(", ");
            let list = if list.is_empty() { "nothing".to_owned() } else { list };
            CommandError::not_found(message)
                .hint(format!("there is {list}; ask for a build for this machine"))
        }
        PlanError::Only(_) => CommandError::not_found(message).hint("see `bosc dump <link> --list`"),
        PlanError::NoHome => CommandError::input(message).hint("name a folder with --to"),
    }
}

/// The entries to write, with keys `/<item>...`, by key. Symlinks are rewritten to stay inside their item.
fn inside(all: &[DriveEntry], folder: &str, items: &[InstallItem]) -> Result<Vec<DriveEntry>, CommandError> {
    let mut out = Vec::new();
    for entry in all {
        let Some(rest) = entry.key.strip_prefix(folder) else { continue };
        let (name, below) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(item) = items.iter().find(|i| i.name == name) else { continue };
        let mut entry = entry.clone();
        let refuse = |why: String| {
            CommandError::new(
                ErrorKind::Integrity,
                "ERR_UNSAFE_PATH",
                format!(
                    "the drive's entry {:?} is refused: {why}",
                    rest.chars().take(256).collect::<String>()
                ),
            )
            .hint("the application cannot be installed whole; do not use this link")
        };
        if let Some(target) = &entry.value.linkname {
            if !item.folder {
                return Err(refuse("it is a symlink, and an application is a file or a folder".into()));
            }
            // Absolute targets are seen from the drive's root.
            let own = format!("{folder}{name}");
            let target = match target.strip_prefix('/') {
                None => target.clone(),
                Some(_) => match target.strip_prefix(&own) {
                    Some("") => "/".to_owned(),
                    Some(rest) if rest.starts_with('/') => rest.to_owned(),
                    _ => return Err(refuse("it leads out of the application".into())),
                },
            };
            let text = check_link(&format!("/{below}"), &target).map_err(|e| refuse(e.to_string()))?;
            entry.value.linkname = Some(text);
        }
        entry.key = format!("/{rest}");
        out.push(entry);
    }
    out.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(out)
}

/// How the work folders beside a destination begin.
fn work_prefix(key: &[u8; 32]) -> String {
    let id: String = id::encode(key).chars().take(16).collect();
    format!(".bosc-install-{id}-")
}

/// The folder of a path, and its name in it.
fn split(path: &Path) -> Result<(&Path, &std::ffi::OsStr), CommandError> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name =
        path.file_name().ok_or_else(|| CommandError::input(format!("{} is not a file", path.display())))?;
    Ok((parent, name))
}

/// A folder that gets items, and the work folder in it.
struct InstallPlace<'a> {
    folder: Dir,
    work: Work,
    items: Vec<&'a InstallItem>,
}

/// The folders that get items, opened, and made where they are missing.
type Folders<'a> = Vec<(&'a Path, Dir, Vec<&'a InstallItem>)>;

fn folders_of(items: &[InstallItem]) -> Result<Folders<'_>, CommandError> {
    let mut folders: BTreeMap<&Path, Vec<&InstallItem>> = BTreeMap::new();
    for item in items {
        folders.entry(split(&item.dest)?.0).or_default().push(item);
    }
    let open = |(path, items)| Ok((path, Dir::create(path, 0o777).map_err(io("cannot make", path))?, items));
    folders.into_iter().map(open).collect()
}

fn places<'a>(folders: Folders<'a>, key: &[u8; 32]) -> Result<Vec<InstallPlace<'a>>, CommandError> {
    let prefix = work_prefix(key);
    let place = |(path, folder, items)| {
        Work::sweep(&folder, &prefix).map_err(io("cannot clean up in", path))?;
        let work = Work::create(&folder, &prefix).map_err(io("cannot make a folder in", path))?;
        Ok(InstallPlace { folder, work, items })
    };
    folders.into_iter().map(place).collect()
}

/// Names in a work folder.
const TREE: &str = "tree";
const ITEM: &str = "item";

/// What is there already.
struct OldBuilds<'a> {
    /// Paths that are ours to replace.
    ours: &'a BTreeSet<PathBuf>,
    /// The paths in each folder that was installed.
    contents: &'a BTreeMap<PathBuf, BTreeSet<String>>,
    version: &'a str,
}

fn write(
    dumping: &mut Dumping<'_>,
    places: Vec<InstallPlace<'_>>,
    entries: &[DriveEntry],
    old: &OldBuilds<'_>,
    new: &BTreeMap<PathBuf, BTreeSet<String>>,
    stop: &Stop,
) -> Result<(), CommandError> {
    let ours = old.ours;
    for InstallPlace { folder, work, items } in places {
        let make = io("cannot make a folder in", work.path());
        let tree = work.dir().create_dir(TREE, 0o777).map_err(make)?;
        let own: Vec<DriveEntry> = entries
            .iter()
            .filter(|e| items.iter().any(|i| e.key.split('/').nth(1) == Some(i.name.as_str())))
            .cloned()
            .collect();
        let root = tree.again().map_err(io("cannot use", tree.path()))?;
        dumping.write(&Dump::default(), &Root::at(root), "", &own)?;
        for item in &items {
            if !item.folder {
                runnable(&tree, &item.name).map_err(io("cannot make executable", &item.dest))?;
            }
            if let Some(inner) = old.contents.get(&item.dest).filter(|_| ours.contains(&item.dest)) {
                let (name, list) = (split(&item.dest)?.1, |inner: &BTreeSet<String>| {
                    inner.iter().cloned().collect::<Shipped>()
                });
                let ships = new.get(&item.dest).map(list).unwrap_or_default();
                let sealed = item.dest.extension().is_some_and(|end| end == "app");
                let keep = || -> std::io::Result<Vec<String>> {
                    if !folder.metadata(name).is_ok_and(|old| old.is_folder() && old.ours()) {
                        return Ok(Vec::new());
                    }
                    let aside = Aside::new(folder.again()?, name, old.version);
                    let (old, new) = (folder.open_dir(name)?, tree.open_dir(&item.name)?);
                    Ok(list(inner).carry_over(&old, &new, &ships, aside, sealed)?.lines)
                };
                for message in keep().map_err(io("cannot keep what was added to", &item.dest))? {
                    dumping.sink.tell(InstallEvent::Warning { file: item.dest.clone(), message });
                }
            }
            tree.sync_below(&item.name).map_err(io("cannot write", &item.dest))?;
        }
        if stop.is_stopped() {
            return Err(stopped());
        }
        for item in &items {
            let failed = || io("cannot install", &item.dest);
            let name = split(&item.dest)?.1;
            let old = match folder.metadata(name) {
                Ok(old) => Some(old),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
                Err(e) => return Err(failed()(e)),
            };
            // What the receipt names is replaced, unless it is another user's by now.
            if old.is_some_and(|old| !ours.contains(&item.dest) || !old.ours()) {
                return Err(exists(&item.dest, "move it away, or choose another folder with --to"));
            }
            tree.rename(&item.name, work.dir(), ITEM).map_err(failed())?;
            work.put(ITEM, &folder, name, old.as_ref()).map_err(|e| match e.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    exists(&item.dest, "move it away, or choose another folder with --to")
                }
                _ => failed()(e),
            })?;
            // The old one, after an exchange.
            work.dir().remove(ITEM).map_err(failed())?;
        }
    }
    Ok(())
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CommandError {
    let path = path.to_owned();
    move |e| {
        let hint = "check the folder's permissions, or choose another with --to; running it again continues";
        CommandError::unwritable(format!("{what} {}", path.display()), e, hint)
    }
}

/// The paths in each folder that is installed.
fn contents(entries: &[DriveEntry], items: &[InstallItem]) -> BTreeMap<PathBuf, BTreeSet<String>> {
    let mut out = BTreeMap::new();
    for item in items.iter().filter(|i| i.folder) {
        let start = format!("/{}/", item.name);
        let inner = entries.iter().filter_map(|e| e.key.strip_prefix(&start)).map(str::to_owned);
        out.insert(item.dest.clone(), inner.collect());
    }
    out
}

/// Says to the updater of the application what was put there, so that it knows what is added later. An updater that is not told
/// takes that for installed what it finds when it first works.
fn tell_updater(path: &Path, version: Option<&str>, inner: &BTreeSet<String>) {
    let version =
        version.and_then(|v| semver::Version::parse(v).ok()).unwrap_or(semver::Version::new(0, 0, 0));
    let shipped: Shipped = inner.iter().cloned().collect();
    let told = Installer::open(Options::new(path, version))
        .and_then(|installer| installer.installed_with(&shipped, std::time::SystemTime::now()));
    drop(told);
}

/// Whoever may read it may run it, whatever the drive says: it is a program.
fn runnable(dir: &Dir, name: &str) -> std::io::Result<()> {
    let mode = dir.metadata(name)?.mode;
    dir.set_mode(name, mode | 0o100 | ((mode & 0o444) >> 2))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
