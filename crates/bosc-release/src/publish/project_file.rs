//! `[publish]` of `bosc.toml`: what `bosc publish` releases from a project.
//!
//! ```toml
//! [publish]
//! package = "src-tauri/tauri.conf.json"   # says name, version and link
//! link-name = "hello-x7k2p9"              # which link of the primary key; for --ci
//!
//! [publish.builds]                        # for each platform what was built; {version} and {name} are replaced
//! linux-x64 = "src-tauri/target/release/bundle/appimage/Hello_{version}_amd64.AppImage"
//! ```
//!
//! `bosc init` writes it. Without builds the folder itself is released, as it is without the file. The rest of the file, release
//! lines, is `crate::line::file`'s.
//!
//! Invariants: paths are relative to the folder of the file, and without `..`; at most [`MAX_FILE`] bytes are read.

use crate::build::{ARCHITECTURES, ProjectPackage};
use crate::error::{CommandError, ErrorKind};
use crate::stage::link_rules::check_name;
use crate::toml_fault;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use toml_edit::{DocumentMut, Item, TableLike};

/// The name of the file.
pub const FILE_NAME: &str = "bosc.toml";
/// Largest file read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;
/// Most bytes of a path in it.
const MAX_PATH: usize = 1024;

/// What `[publish]` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectFile {
    /// The file that says name, version and link, relative to the folder.
    pub package: Option<String>,
    /// Which link of the primary key it is.
    pub link_name: Option<String>,
    /// What was built, relative to the folder, for each platform.
    pub builds: BTreeMap<String, String>,
}

impl ProjectFile {
    /// Reads the file of a folder; `None` when there is none, or it says nothing of publishing.
    ///
    /// # Errors
    /// `ERR_INVALID_CONFIG`.
    pub fn read(dir: &Path) -> Result<Option<Self>, CommandError> {
        let path = dir.join(FILE_NAME);
        let bytes = match bosc_files::read_plain(&path, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(invalid(&format!("{} cannot be read", path.display())).because(e)),
        };
        let text = String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8"))?;
        Self::parse(&text)
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// `ERR_INVALID_CONFIG`.
    pub fn parse(text: &str) -> Result<Option<Self>, CommandError> {
        let doc: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| {
            invalid("it is not TOML").because(std::io::Error::other(toml_fault::edit(text, &e)))
        })?;
        let Some(item) = doc.get("publish") else { return Ok(None) };
        let table = item.as_table_like().ok_or_else(|| invalid("`publish` is not a table"))?;
        let known = ["package", "link-name", "builds"];
        if let Some((key, _)) = table.iter().find(|(key, _)| !known.contains(key)) {
            return Err(invalid(&format!("[publish] has no field {key:?}; fields are {}", known.join(", "))));
        }
        let text = |key: &str| match table.get(key).map(Item::as_str) {
            None | Some(Some("")) => Ok(None),
            Some(Some(text)) => Ok(Some(text.to_owned())),
            Some(None) => Err(invalid(&format!("{key} of [publish] is not a string"))),
        };
        let package = text("package")?;
        let link_name = text("link-name")?;
        if let Some(package) = &package {
            relative(package)?;
        }
        if let Some(name) = &link_name {
            check_name(name)?;
        }
        Ok(Some(Self { package, link_name, builds: builds(table.get("builds"))? }))
    }

    /// Where the package is, for a folder.
    pub fn package_in(&self, dir: &Path) -> Option<PathBuf> {
        self.package.as_ref().map(|package| dir.join(package))
    }

    /// The builds of a folder, with their platforms and absolute paths.
    pub fn builds_in(&self, dir: &Path, project: &ProjectPackage) -> Vec<(String, PathBuf)> {
        let at = |path: &String| dir.join(expanded(path, project.app_name(), &project.version));
        self.builds.iter().map(|(platform, path)| (platform.clone(), at(path))).collect()
    }
}

/// A path with its placeholders replaced.
pub fn expanded(path: &str, name: &str, version: &str) -> String {
    path.replace("{version}", version).replace("{name}", name)
}

fn builds(item: Option<&Item>) -> Result<BTreeMap<String, String>, CommandError> {
    let Some(item) = item else { return Ok(BTreeMap::new()) };
    let table: &dyn TableLike =
        item.as_table_like().ok_or_else(|| invalid("[publish.builds] is not a table"))?;
    let mut out = BTreeMap::new();
    for (platform, item) in table.iter() {
        if !ARCHITECTURES.contains(&platform) {
            return Err(invalid(&format!(
                "[publish.builds] names the platform {platform:?}; platforms are {}",
                ARCHITECTURES.join(", ")
            )));
        }
        let path =
            item.as_str().ok_or_else(|| invalid(&format!("the build for {platform} is not a path")))?;
        relative(path)?;
        out.insert(platform.to_owned(), path.to_owned());
    }
    Ok(out)
}

/// Refuses what leads out of the folder.
fn relative(path: &str) -> Result<(), CommandError> {
    let inside = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
    if !path.is_empty() && path.len() <= MAX_PATH && Path::new(path).components().all(inside) {
        return Ok(());
    }
    let shown: String = path.chars().take(64).collect();
    Err(invalid(&format!("{shown:?} is not a path in the folder of {FILE_NAME}")))
}

fn invalid(what: &str) -> CommandError {
    CommandError::new(ErrorKind::Input, "ERR_INVALID_CONFIG", format!("{FILE_NAME}: {what}"))
        .hint("correct the file; `bosc help init` shows what it holds")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_read_and_what_it_must_not_say_is_named() {
        let read = |text: &str| ProjectFile::parse(text);
        assert_eq!(read("[line.rc]\nkind = 'stage'\n").unwrap(), None);
        let file = read(
            "[publish]\npackage = 'a/Cargo.toml'\nlink-name = 'x-1'\n[publish.builds]\nlinux-x64 = 'dist/H_{version}'\n",
        )
        .unwrap()
        .unwrap();
        assert_eq!(file.package.as_deref(), Some("a/Cargo.toml"));
        assert_eq!(file.link_name.as_deref(), Some("x-1"));
        assert_eq!(expanded(&file.builds["linux-x64"], "H", "1.2.3"), "dist/H_1.2.3");
        for (text, what) in [
            ("publish = 1", "not a table"),
            ("[publish]\nbuild = 'x'", "no field \"build\""),
            ("[publish]\npackage = 1", "not a string"),
            ("[publish]\npackage = '../x'", "not a path"),
            ("[publish]\npackage = '/x'", "not a path"),
            ("[publish]\nlink-name = 'a b'", "key pair"),
            ("[publish.builds]\nlinux = 'x'", "\"linux\""),
            ("[publish.builds]\nlinux-x64 = 1", "not a path"),
            ("[publish.builds]\nlinux-x64 = 'a/../../b'", "not a path"),
            ("[publish]\npackage = 'a'\npackage = 'b'", "not TOML"),
            ("[publish", "not TOML"),
        ] {
            let e = read(text).unwrap_err();
            assert!(e.to_string().contains(what), "{text}: {e}");
        }
    }
}
