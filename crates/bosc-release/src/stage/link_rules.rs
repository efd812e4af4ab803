//! What may be published on a link: the version against the one it holds, the name of its key pair, the folder it comes from.

use crate::error::{CommandError, ErrorKind};
use bosc_format::corestore;
use bosc_format::crypto::KeyPair;
use bosc_format::link::PearLink;
use bosc_format::manifest::Manifest;
use semver::Version;
use std::path::{Component, Path};

/// Longest name of a key pair, in bytes.
const NAME_MAX: usize = 128;
/// The name of a drive's core in its namespace, as hyperdrive has it.
pub const CORE_NAME: &str = "db";

/// How a version stands to the one a link holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Clients take it.
    Above,
    /// Clients take it only when it is the same content already.
    NotAbove,
}

/// Compares as clients do: SemVer precedence, build metadata aside. A link that holds nothing (or no version) takes
/// any.
///
/// # Errors
/// `ERR_INVALID_MANIFEST` when `new` is no SemVer.
pub fn gate(new: Option<&str>, held: Option<&str>) -> Result<Gate, CommandError> {
    let new = version(new)?;
    let above = match held.and_then(|t| Version::parse(t).ok()) {
        Some(held) => new.cmp_precedence(&held).is_gt(),
        None => true,
    };
    Ok(if above { Gate::Above } else { Gate::NotAbove })
}

/// The version in a package.json that is to be released.
///
/// # Errors
/// `ERR_INVALID_MANIFEST` when there is none, or it is no SemVer.
pub fn version(text: Option<&str>) -> Result<Version, CommandError> {
    let shown: String = text.unwrap_or_default().chars().take(64).collect();
    let invalid = |what: String| {
        CommandError::new(ErrorKind::Input, "ERR_INVALID_MANIFEST", what)
            .hint("set `version` in package.json to a SemVer, as in 1.2.3; clients take no other")
    };
    match text {
        None => Err(invalid("package.json has no version".into())),
        Some(text) => Version::parse(text)
            .map_err(|e| invalid(format!("the version in package.json is not SemVer: {shown:?}")).because(e)),
    }
}

/// A release that no client would take.
pub fn not_above(new: &str, held: &str, link: &str) -> CommandError {
    let next = Version::parse(held).ok().map(|v| {
        if v.pre.is_empty() {
            Version::new(v.major, v.minor, v.patch.saturating_add(1))
        } else {
            Version::new(v.major, v.minor, v.patch)
        }
    });
    let hint = match next {
        Some(next) => {
            format!("clients take only higher versions: raise `version` in package.json, to {next} say")
        }
        None => "clients take only higher versions: raise `version` in package.json".into(),
    };
    CommandError::new(
        ErrorKind::Input,
        "ERR_VERSION_NOT_ABOVE",
        format!("version {new} has changes but is not above {held}, which {link} holds; nothing was staged"),
    )
    .hint(hint)
}

/// Checks a `--name`: letters, digits, `.`, `_`, `-`, as `pear-ci` takes namespaces.
///
/// # Errors
/// `ERR_INVALID_INPUT`.
pub fn check_name(name: &str) -> Result<(), CommandError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(fits) {
        return Ok(());
    }
    let shown: String = name.chars().take(NAME_MAX).collect();
    Err(CommandError::input(format!("not a name for a key pair: {shown:?}"))
        .hint("name it with `--name`: 1 to 128 letters, digits, dots, underscores and hyphens"))
}

/// Checks the folder that `--ci` publishes: inside the working folder, as `pear-ci` takes targets.
///
/// # Errors
/// `ERR_INVALID_INPUT`.
pub fn check_target(dir: &Path) -> Result<(), CommandError> {
    if dir.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
        return Ok(());
    }
    Err(CommandError::input(format!("not a folder inside the working folder: {}", dir.display()))
        .hint("with --ci name the folder relative to where the command runs, without `..`"))
}

/// The key pair of a name, as `pear-ci` makes it: the core `db` in the namespace `name`.
pub fn key_pair(primary_key: &[u8; 32], name: &str) -> KeyPair {
    corestore::key_pair(primary_key, &namespace(name), CORE_NAME.as_bytes())
}

/// The namespace of a name.
pub fn namespace(name: &str) -> [u8; 32] {
    corestore::namespace(&corestore::DEFAULT_NAMESPACE, name.as_bytes())
}

/// The link of a name.
pub fn link(primary_key: &[u8; 32], name: &str) -> PearLink {
    PearLink::new(Manifest::single(key_pair(primary_key, name).public()).key())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_higher_versions_pass() {
        let gate = |new, held| gate(Some(new), held).unwrap();
        assert_eq!(gate("1.0.0", None), Gate::Above);
        assert_eq!(gate("1.0.0", Some("no version")), Gate::Above);
        assert_eq!(gate("1.0.1", Some("1.0.0")), Gate::Above);
        assert_eq!(gate("1.0.0", Some("1.0.0-rc.1")), Gate::Above);
        assert_eq!(gate("1.0.0", Some("1.0.0")), Gate::NotAbove);
        assert_eq!(gate("1.0.0+b", Some("1.0.0+a")), Gate::NotAbove);
        assert_eq!(gate("1.0.0-rc.1", Some("1.0.0")), Gate::NotAbove);
        assert_eq!(gate("1.10.0", Some("1.9.0")), Gate::Above);
        for bad in [None, Some(""), Some("1"), Some("v1.0.0"), Some("1.0")] {
            assert_eq!(super::gate(bad, None).unwrap_err().code(), "ERR_INVALID_MANIFEST", "{bad:?}");
        }
        assert!(not_above("1.0.0", "1.0.0", "x").hint_text().contains("1.0.1"));
        assert!(not_above("1.0.0", "2.0.0-rc.1", "x").hint_text().contains("2.0.0 say"));
    }

    #[test]
    fn names_and_targets_are_those_of_pear_ci() {
        for good in ["a", "my-app", "My.App_2"] {
            check_name(good).unwrap();
        }
        for bad in ["", "@scope/app", "a b", "ä", "a\n", &"x".repeat(129)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        for good in [".", "dist", "./a/b"] {
            check_target(Path::new(good)).unwrap();
        }
        for bad in ["..", "a/../b", "/a"] {
            assert!(check_target(Path::new(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_a_namespace_and_its_core_is_db() {
        let primary = [7; 32];
        let pair = key_pair(&primary, "app");
        let ns = corestore::namespace(&[0; 32], b"app");
        assert_eq!(pair.public(), corestore::key_pair(&primary, &ns, b"db").public());
        assert_ne!(pair.public(), key_pair(&primary, "app2").public());
        assert_eq!(link(&primary, "app").key, Manifest::single(pair.public()).key());
    }
}
