//! What was probably meant: commands (also one level down), flags and topics.

use super::errors::ERRORS;
use super::pages::PAGES;
use super::topics::TOPICS;
use bosc_release::error::CommandError;
use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// How many suggestions are made.
const MOST: usize = 3;

/// Adds what clap cannot know: a command that is below another one.
pub(super) fn suggest(mut e: Error) -> Error {
    if e.kind() == ErrorKind::InvalidSubcommand
        && let Some(ContextValue::String(word)) = e.get(ContextKind::InvalidSubcommand)
    {
        let below = elsewhere(word);
        if !below.is_empty() {
            e.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(below));
        }
    }
    e
}

/// Commands below another one that are called exactly so: `sign` is `multisig sign`.
fn elsewhere(word: &str) -> Vec<String> {
    let last = |path: &str| path.rsplit(' ').next() == Some(word) && path != word;
    PAGES
        .iter()
        .flat_map(|group| group.iter())
        .map(|p| p.path)
        .filter(|p| last(p))
        .map(str::to_owned)
        .collect()
}

/// What to do about arguments that do not parse, in one line.
pub(crate) fn hint(e: &Error) -> String {
    let kinds = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
        ContextKind::ValidValue,
    ];
    for kind in kinds {
        let words = match e.get(kind) {
            Some(ContextValue::String(word)) => vec![word.clone()],
            Some(ContextValue::Strings(words)) => words.clone(),
            _ => continue,
        };
        if kind == ContextKind::ValidValue && !words.is_empty() {
            return format!("it takes {}", listed(&words));
        }
        if !words.is_empty() {
            return format!("did you mean {}?", listed(&words));
        }
    }
    "run it with --help for what the command takes".to_owned()
}

/// `a`, `b` or `c`.
fn listed(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{w}`")).collect();
    match quoted.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => quoted.concat(),
    }
}

/// `bosc help WORD` of something that does not exist.
pub(super) fn no_help(before: &str, word: &str, at: &Command) -> CommandError {
    let mut known: Vec<String> = at.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    if before.is_empty() {
        known.extend(TOPICS.iter().map(|(name, _)| (*name).to_owned()));
        known.extend(ERRORS.iter().map(|e| e.code.to_owned()));
    }
    let mut near: Vec<(usize, String)> =
        known.into_iter().filter_map(|name| distance(word, &name).map(|d| (d, name))).collect();
    near.sort();
    let mut names = if before.is_empty() { elsewhere(word) } else { Vec::new() };
    names.extend(near.into_iter().map(|(_, name)| name));
    names.truncate(MOST);
    let error = CommandError::input(match before {
        "" => format!("there is no command or topic {word:?}"),
        _ => format!("`bosc {before}` has no command {word:?}"),
    });
    error.hint(match names.as_slice() {
        [] => "see `bosc help` for all commands and topics".to_owned(),
        names => format!("did you mean {}?", listed(names)),
    })
}

/// How many letters differ, when that is few enough to be a slip: every third one, or the word is how the name begins.
fn distance(word: &str, name: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) =
        (word.to_lowercase().chars().collect(), name.to_lowercase().chars().collect());
    if a.len() > 64 {
        return None;
    }
    if a.len() > 2 && b.starts_with(&a) {
        return Some(0);
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    let d = row.last().copied()?;
    (d <= a.len().max(b.len()).div_ceil(3)).then_some(d)
}
