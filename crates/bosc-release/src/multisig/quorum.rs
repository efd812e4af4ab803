//! Which responses count.
//!
//! Every response is judged alone, so that each bad one is named in the events ([`judge`]). One bad response is an error
//! ([`Judged::refuse_bad`]), as it is for npm `hyper-multisig`: whoever collected it should know before anything is
//! written. Several good responses of one signer count once; their order does not matter.

use super::errors::shown;
use super::event::{JudgedResponse, Verdict};
use super::text;
use crate::error::{CommandError, ErrorKind};
use bosc_format::crypto::PublicKey;
use bosc_format::id;
use bosc_format::signing::{Request, Response, SigningError};

/// The responses to one request.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Those that count, one a signer, in the order of the manifest's signers.
    pub valid: Vec<Response>,
    /// Each response's signer and verdict, in the order given.
    pub verdicts: Vec<(PublicKey, Verdict)>,
}

/// Reads and judges responses. `bytes` are those the request was read from.
///
/// # Errors
/// Texts that are not responses.
pub fn judge(request: &Request, bytes: &[u8], responses: &[String]) -> Result<Judged, CommandError> {
    let mut valid: Vec<Response> = Vec::new();
    let mut verdicts = Vec::new();
    for response in responses {
        let response = text::response(response)?;
        let verdict = match response.verify(request, bytes) {
            Ok(()) if valid.iter().any(|r| r.public_key == response.public_key) => Verdict::Duplicate,
            Ok(()) => Verdict::Valid,
            Err(SigningError::OtherRequest) => Verdict::OtherRequest,
            Err(SigningError::NotASigner) => Verdict::UnknownSigner,
            Err(_) => Verdict::InvalidSignature,
        };
        verdicts.push((response.public_key, verdict));
        if verdict == Verdict::Valid {
            valid.push(response);
        }
    }
    let place = |key: &PublicKey| request.manifest.signers.iter().position(|s| s.public_key == *key);
    valid.sort_by_key(|r| place(&r.public_key));
    Ok(Judged { valid, verdicts })
}

impl Judged {
    /// How many signers answered.
    pub fn count(&self) -> u64 {
        self.valid.len() as u64
    }

    /// Each signer that answered and how, for events.
    pub fn told(&self) -> Vec<JudgedResponse> {
        self.verdicts
            .iter()
            .map(|(key, verdict)| JudgedResponse { public_key: id::encode(key), verdict: *verdict })
            .collect()
    }

    /// Fails with the first response that is not valid.
    ///
    /// # Errors
    /// One code and message for each way a response can be wrong.
    pub fn refuse_bad(&self) -> Result<(), CommandError> {
        for (key, verdict) in &self.verdicts {
            let key = shown(&id::encode(key));
            let (code, message, hint) = match verdict {
                Verdict::Valid | Verdict::Duplicate => continue,
                Verdict::OtherRequest => (
                    "SIGNATURE_OTHER_REQUEST",
                    format!("Signature was not made over this request (by {key})"),
                    "ask that signer to sign this very request, or leave the response out",
                ),
                Verdict::UnknownSigner => (
                    "SIGNER_UNKNOWN",
                    format!("Public key is not a declared signer for this request: {key}"),
                    "leave that response out; only keys listed in pear.json multisig.publicKeys can sign",
                ),
                Verdict::InvalidSignature => (
                    "SIGNATURE_INVALID",
                    format!("Invalid signature! (by {key})"),
                    "leave that response out and ask the signer to sign again; it was damaged or forged",
                ),
            };
            return Err(CommandError::new(ErrorKind::Integrity, code, message).hint(hint));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
