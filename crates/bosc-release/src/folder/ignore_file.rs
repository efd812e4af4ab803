//! The ignore file of a staged folder, in the syntax of `.gitignore`.
//!
//! `.boscignore` in the folder itself, or `.pearignore` where there is none: names people write already. Files in folders
//! below are not looked for, so that what a drive keeps does not depend on folders that may be gone. `.gitignore` and
//! `.npmignore` are not honoured: they leave out `node_modules` and what was built, which an application needs.
//!
//! The rules are git's. A line is a pattern; the last one that matches a path decides; `!` takes back; a pattern with a
//! slash at its end means folders only; one with a slash elsewhere is seen from the staged folder, others match a name
//! anywhere; `*`, `?` and `[a-z]` do not match a slash; `**/`, `/**` and `/**/` match folders. What lies in a folder that is
//! left out cannot be taken back by the file (`--ignore '!…'` can).
//!
//! The file itself is left out unless a `!` takes it back.
//!
//! Matching keeps the set of places in a pattern that can be reached, so that no pattern takes more time than the product of
//! its length and the path's.

use super::pattern::{GlobError, MAX_PATTERN_LEN, MAX_PATTERNS};
use bosc_files::open_plain;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The names that are looked for, the first one that is there counts.
pub const FILE_NAMES: [&str; 2] = [".boscignore", ".pearignore"];
/// Largest file read, in bytes.
const MAX_FILE: u64 = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
enum IgnoreToken {
    Char(char),
    /// One character that is not a slash.
    One,
    /// Any number of characters that are not slashes.
    Name,
    /// Any number of folders, each with its slash.
    Folders,
    /// Any number of characters, slashes too.
    Rest,
    Set {
        negated: bool,
        items: Vec<SetItem>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SetItem {
    Range(char, char),
    Class(Class),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Alpha,
    Digit,
    Alnum,
    Upper,
    Lower,
    Space,
    Blank,
    Punct,
    Print,
    Graph,
    Cntrl,
    Xdigit,
}

impl Class {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "alpha" => Self::Alpha,
            "digit" => Self::Digit,
            "alnum" => Self::Alnum,
            "upper" => Self::Upper,
            "lower" => Self::Lower,
            "space" => Self::Space,
            "blank" => Self::Blank,
            "punct" => Self::Punct,
            "print" => Self::Print,
            "graph" => Self::Graph,
            "cntrl" => Self::Cntrl,
            "xdigit" => Self::Xdigit,
            _ => return None,
        })
    }

    fn has(self, c: char) -> bool {
        match self {
            Self::Alpha => c.is_ascii_alphabetic(),
            Self::Digit => c.is_ascii_digit(),
            Self::Alnum => c.is_ascii_alphanumeric(),
            Self::Upper => c.is_ascii_uppercase(),
            Self::Lower => c.is_ascii_lowercase(),
            Self::Space => c.is_ascii_whitespace() || c == '\u{b}',
            Self::Blank => c == ' ' || c == '\t',
            Self::Punct => c.is_ascii_punctuation(),
            Self::Print => c.is_ascii_graphic() || c == ' ',
            Self::Graph => c.is_ascii_graphic(),
            Self::Cntrl => c.is_ascii_control(),
            Self::Xdigit => c.is_ascii_hexdigit(),
        }
    }
}

#[derive(Debug, Clone)]
struct Rule {
    negated: bool,
    folders_only: bool,
    /// Compared with the path from the staged folder on; else with the last name of it.
    anchored: bool,
    tokens: Vec<IgnoreToken>,
}

impl Rule {
    /// `None`: the line is not a rule, or one that matches nothing.
    fn parse(line: &str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (negated, text) = match line.strip_prefix('!') {
            Some(text) => (true, text),
            None => (false, line),
        };
        let text = trim_spaces(text);
        let (folders_only, text) = match text.strip_suffix('/') {
            Some(text) => (true, text),
            None => (false, text),
        };
        if text.is_empty() {
            return None;
        }
        let anchored = text.contains('/');
        let text = text.strip_prefix('/').unwrap_or(text);
        Some(Self { negated, folders_only, anchored, tokens: tokens(text, anchored)? })
    }

    fn matches(&self, path: &str, is_folder: bool) -> bool {
        if self.folders_only && !is_folder {
            return false;
        }
        let subject = if self.anchored { path } else { path.rsplit('/').next().unwrap_or(path) };
        run(&self.tokens, subject)
    }
}

/// Takes spaces off the end, but for one behind a backslash.
fn trim_spaces(text: &str) -> &str {
    let mut end = 0;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        if c != ' ' || escaped {
            end = i + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    text.get(..end).unwrap_or(text)
}

fn tokens(text: &str, anchored: bool) -> Option<Vec<IgnoreToken>> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied();
    let (mut out, mut i) = (Vec::new(), 0);
    while let Some(c) = at(i) {
        i += 1;
        match c {
            '\\' => {
                // A backslash that escapes nothing makes the pattern match nothing.
                out.push(IgnoreToken::Char(at(i)?));
                i += 1;
            }
            '?' => out.push(IgnoreToken::One),
            '*' => {
                let start = i - 1;
                while at(i) == Some('*') {
                    i += 1;
                }
                // git takes the plain text in front off first, and what follows it for a start: `/a**` matches `a/b`.
                let plain = out.iter().all(|t| matches!(t, IgnoreToken::Char(_))) && out.len() == start;
                let after_slash = plain || at(start - 1) == Some('/');
                // Two stars or more alone between slashes; others are one star.
                let double = anchored && i - start >= 2 && after_slash;
                match at(i) {
                    Some('/') if double => {
                        out.push(IgnoreToken::Folders);
                        i += 1;
                    }
                    None if double => out.push(IgnoreToken::Rest),
                    _ => out.push(IgnoreToken::Name),
                }
            }
            '[' => {
                let (set, next) = set(&chars, i)?;
                out.push(set);
                i = next;
            }
            c => out.push(IgnoreToken::Char(c)),
        }
    }
    Some(out)
}

/// A bracket expression from behind its bracket on, and where it ends. One without an end matches nothing.
fn set(chars: &[char], mut i: usize) -> Option<(IgnoreToken, usize)> {
    let at = |i: usize| chars.get(i).copied();
    let negated = matches!(at(i), Some('!' | '^'));
    if negated {
        i += 1;
    }
    let (mut items, mut first) = (Vec::new(), true);
    loop {
        let c = at(i)?;
        i += 1;
        match c {
            ']' if !first => return Some((IgnoreToken::Set { negated, items }, i)),
            '[' if at(i) == Some(':') => {
                let rest: String = chars.get(i + 1..)?.iter().collect();
                match rest.split_once(']') {
                    Some((name, _)) if name.ends_with(':') => {
                        let class = Class::named(name.get(..name.len() - 1)?)?;
                        items.push(SetItem::Class(class));
                        i += 2 + name.chars().count();
                    }
                    // No class: a bracket is a bracket.
                    Some(_) => items.push(SetItem::Range('[', '[')),
                    None => return None,
                }
            }
            c => {
                let low = if c == '\\' {
                    i += 1;
                    at(i - 1)?
                } else {
                    c
                };
                if at(i) == Some('-') && at(i + 1).is_some_and(|c| c != ']') {
                    i += 2;
                    let high = if at(i - 1) == Some('\\') {
                        i += 1;
                        at(i - 1)?
                    } else {
                        at(i - 1)?
                    };
                    items.push(SetItem::Range(low, high));
                } else {
                    items.push(SetItem::Range(low, low));
                }
            }
        }
        first = false;
    }
}

/// Marks a place, and those that follow without a character.
fn reach(tokens: &[IgnoreToken], places: &mut [bool], mut i: usize) {
    loop {
        if let Some(place) = places.get_mut(i) {
            *place = true;
        }
        match tokens.get(i) {
            Some(IgnoreToken::Name | IgnoreToken::Folders | IgnoreToken::Rest) => i += 1,
            _ => return,
        }
    }
}

fn run(tokens: &[IgnoreToken], subject: &str) -> bool {
    if tokens.iter().all(|t| matches!(t, IgnoreToken::Char(_))) {
        let mut rest = subject.chars();
        return tokens.iter().all(|t| matches!(t, IgnoreToken::Char(c) if rest.next() == Some(*c)))
            && rest.next().is_none();
    }
    let mut now = vec![false; tokens.len() + 1];
    let mut next = now.clone();
    reach(tokens, &mut now, 0);
    for c in subject.chars() {
        next.fill(false);
        for (i, token) in tokens.iter().enumerate() {
            if !now.get(i).copied().unwrap_or(false) {
                continue;
            }
            match token {
                IgnoreToken::Char(t) if *t == c => reach(tokens, &mut next, i + 1),
                IgnoreToken::One if c != '/' => reach(tokens, &mut next, i + 1),
                IgnoreToken::Name if c != '/' => reach(tokens, &mut next, i),
                IgnoreToken::Folders if c == '/' => reach(tokens, &mut next, i),
                // In the middle of a folder's name.
                IgnoreToken::Folders => {
                    if let Some(place) = next.get_mut(i) {
                        *place = true;
                    }
                }
                IgnoreToken::Rest => reach(tokens, &mut next, i),
                IgnoreToken::Set { negated, items } if c != '/' => {
                    let hit = items.iter().any(|item| match item {
                        SetItem::Range(low, high) => (*low..=*high).contains(&c),
                        SetItem::Class(class) => class.has(c),
                    });
                    if hit != *negated {
                        reach(tokens, &mut next, i + 1);
                    }
                }
                _ => {}
            }
        }
        std::mem::swap(&mut now, &mut next);
    }
    now.last().copied().unwrap_or(false)
}

/// An ignore file.
#[derive(Debug, Clone, Default)]
pub struct IgnoreFile {
    rules: Vec<Rule>,
}

impl IgnoreFile {
    /// Reads the ignore file of `folder` and where it lies; `None` when there is none.
    ///
    /// # Errors
    /// The file, and why it cannot be read: it is something other than a file, over 1 MiB, or holds too much.
    pub fn find(folder: &Path) -> Result<Option<(PathBuf, Self)>, (PathBuf, std::io::Error)> {
        for name in FILE_NAMES {
            let path = folder.join(name);
            match Self::read(&path) {
                Ok(file) => return Ok(Some((path, file))),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err((path, e)),
            }
        }
        Ok(None)
    }

    fn read(path: &Path) -> std::io::Result<Self> {
        let invalid = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
        let mut bytes = Vec::new();
        open_plain(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(invalid("it is over 1 MiB".into()));
        }
        // What is not UTF-8 matches no name of a drive.
        Self::parse(&String::from_utf8_lossy(&bytes)).map_err(|e| invalid(e.to_string()))
    }

    /// Reads the text of an ignore file.
    ///
    /// # Errors
    /// More patterns, or longer ones, than there may be.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        let mut rules = Vec::new();
        for line in text.strip_prefix('\u{feff}').unwrap_or(text).split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.len() > MAX_PATTERN_LEN {
                return Err(GlobError::TooLong(line.chars().take(80).collect()));
            }
            rules.extend(Rule::parse(line));
            if rules.len() > MAX_PATTERNS {
                return Err(GlobError::TooMany);
            }
        }
        Ok(Self { rules })
    }

    /// What the file says of one path, its folders aside: `Some(true)` leaves it out, `Some(false)` takes it back.
    fn verdict(&self, path: &str, is_folder: bool) -> Option<bool> {
        self.rules.iter().rev().find(|r| r.matches(path, is_folder)).map(|r| !r.negated)
    }

    /// Whether `path` (without a slash in front) is left out: by itself, or with a folder above it.
    pub fn ignores(&self, path: &str, is_folder: bool) -> bool {
        let above = path.match_indices('/').map(|(i, _)| path.get(..i).unwrap_or_default());
        if above.into_iter().any(|folder| self.verdict(folder, true) == Some(true)) {
            return true;
        }
        self.verdict(path, is_folder).unwrap_or(!is_folder && FILE_NAMES.contains(&path))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn ignores(text: &str, path: &str) -> bool {
        let (path, is_folder) = match path.strip_suffix('/') {
            Some(path) => (path, true),
            None => (path, false),
        };
        IgnoreFile::parse(text).unwrap().ignores(path, is_folder)
    }

    #[test]
    fn lines_mean_what_they_mean_to_git() {
        for (text, hits, misses) in [
            ("*.log\n!keep.log", &["a.log", "d/b.log"][..], &["keep.log", "a.logs"][..]),
            ("build/", &["build/", "build/x", "a/build/x"], &["build"]),
            ("/build", &["build", "build/x"], &["a/build"]),
            ("doc/*.txt", &["doc/a.txt"], &["doc/b/a.txt", "x/doc/a.txt"]),
            ("doc/**/*.txt", &["doc/a.txt", "doc/b/c/a.txt"], &["a.txt"]),
            ("**/tmp", &["tmp", "a/b/tmp", "tmp/x"], &["tmps"]),
            ("a/**", &["a/b", "a/b/c"], &["a", "b"]),
            ("# no\n\\#yes\n\\!also\n\n", &["#yes", "!also"], &["# no", "no"]),
            ("end  \nkept\\ \n", &["end", "kept "], &["end  ", "kept"]),
            ("*/\n!/a**", &["b/c"], &["a/a/c"]),
            ("node_modules\n!node_modules/x", &["node_modules/x"], &[]),
            ("a/*\n!a/b\r\n", &["a/c"], &["a/b", "a/b/c"]),
            ("[a-c]?[!x]", &["bzz"], &["bzx", "dzz", "bz"]),
            ("[[:digit:]]*", &["1", "9a"], &["a9"]),
            ("broken\\\n[open", &[], &["broken", "[open", "broken\\"]),
            ("\u{feff}bom", &["bom"], &[]),
            ("", &[".boscignore", ".pearignore"], &["d/.boscignore"]),
            ("!.boscignore", &[".pearignore"], &[".boscignore"]),
        ] {
            for path in hits {
                assert!(ignores(text, path), "{text:?} on {path}");
            }
            for path in misses {
                assert!(!ignores(text, path), "{text:?} on {path}");
            }
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let started = std::time::Instant::now();
        let file = IgnoreFile::parse(&format!("{}b", "a*".repeat(500))).unwrap();
        assert!(!file.ignores(&"a".repeat(4000), false));
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    /// Asks git itself about files; folders above them are real.
    fn git(text: &str, paths: &[String]) -> Option<Vec<bool>> {
        let dir = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| {
            let mut c = Command::new("git");
            c.args(args).current_dir(dir.path()).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", dir.path());
            c.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            c
        };
        run(&["init", "-q"]).status().ok().filter(|s| s.success())?;
        std::fs::write(dir.path().join(".gitignore"), text).unwrap();
        for path in paths {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let mut child = run(&["-c", "core.ignorecase=false", "check-ignore", "--no-index", "--stdin", "-z"])
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        paths.iter().for_each(|p| stdin.write_all(format!("{p}\0").as_bytes()).unwrap());
        drop(stdin);
        let out = child.wait_with_output().unwrap();
        let told: Vec<&[u8]> = out.stdout.split(|b| *b == 0).collect();
        Some(paths.iter().map(|p| told.contains(&p.as_bytes())).collect())
    }

    #[test]
    fn it_agrees_with_git() {
        let part = prop_oneof![
            3 => "[ab]", 1 => "[ab]{2}", 1 => Just("*".to_owned()), 1 => Just("**".to_owned()), 1 => Just("?".to_owned()),
            1 => Just("[ab]".to_owned()), 1 => Just("[!a]".to_owned()), 1 => Just("a*".to_owned()), 1 => Just("***".to_owned()),
            1 => Just("\\a".to_owned()), 1 => Just("*b".to_owned()), 1 => Just("a**".to_owned()), 1 => Just("[]a]".to_owned()),
        ];
        let line = ("!?", "/?", prop::collection::vec(part, 1..4), "/?")
            .prop_map(|(no, first, parts, last)| format!("{no}{first}{}{last}", parts.join("/")));
        let text = prop::collection::vec(line, 1..5).prop_map(|lines| lines.join("\n") + "\n");
        // Every file of a tree in which no name is a file and a folder.
        let mut paths = Vec::new();
        for a in ["a", "b", "ab"] {
            paths.extend(["x", "bb", "aa"].map(|f| format!("{a}/{f}")));
            for b in ["a", "b"] {
                paths.extend(["c", "ba", "]"].map(|f| format!("{a}/{b}/{f}")));
                paths.extend(["a", "b"].map(|f| format!("{a}/{b}/d/{f}")));
            }
        }
        paths.extend(["aab", "ba", "c"].map(str::to_owned));
        if git("a\n", &["a".to_owned()]).is_none() {
            eprintln!("SKIPPED: there is no git here to compare with");
            return;
        }
        let config = ProptestConfig { cases: 60, ..ProptestConfig::default() };
        proptest!(config, |(text in text)| {
            let file = IgnoreFile::parse(&text).unwrap();
            let ours: Vec<bool> = paths.iter().map(|p| file.ignores(p, false)).collect();
            let theirs = git(&text, &paths).unwrap();
            for ((path, ours), theirs) in paths.iter().zip(ours).zip(theirs) {
                prop_assert_eq!(ours, theirs, "{:?} on {}", text, path);
            }
        });
    }
}
