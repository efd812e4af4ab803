//! The rules of a release (`/release.json`) as those see them who ask for signatures, sign, verify and commit, and what is new in them.
//!
//! Invariants:
//! * Rules that clients could not obey end it, before anything is signed or committed: clients would install nothing more.
//! * What changed is said against the rules in production, where those are known: who may speak, and what about, most of all.

use super::content::{Content, FileFound};
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::error::{CommandError, ErrorKind};
use crate::policy::check;
use crate::policy::event::PolicyEvent;
use crate::policy::shown::PolicyShown;
use bosc_policy::{FILE, MAX_POLICY};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// When the release was made: another one with each.
const TIME: &str = "time";
const OPERATORS: &str = "operators";

impl Engine {
    /// Tells the rules of a version, and how they differ from those at `base`, the length of production. `false`: they are not here.
    ///
    /// # Errors
    /// `ERR_INVALID_POLICY`.
    pub(super) fn tell_rules(
        &self,
        content: &Content,
        (version, length): (Option<&str>, u64),
        base: Option<u64>,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<bool, CommandError> {
        let read = |length| self.file_of(content, FILE, MAX_POLICY, length, stop);
        let after = match read(length) {
            FileFound::None => None,
            FileFound::Read(bytes) => Some(bytes),
            FileFound::Broken => return Err(check::invalid(ErrorKind::Integrity)),
            FileFound::Unknown => return Ok(false),
        };
        let before = match base {
            Some(base @ 2..) => match read(base) {
                FileFound::None => Some(None),
                FileFound::Read(bytes) => Some(Some(bytes)),
                // Nothing in there counted, or it is not known.
                FileFound::Broken | FileFound::Unknown => None,
            },
            _ => None,
        };
        let of = content.drive.plain_link();
        match (&after, &before) {
            (Some(bytes), _) => {
                let policy = check::read(bytes, ErrorKind::Integrity)?;
                sink.tell(PolicyEvent::Policy(Box::new(PolicyShown::new(&of, version, &policy))));
            }
            // They are taken away.
            (None, Some(Some(_))) => sink.tell(PolicyEvent::NoPolicy { of }),
            (None, _) => {}
        }
        if let Some(before) = before {
            for event in changes(&object(before.as_deref()), &object(after.as_deref())) {
                sink.tell(event);
            }
        }
        Ok(true)
    }

    /// The same of a drive of which nothing else was read yet.
    ///
    /// # Errors
    /// `ERR_INVALID_POLICY`.
    pub(super) fn tell_rules_of(
        &self,
        content: &Content,
        length: u64,
        base: Option<u64>,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<bool, CommandError> {
        let package = self.package_of(content, length, stop).read();
        let version = package.get("version").and_then(Value::as_str);
        self.tell_rules(content, (version, length), base, sink, stop)
    }
}

fn object(bytes: Option<&[u8]>) -> Map<String, Value> {
    match bytes.map(serde_json::from_slice) {
        Some(Ok(Value::Object(all))) => all,
        _ => Map::new(),
    }
}

/// Each field that is another one, and each operator by itself.
fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<PolicyEvent> {
    let value = |all: &Map<String, Value>, field: &str| all.get(field).cloned().unwrap_or_default();
    let fields: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut out = Vec::new();
    let mut tell = |field: String, before: Value, after: Value| {
        if before != after {
            out.push(PolicyEvent::FieldChanged { field, before, after });
        }
    };
    for field in fields.into_iter().filter(|field| *field != TIME) {
        let (old, new) = (value(before, field), value(after, field));
        if field != OPERATORS {
            tell(field.clone(), old, new);
            continue;
        }
        let (old, new) = (by_key(&old), by_key(&new));
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let named = new.get(key).or_else(|| old.get(key)).and_then(|o| o.get("name")?.as_str());
            let named = named.map_or_else(|| key.chars().take(8).collect(), str::to_owned);
            tell(format!("{OPERATORS}[{named}]"), value(&old, key), value(&new, key));
        }
    }
    out
}

/// Operators by their keys.
fn by_key(all: &Value) -> Map<String, Value> {
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(|o| Some((o.get("key")?.as_str()?.to_owned(), o.clone()))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(before: Value, after: Value) -> Vec<String> {
        let bytes = |value: &Value| (!value.is_null()).then(|| value.to_string().into_bytes());
        let of = |value: &Value| object(bytes(value).as_deref());
        let text = |event| match event {
            PolicyEvent::FieldChanged { field, before, after } => format!("{field}: {before} -> {after}"),
            other => panic!("{other:?}"),
        };
        changes(&of(&before), &of(&after)).into_iter().map(text).collect()
    }

    #[test]
    fn what_changed_is_said_operator_by_operator_and_the_time_is_not() {
        let (day, night) =
            (json!({"key": "d", "name": "day", "may": ["halt"]}), json!({"key": "n", "may": ["halt"]}));
        let more = json!({"key": "d", "name": "day", "may": ["halt", "recall"]});
        assert_eq!(
            said(
                json!({"schema": 1, "time": 1, "rollout": 10, "operators": [day, night]}),
                json!({"schema": 1, "time": 2, "freshness": 60, "operators": [more]}),
            ),
            [
                "freshness: null -> 60".to_owned(),
                format!("operators[day]: {day} -> {more}"),
                format!("operators[n]: {night} -> null"),
                "rollout: 10 -> null".to_owned(),
            ]
        );
        assert_eq!(said(Value::Null, json!({"recall": true, "time": 5})), ["recall: null -> true"]);
        assert_eq!(said(json!({"mirrors": ["a"]}), Value::Null), [r#"mirrors: ["a"] -> null"#]);
        assert!(
            said(json!({"operators": [day, night]}), json!({"operators": [night, day], "time": 1}))
                .is_empty()
        );
    }
}
