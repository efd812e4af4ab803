//! `docs/attacks.md` names a test for every attack, and every test it names exists.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files with tests, by name.
fn sources() -> BTreeMap<String, Vec<String>> {
    fn walk(dir: &Path, out: &mut BTreeMap<String, Vec<String>>) {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type().unwrap().is_dir() {
                if name != "node_modules" && name != "target" {
                    walk(&path, out);
                }
            } else if name.ends_with(".rs") || name.ends_with(".test.mjs") {
                let text = fs::read_to_string(&path).unwrap();
                out.entry(name).or_default().push(text.clone());
                // A test without the usual runner has its parts in a folder of its name.
                let folder =
                    path.parent().and_then(Path::file_name).map(|f| f.to_string_lossy().into_owned());
                if let Some(folder) = folder.filter(|_| path.with_extension("").parent().is_some()) {
                    out.entry(format!("{folder}.rs")).or_default().push(text);
                }
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(&root().join("crates"), &mut out);
    walk(&root().join("interop/test"), &mut out);
    out
}

fn exists(sources: &BTreeMap<String, Vec<String>>, file: &str, test: &str) -> bool {
    let forms = if file.ends_with(".mjs") {
        vec![format!("test('{test}"), format!("test(`{test}")]
    } else {
        vec![format!("fn {test}("), format!("(\"{test}\",")]
    };
    sources.get(file).is_some_and(|texts| texts.iter().any(|t| forms.iter().any(|f| t.contains(f.as_str()))))
}

#[test]
fn every_attack_has_a_test_that_exists() {
    let text = fs::read_to_string(root().join("docs/attacks.md")).unwrap();
    let sources = sources();
    let (mut attacks, mut named) = (0, 0);
    for row in text.lines().filter(|l| l.starts_with('|') && !l.starts_with("|---")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.iter().all(|c| !c.is_empty()), "an empty cell: {row}");
        let names: Vec<&str> = row.split('`').skip(1).step_by(2).filter(|n| n.contains("::")).collect();
        if names.is_empty() {
            assert!(matches!(cells[0], "attack" | "input" | "defect"), "no test covers this: {row}");
            continue;
        }
        attacks += 1;
        // Attack, what happens, and a test in each column after them.
        for cell in cells.iter().skip(if cells.len() == 4 { 2 } else { 1 }) {
            assert!(cell.contains("::"), "no test in the cell {cell:?} of {row}");
        }
        for name in names {
            let (file, test) = name.split_once("::").unwrap();
            assert!(exists(&sources, file, test), "there is no test {test:?} in {file}");
            named += 1;
        }
    }
    assert!(attacks > 30 && named > 60, "{attacks} rows name {named} tests");
    assert!(!exists(&sources, "http_attacks.rs", "no_such_test"));
}
