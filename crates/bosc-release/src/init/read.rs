//! Files of a project, read for what they say: bounded, without waiting for what is no file, and only inside the project.

use crate::error::{CommandError, ErrorKind};
use crate::folder::package::MAX_PACKAGE_LEN;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// Most names of a folder that are looked at.
pub(super) const ENTRIES: usize = 2000;

/// The text of a file of the project; `None` when there is none.
///
/// # Errors
/// `ERR_INVALID_MANIFEST`: it is no file, too large, no UTF-8, or a link out of the project.
pub(super) fn text(dir: &Path, name: &str) -> Result<Option<String>, CommandError> {
    let path = dir.join(name);
    if std::fs::symlink_metadata(&path).is_err() {
        return Ok(None);
    }
    inside(dir, &path)?;
    let bytes = match bosc_files::read_plain(&path, MAX_PACKAGE_LEN) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
            return Err(
                invalid(&path, "it is over 4 MiB").hint("name the project's own file, or mend this one")
            );
        }
        Err(e) => {
            return Err(invalid(&path, "it cannot be read")
                .because(e)
                .hint("put a plain file that you may read there, or run this in the project's own folder"));
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(invalid(&path, "it is not UTF-8").hint("save it as UTF-8 without a byte-order mark")),
    }
}

/// Refuses a path that leads out of the project.
///
/// # Errors
/// `ERR_EXISTS`.
pub(super) fn inside(dir: &Path, path: &Path) -> Result<(), CommandError> {
    let real = path.ancestors().find_map(|p| std::fs::canonicalize(p).ok());
    let home = std::fs::canonicalize(dir).ok();
    match (real, home) {
        (Some(real), Some(home)) if real.starts_with(&home) => Ok(()),
        (real, _) => Err(CommandError::new(
            ErrorKind::Input,
            "ERR_EXISTS",
            format!(
                "{} leads out of the folder{}",
                path.display(),
                real.map(|r| format!(", to {}", r.display())).unwrap_or_default()
            ),
        )
        .hint("put the file itself in the folder, or run this in the folder that it belongs to")),
    }
}

/// The object of a file that may be JSON5.
///
/// # Errors
/// `ERR_INVALID_MANIFEST`.
pub(super) fn json5(dir: &Path, name: &str) -> Result<Option<Map<String, Value>>, CommandError> {
    let Some(text) = text(dir, name)? else { return Ok(None) };
    crate::build::json5::object(&text).map(Some).map_err(|what| invalid(&dir.join(name), &what))
}

/// The JSON object of a file; the fields named must not be there twice.
///
/// # Errors
/// `ERR_INVALID_MANIFEST`.
pub(super) fn json(dir: &Path, name: &str) -> Result<Option<Map<String, Value>>, CommandError> {
    let Some(text) = text(dir, name)? else { return Ok(None) };
    let path = dir.join(name);
    if text.starts_with('\u{feff}') && name.ends_with("package.json") {
        return Err(invalid(
            &path,
            "it starts with a byte-order mark, and JavaScript clients cannot read it",
        )
        .hint("save the file as UTF-8 without a byte-order mark (BOM)"));
    }
    let body = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let object: Map<String, Value> =
        serde_json::from_str(body).map_err(|e| invalid(&path, &format!("not a JSON object: {e}")))?;
    match twice(body) {
        Some(key) => Err(invalid(&path, &format!("it has {key:?} twice")).hint("remove one of them")),
        None => Ok(Some(object)),
    }
}

/// The first key that the outermost object has twice.
fn twice(text: &str) -> Option<String> {
    struct Keys;
    impl<'de> Visitor<'de> for Keys {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut seen, mut found) = (BTreeSet::new(), None);
            while let Some(key) = map.next_key::<String>()? {
                map.next_value::<IgnoredAny>()?;
                let shown: String = key.chars().take(64).collect();
                if !seen.insert(key) && found.is_none() {
                    found = Some(shown);
                }
            }
            Ok(found)
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_map(Keys).ok().flatten()
}

/// The TOML of a file.
///
/// # Errors
/// `ERR_INVALID_MANIFEST`.
pub(super) fn toml(dir: &Path, name: &str) -> Result<Option<toml::Table>, CommandError> {
    let Some(text) = text(dir, name)? else { return Ok(None) };
    let path = dir.join(name);
    let body = text.strip_prefix('\u{feff}').unwrap_or(&text);
    body.parse().map(Some).map_err(|e: toml::de::Error| invalid(&path, &crate::toml_fault::table(body, &e)))
}

/// Names in a folder, sorted, without those that begin with a point; nothing when it cannot be read.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().take(ENTRIES);
    let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    names.retain(|n| !n.starts_with('.'));
    names.sort();
    names
}

pub(super) fn invalid(file: &Path, what: &str) -> CommandError {
    CommandError::new(ErrorKind::Input, "ERR_INVALID_MANIFEST", format!("{}: {what}", file.display()))
        .hint("correct that file and run `bosc init` again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_found() {
        assert_eq!(twice(r#"{"a":1,"b":{"a":1,"a":2},"c":[{}]}"#), None);
        assert_eq!(twice(r#"{"a":1,"b":2,"a":3}"#).as_deref(), Some("a"));
        assert_eq!(twice(r#"{"\u0061":1,"a":3}"#).as_deref(), Some("a"));
    }
}
