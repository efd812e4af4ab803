//! A namespace that gives a link with a wanted beginning.

use super::Signers;
use crate::command::Stop;
use crate::error::CommandError;
use crate::touch::vanity::search;
use bosc_format::id;
use bosc_format::manifest::Manifest;

/// Finds a namespace `<base>$<random>` whose link starts with `prefix`; the present one when it does already.
///
/// # Errors
/// Wrong characters, or stopped.
pub fn find(signers: &Signers, prefix: &str, stop: &Stop) -> Result<String, CommandError> {
    let keys = signers.keys()?;
    let key = |namespace: &str| Manifest::multisig(&keys, signers.quorum, namespace).key();
    if !prefix.is_empty() && id::encode(&key(&signers.namespace)).starts_with(prefix) {
        return Ok(signers.namespace.clone());
    }
    let base = signers.namespace.rsplit_once('$').map_or(signers.namespace.as_str(), |(base, _)| base);
    search(prefix, stop, || {
        let mut random = [0; 32];
        getrandom::fill(&mut random)
            .map_err(|e| CommandError::failed("no randomness").because(std::io::Error::other(e)))?;
        let namespace = format!("{base}${}", id::encode(&random));
        let key = key(&namespace);
        Ok((namespace, key))
    })
}
