//! `build`: per-OS builds of an application merged into one deployment directory.
//!
//! ```text
//! <target>/package.json                              from package.json, Cargo.toml or tauri.conf.json
//! <target>/CHANGELOG.md, pear.json                   if they lie beside it
//! <target>/by-arch/<platform>-<arch>/app/<name>      each artifact, a file or a folder
//! ```
//!
//! Steps: read the package, check every name and path (`plan`), copy into a work folder beside the target, sync it,
//! rename it to the target. Invariants:
//! 1. The target is absent or the old one until the very last step, and whole after it, kill -9 included.
//! 2. Nothing is copied before every check has passed; the sources are never written to.
//! 3. A target is replaced (`--force`) only when it is a deployment directory itself.
//! 4. One build of a target at a time: the work folder is locked. What a killed build left there is removed by the next.
//!
//! Executable bits and symlinks are kept. Symlinks that leave the artifact are followed, as `stage` follows them: as
//! links they would lead nowhere from their new place.

mod copy;
mod package;
mod place;
mod plan;
#[cfg(test)]
mod tests;

pub(crate) use package::bin_names;
pub use package::{PackageKind, ProjectPackage, find_package, read_project};
pub use plan::{ARCHITECTURES, Artifact};

use crate::command::{Outcome, Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use serde_json::json;
use std::path::PathBuf;

/// `bosc build`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// `package.json`, `Cargo.toml`, `tauri.conf.json`, or a folder that holds one. Absolute.
    pub package: Option<PathBuf>,
    /// Where the deployment directory goes, absolute; `./<name>-<version>` in `cwd` when not given.
    pub target: Option<PathBuf>,
    /// The folder the command was given in.
    pub cwd: PathBuf,
    /// The artifacts.
    pub artifacts: Vec<Artifact>,
    /// Replace an existing deployment directory.
    pub force: bool,
}

/// Builds a deployment directory. Events: `building`, `carried`, `executable`, `skipped`, `warning`.
pub fn run(request: &Build, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
    let file = find_package(request.package.as_deref(), &request.cwd)?;
    let project = read_project(&file)?;
    let target = match &request.target {
        Some(target) => target.clone(),
        None => request.cwd.join(project.folder_name()),
    };
    let plan = plan::plan(&project, &target, &request.artifacts)?;
    let place = place::Place::open(&plan.target, request.force)?;
    sink.event(
        "building",
        json!({
            "name": project.app_name(),
            "version": project.version,
            "target": plan.target,
            "package": project.file,
            "from": project.kind.name(),
        }),
    );
    let done = copy::copy(&plan, &project, place.tree(), sink, stop)?;
    for artifact in &plan.artifacts {
        sink.event(
            "executable",
            json!({ "file": plan.target.join(&artifact.file), "origin": artifact.origin }),
        );
    }
    if stop.is_stopped() {
        return Err(CommandError::new(ErrorKind::Interrupted, "ERR_INTERRUPTED", "stopped before the end")
            .hint("run the command again; the target was not touched"));
    }
    place.finish()?;
    let mut platforms: Vec<&str> = plan.artifacts.iter().map(|a| a.arch.as_str()).collect();
    platforms.sort_unstable();
    platforms.dedup();
    Ok(json!({
        "target": plan.target,
        "name": project.app_name(),
        "version": project.version,
        "executables": plan.artifacts.len(),
        "platforms": platforms,
        "files": done.files,
        "bytes": done.bytes,
    }))
}

/// A file or folder that cannot be read or written.
fn io_error(what: &str, path: &std::path::Path, e: std::io::Error) -> CommandError {
    let hint = match e.kind() {
        std::io::ErrorKind::StorageFull => "free some space and run the command again",
        std::io::ErrorKind::PermissionDenied => "check the permissions of that path",
        _ => "check that path and run the command again; the target was not touched",
    };
    CommandError::new(ErrorKind::Failed, "ERR_OPERATION_FAILED", format!("{what} {}", path.display()))
        .because(e)
        .hint(hint)
}
