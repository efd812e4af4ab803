//! Followed drives for commands: what [`bosc_follow`] fails with, in this crate's words and codes. The only place where
//! they are given.

use super::Engine;
use super::drive::{damaged, drive_error};
use super::errors::{no_such_version, store_error};
use crate::command::Stop;
use crate::error::{CommandError, ErrorKind};
use bosc_follow::mirror::FaultKind;
use bosc_follow::{
    DriveCores, Fetch, FollowError, FollowedCore, FollowedDrive, Reader, TimedOut, Update, Wait,
};
use bosc_format::id;
use bosc_node::{CoreFailure, CoreStatus};
use std::time::Duration;

impl Engine {
    /// Follows a drive; as `server` it also lets itself be found.
    pub(crate) fn follow_drive(
        &self,
        drive: &DriveCores,
        server: bool,
    ) -> Result<FollowedDrive, CommandError> {
        let followed = FollowedDrive::join(&self.node()?, &self.topics, drive.clone(), server)?;
        self.add_mirrors(&followed)?;
        Ok(followed)
    }
}

/// A core that commands read, of this store and, if it is followed, from peers.
pub(crate) struct Reading<'a> {
    core: Option<&'a FollowedCore>,
    timeout: Duration,
    stop: &'a Stop,
}

/// Reads `core`, which fails when nothing comes for `timeout`.
pub(crate) fn reading<'a>(core: Option<&'a FollowedCore>, timeout: Duration, stop: &'a Stop) -> Reading<'a> {
    Reading { core, timeout, stop }
}

impl Fetch for Reading<'_> {
    type Error = CommandError;

    fn fetch(&mut self, block: u64, ahead: Vec<u64>) -> Result<(), CommandError> {
        let mut wait = Wait::new(self.stop).stall(self.timeout);
        Ok(Reader::new(self.core, &mut wait).fetch(block, ahead)?)
    }
}

/// The usual `--timeout`. Who asks for a longer one waits that long for a network as well, as on a machine that wakes up.
pub(crate) const USUAL_TIMEOUT: Duration = Duration::from_secs(30);

/// A wait for peers: where no DHT node answers there are none.
pub(crate) fn for_peers(timeout: Duration, stop: &Stop) -> Wait<'_> {
    Wait::new(stop).timeout(timeout).unless_unanswered(timeout <= USUAL_TIMEOUT)
}

/// Brings a core up to date with those who are there, and at least to `at_least`.
pub(crate) fn update(
    core: &FollowedCore,
    at_least: u64,
    timeout: Duration,
    stop: &Stop,
) -> Result<Update, CommandError> {
    Ok(core.up_to_date(at_least, &mut for_peers(timeout, stop))?)
}

pub(crate) fn stopped() -> CommandError {
    CommandError::new(ErrorKind::Interrupted, "ERR_INTERRUPTED", "stopped")
}

fn not_stored(failure: &CoreFailure) -> CommandError {
    let e = |code, next: &str| {
        CommandError::new(ErrorKind::Store, code, format!("what was received could not be stored: {failure}"))
            .hint(format!("{next}, then run the command again; what was received is kept"))
    };
    if failure.is_full() {
        e("ERR_DISK_FULL", "free some disk space")
    } else {
        e("ERR_STORE", "check the store's disk")
    }
}

/// No peer of a core delivered in time.
pub(crate) fn timed_out(s: &CoreStatus) -> CommandError {
    nobody(&TimedOut::of(s))
}

/// What to do about a mirror.
fn mirror_hint(name: &str, kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Newer => "update bosc on this machine, or name another mirror",
        FaultKind::OtherDrive | FaultKind::NotAMirror => {
            "check the address: below it is the file `bosc-mirror` that `bosc mirror` wrote for this link"
        }
        FaultKind::Partial => "name a mirror that has all of it, or ask for what this one has (`--only`)",
        FaultKind::WebPage | FaultKind::Redirect | FaultKind::Refused if name.contains("://") => {
            "open the address in a browser: a login, a proxy or another server answers in the mirror's place"
        }
        FaultKind::Unreachable | FaultKind::Slow | FaultKind::Busy | FaultKind::Unreadable => {
            "check the network and the address, then run the command again; what was received is kept"
        }
        _ => "run `bosc mirror --check` at its source, or name another mirror; nothing wrong was kept",
    }
}

fn nobody(why: &TimedOut) -> CommandError {
    let (message, hint) = if let Some((name, fault)) = why.mirrors.first() {
        return CommandError::new(
            ErrorKind::Network,
            "ERR_MIRROR",
            match why.peers {
                0 => "no peer that has this link was found in time, and no mirror delivered",
                _ => "neither the peers that were found nor a mirror delivered in time",
            },
        )
        .because(std::io::Error::other(format!("the mirror {name}: {fault}")))
        .hint(mirror_hint(name, fault.kind));
    } else if why.peers == 0 {
        (
            "no peer that has this link was found in time",
            "check the link, and that a peer runs `bosc seed` with it; give them more time (--timeout, of `multisig` --peer-update-timeout)",
        )
    } else {
        (
            "the peers that were found did not deliver in time",
            "run the command again; what was received is kept. Give them more time (--timeout, of `multisig` --peer-update-timeout)",
        )
    };
    let e = CommandError::new(ErrorKind::Network, "ERR_NETWORK_TIMEOUT", message).hint(hint);
    match &why.dropped {
        Some(peer) => e.because(std::io::Error::other(format!("a peer was dropped because it {peer}"))),
        None => e,
    }
}

impl From<FollowError> for CommandError {
    fn from(e: FollowError) -> Self {
        match e {
            FollowError::Stopped => stopped(),
            FollowError::Store(e) => store_error(e),
            FollowError::Drive(e) => drive_error(e),
            FollowError::NotStored(failure) => not_stored(&failure),
            FollowError::TimedOut(why) => nobody(&why),
            FollowError::Damaged { block, why } => damaged(format!(
                "block {block} of the link is damaged in this store, and {}",
                if why.peers == 0 { "no peer that has it was found in time" } else { "no peer delivered it in time" },
            )),
            FollowError::NotADrive => Self::failed("the drive's manifest is not known"),
            FollowError::NoSuchVersion { asked, have } => no_such_version(asked, have),
            FollowError::OtherFork { asked, have } => {
                Self::not_found(format!("the link names fork {asked} and the drive is at fork {have}")).hint(
                    if asked < have {
                        "the drive was cut back since; use a new link from who staged it"
                    } else {
                        "the fork the link names is newer than what was found: check the link for a typo, or run the command \
                         again when a peer that has it can be reached"
                    },
                )
            }
            FollowError::HashMismatch { .. } => Self::new(
                ErrorKind::Integrity,
                "ERR_HASH_MISMATCH",
                "the drive's content at this version is not what the link names",
            ),
            // Where the drive is known, `conflict::forked_at` says what to do.
            FollowError::Forked { peer } => Self::new(
                ErrorKind::Integrity,
                "ERR_FORKED",
                format!("peer {} holds another history, signed by the same key", id::encode(&peer)),
            ),
            e => Self::new(ErrorKind::Integrity, "ERR_INVALID_DRIVE", "the drive cannot be read").because(e),
        }
    }
}
