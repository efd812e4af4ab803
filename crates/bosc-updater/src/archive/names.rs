//! Names that mean the same file everywhere, or none.

use crate::error::UpdateError;
use crate::install::integrity;
use crate::install::tree::is_inner_path;

/// Devices of Windows, with or without an ending. The superscript digits count as digits there.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$") {
        return true;
    }
    let mut letters = stem.chars();
    let head: String = letters.by_ref().take(3).collect();
    let number = matches!(letters.next(), Some('0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}'));
    matches!(head.as_str(), "COM" | "LPT") && number && letters.next().is_none()
}

/// Checks the path of an entry and takes off what has no meaning: `./` in front and `/` at the end. `Ok(None)` for the
/// root itself.
pub(super) fn clean(path: &str) -> Result<Option<String>, UpdateError> {
    let refused = |why: &str| Err(integrity(format!("the archive holds {:?}, {why}", shown(path))));
    let mut inner = path;
    while let Some(rest) = inner.strip_prefix("./") {
        inner = rest;
    }
    inner = inner.strip_suffix('/').unwrap_or(inner);
    if matches!(inner, "" | ".") && !path.starts_with('/') {
        return Ok(None);
    }
    if !is_inner_path(inner) {
        return refused("which is no path inside a build");
    }
    for part in inner.split('/') {
        if part.len() > 255 {
            return refused("whose name is too long");
        }
        if part.contains(['<', '>', ':', '"', '|', '?', '*', '\\']) || part.chars().any(char::is_control) {
            return refused("a name that not every system can hold");
        }
        if part.ends_with(['.', ' ']) || is_device(part) {
            return refused("a name that Windows reads as another");
        }
    }
    Ok(Some(inner.to_owned()))
}

/// The same for names that differ in case only.
pub(super) fn folded(path: &str) -> String {
    path.to_lowercase()
}

/// As much of a hostile name as an error needs.
fn shown(path: &str) -> String {
    path.chars().take(80).collect()
}
