//! `multisig request`: what signers are to sign, or why it could never be committed.

use super::content::Content;
use super::peers::{AskedDrive, known_head};
use super::target::{Wanted, standing};
use super::version::check_version;
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::{CoreSource, drive_error, parse_link};
use crate::engine::follow::timed_out;
use crate::error::{CommandError, ErrorKind};
use crate::multisig::errors;
use crate::multisig::event::{CopiesOf, Length, LengthAndHash, MultisigEvent, RequestMade};
use crate::multisig::{FULL_COPIES, MakeRequest};
use crate::update_costs::CostsOf;
use bosc_drive::drive::Drive;
use bosc_follow::CoreName;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_format::signing::{Content as Signed, Request};
use std::time::Duration;

/// How long the search for production may hold a request up.
const SEARCH: Duration = Duration::from_secs(2);
/// The version of the signing request that old signers read.
const LEGACY_VERSION: u64 = 2;

fn unversioned(text: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Input,
        "ERR_INVALID_LINK",
        format!("A valid versioned source link must be specified: {}", errors::shown(text)),
    )
    .hint("give the link with its version, pear://<fork>.<length>.<key>, as `bosc provision` and `bosc info` print it")
}

impl Engine {
    pub(crate) fn multisig_request(
        &self,
        r: &MakeRequest,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<RequestMade, CommandError> {
        let link = parse_link(&r.link)?;
        let version = link.version.ok_or_else(|| unversioned(&r.link))?;
        if version.length == 0 {
            return Err(
                unversioned(&r.link).because(std::io::Error::other("length 0: there is nothing to sign"))
            );
        }
        if version.fork > 0 {
            return Err(errors::source_forked(CoreName::Db, version.fork));
        }
        let target = self.target_cores(&r.signers.manifest()?)?;
        let drive = self.open_drive(&link)?;
        let update = Duration::from_millis(r.peer_update_timeout_ms);
        let wait = r.wait_ms.map_or(update, Duration::from_millis);
        let length = version.length;

        let mut source = AskedDrive::open(self, &drive.db, false)?;
        // Nobody waits for production; what is learned of it meanwhile is looked at in the end.
        let production = AskedDrive::open(self, &target.db, false)?;

        sink.tell(MultisigEvent::GettingSrcBlobs);
        source.wait(wait.max(update), stop, |_| Ok(source.db.status().has_manifest.then_some(())))?;
        if !source.find_blobs()? {
            return Err(timed_out(&source.db.status()));
        }
        let blobs = source.blobs.clone().ok_or_else(|| timed_out(&source.db.status()))?;

        sink.tell(MultisigEvent::VerifyDbRequestableStart);
        source.until_length(&source.db, length, wait.max(update), stop)?;
        let head = drive.db.head();
        if head.length < length {
            return Err(errors::source_too_small(CoreName::Db, head.length, length));
        }
        if head.fork > 0 {
            return Err(errors::source_forked(CoreName::Db, head.fork));
        }
        let copies = |core, length, sink: &mut dyn Sink| {
            if r.force { Ok(()) } else { source_copies(&source, core, length, wait, sink, stop) }
        };
        copies((CoreName::Db, &source.db), length, sink)?;
        // Signers and committers need the whole db, and so does what follows here.
        source.fetch((CoreName::Db, &source.db), 0, length, sink, stop)?;
        let tree_hash = source.head_at(&source.db, length, stop)?.tree_hash();
        if link.hash.is_some_and(|h| h != tree_hash) {
            return Err(errors::source_mismatch(CoreName::Db, length));
        }
        check_version(CoreSource::cut(&drive.db, length), length).map_err(drive_error)?;

        sink.tell(MultisigEvent::GettingBlobsLength);
        let blobs_length = Drive::checkout(CoreSource::cut(&drive.db, length), length)
            .blobs_length()
            .map_err(drive_error)?;

        sink.tell(MultisigEvent::VerifyBlobsRequestableStart);
        source.until_length(&blobs, blobs_length, wait.max(update), stop)?;
        let blobs_head = blobs.core().head();
        if blobs_head.length < blobs_length {
            return Err(errors::source_too_small(CoreName::Blobs, blobs_head.length, blobs_length));
        }
        if blobs_head.fork > 0 {
            return Err(errors::source_forked(CoreName::Blobs, blobs_head.fork));
        }
        if blobs_length > 0 {
            copies((CoreName::Blobs, &blobs), blobs_length, sink)?;
        }
        let content = Signed {
            length: blobs_length,
            tree_hash: source.head_at(&blobs, blobs_length, stop)?.tree_hash(),
        };

        sink.tell(MultisigEvent::CreatingDrive);
        production.until_searched(&production.db, update.min(SEARCH), stop)?;
        // A release that does not go on from production can never be committed. `--force` only makes up for peers.
        let wanted = [
            (&target.db, &source.db, Wanted { name: CoreName::Db, length, hash: tree_hash }),
            (
                &target.blobs,
                &blobs,
                Wanted { name: CoreName::Blobs, length: content.length, hash: content.tree_hash },
            ),
        ];
        for (target, source, wanted) in wanted {
            let there = target.length();
            if there == 0 || (there < wanted.length && known_head(source.core(), there).is_none()) {
                continue;
            }
            standing(target, source.core(), wanted)?;
        }
        let there = target.db.length();
        let base = known_head(source.db.core(), there).is_some().then_some(there);
        self.tell_rules_of(&Content::followed(&drive, &source.db, &blobs), length, base, sink, stop)?;
        drop(production);
        CostsOf {
            db: CoreSource::cut(&drive.db, length),
            length,
            followed: Some(&source.db),
            blobs: Some((blobs.core().clone(), Some(&blobs))),
            stop,
        }
        .tell(sink)?;
        let mut request = Request::new(target.manifest.clone(), length, 0, tree_hash, Some(content));
        if r.legacy {
            request.version = LEGACY_VERSION;
        }
        Ok(RequestMade {
            request: request.to_text(),
            link: PearLink::new(*target.db.key()).to_string(),
            source: PearLink::verlink(link.key, 0, length).to_string(),
            length,
            tree_hash: id::encode(&tree_hash),
            blobs: LengthAndHash { length: content.length, tree_hash: id::encode(&content.tree_hash) },
            production: Length { length: target.db.length() },
        })
    }
}

/// Waits until enough peers hold all of a source's core up to `length`.
pub(super) fn source_copies(
    source: &AskedDrive,
    core: super::peers::Named<'_>,
    length: u64,
    wait: Duration,
    sink: &mut dyn Sink,
    stop: &Stop,
) -> Result<(), CommandError> {
    let (peers, full) = source.until_copies(core, length, wait, CopiesOf::Source, sink, stop)?;
    if full >= FULL_COPIES {
        Ok(())
    } else if peers < FULL_COPIES {
        Err(errors::source_peers(core.0, peers, FULL_COPIES))
    } else {
        Err(errors::source_copies(core.0, full, FULL_COPIES))
    }
}
