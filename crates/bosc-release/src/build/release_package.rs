//! What a folder releases: its package.json, or one made of the project that it belongs to.
//!
//! Clients read `/package.json` of a drive, JavaScript's too, so every release has one. Where the folder has none, it is made
//! as `build` makes it, of a `tauri.conf.json`, `Cargo.toml` or `pyproject.toml` of the folder above, where builds are put in most projects
//! (`dist`, `release`, `target`). It is made anew for each release and never written into the folder: a copy there would keep
//! the version it was made with.
//!
//! Two things are refused rather than guessed:
//! - a package.json above: whoever names a folder inside a deployment directory would release a part of it;
//! - a project itself as the folder: all of it would be released, sources and build caches too. With artifacts it is what it
//!   looks like, and a deployment directory is made of them.

use super::package::{PackageKind, find_package, is_package, is_python_project, read_project, tauri_files};
use crate::error::{CommandError, ErrorKind};
use crate::folder::package::{Package, PackageError, package_error};
use std::path::{Path, PathBuf};

/// What a folder releases.
#[derive(Debug, Clone)]
pub struct ReleasePackage {
    /// The file it was read from.
    pub file: PathBuf,
    /// What kind of file that is.
    pub kind: PackageKind,
    /// Name, version, link and the rest.
    pub package: Package,
    /// Bytes of the drive's package.json, where the folder has none.
    pub made: Option<Vec<u8>>,
}

impl ReleasePackage {
    /// Of a folder that is staged as it is.
    ///
    /// # Errors
    /// `ERR_INVALID_PROJECT_DIR`, `ERR_INVALID_MANIFEST`: there is none, or clients could not use it.
    pub fn of_folder(dir: &Path) -> Result<Self, CommandError> {
        let error = match Package::read_for_release(dir) {
            Ok(package) => return Ok(Self::npm(dir, package)),
            Err(e) => e,
        };
        if !matches!(error, PackageError::NotFound { .. }) {
            return Err(package_error(error));
        }
        if let Some(own) = project_file(dir) {
            return Err(CommandError::new(
                ErrorKind::Input,
                "ERR_INVALID_PROJECT_DIR",
                format!("{} is a project: all of it would be released", dir.display()),
            )
            .because(std::io::Error::other(format!("it has a {}", name_of(&own))))
            .hint(
                "name what was built, as in `bosc publish . --linux-x64-app target/release/NAME`, or put the builds into a \
                 folder and name that",
            ));
        }
        // The real folder: `.` has nothing above it.
        let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        match real.parent().and_then(project_file) {
            Some(file) => Self::made_of(&file),
            None => Err(package_error(error)),
        }
    }

    /// Of a project whose artifacts are given.
    ///
    /// # Errors
    /// As [`ReleasePackage::of_folder`].
    pub fn of_project(dir: &Path) -> Result<Self, CommandError> {
        match Package::read_for_release(dir) {
            Ok(package) => Ok(Self::npm(dir, package)),
            Err(e @ PackageError::NotFound { .. }) => match find_package(Some(dir), dir) {
                Ok(file) => Self::made_of(&file),
                Err(_) => Err(package_error(e)),
            },
            Err(e) => Err(package_error(e)),
        }
    }

    /// Of a folder, or with artifacts of its project, whose package may be given.
    ///
    /// # Errors
    /// As [`ReleasePackage::of_folder`].
    pub fn of(dir: &Path, package: Option<&Path>, artifacts: bool) -> Result<Self, CommandError> {
        match (package, artifacts) {
            (_, false) => Self::of_folder(dir),
            (None, true) => Self::of_project(dir),
            (Some(file), true) if PackageKind::of(file) == PackageKind::Npm => {
                let folder = file.parent().unwrap_or(dir);
                Ok(Self::npm(folder, Package::read_for_release(folder).map_err(package_error)?))
            }
            (Some(file), true) => Self::made_of(file),
        }
    }

    fn npm(dir: &Path, package: Package) -> Self {
        Self { file: dir.join("package.json"), kind: PackageKind::Npm, package, made: None }
    }

    fn made_of(file: &Path) -> Result<Self, CommandError> {
        let project = read_project(file)?;
        let (kind, package) = (project.kind, project.package);
        Ok(Self { file: project.file, kind, package, made: Some(project.text) })
    }
}

/// The file of a project in another language than JavaScript.
fn project_file(dir: &Path) -> Option<PathBuf> {
    let cargo = dir.join("Cargo.toml");
    tauri_files(dir)
        .find(|p| p.is_file())
        .or_else(|| is_package(&cargo).then_some(cargo))
        .or_else(|| Some(dir.join("pyproject.toml")).filter(|p| is_python_project(p)))
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("dist")).unwrap();
        for (name, text) in files {
            std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    const CARGO: (&str, &str) = ("Cargo.toml", "[package]\nname = 'demo'\nversion = '1.2.3'\n");
    const TAURI: (&str, &str) =
        ("src-tauri/tauri.conf.json", r#"{"productName":"Demo App","version":"2.0.0"}"#);

    #[test]
    fn a_folder_of_builds_takes_its_package_from_the_project_it_lies_in() {
        let dir = folder(&[CARGO]);
        let dist = dir.path().join("dist");
        let found = ReleasePackage::of_folder(&dist).unwrap();
        assert_eq!((found.kind, found.package.version.as_deref()), (PackageKind::Cargo, Some("1.2.3")));
        assert_eq!(
            String::from_utf8(found.made.unwrap()).unwrap(),
            "{\n  \"name\": \"demo\",\n  \"version\": \"1.2.3\"\n}\n"
        );
        assert!(!dist.join("package.json").exists());
        // A Tauri project has a package.json of its web page, too.
        let dir = folder(&[CARGO, TAURI, ("package.json", r#"{"name":"page","version":"0.0.0"}"#)]);
        let found = ReleasePackage::of_folder(&dir.path().join("dist")).unwrap();
        assert_eq!((found.kind, found.package.name.as_deref()), (PackageKind::Tauri, Some("demo-app")));
        // What is in the folder counts.
        let dir = folder(&[CARGO, ("dist/package.json", r#"{"name":"own","version":"3.0.0"}"#)]);
        let found = ReleasePackage::of_folder(&dir.path().join("dist")).unwrap();
        assert_eq!((found.kind, found.package.name.as_deref()), (PackageKind::Npm, Some("own")));
        assert_eq!(found.made, None);
    }

    #[test]
    fn what_could_be_a_mistake_is_refused() {
        let refused = |dir: &Path| ReleasePackage::of_folder(dir).unwrap_err();
        let dir = folder(&[CARGO]);
        let e = refused(dir.path());
        assert!(e.message().contains("is a project") && e.hint_text().contains("--linux-x64-app"), "{e:?}");
        assert_eq!(ReleasePackage::of_project(dir.path()).unwrap().package.name.as_deref(), Some("demo"));
        // No more than one folder up, no workspace without a package, and no package.json above.
        std::fs::create_dir(dir.path().join("dist/inner")).unwrap();
        for (dir, below) in [
            (&dir, "dist/inner"),
            (&folder(&[("Cargo.toml", "[workspace]\n")]), "dist"),
            (&folder(&[("package.json", r#"{"name":"a","version":"1.0.0"}"#)]), "dist"),
        ] {
            assert!(refused(&dir.path().join(below)).message().contains("no package.json"), "{below}");
        }
        // What to create, with its two fields.
        let e = refused(&folder(&[]).path().join("dist"));
        assert_eq!((e.code(), e.kind()), ("ERR_INVALID_PROJECT_DIR", ErrorKind::Input));
        assert!(e.hint_text().contains(r#"{"name": "my-app", "version": "1.0.0"}"#), "{}", e.hint_text());
        // One that is there and wrong is not passed over.
        let dir = folder(&[CARGO, ("dist/package.json", "{}")]);
        assert_eq!(refused(&dir.path().join("dist")).code(), "ERR_INVALID_MANIFEST");
    }
}
