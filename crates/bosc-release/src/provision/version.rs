//! Which versions may be released.
//!
//! Clients, Pear's and ours, install a version only when it is above the one they run; an equal or lower one never
//! reaches anybody who has the application. So it is refused here rather than signed by a quorum and ignored.

use semver::Version;
use std::fmt;
use thiserror::Error;

/// Longest version text looked at, in bytes.
const MAX_LEN: usize = 256;

/// A version that may be released: `major.minor.patch`, nothing behind it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReleaseVersion(Version);

/// Why a version may not be released.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VersionError {
    /// There is none.
    #[error("package.json of the source has no version")]
    Missing,
    /// It is not of the form `1.2.3`.
    #[error("Source has non-production SemVer: {0:?}")]
    NotARelease(String),
    /// It is not above production's.
    #[error("the source's version {source_version} is not above production's {production}")]
    NotAbove {
        /// Of the source.
        source_version: String,
        /// Of production.
        production: String,
    },
}

impl ReleaseVersion {
    /// Reads the `version` of a source's package.json.
    pub fn parse(text: Option<&str>) -> Result<Self, VersionError> {
        let text = text.ok_or(VersionError::Missing)?;
        let plain = text.len() <= MAX_LEN && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        match Version::parse(text) {
            // No client reads a number with leading zeros or one over 64 bits.
            Ok(version) if plain => Ok(Self(version)),
            _ => Err(VersionError::NotARelease(text.chars().take(64).collect())),
        }
    }

    /// Checks that it is above `production`. What production holds may be anything; only a version can be compared.
    pub fn check_above(&self, production: Option<&str>) -> Result<(), VersionError> {
        let Some(production) = production.filter(|p| p.len() <= MAX_LEN) else { return Ok(()) };
        match Version::parse(production) {
            Ok(there) if self.0.cmp_precedence(&there).is_le() => Err(VersionError::NotAbove {
                source_version: self.to_string(),
                production: production.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_versions_are_releases() {
        for text in ["0.0.0", "1.2.3", "10.20.30"] {
            assert_eq!(ReleaseVersion::parse(Some(text)).unwrap().to_string(), text);
        }
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "v1.2.3",
            "1.2.3-rc.1",
            "1.2.3+b",
            " 1.2.3",
            "1.2.x",
            "01.2.3",
            "1..3",
        ] {
            let error = ReleaseVersion::parse(Some(text)).unwrap_err();
            assert_eq!(error, VersionError::NotARelease(text.into()));
        }
        assert!(ReleaseVersion::parse(Some("99999999999999999999.0.0")).is_err());
        assert_eq!(ReleaseVersion::parse(None), Err(VersionError::Missing));
    }

    #[test]
    fn a_release_goes_up() {
        let version = ReleaseVersion::parse(Some("1.10.0")).unwrap();
        for lower in ["1.9.9", "1.10.0-rc.1", "0.99.99"] {
            assert_eq!(version.check_above(Some(lower)), Ok(()), "{lower}");
        }
        for higher in ["1.10.0", "1.10.0+build", "1.10.1", "2.0.0-rc.1"] {
            assert!(version.check_above(Some(higher)).is_err(), "{higher}");
        }
        // What cannot be compared is no reason to refuse.
        for other in [None, Some("latest"), Some("")] {
            assert_eq!(version.check_above(other), Ok(()));
        }
    }
}
