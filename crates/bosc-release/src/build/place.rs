//! The target and the work folder beside it.
//!
//! `.<target>.bosc-build-<random>/` ([`bosc_files::Work`]: made anew, mode 0700, locked while a build runs) holds `tree/`,
//! what will be the target, and after the exchange the target it replaces. What a killed build left is put right and
//! removed by the next one.

use super::errors::io_error;
use super::plan::ARCHITECTURES;
use crate::error::{CommandError, ErrorKind};
use crate::folder::package::{MAX_PACKAGE_LEN, Package, fits};
use bosc_files::{Dir, Meta, Work};
use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind as Io, Read};
use std::path::{Path, PathBuf};

/// What a build makes beside `by-arch`.
const FILES: [&str; 5] = ["package.json", "CHANGELOG.md", "pear.json", ".boscignore", ".pearignore"];
/// What systems leave in folders that somebody looked at.
const SYSTEMS: [&str; 3] = [".DS_Store", "Thumbs.db", "desktop.ini"];
const TREE: &str = "tree";
/// Most of a target's name that its work folder's has.
const NAME_PART: usize = 100;

pub(super) struct BuildPlace {
    target: PathBuf,
    name: OsString,
    parent: Dir,
    work: Work,
    tree: Dir,
    /// What is replaced.
    old: Option<Meta>,
}

impl BuildPlace {
    /// Checks the target and makes the work folder.
    pub(super) fn open(target: &Path, force: bool) -> Result<Self, CommandError> {
        let name = target.file_name().ok_or_else(|| {
            CommandError::input(format!("{} cannot be a target", target.display()))
                .hint("name a folder that does not exist yet with --target")
        })?;
        let part: String = name.to_string_lossy().chars().take(NAME_PART).collect();
        let prefix = format!(".{part}.bosc-build-");
        let above = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let sweep =
            |parent: &Dir| Work::sweep(parent, &prefix).map_err(|e| io_error("cannot restore", target, e));
        // Looked at before anything is made.
        let mut old = None;
        match Dir::open(above) {
            Ok(parent) => {
                if sweep(&parent)?.busy > 0 {
                    return Err(locked(target));
                }
                old = check(&parent, name, target, force)?;
            }
            Err(e) if e.kind() == Io::NotFound => {}
            Err(e) => return Err(io_error("cannot use", above, e)),
        }
        let parent = Dir::create(above, 0o777).map_err(|e| io_error("cannot make", above, e))?;
        let make = |e| io_error("cannot make a folder to work in beside", target, e);
        let work = Work::create(&parent, &prefix).map_err(make)?;
        // Another build that began at the same moment sees this one, too.
        if sweep(&parent)?.busy > 1 {
            return Err(locked(target));
        }
        let tree = work.dir().create_dir(TREE, 0o777).map_err(make)?;
        Ok(Self { target: target.to_owned(), name: name.to_owned(), parent, work, tree, old })
    }

    pub(super) fn tree(&self) -> &Dir {
        &self.tree
    }

    /// Makes the tree durable and puts it in the target's place.
    pub(super) fn finish(self) -> Result<(), CommandError> {
        let io = |e| io_error("cannot write", &self.target, e);
        self.work.dir().sync_below(TREE).map_err(io)?;
        self.work.put(TREE, &self.parent, &self.name, self.old.as_ref()).map_err(io)
    }
}

fn locked(target: &Path) -> CommandError {
    CommandError::new(
        ErrorKind::Failed,
        "ERR_LOCKED",
        format!("another build of {} is running", target.display()),
    )
    .hint("wait for it, or choose another --target")
}

/// A target must be absent or empty, or with `--force` a deployment directory. What there is of it.
fn check(parent: &Dir, name: &OsStr, target: &Path, force: bool) -> Result<Option<Meta>, CommandError> {
    let exists = |message: String, hint: &str| {
        Err(CommandError::new(ErrorKind::Input, "ERR_DIR_NONEMPTY", message).hint(hint))
    };
    match parent.metadata(name) {
        Ok(meta) if !meta.is_folder() => {
            return exists(format!("{} is not a folder", target.display()), "choose another --target");
        }
        Ok(_) => {}
        Err(e) if e.kind() == Io::NotFound => return Ok(None),
        Err(e) => return Err(io_error("cannot use", target, e)),
    }
    let read = |e| io_error("cannot read", target, e);
    let dir = parent.open_dir(name).map_err(read)?;
    let found = dir.own_metadata().map_err(read)?;
    if dir.list().map_err(read)?.is_empty() {
        return Ok(Some(found));
    }
    if !force {
        return exists(
            format!("{} is not empty", target.display()),
            "choose another --target, or replace this one with --force",
        );
    }
    if let Some(other) = not_built(&dir).map_err(read)? {
        return exists(
            format!("{} is not a deployment directory ({other}), so it is not replaced", target.display()),
            "choose another --target, or remove that folder yourself",
        );
    }
    Ok(Some(found))
}

fn is_of_system(name: &OsStr) -> bool {
    SYSTEMS.iter().any(|s| name == *s)
}

/// What in a folder a build does not make, or lacks; `None` for a deployment directory.
fn not_built(dir: &Dir) -> std::io::Result<Option<String>> {
    let is = |dir: &Dir, name: &str, kind: fn(&Meta) -> bool| dir.metadata(name).is_ok_and(|m| kind(&m));
    if !is(dir, "package.json", Meta::is_file) {
        return Ok(Some("it has no package.json".to_owned()));
    }
    if !is(dir, "by-arch", Meta::is_folder) {
        return Ok(Some("it has no by-arch".to_owned()));
    }
    let package = dir.open_file("package.json").and_then(|file| {
        let mut text = Vec::new();
        file.take(MAX_PACKAGE_LEN).read_to_end(&mut text).map(|_| text)
    })?;
    // What it was built from says how its artifacts are called.
    let names = Package::parse(&package).map(|package| package.app_names()).unwrap_or_default();
    let (app, bins) = names.split_first().map_or(("", &[][..]), |(app, bins)| (app.as_str(), bins));
    let by_arch = dir.open_dir("by-arch")?;
    let mut builds = 0;
    for (folder, shown, known) in [(dir, "", &FILES[..]), (&by_arch, "by-arch/", &ARCHITECTURES[..])] {
        for name in folder.list()? {
            let name = name.to_string_lossy().into_owned();
            let built = match shown {
                "" => name == "by-arch" || is(folder, &name, Meta::is_file),
                _ => is(folder, &name, Meta::is_folder),
            };
            if is_of_system(OsStr::new(&name)) {
                continue;
            }
            if !built || name != "by-arch" && !known.contains(&name.as_str()) {
                return Ok(Some(format!("it holds {shown}{name}")));
            }
            if shown.is_empty() {
                continue;
            }
            builds += 1;
            let platform = folder.open_dir(&name)?;
            for other in platform.list()?.iter().filter(|n| !is_of_system(n)) {
                let other = other.to_string_lossy();
                if other != "app" || !is(&platform, "app", Meta::is_folder) {
                    return Ok(Some(format!("it holds {shown}{name}/{other}")));
                }
                let artifacts = platform.open_dir("app")?.list()?;
                let foreign = artifacts
                    .iter()
                    .find(|n| !is_of_system(n) && !n.to_str().is_some_and(|n| fits(n, app, bins)));
                if let Some(foreign) = foreign {
                    return Ok(Some(format!("it holds {shown}{name}/app/{}", foreign.to_string_lossy())));
                }
            }
        }
    }
    Ok((builds == 0).then(|| "its by-arch holds no build".to_owned()))
}
