//! The quorum's file: `/release.json` of a signed release.
//!
//! JSON, at most [`MAX_POLICY`] bytes. Fields that are not known are kept as they are.
//!
//! | field | value | if it is missing |
//! |---|---|---|
//! | `schema` | 1 | an error: a client would not know what it must obey |
//! | `time` | when this release was made, seconds since 1970 | it says nothing about freshness |
//! | `channel` | a name of a-z, 0-9, `-`, `_`, `.` | none |
//! | `minimum` | a version: older ones must update | none |
//! | `mandatory` | this release is not to be put off | `false` |
//! | `minimumSystem` | of `linux`, `darwin`, `win32`: the oldest version of the system | any |
//! | `notes` | of a language (`en`, `de-AT`): what is new | none |
//! | `mirrors` | URLs | none |
//! | `relays` | keys | none |
//! | `operators` | `{"key", "name", "may": ["refresh", "rollout", "halt", "recall"]}` | nobody |
//! | `rollout` | the share of a version that no operator spoke of, in percent | 100 |
//! | `freshness` | how old the newest word of quorum or operators may be, seconds | for ever |
//! | `recall` | whether operators may take a version back from where it runs | `false` |
//!
//! A schema above 1 is a policy that this client cannot obey: it installs nothing by it, and says so.

use crate::json;
use crate::share::{InvalidShare, Share};
use bosc_format::id;
use semver::Version;
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;
use thiserror::Error;

/// Where it is in a drive.
pub const FILE: &str = "/release.json";
/// Most bytes of it.
pub const MAX_POLICY: usize = 64 * 1024;
/// Most operators.
pub const MAX_OPERATORS: usize = 16;

/// Most mirrors, and most relays.
const MAX_PLACES: usize = 16;
const MAX_URL: usize = 2_048;
const MAX_NAME: usize = 64;
const MAX_LANGUAGES: usize = 64;
/// Ten years, in seconds.
const MAX_FRESHNESS: u64 = 10 * 366 * 24 * 60 * 60;
/// A minute: clients look less often.
const MIN_FRESHNESS: u64 = 60;

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Say which length is the newest.
    Refresh,
    /// Say how far a version goes.
    Rollout,
    /// Halt a version, and lift that.
    Halt,
    /// Recall a version, if the policy allows recalls.
    Recall,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Refresh, Self::Rollout, Self::Halt, Self::Recall];

    /// Its name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Rollout => "rollout",
            Self::Halt => "halt",
            Self::Recall => "recall",
        }
    }
}

/// Somebody who may make statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// The public key.
    pub key: [u8; 32],
    /// What people call them.
    pub name: Option<String>,
    /// What they may do. A right that is not known is kept in the file, and gives nothing.
    pub may: Vec<Right>,
}

/// What the quorum allows. It cannot be changed by who holds it: the file is ([`Policy::from_json`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    time: Option<u64>,
    channel: Option<String>,
    minimum: Option<Version>,
    mandatory: bool,
    minimum_system: BTreeMap<String, String>,
    notes: BTreeMap<String, String>,
    mirrors: Vec<String>,
    relays: Vec<[u8; 32]>,
    operators: Vec<Operator>,
    rollout: Share,
    freshness: Option<u64>,
    recall: bool,
    unknown: Vec<String>,
}

/// Why a file is no policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// It has more than [`MAX_POLICY`] bytes.
    #[error("{FILE} has more than {MAX_POLICY} bytes")]
    TooLong,
    /// It is not JSON.
    #[error("{FILE} is not JSON: {0}")]
    Json(String),
    /// A field is wrong.
    #[error("{FILE}: {field}: {why}")]
    Field {
        /// Its path in the file.
        field: String,
        /// What it must be.
        why: String,
    },
    /// It is of a later schema.
    #[error("{FILE} is of schema {0}, which this version of Bosc cannot obey")]
    Newer(u64),
}

fn wrong(field: impl Into<String>, why: impl Into<String>) -> PolicyError {
    PolicyError::Field { field: field.into(), why: why.into() }
}

impl Policy {
    /// From the bytes of `/release.json`.
    ///
    /// # Errors
    /// They are not a policy. A client obeys a policy whole or not at all: nothing is installed by one that it cannot read.
    pub fn read(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > MAX_POLICY {
            return Err(PolicyError::TooLong);
        }
        // Of a name that stands twice in JSON one would be obeyed here and another elsewhere.
        let value = json::read(bytes).map_err(|e| PolicyError::Json(e.to_string()))?;
        Self::from_json(&value)
    }

    /// From its JSON.
    ///
    /// # Errors
    /// As [`Policy::read`].
    pub fn from_json(value: &Value) -> Result<Self, PolicyError> {
        let Value::Object(all) = value else { return Err(wrong("the file", "must be an object")) };
        match all.get("schema").and_then(Value::as_u64) {
            Some(1) => {}
            Some(newer @ 2..) => return Err(PolicyError::Newer(newer)),
            _ => return Err(wrong("schema", "must be 1")),
        }
        let known = Fields(all);
        Ok(Self {
            time: known.number("time", 0..=u64::MAX >> 11)?,
            channel: known.text("channel", MAX_NAME)?.map(|name| channel(&name)).transpose()?,
            minimum: known
                .text("minimum", MAX_NAME)?
                .map(|text| {
                    Version::parse(&text).map_err(|_| wrong("minimum", "must be a version, such as 1.2.0"))
                })
                .transpose()?,
            mandatory: known.flag("mandatory")?,
            minimum_system: known.texts("minimumSystem", 16, MAX_NAME)?,
            notes: known.texts("notes", MAX_LANGUAGES, MAX_POLICY)?,
            mirrors: known.list("mirrors", MAX_PLACES, mirror)?,
            relays: known.list("relays", MAX_PLACES, key)?,
            operators: operators(&known)?,
            rollout: known.share("rollout")?.unwrap_or(Share::ALL),
            freshness: known.number("freshness", MIN_FRESHNESS..=MAX_FRESHNESS)?,
            recall: known.flag("recall")?,
            unknown: all.keys().filter(|k| !FIELDS.contains(&k.as_str())).cloned().collect(),
        })
    }

    /// Everything that is wrong with the bytes of `/release.json`, in the order in which it is met; nothing where [`Policy::read`]
    /// reads them. For those who write the file: whoever obeys it needs no more than the first.
    pub fn mistakes(bytes: &[u8]) -> Vec<PolicyError> {
        let mut all = Vec::new();
        let mut rest = match (bytes.len() <= MAX_POLICY).then(|| json::read(bytes)) {
            Some(Ok(Value::Object(fields))) => fields,
            _ => return Self::read(bytes).err().into_iter().collect(),
        };
        // Each time without the field that was wrong.
        while let Err(e) = Self::from_json(&Value::Object(rest.clone())) {
            let field = match &e {
                PolicyError::Field { field, .. } => field.split(['.', '[']).next().unwrap_or_default(),
                _ => "",
            };
            let next = if field == "schema" {
                rest.insert("schema".into(), Value::from(1)).is_some_and(|before| before != 1)
                    || all.is_empty()
            } else {
                rest.remove(field).is_some()
            };
            all.push(e);
            if !next {
                break;
            }
        }
        all
    }

    /// When the release was made, by the quorum's word: seconds since 1970.
    pub fn time(&self) -> Option<u64> {
        self.time
    }

    /// Which channel it is.
    pub fn channel(&self) -> Option<&str> {
        self.channel.as_deref()
    }

    /// Older ones must update.
    pub fn minimum(&self) -> Option<&Version> {
        self.minimum.as_ref()
    }

    /// This release is not to be put off.
    pub fn is_mandatory(&self) -> bool {
        self.mandatory
    }

    /// The oldest system that it runs on: `linux`, `darwin`, `win32`.
    pub fn minimum_system(&self, platform: &str) -> Option<&str> {
        self.minimum_system.get(platform).map(String::as_str)
    }

    /// What is new, in the language that fits best: `de-AT`, `de`, `en`, any.
    pub fn notes(&self, language: &str) -> Option<&str> {
        let short = language.split(['-', '_']).next().unwrap_or_default();
        [language, short, "en"]
            .iter()
            .find_map(|l| self.notes.get(*l))
            .or_else(|| self.notes.values().next())
            .map(String::as_str)
    }

    /// Where the drive is besides at peers.
    pub fn mirrors(&self) -> &[String] {
        &self.mirrors
    }

    /// Who relays between peers that cannot reach each other.
    pub fn relays(&self) -> &[[u8; 32]] {
        &self.relays
    }

    /// Who may make statements.
    pub fn operators(&self) -> &[Operator] {
        &self.operators
    }

    /// Whether an operator may do this.
    pub fn lets(&self, operator: &[u8; 32], right: Right) -> bool {
        let may = self.operators.iter().find(|o| o.key == *operator).is_some_and(|o| o.may.contains(&right));
        may && (right != Right::Recall || self.recall)
    }

    /// The share of a version that no operator spoke of.
    pub fn rollout(&self) -> Share {
        self.rollout
    }

    /// How old the newest word may be, in seconds.
    pub fn freshness(&self) -> Option<u64> {
        self.freshness
    }

    /// Whether operators may take a version back from where it runs.
    pub fn allows_recall(&self) -> bool {
        self.recall
    }

    /// Fields that mean nothing here.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }
}

const FIELDS: [&str; 13] = [
    "schema",
    "time",
    "channel",
    "minimum",
    "mandatory",
    "minimumSystem",
    "notes",
    "mirrors",
    "relays",
    "operators",
    "rollout",
    "freshness",
    "recall",
];

fn channel(name: &str) -> Result<String, PolicyError> {
    let fits = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    if fits && !name.is_empty() {
        Ok(name.to_owned())
    } else {
        Err(wrong("channel", "must be of a-z, 0-9, - _ ."))
    }
}

fn mirror(at: &str, value: &Value) -> Result<String, PolicyError> {
    let fits = |url: &&str| {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        url.len() <= MAX_URL
            && rest.is_some_and(|r| !r.is_empty())
            && url.bytes().all(|b| b.is_ascii_graphic())
    };
    value
        .as_str()
        .filter(fits)
        .map(str::to_owned)
        .ok_or_else(|| wrong(at, "must be a URL, https:// or http://"))
}

fn key(at: &str, value: &Value) -> Result<[u8; 32], PolicyError> {
    let key = value.as_str().and_then(|text| id::decode(text).ok());
    key.ok_or_else(|| wrong(at, "must be a key: 52 characters of z-base-32 or 64 of hex"))
}

fn operators(known: &Fields<'_>) -> Result<Vec<Operator>, PolicyError> {
    let all = known.list("operators", MAX_OPERATORS, |at, value| {
        let Value::Object(one) = value else { return Err(wrong(at, "must be an object")) };
        let one = Fields(one);
        let within = |e| match e {
            PolicyError::Field { field, why } => wrong(format!("{at}.{field}"), why),
            other => other,
        };
        let may = one.list("may", 64, |at, right| {
            right.as_str().map(str::to_owned).ok_or_else(|| wrong(at, "must be a text"))
        });
        let may = may.map_err(within)?;
        Ok(Operator {
            key: key(&format!("{at}.key"), one.0.get("key").unwrap_or(&Value::Null))?,
            name: one.text("name", MAX_NAME).map_err(within)?,
            may: Right::ALL.into_iter().filter(|r| may.iter().any(|m| m == r.as_str())).collect(),
        })
    })?;
    let twice = all.iter().enumerate().find(|(i, o)| all.iter().skip(i + 1).any(|other| other.key == o.key));
    match twice {
        Some((i, _)) => Err(wrong(format!("operators[{i}].key"), "stands there twice")),
        None => Ok(all),
    }
}

/// An object's fields. `null` is as none.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|v| !v.is_null())
    }

    fn flag(&self, name: &str) -> Result<bool, PolicyError> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(b)) => Ok(*b),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    fn number(&self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, PolicyError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_u64().filter(|n| range.contains(n));
        let why = || format!("must be a whole number of seconds, {} to {}", range.start(), range.end());
        number.map(Some).ok_or_else(|| wrong(name, why()))
    }

    fn share(&self, name: &str) -> Result<Option<Share>, PolicyError> {
        let as_text = |n: &Number| n.to_string();
        let share = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(n)) => as_text(n).parse(),
            Some(Value::String(text)) => text.parse(),
            Some(_) => return Err(wrong(name, InvalidShare.to_string())),
        };
        share.map(Some).map_err(|e: InvalidShare| wrong(name, e.to_string()))
    }

    fn text(&self, name: &str, most: usize) -> Result<Option<String>, PolicyError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= most => Ok(Some(text.clone())),
            Some(_) => Err(wrong(name, format!("must be a text of at most {most} bytes"))),
        }
    }

    fn texts(&self, name: &str, count: usize, most: usize) -> Result<BTreeMap<String, String>, PolicyError> {
        let Some(value) = self.get(name) else { return Ok(BTreeMap::new()) };
        let fits = |all: &&Map<String, Value>| {
            all.len() <= count
                && all.iter().all(|(k, v)| k.len() <= MAX_NAME && v.as_str().is_some_and(|v| v.len() <= most))
        };
        let all = value
            .as_object()
            .filter(fits)
            .ok_or_else(|| wrong(name, format!("must be an object of at most {count} texts")))?;
        Ok(all.iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect())
    }

    fn list<T>(
        &self,
        name: &str,
        most: usize,
        item: impl Fn(&str, &Value) -> Result<T, PolicyError>,
    ) -> Result<Vec<T>, PolicyError> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let Some(all) = value.as_array().filter(|all| all.len() <= most) else {
            return Err(wrong(name, format!("must be a list of at most {most}")));
        };
        all.iter().enumerate().map(|(i, value)| item(&format!("{name}[{i}]"), value)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use serde_json::json;

    fn operator() -> Value {
        json!({"key": id::encode(&[4; 32]), "name": "night shift", "may": ["refresh", "halt", "recall", "brew"]})
    }

    fn full() -> Value {
        json!({
            "schema": 1, "time": 1_796_028_000, "channel": "stable", "minimum": "1.2.0", "mandatory": true,
            "minimumSystem": {"linux": "5.4", "darwin": "12.0"}, "notes": {"en": "New.", "de": "Neu."},
            "mirrors": ["https://example.org/app/"], "relays": [id::encode(&[2; 32])], "operators": [operator()],
            "rollout": 12.5, "freshness": 604_800, "recall": true, "x-ours": {"ticket": 7}
        })
    }

    #[test]
    fn a_policy_is_read() {
        let policy = Policy::read(full().to_string().as_bytes()).unwrap();
        assert_eq!(policy.time(), Some(1_796_028_000));
        assert_eq!(policy.channel(), Some("stable"));
        assert_eq!(policy.minimum(), Some(&Version::new(1, 2, 0)));
        assert!(policy.is_mandatory() && policy.allows_recall());
        assert_eq!((policy.minimum_system("darwin"), policy.minimum_system("win32")), (Some("12.0"), None));
        assert_eq!(policy.notes("de-AT"), Some("Neu."));
        assert_eq!(policy.notes("fr"), Some("New."));
        assert_eq!(policy.mirrors(), ["https://example.org/app/"]);
        assert_eq!(policy.relays(), [[2; 32]]);
        assert_eq!(policy.rollout().hundredths(), 1_250);
        assert_eq!(policy.freshness(), Some(604_800));
        assert_eq!(policy.unknown(), ["x-ours"]);
        let rights: Vec<_> = Right::ALL.into_iter().filter(|r| policy.lets(&[4; 32], *r)).collect();
        assert_eq!(rights, [Right::Refresh, Right::Halt, Right::Recall]);
        assert!(!policy.lets(&[5; 32], Right::Halt));
    }

    #[test]
    fn what_is_missing_restricts_nothing() {
        let policy = Policy::read(br#"{"schema":1,"notes":null}"#).unwrap();
        assert_eq!((policy.rollout(), policy.freshness(), policy.operators().len()), (Share::ALL, None, 0));
        assert_eq!(policy.notes("en"), None);
        // An operator with the right, and a policy that allows no recall.
        let mut value = full();
        value["recall"] = json!(false);
        assert!(!Policy::from_json(&value).unwrap().lets(&[4; 32], Right::Recall));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |field: &str, value: Value| {
            let mut all = full();
            all[field] = value;
            match Policy::from_json(&all) {
                Err(PolicyError::Field { field, .. }) => field,
                other => panic!("{field}: {other:?}"),
            }
        };
        for (field, value) in [
            ("schema", json!(0)),
            ("schema", json!("1")),
            ("time", json!(-1)),
            ("time", json!(u64::MAX)),
            ("channel", json!("Stable channel")),
            ("minimum", json!("1.2")),
            ("mandatory", json!("yes")),
            ("minimumSystem", json!({"linux": 5})),
            ("notes", json!("text")),
            ("mirrors", json!("https://example.org")),
            ("rollout", json!(101)),
            ("rollout", json!(-0.5)),
            ("rollout", json!(true)),
            ("freshness", json!(59)),
            ("freshness", json!(1e30)),
            ("recall", json!(1)),
            ("operators", json!(vec![operator(); MAX_OPERATORS + 1])),
        ] {
            assert_eq!(with(field, value), field);
        }
        assert_eq!(with("mirrors", json!(["https://a/", "ftp://b/"])), "mirrors[1]");
        assert_eq!(with("mirrors", json!(["https://a/ b"])), "mirrors[0]");
        assert_eq!(with("relays", json!(["short"])), "relays[0]");
        assert_eq!(with("operators", json!([{"may": ["halt"]}])), "operators[0].key");
        assert_eq!(with("operators", json!([operator(), operator()])), "operators[0].key");
        assert_eq!(
            with("operators", json!([{"key": id::encode(&[4; 32]), "may": "halt"}])),
            "operators[0].may"
        );
    }

    #[test]
    fn every_mistake_is_named() {
        let mut all = full();
        for (field, value) in [
            ("schema", json!(0)),
            ("rollout", json!(101)),
            ("recall", json!(1)),
            ("operators", json!([{"key": 1}, {"key": 2}])),
            ("freshness", json!(1)),
        ] {
            all[field] = value;
        }
        let named = |value: &Value| -> Vec<String> {
            let mistakes = Policy::mistakes(value.to_string().as_bytes());
            mistakes
                .iter()
                .map(|e| match e {
                    PolicyError::Field { field, .. } => field.clone(),
                    other => other.to_string(),
                })
                .collect()
        };
        assert_eq!(named(&all), ["schema", "operators[0].key", "rollout", "freshness", "recall"]);
        assert!(named(&full()).is_empty());
        assert_eq!(named(&json!({})), ["schema"]);
        assert_eq!(named(&json!([])), ["the file"]);
        assert_eq!(Policy::mistakes(b"{"), [Policy::read(b"{").unwrap_err()]);
        assert_eq!(Policy::mistakes(br#"{"schema":2,"rollout":900}"#), [PolicyError::Newer(2)]);
        assert_eq!(Policy::mistakes(&vec![b' '; MAX_POLICY + 1]), [PolicyError::TooLong]);
    }

    #[test]
    fn what_cannot_be_obeyed_is_no_policy() {
        assert_eq!(Policy::read(br#"{"schema":2}"#), Err(PolicyError::Newer(2)));
        assert!(matches!(Policy::read(b"{}"), Err(PolicyError::Field { .. })));
        assert!(matches!(Policy::read(b"[1]"), Err(PolicyError::Field { .. })));
        assert!(matches!(Policy::read(b"{\"schema\":1"), Err(PolicyError::Json(_))));
        assert!(matches!(
            Policy::read(br#"{"schema":1,"recall":true,"recall":false}"#),
            Err(PolicyError::Json(_))
        ));
        assert_eq!(Policy::read(&vec![b' '; MAX_POLICY + 1]), Err(PolicyError::TooLong));
        let deep = format!("{{\"schema\":1,\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(matches!(Policy::read(deep.as_bytes()), Err(PolicyError::Json(_))));
    }
}
