//! Where a symlink inside a build may lead.

use crate::target::Target;
use thiserror::Error;

/// Longest target of a symlink, in bytes.
const MAX_TARGET: usize = 32 * 1024;

/// Why a symlink is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LinkProblem {
    /// It is empty, too long, or holds a zero byte.
    #[error("leads nowhere")]
    NoPath,
    /// An absolute path, a drive letter, or more `..` than there are folders above it.
    #[error("leads out of the build")]
    Leaves,
    /// `..` behind a name: what the name is could itself be a link.
    #[error("goes up behind a name")]
    UpBehindName,
}

/// Checks that the symlink at `path` (parts joined by `/`, below the build's root) leads to a place in the build: a
/// relative target with `..` in front only. Backslashes count as slashes; in an archive neither they nor colons may be there.
///
/// Only leading `..` can be counted: they start at the link's own folder, which is a real one. One behind a name could
/// follow another link first and leave from there.
///
/// # Errors
/// The first rule it breaks.
pub fn check_link(path: &str, target: &str, on: Target) -> Result<(), LinkProblem> {
    if target.is_empty() || target.contains('\0') || target.len() > MAX_TARGET {
        return Err(LinkProblem::NoPath);
    }
    let slash = |c: char| c == '/' || c == '\\';
    if target.starts_with(slash) || target.split(slash).next().is_some_and(|p| p.ends_with(':')) {
        return Err(LinkProblem::Leaves);
    }
    if on == Target::Archive && target.contains(['\\', ':']) {
        return Err(LinkProblem::Leaves);
    }
    let depth = path.split('/').count().saturating_sub(1);
    let (mut ups, mut named) = (0, false);
    for part in target.split(slash) {
        match part {
            "" | "." => {}
            ".." if named => return Err(LinkProblem::UpBehindName),
            ".." if ups == depth => return Err(LinkProblem::Leaves),
            ".." => ups += 1,
            _ => named = true,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_the_build() {
        for (path, target) in
            [("a", "b"), ("d/a", "../b"), ("d/a", "./b//c"), ("d/a", ".."), ("d/a", "..\\b")]
        {
            assert_eq!(check_link(path, target, Target::Linux), Ok(()), "{path} -> {target}");
            assert_eq!(
                check_link(path, target, Target::Archive).is_ok(),
                !target.contains('\\'),
                "{path} -> {target}"
            );
        }
        for (path, target, why) in [
            ("a", "..", LinkProblem::Leaves),
            ("a", "/etc", LinkProblem::Leaves),
            ("a", "\\\\host\\share", LinkProblem::Leaves),
            ("a", "C:/x", LinkProblem::Leaves),
            ("a", "..\\b", LinkProblem::Leaves),
            ("d/a", "x/../b", LinkProblem::UpBehindName),
            ("a", "", LinkProblem::NoPath),
            ("a", "b\0", LinkProblem::NoPath),
        ] {
            assert_eq!(check_link(path, target, Target::Linux), Err(why), "{path} -> {target}");
            assert!(check_link(path, target, Target::Archive).is_err(), "{path} -> {target}");
        }
    }
}
