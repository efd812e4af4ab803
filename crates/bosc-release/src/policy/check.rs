//! What is wrong with a `/release.json`, or should be looked at. Pure.

use super::event::PolicyFinding;
use super::span::{about, date, span};
use crate::doctor::finding::Level;
use crate::error::{CommandError, ErrorKind};
use bosc_policy::{AHEAD, FILE, Policy, PolicyError, Right};

/// What is said to do about a file that clients cannot obey.
const CORRECT: &str = "correct the field, or write it with `bosc policy set`";

/// Everything about the bytes of a file, at `now` (seconds since 1970).
pub fn check(bytes: &[u8], now: u64) -> Vec<PolicyFinding> {
    let mistakes = Policy::mistakes(bytes);
    if !mistakes.is_empty() {
        return mistakes.iter().map(wrong).collect();
    }
    match Policy::read(bytes) {
        Err(e) => vec![wrong(&e)],
        Ok(policy) => doubts(&policy, now),
    }
}

fn wrong(e: &PolicyError) -> PolicyFinding {
    let (field, why, next) = match e {
        PolicyError::Field { field, why } => (field.clone(), why.clone(), CORRECT),
        PolicyError::Newer(schema) => (
            "schema".to_owned(),
            format!("{schema} is of a later version of Bosc"),
            "update Bosc on this machine; clients of today install nothing by it",
        ),
        other => (FILE.to_owned(), other.to_string(), "write a new one with `bosc policy set`"),
    };
    finding(Level::Bad, &field, why, next)
}

fn finding(level: Level, field: &str, message: String, next: &str) -> PolicyFinding {
    PolicyFinding {
        level,
        field: field.to_owned(),
        message,
        next: (!next.is_empty()).then(|| next.to_owned()),
    }
}

/// What can be obeyed, and is probably not meant so.
fn doubts(policy: &Policy, now: u64) -> Vec<PolicyFinding> {
    let mut all = Vec::new();
    let mut warn =
        |field: &str, message: String, next: &str| all.push(finding(Level::Warn, field, message, next));
    let nobody = |right| !policy.operators().iter().any(|o| policy.lets(&o.key, right));
    if !policy.rollout().is_all() && nobody(Right::Rollout) {
        warn(
            "rollout",
            format!("it goes to {} and nobody may widen that", policy.rollout()),
            "name an operator: `bosc policy set FOLDER --operator NAME=KEY:rollout`; or raise it with the next release",
        );
    }
    if let Some(limit) = policy.freshness() {
        match policy.time() {
            None => warn(
                "time",
                format!(
                    "there is a freshness of {}, and the release does not say when it was made",
                    span(limit)
                ),
                "`bosc policy set FOLDER` sets it",
            ),
            Some(time) if now.saturating_sub(time) > limit => warn(
                "time",
                format!(
                    "{} is {} ago, longer than the freshness of {}",
                    date(time),
                    about(now - time),
                    span(limit)
                ),
                "run `bosc policy set FOLDER` before the release: it sets the time",
            ),
            Some(_) => {}
        }
        if nobody(Right::Refresh) {
            warn(
                "freshness",
                format!("nobody may refresh, so clients install nothing {} after a release", span(limit)),
                "name an operator who may `refresh`, or leave the freshness out",
            );
        }
    }
    if let Some(time) = policy.time().filter(|time| *time > now.saturating_add(AHEAD)) {
        warn(
            "time",
            format!("{} is in the future", date(time)),
            "check this machine's clock, then run `bosc policy set FOLDER`",
        );
    }
    for (i, operator) in policy.operators().iter().enumerate() {
        let may = |right| operator.may.contains(&right);
        if may(Right::Recall) && !policy.allows_recall() {
            warn(
                &format!("operators[{i}].may"),
                "it has `recall`, and the policy allows no recalls".to_owned(),
                "allow them with `bosc policy set FOLDER --recall`",
            );
        }
        if may(Right::Recall) && !may(Right::Halt) {
            warn(
                &format!("operators[{i}].may"),
                "it has `recall` without `halt`, and cannot recall anything".to_owned(),
                "give it `halt`, too",
            );
        }
        if operator.may.is_empty() {
            warn(
                &format!("operators[{i}].may"),
                "it may do nothing".to_owned(),
                "give it a right, or remove it",
            );
        }
    }
    if policy.allows_recall() && nobody(Right::Recall) {
        warn(
            "recall",
            "recalls are allowed, and no operator may order one".to_owned(),
            "give an operator `recall`, too",
        );
    }
    for field in policy.unknown() {
        warn(
            field,
            "means nothing to this version of Bosc".to_owned(),
            "check its spelling; it is kept as it is",
        );
    }
    all
}

/// The rules as clients will read them.
///
/// # Errors
/// `ERR_INVALID_POLICY` of this kind: [`ErrorKind::Input`] of a folder, [`ErrorKind::Integrity`] of a drive.
pub fn read(bytes: &[u8], kind: ErrorKind) -> Result<Policy, CommandError> {
    Policy::read(bytes).map_err(|e| invalid(kind).because(e))
}

/// A file that clients cannot obey.
pub(crate) fn invalid(kind: ErrorKind) -> CommandError {
    let hint = match kind {
        ErrorKind::Input => "`bosc policy check FOLDER` names every mistake",
        _ => "release a version with a correct /release.json; until then clients install nothing",
    };
    CommandError::new(kind, "ERR_INVALID_POLICY", "the rules of the release (/release.json) cannot be obeyed")
        .hint(hint)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bosc_format::id;
    use serde_json::{Value, json};

    const NOW: u64 = 1_796_028_000;

    fn named(value: &Value) -> Vec<(Level, String)> {
        check(value.to_string().as_bytes(), NOW).into_iter().map(|f| (f.level, f.field)).collect()
    }

    fn good() -> Value {
        json!({
            "schema": 1, "time": NOW, "rollout": 10, "freshness": 604_800, "recall": true,
            "operators": [{"key": id::encode(&[4; 32]), "may": ["refresh", "rollout", "halt", "recall"]}]
        })
    }

    #[test]
    fn every_mistake_and_every_doubt_is_named() {
        assert_eq!(named(&good()), []);
        let mut wrong = good();
        (wrong["rollout"], wrong["recall"]) = (json!(101), json!(1));
        assert_eq!(named(&wrong), [(Level::Bad, "rollout".to_owned()), (Level::Bad, "recall".to_owned())]);
        let doubt = |change: &dyn Fn(&mut Value), field: &str| {
            let mut value = good();
            change(&mut value);
            assert_eq!(named(&value), [(Level::Warn, field.to_owned())], "{value}");
        };
        doubt(&|v| v["time"] = json!(NOW - 604_801), "time");
        doubt(&|v| v["time"] = json!(NOW + AHEAD + 1), "time");
        doubt(&|v| v["time"] = Value::Null, "time");
        doubt(&|v| v["recall"] = json!(false), "operators[0].may");
        doubt(&|v| v["rolout"] = json!(5), "rolout");
        doubt(&|v| v["operators"][0]["may"] = json!(["refresh", "halt", "recall"]), "rollout");
        doubt(&|v| v["operators"][0]["may"] = json!(["rollout", "halt", "recall"]), "freshness");
        doubt(&|v| v["operators"][0]["may"] = json!(["rollout", "refresh", "halt"]), "recall");
        assert_eq!(check(b"{", NOW).len(), 1);
        assert!(check(br#"{"schema":2}"#, NOW)[0].message.contains("later version"));
    }
}
