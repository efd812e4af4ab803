//! Files from their sources into the tree that will be the target.

use super::errors::io_error;
use super::event::BuildEvent;
use super::package::ProjectPackage;
use super::plan::BuildPlan;
use crate::command::{Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use crate::folder::glob::{Ignore, Only};
use crate::folder::scan::{FileStat, LocalKind, ScanError, executable, links, open_named, scan};
use bosc_files::Dir;
use bosc_files::open_plain;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What was copied.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FilesCopied {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

pub(super) fn copy(
    plan: &BuildPlan,
    project: &ProjectPackage,
    tree: &Dir,
    sink: &mut dyn Sink,
    stop: &Stop,
) -> Result<FilesCopied, CommandError> {
    let mut done = FilesCopied::default();
    let package = "package.json";
    tree.create_file(package, 0o666)
        .and_then(|mut file| file.write_all(&project.text))
        .map_err(|e| io_error("cannot write", &tree.path().join(package), e))?;
    done.files += 1;
    done.bytes += project.text.len() as u64;
    sink.tell(BuildEvent::Carried { file: plan.target.join(package), origin: project.file.clone() });
    for (origin, name) in &plan.carried {
        one(origin, None, tree, name, &mut done)?;
        sink.tell(BuildEvent::Carried { file: plan.target.join(name), origin: origin.clone() });
    }
    for artifact in &plan.artifacts {
        let (folders, name) = artifact.file.rsplit_once('/').unwrap_or(("", &artifact.file));
        let to = make(tree, folders)?;
        if artifact.origin.is_dir() {
            let to = make(&to, name)?;
            folder(&artifact.origin, &to, &mut done, sink, stop)?;
        } else {
            one(&artifact.origin, None, &to, name, &mut done)?;
            let meta = fs::metadata(&artifact.origin).ok();
            if artifact.arch.starts_with("linux") && meta.as_ref().and_then(executable) == Some(false) {
                sink.tell(BuildEvent::Warning {
                    file: artifact.file.clone(),
                    message: "it is not executable; make it so with `chmod +x` and build again".to_owned(),
                });
            }
        }
    }
    Ok(done)
}

/// The folder below another, made as far as it is missing.
fn make(dir: &Dir, folders: &str) -> Result<Dir, CommandError> {
    dir.descend_making(folders.split('/').filter(|n| !n.is_empty()))
        .map_err(|e| io_error("cannot make", &dir.path().join(folders), e))
}

/// Copies a file with its permissions, less those to take its owner's place when it runs. `found` is what it was when it
/// was found: another file that was put there meanwhile is not taken for it.
fn one(
    from: &Path,
    found: Option<&FileStat>,
    to: &Dir,
    name: &str,
    done: &mut FilesCopied,
) -> Result<(), CommandError> {
    let read = |e| io_error("cannot copy", from, e);
    let write = |e| io_error("cannot write", &to.path().join(name), e);
    let mut source = match found {
        Some(_) => open_plain(from).map_err(read)?,
        None => open_named(from)?,
    };
    let meta = source.metadata().map_err(read)?;
    if !meta.is_file() || found.is_some_and(|f| !FileStat::new(&meta).same_times(f)) {
        return Err(read(std::io::Error::other("it changed while it was read")));
    }
    let mut copy = to.create_file(name, 0o600).map_err(write)?;
    let bytes = std::io::copy(&mut source, &mut copy).map_err(read)?;
    let permissions = meta.permissions();
    #[cfg(unix)]
    let permissions = {
        use std::os::unix::fs::PermissionsExt;
        fs::Permissions::from_mode(permissions.mode() & 0o777)
    };
    if !cfg!(windows) {
        copy.set_permissions(permissions).map_err(write)?;
    }
    done.files += 1;
    done.bytes += bytes;
    Ok(())
}

fn folder(
    from: &Path,
    to: &Dir,
    done: &mut FilesCopied,
    sink: &mut dyn Sink,
    stop: &Stop,
) -> Result<(), CommandError> {
    let nothing = |e: crate::folder::pattern::GlobError| CommandError::failed(e.to_string());
    let everything = Only::new::<&str>([]).map_err(nothing)?;
    let found = scan(from, &Ignore::new::<&str>([]).map_err(nothing)?, &everything).map_err(scan_error)?;
    for skipped in &found.skipped {
        sink.tell(BuildEvent::Skipped { path: skipped.path.clone(), reason: skipped.why.to_owned() });
    }
    for (key, target) in links::dangling(&found.files, std::iter::empty()) {
        let file = from.join(key.trim_start_matches('/')).display().to_string();
        sink.tell(BuildEvent::Warning {
            file,
            message: format!("it is a link that leads nowhere: {target}"),
        });
    }
    if found.files.is_empty() {
        return Err(CommandError::input(format!("{} holds no files", from.display()))
            .hint("build the application first"));
    }
    // Files of one folder follow each other.
    let mut last: Option<(&str, Dir)> = None;
    for file in &found.files {
        if stop.is_stopped() {
            return Err(CommandError::new(
                ErrorKind::Interrupted,
                "ERR_INTERRUPTED",
                "stopped before the end",
            )
            .hint("run the command again; the target was not touched"));
        }
        let (folder, name) = file.key.rsplit_once('/').unwrap_or(("", &file.key));
        let place = match last.take().filter(|(key, _)| *key == folder) {
            Some((_, dir)) => dir,
            None => make(to, folder)?,
        };
        match &file.kind {
            LocalKind::File { stat, .. } => one(&file.path, Some(stat), &place, name, done)?,
            LocalKind::Symlink { target } => {
                let text: PathBuf = relative(&file.key, target).components().collect();
                // Only Windows asks what it leads to.
                let leads = cfg!(windows) && place.path().join(&text).is_dir();
                place
                    .symlink(text.as_os_str(), name, leads)
                    .map_err(|e| io_error("cannot link", &place.path().join(name), e))?;
                done.files += 1;
            }
        }
        last = Some((folder, place));
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

fn scan_error(e: ScanError) -> CommandError {
    // Here nothing is left out with `--ignore`.
    CommandError::from(e).hint("correct the artifact and build again; the target was not touched")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_that_was_put_there_after_the_scan_is_refused_and_nobody_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("fifo"), dir.path().join("to"));
        fs::create_dir(&to).unwrap();
        crate::folder::make_fifo(&from);
        let mut done = FilesCopied::default();
        let e = one(&from, None, &Dir::open(&to).unwrap(), "file", &mut done).unwrap_err();
        assert!(e.to_string().contains("it is a pipe"), "{e}");
        assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
    }
}
