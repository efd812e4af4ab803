//! What a document names.

use std::collections::BTreeMap;

/// Commands and names stand in these: spans between backquotes, whose lines are joined, and lines of code.
pub(crate) fn pieces(text: &str) -> Vec<String> {
    let (mut found, mut prose, mut fenced) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced || line.starts_with("    ") {
            found.push(line.split(" # ").next().unwrap().trim().to_owned());
        } else {
            prose.push_str(line);
            prose.push(if line.is_empty() { '\n' } else { ' ' });
        }
    }
    found.extend(spans(&prose).map(|(_, span)| span.to_owned()));
    found
}

/// What is between backquotes, and what stands before it since the last one.
fn spans(prose: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = prose.split('`');
    std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
}

/// Faces of folders and crates.
const ANY: [&str; 2] = ["mod.rs", "lib.rs"];

/// Files of Rust and JavaScript, and folders with Rust, that a text names. Capitals and [`ANY`] stand for any file; what ends in
/// `::test` is of `docs/attacks.md`, which has a test of its own; the rooms of a crate are looked at as such.
pub(crate) fn paths(text: &str) -> Vec<&str> {
    let token = |c: char| !c.is_ascii_alphanumeric() && !"_./-<>".contains(c);
    let mut found = Vec::new();
    for line in outside_rooms(text) {
        for (at, word) in
            line.split(token).map(|word| (word.as_ptr() as usize - line.as_ptr() as usize, word))
        {
            let path = word.trim_end_matches(['.', '/']);
            let file = path.rsplit('/').next().unwrap_or_default();
            let stem = file.split('.').next().unwrap_or_default();
            let any = stem.chars().all(|c| c.is_ascii_uppercase()) || ANY.contains(&path);
            let source = path.contains("/src/") || path.ends_with("/src");
            if (path.ends_with(".rs") || path.ends_with(".test.mjs") || source)
                && !any
                && !line[at + word.len()..].starts_with("::")
            {
                found.push(path);
            }
        }
    }
    found
}

const ROOMS: &str = "### The rooms of `";

fn outside_rooms(text: &str) -> Vec<&str> {
    let mut inside = false;
    let outside = text.lines().filter(|line| {
        if line.starts_with('#') {
            inside = line.starts_with(ROOMS);
        }
        !inside
    });
    outside.collect()
}

/// The map of a crate.
#[derive(Debug, Default)]
pub(crate) struct Rooms<'a> {
    /// The first column of its table: files, and folders with `/` behind.
    pub(crate) named: Vec<&'a str>,
    /// All that it names anywhere.
    pub(crate) all: Vec<&'a str>,
}

/// The maps by the names of their crates.
pub(crate) fn rooms(text: &str) -> BTreeMap<&str, Rooms<'_>> {
    let mut found: BTreeMap<&str, Rooms<'_>> = BTreeMap::new();
    let mut of = None;
    for line in text.lines() {
        if line.starts_with('#') {
            of = line.strip_prefix(ROOMS).map(|rest| rest.trim_end_matches('`'));
        } else if let Some(of) = of {
            let rooms = found.entry(of).or_default();
            let cell = line.strip_prefix('|').and_then(|row| row.split('|').next()).unwrap_or_default();
            rooms.named.extend(spans(cell).map(|(_, span)| span).filter(|span| is_path(span)));
            rooms.all.extend(spans(line).map(|(_, span)| span).filter(|span| is_path(span)));
        }
    }
    found
}

fn is_path(span: &str) -> bool {
    let rust = span.ends_with(".rs") && !ANY.contains(&span);
    !span.contains([' ', ':']) && (span.ends_with('/') || rust || span.contains("/src/"))
}

/// Tests that a text names: those behind the name of their crate, and whatever else has as many words as only tests have.
pub(crate) fn tests_of_crates(text: &str) -> Vec<(Option<&str>, &str)> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut of = None;
        for (before, span) in spans(line) {
            let named = !span.is_empty()
                && span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c));
            if !matches!(before.trim(), "" | ",") {
                of = None;
            }
            if span.starts_with("bosc") && !span.contains([' ', '_', '/']) {
                of = Some(span);
            } else if named && (of.is_some() || span.matches('_').count() >= 3) {
                found.push((of, span));
            } else {
                of = None;
            }
        }
    }
    found
}

/// A command that runs tests or an example.
#[derive(Debug, Default)]
pub(crate) struct Command<'a> {
    pub(crate) text: &'a str,
    pub(crate) krate: Option<&'a str>,
    pub(crate) tests: Vec<&'a str>,
    pub(crate) example: Option<&'a str>,
    pub(crate) features: Vec<&'a str>,
    pub(crate) filter: Option<&'a str>,
}

/// Words in capitals stand for what the reader has.
pub(crate) fn commands(piece: &str) -> Vec<Command<'_>> {
    let mut found = Vec::new();
    for text in piece.split("&&") {
        let Some(at) = text.find("cargo ") else { continue };
        let mut words = text[at..].split_whitespace().skip(1);
        let mut command = Command { text: text.trim(), ..Command::default() };
        match (words.next(), words.clone().next()) {
            (Some("test"), _) => {}
            (Some("nextest"), Some("run")) => _ = words.next(),
            (Some("run"), _) => {}
            _ => continue,
        }
        let runs_tests = !text[at..].starts_with("cargo run");
        while let Some(word) = words.next().filter(|word| *word != "--") {
            match word {
                "-p" => command.krate = words.next(),
                "--test" => command.tests.extend(words.next()),
                "--example" => command.example = words.next(),
                "--features" => command.features.extend(words.next().into_iter().flat_map(|f| f.split(','))),
                "-E" => break,
                word if word.starts_with('-') || !runs_tests => {}
                word => command.filter = Some(word),
            }
        }
        let any = |word: &str| word.chars().all(|c| c.is_ascii_uppercase());
        command.filter = command.filter.filter(|word| !any(word));
        if !command.krate.is_some_and(any) {
            found.push(command);
        }
    }
    found
}

/// The list `# Files` in the header of a folder's face.
pub(crate) struct FileList<'a> {
    all: Vec<&'a str>,
    /// Those with a colon behind.
    pub(crate) entries: Vec<&'a str>,
}

impl FileList<'_> {
    pub(crate) fn named(&self, file: &str) -> bool {
        self.all.contains(&file)
    }
}

pub(crate) fn file_list(source: &str) -> Option<FileList<'_>> {
    let header = source.lines().take_while(|line| line.starts_with("//!"));
    let lines = header.skip_while(|line| *line != "//! # Files").skip(1);
    let list: Vec<&str> = lines.take_while(|line| !line.starts_with("//! #")).collect();
    let spans = || {
        list.iter().flat_map(|line| {
            let mut parts = line.split('`').skip(1);
            std::iter::from_fn(move || Some((parts.next()?.trim_end_matches('/'), parts.next()?)))
        })
    };
    (!list.is_empty()).then(|| FileList {
        all: spans().map(|(name, _)| name).collect(),
        entries: spans().filter(|(_, behind)| behind.starts_with(':')).map(|(name, _)| name).collect(),
    })
}
