//! The `package.json` of what is released.
//!
//! It must lie in the folder itself: looking in the folders above, as Pear up to 3.3 does, stages the wrong tree.

use crate::error::{CommandError, ErrorKind};
use bosc_files::open_plain;
use serde_json::{Map, Value};
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Largest `package.json` read, in bytes.
pub const MAX_PACKAGE_LEN: u64 = 4 * 1024 * 1024;
/// The byte-order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Why there is no usable `package.json`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The folder has none.
    #[error("no package.json in {}", dir.display())]
    NotFound {
        /// The folder looked into.
        dir: PathBuf,
        /// A folder above that has one: probably what was meant.
        above: Option<PathBuf>,
    },
    /// It could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is fine for us, and clients cannot use it.
    #[error("{}: {problem}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What clients cannot use.
        problem: PackageProblem,
    },
    /// It is not a JSON object, or a field has the wrong type.
    #[error("{}: {what}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl PackageError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { above: Some(dir), .. } => Some(format!("did you mean {}?", dir.display())),
            Self::NotFound { above: None, .. } => Some(format!(
                "create it with two fields, {}, or name the folder that has one",
                r#"{"name": "my-app", "version": "1.0.0"}"#
            )),
            Self::Unusable { problem, .. } => Some(problem.hint().into()),
            _ => None,
        }
    }
}

/// A `package.json` that cannot be used.
pub(crate) fn package_error(e: PackageError) -> CommandError {
    let code = match &e {
        PackageError::Invalid { .. } | PackageError::Unusable { .. } => "ERR_INVALID_MANIFEST",
        _ => "ERR_INVALID_PROJECT_DIR",
    };
    let hint = e.hint().unwrap_or_else(|| "correct its package.json and run the command again".into());
    CommandError::new(ErrorKind::Input, code, e.to_string()).hint(hint)
}

/// Why clients cannot use a `package.json` that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PackageProblem {
    /// It starts with a byte-order mark: JavaScript's `JSON.parse` fails on it.
    #[error("it starts with a byte-order mark, and JavaScript clients cannot read it")]
    Mark,
    /// It has no `version`.
    #[error("it has no version")]
    NoVersion,
    /// `version` is not SemVer.
    #[error("its version {0:?} is not SemVer")]
    Version(String),
}

impl PackageProblem {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Mark => "save the file as UTF-8 without a byte-order mark (BOM)",
            _ => "set `version` to a SemVer, as in 1.2.3; clients take no other",
        }
    }
}

/// What the pipeline uses of a `package.json`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Package {
    /// `name`, or `pear.name` if given.
    pub name: Option<String>,
    /// `productName`.
    pub product_name: Option<String>,
    /// `version`, unchecked.
    pub version: Option<String>,
    /// `upgrade`: the link the application updates from.
    pub upgrade: Option<String>,
    /// `pear.stage`.
    pub stage: StageConfig,
    /// The whole object.
    pub json: Map<String, Value>,
    /// Whether the file started with a byte-order mark.
    has_mark: bool,
}

/// The `pear.stage` part of a `package.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageConfig {
    /// Patterns of files to leave out.
    pub ignore: Vec<String>,
    /// Files and folders to take, nothing else.
    pub only: Vec<String>,
    /// Remove what was staged and is ignored now.
    pub purge: bool,
}

impl Package {
    /// Reads `package.json` of `dir`.
    pub fn read(dir: &Path) -> Result<Self, PackageError> {
        let path = dir.join("package.json");
        let unreadable = |error| PackageError::Unreadable { path: path.clone(), error };
        let file = match open_plain(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && dir.is_dir() => {
                let above = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
                let above = above.ancestors().skip(1).find(|d| d.join("package.json").is_file());
                return Err(PackageError::NotFound { dir: dir.to_owned(), above: above.map(Path::to_owned) });
            }
            Err(e) => return Err(unreadable(e)),
        };
        let mut text = Vec::new();
        file.take(MAX_PACKAGE_LEN + 1).read_to_end(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_PACKAGE_LEN {
            return Err(PackageError::Invalid { path, what: "it is too large".into() });
        }
        let mut package = Self::parse(&text).map_err(|what| PackageError::Invalid { path, what })?;
        package.has_mark = text.starts_with(MARK);
        Ok(package)
    }

    /// Reads `package.json` of `dir`, which is to be released: clients must be able to use it.
    ///
    /// # Errors
    /// [`PackageError::Unusable`] beside those of [`Package::read`].
    pub fn read_for_release(dir: &Path) -> Result<Self, PackageError> {
        let package = Self::read(dir)?;
        let unusable = |problem| PackageError::Unusable { path: dir.join("package.json"), problem };
        package.check_release().map_err(unusable)?;
        Ok(package)
    }

    /// Whether clients can use it: it is plain JSON with a version of their form.
    ///
    /// # Errors
    /// The first thing they cannot.
    pub fn check_release(&self) -> Result<(), PackageProblem> {
        if self.has_mark {
            return Err(PackageProblem::Mark);
        }
        match &self.version {
            None => Err(PackageProblem::NoVersion),
            Some(text) if semver::Version::parse(text).is_err() => {
                Err(PackageProblem::Version(text.chars().take(64).collect()))
            }
            Some(_) => Ok(()),
        }
    }

    /// What the application is called on disk (`productName`, else `name`), and then its programs (`bin`).
    pub(crate) fn app_names(&self) -> Vec<String> {
        let name = self.json.get("name").and_then(Value::as_str).or(self.name.as_deref());
        let app = self.product_name.as_deref().or(name).map(str::to_owned);
        let bins = bin_names(&self.json, name.unwrap_or_default());
        app.into_iter().chain(bins).collect()
    }

    /// Reads the text of a `package.json`. The error says what is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let text = text.strip_prefix(MARK).unwrap_or(text);
        let json: Map<String, Value> =
            serde_json::from_slice(text).map_err(|e| format!("not a JSON object: {e}"))?;
        let string = |object: &Map<String, Value>, field: &str| -> Result<Option<String>, String> {
            match object.get(field) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(s)) => Ok(Some(s.clone())),
                Some(_) => Err(format!("{field} must be a string")),
            }
        };
        let empty = Map::new();
        let object = |parent: &Map<String, Value>, field: &str| match parent.get(field) {
            Some(Value::Object(o)) => o.clone(),
            _ => empty.clone(),
        };
        let pear = object(&json, "pear");
        let stage = object(&pear, "stage");
        Ok(Self {
            name: match string(&pear, "name")? {
                Some(name) => Some(name),
                None => string(&json, "name")?,
            },
            product_name: string(&json, "productName")?,
            version: string(&json, "version")?,
            // Pear itself has an object here; it is not ours to use.
            upgrade: json.get("upgrade").and_then(Value::as_str).map(str::to_owned),
            stage: StageConfig {
                ignore: list(&stage, "ignore")?,
                only: list(&stage, "only")?,
                purge: stage.get("purge").is_some_and(|v| v.as_bool().unwrap_or(!v.is_null())),
            },
            json,
            has_mark: false,
        })
    }
}

/// A list of strings, or one string with commas.
fn list(object: &Map<String, Value>, field: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("pear.stage.{field} must be a list of strings");
    match object.get(field) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(s)) => Ok(split_list(s)),
        Some(Value::Array(items)) => {
            items.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// The parts of a list written with commas, as on the command line.
pub fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

/// The names in `bin` of a package.json: its keys, or the package's own name when it is one path.
pub(crate) fn bin_names(json: &Map<String, Value>, name: &str) -> Vec<String> {
    match json.get("bin") {
        Some(Value::String(_)) => vec![name.rsplit('/').next().unwrap_or(name).to_owned()],
        Some(Value::Object(all)) => all.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// What is taken off a file's name before it is compared with the application's.
const EXTENSIONS: [&str; 7] = ["app", "AppImage", "appimage", "msix", "exe", "MSIX", "EXE"];

/// The extension of an application's file or bundle, of those that are taken off.
pub(crate) fn extension(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, e)| e).filter(|e| EXTENSIONS.contains(e))
}

/// Whether an artifact's name is the application's or a program's, with or without an extension.
pub(crate) fn fits(name: &str, app: &str, bins: &[String]) -> bool {
    let stem = name.rsplit_once('.').filter(|(_, e)| EXTENSIONS.contains(e)).map_or(name, |(stem, _)| stem);
    [name, stem].iter().any(|n| *n == app || bins.iter().any(|b| b == n))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let p = Package::parse(
            br#"{"name":"a","productName":"A B","version":"1.2.3","upgrade":"pear://x",
                "pear":{"name":"c","stage":{"ignore":["x","!y"],"only":"p, q,","purge":true}}}"#,
        )
        .unwrap();
        assert_eq!(p.name.as_deref(), Some("c"));
        assert_eq!(p.product_name.as_deref(), Some("A B"));
        assert_eq!(p.version.as_deref(), Some("1.2.3"));
        assert_eq!(p.upgrade.as_deref(), Some("pear://x"));
        assert_eq!(p.stage.ignore, ["x", "!y"]);
        assert_eq!(p.stage.only, ["p", "q"]);
        assert!(p.stage.purge);
        let p = Package::parse(br#"{"upgrade":{"rc":"x"},"pear":5}"#).unwrap();
        assert_eq!((p.name, p.upgrade, p.stage), (None, None, StageConfig::default()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, what) in [
            ("[]", "JSON object"),
            ("{", "JSON object"),
            (r#"{"version":5}"#, "version"),
            (r#"{"pear":{"stage":{"ignore":5}}}"#, "pear.stage.ignore"),
            (r#"{"pear":{"stage":{"only":[5]}}}"#, "pear.stage.only"),
        ] {
            let error = Package::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn what_clients_cannot_use_is_not_released() {
        let dir = tempfile::tempdir().unwrap();
        for (text, problem) in [
            ("{\"version\":\"1.0.0\"}", None),
            ("{\"version\":\"1.0.0-rc.1+b\"}", None),
            ("{\"version\":\"1.1\"}", Some(PackageProblem::Version("1.1".into()))),
            ("\u{feff}{\"version\":\"1.0.0\"}", Some(PackageProblem::Mark)),
            ("{}", Some(PackageProblem::NoVersion)),
            ("{\"version\":\"v1.0\"}", Some(PackageProblem::Version("v1.0".into()))),
            ("{\"version\":\" 1.0.0\"}", Some(PackageProblem::Version(" 1.0.0".into()))),
        ] {
            std::fs::write(dir.path().join("package.json"), text).unwrap();
            match (Package::read_for_release(dir.path()), problem) {
                (Ok(_), None) => {}
                (Err(e @ PackageError::Unusable { .. }), Some(expected)) => {
                    assert!(e.to_string().contains(&expected.to_string()) && e.hint().is_some(), "{e}");
                }
                (got, expected) => unreachable!("{text}: {got:?}, not {expected:?}"),
            }
            assert!(Package::read(dir.path()).is_ok(), "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_fifo_is_refused_and_nobody_waits_for_it() {
        let dir = tempfile::tempdir().unwrap();
        crate::folder::make_fifo(&dir.path().join("package.json"));
        assert!(matches!(Package::read(dir.path()), Err(PackageError::Unreadable { .. })));
    }

    #[test]
    fn folders_above_are_not_used_but_named() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        assert!(matches!(Package::read(&inner), Err(PackageError::NotFound { .. })));
        std::fs::write(dir.path().join("package.json"), "\u{feff}{\"name\":\"x\"}").unwrap();
        let error = Package::read(&inner).unwrap_err();
        assert!(error.hint().unwrap().contains(dir.path().file_name().unwrap().to_str().unwrap()));
        assert_eq!(Package::read(dir.path()).unwrap().name.as_deref(), Some("x"));
        assert!(matches!(Package::read(&dir.path().join("none")), Err(PackageError::Unreadable { .. })));
    }
}
