//! The one place that says whether a disk is full.

use std::error::Error;
use std::io::{self, ErrorKind};

/// Most causes that are looked at.
const MAX_CAUSES: usize = 16;

/// Whether there is no room: on the disk, within the quota, or for a file of that size.
pub fn is_full(e: &io::Error) -> bool {
    match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => true,
        // Our own code also calls a file that it does not want to read too large.
        ErrorKind::FileTooLarge => e.raw_os_error().is_some(),
        _ => false,
    }
}

/// The same of an error or any of its causes.
pub fn is_caused_by_full(e: &(dyn Error + 'static)) -> bool {
    let mut next = Some(e);
    for _ in 0..MAX_CAUSES {
        let Some(e) = next else { return false };
        next = match e.downcast_ref::<io::Error>() {
            Some(e) if is_full(e) => return true,
            // What it was made of is not among its causes.
            Some(e) => e.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => e.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn no_room_is_found_below_other_errors() {
        for full in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            assert!(is_full(&full.into()));
            assert!(is_caused_by_full(&Outer(full.into())));
            assert!(is_caused_by_full(&io::Error::other(Outer(io::Error::other(io::Error::from(full))))));
        }
        for other in [ErrorKind::PermissionDenied, ErrorKind::FileTooLarge] {
            assert!(!is_full(&other.into()));
            assert!(!is_caused_by_full(&Outer(io::Error::other(Outer(other.into())))));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_is_understood() {
        use std::io::Write;
        let written = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().write_all(b"x");
        assert!(is_full(&written.unwrap_err()));
        for raw in [28, 122, 27] {
            assert!(is_full(&io::Error::from_raw_os_error(raw)), "ENOSPC, EDQUOT, EFBIG: {raw}");
        }
        assert!(!is_full(&io::Error::from_raw_os_error(13)));
    }
}
