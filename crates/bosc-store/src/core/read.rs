//! Reading blocks and proving them to peers. None leaves the store that is not the tree's: see `damage`.

use super::damage::Found;
use super::group::ReadAhead;
use super::handle::Core;
use crate::error::{Error, Result};
use bosc_format::proof::{Proof, ProofRequest, RequestError, create_proof};
use bytes::Bytes;

impl Core {
    /// The block, checked against the tree. `None`: it is not here.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes on disk are not the block. It counts as not here from then on, so that it can
    /// be fetched again.
    pub fn block(&self, index: u64) -> Result<Option<Bytes>> {
        let found = {
            let state = self.shared.read();
            self.look_at_block(&state, index)?
        };
        match found {
            Found::Absent => Ok(None),
            Found::Whole(bytes) => Ok(Some(bytes)),
            Found::Unreadable(e) => Err(e),
            Found::Damaged(e) => {
                self.lose(&[index])?;
                Err(e)
            }
        }
    }

    /// Answers a peer's request. `None`: something it takes is not here, or is damaged here. The request's fork is to
    /// be compared with the head's before, and the proof's after.
    ///
    /// # Errors
    /// [`Error::Invalid`] for requests that make no sense.
    pub fn prove(&self, request: &ProofRequest) -> Result<Option<Proof>> {
        self.prove_ahead(request, &ReadAhead::default())
    }

    /// [`Core::prove`] with blocks that were read before, beside others.
    ///
    /// # Errors
    /// As [`Core::prove`].
    pub fn prove_ahead(&self, request: &ProofRequest, ahead: &ReadAhead) -> Result<Option<Proof>> {
        let mut damaged = None;
        let proof = {
            let state = self.shared.read();
            let head = &state.record.head;
            let mut block = |i| match self.look_ahead(&state, i, ahead)? {
                Found::Whole(bytes) => Ok(Some(bytes)),
                Found::Damaged(_) => {
                    damaged = Some(i);
                    Ok(None)
                }
                Found::Absent | Found::Unreadable(_) => Ok(None),
            };
            create_proof(head, state.proof_manifest(), &self.tree(head), request, &mut block)
        };
        if let Some(index) = damaged {
            // Never served; that it could not be written down does not change that.
            let _ = self.lose(&[index]);
        }
        match proof {
            Ok(proof) => Ok(proof),
            Err(RequestError::Invalid(what)) => Err(Error::Invalid(what)),
            Err(RequestError::Read(e)) => Err(e.into()),
            Err(_) => Err(Error::Invalid("request")),
        }
    }
}
