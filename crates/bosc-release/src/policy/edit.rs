//! `policy set`: one field or several of a folder's `/release.json`. Everything else in it stays where it is.

use super::event::{PolicyEvent, PolicySet};
use super::folder::{FILE_NAME, bytes_of};
use crate::clock::now;
use crate::error::{CommandError, ErrorKind};
use crate::event::Sink;
use crate::output_file::{OutputFile, OutputKind};
use bosc_files::{Durability, Replace};
use bosc_format::id;
use bosc_policy::{Policy, Right, Share};
use semver::Version;
use serde_json::{Map, Number, Value, json};
use std::path::{Path, PathBuf};

/// An operator, as the person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorWish {
    /// What people call them.
    pub name: String,
    /// The public key.
    pub key: [u8; 32],
    /// What they may do.
    pub may: Vec<Right>,
}

/// What is to change. What is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edit {
    /// How far the version goes before an operator says more.
    pub rollout: Option<Share>,
    /// Operators: one of that name or key is replaced.
    pub operators: Vec<OperatorWish>,
    /// Names or keys of operators who are not any more.
    pub remove_operators: Vec<String>,
    /// How old the newest word may be, in seconds; `Some(None)`: for ever.
    pub freshness: Option<Option<u64>>,
    /// Whether operators may recall.
    pub recall: Option<bool>,
    /// Whether the release is not to be put off.
    pub mandatory: Option<bool>,
    /// Older ones must update; `Some(None)`: none must.
    pub minimum: Option<Option<Version>>,
    /// Of `linux`, `darwin`, `win32`: the oldest system.
    pub minimum_system: Vec<(String, String)>,
    /// Of a language: what is new.
    pub notes: Vec<(String, String)>,
}

/// Changes the file of a folder, or makes it, and sets its `time`. Reports each field that changed.
///
/// # Errors
/// The folder or its file cannot be used, or the result would be no policy: then nothing is written.
pub fn set(folder: &Path, edit: &Edit, sink: &mut dyn Sink) -> Result<PolicySet, CommandError> {
    let path = folder.join(FILE_NAME);
    if !folder.is_dir() {
        return Err(CommandError::not_found(format!("{} is not a folder", folder.display()))
            .hint("name the folder that is staged, such as the one that `bosc build` made"));
    }
    OutputFile::new(&path, OutputKind::Edited).check()?;
    let before = match bytes_of(folder)? {
        None => Map::new(),
        Some(bytes) => object(&path, &bytes)?,
    };
    let after = edited(before.clone(), edit, now())?;
    let text = format!("{:#}\n", Value::Object(after.clone()));
    Policy::read(text.as_bytes()).map_err(|e| {
        CommandError::new(
            ErrorKind::Input,
            "ERR_INVALID_POLICY",
            format!("{} would not be valid; nothing was written", path.display()),
        )
        .because(e)
        .hint("correct that field in the file; `bosc policy check FOLDER` names every mistake")
    })?;
    Replace::new(Durability::Disk).follow_links().write(&path, text.as_bytes()).map_err(|e| {
        CommandError::unwritable(
            format!("cannot write {}", path.display()),
            e,
            "check the folder's permissions",
        )
    })?;
    let mut changed = 0;
    let mut names: Vec<&String> = after.keys().collect();
    names.extend(before.keys().filter(|name| !after.contains_key(*name)));
    for field in names {
        let of = |all: &Map<String, Value>| all.get(field).cloned().unwrap_or_default();
        if of(&before) != of(&after) {
            changed += 1;
            sink.tell(PolicyEvent::FieldChanged {
                field: field.clone(),
                before: of(&before),
                after: of(&after),
            });
        }
    }
    Ok(PolicySet { file: PathBuf::from(&path), changed })
}

fn object(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>, CommandError> {
    let wrong = |why: String| {
        CommandError::new(ErrorKind::Input, "ERR_INVALID_POLICY", format!("{} {why}", path.display()))
            .hint("correct it, or remove it and run the command again")
    };
    // As clients read it: what stands there twice is not edited once.
    for e in Policy::mistakes(bytes) {
        match e {
            bosc_policy::PolicyError::Json(_) | bosc_policy::PolicyError::TooLong => {
                return Err(wrong("is not a file of rules".to_owned()).because(e));
            }
            bosc_policy::PolicyError::Newer(schema) => {
                return Err(wrong(format!(
                    "is of schema {schema}, which this version of Bosc does not know"
                )));
            }
            bosc_policy::PolicyError::Field { .. } => {}
        }
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(all)) => Ok(all),
        _ => Err(wrong("is not an object".to_owned())),
    }
}

fn edited(mut all: Map<String, Value>, edit: &Edit, now: u64) -> Result<Map<String, Value>, CommandError> {
    all.entry("schema").or_insert(json!(1));
    all.insert("time".into(), json!(now));
    if let Some(share) = edit.rollout {
        all.insert("rollout".into(), percent(share));
    }
    put(&mut all, "freshness", edit.freshness.map(|limit| limit.map(Value::from)));
    put(&mut all, "recall", edit.recall.map(|yes| yes.then_some(Value::Bool(true))));
    put(&mut all, "mandatory", edit.mandatory.map(|yes| yes.then_some(Value::Bool(true))));
    let minimum = edit.minimum.as_ref();
    put(&mut all, "minimum", minimum.map(|v| v.as_ref().map(|v| Value::from(v.to_string()))));
    for (field, texts) in [("minimumSystem", &edit.minimum_system), ("notes", &edit.notes)] {
        for (name, text) in texts {
            let fields = all.entry(field).or_insert_with(|| json!({}));
            let Value::Object(fields) = fields else { return Err(not_a(field, "an object")) };
            fields.insert(name.clone(), Value::from(text.clone()));
        }
    }
    if !edit.operators.is_empty() || !edit.remove_operators.is_empty() {
        let operators = all.entry("operators").or_insert_with(|| json!([]));
        let Value::Array(operators) = operators else { return Err(not_a("operators", "a list")) };
        change_operators(operators, edit)?;
    }
    Ok(all)
}

/// `Some(None)` takes the field out.
fn put(all: &mut Map<String, Value>, field: &str, value: Option<Option<Value>>) {
    match value {
        None => {}
        Some(Some(value)) => drop(all.insert(field.into(), value)),
        // In its place: the order of the others stays.
        Some(None) => drop(all.shift_remove(field)),
    }
}

fn not_a(field: &str, what: &str) -> CommandError {
    CommandError::new(
        ErrorKind::Input,
        "ERR_INVALID_POLICY",
        format!("{field} in /release.json is not {what}; nothing was written"),
    )
    .hint("correct it; `bosc policy check FOLDER` names every mistake")
}

/// Whole percents as whole numbers.
fn percent(share: Share) -> Value {
    let hundredths = share.hundredths();
    if hundredths.is_multiple_of(100) {
        return Value::from(hundredths / 100);
    }
    Number::from_f64(f64::from(hundredths) / 100.0).map_or(Value::Null, Value::Number)
}

fn change_operators(all: &mut Vec<Value>, edit: &Edit) -> Result<(), CommandError> {
    let key_of =
        |value: &Value| value.get("key").and_then(Value::as_str).and_then(|text| id::decode(text).ok());
    let is_named = |value: &Value, name: &str| value.get("name").and_then(Value::as_str) == Some(name);
    for who in &edit.remove_operators {
        let key = id::decode(who).ok();
        let before = all.len();
        all.retain(|value| !is_named(value, who) && (key.is_none() || key_of(value) != key));
        if all.len() == before {
            return Err(CommandError::not_found(format!("no operator {who:?} is in /release.json"))
                .hint("`bosc policy show FOLDER` names them"));
        }
    }
    for wish in &edit.operators {
        let may: Vec<_> = wish.may.iter().map(|right| right.as_str()).collect();
        let one = json!({"key": id::encode(&wish.key), "name": wish.name, "may": may});
        let at = all.iter().position(|value| is_named(value, &wish.name) || key_of(value) == Some(wish.key));
        match at.and_then(|at| all.get_mut(at)) {
            Some(Value::Object(there)) => {
                for (name, value) in one.as_object().into_iter().flatten() {
                    there.insert(name.clone(), value.clone());
                }
            }
            Some(there) => *there = one,
            None => all.push(one),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
