//! What a client does: from the policy of the newest release, what it has seen of statements, and what is known of itself.

use crate::policy::{Policy, Right};
use crate::seen::Seen;
use crate::share::{Installation, Share};
use crate::statement::{Halt, Newest, Statement};
use semver::Version;
use std::cmp::Ordering;

/// How far ahead of now a statement's time may be, in seconds: a day.
pub const AHEAD: u64 = 24 * 60 * 60;

/// A release that the quorum signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What its package.json, or its manifest, says.
    pub version: Version,
    /// The drive's length with it. 0 over HTTPS.
    pub length: u64,
}

/// What a client knows of itself and of the link.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Seconds since 1970.
    pub now: u64,
    /// Who is asking.
    pub installation: &'a Installation,
    /// The version that is installed; `None` before a first install.
    pub installed: Option<&'a Version>,
    /// Whether it has not said yet that it is healthy.
    pub on_trial: bool,
    /// The version of the build that is kept beside it.
    pub kept: Option<&'a Version>,
    /// Releases of the quorum, all proved, the newest first.
    pub releases: &'a [Release],
    /// The newest head that is proved. `None` over HTTPS.
    pub head: Option<Newest>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing.
    Stay,
    /// Install the release of this index. It is lower than the installed one only if that is taken back.
    Install(usize),
    /// Put back the build that is kept.
    Restore,
}

/// Why a release is not installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// This operator halted it.
    Halted([u8; 32]),
    /// It does not reach this installation yet.
    NotYet(Share),
    /// Nobody said lately what is the newest.
    Stale,
}

/// A release that is not installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Which one.
    pub version: Version,
    /// Why.
    pub why: Why,
}

/// Whether what is known is recent enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The policy does not ask.
    Unlimited,
    /// Somebody who may say so said so at this time.
    Fresh(u64),
    /// Nobody did within the policy's limit. Somebody may be holding back what is newer.
    Stale {
        /// When somebody did last.
        last: Option<u64>,
        /// The limit, in seconds.
        limit: u64,
    },
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What to do.
    pub target: Target,
    /// Whether the installed version is taken back by an operator: why a lower one is chosen, or would be if there were one.
    pub taken_back: bool,
    /// The installed version is below the policy's minimum.
    pub must_update: bool,
    /// Whether what is known is recent enough.
    pub freshness: Freshness,
    /// An operator named a longer head than the one that is here: something newer is being held back, or on its way.
    pub longer: Option<Newest>,
    /// An operator named another history of the length that is here.
    pub other_history: Option<[u8; 32]>,
    /// Releases that are not installed, from the newest on, as far as they were looked at.
    pub held: Vec<Held>,
}

/// Decides. `policy` is that of the newest proved release.
pub fn decide(policy: &Policy, seen: &Seen, facts: &Facts<'_>) -> Verdict {
    let view = View { policy, seen, now: facts.now.max(policy.time().unwrap_or(0)) };
    let freshness = view.freshness();
    let stale = matches!(freshness, Freshness::Stale { .. });
    let taken_back = facts.installed.is_some_and(|installed| {
        view.is_recalled(installed) || (facts.on_trial && view.halted_by(installed).is_some())
    });
    let (longer, other_history) = view.heads(facts.head);
    let mut verdict = Verdict {
        target: Target::Stay,
        taken_back,
        must_update: facts.installed.is_some_and(|v| policy.minimum().is_some_and(|m| below(v, m))),
        freshness,
        longer,
        other_history,
        held: Vec::new(),
    };
    let kept = facts.kept.filter(|kept| taken_back && view.halted_by(kept).is_none());
    for (i, release) in facts.releases.iter().enumerate() {
        let version = &release.version;
        let forward = facts.installed.is_none_or(|installed| below(installed, version));
        if !forward {
            let back = facts.installed.is_some_and(|installed| below(version, installed));
            if !taken_back || !back {
                continue;
            }
            if kept.is_some_and(|kept| !below(kept, version)) {
                break;
            }
        }
        // What is older stays available when nobody says what is the newest: only there is no going forward.
        let why = view.halted_by(version).map(Why::Halted).or_else(|| {
            let share = view.share(version);
            (!share.reaches(facts.installation, version)).then_some(Why::NotYet(share))
        });
        match why.or((forward && stale).then_some(Why::Stale)) {
            Some(why) => verdict.held.push(Held { version: version.clone(), why }),
            None => {
                verdict.target = Target::Install(i);
                return verdict;
            }
        }
    }
    if kept.is_some() {
        verdict.target = Target::Restore;
    }
    verdict
}

/// How a version stands, for everybody alike: what clients of any place make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How far it goes.
    pub share: Share,
    /// Who halted it.
    pub halted_by: Option<[u8; 32]>,
    /// Whether it is taken back from where it runs.
    pub recalled: bool,
}

/// How a version stands at `now`, seconds since 1970.
pub fn standing(policy: &Policy, seen: &Seen, version: &Version, now: u64) -> Standing {
    let view = View { policy, seen, now: now.max(policy.time().unwrap_or(0)) };
    Standing {
        share: view.share(version),
        halted_by: view.halted_by(version),
        recalled: view.is_recalled(version),
    }
}

/// How a version will stand once this operator has said this.
pub fn foresee(
    policy: &Policy,
    seen: &Seen,
    (operator, statement): (&[u8; 32], &Statement),
    version: &Version,
    now: u64,
) -> Standing {
    standing(policy, &seen.supposing(operator, statement), version, now)
}

/// Whether what is known of the newest head is recent enough at `now`, seconds since 1970.
pub fn freshness(policy: &Policy, seen: &Seen, now: u64) -> Freshness {
    View { policy, seen, now: now.max(policy.time().unwrap_or(0)) }.freshness()
}

/// By precedence: what follows a `+` does not count.
fn below(a: &Version, b: &Version) -> bool {
    a.cmp_precedence(b) == Ordering::Less
}

struct View<'a> {
    policy: &'a Policy,
    seen: &'a Seen,
    now: u64,
}

impl View<'_> {
    /// Who halted a version.
    fn halted_by(&self, version: &Version) -> Option<[u8; 32]> {
        let halted = |halt: Option<Halt>| matches!(halt, Some(Halt::Halted | Halt::Recalled));
        self.seen.said(version, self.policy, Right::Halt).find(|(_, s)| halted(s.halt)).map(|(key, _)| key)
    }

    /// Whether a version is to be taken back from where it runs. An order that is older than the policy's limit may have been lifted
    /// since: it halts, and takes nothing back.
    fn is_recalled(&self, version: &Version) -> bool {
        let recent =
            |time: u64| self.policy.freshness().is_none_or(|limit| self.now.saturating_sub(time) <= limit);
        let mut said = self.seen.said(version, self.policy, Right::Recall);
        said.any(|(key, s)| {
            s.halt == Some(Halt::Recalled) && recent(s.time) && self.policy.lets(&key, Right::Halt)
        })
    }

    /// How far a version goes. Who stopped it is who lets it go on: of several operators, one at 0 counts, otherwise the largest.
    fn share(&self, version: &Version) -> Share {
        let mut share = None;
        for (_, said) in self.seen.said(version, self.policy, Right::Rollout) {
            match said.share {
                Some(Share::NONE) => return Share::NONE,
                said => share = share.max(said),
            }
        }
        share.unwrap_or(self.policy.rollout())
    }

    /// Statements about the newest head that count: who made them, when, and what they say.
    fn words(&self) -> impl Iterator<Item = ([u8; 32], u64, Newest)> + '_ {
        let ahead = self.now.saturating_add(AHEAD);
        self.seen.statements().filter_map(move |signed| {
            let (operator, statement) = (signed.operator(), signed.statement());
            let newest = statement.newest.filter(|_| statement.time <= ahead)?;
            self.policy.lets(operator, Right::Refresh).then_some((*operator, statement.time, newest))
        })
    }

    fn freshness(&self) -> Freshness {
        let Some(limit) = self.policy.freshness() else { return Freshness::Unlimited };
        let last = self.words().map(|(_, time, _)| time).chain(self.policy.time()).max();
        match last {
            Some(time) if self.now.saturating_sub(time) <= limit => Freshness::Fresh(time),
            last => Freshness::Stale { last, limit },
        }
    }

    /// The longest head that was named and is longer than ours, and who named another history than ours.
    fn heads(&self, head: Option<Newest>) -> (Option<Newest>, Option<[u8; 32]>) {
        let Some(head) = head else { return (None, None) };
        let at = |n: &Newest| (n.fork, n.length);
        let longer = self.words().map(|(_, _, newest)| newest).filter(|n| at(n) > at(&head)).max_by_key(at);
        let other = self.words().find(|(_, _, n)| at(n) == at(&head) && n.tree_hash != head.tree_hash);
        (longer, other.map(|(operator, ..)| operator))
    }
}
