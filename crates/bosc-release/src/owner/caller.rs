//! What of whoever hands a command over decides what the command does, beside the request itself.
//!
//! | of the one who asks | what becomes of it |
//! |---|---|
//! | keys in use (`BOSC_PRIMARY_KEY`, `BOSC_PRIMARY_KEY_FILE`, `BOSC_UPDATER_SECRET_KEY`) | go along as [`KeysInUse`], which says nothing of them: none is published |
//! | the primary key that it gives the store | goes along as a digest: another one than the store's is refused |
//! | the umask | goes along: a command that writes outside of the store is refused where the owner would make its files more open |
//! | working folder, `HOME`, `XDG_DATA_HOME`, `LOCALAPPDATA`, `PATH` | are in the request: absolute paths and `UserPlaces` |
//! | passphrases, tokens, terminal | are read by the one who asks, and are in the request where the command needs them |
//! | `--bootstrap`, `--relay`, `--lan` | are those of the store's owner, which has one node |
//! | `TZ`, `LANG` | decide nothing: times are UTC, texts are English |

use crate::engine::errors::other_primary_key;
use crate::error::{CommandError, ErrorKind};
use crate::request::Request;
use crate::secrets::KeysInUse;
use bosc_format::crypto::{Hash, hash};
use serde::{Deserialize, Serialize};

/// The surroundings of whoever asks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Caller {
    /// None of these is published for it.
    pub(crate) keys: KeysInUse,
    /// Tells its primary key from another one, and nothing of it.
    primary_key: Option<Hash>,
    /// What it takes from the rights of files that it makes.
    umask: Option<u32>,
}

impl Caller {
    /// Of this process. `primary_key`: the one it gives the store.
    pub fn here(primary_key: Option<&[u8; 32]>) -> Self {
        let keys = KeysInUse::of_environment();
        Self {
            keys: primary_key.into_iter().fold(keys, |keys, key| keys.with(key)),
            primary_key: primary_key.map(digest),
            umask: umask(),
        }
    }

    /// # Errors
    /// It gives another primary key than the store's.
    pub(crate) fn check_primary_key(&self, own: &[u8; 32]) -> Result<(), CommandError> {
        match self.primary_key {
            Some(theirs) if theirs != digest(own) => Err(other_primary_key()),
            _ => Ok(()),
        }
    }

    /// A process has one umask for all its threads, so it cannot be taken for one command.
    ///
    /// # Errors
    /// Files of this command would be more open, made with the umask `own`, than the one who asked makes them.
    pub(crate) fn check_umask(&self, own: Option<u32>, request: &Request) -> Result<(), CommandError> {
        let (Some(own), Some(theirs)) = (own, self.umask) else { return Ok(()) };
        if theirs & !own & 0o777 == 0 || !writes_outside(request) {
            return Ok(());
        }
        Err(CommandError::new(
            ErrorKind::Store,
            "ERR_OTHER_UMASK",
            format!(
                "the process that has the store open has the umask {own:03o}, this one {theirs:03o}: it would make files more open"
            ),
        )
        .hint("end that process, or start it with this umask; nothing was written"))
    }
}

fn digest(primary_key: &[u8; 32]) -> Hash {
    hash(&[b"bosc primary key of a caller", primary_key])
}

/// Whether a command writes files beside the store, whose rights people see.
fn writes_outside(request: &Request) -> bool {
    match request {
        Request::Dump(_)
        | Request::Mirror(_)
        | Request::Install(_)
        | Request::KeysExport(_)
        | Request::Monitor(_)
        | Request::Publish(_)
        | Request::Line(_)
        | Request::Rotate(_)
        | Request::Multisig(_) => true,
        Request::Touch(_)
        | Request::Stage(_)
        | Request::Provision(_)
        | Request::Seed(_)
        | Request::Relay(_)
        | Request::BlindPeer(_)
        | Request::Info(_)
        | Request::Changelog(_)
        | Request::Versions(_)
        | Request::Log(_)
        | Request::Cores(_)
        | Request::Dashboard(_)
        | Request::Gc(_)
        | Request::DataDht(_)
        | Request::Doctor(_)
        | Request::Policy(_)
        | Request::Operator(_)
        | Request::KeysImport(_)
        | Request::StoreCheck(_)
        | Request::StoreRepair(_) => false,
    }
}

/// What the system takes from the rights of files that this process makes.
#[cfg(unix)]
pub(crate) fn umask() -> Option<u32> {
    use rustix::fs::Mode;
    use std::path::Path;
    // To ask for it is to change it, for every thread: Linux also tells it.
    if let Ok(Some(status)) = bosc_files::read_bounded(Path::new("/proc/self/status"), 64 << 10) {
        let line = status.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"Umask:"));
        let text = line.and_then(|text| std::str::from_utf8(text).ok());
        if let Some(mask) = text.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()) {
            return Some(mask);
        }
    }
    // Whatever is made in between is for its owner alone.
    let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    #[allow(clippy::useless_conversion, reason = "16 bits on macOS")]
    let mask = u32::from(mask.as_raw_mode());
    Some(mask)
}

#[cfg(not(unix))]
pub(crate) fn umask() -> Option<u32> {
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_primary_key_is_told_by_its_digest_alone() {
        let key = [5; 32];
        let caller: Caller =
            serde_json::from_str(&serde_json::to_string(&Caller::here(Some(&key))).unwrap()).unwrap();
        caller.check_primary_key(&key).unwrap();
        let e = caller.check_primary_key(&[6; 32]).unwrap_err();
        assert!(e.message().contains("BOSC_PRIMARY_KEY is not the primary key"), "{e}");
        Caller::default().check_primary_key(&[6; 32]).unwrap();
    }

    #[test]
    fn no_file_is_more_open_than_its_caller_makes_it() {
        let dump = Request::Dump(crate::dump::Dump::default());
        let check = |own: u32, theirs: u32, request: &Request| {
            Caller { umask: Some(theirs), ..Caller::default() }.check_umask(Some(own), request).is_ok()
        };
        for (own, theirs, right) in [
            (0o022, 0o022, true),
            (0o022, 0o077, false),
            (0o022, 0o027, false),
            (0o000, 0o022, false),
            (0o022, 0o002, true),
            (0o077, 0o022, true),
        ] {
            assert_eq!(check(own, theirs, &dump), right, "{own:o} {theirs:o}");
            let info = Request::Info(crate::info::Info::default());
            assert!(check(own, theirs, &info), "it writes nothing");
        }
        assert_eq!(umask().is_some(), cfg!(unix));
    }
}
