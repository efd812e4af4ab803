//! What is known of a link's rules now: the newest head, its `/release.json`, and what its operators say, in the DHT and on mirrors.
//!
//! ```text
//!   newest head ── /release.json ── none: nothing is restricted, nobody is asked
//!                        │
//!                        └── operators ── asked as clients ask (`bosc_follow::operators`) ── Word: statement │ nothing │ foreign │ no answer
//! ```
//!
//! Invariants:
//! * A record counts if its operator signed it as a statement about this link ([`Signed::read`]); anything else is [`Heard::Foreign`].
//! * Bounds: [`MAX_POLICY`], [`bosc_policy::MAX_OPERATORS`] records, [`ASK_FOR`] for all of them.

use super::check::invalid;
use super::event::Heard;
use crate::command::Stop;
use crate::engine::Engine;
use crate::engine::follow::reading;
use crate::engine::open::Opened;
use crate::error::{CommandError, ErrorKind};
use crate::multisig::journal::Record;
use bosc_drive::blobs::BlobId;
use bosc_drive::drive::Drive;
use bosc_follow::mirror::Mirrors;
use bosc_follow::operators::{self, Kept};
use bosc_follow::{Fetch, Wait};
use bosc_format::crypto::PublicKey;
use bosc_format::link::PearLink;
use bosc_policy::{FILE, MAX_POLICY, Newest, Policy, Seen, Signed};
use semver::Version;
use std::time::Duration;

/// How long operators' records are looked for.
pub(crate) const ASK_FOR: Duration = Duration::from_secs(30);

/// How long peers may take to vouch that what is here is the newest.
const VOUCH_FOR: Duration = Duration::from_secs(10);

/// What is known of a link's rules.
pub(crate) struct LinkRules {
    pub(crate) link: String,
    pub(crate) key: [u8; 32],
    /// The head that is read.
    pub(crate) head: Newest,
    /// Whether a peer, or the link's own key here, vouches that it is the newest.
    pub(crate) vouched: bool,
    pub(crate) version: Option<Version>,
    pub(crate) signers: Vec<PublicKey>,
    /// The bytes of `/release.json`.
    pub(crate) bytes: Option<Vec<u8>>,
    /// The mirrors that it was read from, too.
    pub(crate) mirrors: Option<Mirrors>,
}

/// What was heard of an operator.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    pub(crate) operator: PublicKey,
    pub(crate) heard: Heard,
    /// The highest version of its record, and counter of its statements.
    pub(crate) seq: u64,
    pub(crate) statement: Option<Signed>,
    /// Whether the DHT answered what stands under the key: without that a mirror's word may be an old one.
    pub(crate) answered: bool,
}

impl LinkRules {
    /// The rules as clients read them; none if there are none.
    ///
    /// # Errors
    /// `ERR_INVALID_POLICY`.
    pub(crate) fn policy(&self) -> Result<Option<Policy>, CommandError> {
        let read =
            |bytes: &Vec<u8>| Policy::read(bytes).map_err(|e| invalid(ErrorKind::Integrity).because(e));
        self.bytes.as_ref().map(read).transpose()
    }
}

impl Engine {
    /// Reads the rules of the newest head that is found, or of the version that the link names.
    pub(crate) fn link_rules(
        &self,
        link: &PearLink,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<LinkRules, CommandError> {
        self.link_rules_open(link, timeout, stop).map(|(rules, _)| rules)
    }

    /// The same, and the drive that they are of.
    pub(crate) fn link_rules_open(
        &self,
        link: &PearLink,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<(LinkRules, Opened), CommandError> {
        let opened = self.open_fresh(link, timeout, stop)?;
        let length = link.version.map_or(opened.drive.db.length(), |v| v.length);
        let vouched = match &opened.followed {
            None => true,
            Some(_) if self.committed_here(&opened)? => true,
            Some(followed) => {
                let mut wait = Wait::new(stop).timeout(timeout.min(VOUCH_FOR)).unless_unanswered(true);
                followed.db().vouched(&mut wait)?.vouched
            }
        };
        let rules = self.rules_of(&opened, length, vouched, timeout, stop)?;
        Ok((rules, opened))
    }

    /// Whether this store put the head of a quorum's drive there, and nothing longer was found.
    fn committed_here(&self, opened: &Opened) -> Result<bool, CommandError> {
        let head = opened.drive.db.head();
        let journal = self.journal()?;
        let last = journal.get(opened.drive.key()).and_then(|record| record.committed());
        Ok(last.is_some_and(|(length, hash)| {
            length == head.length && hash == Record::hash_text(&head.tree_hash())
        }))
    }

    /// The same of a drive that is open.
    pub(crate) fn rules_of(
        &self,
        opened: &Opened,
        length: u64,
        vouched: bool,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<LinkRules, CommandError> {
        let db = &opened.drive.db;
        let head = match length == db.length() {
            true => (*db.head()).clone(),
            false => db.head_at(length).map_err(crate::engine::errors::store_error)?,
        };
        let package = match length > 1 {
            true => self.package_json(opened, length, timeout, stop)?,
            false => None,
        };
        let version = package.as_ref().and_then(|p| p.get("version")).and_then(|v| v.as_str());
        Ok(LinkRules {
            link: opened.drive.plain_link(),
            key: *opened.drive.key(),
            head: Newest { fork: head.fork, length: head.length, tree_hash: head.tree_hash() },
            vouched,
            version: version.and_then(|text| Version::parse(text).ok()),
            signers: db.manifest().iter().flat_map(|m| m.signers.iter().map(|s| s.public_key)).collect(),
            bytes: self.rules_file(opened, length, timeout, stop)?,
            mirrors: opened.followed.as_ref().map(|followed| followed.mirrors().clone()),
        })
    }

    /// The bytes of `/release.json` at a length; none if there is none.
    pub(crate) fn rules_file(
        &self,
        opened: &Opened,
        length: u64,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Option<Vec<u8>>, CommandError> {
        let Some(blob) = self.rules_blob(opened, length, timeout, stop)? else { return Ok(None) };
        if blob.byte_length > MAX_POLICY as u64 {
            return Err(invalid(ErrorKind::Integrity).because(bosc_policy::PolicyError::TooLong));
        }
        self.read_file(opened, blob, MAX_POLICY, timeout, stop)
    }

    /// Where they are in the contents.
    fn rules_blob(
        &self,
        opened: &Opened,
        length: u64,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Option<BlobId>, CommandError> {
        if length <= 1 {
            return Ok(None);
        }
        let drive = Drive::checkout(opened.entries(), length);
        let entry = reading(opened.db(), timeout, stop).read(|| drive.entry_follow(FILE))?;
        Ok(entry.and_then(|e| e.value.blob))
    }

    /// The rules of a length, for whoever only tells of them; nothing where there are none, where they are wrong, and where their content
    /// is gone.
    pub(crate) fn policy_at(
        &self,
        opened: &Opened,
        length: u64,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Option<Policy>, CommandError> {
        let Some(blob) = self.rules_blob(opened, length, timeout, stop)? else { return Ok(None) };
        match self.read_file(opened, blob, MAX_POLICY, timeout, stop) {
            Ok(bytes) => Ok(bytes.and_then(|bytes| Policy::read(&bytes).ok())),
            Err(e) if e.kind() == ErrorKind::Interrupted => Err(e),
            Err(_) => Ok(None),
        }
    }

    /// Asks for what all operators of a policy say about a link: a word of each, in their order, and behind them what contradicts one.
    pub(crate) fn words(
        &self,
        link: &[u8; 32],
        policy: &Policy,
        mirrors: Option<&Mirrors>,
        stop: &Stop,
    ) -> Result<Vec<Word>, CommandError> {
        let keys: Vec<_> = policy.operators().iter().map(|o| o.key).collect();
        self.words_of(link, &keys, mirrors, stop)
    }

    /// The same of these keys.
    pub(crate) fn words_of(
        &self,
        link: &[u8; 32],
        keys: &[PublicKey],
        mirrors: Option<&Mirrors>,
        stop: &Stop,
    ) -> Result<Vec<Word>, CommandError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let node = self.node()?;
        let mut wait = Wait::new(stop).timeout(ASK_FOR);
        let heard = operators::ask(&node, mirrors, keys, &mut wait)?;
        Ok(words_in(link, keys, &heard))
    }
}

/// What was heard, as a word of each key, and behind them what contradicts one.
fn words_in(link: &[u8; 32], keys: &[PublicKey], all: &operators::Heard) -> Vec<Word> {
    let kept = |key: &PublicKey| all.records.iter().find(|(k, _)| k == key).map(|(_, kept)| kept.clone());
    let mut words: Vec<Word> =
        keys.iter().map(|key| heard(link, *key, kept(key).unwrap_or_default())).collect();
    let mut more: Vec<Word> = Vec::new();
    let of_link = all.statements.iter().filter(|s| s.statement().link == *link);
    for signed in of_link {
        let Some(word) = words.iter_mut().find(|w| w.operator == *signed.operator()) else { continue };
        let counter = signed.statement().counter;
        let there = word.statement.as_ref().filter(|_| word.heard == Heard::Statement);
        match there.map(|s| s.statement().counter) {
            // What stands in the DHT about another link is in the way of everything.
            None if word.heard == Heard::Foreign => {
                more.push(Word { statement: Some(signed.clone()), ..word.clone() })
            }
            Some(known) if known == counter && there != Some(signed) => {
                more.push(Word { statement: Some(signed.clone()), ..word.clone() });
            }
            Some(known) if known >= counter => {}
            _ => {
                word.heard = Heard::Statement;
                word.statement = Some(signed.clone());
                word.seq = word.seq.max(counter);
            }
        }
    }
    words.extend(more);
    words
}

/// What the DHT's answer about a key says.
pub(crate) fn heard(link: &[u8; 32], operator: PublicKey, kept: Kept) -> Word {
    let word = |heard, seq, statement, answered| Word { operator, heard, seq, statement, answered };
    match kept {
        Kept::Record { seq, statement } => match statement.map(|s| *s) {
            Some(s) if s.statement().link == *link => word(Heard::Statement, seq, Some(s), true),
            other => word(Heard::Foreign, seq, other, true),
        },
        Kept::Nothing => word(Heard::Nothing, 0, None, true),
        Kept::NoAnswer => word(Heard::NoAnswer, 0, None, false),
    }
}

/// All that counts of what was heard.
pub(crate) fn seen(link: [u8; 32], policy: &Policy, words: &[Word]) -> Seen {
    let mut seen = Seen::new(link);
    for signed in words.iter().filter_map(|w| w.statement.clone()) {
        // What is about another link, or of nobody, counts for nothing.
        let _ = seen.take(signed, policy);
    }
    seen
}
