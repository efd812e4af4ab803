//! What contradicts what. Pure: records in, findings out.

use super::event::Finding;
use super::record::{Named, Record, Seen};
use bosc_follow::CoreName;
use bosc_format::crypto::{CoreKey, Hash, PublicKey};
use bosc_format::id;
use bosc_format::manifest::{Manifest, Verifier};
use bosc_format::merkle::Head;
use std::collections::BTreeMap;

/// What is known of a link from records.
#[derive(Debug)]
pub(super) struct Known {
    link: CoreKey,
    manifest: Option<Manifest>,
    /// Of each core and fork, every root that was seen, with the length of the head it was of.
    roots: BTreeMap<(CoreName, u64, u64), (Hash, u64)>,
    /// The newest head of each core, and who signed it.
    newest: BTreeMap<CoreName, (Head, Vec<PublicKey>)>,
    operators: Option<Vec<Named>>,
    /// Bytes of each statement's hash.
    statements: BTreeMap<(PublicKey, u64), Hash>,
    pub(super) heads: u64,
    pub(super) said: u64,
}

impl Known {
    /// Of this link, nothing yet.
    pub(super) fn new(link: CoreKey) -> Self {
        Self {
            link,
            manifest: None,
            roots: BTreeMap::new(),
            newest: BTreeMap::new(),
            operators: None,
            statements: BTreeMap::new(),
            heads: 0,
            said: 0,
        }
    }

    /// Whether it says nothing that is not known.
    pub(super) fn has(&self, seen: &Seen) -> bool {
        match seen {
            Seen::Manifest(manifest) => self.manifest.as_ref() == Some(manifest),
            Seen::Head(core, head) => self.newest.get(core).is_some_and(|(known, _)| {
                let at = |head: &Head| (head.fork, head.length);
                // An older one of the same history says nothing; the roots of another one tell it apart.
                known == head || (at(head) <= at(known) && self.parts(*core, head).is_none())
            }),
            Seen::Operators(all) => self.operators.as_ref() == Some(all),
            Seen::Statement(signed) => {
                let hash = bosc_format::crypto::hash(&[signed.as_bytes()]);
                let key = (*signed.operator(), signed.statement().counter);
                let later = self.statements.range((key.0, key.1)..=(key.0, u64::MAX)).next();
                // One below the highest counter is an old one that comes again.
                match later {
                    Some((found, known)) if *found == key => *known == hash,
                    later => later.is_some(),
                }
            }
            Seen::Conflict { .. } => false,
        }
    }

    /// The newest head of a core.
    pub(super) fn newest(&self, core: CoreName) -> Option<&Head> {
        self.newest.get(&core).map(|(head, _)| head)
    }

    /// Where a head's history parts from what is known of its fork, as far as roots tell: the length of the other head.
    fn parts(&self, core: CoreName, head: &Head) -> Option<u64> {
        head.roots.iter().find_map(|root| {
            let (hash, length) = self.roots.get(&(core, head.fork, root.index))?;
            (*hash != root.hash).then_some(*length)
        })
    }

    /// Takes in what was seen. `Err`: it is not signed as the link demands, and so is nothing.
    pub(super) fn take(&mut self, record: &Record) -> Result<Vec<Finding>, &'static str> {
        match &record.seen {
            Seen::Manifest(manifest) => {
                if manifest.key() != self.link && !manifest.is_compat_with(&self.link) {
                    return Err("a manifest in it is of another link");
                }
                self.manifest = Some(manifest.clone());
                Ok(Vec::new())
            }
            Seen::Head(core, head) => self.head(*core, head),
            Seen::Operators(all) => {
                let before = self.operators.replace(all.clone());
                let keys = |all: &[Named]| all.iter().map(|(key, _)| id::encode(key)).collect();
                Ok(match before {
                    Some(before) if before != *all => {
                        vec![Finding::Operators { before: keys(&before), now: keys(all) }]
                    }
                    _ => Vec::new(),
                })
            }
            Seen::Statement(signed) => {
                if signed.statement().link != self.link {
                    return Err("a statement in it is about another link");
                }
                let hash = bosc_format::crypto::hash(&[signed.as_bytes()]);
                let counter = signed.statement().counter;
                self.said += 1;
                Ok(match self.statements.insert((*signed.operator(), counter), hash) {
                    Some(before) if before != hash => {
                        vec![Finding::Contradiction { operator: id::encode(signed.operator()), counter }]
                    }
                    _ => Vec::new(),
                })
            }
            Seen::Conflict { core, fork, ours, theirs, .. } => Ok(vec![Finding::Fork {
                core: core.as_str().to_owned(),
                fork: *fork,
                lengths: [ours.0, theirs.0],
                hashes: [id::encode(&ours.1), id::encode(&theirs.1)],
            }]),
        }
    }

    /// Who may sign a core; `None`: it cannot be told from what is known.
    fn verifier(&self, core: CoreName) -> Option<Verifier> {
        match (core, &self.manifest) {
            (CoreName::Db, manifest) => Verifier::new(&self.link, manifest.as_ref()).ok(),
            (CoreName::Blobs, Some(manifest)) => {
                let blobs = manifest.blobs(&self.link)?;
                Verifier::new(&blobs.key(), Some(&blobs)).ok()
            }
            (CoreName::Blobs, None) => None,
        }
    }

    /// Whether heads of a core can be verified, and so are worth a record.
    pub(super) fn verifies(&self, core: CoreName, head: &Head) -> bool {
        self.verifier(core).is_some_and(|verifier| verifier.verify(head))
    }

    fn head(&mut self, core: CoreName, head: &Head) -> Result<Vec<Finding>, &'static str> {
        let verifier = self.verifier(core).ok_or("who signs a head in it is not in it")?;
        if !verifier.verify(head) {
            return Err("a head in it is not signed as the link demands");
        }
        let mut findings = Vec::new();
        if let Some(other) = self.parts(core, head) {
            let theirs = self.newest(core).filter(|known| known.length == other);
            let theirs = theirs.map(|known| id::encode(&known.tree_hash())).unwrap_or_default();
            findings.push(Finding::Fork {
                core: core.as_str().to_owned(),
                fork: head.fork,
                lengths: [other, head.length],
                hashes: [theirs, id::encode(&head.tree_hash())],
            });
        }
        for root in &head.roots {
            self.roots.entry((core, head.fork, root.index)).or_insert((root.hash, head.length));
        }
        let signers = verifier.signed_by(head);
        if let Some((before, by)) = self.newest.get(&core) {
            if head.fork > before.fork {
                findings.push(Finding::CutBack {
                    core: core.as_str().to_owned(),
                    forks: [before.fork, head.fork],
                    lengths: [before.length, head.length],
                });
            }
            let (mut was, mut is) = (by.clone(), signers.clone());
            was.sort_unstable();
            is.sort_unstable();
            if was != is && !was.is_empty() && core == CoreName::Db {
                let keys = |of: &[PublicKey]| of.iter().map(id::encode).collect();
                findings.push(Finding::Signers {
                    length: head.length,
                    before: keys(by),
                    now: keys(&signers),
                });
            }
        }
        let at = (head.fork, head.length);
        if self.newest(core).is_none_or(|known| (known.fork, known.length) <= at) {
            self.newest.insert(core, (head.clone(), signers));
        }
        self.heads += 1;
        Ok(findings)
    }
}
