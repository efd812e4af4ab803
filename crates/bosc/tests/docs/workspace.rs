//! The tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn krate(name: &str) -> PathBuf {
    root().join("crates").join(name)
}

/// A folder of a crate's sources, and the file that introduces it.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// `mod.rs` or `lib.rs` in it, or the file of its name beside it.
    pub(crate) face: Option<PathBuf>,
}

impl Folder {
    /// Files of Rust directly in it.
    pub(crate) fn sources(&self) -> usize {
        let entries = fs::read_dir(&self.path).unwrap().flatten();
        entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "rs")).count()
    }

    /// The names of the modules in it, without those that are for tests.
    pub(crate) fn modules(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(&self.path).unwrap().flatten();
        let names = entries.filter_map(|entry| {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() { Some(name) } else { name.strip_suffix(".rs").map(str::to_owned) }
        });
        names
            .filter(|n| !["mod", "lib", "main", "tests"].contains(&n.as_str()) && !n.ends_with("_tests"))
            .collect()
    }
}

/// Every folder of the crates' sources.
pub(crate) fn folders() -> Vec<Folder> {
    fn walk(path: PathBuf, out: &mut Vec<Folder>) {
        let below = fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path());
        for folder in below.filter(|path| path.is_dir()) {
            walk(folder, out);
        }
        let faces = [path.join("mod.rs"), path.join("lib.rs"), path.with_extension("rs")];
        out.push(Folder { face: faces.into_iter().find(|face| face.is_file()), path });
    }
    let mut out = Vec::new();
    for entry in fs::read_dir(root().join("crates")).unwrap().flatten() {
        walk(entry.path().join("src"), &mut out);
    }
    out
}

struct Test {
    krate: String,
    /// The file below `tests`; none for tests among the sources.
    target: Option<String>,
    /// As the runner shows it: modules, then the function.
    name: String,
}

pub(crate) struct Tests(Vec<Test>);

impl Tests {
    pub(crate) fn of_workspace() -> Self {
        let mut all = Self(Vec::new());
        for entry in fs::read_dir(root().join("crates")).unwrap().flatten() {
            let of = entry.file_name().into_string().unwrap();
            all.walk(&of, None, &entry.path().join("src"), "");
            all.walk(&of, Some(""), &entry.path().join("tests"), "");
        }
        assert!(all.0.len() > 1000, "{} tests", all.0.len());
        all
    }

    /// Is there a test of this crate (and of this target) with `part` in its name?
    pub(crate) fn any(&self, krate: &str, target: Option<&str>, part: &str) -> bool {
        let of = self.0.iter().filter(|t| t.krate == krate);
        of.filter(|t| target.is_none() || t.target.as_deref() == target).any(|t| t.name.contains(part))
    }

    /// Is there a test (of this crate) of this whole name, or in a module of it?
    pub(crate) fn called(&self, krate: Option<&str>, name: &str) -> bool {
        let whole = format!("::{name}::");
        let of = self.0.iter().filter(|t| krate.is_none_or(|of| t.krate == of));
        of.map(|t| format!("::{}::", t.name)).any(|name| name.contains(&whole))
    }

    fn walk(&mut self, krate: &str, target: Option<&str>, folder: &Path, module: &str) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            let Some(stem) = name.strip_suffix(".rs").or_else(|| path.is_dir().then_some(name.as_str()))
            else {
                continue;
            };
            // The first part below `tests` is the target; what a folder's face holds is the folder's.
            let (target, part) = if target == Some("") { (Some(stem), "") } else { (target, stem) };
            let part = if matches!(part, "mod" | "lib" | "main") { "" } else { part };
            let module = if part.is_empty() { module.to_owned() } else { format!("{module}{part}::") };
            if path.is_dir() {
                self.walk(krate, target, &path, &module);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                self.0.extend(in_source(&text).map(|name| Test {
                    krate: krate.to_owned(),
                    target: target.map(str::to_owned),
                    name: format!("{module}{name}"),
                }));
            }
        }
    }
}

/// Functions below `#[test]`, with the module within the file, and names in the list of a test without the usual runner.
fn in_source(text: &str) -> impl Iterator<Item = String> {
    let (mut found, mut module, mut marked) = (Vec::new(), "", false);
    for line in text.lines() {
        if let Some(inner) = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(" {")) {
            module = inner;
        } else if line == "}" {
            module = "";
        }
        let line = line.trim_start();
        if line == "#[test]" {
            marked = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked) {
            marked = false;
            let name = rest.split(['(', '<']).next().unwrap();
            found.push(if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") });
        } else if let Some(name) = line.strip_prefix("(\"").and_then(|rest| rest.split_once("\", ")) {
            found.push(name.0.to_owned());
        }
    }
    found.into_iter()
}
