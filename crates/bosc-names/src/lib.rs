//! Which names of a release may become names on a disk. No IO.
//!
//! These are the rules of all who ask: a client before it installs, `dump` before it writes, and the publisher's tools
//! before they sign what no client would take. There is one set of them.
//!
//! | rule | Linux | macOS | Windows | archives |
//! |---|---|---|---|---|
//! | a name has at most [`MAX_NAME`] bytes | yes | yes | yes | yes |
//! | no `< > : " \| ? *`, no character below the space | | | yes | yes |
//! | no backslash, no control character at all | | | | yes |
//! | no `.` or space at the end, no device (`aux.js`) | | | yes | yes |
//! | no two names that differ in case only | | yes | yes | yes |
//! | no two names that differ in their Unicode form only | | yes | | yes |
//!
//! [`Target::Archive`] is all of them: an archive is unpacked by the same code everywhere, and holds only what every system
//! can hold. Names inside a drive are held to the system that reads them.
//!
//! Not here: whether a path is one at all (`..`, empty parts, a zero byte). Every container has its own way to write
//! those, and refuses them itself.
//!
//! # Files
//!
//! - Here: the rules for one name, its longest.
//! - `twins`: names that a file system takes for one: case, Unicode forms. `link`: where a symlink inside a build may lead, its
//!   longest target.
//! - `target`: the systems that a name is meant for.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod link;
mod target;
mod twins;

pub use link::{LinkProblem, check_link};
pub use target::Target;
pub use twins::{Clash, Twins, folded};

use thiserror::Error;

/// Longest name of a file, in bytes, that common file systems take.
pub const MAX_NAME: usize = 255;

/// Why a name cannot be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameProblem {
    /// Over [`MAX_NAME`] bytes.
    #[error("its name is longer than {MAX_NAME} bytes")]
    TooLong,
    /// A character that not every system can hold.
    #[error("its name holds {0:?}, which not every system can hold")]
    Character(char),
    /// A point or space at the end, which Windows takes off.
    #[error("its name ends in {0:?}, which Windows takes off: it reads it as another name")]
    Ending(char),
    /// A device of Windows, with or without an ending.
    #[error("Windows reads its name as a device")]
    Device,
}

/// Checks one name, a part of a path.
///
/// # Errors
/// The first rule it breaks.
pub fn check_name(name: &str, on: Target) -> Result<(), NameProblem> {
    if name.len() > MAX_NAME {
        return Err(NameProblem::TooLong);
    }
    if on.as_windows() { meaning(name, on == Target::Archive) } else { Ok(()) }
}

/// Whether Windows takes the name and means a file by it, whatever its length.
pub fn windows_name(name: &str) -> bool {
    meaning(name, false).is_ok()
}

/// Characters and meanings that Windows (and archives) know.
fn meaning(name: &str, archive: bool) -> Result<(), NameProblem> {
    let refused = |c: &char| {
        *c < ' '
            || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*')
            || (archive && (*c == '\\' || c.is_control()))
    };
    if let Some(c) = name.chars().find(refused) {
        return Err(NameProblem::Character(c));
    }
    if let Some(c) = name.chars().next_back().filter(|c| matches!(c, '.' | ' ')) {
        return Err(NameProblem::Ending(c));
    }
    if is_device(name) { Err(NameProblem::Device) } else { Ok(()) }
}

/// Devices of Windows, with or without an ending. The superscript digits count as digits there.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let is = |device: &str| stem.eq_ignore_ascii_case(device);
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"].into_iter().any(is) {
        return true;
    }
    let numbered =
        stem.get(..3).is_some_and(|head| ["COM", "LPT"].iter().any(|d| head.eq_ignore_ascii_case(d)));
    let mut rest = stem.get(3..).unwrap_or_default().chars();
    numbered
        && matches!(rest.next(), Some('0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}'))
        && rest.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_refuses_what_it_cannot_hold() {
        for (name, darwin, windows, archive) in [
            ("Demo", true, true, true),
            ("Foo::Bar.3pm", true, false, false),
            ("aux.js", true, false, false),
            ("CLOCK$", true, false, false),
            ("COM\u{b2}.txt", true, false, false),
            ("com10", true, true, true),
            ("readme.", true, false, false),
            ("readme ", true, false, false),
            ("a\nb", true, false, false),
            ("a\u{7f}b", true, true, false),
            ("a\\b", true, true, false),
            (&"x".repeat(255), true, true, true),
        ] {
            assert!(check_name(name, Target::Linux).is_ok(), "{name:?}");
            for (on, fits) in
                [(Target::Darwin, darwin), (Target::Windows, windows), (Target::Archive, archive)]
            {
                assert_eq!(check_name(name, on).is_ok(), fits, "{name:?} on {on:?}");
            }
        }
        for on in [Target::Linux, Target::Darwin, Target::Windows, Target::Archive] {
            assert_eq!(check_name(&"x".repeat(256), on), Err(NameProblem::TooLong));
        }
    }

    #[test]
    fn platforms_name_their_system() {
        assert_eq!(Target::of_platform("win32-x64"), Some(Target::Windows));
        assert_eq!(Target::of_platform("darwin-arm64"), Some(Target::Darwin));
        assert_eq!(Target::of_platform("linux-x64"), Some(Target::Linux));
        assert_eq!(Target::of_platform("android-arm64"), None);
    }
}
