//! Files from their sources into the tree that will be the target.

use super::io_error;
use super::package::ProjectPackage;
use super::plan::Plan;
use crate::command::{Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use crate::glob::{Ignore, Only};
use crate::scan::{LocalKind, ScanError, executable, scan};
use serde_json::json;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What was copied.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

pub(super) fn copy(
    plan: &Plan,
    project: &ProjectPackage,
    tree: &Path,
    sink: &mut dyn Sink,
    stop: &Stop,
) -> Result<Copied, CommandError> {
    let mut done = Copied::default();
    let package = tree.join("package.json");
    let mut file = File::create_new(&package).map_err(|e| io_error("cannot write", &package, e))?;
    file.write_all(&project.text)
        .and_then(|()| file.sync_all())
        .map_err(|e| io_error("cannot write", &package, e))?;
    done.files += 1;
    done.bytes += project.text.len() as u64;
    sink.event("carried", json!({ "file": plan.target.join("package.json"), "origin": project.file }));
    for (origin, name) in &plan.carried {
        one(origin, &tree.join(name), &mut done)?;
        sink.event("carried", json!({ "file": plan.target.join(name), "origin": origin }));
    }
    for artifact in &plan.artifacts {
        let to = tree.join(&artifact.file);
        if artifact.origin.is_dir() {
            folder(&artifact.origin, &to, &mut done, sink, stop)?;
        } else {
            one(&artifact.origin, &to, &mut done)?;
            let meta = fs::metadata(&artifact.origin).ok();
            if artifact.arch.starts_with("linux") && meta.as_ref().and_then(executable) == Some(false) {
                sink.event(
                    "warning",
                    json!({ "file": artifact.file,
                            "message": "it is not executable; make it so with `chmod +x` and build again" }),
                );
            }
        }
    }
    sync_folders(tree)?;
    Ok(done)
}

fn one(from: &Path, to: &Path, done: &mut Copied) -> Result<(), CommandError> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|e| io_error("cannot make", folder, e))?;
    }
    // Permissions come along; on Windows so do the attributes.
    let bytes = fs::copy(from, to).map_err(|e| io_error("cannot copy", from, e))?;
    // A file that may not be written to cannot be opened for writing to sync it; reading is enough on Unix.
    let file = if cfg!(unix) { File::open(to) } else { File::options().write(true).open(to) };
    match file.and_then(|f| f.sync_all()) {
        Err(e) if e.kind() != std::io::ErrorKind::PermissionDenied => {
            return Err(io_error("cannot write", to, e));
        }
        _ => {}
    }
    done.files += 1;
    done.bytes += bytes;
    Ok(())
}

fn folder(
    from: &Path,
    to: &Path,
    done: &mut Copied,
    sink: &mut dyn Sink,
    stop: &Stop,
) -> Result<(), CommandError> {
    let nothing = |e: crate::glob::GlobError| CommandError::failed(e.to_string());
    let everything = Only::new::<&str>([]).map_err(nothing)?;
    let found = scan(from, &Ignore::new::<&str>([]).map_err(nothing)?, &everything).map_err(scan_error)?;
    for skipped in &found.skipped {
        sink.event("skipped", json!({ "path": skipped.path, "reason": skipped.why }));
    }
    if found.files.is_empty() {
        return Err(CommandError::input(format!("{} holds no files", from.display()))
            .hint("build the application first"));
    }
    fs::create_dir_all(to).map_err(|e| io_error("cannot make", to, e))?;
    for file in &found.files {
        if stop.is_stopped() {
            return Err(CommandError::new(
                ErrorKind::Interrupted,
                "ERR_INTERRUPTED",
                "stopped before the end",
            )
            .hint("run the command again; the target was not touched"));
        }
        let place = file.key.split('/').filter(|p| !p.is_empty()).fold(to.to_owned(), |p, name| p.join(name));
        match &file.kind {
            LocalKind::File { .. } => one(&file.path, &place, done)?,
            LocalKind::Symlink { target } => {
                let up = place.parent().unwrap_or(to);
                fs::create_dir_all(up).map_err(|e| io_error("cannot make", up, e))?;
                link(&relative(&file.key, target), &place).map_err(|e| io_error("cannot link", &place, e))?;
                done.files += 1;
            }
        }
    }
    Ok(())
}

/// The text of a symlink. An absolute target (seen from the artifact's root) is written relative to the link, so that
/// it still holds from its new place.
pub(super) fn relative(key: &str, target: &str) -> PathBuf {
    let Some(inside) = target.strip_prefix('/') else { return PathBuf::from(target) };
    let depth = key.split('/').filter(|p| !p.is_empty()).count().saturating_sub(1);
    let mut out: PathBuf = (0..depth).map(|_| "..").collect();
    out.extend(inside.split('/').filter(|p| !p.is_empty()));
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

#[cfg(unix)]
fn link(text: &Path, at: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(text, at)
}

#[cfg(windows)]
fn link(text: &Path, at: &Path) -> std::io::Result<()> {
    let text: PathBuf = text.components().collect();
    let target = at.parent().unwrap_or(at).join(&text);
    if target.is_dir() {
        std::os::windows::fs::symlink_dir(text, at)
    } else {
        std::os::windows::fs::symlink_file(text, at)
    }
}

#[cfg(not(any(unix, windows)))]
fn link(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Makes the folders durable, innermost first; Windows has no way to.
fn sync_folders(folder: &Path) -> Result<(), CommandError> {
    if !cfg!(unix) {
        return Ok(());
    }
    let io = |e| io_error("cannot read", folder, e);
    for item in fs::read_dir(folder).map_err(io)? {
        let item = item.map_err(io)?;
        if item.file_type().map_err(io)?.is_dir() {
            sync_folders(&item.path())?;
        }
    }
    File::open(folder).and_then(|f| f.sync_all()).map_err(io)
}

fn scan_error(e: ScanError) -> CommandError {
    CommandError::new(ErrorKind::Permission, "ERR_UNREADABLE", e.to_string())
        .hint("mend the artifact and build again; the target was not touched")
}
