//! What a commit is to do, as far as it can be said without a network.

use super::super::TargetCores;
use super::super::target::Wanted;
use crate::command::Sink;
use crate::engine::Engine;
use crate::error::CommandError;
use crate::multisig::event::MultisigEvent;
use crate::multisig::quorum::{self, Judged};
use crate::multisig::{Commit, errors, text};
use bosc_follow::CoreName;
use bosc_format::link::PearLink;
use bosc_format::signing::{Request, Response, SigningError};

/// A commit whose texts hold.
pub(super) struct CommitPlan {
    pub(super) request: Request,
    pub(super) request_text: String,
    pub(super) judged: Judged,
    pub(super) responses: Vec<String>,
    /// The signatures of db and blobs, when there are enough.
    pub(super) signatures: Option<[Vec<u8>; 2]>,
    pub(super) wanted: [Wanted; 2],
}

impl Engine {
    /// Everything that can be said without a network.
    pub(super) fn plan(
        &self,
        ask: &Commit,
        cores: &TargetCores,
        sink: &mut dyn Sink,
    ) -> Result<CommitPlan, CommandError> {
        let (request, bytes) = text::request(&ask.request)?;
        sink.tell(MultisigEvent::Multisigging {
            request: ask.request.clone(),
            responses: ask.responses.clone(),
            dry_run: ask.dry_run,
        });
        if request.fork > 0 {
            return Err(errors::bad_request(
                "it is for a drive that was truncated before, and could never be committed",
            ));
        }
        let Some(content) = request.content else {
            return Err(errors::bad_request("it is for a single core, not for a drive"));
        };
        let link = |key| PearLink::new(key).to_string();
        if request.manifest != cores.manifest {
            return Err(errors::other_link(&link(request.key()), &link(*cores.db.key())));
        }
        // What a begun commit was given before need not be given again.
        let request_text = request.to_text();
        let mut given = ask.responses.clone();
        if let Some(r) = self.journal()?.get(cores.db.key())
            && r.is_for(&request_text)
        {
            given.extend(r.responses.iter().cloned());
        }
        let judged = quorum::judge(&request, &bytes, &given)?;
        sink.tell(MultisigEvent::Signatures {
            quorum: request.manifest.quorum,
            valid: judged.count(),
            responses: judged.told(),
        });
        judged.refuse_bad()?;
        let signatures = match request.assemble(&bytes, &judged.valid) {
            Ok((db, blobs)) => Some([db, blobs.unwrap_or_default()]),
            Err(SigningError::Quorum { have, need }) if !ask.dry_run => {
                return Err(errors::insufficient_quorum(have, need));
            }
            Err(SigningError::Quorum { .. }) => None,
            Err(e) => return Err(errors::bad_request(&e.to_string())),
        };
        let wanted = [
            Wanted { name: CoreName::Db, length: request.length, hash: request.tree_hash },
            Wanted { name: CoreName::Blobs, length: content.length, hash: content.tree_hash },
        ];
        let responses = judged.valid.iter().map(Response::to_text).collect();
        Ok(CommitPlan { request, request_text, judged, responses, signatures, wanted })
    }
}
