//! Which entries of a drive may be written to disk.

use super::request::DumpError;
use bosc_drive::drive::{DriveEntry, path};
use bosc_names::{LinkProblem, Target};

/// Longest name of a file, in bytes, that common file systems take.
const MAX_NAME: usize = 255;

/// Why a symlink is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the symlink is refused: {}", self.why())]
pub struct LinkError(#[from] LinkProblem);

impl LinkError {
    pub(super) fn why(self) -> &'static str {
        match self.0 {
            LinkProblem::NoPath => "it leads nowhere",
            LinkProblem::Leaves => "it leads out of the folder",
            LinkProblem::UpBehindName => "it goes up behind a name",
        }
    }
}

/// The text of a symlink to write for the link `key` with the target `linkname`: a relative path that stays in the
/// folder, by the rule of all symlinks ([`bosc_names::check_link`]). Absolute targets are seen from the drive's root.
///
/// As nothing lies below a symlink, every link then leads to a place within the folder, and so does every chain of links.
pub fn check_link(key: &str, linkname: &str) -> Result<String, LinkError> {
    let key = key.trim_start_matches('/');
    let target = linkname.replace('\\', "/");
    // As written, so that it is found unchanged when the folder is staged again; an absolute one goes up to the root first.
    let text = match target.strip_prefix('/') {
        None => target,
        Some(below) => {
            let ups = std::iter::repeat_n("..", key.split('/').count().saturating_sub(1));
            let names = below.split('/').filter(|part| !matches!(*part, "" | "."));
            let parts: Vec<_> = ups.chain(names).collect();
            if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
        }
    };
    bosc_names::check_link(key, &text, Target::Linux)?;
    Ok(text)
}

/// Checks that a key has a place on disk.
pub(super) fn place(key: &str) -> Result<(), DumpError> {
    let refuse = |why, outside| DumpError::Unsafe { key: key.chars().take(256).collect(), why, outside };
    let parts = path::components(key).map_err(|_| refuse("it is not a plain path", true))?;
    for part in parts {
        if part.len() > MAX_NAME {
            return Err(refuse("a name is too long", false));
        }
        if cfg!(windows) && !path::windows_name(part) {
            return Err(refuse("Windows does not allow such a name", false));
        }
    }
    Ok(())
}

/// Checks that no entry lies below another. `entries` are in the order of their keys.
pub(super) fn no_nesting(entries: &[DriveEntry]) -> Result<(), DumpError> {
    for entry in entries {
        let mut folder = entry.key.as_str();
        while let Some((above, _)) = folder.rsplit_once('/') {
            if let Ok(at) = entries.binary_search_by(|e| e.key.as_str().cmp(above)) {
                let key = entry.key.chars().take(256).collect();
                // A drive may have a file and a folder of one name; only a link leads elsewhere.
                let outside = entries.get(at).is_none_or(|e| e.value.linkname.is_some());
                return Err(DumpError::Unsafe { key, why: "it lies below a file or symlink", outside });
            }
            folder = above;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_the_folder() {
        for (key, target, text) in [
            ("/a", "b", "b"),
            ("/d/a", "../b", "../b"),
            ("/d/e/a", "../../x/y", "../../x/y"),
            ("/d/a", "./b//c", "./b//c"),
            ("/d/a", "..", ".."),
            ("/a", "/b/c", "b/c"),
            ("/d/e/a", "/b", "../../b"),
            ("/a", "/", "."),
            ("/a", "b\\c", "b/c"),
        ] {
            assert_eq!(check_link(key, target).as_deref(), Ok(text), "{key} -> {target}");
        }
        for (key, target) in [
            ("/a", ".."),
            ("/a", "../b"),
            ("/d/a", "../../b"),
            ("/d/a", "x/../../../b"),
            ("/a", "x/../b"),
            ("/a", "/../b"),
            ("/a", "/b/../c"),
            ("/a", ""),
            ("/a", "b\0"),
            ("/a", "C:/x"),
            ("/a", "/C:/x"),
            ("/a", "..\\b"),
        ] {
            assert!(check_link(key, target).is_err(), "{key} -> {target}");
        }
    }

    #[test]
    fn hostile_keys_are_refused() {
        place("/a/b").unwrap();
        let long = format!("/{}", "x".repeat(256));
        for key in ["a", "/", "/../a", "/a/../b", "/a//b", "/a/", "/a\0b", "/a\\b", &long] {
            assert!(matches!(place(key), Err(DumpError::Unsafe { .. })), "{key:?}");
        }
    }
}
