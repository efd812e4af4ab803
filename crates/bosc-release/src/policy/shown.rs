//! Rules and what operators say, as data for whoever prints them.

use super::span::span;
use bosc_format::id;
use bosc_policy::{About, Freshness, Halt, Newest, Operator, Policy, Right, Share, Standing, Statement};
use semver::Version;
use serde::{Deserialize, Serialize};

/// What a quorum signed, or a folder holds, as rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyShown {
    /// The link or folder.
    pub of: String,
    /// The release that they came with.
    pub version: Option<String>,
    /// When it was made, seconds since 1970.
    pub time: Option<u64>,
    /// Which channel it is.
    pub channel: Option<String>,
    /// Older ones must update.
    pub minimum: Option<String>,
    /// It is not to be put off.
    pub mandatory: bool,
    /// How far a version goes of which no operator spoke, in hundredths of a percent.
    pub rollout: u16,
    /// How old the newest word may be, in seconds.
    pub freshness: Option<u64>,
    /// Whether operators may take a version back from where it runs.
    pub recall: bool,
    /// Who may say what.
    pub operators: Vec<OperatorNamed>,
    /// Fields that mean nothing to this version of Bosc.
    pub unknown: Vec<String>,
    /// All of it in a sentence.
    pub meaning: String,
}

/// An operator, as the quorum names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorNamed {
    /// The public key, z-base-32.
    pub key: String,
    /// What people call them.
    pub name: Option<String>,
    /// `refresh`, `rollout`, `halt`, `recall`.
    pub may: Vec<String>,
}

impl OperatorNamed {
    pub(crate) fn of(operator: &Operator) -> Self {
        Self {
            key: id::encode(&operator.key),
            name: operator.name.clone(),
            may: operator.may.iter().map(|right| right.as_str().to_owned()).collect(),
        }
    }
}

impl PolicyShown {
    pub(crate) fn new(of: &str, version: Option<&str>, policy: &Policy) -> Self {
        Self {
            of: of.to_owned(),
            version: version.map(str::to_owned),
            time: policy.time(),
            channel: policy.channel().map(str::to_owned),
            minimum: policy.minimum().map(Version::to_string),
            mandatory: policy.is_mandatory(),
            rollout: policy.rollout().hundredths(),
            freshness: policy.freshness(),
            recall: policy.allows_recall(),
            operators: policy.operators().iter().map(OperatorNamed::of).collect(),
            unknown: policy.unknown().to_vec(),
            meaning: meaning(policy),
        }
    }
}

/// What people call an operator: its name, and else how its key begins.
pub(crate) fn called(operator: &Operator) -> String {
    operator.name.clone().unwrap_or_else(|| short(&operator.key))
}

/// How a key begins.
pub(crate) fn short(key: &[u8; 32]) -> String {
    id::encode(key).chars().take(8).collect()
}

/// The operators who may do this, as people call them.
pub(crate) fn who_may(policy: &Policy, right: Right) -> Vec<String> {
    policy.operators().iter().filter(|o| policy.lets(&o.key, right)).map(called).collect()
}

/// `goes to 10 %; operators: night shift (refresh, rollout, halt); freshness 7 days`.
pub(crate) fn meaning(policy: &Policy) -> String {
    let mut parts = vec![match policy.rollout() {
        Share::ALL => "goes to everybody".to_owned(),
        Share::NONE => "goes to nobody until an operator says how far".to_owned(),
        share => format!("goes to {share} of installations"),
    }];
    let operators = policy.operators().iter().map(|o| {
        let may: Vec<_> =
            Right::ALL.into_iter().filter(|r| policy.lets(&o.key, *r)).map(Right::as_str).collect();
        let may = if may.is_empty() { "nothing".to_owned() } else { may.join(", ") };
        format!("{} ({may})", called(o))
    });
    let operators: Vec<_> = operators.collect();
    parts.push(match operators.as_slice() {
        [] => "no operators".to_owned(),
        all => format!("operators: {}", all.join(", ")),
    });
    parts.extend(policy.freshness().map(|limit| format!("freshness {}", span(limit))));
    parts.extend(policy.is_mandatory().then(|| "mandatory".to_owned()));
    parts.extend(policy.minimum().map(|v| format!("versions below {v} must update")));
    parts.extend(policy.channel().map(|name| format!("channel {name}")));
    let relays: Vec<_> = policy.relays().iter().map(id::encode).collect();
    parts.extend(
        (!relays.is_empty()).then(|| format!("clients may go through the relays {}", relays.join(", "))),
    );
    parts.join("; ")
}

/// What an operator says, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatementShown {
    /// Of an operator the highest counts.
    pub counter: u64,
    /// Seconds since 1970.
    pub time: u64,
    /// Which length is the newest.
    pub newest: Option<NewestShown>,
    /// About versions.
    pub versions: Vec<AboutShown>,
}

/// A length of a drive's database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewestShown {
    /// Its fork.
    pub fork: u64,
    /// Blocks.
    pub length: u64,
    /// The hash of the tree over them, z-base-32.
    pub tree_hash: String,
}

/// What is said about a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutShown {
    /// The version.
    pub version: String,
    /// How far it goes, in hundredths of a percent.
    pub share: Option<u16>,
    /// Whether it is halted.
    pub halt: Option<HaltShown>,
}

/// Whether a version is halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HaltShown {
    /// Not any more.
    Lifted,
    /// It goes to nobody more.
    Halted,
    /// Who runs it goes back as well.
    Recalled,
}

impl From<Halt> for HaltShown {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Lifted => Self::Lifted,
            Halt::Halted => Self::Halted,
            Halt::Recalled => Self::Recalled,
        }
    }
}

impl From<HaltShown> for Halt {
    fn from(halt: HaltShown) -> Self {
        match halt {
            HaltShown::Lifted => Self::Lifted,
            HaltShown::Halted => Self::Halted,
            HaltShown::Recalled => Self::Recalled,
        }
    }
}

impl StatementShown {
    pub(crate) fn of(statement: &Statement) -> Self {
        Self {
            counter: statement.counter,
            time: statement.time,
            newest: statement.newest.as_ref().map(NewestShown::of),
            versions: statement.versions.iter().map(AboutShown::of).collect(),
        }
    }

    /// It as a statement about a link. `None`: something in it is not what it is called.
    pub fn to_statement(&self, link: [u8; 32]) -> Option<Statement> {
        let newest = match &self.newest {
            None => None,
            Some(n) => {
                let tree_hash = id::decode(&n.tree_hash).ok()?;
                Some(Newest { fork: n.fork, length: n.length, tree_hash })
            }
        };
        let versions = self.versions.iter().map(AboutShown::to_about).collect::<Option<_>>()?;
        Some(Statement { link, counter: self.counter, time: self.time, newest, versions })
    }
}

impl NewestShown {
    pub(crate) fn of(newest: &Newest) -> Self {
        Self { fork: newest.fork, length: newest.length, tree_hash: id::encode(&newest.tree_hash) }
    }
}

impl AboutShown {
    fn of(about: &About) -> Self {
        Self {
            version: about.version.to_string(),
            share: about.share.map(Share::hundredths),
            halt: about.halt.map(HaltShown::from),
        }
    }

    fn to_about(&self) -> Option<About> {
        let share = match self.share {
            None => None,
            Some(hundredths) => Some(Share::from_hundredths(hundredths.into()).ok()?),
        };
        Some(About { version: Version::parse(&self.version).ok()?, share, halt: self.halt.map(Halt::from) })
    }
}

/// How a version stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionStanding {
    /// The version.
    pub version: String,
    /// How far it goes, in hundredths of a percent.
    pub share: u16,
    /// Who halted it, as people call them.
    pub halted_by: Option<String>,
    /// Who runs it goes back.
    pub recalled: bool,
}

impl VersionStanding {
    pub(crate) fn new(version: &Version, standing: &Standing, policy: &Policy) -> Self {
        let named = |key: [u8; 32]| {
            policy.operators().iter().find(|o| o.key == key).map_or_else(|| short(&key), called)
        };
        Self {
            version: version.to_string(),
            share: standing.share.hundredths(),
            halted_by: standing.halted_by.map(named),
            recalled: standing.recalled,
        }
    }
}

/// Whether what is known of the newest head is recent enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreshnessShown {
    /// How old the newest word may be, in seconds; none: the rules do not ask.
    pub limit: Option<u64>,
    /// When it was said last what is the newest, seconds since 1970.
    pub last: Option<u64>,
    /// Clients install nothing because it is too long ago.
    pub stale: bool,
}

impl FreshnessShown {
    pub(crate) fn of(freshness: &Freshness, policy: &Policy) -> Self {
        match *freshness {
            Freshness::Unlimited => Self { limit: None, last: None, stale: false },
            Freshness::Fresh(last) => Self { limit: policy.freshness(), last: Some(last), stale: false },
            Freshness::Stale { last, limit } => Self { limit: Some(limit), last, stale: true },
        }
    }

    /// When it runs out, seconds since 1970.
    pub fn until(&self) -> Option<u64> {
        Some(self.last?.saturating_add(self.limit?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_in_a_sentence() {
        let of = |value| meaning(&Policy::from_json(&value).unwrap());
        assert_eq!(of(json!({"schema": 1})), "goes to everybody; no operators");
        let key = id::encode(&[4; 32]);
        let value = json!({
            "schema": 1, "rollout": 10, "freshness": 604_800, "mandatory": true, "minimum": "1.2.0",
            "operators": [{"key": key, "name": "night shift", "may": ["refresh", "rollout", "recall"]}, {"key": id::encode(&[5; 32])}]
        });
        let other = short(&[5; 32]);
        assert_eq!(
            of(value),
            format!(
                "goes to 10 % of installations; operators: night shift (refresh, rollout), {other} (nothing); freshness 7 days; \
                 mandatory; versions below 1.2.0 must update"
            )
        );
    }

    #[test]
    fn a_statement_survives_being_shown() {
        let statement = Statement {
            link: [3; 32],
            counter: 7,
            time: 1_796_028_000,
            newest: Some(Newest { fork: 1, length: 2, tree_hash: [9; 32] }),
            versions: vec![
                About { version: Version::new(1, 0, 0), share: Some(Share::ALL), halt: None },
                About { version: Version::new(1, 1, 0), share: None, halt: Some(Halt::Recalled) },
            ],
        };
        let shown = StatementShown::of(&statement);
        assert_eq!(shown.to_statement([3; 32]), Some(statement));
        let mut wrong = shown.clone();
        wrong.versions[0].share = Some(10_001);
        assert_eq!(wrong.to_statement([3; 32]), None);
    }
}
