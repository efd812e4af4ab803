//! What an operator would sign, from what is known. Pure.
//!
//! Invariants:
//! * Only what the rules let this operator do.
//! * The counter is above all that was found and all that was kept.
//! * What held is repeated; of two statements under one counter the stricter.
//! * A share only grows, or is 0. A halt is never weakened but by a lift.

use super::Change;
use super::book::speaks_for;
use crate::error::{CommandError, ErrorKind};
use crate::policy::event::{Heard, Unsaid};
use crate::policy::look::Word;
use crate::policy::shown::{called, who_may};
use bosc_format::crypto::PublicKey;
use bosc_policy::{
    About, Halt, MAX_VERSION, MAX_VERSIONS, Newest, Operator, Policy, Right, Seen, Share, Signed, Standing,
    Statement, foresee, plain, standing,
};
use semver::Version;
use std::cmp::Ordering;

/// Highest counter: as high as JavaScript counts.
const MAX_COUNTER: u64 = (1 << 53) - 1;

/// What is known.
pub(crate) struct Known<'a> {
    pub(crate) link: [u8; 32],
    pub(crate) policy: &'a Policy,
    pub(crate) operator: &'a Operator,
    /// The newest head that was found.
    pub(crate) head: Newest,
    /// Whether somebody vouches that it is the newest.
    pub(crate) vouched: bool,
    /// The version that it holds.
    pub(crate) version: Option<&'a Version>,
    /// Whether the version that is named was ever released; none if that is not known.
    pub(crate) released: Option<bool>,
    /// Who signs the link.
    pub(crate) signers: &'a [PublicKey],
    /// What the DHT has of all operators.
    pub(crate) words: &'a [Word],
    /// What this store signed last with the key.
    pub(crate) kept: Option<&'a Signed>,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

/// What would be signed.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) statement: Statement,
    /// The version that it is about, how it stood and how it will.
    pub(crate) effect: Option<(Version, Standing, Standing)>,
    pub(crate) dropped: Vec<About>,
    pub(crate) unsaid: Option<Unsaid>,
    pub(crate) contradicted: bool,
}

/// Plans a statement.
pub(crate) fn plan(known: &Known<'_>, change: &Change) -> Result<Plan, CommandError> {
    if known.signers.contains(&known.operator.key) {
        return Err(CommandError::new(
            ErrorKind::Permission,
            "ERR_KEY_IN_USE",
            "this key signs releases of the link: an operator's key is another one",
        )
        .hint("make one with `bosc keys operator NAME`, and name it in the rules of the next release"));
    }
    let found = known.words.iter().find(|w| w.operator == known.operator.key);
    if let Some(other) = found.filter(|w| w.heard == Heard::Foreign).and_then(|w| w.statement.as_ref()) {
        return Err(speaks_for(&other.statement().link));
    }
    let (base, contradicted) = base(found.and_then(|w| w.statement.as_ref()), known.kept);
    let seen = seen(known);
    let mut versions = base.as_ref().map(|s| s.versions.clone()).unwrap_or_default();
    let about = match change {
        Change::Refresh => {
            allowed(known, Right::Refresh)?;
            None
        }
        Change::Rollout { version, share } => {
            allowed(known, Right::Rollout)?;
            let version = released(known, version)?;
            let share =
                Share::from_hundredths(u64::from(*share)).map_err(|e| CommandError::input(e.to_string()))?;
            upward(&standing(known.policy, &seen, &version, known.now), &version, share)?;
            entry(&mut versions, &version).share = Some(share);
            Some(version)
        }
        Change::Halt { version, recall } => {
            allowed(known, Right::Halt)?;
            if *recall {
                recall_allowed(known)?;
            }
            let version = released(known, version)?;
            let said = if *recall { Halt::Recalled } else { Halt::Halted };
            let about = entry(&mut versions, &version);
            about.halt = about.halt.max(Some(said));
            Some(version)
        }
        Change::Lift { version } => {
            allowed(known, Right::Halt)?;
            let version = named(version)?;
            let halted = versions.iter_mut().find(|a| a.version == version);
            match halted.filter(|a| matches!(a.halt, Some(Halt::Halted | Halt::Recalled))) {
                Some(about) => about.halt = Some(Halt::Lifted),
                None => return Err(not_halted(known, &seen, &version)),
            }
            Some(version)
        }
    };
    let dropped = fit(&mut versions, about.as_ref());
    let (newest, unsaid) = newest(known, base.as_ref());
    if let (Change::Refresh, Some(why)) = (change, unsaid) {
        return Err(not_newest(why));
    }
    let statement = Statement {
        link: known.link,
        counter: next_counter(known, found)?,
        time: known.now.max(known.policy.time().unwrap_or(0)),
        newest,
        versions,
    };
    let effect = about.map(|version| {
        let before = standing(known.policy, &seen, &version, known.now);
        let said = (&known.operator.key, &statement);
        let after = foresee(known.policy, &seen, said, &version, known.now);
        (version, before, after)
    });
    Ok(Plan { statement, effect, dropped, unsaid, contradicted })
}

/// All that counts of what operators said, what was signed here and did not arrive included.
fn seen(known: &Known<'_>) -> Seen {
    let mut seen = crate::policy::look::seen(known.link, known.policy, known.words);
    if let Some(kept) = known.kept {
        // Of the same counter as what was found, and different: the stricter counts.
        let _ = seen.take(kept.clone(), known.policy);
    }
    seen
}

/// What the operator said last, and whether it said two things under one counter.
fn base(found: Option<&Signed>, kept: Option<&Signed>) -> (Option<Statement>, bool) {
    let (found, kept) = match (found, kept) {
        (None, None) => return (None, false),
        (Some(one), None) | (None, Some(one)) => return (Some(one.statement().clone()), false),
        (Some(found), Some(kept)) if found == kept => return (Some(kept.statement().clone()), false),
        (Some(found), Some(kept)) => (found.statement(), kept.statement()),
    };
    match found.counter.cmp(&kept.counter) {
        Ordering::Greater => (Some(found.clone()), false),
        Ordering::Less => (Some(kept.clone()), false),
        Ordering::Equal => {
            let mut all = found.clone();
            for about in &kept.versions {
                let there = entry(&mut all.versions, &about.version);
                there.share = match (there.share, about.share) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                there.halt = there.halt.max(about.halt);
            }
            (Some(all), true)
        }
    }
}

fn entry<'a>(versions: &'a mut Vec<About>, version: &Version) -> &'a mut About {
    let at = versions.iter().position(|a| a.version == *version).unwrap_or_else(|| {
        versions.push(About { version: version.clone(), share: None, halt: None });
        versions.len() - 1
    });
    // It was found, or pushed.
    #[allow(clippy::indexing_slicing)]
    &mut versions[at]
}

fn allowed(known: &Known<'_>, right: Right) -> Result<(), CommandError> {
    if known.policy.lets(&known.operator.key, right) {
        return Ok(());
    }
    Err(not_allowed(
        format!("the rules of the link do not let {} {}", called(known.operator), verb(right)),
        &who_may(known.policy, right),
    ))
}

fn recall_allowed(known: &Known<'_>) -> Result<(), CommandError> {
    if !known.policy.allows_recall() {
        return Err(not_allowed("the rules of the link allow no recalls".to_owned(), &[])
            .hint("halt it without `--recall`: nobody installs it any more; or release a newer version"));
    }
    allowed(known, Right::Recall)
}

fn verb(right: Right) -> &'static str {
    match right {
        Right::Refresh => "say which length is the newest",
        Right::Rollout => "say how far a version goes",
        Right::Halt => "halt a version",
        Right::Recall => "recall a version",
    }
}

pub(crate) fn not_allowed(message: String, who: &[String]) -> CommandError {
    let hint = match who {
        [] => "nobody may; the quorum can allow it with the next release (`bosc policy set FOLDER --operator ...`)".to_owned(),
        who => format!("{} may: ask them, or name this key in the rules of the next release", who.join(", ")),
    };
    CommandError::new(ErrorKind::Permission, "ERR_NOT_ALLOWED", message).hint(hint)
}

fn named(text: &str) -> Result<Version, CommandError> {
    let version = Version::parse(text.strip_prefix('v').unwrap_or(text)).ok().map(|v| plain(&v));
    version.filter(|v| v.to_string().len() <= MAX_VERSION).ok_or_else(|| {
        CommandError::input(format!("{text:?} is not a version"))
            .hint("give the version of a release, such as 1.4.2; `bosc policy show LINK` shows the newest")
    })
}

/// A version that may have been released: none above the newest, and none that the history is known not to hold.
fn released(known: &Known<'_>, text: &str) -> Result<Version, CommandError> {
    let version = named(text)?;
    match known.version {
        Some(newest)
            if version.cmp_precedence(newest) == Ordering::Greater || known.released == Some(false) =>
        {
            let message = format!("version {version} is not on the link: the newest is {newest}");
            Err(CommandError::not_found(message).hint("check the number; `bosc versions LINK` lists all"))
        }
        _ => Ok(version),
    }
}

fn upward(before: &Standing, version: &Version, share: Share) -> Result<(), CommandError> {
    if share >= before.share || share.is_none() {
        return Ok(());
    }
    Err(CommandError::input(format!("version {version} goes to {} already: a rollout only grows", before.share)).hint(
        format!("stop it with `bosc rollout LINK {version} 0%`: those who have it keep it; `bosc halt LINK {version}` is for a broken one"),
    ))
}

fn not_halted(known: &Known<'_>, seen: &Seen, version: &Version) -> CommandError {
    let by = standing(known.policy, seen, version, known.now).halted_by;
    let by = by.and_then(|key| known.policy.operators().iter().find(|o| o.key == key));
    match by {
        Some(other) => not_allowed(
            format!("version {version} was halted by {}, and only they can lift that", called(other)),
            &[called(other)],
        ),
        None => CommandError::not_found(format!("version {version} is not halted"))
            .hint("`bosc policy show LINK` shows how every version stands"),
    }
}

/// Makes room: what stands in nobody's way goes first, then what is lowest. What goes stays said to those who saw it.
fn fit(versions: &mut Vec<About>, about: Option<&Version>) -> Vec<About> {
    versions.sort_by(|a, b| a.version.cmp(&b.version));
    let mut dropped = Vec::new();
    while versions.len() > MAX_VERSIONS {
        let weight = |a: &About| match a.halt {
            Some(Halt::Halted | Halt::Recalled) => 2,
            _ => u8::from(a.share.is_some_and(|s| !s.is_all())),
        };
        let others = versions.iter().enumerate().filter(|(_, a)| Some(&a.version) != about);
        let Some((at, _)) = others.min_by_key(|(at, a)| (weight(a), *at)) else { break };
        dropped.push(versions.remove(at));
    }
    dropped
}

/// Which length is said to be the newest, or why none is.
fn newest(known: &Known<'_>, base: Option<&Statement>) -> (Option<Newest>, Option<Unsaid>) {
    if !known.policy.lets(&known.operator.key, Right::Refresh) {
        return (None, Some(Unsaid::NoRight));
    }
    if !known.vouched {
        return (None, Some(Unsaid::NotVouched));
    }
    let said = known
        .words
        .iter()
        .filter(|w| w.heard == Heard::Statement && known.policy.lets(&w.operator, Right::Refresh))
        .filter_map(|w| w.statement.as_ref()?.statement().newest);
    let at = |n: &Newest| (n.fork, n.length);
    let longer = said.chain(base.and_then(|s| s.newest)).any(|n| at(&n) > at(&known.head));
    if longer { (None, Some(Unsaid::Longer)) } else { (Some(known.head), None) }
}

fn not_newest(why: Unsaid) -> CommandError {
    let (message, hint) = match why {
        Unsaid::Longer => (
            "an operator named a longer history than was found: this store is behind",
            "find out who holds the newest version (`bosc doctor LINK`), seed it here, and run the command again",
        ),
        _ => (
            "no peer vouches that what this store has is the newest",
            "check that a peer seeds the link, and give it more time with `--timeout SECONDS`",
        ),
    };
    CommandError::new(ErrorKind::Network, "ERR_NOT_NEWEST", message).hint(hint)
}

fn next_counter(known: &Known<'_>, found: Option<&Word>) -> Result<u64, CommandError> {
    let of = |signed: Option<&Signed>| signed.map_or(0, |s| s.statement().counter);
    let highest =
        of(known.kept).max(of(found.and_then(|w| w.statement.as_ref()))).max(found.map_or(0, |w| w.seq));
    if highest < MAX_COUNTER {
        return Ok(highest + 1);
    }
    Err(CommandError::failed("the counter of this key is at its end: somebody else signs with it, too")
        .hint("name another key in the rules of the next release; this one can say nothing more"))
}

#[cfg(test)]
mod tests;
