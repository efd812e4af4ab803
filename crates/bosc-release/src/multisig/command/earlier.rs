//! How what a key signed before goes together with what it is asked to sign now.
//!
//! Two releases of a link can both be committed only when one begins with the other, db and blobs. What of that can be told
//! is told from the hashes in this store; nobody is asked for it.

use super::TargetCores;
use super::content::Content;
use super::peers::known_hash;
use crate::engine::Engine;
use crate::engine::errors::store_error;
use crate::error::CommandError;
use crate::multisig::signed::{Earlier, Relation, Signed};
use bosc_format::crypto::Hash;
use bosc_format::id;
use bosc_format::signing::Request;
use bosc_store::Core;

/// Most earlier releases that are looked at: the latest.
const LOOKED_AT: usize = 256;

impl Engine {
    /// `settled`: the length up to which the content is known to be production.
    pub(super) fn earlier(
        &self,
        signed: &[Signed],
        request: &Request,
        (cores, settled): (&TargetCores, u64),
        content: Option<&Content>,
    ) -> Result<Vec<Earlier>, CommandError> {
        let latest = signed.get(signed.len().saturating_sub(LOOKED_AT)..).unwrap_or_default();
        let told = latest.iter().map(|s| {
            let relation = self.relation(s, request, (cores, settled), content)?;
            Ok(Earlier { signed: s.clone(), relation })
        });
        told.collect()
    }

    fn relation(
        &self,
        s: &Signed,
        request: &Request,
        (cores, settled): (&TargetCores, u64),
        content: Option<&Content>,
    ) -> Result<Relation, CommandError> {
        let (Ok(db), Ok(blobs)) = (id::decode(&s.tree_hash), id::decode(&s.blobs_tree_hash)) else {
            return Ok(Relation::Unknown);
        };
        let earlier = Heads { db: (s.length, db), blobs: (s.blobs_length, blobs) };
        let past = content.filter(|_| s.length <= settled);
        if earlier.are_of(&cores.db, Some(&cores.blobs)) == Some(false)
            || past.is_some_and(|c| earlier.are_of(&c.drive.db, None) == Some(false))
        {
            return Ok(Relation::Overtaken);
        }
        let asked = request.content.map_or((0, [0; 32]), |c| (c.length, c.tree_hash));
        let now = Heads { db: (request.length, request.tree_hash), blobs: asked };
        if s.length == request.length {
            return Ok(if earlier == now { Relation::Continues } else { Relation::Differs });
        }
        let told = if s.length < request.length {
            content.and_then(|c| earlier.are_of(&c.drive.db, c.blobs.as_ref().map(|(core, _)| core)))
        } else {
            self.begins_with(&earlier, &now)?
        };
        Ok(told.map_or(Relation::Unknown, |yes| if yes { Relation::Continues } else { Relation::Differs }))
    }

    /// Whether the drive of `longer`, if this store has it, begins with `shorter`.
    fn begins_with(&self, longer: &Heads, shorter: &Heads) -> Result<Option<bool>, CommandError> {
        for info in self.store.cores().map_err(store_error)? {
            if info.length < longer.db.0 {
                continue;
            }
            let core = self.store.open_core(&info.key).map_err(store_error)?;
            if known_hash(&core, longer.db.0) != Some(longer.db.1) {
                continue;
            }
            let drive = self.drive_of(core);
            let blobs = drive.blobs()?;
            if longer.are_of(&drive.db, blobs.as_ref()) == Some(true) {
                return Ok(shorter.are_of(&drive.db, blobs.as_ref()));
            }
        }
        Ok(None)
    }
}

/// Length and tree hash of both cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Heads {
    db: (u64, Hash),
    blobs: (u64, Hash),
}

impl Heads {
    /// Whether a drive had these heads once. `None`: it cannot be told.
    fn are_of(&self, db: &Core, blobs: Option<&Core>) -> Option<bool> {
        let is = |core: &Core, (length, hash): (u64, Hash)| known_hash(core, length).map(|h| h == hash);
        match (is(db, self.db), blobs.and_then(|blobs| is(blobs, self.blobs))) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bosc_store::{CreateOptions, Options, Store};

    fn core(store: &Store, name: &str, blocks: &[&str]) -> Core {
        let core = store.create_core(CreateOptions::named(name)).unwrap();
        core.append(&blocks.iter().map(|b| b.as_bytes().to_vec().into()).collect::<Vec<_>>()).unwrap();
        core
    }

    #[test]
    fn only_both_cores_tell_that_a_drive_had_these_heads() {
        let store = Store::memory(Options::default()).unwrap();
        let db = core(&store, "db", &["a", "b", "c"]);
        let blobs = core(&store, "blobs", &["1", "2"]);
        let other = core(&store, "other", &["1", "x"]);
        let head = |core: &Core, length| (length, known_hash(core, length).unwrap());
        let heads = Heads { db: head(&db, 2), blobs: head(&blobs, 2) };
        assert_eq!(heads.are_of(&db, Some(&blobs)), Some(true));
        assert_eq!(heads.are_of(&db, Some(&other)), Some(false));
        assert_eq!(heads.are_of(&db, None), None);
        assert_eq!(heads.are_of(&other, Some(&blobs)), Some(false));
        let later = Heads { db: (9, [1; 32]), ..heads };
        assert_eq!(later.are_of(&db, Some(&blobs)), None);
        assert_eq!(later.are_of(&db, Some(&other)), Some(false));
    }
}
