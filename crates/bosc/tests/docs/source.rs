//! What a file of Rust defines and names, as far as the layout that rustfmt gives it shows.

use std::collections::{BTreeMap, BTreeSet};

/// A file of a crate.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The comment at its top.
    pub(crate) header: String,
    /// Items at its top level.
    pub(crate) defines: BTreeSet<String>,
    /// Types that it has an `impl` of.
    pub(crate) implements: BTreeSet<String>,
    /// Paths that it names.
    pub(crate) paths: Vec<Vec<String>>,
    /// Paths that it imports or hands on, by the name they have here.
    pub(crate) imports: BTreeMap<String, Vec<String>>,
    /// Modules whose file has another name; none when it is in another folder.
    pub(crate) elsewhere: BTreeMap<String, Option<String>>,
}

impl Source {
    /// Tests in it are left out.
    pub(crate) fn read(text: &str) -> Self {
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let mut source = Self { header: header.join("\n"), ..Self::default() };
        source.elsewhere = modules_elsewhere(text);
        let code = code(text);
        let (mut top, mut inner, mut test) = (String::new(), String::new(), false);
        // Whether the module that these lines are in is left out.
        let mut inside: Option<bool> = None;
        for line in code.lines() {
            if let Some(dropped) = inside {
                if line == "}" {
                    inside = None;
                } else if !dropped {
                    inner.push_str(line);
                    inner.push('\n');
                }
                continue;
            }
            if line.starts_with("#[cfg(") {
                test = line.contains("(test") || line.contains(" test");
            }
            let item = without_visibility(line);
            if item.starts_with("mod ") && item.ends_with('{') {
                inside = Some(test);
            } else {
                top.push_str(line);
                top.push('\n');
                source.item(item);
            }
            test &= line.starts_with("#[");
        }
        source.take_paths(&top, false);
        source.take_paths(&inner, true);
        source
    }

    fn item(&mut self, line: &str) {
        if let Some(what) = line.strip_prefix("impl") {
            let name = line.rsplit(" for ").next().unwrap_or_default();
            let name = if line.contains(" for ") { name } else { after_generics(what) };
            let end = name.find(|c: char| !is_name(c) && c != ':').unwrap_or(name.len());
            self.implements.extend(name[..end].rsplit("::").next().map(str::to_owned));
            return;
        }
        let mut words = line.split(' ').skip_while(|word| ["async", "unsafe", "const"].contains(word));
        let mut kind = words.next().unwrap_or_default();
        let mut name = words.next().unwrap_or_default();
        if let Some(rest) = line.strip_prefix("const ").filter(|rest| !rest.contains("fn ")) {
            (kind, name) = ("const", rest);
        }
        let kinds = ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "macro_rules!"];
        let end = name.find(|c: char| !is_name(c)).unwrap_or(name.len());
        if kinds.contains(&kind) && end > 0 {
            self.defines.insert(name[..end].to_owned());
        }
    }

    /// Those of a module within the file begin one level deeper.
    fn take_paths(&mut self, code: &str, deeper: bool) {
        let mut rest = String::new();
        let mut statement: Option<String> = None;
        for line in code.lines() {
            let begins = without_visibility(line.trim_start()).strip_prefix("use ");
            if let Some(text) = statement.as_mut() {
                text.push_str(line.trim());
            } else if let Some(first) = begins {
                statement = Some(first.to_owned());
            } else {
                rest.push_str(line);
                rest.push('\n');
            }
            if let Some(text) = statement.take_if(|text| text.ends_with(';')) {
                let mut tree = Vec::new();
                expand(text.trim_end_matches(';'), &[], &mut tree);
                for (name, path) in tree {
                    let path = if deeper { one_up(path) } else { path };
                    self.imports.insert(name, path.clone());
                    self.paths.push(path);
                }
            }
        }
        for path in rest.split(|c: char| !is_name(c) && c != ':').filter(|word| word.contains("::")) {
            let path: Vec<String> = path.split("::").map(str::to_owned).collect();
            if path.iter().all(|part| !part.is_empty()) {
                self.paths.push(if deeper { one_up(path) } else { path });
            }
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn one_up(mut path: Vec<String>) -> Vec<String> {
    if path.first().is_some_and(|first| first == "super") {
        path[0] = "self".to_owned();
    }
    path
}

fn without_visibility(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("pub") else { return line };
    match rest.strip_prefix('(').and_then(|rest| rest.split_once(") ")) {
        Some((_, rest)) => rest,
        None => rest.strip_prefix(' ').unwrap_or(line),
    }
}

fn after_generics(text: &str) -> &str {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if !text[..at].ends_with('-') => depth -= 1,
            c if depth == 0 && c != ' ' => return &text[at..],
            _ => {}
        }
    }
    ""
}

/// The paths of a `use`, by the names they are imported under.
fn expand(tree: &str, before: &[String], out: &mut Vec<(String, Vec<String>)>) {
    let tree = tree.trim();
    if let Some(inner) = tree.strip_prefix('{').and_then(|tree| tree.strip_suffix('}')) {
        let (mut depth, mut from) = (0, 0);
        for (at, c) in inner.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&inner[from..at], before, out);
                    from = at + 1;
                }
                _ => {}
            }
        }
        return expand(&inner[from..], before, out);
    }
    match tree.split_once("::") {
        Some((first, rest)) => expand(rest, &[before, &[first.to_owned()]].concat(), out),
        None if tree.is_empty() => {}
        None => {
            let (name, here) = tree.split_once(" as ").unwrap_or((tree, tree));
            let path = if name == "self" { before.to_vec() } else { [before, &[name.to_owned()]].concat() };
            let here = if here == "self" { before.last().map_or("", |last| last) } else { here };
            out.push((here.to_owned(), path));
        }
    }
}

/// `#[path = "..."]` before a module.
fn modules_elsewhere(text: &str) -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    let mut file = None;
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("#[path = \"") {
            file = path.split('"').next();
        } else if let Some(name) = without_visibility(line).strip_prefix("mod ")
            && let Some(file) = file.take()
        {
            let stem = file.strip_suffix(".rs").filter(|stem| !stem.contains('/'));
            found.insert(name.trim_end_matches(';').to_owned(), stem.map(str::to_owned));
        }
    }
    found
}

/// Without comments, and without what is in strings.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.find("\"#").map_or(rest.len(), |end| end + 5)
        } else if c == '"' {
            string_end(rest)
        } else if rest.starts_with("'\\") {
            rest[3..].find('\'').map_or(rest.len(), |end| end + 4)
        } else if c == '\'' && rest.chars().nth(2) == Some('\'') {
            rest.char_indices().nth(3).map_or(rest.len(), |(end, _)| end)
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        // Lines stay lines.
        out.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
        rest = &rest[skipped..];
    }
    out
}

fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
