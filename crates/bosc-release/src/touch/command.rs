//! `touch`: a new link.

use super::event::Touched;
use super::{Touch, vanity};
use crate::command::Stop;
use crate::engine::Engine;
use crate::engine::errors::store_error;
use crate::engine::folders::SHARED_PRIMARY;
use crate::engine::shared::SharedKey;
use crate::error::CommandError;
use crate::stage::link_rules;
use bosc_format::id;
use bosc_format::manifest::Manifest;
use bosc_format::{corestore, link};
use bosc_store::CreateOptions;

impl Engine {
    pub(crate) fn touch(&self, request: &Touch, stop: &Stop) -> Result<Touched, CommandError> {
        if let Some(name) = &request.named {
            return self.touch_named(name);
        }
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
        Ok(Touched { key: id::encode(core.key()), link, name, shared: false })
    }
}

impl Engine {
    /// The link of a name. A primary key from the environment, or one that was given to others, is on other machines too, and
    /// what they released is not known here: it is asked for before anything is written.
    fn touch_named(&self, name: &str) -> Result<Touched, CommandError> {
        link_rules::check_name(name)?;
        let options = CreateOptions::named_in(link_rules::namespace(name), link_rules::CORE_NAME);
        let core = self.store.create_core(options).map_err(store_error)?;
        let shared = self.common_key || self.dir.join(SHARED_PRIMARY).exists();
        if shared && SharedKey::of(&core)?.is_none() {
            SharedKey::default().keep(&core)?;
        }
        self.store.flush().map_err(store_error)?;
        let link = link::PearLink::new(*core.key()).to_string();
        Ok(Touched { key: id::encode(core.key()), link, name: name.to_owned(), shared })
    }
}

/// 16 random bytes in hex, as Pear names its cores.
fn random_name() -> Result<String, CommandError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| CommandError::failed("no randomness").because(std::io::Error::other(e)))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
