//! `init`: a project of whatever tool becomes one that `bosc publish` releases.
//!
//! ```text
//! applications of the folder --> one is chosen --> looked at --> name and version known --> planned --> shown
//!   --> (a link is made, named after the application) --> planned with it --> written --> what to type next
//! ```
//!
//! A person, or flags, choose and know; nothing here asks. Run again it finds everything there and plans nothing.
//!
//! # Invariants
//!
//! 1. Nothing is written before all was read, planned and, where it changes what is there, shown as a diff and agreed to.
//! 2. A file is the old one or the new one at every instant (`write`); `bosc.toml`, which names the link, comes first, and the
//!    package, which carries it, last: whenever it was killed, the same command ends with the same link.
//! 3. Nothing is written, or read as a part of the project, through a link that leads out of the folder.
//! 4. What a person wrote stays: of files that carry more than ours only our part changes; a file of ours that was changed is
//!    replaced with `--force` only.
//! 5. What comes from a project's files into a workflow or a program is a name of few signs (`look`), or a path of few signs
//!    (`plan`).
//!
//! # Files
//!
//! - `candidates`: which applications a folder may be the project of, workspaces. `look`: what one says of itself, and names that are
//!   refused. `found`: both as data.
//! - `outputs`: where tools put their builds. `platform`: what a build runs on, by its first bytes. `read`: files of a project, none
//!   outside it.
//! - `plan`: which files are written, the name of the link. `config`: what is put into `bosc.toml`. `workflow`: the files for CI, and
//!   where. `templates/`: the lines for an application.
//! - `write`: onto the disk, where what is there is what was shown. `diff`: a change as people read it. `event`: what is told.

mod candidates;
mod config;
pub mod diff;
pub(crate) mod event;
mod found;
mod look;
mod outputs;
mod plan;
pub(crate) mod platform;
mod read;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
mod workflow;
mod write;

pub use event::{BuildFound, ChangeKind, FileChanged, InitDone, InitEvent};
pub use found::{Build, Candidate, Found, Loose, Tool};
pub use look::check_app_name;
pub use plan::{InitLink, Plan, PlannedFile, Settings, new_link_name};
pub use platform::host;
pub use workflow::Ci;

use crate::error::{CommandError, ErrorKind};
use crate::publish::project_file::ProjectFile;
use crate::shell_word::shell_word;
use std::path::Path;

/// The applications that a folder may be the project of. Where `bosc.toml` says which, that one.
///
/// # Errors
/// It is no folder, or a file of the project is damaged.
pub fn applications(dir: &Path) -> Result<Vec<Candidate>, CommandError> {
    match std::fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => {
            return Err(CommandError::input(format!("{} is not a folder", dir.display()))
                .hint("name the folder of a project, or of builds"));
        }
        Err(e) => {
            return Err(CommandError::not_found(format!("there is no {}", dir.display()))
                .because(e)
                .hint("name the folder of a project, or of builds"));
        }
    }
    let mut all = candidates::candidates(dir)?;
    let known = ProjectFile::read(dir)?.and_then(|file| Some((file.package?, file.builds)));
    if let Some((package, builds)) = known
        && all.iter().any(|c| c.package.as_deref() == Some(&package))
    {
        all.retain(|c| c.package.as_deref() == Some(&package));
        let built = |c: &Candidate| {
            let program = c.program.as_deref().unwrap_or_default();
            let is = |path: &String| {
                path.rsplit('/').next().is_some_and(|n| n.trim_end_matches(".exe") == program)
            };
            builds.values().any(is)
        };
        let first = all.iter().position(built).unwrap_or(0);
        all = all.into_iter().skip(first).take(1).collect();
    }
    Ok(all)
}

/// Those that `bosc.toml` leaves out: it releases another one from the folder.
///
/// # Errors
/// As [`applications`].
pub fn left_out(dir: &Path) -> Result<Vec<Candidate>, CommandError> {
    let chosen = applications(dir)?;
    Ok(candidates::candidates(dir)?.into_iter().filter(|c| !chosen.contains(c)).collect())
}

/// Looks at one of [`applications`]; without one, at what lies in the folder.
///
/// # Errors
/// A file of the project is damaged, says no version, or a name that cannot be one; there is nothing to release.
pub fn look(dir: &Path, candidate: Option<&Candidate>) -> Result<Found, CommandError> {
    let found = look::look(dir, candidate)?;
    if found.builds.is_empty() && !found.as_it_is {
        let known =
            "package.json, Cargo.toml, tauri.conf.json, tauri.conf.json5, Tauri.toml or pyproject.toml";
        return Err(CommandError::new(
            ErrorKind::Input,
            "ERR_INVALID_PROJECT_DIR",
            format!("there is neither a project nor a build in {}", dir.display()),
        )
        .hint(format!(
            "name the folder of a project ({known}), or one that holds builds of an application"
        )));
    }
    Ok(found)
}

/// The name of the link that `bosc.toml` says.
///
/// # Errors
/// `ERR_INVALID_CONFIG`.
pub fn known_link_name(dir: &Path) -> Result<Option<String>, CommandError> {
    Ok(ProjectFile::read(dir)?.and_then(|file| file.link_name))
}

/// What is to be typed after `init`, in order. `shared`: the primary key is that of CI, so that what it released has to be asked for.
pub fn next(found: &Found, dir: &Path, link: &str, shared: bool) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(file) = plan::snippet_file(found) {
        out.push(format!("see the first lines of {file}: how the application calls it"));
    }
    if let Some(build) = &found.build_command {
        out.extend(look::install_command(dir, &found.candidate));
        out.push(build.clone());
    }
    let here = dir == Path::new(".") || std::env::current_dir().is_ok_and(|cwd| cwd == dir);
    let folder = if here { String::new() } else { format!(" {}", shell_word(&dir.display().to_string())) };
    out.push(match shared {
        true => format!("bosc publish{folder} --ci --first --copies 0"),
        false => format!("bosc publish{folder} --copies 0"),
    });
    out.push(format!("bosc seed {link}"));
    out
}
