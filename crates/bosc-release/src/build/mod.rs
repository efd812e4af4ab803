//! `build`: per-OS builds of an application merged into one deployment directory.
//!
//! ```text
//! <target>/package.json                              from package.json, Cargo.toml, tauri.conf.json or pyproject.toml
//! <target>/CHANGELOG.md, pear.json, .boscignore      if they lie beside it
//! <target>/by-arch/<platform>-<arch>/app/<name>      each artifact, a file or a folder
//! ```
//!
//! Steps: read the package, check every name and path (`plan`), copy into a work folder beside the target, sync it,
//! rename it to the target. Invariants:
//! 1. The target is absent or the old one until the very last step, and whole after it, kill -9 included.
//! 2. Nothing is copied before every check has passed, among them those for secrets and names (`checks`); the sources are
//!    never written to.
//! 3. A target is replaced (`--force`) only when it is a deployment directory itself, and holds no file beside its artifacts; what
//!    is in an artifact that is a folder is the artifact's.
//! 4. One build of a target at a time: the work folder is locked. What a killed build left there is removed by the next.
//!
//! Executable bits and symlinks are kept. Symlinks that leave the artifact are followed, as `stage` follows them: as
//! links they would lead nowhere from their new place.
//!
//! # Files
//!
//! - `package`: what is released, from package.json, Cargo.toml, tauri.conf.json (`json5`: its other form) or pyproject.toml;
//!   workspaces above. `release_package`: that of a folder which `stage` or `publish` is given, made where there is none. `plan`:
//!   what goes where, platforms, and which paths, names and targets are refused. `checks`: secrets and names.
//! - `copy`: files into the tree: executable bits, links. `place`: the target and the work folder beside it, when a target is
//!   replaced. `event`: what is reported. `errors`: of files.

mod checks;
mod copy;
mod errors;
pub(crate) mod event;
pub(crate) mod json5;
mod package;
mod place;
pub(crate) mod plan;
mod release_package;
#[cfg(test)]
mod tests;

pub use event::{BuildEvent, Built};
pub(crate) use package::project;
pub use package::{PackageKind, ProjectPackage, TAURI_FILES, Unfit, find_package, read_project};
pub(crate) use plan::release_name;
pub use plan::{ARCHITECTURES, Artifact};
pub use release_package::ReleasePackage;

use crate::command::{Sink, Stop};
use crate::error::{CommandError, ErrorKind};
use crate::output_file::check_output_folder;
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

fn planned(request: &Build) -> Result<(ProjectPackage, plan::BuildPlan), CommandError> {
    let file = find_package(request.package.as_deref(), &request.cwd)?;
    let project = read_project(&file)?;
    let target = match &request.target {
        Some(target) => target.clone(),
        None => request.cwd.join(project.folder_name()),
    };
    let plan = plan::plan(&project, &target, &request.artifacts, &request.cwd)?;
    Ok((project, plan))
}

/// Fails as [`run`] would for what is wrong with the package or the artifacts. Nothing is written.
pub(crate) fn check(request: &Build) -> Result<(), CommandError> {
    let (project, plan) = planned(request)?;
    checks::check(&plan, &project, &mut |_: crate::event::Event| {})
}

/// Builds a deployment directory. Events: `building`, `carried`, `executable`, `skipped`, `warning`, `looks-secret`,
/// `bad-name`.
pub fn run(request: &Build, sink: &mut dyn Sink, stop: &Stop) -> Result<Built, CommandError> {
    let (project, plan) = planned(request)?;
    let inputs = if plan.target.is_dir() { std::slice::from_ref(&project.file) } else { &[] };
    check_output_folder(&plan.target, inputs)?;
    make(&project, &plan, request.force, sink, stop)
}

/// Builds in a folder of the store that is there for it.
pub(crate) fn run_aside(request: &Build, sink: &mut dyn Sink, stop: &Stop) -> Result<Built, CommandError> {
    let (project, plan) = planned(request)?;
    make(&project, &plan, request.force, sink, stop)
}

fn make(
    project: &ProjectPackage,
    plan: &plan::BuildPlan,
    force: bool,
    sink: &mut dyn Sink,
    stop: &Stop,
) -> Result<Built, CommandError> {
    checks::check(plan, project, sink)?;
    let place = place::BuildPlace::open(&plan.target, force)?;
    sink.tell(BuildEvent::Building {
        name: project.app_name().to_owned(),
        version: project.version.clone(),
        target: plan.target.clone(),
        package: project.file.clone(),
        from: project.kind,
    });
    let done = copy::copy(plan, project, place.tree(), sink, stop)?;
    for artifact in &plan.artifacts {
        sink.tell(BuildEvent::Executable {
            file: plan.target.join(&artifact.file),
            origin: artifact.origin.clone(),
        });
    }
    if stop.is_stopped() {
        return Err(CommandError::new(ErrorKind::Interrupted, "ERR_INTERRUPTED", "stopped before the end")
            .hint("run the command again; the target was not touched"));
    }
    place.finish()?;
    let mut platforms: Vec<String> = plan.artifacts.iter().map(|a| a.arch.clone()).collect();
    platforms.sort_unstable();
    platforms.dedup();
    Ok(Built {
        name: project.app_name().to_owned(),
        version: project.version.clone(),
        executables: plan.artifacts.len(),
        target: plan.target.clone(),
        platforms,
        files: done.files,
        bytes: done.bytes,
    })
}
