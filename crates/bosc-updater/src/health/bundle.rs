//! The program inside a macOS bundle.

use crate::error::{ErrorKind, UpdateError};
use crate::install::fs;
use crate::plist;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of an `Info.plist` that are read.
const MAX_PLIST: u64 = 1024 * 1024;

/// `Contents/MacOS/<CFBundleExecutable>`; where the property list does not say it, the program named as the bundle, else
/// the only one there is.
pub(super) fn executable(bundle: &Path) -> Result<PathBuf, UpdateError> {
    let folder = bundle.join("Contents").join("MacOS");
    let plist = bundle.join("Contents").join("Info.plist");
    let named = read(&plist).and_then(|text| executable_name(&text));
    let stem = bundle.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    for name in [named, stem].into_iter().flatten() {
        let path = folder.join(name);
        if fs::look(&path).is_ok_and(|found| found.is_some()) {
            return Ok(path);
        }
    }
    match fs::names(&folder, 1024).unwrap_or_default().as_slice() {
        [only] => Ok(folder.join(only)),
        _ => Err(UpdateError::new(
            ErrorKind::Input,
            format!("cannot tell which program in {} to start", folder.display()),
        )
        .hint("set Program::inside, or CFBundleExecutable in the bundle's Info.plist")),
    }
}

fn read(plist: &Path) -> Option<Vec<u8>> {
    let mut list = Vec::new();
    fs::open(plist).ok()?.take(MAX_PLIST).read_to_end(&mut list).ok()?;
    Some(list)
}

/// The value of `CFBundleExecutable` in a property list: one file name.
fn executable_name(plist: &[u8]) -> Option<String> {
    let name = plist::text(plist, "CFBundleExecutable")?;
    let one = !matches!(name.as_str(), "" | "." | "..") && !name.contains(['/', '\\', '\0']);
    one.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_read_and_nothing_but_a_name() {
        let plist = |value: &str| {
            format!(
                "<plist><dict><key>CFBundleName</key><string>No</string>\n<key>CFBundleExecutable</key>\n\t<string>{value}</string></dict></plist>"
            )
        };
        assert_eq!(executable_name(plist("Tom &amp; Eva").as_bytes()).as_deref(), Some("Tom & Eva"));
        for bad in ["", "..", "../../bin/sh", "a/b", "a\\b"] {
            assert_eq!(executable_name(plist(bad).as_bytes()), None, "{bad:?}");
        }
        assert_eq!(executable_name(b"<key>CFBundleExecutable</key><true/><string>x</string>"), None);
        assert_eq!(executable_name(b"<key>CFBundleExecutable</key><string>x"), None);
    }

    #[test]
    fn what_the_list_does_not_say_the_folder_says() {
        let dir = tempfile::tempdir().unwrap();
        let bundle = dir.path().join("Hello.app");
        let programs = bundle.join("Contents/MacOS");
        std::fs::create_dir_all(&programs).unwrap();
        assert_eq!(executable(&bundle).unwrap_err().kind(), ErrorKind::Input);
        std::fs::write(programs.join("one"), "").unwrap();
        assert_eq!(executable(&bundle).unwrap(), programs.join("one"));
        std::fs::write(programs.join("Hello"), "").unwrap();
        std::fs::write(bundle.join("Contents/Info.plist"), b"bplist00\xff\xfe").unwrap();
        assert_eq!(executable(&bundle).unwrap(), programs.join("Hello"));
        std::fs::write(
            bundle.join("Contents/Info.plist"),
            "<key>CFBundleExecutable</key><string>one</string>",
        )
        .unwrap();
        assert_eq!(executable(&bundle).unwrap(), programs.join("one"));
    }
}
