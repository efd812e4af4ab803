//! What goes where, checked before anything is written.

use super::package::ProjectPackage;
use crate::error::{CommandError, ErrorKind};
use crate::folder::ignore_file::FILE_NAMES as IGNORE;
use crate::folder::package::{extension, fits};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Platforms an artifact can be for.
pub const ARCHITECTURES: [&str; 6] =
    ["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64", "win32-arm64", "win32-x64"];

/// An artifact as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// One of [`ARCHITECTURES`].
    pub arch: String,
    /// The file or folder. Absolute.
    pub path: PathBuf,
    /// It is called as the application is, whatever the file is called; with the file's own extension.
    pub rename: bool,
}

/// An artifact and its place.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) arch: String,
    /// As given.
    pub(super) origin: PathBuf,
    /// Below the target, with `/`.
    pub(super) file: String,
}

/// Everything is as it must be.
#[derive(Debug)]
pub(super) struct BuildPlan {
    pub(super) target: PathBuf,
    pub(super) artifacts: Vec<Placed>,
    /// CHANGELOG.md and pear.json beside the package; the ignore file, for `stage`.
    pub(super) carried: Vec<(PathBuf, &'static str)>,
}

pub(super) fn plan(
    project: &ProjectPackage,
    target: &Path,
    artifacts: &[Artifact],
    cwd: &Path,
) -> Result<BuildPlan, CommandError> {
    if artifacts.is_empty() {
        return Err(CommandError::input("no artifact was given")
            .hint("name at least one, as in `--linux-x64-app ./dist/App.AppImage`"));
    }
    let target = std::path::absolute(target).map_err(|e| super::errors::io_error("cannot use", target, e))?;
    let real_target = real(&target)?;
    let bins = project.bins();
    let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut placed = Vec::new();
    for artifact in artifacts {
        let (arch, origin) = (&artifact.arch, &artifact.path);
        if !ARCHITECTURES.contains(&arch.as_str()) {
            return Err(CommandError::input(format!("no such platform: {arch}"))
                .hint(format!("platforms are {}", ARCHITECTURES.join(", "))));
        }
        let found = std::fs::metadata(origin).map_err(|e| {
            CommandError::not_found(format!("no artifact for {arch} at {}", origin.display()))
                .because(e)
                .hint("build it first, and check the path")
        })?;
        if !found.is_file() && !found.is_dir() {
            return Err(CommandError::input(format!("{} is neither a file nor a folder", origin.display())));
        }
        let own = origin.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let name = match artifact.rename {
            true => release_name(own, project.app_name(), &bins),
            false => own.to_owned(),
        };
        let name = name.as_str();
        if !fits(name, project.app_name(), &bins) {
            return Err(CommandError::new(
                ErrorKind::Input,
                "ERR_INVALID_APP_NAME",
                format!("expected {} but got {name} for {arch}", project.app_name()),
            )
            .hint(
                "the artifact is called as productName (else name) says, before its extension, or as a key of `bin`",
            ));
        }
        let real_origin = real(origin)?;
        nested(&real_origin, &real_target, origin, &target)?;
        let file = format!("by-arch/{arch}/app/{name}");
        if let Some(other) = seen.insert(file.to_lowercase(), origin.clone()) {
            return Err(CommandError::input(format!(
                "{} and {} would both be {file}",
                other.display(),
                origin.display()
            ))
            .hint("give each artifact once"));
        }
        placed.push(Placed { arch: arch.clone(), origin: origin.clone(), file });
    }
    placed.sort_by(|a, b| a.file.cmp(&b.file));
    let folder = project.file.parent().unwrap_or(Path::new("."));
    let beside = ["CHANGELOG.md", "pear.json"].map(|name| (folder.join(name), name));
    // The first that is there counts: beside the package, or in the folder of the project.
    let ignore = [folder, cwd].into_iter().flat_map(|at| IGNORE.map(|name| (at.join(name), name)));
    let ignore = ignore.into_iter().find(|(path, _)| path.is_file());
    let carried = beside.into_iter().filter(|(path, _)| path.is_file()).chain(ignore).collect();
    Ok(BuildPlan { target, artifacts: placed, carried })
}

/// What a build is called in a release: by its own name where that fits, else as the application is, with the build's extension.
pub(crate) fn release_name(path: &str, app: &str, bins: &[String]) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    match extension(name) {
        _ if fits(name, app, bins) => name.to_owned(),
        Some(extension) => format!("{app}.{extension}"),
        None => app.to_owned(),
    }
}

/// Neither may lie in the other: the target would hold itself, or a rename would take a source away.
fn nested(real_origin: &Path, real_target: &Path, origin: &Path, target: &Path) -> Result<(), CommandError> {
    let (which, inside, outside) = if real_target.starts_with(real_origin) {
        ("target", target, origin)
    } else if real_origin.starts_with(real_target) {
        ("source", origin, target)
    } else {
        return Ok(());
    };
    Err(CommandError::input(format!("the {which} {} lies inside {}", inside.display(), outside.display()))
        .hint("choose a target beside the sources with --target"))
}

/// A path without symlinks, also when its last parts do not exist yet.
pub(super) fn real(path: &Path) -> Result<PathBuf, CommandError> {
    let mut rest = Vec::new();
    let mut at = path;
    loop {
        if let Ok(found) = std::fs::canonicalize(at) {
            return Ok(rest.iter().rev().fold(found, |p: PathBuf, name| p.join(name)));
        }
        match at.components().next_back() {
            Some(Component::Normal(name)) => rest.push(name.to_owned()),
            Some(Component::ParentDir) => {
                return Err(CommandError::input(format!("{} cannot be resolved", path.display()))
                    .hint("give the path without `..`"));
            }
            _ => {}
        }
        match at.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => at = parent,
            _ => return Ok(path.to_owned()),
        }
    }
}
