//! What a manifest is told to say, held against what a client can use.
//!
//! A client takes nearly every text: it fetches `{{arch}}` as it stands, shows an empty minimum version, and looks for the manifest under
//! one name. So what nobody can use is refused here, where it can still be changed, before anything is written.

use crate::error::CommandError;
use bosc_names::{Target, check_name};
use bosc_updater::manifest::url::{SecureUrl, UrlKind};

/// Longest `minimumSystemVersion` that clients keep whole, in bytes.
const MAX_SYSTEM: usize = 64;
/// Longest name of an application or manifest, in bytes: what file systems take.
const MAX_NAME: usize = 255;

/// The URL of the folder that the artifacts will be in, without the `/` at its end.
///
/// # Errors
/// `Input`: it may not be fetched, or is none that a name can be put behind.
pub(super) fn base(text: &str) -> Result<&str, CommandError> {
    let base = text.trim_end_matches('/');
    SecureUrl::parse(UrlKind::Asset, base).map_err(|e| {
        CommandError::input(e.to_string()).hint("give the https:// URL of the folder the server serves")
    })?;
    if base.contains(['?', '#']) {
        return Err(
            CommandError::input("--url-base holds a query or fragment").hint("give the URL of a folder")
        );
    }
    if base.contains(['{', '}']) {
        let message =
            format!("--url-base has a placeholder, and clients fetch artifacts from where it says: {base:?}");
        return Err(CommandError::input(message)
            .hint("give the URL of the folder itself; placeholders are for the URL of the manifest in the application"));
    }
    Ok(base)
}

/// Whether the URL of this artifact is one that clients take.
///
/// # Errors
/// `Input`: it is too long.
pub(super) fn artifact(base: &str, file: &str) -> Result<(), CommandError> {
    SecureUrl::parse(UrlKind::Asset, &format!("{base}/{file}")).map(|_| ()).map_err(|e| {
        CommandError::input(e.to_string()).hint("give a shorter --url-base, or the build a shorter name")
    })
}

/// Whether a manifest of this name can be served from a folder.
///
/// # Errors
/// `Input`: it is no name of a file, or means something else in a URL.
pub(crate) fn manifest_name(name: &str) -> Result<(), CommandError> {
    let refuse = |why: &str| {
        CommandError::input(format!("--manifest-name {name:?} {why}"))
            .hint("give the name of a file, such as latest.json")
    };
    if name.contains(['/', '\\']) {
        return Err(refuse("is a path"));
    }
    if name.is_empty() || name.len() > MAX_NAME || name == "." || name == ".." {
        return Err(refuse("is not the name of a file"));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-~+@".contains(c)) {
        return Err(refuse("has characters that mean something else in a URL"));
    }
    check_name(name, Target::Windows).map_err(|_| refuse("is a name that not every system takes"))
}

/// Whether applications can compare this with the system they run on.
///
/// # Errors
/// `Input`: it is empty, too long, or holds no version.
pub(super) fn minimum_system(text: &str) -> Result<(), CommandError> {
    let numbers = || text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if text.len() > MAX_SYSTEM || !numbers() {
        return Err(CommandError::input(format!("--minimum-system {text:?} is not a version of a system"))
            .hint("give numbers with dots between them, such as 10.0.19041 or 12.3"));
    }
    Ok(())
}

/// Whether this names an application.
///
/// # Errors
/// `Input`: it is blank, too long, or has characters that nobody sees.
pub(super) fn app(name: &str) -> Result<(), CommandError> {
    if name.trim().is_empty()
        || name.trim() != name
        || name.len() > MAX_NAME
        || name.chars().any(char::is_control)
    {
        return Err(CommandError::input(format!("{name:?} is not the name of an application")).hint(
            "give --app the name that the application gives to its updater, or put it into package.json",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_folder_that_is_fetched_as_it_stands() {
        assert_eq!(base("https://example.com/app/").unwrap(), "https://example.com/app");
        for bad in [
            "http://example.com",
            "https://example.com/{{target}}/{{arch}}",
            "https://example.com/{arch}",
            "https://example.com/a?b",
            "https://example.com/a#b",
            "",
        ] {
            assert!(base(bad).is_err(), "{bad:?}");
        }
        assert!(artifact("https://example.com", "a-1.0.0.bin").is_ok());
        assert!(artifact(&format!("https://example.com/{}", "a".repeat(4000)), &"b".repeat(200)).is_err());
    }

    #[test]
    fn a_manifest_has_the_name_of_a_file() {
        for good in ["latest.json", "beta_1.json", "latest"] {
            manifest_name(good).unwrap();
        }
        for bad in [
            "",
            ".",
            "..",
            "../m.json",
            "a/b",
            "a\\b",
            "aux.json",
            "m json",
            "m%20.json",
            "m?.json",
            "m#",
            "ü.json",
            "m.",
        ] {
            assert!(manifest_name(bad).is_err(), "{bad:?}");
        }
        assert!(manifest_name(&"a".repeat(256)).is_err());
    }

    #[test]
    fn a_minimum_system_is_a_version() {
        for good in ["10", "12.3", "10.0.19041", "6.1.7601.24214"] {
            minimum_system(good).unwrap();
        }
        for bad in ["", " ", "Windows 10", "12.", ".3", "12..3", "v12", "12.3\n", "１２", &"1".repeat(65)] {
            assert!(minimum_system(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_application_has_a_name() {
        for good in ["my-app", "Prüfer 2", "com.example.app"] {
            app(good).unwrap();
        }
        for bad in [" ", " a", "a\n", "\u{7f}", &"a".repeat(256)] {
            assert!(app(bad).is_err(), "{bad:?}");
        }
    }
}
