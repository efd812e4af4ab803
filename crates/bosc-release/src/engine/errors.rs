//! Errors of the store and of the network, with what to do about them.

use crate::error::{CommandError, ErrorKind};
use std::net::SocketAddrV4;

/// No DHT node answered.
pub(crate) fn no_dht(tried: &[SocketAddrV4]) -> CommandError {
    let tried: Vec<String> = tried.iter().map(ToString::to_string).collect();
    CommandError::new(
        ErrorKind::Network,
        "ERR_NO_DHT",
        format!("no DHT node answers (tried {})", tried.join(", ")),
    )
    .hint("check that this machine is online and may send UDP; other nodes are given with `--bootstrap HOST:PORT,...`")
}

/// The store has another primary key than it was given.
pub(crate) fn other_primary_key() -> CommandError {
    CommandError::input("BOSC_PRIMARY_KEY is not the primary key of this store")
        .hint("unset it, or use a new store with `--store DIR`")
}

/// The ways back from a damaged store.
pub(crate) const DAMAGED_HINT: &str = "nothing was removed. Put back what is missing from a backup of the folder; or move \
     the folder aside, take your keys into a new store with `bosc keys import FILE` (the file of `bosc keys backup`) and \
     fetch the links again with `bosc seed`. `bosc store check` shows what is damaged, `bosc store repair` fetches damaged \
     blocks from peers, `bosc gc store` frees what nothing uses";

/// An error of the store, with what to do about it.
pub(crate) fn store_error(e: bosc_store::Error) -> CommandError {
    use bosc_store::Error as E;
    let (kind, code, message, hint) = match &e {
        E::Locked { .. } => (
            ErrorKind::Store,
            "ERR_LOCKED",
            "another process has the store open and does not take commands",
            "wait for it to end, or use another store with `--store DIR`",
        ),
        E::NewerVersion { .. } => (
            ErrorKind::Store,
            "ERR_STORE_VERSION",
            "the store was made by a newer version of Bosc",
            "update Bosc, or use another store with `--store DIR`",
        ),
        E::Foreign { .. } => (
            ErrorKind::Permission,
            "ERR_STORE_NOT_YOURS",
            "the store may be another user's doing, and nothing was written to it",
            "use another folder with `--store DIR`; or look at what is in this one, and give it to you alone: \
             `chown -R \"$(id -u)\" DIR`, `chmod o-w DIR`, and remove links that you did not make",
        ),
        E::Corrupt(_) => {
            // The message itself says what is missing or wrong.
            return CommandError::new(ErrorKind::Store, "ERR_STORE_DAMAGED", e.to_string())
                .hint(DAMAGED_HINT);
        }
        E::Full { .. } => (
            ErrorKind::Store,
            "ERR_DISK_FULL",
            "the disk is full",
            "free some disk space and run the command again; nothing that was stored is lost",
        ),
        E::NotWritable => return not_writable(),
        _ => (
            ErrorKind::Store,
            "ERR_STORE",
            "the store failed",
            "check the folder of the store, its disk and its permissions",
        ),
    };
    CommandError::new(kind, code, message).hint(hint).because(e)
}

/// This machine cannot write to a link.
pub(crate) fn not_writable() -> CommandError {
    CommandError::new(ErrorKind::Permission, "ERR_PERMISSION_REQUIRED", "this store cannot write to the link")
        .hint(
            "stage with the store that made the link, or make a new link with `bosc touch` and stage to that",
        )
}

/// The node may not run at the moment.
pub(super) fn busy() -> CommandError {
    CommandError::new(
        ErrorKind::Store,
        "ERR_BUSY",
        "a release of this store is on its way to its mirror, and no peer may see it before",
    )
    .hint("run the command again when `bosc publish` has said that the mirror has it")
}

pub(crate) fn invalid_manifest(why: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Integrity,
        "ERR_INVALID_MANIFEST",
        format!("the drive is not an application: {why}"),
    )
    .hint("ask whoever staged it to stage a folder with a valid package.json")
}

pub(super) fn no_such_version(asked: u64, have: u64) -> CommandError {
    CommandError::not_found(format!("the drive has no version {asked} (it has {have})"))
        .hint("check the number in the link; leave it out for the newest version")
}
