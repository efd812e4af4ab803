//! What was found of one thing, and what to do about it.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but not as well as it should, or not for everything.
    Warn,
    /// Clients do not update, or the link cannot be used.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at. These names are stable.
    pub check: Cow<'static, str>,
    /// How it is.
    pub level: Level,
    /// In words.
    pub message: String,
    /// What to do; none when all is well.
    pub next: Option<String>,
}
/// Takes the findings of a link: check, level, message, what to do next (empty when all is well).
pub(super) type AddFinding<'a> = dyn FnMut(&'static str, Level, String, &str) + 'a;

pub(super) fn finding(check: &'static str, level: Level, message: impl Into<String>, next: &str) -> Finding {
    let next = (!next.is_empty()).then(|| next.to_owned());
    Finding { check: check.into(), level, message: message.into(), next }
}
