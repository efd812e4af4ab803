//! The map of a crate, drawn from what its files take from each other.
//!
//! A file takes from the file that defines what it names; what a face only hands on is not the face's own. No files
//! take from each other in a circle, with one exception: the methods of one state may be spread over several files.
//! Such a file has an `impl` of the state and takes nothing else from the state's file, whose header says so in these
//! words: "[`Name`] is the state". What else the files share, its types and bounds, has a file of its own.

use crate::source::Source;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

type Module = Vec<String>;

/// The files of a crate by their modules, and what each takes from which other.
#[derive(Debug, Default)]
pub(crate) struct Map {
    files: BTreeMap<Module, Source>,
    takes: BTreeMap<Module, BTreeMap<Module, BTreeSet<String>>>,
    /// How many files are parts of a state.
    pub(crate) parts: usize,
}

impl Map {
    pub(crate) fn of_crate(folder: &Path) -> Self {
        let mut files = Vec::new();
        read(&folder.join("src"), &mut Vec::new(), &mut files);
        Self::new(files)
    }

    fn new(files: Vec<(Module, String)>) -> Self {
        let files = files.into_iter().map(|(module, text)| (module, Source::read(&text))).collect();
        let mut map = Self { files, ..Self::default() };
        for (module, source) in &map.files {
            for path in &source.paths {
                if let Some((from, name)) = map.home(module, path, 8).filter(|(from, _)| from != module) {
                    let takes = map.takes.entry(module.clone()).or_default();
                    takes.entry(from).or_default().insert(name);
                }
            }
        }
        map.leave_out_parts();
        map
    }

    /// The file that defines what a path in `at` names.
    fn home(&self, at: &Module, path: &[String], steps: usize) -> Option<(Module, String)> {
        let steps = steps.checked_sub(1)?;
        let (first, mut rest) = path.split_first()?;
        let mut module = at.clone();
        match first.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => _ = module.pop()?,
            name if self.below(at, name).is_some() => rest = path,
            name => {
                let import = self.files.get(at)?.imports.get(name)?;
                let whole = [import.as_slice(), rest].concat();
                return if rest.is_empty() || import == path { None } else { self.home(at, &whole, steps) };
            }
        }
        while let Some((next, others)) = rest.split_first() {
            if next == "super" {
                module.pop()?;
            } else if let Some(below) = self.below(&module, next) {
                module = below;
            } else {
                break;
            }
            rest = others;
        }
        let name = rest.first()?;
        let source = self.files.get(&module)?;
        if source.defines.contains(name) || name == "*" {
            return Some((module, name.clone()));
        }
        match source.imports.get(name) {
            Some(import) if module != *at => self.home(&module, import, steps),
            Some(_) => None,
            None if source.elsewhere.get(name).is_some_and(Option::is_none) => None,
            // Made by a macro, or within an item.
            None => Some((module, name.clone())),
        }
    }

    fn below(&self, module: &Module, name: &str) -> Option<Module> {
        let elsewhere = self.files.get(module).and_then(|source| source.elsewhere.get(name));
        let name = elsewhere.map_or(name, |file| file.as_deref().unwrap_or_default());
        let below = [module.as_slice(), &[name.to_owned()]].concat();
        self.files.contains_key(&below).then_some(below)
    }

    fn leave_out_parts(&mut self) {
        for (module, takes) in &mut self.takes {
            let implements = &self.files[module].implements;
            let before = takes.len();
            takes.retain(|from, names| {
                let header = &self.files[from].header;
                let state = |name: &String| {
                    implements.contains(name) && header.contains(&format!("[`{name}`] is the state"))
                };
                !names.iter().all(state)
            });
            self.parts += usize::from(takes.len() < before);
        }
    }

    /// The shortest circle of each file that is in one, each circle once.
    pub(crate) fn circles(&self) -> Vec<String> {
        let mut found = BTreeMap::new();
        for start in self.takes.keys() {
            let Some(circle) = self.circle(start) else { continue };
            let members: BTreeSet<&Module> = circle.iter().copied().collect();
            let steps = circle.windows(2).map(|pair| {
                let names: Vec<&str> =
                    self.takes[pair[0]][pair[1]].iter().take(5).map(String::as_str).collect();
                format!("{} takes {} from {}", shown(pair[0]), names.join(", "), shown(pair[1]))
            });
            found.entry(members).or_insert_with(|| steps.collect::<Vec<_>>().join("; "));
        }
        found.into_values().collect()
    }

    fn circle<'a>(&'a self, start: &'a Module) -> Option<Vec<&'a Module>> {
        let mut came_from: BTreeMap<&Module, &Module> = BTreeMap::new();
        let mut next = VecDeque::from([start]);
        while let Some(at) = next.pop_front() {
            for to in self.takes.get(at).into_iter().flat_map(BTreeMap::keys) {
                if to == start {
                    let mut way = vec![start, at];
                    while let Some(before) = came_from.get(way[way.len() - 1]) {
                        way.push(before);
                    }
                    way.reverse();
                    return Some(way);
                }
                if !came_from.contains_key(to) {
                    came_from.insert(to, at);
                    next.push_back(to);
                }
            }
        }
        None
    }
}

fn shown(module: &Module) -> String {
    if module.is_empty() { "the crate's face".into() } else { module.join("/") }
}

/// Tests may know everything.
fn read(folder: &Path, module: &mut Module, out: &mut Vec<(Module, String)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let stem = name.strip_suffix(".rs").unwrap_or(&name);
        if stem == "tests" || stem.ends_with("_tests") || stem.starts_with("tests_") {
            continue;
        }
        if path.is_dir() {
            module.push(name);
            read(&path, module, out);
            module.pop();
        } else if name.ends_with(".rs") {
            let face = stem == "mod" || module.is_empty() && (stem == "lib" || stem == "main");
            let own = (!face).then(|| stem.to_owned());
            out.push((module.iter().cloned().chain(own).collect(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn files_take_from_each_other_in_no_circle() {
    let (mut wrong, mut files, mut parts) = (Vec::new(), 0, 0);
    for entry in fs::read_dir(crate::workspace::root().join("crates")).unwrap().flatten() {
        let map = Map::of_crate(&entry.path());
        let name = entry.file_name().into_string().unwrap();
        wrong.extend(map.circles().into_iter().map(|circle| format!("{name}: {circle}")));
        files += map.files.len();
        parts += map.parts;
    }
    crate::none(&wrong);
    assert!(files > 500 && parts > 20, "{files} files, {parts} parts of states");
}

#[test]
fn a_circle_is_seen() {
    let circles = |files: &[(&str, &str)]| {
        let module = |path: &str| path.split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect();
        Map::new(files.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect()).circles()
    };
    let face = "mod a;\n\npub use a::A;\n\npub struct Shared;\n";
    assert_eq!(
        circles(&[("", face), ("a", "use super::Shared;\n\npub struct A(Shared);\n")]),
        ["the crate's face takes A from a; a takes Shared from the crate's face"]
    );
    // What a face hands on is not its own, and what it only lists it does not take.
    let b = ("b", "pub struct Shared;\n");
    let lists = "mod a;\nmod b;\n\npub use a::A;\npub use b::Shared;\n";
    assert_eq!(circles(&[("", lists), ("a", "use super::Shared;\n\npub struct A(Shared);\n"), b]), [""; 0]);
    let lists = "pub mod a;\n\npub struct Shared;\n";
    assert_eq!(circles(&[("", lists), ("a", "use crate::Shared;\n\npub struct A(Shared);\n")]), [""; 0]);
    // Between neighbours, in a path within an item, and in a tree of imports.
    let one = ("x/one", "use super::{\n    two::{Two, other},\n};\n\npub struct One;\n");
    let two = ("x/two", "pub struct Two;\n\nfn f() {\n    let _ = crate::x::one::One;\n}\n");
    let found = circles(&[("", "mod x;\n"), ("x", "mod one;\nmod two;\n"), one, two]);
    assert_eq!(found, ["x/one takes Two, other from x/two; x/two takes One from x/one"]);
    // Not in tests, comments and strings; a module within a file is one level deeper.
    let tests = "pub struct Two;\n\n#[cfg(all(test, unix))]\n#[allow(x)]\nmod tests {\n    use crate::x::one::One;\n}\n";
    let quiet = "// crate::x::one::One\nconst X: &str = \"crate::x::one::One\";\n\nmod inner {\n    use super::X;\n}\n";
    for two in [tests, quiet] {
        let files = [("", "mod x;\n"), ("x", "mod one;\nmod two;\n"), one, ("x/two", two)];
        assert_eq!(circles(&files), [""; 0]);
    }
    // The parts of a state, when its header says so and they take nothing else.
    let state = "//! [`State`] is the state that these files share.\n\nmod part;\n\npub struct State(part::Part);\n\nconst MAX: u8 = 1;\n";
    let part = "use super::State;\n\npub struct Part;\n\nimpl<T: Fn() -> u8> From<T> for State {}\n";
    assert_eq!(circles(&[("", state), ("part", part)]), [""; 0]);
    assert_eq!(circles(&[("", state.trim_start_matches("//! [`State`]")), ("part", part)]).len(), 1);
    assert_eq!(circles(&[("", state), ("part", &part.replace("State;", "{MAX, State};"))]).len(), 1);
    assert_eq!(circles(&[("", state), ("part", &part.replace("for State", "for Part"))]).len(), 1);
}
