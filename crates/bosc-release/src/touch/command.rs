//! `touch`: a new link.

use super::event::Touched;
use super::{Touch, vanity};
use crate::command::Stop;
use crate::engine::Engine;
use crate::engine::errors::store_error;
use crate::error::CommandError;
use bosc_format::id;
use bosc_format::manifest::Manifest;
use bosc_format::{corestore, link};
use bosc_store::CreateOptions;

impl Engine {
    pub(crate) fn touch(&self, request: &Touch, stop: &Stop) -> Result<Touched, CommandError> {
        let name = match &request.vanity {
            None => random_name()?,
            Some(prefix) => {
                let primary = self.store.primary_key();
                vanity::search(prefix, stop, || {
                    let name = random_name()?;
                    let pair = corestore::key_pair(&primary, &corestore::DEFAULT_NAMESPACE, name.as_bytes());
                    Ok((name, Manifest::single(pair.public()).key()))
                })?
            }
        };
        let core = self.store.create_core(CreateOptions::named(&name)).map_err(store_error)?;
        self.store.flush().map_err(store_error)?;
        let link = link::PearLink::new(*core.key()).to_string();
        Ok(Touched { key: id::encode(core.key()), link, name })
    }
}

/// 16 random bytes in hex, as Pear names its cores.
fn random_name() -> Result<String, CommandError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| CommandError::failed("no randomness").because(std::io::Error::other(e)))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
