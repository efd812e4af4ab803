//! Which files a stage takes: ignore patterns and `only` prefixes.
//!
//! A pattern is a path in the drive; it also covers everything below what it matches. `*` is one or more characters of
//! one name, `**` anything, slashes too, `?` one character of a name, `[abc]` one of a set (`[!abc]` none of it),
//! `{a,b}` either. A leading `!` takes files back, whatever other patterns say. `**/x` needs a folder before `x`, as in
//! Pear. Unlike in Pear patterns are compared with every key, so they also cover files that are only in the drive,
//! and `**` may occur more than once.
//!
//! An [`IgnoreFile`] is asked where no pattern says anything.

use super::ignore_file::IgnoreFile;
use super::pattern::{GlobError, MAX_PATTERN_LEN, MAX_PATTERNS};
use bosc_drive::deltas;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most patterns one `{a,b}` pattern may stand for.
const MAX_ALTERNATIVES: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
enum GlobToken {
    Char(char),
    /// One character that is not a slash.
    Any,
    /// Any number of characters that are not slashes.
    Name,
    /// Any number of characters.
    Path,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

#[derive(Debug, Clone)]
struct Pattern {
    tokens: Vec<GlobToken>,
    /// The characters before the first wildcard.
    literal: String,
}

impl Pattern {
    fn new(text: &str) -> Self {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let tail = rest.get(c.len_utf8()..).unwrap_or_default();
            rest = tail;
            match c {
                '*' => match tail.strip_prefix('*') {
                    Some(tail) => {
                        rest = tail;
                        tokens.push(GlobToken::Path);
                    }
                    None => tokens.extend([GlobToken::Any, GlobToken::Name]),
                },
                '?' => tokens.push(GlobToken::Any),
                '[' => match parse_set(tail) {
                    Some((set, tail)) => {
                        rest = tail;
                        tokens.push(set);
                    }
                    None => tokens.push(GlobToken::Char('[')),
                },
                c => tokens.push(GlobToken::Char(c)),
            }
        }
        let literal =
            tokens.iter().map_while(|t| if let GlobToken::Char(c) = t { Some(*c) } else { None }).collect();
        Self { tokens, literal }
    }

    fn is_literal(&self) -> bool {
        self.tokens.iter().all(|t| matches!(t, GlobToken::Char(_)))
    }

    /// Whether it matches `path` or a folder above it. Keeps the set of places in the pattern that can be reached, so
    /// the time is the product of the two lengths at worst.
    fn matches(&self, path: &str) -> bool {
        if self.is_literal() {
            return covers(&self.literal, path);
        }
        if !path.starts_with(&self.literal) {
            return false;
        }
        let end = self.tokens.len();
        let mut now = vec![false; end + 1];
        let mut next = vec![false; end + 1];
        self.reach(&mut now, 0);
        for c in path.chars() {
            let accepted = now.last().copied().unwrap_or(false);
            if accepted && c == '/' {
                return true;
            }
            next.fill(false);
            for (i, token) in self.tokens.iter().enumerate() {
                if !now.get(i).copied().unwrap_or(false) {
                    continue;
                }
                let (hit, stays) = match token {
                    GlobToken::Char(t) => (*t == c, false),
                    GlobToken::Any => (c != '/', false),
                    GlobToken::Name => (c != '/', true),
                    GlobToken::Path => (true, true),
                    GlobToken::Set { negated, ranges } => {
                        (c != '/' && ranges.iter().any(|&(a, b)| (a..=b).contains(&c)) != *negated, false)
                    }
                };
                if hit {
                    self.reach(&mut next, if stays { i } else { i + 1 });
                }
            }
            std::mem::swap(&mut now, &mut next);
        }
        now.last().copied().unwrap_or(false)
    }

    /// Marks a place and those that follow without a character.
    fn reach(&self, places: &mut [bool], mut i: usize) {
        loop {
            if let Some(place) = places.get_mut(i) {
                *place = true;
            }
            match self.tokens.get(i) {
                Some(GlobToken::Name | GlobToken::Path) => i += 1,
                _ => return,
            }
        }
    }

    /// Whether it might match something below `folder`.
    fn may_match_below(&self, folder: &str) -> bool {
        let folder = format!("{folder}/");
        let (a, b) = (folder.as_str(), self.literal.as_str());
        // Everything is below the root.
        a == "/" || a.starts_with(b) || b.starts_with(a)
    }
}

fn parse_set(text: &str) -> Option<(GlobToken, &str)> {
    let (negated, body) = match text.strip_prefix(['!', '^']) {
        Some(body) => (true, body),
        None => (false, text),
    };
    // A bracket right at the start belongs to the set.
    let first = body.chars().next()?.len_utf8();
    let end = first + body.get(first..)?.find(']')?;
    let (inner, rest) = (body.get(..end)?, body.get(end + 1..)?);
    let mut ranges = Vec::new();
    let mut chars = inner.chars().peekable();
    while let Some(a) = chars.next() {
        let mut ahead = chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(b)) => {
                ranges.push((a, b));
                chars = ahead;
            }
            _ => ranges.push((a, a)),
        }
    }
    Some((GlobToken::Set { negated, ranges }, rest))
}

/// Replaces the first `{a,b}` by each of its parts, and so on.
fn alternatives(text: &str) -> Option<Vec<String>> {
    let mut out = Vec::new();
    let mut queue = vec![text.to_owned()];
    while let Some(text) = queue.pop() {
        if queue.len() + out.len() > MAX_ALTERNATIVES {
            return None;
        }
        match split_braces(&text) {
            Some((head, parts, tail)) => queue.extend(parts.iter().map(|p| format!("{head}{p}{tail}"))),
            None => out.push(text),
        }
    }
    Some(out)
}

fn split_braces(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    let open = text.find('{')?;
    let (mut depth, mut cuts) = (0usize, vec![open]);
    for (i, c) in text.char_indices().skip_while(|(i, _)| *i < open) {
        match c {
            '{' => depth += 1,
            ',' if depth == 1 => cuts.push(i),
            '}' if depth == 1 => {
                cuts.push(i);
                if cuts.len() < 3 {
                    return None;
                }
                let parts = cuts.iter().zip(cuts.iter().skip(1));
                let parts = parts.filter_map(|(&a, &b)| text.get(a + 1..b)).collect();
                return Some((text.get(..open)?, parts, text.get(i + 1..)?));
            }
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Whether `path` is `prefix` or lies below it. Both without the first slash; an empty prefix covers all.
fn covers(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

fn bare(key: &str) -> &str {
    key.strip_prefix('/').unwrap_or(key)
}

/// A text as it was given, and whether anything was found that it means. Clones share what they found.
#[derive(Debug, Clone)]
struct Given {
    text: String,
    used: Arc<AtomicBool>,
}

impl Given {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), used: Arc::default() }
    }

    fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    fn found(&self) {
        self.used.store(true, Ordering::Relaxed);
    }
}

/// The ignore patterns of a stage.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    take: Vec<(Pattern, Given)>,
    drop: Vec<(Pattern, Given)>,
    given: Vec<Given>,
    file: Option<IgnoreFile>,
}

/// Whether a pattern of the list matches. All of them learn of it.
fn any_matches(list: &[(Pattern, Given)], path: &str) -> bool {
    let mut hit = false;
    for (pattern, given) in list {
        if (!hit || !given.is_used()) && pattern.matches(path) {
            given.found();
            hit = true;
        }
    }
    hit
}

impl Ignore {
    /// Compiles patterns. Empty ones are skipped; backslashes count as slashes.
    pub fn new<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Result<Self, GlobError> {
        let mut out = Self::default();
        for text in patterns {
            let text = text.as_ref().trim();
            let too_long = || GlobError::TooLong(text.chars().take(80).collect());
            if text.len() > MAX_PATTERN_LEN {
                return Err(too_long());
            }
            let (list, body) = match text.trim_start_matches('/').strip_prefix('!') {
                Some(body) => (&mut out.take, body),
                None => (&mut out.drop, text),
            };
            let given = Given::new(text);
            let body = body.replace('\\', "/");
            let body = body.trim_start_matches("./").trim_matches('/');
            if body.is_empty() {
                continue;
            }
            let patterns = alternatives(body).ok_or_else(too_long)?;
            list.extend(patterns.iter().map(|p| (Pattern::new(p), given.clone())));
            out.given.push(given);
            if out.take.len() + out.drop.len() > MAX_PATTERNS {
                return Err(GlobError::TooMany);
            }
        }
        Ok(out)
    }

    /// Asks `file` as well, where no pattern says anything.
    #[must_use]
    pub fn with_file(mut self, file: Option<IgnoreFile>) -> Self {
        self.file = file;
        self
    }

    /// Whether the file `key` is left out.
    pub fn ignores(&self, key: &str) -> bool {
        self.left_out(bare(key), false)
    }

    fn left_out(&self, path: &str, is_folder: bool) -> bool {
        // What a dump with its deltas brought is no part of a release: they are made anew.
        if deltas::holds_bare(path) {
            return true;
        }
        let (drop, take) = (any_matches(&self.drop, path), any_matches(&self.take, path));
        match (drop, take) {
            (_, true) => false,
            (true, false) => true,
            (false, false) => self.file.as_ref().is_some_and(|f| f.ignores(path, is_folder)),
        }
    }

    /// Whether nothing below the folder `key` can be taken, so that it need not be looked into. A file of that name can
    /// be: ask [`Ignore::ignores`].
    pub fn ignores_all_below(&self, key: &str) -> bool {
        let path = bare(key);
        let all = self.left_out(path, true) && !self.take.iter().any(|(p, _)| p.may_match_below(path));
        if all {
            // Nobody looks whether these match anything in there.
            self.drop.iter().filter(|(p, _)| p.may_match_below(path)).for_each(|(_, given)| given.found());
        }
        all
    }

    /// The patterns, as they were given, that matched none of the paths that were asked about.
    pub fn unused(&self) -> Vec<&str> {
        self.given.iter().filter(|g| !g.is_used()).map(|g| g.text.as_str()).collect()
    }
}

/// The `only` prefixes of a stage or dump: files, or folders with all they hold. None means everything.
#[derive(Debug, Clone, Default)]
pub struct Only {
    prefixes: Vec<(String, Given)>,
}

impl Only {
    /// Takes paths as people write them.
    pub fn new<T: AsRef<str>>(prefixes: impl IntoIterator<Item = T>) -> Result<Self, GlobError> {
        let mut out = Vec::new();
        let mut blank = false;
        for text in prefixes {
            let text = text.as_ref().trim();
            if text.is_empty() {
                blank = true;
                continue;
            }
            let folder = bosc_drive::drive::path::normalize_folder(text);
            let folder = folder.map_err(|_| GlobError::Outside(text.chars().take(80).collect()))?;
            out.push((bare(&folder).to_owned(), Given::new(text)));
        }
        if out.len() > MAX_PATTERNS {
            return Err(GlobError::TooMany);
        }
        if blank && out.is_empty() {
            return Err(GlobError::NoPath);
        }
        Ok(Self { prefixes: out })
    }

    /// Whether the file `key` is meant.
    pub fn takes(&self, key: &str) -> bool {
        let mut hit = false;
        for (prefix, given) in &self.prefixes {
            if (!hit || !given.is_used()) && covers(prefix, bare(key)) {
                given.found();
                hit = true;
            }
        }
        hit || self.prefixes.is_empty()
    }

    /// The paths, as they were given, at which nothing lies of what was asked about.
    pub fn unused(&self) -> Vec<&str> {
        self.prefixes.iter().filter(|(_, g)| !g.is_used()).map(|(_, g)| g.text.as_str()).collect()
    }

    /// Whether anything in the folder `key` can be meant.
    pub fn may_take_below(&self, key: &str) -> bool {
        let path = bare(key);
        self.prefixes.is_empty() || self.prefixes.iter().any(|(p, _)| covers(p, path) || covers(path, p))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
