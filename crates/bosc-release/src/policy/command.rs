//! `policy show` and `policy check` of a link.

use super::check::{check, invalid};
use super::event::{Heard, OperatorShown, PolicyChecked, PolicyEvent, PolicyFinding, PolicyLooked};
use super::folder::{FILE_NAME, bytes_of, of_folder};
use super::look::{LinkRules, Word, seen};
use super::request::PolicyOfLink;
use super::shown::{FreshnessShown, OperatorNamed, PolicyShown, StatementShown, VersionStanding};
use crate::clock::now;
use crate::command::{Outcome, Sink, Stop};
use crate::doctor::finding::Level;
use crate::engine::Engine;
use crate::engine::drive::parse_link;
use crate::engine::errors::no_dht;
use crate::error::{CommandError, ErrorKind};
use crate::event::Output;
use crate::operator::manifest::{Found, bytes_of_manifest, rules_of, statements_of, words_of};
use bosc_policy::{Policy, Seen, freshness, standing};
use semver::Version;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

impl Engine {
    pub(crate) fn policy_of_link(&self, request: &PolicyOfLink, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        let link = parse_link(&request.link)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        let _mirrors = self.read_mirrors(&link.key, &request.mirrors)?;
        let rules = self.link_rules(&link, timeout, stop)?;
        let of = rules.link.clone();
        let Some(bytes) = &rules.bytes else {
            sink.tell(PolicyEvent::NoPolicy { of: of.clone() });
            return Ok(match request.check {
                true => PolicyChecked { of, policy: false, warn: 0 }.into(),
                false => PolicyLooked { of, policy: false }.into(),
            });
        };
        if request.check {
            return checked(of, check(bytes, now()), ErrorKind::Integrity, sink).map(Output::from);
        }
        let Some(policy) = rules.policy()? else { return Ok(PolicyLooked { of, policy: false }.into()) };
        let version = rules.version.as_ref().map(Version::to_string);
        sink.tell(PolicyEvent::Policy(Box::new(PolicyShown::new(&of, version.as_deref(), &policy))));
        let words = self.words(&rules.key, &policy, rules.mirrors.as_ref(), stop)?;
        tell_words(&rules, &policy, &words, sink);
        let silent = !words.is_empty() && words.iter().all(|w| w.heard == Heard::NoAnswer);
        match self.unanswered().filter(|_| silent) {
            Some(tried) => Err(no_dht(&tried)),
            None => Ok(PolicyLooked { of, policy: true }.into()),
        }
    }
}

/// Reports what operators say, how the versions stand that they speak of, and the newest, and freshness.
fn tell_words(rules: &LinkRules, policy: &Policy, words: &[Word], sink: &mut dyn Sink) {
    for (operator, word) in policy.operators().iter().zip(words) {
        let counts = word.statement.as_ref().filter(|_| word.heard == Heard::Statement);
        sink.tell(PolicyEvent::Operator(Box::new(OperatorShown {
            operator: OperatorNamed::of(operator),
            heard: word.heard,
            statement: counts.map(|s| StatementShown::of(s.statement())),
        })));
    }
    let seen = seen(rules.key, policy, words);
    for standing in standings(rules.version.as_ref(), policy, &seen) {
        sink.tell(PolicyEvent::Standing(standing));
    }
    sink.tell(PolicyEvent::Freshness(FreshnessShown::of(&freshness(policy, &seen, now()), policy)));
}

/// How the newest version stands, and each that an operator spoke of; the highest first.
pub(crate) fn standings(newest: Option<&Version>, policy: &Policy, seen: &Seen) -> Vec<VersionStanding> {
    let said =
        seen.statements().flat_map(|s| s.statement().versions.iter().map(|about| about.version.clone()));
    let all: BTreeSet<Version> = said.chain(newest.map(bosc_policy::plain)).collect();
    let one =
        |version: &Version| VersionStanding::new(version, &standing(policy, seen, version, now()), policy);
    all.iter().rev().map(one).collect()
}

/// `policy show` of a folder.
///
/// # Errors
/// Its file cannot be read or obeyed.
pub fn show_folder(folder: &Path, sink: &mut dyn Sink) -> Result<PolicyLooked, CommandError> {
    let of = folder.display().to_string();
    let policy = of_folder(exists(folder)?)?;
    match &policy {
        None => sink.tell(PolicyEvent::NoPolicy { of: of.clone() }),
        Some(policy) => sink.tell(PolicyEvent::Policy(Box::new(PolicyShown::new(&of, None, policy)))),
    }
    Ok(PolicyLooked { of, policy: policy.is_some() })
}

/// `policy show` of a manifest over HTTPS, and of the statements in the file beside it.
///
/// # Errors
/// It is not a manifest, or one of the files cannot be read or obeyed.
pub fn show_manifest(manifest: &Found, sink: &mut dyn Sink) -> Result<PolicyLooked, CommandError> {
    let of = manifest.name.clone();
    let rules = rules_of(manifest)?;
    let Some(policy) = rules.policy()? else {
        sink.tell(PolicyEvent::NoPolicy { of: of.clone() });
        return Ok(PolicyLooked { of, policy: false });
    };
    let version = rules.version.as_ref().map(Version::to_string);
    sink.tell(PolicyEvent::Policy(Box::new(PolicyShown::new(&of, version.as_deref(), &policy))));
    let words = words_of(&policy, &rules.key, &statements_of(manifest)?);
    tell_words(&rules, &policy, &words, sink);
    Ok(PolicyLooked { of, policy: true })
}

/// `policy check` of a manifest over HTTPS.
///
/// # Errors
/// As [`check_folder`].
pub fn check_manifest(manifest: &Found, sink: &mut dyn Sink) -> Result<PolicyChecked, CommandError> {
    let of = manifest.name.clone();
    let Some(bytes) = bytes_of_manifest(manifest)? else {
        sink.tell(PolicyEvent::NoPolicy { of: of.clone() });
        return Ok(PolicyChecked { of, policy: false, warn: 0 });
    };
    checked(of, check(&bytes, now()), ErrorKind::Input, sink)
}

/// `policy check` of a folder: every mistake, and what should be looked at.
///
/// # Errors
/// `ERR_INVALID_POLICY` if something is wrong, or the file cannot be read.
pub fn check_folder(folder: &Path, sink: &mut dyn Sink) -> Result<PolicyChecked, CommandError> {
    let of = folder.display().to_string();
    let Some(bytes) = bytes_of(exists(folder)?)? else {
        sink.tell(PolicyEvent::NoPolicy { of: of.clone() });
        return Ok(PolicyChecked { of, policy: false, warn: 0 });
    };
    checked(of, check(&bytes, now()), ErrorKind::Input, sink)
}

fn exists(folder: &Path) -> Result<&Path, CommandError> {
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(CommandError::not_found(format!("{} is not a folder", folder.display()))
        .hint(format!("name a link, or the folder that has the file {FILE_NAME}")))
}

fn checked(
    of: String,
    findings: Vec<PolicyFinding>,
    kind: ErrorKind,
    sink: &mut dyn Sink,
) -> Result<PolicyChecked, CommandError> {
    let count = |level| findings.iter().filter(|f| f.level == level).count();
    let (bad, warn) = (count(Level::Bad), count(Level::Warn));
    let first =
        findings.iter().find(|f| f.level == Level::Bad).map(|f| format!("{}: {}", f.field, f.message));
    for finding in findings {
        sink.tell(PolicyEvent::PolicyFinding(finding));
    }
    match first {
        Some(first) => Err(invalid(kind)
            .because(std::io::Error::other(first))
            .hint(format!("correct {bad} mistake(s) and check again"))),
        None => Ok(PolicyChecked { of, policy: true, warn }),
    }
}
