//! `install`: an application from a link to where applications live; `--uninstall` takes it away again.
//!
//! What is installed is remembered in `<store>/installs/<key>.json`, the receipt. Steps:
//! 1. find the application for this machine in the drive, decide where it goes, refuse what is there already;
//! 2. receipt, state `installing`: from here on the destinations are ours;
//! 3. each item is written into a work folder beside its destination, synced and renamed into place: a destination
//!    is absent or whole;
//! 4. desktop entry (Linux) or search path (Windows); receipt, state `installed`.
//!
//! Killed anywhere, running it again goes on: blocks that came are in the store, files that were written are compared
//! and kept, destinations that the receipt names are replaced. The drive stays in the store, so that it can be
//! seeded and an updater finds its parts.
//!
//! Only files below `/by-arch/<host>/app/<name>` are written, and only below the destination: entries are checked as
//! `dump` checks them, and symlinks must stay inside their item.

mod desktop;
mod receipt;
mod system;

use super::super::drive::parse_link;
use super::super::dump::Dumping;
use super::super::info::{Opened, invalid_manifest};
use super::super::wait::stopped;
use super::super::{Engine, store_error};
use super::versions::said;
use crate::command::{Dump, Outcome, Sink, Stop};
use crate::dump::check_link;
use crate::error::{CommandError, ErrorKind};
use crate::tools::Install;
use crate::tools::install::{Application, Item, ItemKind, PlanError, plan};
use bosc_drive::drive::DriveEntry;
use bosc_format::id;
use receipt::{Receipt, State};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

impl Engine {
    pub(super) fn install(&self, request: &Install, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let link = parse_link(&request.link)?;
        let host = request.places.host();
        let timeout = Duration::from_millis(request.timeout_ms);
        sink.event("installing", json!({ "link": request.link, "host": host }));
        let opened = self.open_fresh(&link, timeout, stop)?;
        let length = link.version.map_or(opened.drive.db.length(), |v| v.length);
        if length == 0 {
            return Err(CommandError::not_found("the link holds nothing yet"));
        }
        let json = self.package_json(&opened, length, timeout, stop)?;
        let json = json.ok_or_else(|| invalid_manifest("it has no package.json"))?;
        let package = said(&json);
        let name = package.name.clone().unwrap_or_default();
        let app = package.product_name.clone().unwrap_or_else(|| name.clone());
        let bins = json.as_object().map(|o| crate::build::bin_names(o, &name)).unwrap_or_default();
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
        let old = self.receipt(opened.drive.key())?;
        if let Some(done) = already(old.as_ref(), &items, length)? {
            return Ok(done);
        }
        let ours = old.as_ref().map(|r| r.files.clone()).unwrap_or_default();
        for item in &items {
            if fs::symlink_metadata(&item.dest).is_ok() && !ours.contains(&item.dest) {
                return Err(exists(&item.dest, "move it away, or choose another folder with --to"));
            }
        }
        let entries = inside(&all, &folder, &items)?;
        let mut now = Receipt {
            link: opened.drive.plain_link(),
            verlink: opened.drive.verlink(),
            name: app.clone(),
            version: package.version.clone(),
            length,
            state: State::Installing,
            // What an earlier try put elsewhere is still ours to take away.
            files: ours.iter().cloned().chain(items.iter().map(|i| i.dest.clone())).collect(),
            extras: old.map(|r| r.extras).unwrap_or_default(),
        };
        now.keep(&self.dir, opened.drive.key())?;
        for item in &items {
            sink.event(
                "app",
                json!({
                    "app": app, "name": item.name, "version": package.version, "upgrade": package.upgrade,
                    "verlink": opened.drive.verlink(), "key": id::encode(opened.drive.key()),
                    "tmp": work_folder(&item.dest, opened.drive.key()), "dest": item.dest,
                }),
            );
        }
        let mut dumping = self.dumping(&opened, length, timeout, stop, sink)?;
        write(&mut dumping, &items, &entries, opened.drive.key(), stop)?;
        self.store.flush().map_err(store_error)?;
        let extras = system::after(&items, &app, &request.places, sink);
        now.extras.extend(extras);
        now.files = items.iter().filter(|i| i.kind != ItemKind::Msix).map(|i| i.dest.clone()).collect();
        now.state = State::Installed;
        now.keep(&self.dir, opened.drive.key())?;
        Ok(json!({
            "installed": true, "exists": false, "app": app, "version": package.version,
            "paths": items.iter().map(|i| &i.dest).collect::<Vec<_>>(), "link": opened.drive.plain_link(),
        }))
    }

    fn dumping<'a>(
        &self,
        opened: &'a Opened,
        version: u64,
        timeout: Duration,
        stop: &'a Stop,
        sink: &'a mut dyn Sink,
    ) -> Result<Dumping<'a>, CommandError> {
        let blobs = opened.drive.blobs(self)?;
        Ok(Dumping { opened, blobs, version, timeout, stop, sink, told: Instant::now() })
    }

    pub(super) fn uninstall(&self, request: &Install, sink: &mut dyn Sink) -> Outcome {
        let link = parse_link(&request.link)?;
        let Some(receipt) = self.receipt(&link.key)? else {
            return Err(CommandError::not_found("nothing was installed from the link with this store")
                .hint("use the store that installed it (`--store DIR`)"));
        };
        let mut removed = Vec::new();
        for path in receipt.files.iter().chain(&receipt.extras) {
            let work = work_folder(path, &link.key);
            for at in [path, &work] {
                if remove(at)? && at == path {
                    sink.event("removed", json!({ "file": at }));
                    removed.push(at.clone());
                }
            }
        }
        Receipt::forget(&self.dir, &link.key)?;
        Ok(json!({ "uninstalled": true, "app": receipt.name, "removed": removed }))
    }

    /// What was installed from a drive.
    pub(super) fn receipt(&self, key: &[u8; 32]) -> Result<Option<Receipt>, CommandError> {
        Receipt::read(&self.dir, key)
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
fn already(old: Option<&Receipt>, items: &[Item], length: u64) -> Result<Option<Value>, CommandError> {
    let Some(old) = old.filter(|r| r.state == State::Installed) else { return Ok(None) };
    let there: Vec<&Item> = items.iter().filter(|i| i.kind != ItemKind::Msix && i.dest.exists()).collect();
    if there.len() != items.len() || !there.iter().all(|i| old.files.contains(&i.dest)) {
        return Ok(None);
    }
    if old.length == length {
        return Ok(Some(json!({
            "installed": false, "exists": true, "app": old.name, "version": old.version,
            "paths": old.files, "link": old.link,
        })));
    }
    let version = old.version.as_deref().unwrap_or("another version");
    let path = there.first().map_or(Path::new(""), |i| &i.dest);
    Err(exists(
        path,
        &format!(
            "{version} was installed from this link and updates itself; to install anew, first \
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
fn inside(all: &[DriveEntry], folder: &str, items: &[Item]) -> Result<Vec<DriveEntry>, CommandError> {
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

/// The work folder beside a destination; the same for every try.
fn work_folder(dest: &Path, key: &[u8; 32]) -> PathBuf {
    let id: String = id::encode(key).chars().take(16).collect();
    dest.parent().unwrap_or(Path::new(".")).join(format!(".bosc-install-{id}"))
}

fn write(
    dumping: &mut Dumping<'_>,
    items: &[Item],
    entries: &[DriveEntry],
    key: &[u8; 32],
    stop: &Stop,
) -> Result<(), CommandError> {
    let mut folders: BTreeMap<PathBuf, Vec<&Item>> = BTreeMap::new();
    for item in items {
        folders.entry(work_folder(&item.dest, key)).or_default().push(item);
    }
    for (work, items) in folders {
        let parent = work.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(io("cannot make", parent))?;
        match fs::symlink_metadata(&work) {
            Ok(meta) if !meta.is_dir() => return Err(exists(&work, "remove it")),
            _ => fs::create_dir_all(&work).map_err(io("cannot make", &work))?,
        }
        let own: Vec<DriveEntry> = entries
            .iter()
            .filter(|e| items.iter().any(|i| e.key.split('/').nth(1) == Some(i.name.as_str())))
            .cloned()
            .collect();
        let how = Dump { force: true, prune: true, ..Dump::default() };
        dumping.write(&how, &work, &own)?;
        for item in &items {
            let at = work.join(&item.name);
            if !item.folder {
                runnable(&at).map_err(io("cannot make executable", &at))?;
            }
            sync_tree(&at).map_err(io("cannot write", &at))?;
        }
        if stop.is_stopped() {
            return Err(stopped());
        }
        for item in &items {
            let at = work.join(&item.name);
            // Only what the receipt says is ours gets here.
            if item.folder || item.dest.is_dir() {
                remove(&item.dest)?;
            }
            fs::rename(&at, &item.dest).map_err(io("cannot install", &item.dest))?;
        }
        remove(&work)?;
        #[cfg(unix)]
        let _ = fs::File::open(parent).and_then(|f| f.sync_all());
    }
    Ok(())
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CommandError {
    let path = path.to_owned();
    move |e| {
        CommandError::new(ErrorKind::Permission, "ERR_UNWRITABLE", format!("{what} {}", path.display()))
            .because(e)
            .hint("check the folder's permissions, or choose another with --to; running it again goes on")
    }
}

/// Removes a file, symlink or folder. Whether there was one.
fn remove(path: &Path) -> Result<bool, CommandError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(io("cannot remove", path)(e)),
    }
}

/// Whoever may read it may run it, whatever the drive says: it is a program.
fn runnable(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path)?.permissions().mode();
        fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o100 | ((mode & 0o444) >> 2)))?;
    }
    let _ = path;
    Ok(())
}

fn sync_tree(path: &Path) -> std::io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_dir() {
        for item in fs::read_dir(path)? {
            sync_tree(&item?.path())?;
        }
    }
    if meta.is_file() || (meta.is_dir() && cfg!(unix)) {
        let file =
            if cfg!(windows) { fs::File::options().write(true).open(path) } else { fs::File::open(path) };
        file?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
