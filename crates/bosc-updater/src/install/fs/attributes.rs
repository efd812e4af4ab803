//! What a file has besides bytes, owner and mode: capabilities, access lists, attributes of its user. Linux only; elsewhere nothing is
//! carried over.

use std::io;
use std::path::Path;

/// Gives `to` what `from` has of them. The names of those that this user or the file system does not let it have; none when `from` has
/// none.
pub(crate) fn carry_over(from: &Path, to: &Path) -> io::Result<Vec<String>> {
    super::step::step(super::step::Op::Mode, to)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        Ok(linux::carry_over(from, to))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = from;
        Ok(Vec::new())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    /// Bytes of a list of names, and of a value: what Linux allows.
    const MAX: usize = 64 * 1024;

    /// Those that belong to the file's bytes, or that the system sets by rules of its own, are not carried over.
    fn is_ours(name: &OsStr) -> bool {
        let name = name.as_bytes();
        name.starts_with(b"user.")
            || name.starts_with(b"trusted.")
            || matches!(
                name,
                b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default"
            )
    }

    /// What is said of an attribute.
    fn spoken(name: &OsStr) -> String {
        match name.to_string_lossy().as_ref() {
            "security.capability" => "its capabilities".to_owned(),
            "system.posix_acl_access" | "system.posix_acl_default" => "its access list".to_owned(),
            name => format!("the attribute {:?}", name.chars().take(64).collect::<String>()),
        }
    }

    pub(super) fn carry_over(from: &Path, to: &Path) -> Vec<String> {
        let mut names = vec![0_u8; MAX];
        // A file system without attributes.
        let Ok(length) = llistxattr(from, names.as_mut_slice()) else { return Vec::new() };
        let names = names.get(..length).unwrap_or_default();
        let names = names.split(|byte| *byte == 0).map(OsStr::from_bytes).filter(|name| is_ours(name));
        let mut value = Vec::new();
        let mut lost = Vec::new();
        for name in names {
            value.resize(MAX, 0);
            let read = lgetxattr(from, name, value.as_mut_slice());
            let kept = read.is_ok_and(|length| {
                let value = value.get(..length).unwrap_or_default();
                lsetxattr(to, name, value, XattrFlags::empty()).is_ok()
            });
            if !kept {
                lost.push(spoken(name));
            }
        }
        lost
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::print_stderr)]
mod tests {
    use super::*;
    use rustix::fs::{XattrFlags, getxattr, setxattr};

    #[test]
    fn what_can_be_carried_over_is_and_the_rest_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["from", "to", "bare"] {
            std::fs::write(at(name), name).unwrap();
        }
        std::os::unix::fs::symlink("to", at("link")).unwrap();
        assert_eq!(carry_over(&at("bare"), &at("to")).unwrap(), [""; 0]);
        if setxattr(at("from"), "user.note", b"x", XattrFlags::empty()).is_err() {
            eprintln!("NOT RUN: the file system of {} has no attributes", dir.path().display());
            return;
        }
        let mut value = [0_u8; 16];
        assert_eq!(carry_over(&at("from"), &at("to")).unwrap(), [""; 0]);
        assert_eq!(getxattr(at("to"), "user.note", value.as_mut_slice()), Ok(1));
        // No link has any.
        assert_eq!(carry_over(&at("from"), &at("link")).unwrap(), ["the attribute \"user.note\""]);
        // cap_net_bind_service=ep
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        if setxattr(at("from"), "security.capability", &capability, XattrFlags::empty()).is_ok() {
            assert_eq!(carry_over(&at("from"), &at("to")).unwrap(), [""; 0]);
            let mut value = [0_u8; 64];
            assert_eq!(getxattr(at("to"), "security.capability", value.as_mut_slice()), Ok(capability.len()));
        }
    }
}
