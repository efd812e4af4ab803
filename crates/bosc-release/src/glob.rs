//! Which files a stage takes: ignore patterns and `only` prefixes.
//!
//! A pattern is a path in the drive; it also covers everything below what it matches. `*` is one or more characters of
//! one name, `**` anything, slashes too, `?` one character of a name, `[abc]` one of a set (`[!abc]` none of it),
//! `{a,b}` either. A leading `!` takes files back, whatever other patterns say. `**/x` needs a folder before `x`, as in
//! Pear. Unlike in Pear patterns are compared with every key, so they also cover files that are only in the drive,
//! and `**` may occur more than once.

use thiserror::Error;

/// Most patterns taken.
pub const MAX_PATTERNS: usize = 4096;
/// Longest pattern taken, in bytes.
pub const MAX_PATTERN_LEN: usize = 4096;
/// Most patterns one `{a,b}` pattern may stand for.
const MAX_ALTERNATIVES: usize = 1024;

/// A pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GlobError {
    /// It is longer than 4096 bytes or stands for too many alternatives.
    #[error("the pattern {0:?} is too long")]
    TooLong(String),
    /// More than 4096 patterns.
    #[error("there are more than {MAX_PATTERNS} patterns")]
    TooMany,
    /// A prefix of `only` leads out of the folder.
    #[error("{0:?} leads out of the folder")]
    Outside(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    /// One character that is no slash.
    Any,
    /// Any number of characters that are no slash.
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
    tokens: Vec<Token>,
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
                        tokens.push(Token::Path);
                    }
                    None => tokens.extend([Token::Any, Token::Name]),
                },
                '?' => tokens.push(Token::Any),
                '[' => match parse_set(tail) {
                    Some((set, tail)) => {
                        rest = tail;
                        tokens.push(set);
                    }
                    None => tokens.push(Token::Char('[')),
                },
                c => tokens.push(Token::Char(c)),
            }
        }
        let literal =
            tokens.iter().map_while(|t| if let Token::Char(c) = t { Some(*c) } else { None }).collect();
        Self { tokens, literal }
    }

    fn is_literal(&self) -> bool {
        self.tokens.iter().all(|t| matches!(t, Token::Char(_)))
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
                    Token::Char(t) => (*t == c, false),
                    Token::Any => (c != '/', false),
                    Token::Name => (c != '/', true),
                    Token::Path => (true, true),
                    Token::Set { negated, ranges } => {
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
                Some(Token::Name | Token::Path) => i += 1,
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

fn parse_set(text: &str) -> Option<(Token, &str)> {
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
    Some((Token::Set { negated, ranges }, rest))
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

/// The ignore patterns of a stage.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    take: Vec<Pattern>,
    drop: Vec<Pattern>,
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
            let body = body.replace('\\', "/");
            let body = body.trim_start_matches("./").trim_matches('/');
            if body.is_empty() {
                continue;
            }
            list.extend(alternatives(body).ok_or_else(too_long)?.iter().map(|p| Pattern::new(p)));
            if out.take.len() + out.drop.len() > MAX_PATTERNS {
                return Err(GlobError::TooMany);
            }
        }
        Ok(out)
    }

    /// Whether the file `key` is left out.
    pub fn ignores(&self, key: &str) -> bool {
        let path = bare(key);
        self.drop.iter().any(|p| p.matches(path)) && !self.take.iter().any(|p| p.matches(path))
    }

    /// Whether nothing below the folder `key` can be taken, so that it need not be looked into.
    pub fn ignores_all_below(&self, key: &str) -> bool {
        let path = bare(key);
        self.ignores(key) && !self.take.iter().any(|p| p.may_match_below(path))
    }
}

/// The `only` prefixes of a stage or dump: files, or folders with all they hold. None means everything.
#[derive(Debug, Clone, Default)]
pub struct Only {
    prefixes: Vec<String>,
}

impl Only {
    /// Takes paths as people write them.
    pub fn new<T: AsRef<str>>(prefixes: impl IntoIterator<Item = T>) -> Result<Self, GlobError> {
        let mut out = Vec::new();
        for text in prefixes {
            let text = text.as_ref().trim();
            if text.is_empty() {
                continue;
            }
            let folder = bosc_drive::drive::path::normalize_folder(text);
            let folder = folder.map_err(|_| GlobError::Outside(text.chars().take(80).collect()))?;
            out.push(bare(&folder).to_owned());
        }
        if out.len() > MAX_PATTERNS {
            return Err(GlobError::TooMany);
        }
        Ok(Self { prefixes: out })
    }

    /// Whether the file `key` is meant.
    pub fn takes(&self, key: &str) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|p| covers(p, bare(key)))
    }

    /// Whether anything in the folder `key` can be meant.
    pub fn may_take_below(&self, key: &str) -> bool {
        let path = bare(key);
        self.prefixes.is_empty() || self.prefixes.iter().any(|p| covers(p, path) || covers(path, p))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ignores(patterns: &[&str], key: &str) -> bool {
        Ignore::new(patterns).unwrap().ignores(key)
    }

    #[test]
    fn patterns_mean_what_they_mean_in_pear() {
        for (pattern, hits, misses) in [
            (
                "node_modules",
                &["/node_modules", "/node_modules/a/b"][..],
                &["/node_modules2", "/x/node_modules"][..],
            ),
            ("/a/b/", &["/a/b", "/a/b/c"], &["/a", "/a/bc"]),
            ("*.js", &["/a.js", "/a.js/b"], &["/.js", "/d/a.js", "/a.jsx", "/ajs"]),
            ("/**/*.js", &["/d/a.js", "/d/e/a.js"], &["/a.js", "/d/a.ts"]),
            ("**/*.js", &["/d/a.js"], &["/a.js"]),
            ("d/**", &["/d/a", "/d/e/f"], &["/d", "/e/d/a"]),
            ("d/*/x", &["/d/a/x", "/d/a/x/y"], &["/d/x", "/d/a/b/x"]),
            // What Pear does not do: a second `**`, a prefix before the star, sets and alternatives.
            ("**/a/**/b", &["/x/a/y/b", "/x/a/y/z/b"], &["/a/y/b", "/x/a/b"]),
            ("lib*", &["/lib1", "/library/a"], &["/lib", "/alib1"]),
            ("a?c", &["/abc"], &["/ac", "/a/c"]),
            ("[a-c]x[!1]", &["/axa", "/cx2"], &["/dxa", "/ax1"]),
            ("*.{js,ts}", &["/a.js", "/b.ts"], &["/a.css", "/a.{js,ts}"]),
            ("a{b", &["/a{b"], &["/ab"]),
            ("a[b", &["/a[b"], &["/ab"]),
            ("f (1).txt", &["/f (1).txt"], &["/f 1.txt"]),
            ("dir\\file", &["/dir/file"], &["/dir"]),
        ] {
            for key in hits {
                assert!(ignores(&[pattern], key), "{pattern} should match {key}");
            }
            for key in misses {
                assert!(!ignores(&[pattern], key), "{pattern} should not match {key}");
            }
        }
    }

    #[test]
    fn taking_back_wins_and_keeps_folders_open() {
        let i = Ignore::new(["a", "!a/keep", "!**/*.md", ""]).unwrap();
        assert!(i.ignores("/a/x"));
        assert!(!i.ignores("/a/keep"));
        assert!(!i.ignores("/a/keep/x"));
        assert!(!i.ignores("/a/x.md"));
        assert!(!i.ignores_all_below("/a"));
        let i = Ignore::new(["a", "b", "!a/keep/*.md"]).unwrap();
        assert!(!i.ignores_all_below("/a"));
        assert!(!i.ignores_all_below("/a/keep"));
        assert!(i.ignores_all_below("/a/drop"));
        assert!(i.ignores_all_below("/b"));
        assert!(!i.ignores_all_below("/c"));
    }

    #[test]
    fn only_takes_files_and_folders() {
        let o = Only::new(["lib", "/bin/x", ""]).unwrap();
        for key in ["/lib/a", "/lib", "/bin/x"] {
            assert!(o.takes(key), "{key}");
        }
        for key in ["/library", "/bin/y", "/a"] {
            assert!(!o.takes(key), "{key}");
        }
        assert!(o.may_take_below("/bin") && o.may_take_below("/lib/deep") && !o.may_take_below("/other"));
        assert!(Only::default().takes("/x") && Only::new(["/"]).unwrap().takes("/x"));
        assert!(Only::new(["../x"]).is_err());
    }

    #[test]
    fn hostile_patterns_end_quickly() {
        let many = "{a,b}".repeat(40);
        assert!(matches!(Ignore::new([many]), Err(GlobError::TooLong(_))));
        assert!(matches!(Ignore::new(["x".repeat(5000)]), Err(GlobError::TooLong(_))));
        let stars = "*a".repeat(1000);
        assert!(!Ignore::new([stars]).unwrap().ignores(&format!("/{}b", "a".repeat(3000))));
    }

    proptest! {
        /// Against the definition by backtracking, on a small alphabet.
        #[test]
        fn matching_agrees_with_backtracking(pattern in "[ab/*]{0,8}", path in "[ab/]{1,10}") {
            fn rec(p: &[char], s: &[char]) -> bool {
                match p {
                    [] => s.is_empty() || s.first() == Some(&'/'),
                    ['*', '*', p @ ..] => (0..=s.len()).any(|n| rec(p, s.get(n..).unwrap())),
                    ['*', p @ ..] => (1..=s.len())
                        .take_while(|&n| s.get(n - 1) != Some(&'/'))
                        .any(|n| rec(p, s.get(n..).unwrap())),
                    [c, p @ ..] => s.first() == Some(c) && rec(p, s.get(1..).unwrap()),
                }
            }
            let clean = pattern.trim_matches('/');
            let (p, s): (Vec<char>, Vec<char>) = (clean.chars().collect(), path.chars().collect());
            let expected = !clean.is_empty() && rec(&p, &s);
            let key = format!("/{path}");
            prop_assert_eq!(Ignore::new([&pattern]).unwrap().ignores(&key), expected);
        }

        #[test]
        fn any_text_is_a_pattern_or_an_error(pattern in any::<String>(), key in any::<String>()) {
            if let Ok(i) = Ignore::new([pattern]) {
                let _ = (i.ignores(&key), i.ignores_all_below(&key));
            }
        }
    }
}
