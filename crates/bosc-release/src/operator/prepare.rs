//! Gathers what is known, and plans what would be signed.

use super::book::{Book, refuse_other_link};
use super::plan::{Known, not_allowed, plan};
use super::{Change, Prepare};
use crate::clock::now;
use crate::command::Stop;
use crate::engine::Engine;
use crate::engine::drive::parse_whole_link;
use crate::engine::errors::no_dht;
use crate::engine::open::Opened;
use crate::error::{CommandError, ErrorKind};
use crate::policy::event::Prepared;
use crate::policy::look::{LinkRules, Word};
use crate::policy::shown::{AboutShown, OperatorNamed, StatementShown, VersionStanding, called};
use crate::versions::command::Read;
use bosc_format::id;
use bosc_policy::{Operator, Policy};
use semver::Version;
use std::time::Duration;

/// Most releases that are looked at for one that is named.
const MAX_LOOKED: usize = 1_000;

impl Engine {
    pub(super) fn prepare_statement(&self, request: &Prepare, stop: &Stop) -> Result<Prepared, CommandError> {
        self.prepare_with_rules(request, stop).map(|(prepared, _)| prepared)
    }

    /// The same, and the rules that it follows.
    pub(super) fn prepare_with_rules(
        &self,
        request: &Prepare,
        stop: &Stop,
    ) -> Result<(Prepared, Policy), CommandError> {
        let link = parse_whole_link(&request.link)?;
        let _mirrors = self.read_mirrors(&link.key, &request.mirrors)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        let (rules, opened) = self.link_rules_open(&link, timeout, stop)?;
        let policy = rules.policy()?.ok_or_else(no_rules)?;
        // Before anybody is asked.
        speaker(&policy, request)?;
        let released = match &request.change {
            Change::Rollout { version, .. } => self.was_released(&opened, &rules, version, timeout, stop)?,
            _ => None,
        };
        drop(opened);
        let words = self.words(&rules.key, &policy, rules.mirrors.as_ref(), stop)?;
        let prepared = self.prepared(&rules, &policy, &words, released, request)?;
        Ok((prepared, policy))
    }

    /// Whether the link ever held a version; none if that cannot be told, because the content of older releases is gone.
    fn was_released(
        &self,
        opened: &Opened,
        rules: &LinkRules,
        version: &str,
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Option<bool>, CommandError> {
        let named = Version::parse(version.strip_prefix('v').unwrap_or(version)).ok();
        let Some(named) = named else { return Ok(None) };
        let is_named = |v: &Version| v.cmp_precedence(&named).is_eq();
        if rules.version.as_ref().is_some_and(is_named) {
            return Ok(Some(true));
        }
        let (all, total) = self.drive_versions(opened, rules.head.length, MAX_LOOKED, timeout, stop)?;
        let (mut patience, mut known) = (timeout, total <= all.len() as u64);
        let mut last = None;
        for at in all.iter().rev().filter(|at| at.package.is_some()) {
            if last.replace(at.package) == Some(at.package) {
                continue;
            }
            match self.read_package(opened, at.package, &mut patience, stop)? {
                Read::Said(said) => {
                    let version = said.version.and_then(|text| Version::parse(&text).ok());
                    if version.as_ref().is_some_and(is_named) {
                        return Ok(Some(true));
                    }
                }
                Read::Gone => known = false,
            }
        }
        Ok(known.then_some(false))
    }

    /// What would be signed, from what was heard.
    pub(super) fn prepared(
        &self,
        rules: &LinkRules,
        policy: &Policy,
        words: &[Word],
        released: Option<bool>,
        request: &Prepare,
    ) -> Result<Prepared, CommandError> {
        let (operator, name) = speaker(policy, request)?;
        let operator = &operator;
        let own = words.iter().find(|w| w.operator == operator.key);
        if own.is_none_or(|w| !w.answered) {
            // What stands is not known: a statement could take back what another machine said with this key.
            return Err(self.unanswered().map_or_else(not_heard, |tried| no_dht(&tried)));
        }
        let kept = Book::of(&self.dir).last(&operator.key)?;
        if let Some(kept) = &kept {
            refuse_other_link(kept, &rules.key)?;
        }
        let known = Known {
            link: rules.key,
            policy,
            operator,
            head: rules.head,
            vouched: rules.vouched,
            version: rules.version.as_ref(),
            released,
            signers: &rules.signers,
            words,
            kept: kept.as_ref().map(|k| &k.statement),
            now: now(),
        };
        let plan = plan(&known, &request.change)?;
        let statement = StatementShown::of(&plan.statement);
        let shown = |(version, standing): (&Version, &_)| VersionStanding::new(version, standing, policy);
        Ok(Prepared {
            link: rules.link.clone(),
            manifest: None,
            version: rules.version.as_ref().map(Version::to_string),
            operator: OperatorNamed::of(operator),
            key: name.to_owned(),
            before: plan.effect.as_ref().map(|(version, before, _)| shown((version, before))),
            after: plan.effect.as_ref().map(|(version, _, after)| shown((version, after))),
            dropped: plan
                .dropped
                .iter()
                .map(|about| AboutShown {
                    version: about.version.to_string(),
                    share: about.share.map(bosc_policy::Share::hundredths),
                    halt: about.halt.map(Into::into),
                })
                .collect(),
            unsaid: plan.unsaid,
            contradicted: plan.contradicted,
            statement,
        })
    }
}

/// The operator of the rules whose key is here.
fn speaker<'a>(policy: &Policy, request: &'a Prepare) -> Result<(Operator, &'a str), CommandError> {
    let named = |operator: &Operator| {
        let here = request.keys.iter().find(|k| id::decode(&k.key).ok() == Some(operator.key))?;
        Some((operator.clone(), here.name.as_str()))
    };
    let mut all = policy.operators().iter().filter_map(named);
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one),
        (Some((_, one)), Some((_, other))) => Err(CommandError::input(format!(
            "the rules of the link name more than one key of this machine: {one}, {other}"
        ))
        .hint(format!("say which one speaks: `--key {one}`"))),
        (None, _) => {
            let who: Vec<_> = policy.operators().iter().map(called).collect();
            let here: Vec<_> = request.keys.iter().map(|k| k.name.as_str()).collect();
            let here = if here.is_empty() { "no key here".to_owned() } else { here.join(", ") };
            Err(not_allowed(format!("the rules of the link do not name {here} as an operator"), &who))
        }
    }
}

fn no_rules() -> CommandError {
    CommandError::not_found(
        "the newest release of the link has no rules (/release.json), so nobody is an operator",
    )
    .hint("write them with `bosc policy set FOLDER --operator NAME`, and release a version with them")
}

fn not_heard() -> CommandError {
    CommandError::new(
        ErrorKind::Network,
        "ERR_NETWORK_TIMEOUT",
        "the DHT did not answer what stands under this key in time",
    )
    .hint("check the network and run the command again; nothing was said")
}
