//! Names of files in a drive.
//!
//! A drive key is a POSIX path that starts with `/` and is not `/` itself. Names from people are normalised the way
//! `hyperdrive` does (npm `unix-path-resolve`): backslashes separate too, a drive letter or scheme in front goes,
//! empty parts and `.` vanish, `..` goes up but never above the root. Keys read from someone's drive are not
//! normalised but checked before they become paths on disk.

use crate::{Error, Result};

pub use bosc_names::windows_name;

/// Longest path taken, in bytes.
pub const MAX_PATH_LEN: usize = 32 * 1024;

fn invalid(path: &str, why: &'static str) -> Error {
    let shown: String = path.chars().take(256).collect();
    Error::InvalidPath { path: shown, why }
}

/// The parts of a name, and whether it starts at the root.
fn parse(name: &str) -> (bool, Vec<&str>) {
    let parts: Vec<&str> = name.split(['/', '\\']).collect();
    if let [first, rest @ ..] = parts.as_slice()
        && !rest.is_empty()
        && first.ends_with(':')
    {
        let skip = if first.len() == 2 || *first == "file:" { 1 } else { 3 };
        return (true, parts.into_iter().skip(skip).collect());
    }
    (name.starts_with(['/', '\\']), parts)
}

/// `name` seen from the folder `base`, both normalised. The result may be `/`.
pub fn resolve(base: &str, name: &str) -> Result<String> {
    if base.len() > MAX_PATH_LEN || name.len() > MAX_PATH_LEN {
        return Err(invalid(name, "it is too long"));
    }
    if name.contains('\0') {
        return Err(invalid(name, "it contains a zero byte"));
    }
    let (absolute, parts) = parse(name);
    let (_, base) = if absolute { (true, Vec::new()) } else { parse(base) };
    let mut out: Vec<&str> = Vec::new();
    for part in base.into_iter().chain(parts) {
        match part {
            "" | "." => {}
            ".." => {
                out.pop().ok_or_else(|| invalid(name, "it leads out of the drive"))?;
            }
            part => out.push(part),
        }
    }
    Ok(format!("/{}", out.join("/")))
}

/// The key of the file called `name`. The root is not a file.
pub fn normalize(name: &str) -> Result<String> {
    let key = resolve("/", name)?;
    if key == "/" { Err(invalid(name, "it names the root")) } else { Ok(key) }
}

/// The folder called `name` without its last slash: empty for the root.
pub fn normalize_folder(name: &str) -> Result<String> {
    let key = resolve("/", name)?;
    Ok(if key == "/" { String::new() } else { key })
}

/// The parts of a key that is to become a path below a folder on disk. Refuses keys that are not plain absolute
/// POSIX paths: relative ones, `.` and `..`, empty parts, backslashes, zero bytes.
pub fn components(key: &str) -> Result<Vec<&str>> {
    let rest = key.strip_prefix('/').ok_or_else(|| invalid(key, "it does not start with a slash"))?;
    if key.len() > MAX_PATH_LEN {
        return Err(invalid(key, "it is too long"));
    }
    rest.split('/')
        .map(|part| match part {
            "" => Err(invalid(key, "it has an empty part")),
            "." | ".." => Err(invalid(key, "it has a part that goes elsewhere")),
            part if part.contains(['\0', '\\']) => Err(invalid(key, "it has a forbidden character")),
            part => Ok(part),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are what npm `unix-path-resolve` 1.0.2 returns for `resolve('/', name)`.
    #[test]
    fn names_are_normalised_as_hyperdrive_does() {
        for (name, key) in [
            ("a", "/a"),
            ("/a//b/./c/", "/a/b/c"),
            ("a\\b\\..\\c", "/a/c"),
            ("C:\\x\\y", "/x/y"),
            ("C:/x", "/x"),
            ("file:///x/y", "/x/y"),
            ("pear://host/x/y", "/x/y"),
            ("a:", "/a:"),
            ("/a/b/../../c", "/c"),
            ("/é/ü", "/é/ü"),
        ] {
            assert_eq!(normalize(name).unwrap(), key, "{name}");
        }
        for name in ["", "/", "..", "/../a", "a/../..", ".", "a\0b"] {
            assert!(normalize(name).is_err(), "{name:?}");
        }
        assert_eq!(resolve("/a/b", "../c").unwrap(), "/a/c");
        assert_eq!(normalize_folder("/").unwrap(), "");
        assert_eq!(normalize_folder("x/").unwrap(), "/x");
    }

    #[test]
    fn hostile_keys_do_not_become_paths() {
        assert_eq!(components("/a/b c").unwrap(), ["a", "b c"]);
        for key in ["a", "", "/", "//a", "/a/", "/a//b", "/../a", "/a/./b", "/a\\b", "/a\0"] {
            assert!(components(key).is_err(), "{key:?}");
        }
    }

    #[test]
    fn names_windows_cannot_have_are_known() {
        for name in ["a", "con1", "COM", "COMX", "nul1.txt", "a.b", ".a", "Ä"] {
            assert!(windows_name(name), "{name}");
        }
        for name in
            ["con", "NUL.txt", "com1", "LPT9.x", "COM¹", "a.", "a ", "a:b", "a?", "a\u{1}", "CON .txt"]
        {
            assert!(!windows_name(name), "{name}");
        }
    }
}
