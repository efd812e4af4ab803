//! What is newer.

use semver::Version;
use std::cmp::Ordering;

/// Longest version that is read, in bytes.
pub const MAX_VERSION_LEN: usize = 256;

/// Reads a version: strict SemVer 2, no leading `v`, at most [`MAX_VERSION_LEN`] bytes.
pub fn parse_version(text: &str) -> Option<Version> {
    if text.len() > MAX_VERSION_LEN {
        return None;
    }
    Version::parse(text).ok()
}

/// Perry's `compareVersions`: -1 when `candidate` is an update, 0 when equal, 1 when it is a downgrade, -2 when one of
/// them is not a version.
///
/// As in the original the order is total: build metadata takes part, `1.0.0+a` is before `1.0.0+b`.
pub fn compare_versions(current: &str, candidate: &str) -> i32 {
    match (parse_version(current), parse_version(candidate)) {
        (Some(current), Some(candidate)) => match current.cmp(&candidate) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        },
        _ => -2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_in_perry() {
        for (current, candidate, want) in [
            ("1.0.0", "1.0.1", -1),
            ("1.0.0", "1.0.0", 0),
            ("1.0.1", "1.0.0", 1),
            ("1.0.0-rc.1", "1.0.0", -1),
            ("1.0.0-alpha", "1.0.0-alpha.1", -1),
            ("1.0.0-2", "1.0.0-10", -1),
            ("1.0.0+a", "1.0.0+b", -1),
            ("1.0.0", "1.0.0+a", -1),
            ("1.10.0", "1.9.0", 1),
            ("v1.0.0", "1.0.1", -2),
            ("1.0.0", "1.0", -2),
            ("", "1.0.0", -2),
            ("1.0.0", " 1.0.1", -2),
            ("1.0.0", "01.0.1", -2),
            ("1.0.0", "99999999999999999999.0.0", -2),
        ] {
            assert_eq!(compare_versions(current, candidate), want, "{current} {candidate}");
        }
        assert_eq!(compare_versions("1.0.0", &format!("1.0.1-{}", "a".repeat(300))), -2);
    }
}
