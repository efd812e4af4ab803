//! Gathers what is known, and plans what would be signed.

use super::Prepare;
use super::book::{Book, refuse_other_link};
use super::plan::{Known, not_allowed, plan};
use crate::clock::now;
use crate::command::Stop;
use crate::engine::Engine;
use crate::engine::drive::parse_whole_link;
use crate::engine::errors::no_dht;
use crate::error::{CommandError, ErrorKind};
use crate::policy::event::{Heard, Prepared};
use crate::policy::look::{LinkRules, Word};
use crate::policy::shown::{AboutShown, OperatorNamed, StatementShown, VersionStanding, called};
use bosc_format::id;
use bosc_policy::{Operator, Policy};
use semver::Version;
use std::time::Duration;

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
        let rules = self.link_rules(&link, Duration::from_millis(request.timeout_ms), stop)?;
        let policy = rules.policy()?.ok_or_else(no_rules)?;
        let (operator, name) = speaker(&policy, request)?;
        let words = self.words(&rules.key, &policy, stop)?;
        let prepared = self.prepared(&rules, &policy, (&operator, name), &words, request)?;
        Ok((prepared, policy))
    }

    /// What would be signed, from what was heard.
    fn prepared(
        &self,
        rules: &LinkRules,
        policy: &Policy,
        (operator, name): (&Operator, &str),
        words: &[Word],
        request: &Prepare,
    ) -> Result<Prepared, CommandError> {
        let own = words.iter().find(|w| w.operator == operator.key);
        if own.is_none_or(|w| w.heard == Heard::NoAnswer) {
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
