//! A drive's two cores in the store, and links to them.

use super::Engine;
use super::errors::store_error;
use crate::error::{CommandError, ErrorKind};
use crate::event::link::BlobsHead;
use bosc_drive::bee::Bee;
pub(crate) use bosc_follow::{CoreSource, DriveCores};
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_store::Core;

/// What several commands tell of the blobs core.
pub(crate) fn blobs_head(core: &Core) -> BlobsHead {
    let head = core.head();
    BlobsHead {
        key: id::encode(core.key()),
        length: head.length,
        fork: head.fork,
        byte_length: head.byte_length,
        hash: id::encode(&head.tree_hash()),
    }
}

impl Engine {
    /// The drive a link names.
    pub(crate) fn open_drive(&self, link: &PearLink) -> Result<DriveCores, CommandError> {
        Ok(DriveCores::open(&self.store, &link.key)?)
    }

    /// The drive of a db core.
    pub(crate) fn drive_of(&self, db: Core) -> DriveCores {
        DriveCores::new(&self.store, db)
    }
}

/// Reads a link to a drive, or one of its versions. A path behind it is refused: what is meant for a part would be done to all.
pub(crate) fn parse_link(text: &str) -> Result<PearLink, CommandError> {
    let link = parse_link_with_path(text)?;
    if !matches!(link.pathname.as_str(), "" | "/") {
        let shown: String = link.pathname.chars().take(120).collect();
        return Err(meaningless(format!("this command takes no path behind a link: {shown:?}"))
            .hint("give the link alone: pear://<key>; only `bosc dump` takes a path"));
    }
    Ok(link)
}

/// Reads a link to a drive with all its versions, for commands that change, serve or remove the drive as it is.
pub(crate) fn parse_whole_link(text: &str) -> Result<PearLink, CommandError> {
    let link = parse_link(text)?;
    match link.version {
        None => Ok(link),
        Some(version) => Err(meaningless(format!(
            "this command takes a link without a version, and this one has length {} of fork {}",
            version.length, version.fork
        ))
        .hint(format!("give the link alone: {}", link.origin()))),
    }
}

/// Reads a link to a drive and, it may be, a path in it.
pub(crate) fn parse_link_with_path(text: &str) -> Result<PearLink, CommandError> {
    PearLink::parse(text).map_err(|e| invalid_link(text, &e.to_string()))
}

fn meaningless(message: String) -> CommandError {
    CommandError::new(ErrorKind::Input, "ERR_INVALID_LINK", message)
}

fn invalid_link(text: &str, why: &str) -> CommandError {
    let shown: String = text.chars().take(120).collect();
    CommandError::new(ErrorKind::Input, "ERR_INVALID_LINK", format!("not a pear link: {shown:?}: {why}"))
        .hint("a link looks like pear://<52 characters>; `bosc touch` makes one")
}

/// Checks that a drive's core ends a batch at `length`: lengths inside a batch show some of its files and hide others.
/// With all blocks below `length` here the answer is exact. Else it is as good as a few blocks allow: a file written by
/// the last block must be in the tree there, which can hold inside a large batch as well.
pub(crate) fn check_batch_end(source: CoreSource, length: u64) -> Result<(), bosc_drive::Error> {
    if length <= 1 {
        return Ok(());
    }
    let exact = source.core().contiguous_length() >= length;
    let bee = Bee::checkout(source, length);
    if exact {
        // The walk is only for lengths that a single look cannot rule out.
        bee.get(b"")?;
        let last = bee.versions().last().transpose()?;
        return match last {
            Some(step) if !step.ends_batch => Err(bosc_drive::Error::NotAVersion(length)),
            _ => Ok(()),
        };
    }
    let last = bee.get_by_seq(length - 1)?;
    let there = bee.get(&last.key)?;
    // The last block of a batch may have taken a file out.
    if last.value.is_some() && there.is_none_or(|e| e.seq != last.seq) {
        return Err(bosc_drive::Error::NotAVersion(length));
    }
    Ok(())
}

/// What was read is damaged here.
pub(super) fn damaged(message: String) -> CommandError {
    CommandError::new(ErrorKind::Store, "ERR_STORE_DAMAGED", message).hint(
        "nothing damaged was given out. Fetch it from peers with `bosc store repair <link>` (or run `bosc seed \
         <link>`, which does it by itself), then run the command again",
    )
}

/// The store failed to give a block.
fn source_error(e: Box<dyn std::error::Error + Send + Sync>) -> CommandError {
    match e.downcast::<bosc_store::Error>() {
        Ok(e) if e.kind() == bosc_store::ErrorKind::Corrupt => damaged(e.to_string()),
        Ok(e) => store_error(*e),
        Err(e) if e.is::<bosc_follow::CutBack>() => CommandError::not_found(e.to_string())
            .hint("run the command again: it reads what the link holds now"),
        Err(e) => CommandError::new(ErrorKind::Integrity, "ERR_INVALID_DRIVE", "the drive cannot be read")
            .because(e),
    }
}

impl From<bosc_drive::Error> for CommandError {
    fn from(e: bosc_drive::Error) -> Self {
        drive_error(e)
    }
}

/// A drive that does not hold what its format says.
pub(crate) fn drive_error(e: bosc_drive::Error) -> CommandError {
    use bosc_drive::Error as E;
    match e {
        E::NotAVersion(n) => {
            CommandError::input(format!("length {n} is inside a batch, not a version of the drive"))
                .hint("use a length that a verlink showed")
        }
        E::Missing(n) => CommandError::new(
            ErrorKind::NotFound,
            "ERR_NOT_FOUND",
            format!("block {n} of the drive is not on this machine"),
        ),
        E::InvalidPath { .. } => CommandError::input(e.to_string()),
        E::Source(e) => source_error(e),
        e => CommandError::new(ErrorKind::Integrity, "ERR_INVALID_DRIVE", "the drive cannot be read")
            .because(e),
    }
}
