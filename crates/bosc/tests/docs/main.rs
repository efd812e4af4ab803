//! What the documents name exists: files, rooms of the architecture, commands that run tests, tests. And the files of a
//! crate take from each other in no circle.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod circles;
mod names;
mod source;
mod workspace;

use names::{Command, commands, file_list, paths, pieces, rooms, tests_of_crates};
use std::collections::BTreeSet;
use std::fs;
use workspace::{Tests, folders, krate, root};

/// Names of tests have many words; these are calls of other programs and of their libraries.
const CALLS: [&str; 4] = [
    "apply_updates_and_exit",
    "apply_updates_and_restart",
    "set_auto_apply_on_startup",
    "wait_exit_then_apply_updates",
];

/// Every document with its path below the root.
fn documents() -> Vec<(String, String)> {
    let mut names: Vec<String> = ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"].map(String::from).into();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    names.into_iter().map(|name| (name.clone(), fs::read_to_string(root().join(&name)).unwrap())).collect()
}

fn wrong(what: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let all = documents().into_iter();
    all.flat_map(|(name, text)| what(&name, &text).into_iter().map(move |w| format!("{name}: {w}"))).collect()
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A path is a whole one: below the root, `crates`, or `interop`, or beside the document that links to it.
#[test]
fn paths_exist() {
    none(&wrong(|name, text| {
        let beside = if name.starts_with("docs/") { "docs" } else { "" };
        let whole = |path: &str| {
            ["", "crates", "interop", beside].iter().any(|at| root().join(at).join(path).exists())
        };
        let missing = paths(text).into_iter().filter(|path| !whole(path));
        missing.map(|path| format!("there is no {path}")).collect()
    }));
}

/// The tests of a crate stand behind its name; `module::tests` stands for all that are in it.
#[test]
fn tests_exist() {
    let tests = Tests::of_workspace();
    none(&wrong(|_, text| {
        let mut wrong = Vec::new();
        for (of, test) in tests_of_crates(text) {
            let known = match of {
                Some(of) => tests.called(Some(of), test),
                None => CALLS.contains(&test) || is_metric(test) || tests.called(None, test),
            };
            if !known {
                wrong.push(format!("there is no test {test} in {}", of.unwrap_or("the workspace")));
            }
        }
        wrong
    }));
}

/// Names of metrics look like those of tests; that the seeder has them is asserted where they are made.
fn is_metric(name: &str) -> bool {
    let units = ["_total", "_bytes", "_seconds", "_pairs"];
    ["bosc_", "process_"].iter().any(|of| name.starts_with(of))
        && units.iter().any(|unit| name.ends_with(unit))
}

#[test]
fn commands_run_something() {
    let tests = Tests::of_workspace();
    let mut seen = 0;
    none(&wrong(|_, text| {
        let mut wrong = Vec::new();
        for piece in pieces(text) {
            for command in commands(&piece) {
                wrong.extend(defect(&tests, &command).map(|defect| format!("`{}`: {defect}", command.text)));
            }
        }
        wrong
    }));
    for (_, text) in documents() {
        seen += pieces(&text).iter().map(|piece| commands(piece).len()).sum::<usize>();
    }
    assert!(seen > 20, "{seen} commands");
}

fn defect(tests: &Tests, command: &Command<'_>) -> Option<String> {
    let Some(of) = command.krate else {
        return (!command.tests.is_empty()).then(|| "which crate?".into());
    };
    let home = krate(of);
    if !home.is_dir() {
        return Some(format!("there is no crate {of}"));
    }
    let manifest = fs::read_to_string(home.join("Cargo.toml")).unwrap();
    if let Some(feature) = command.features.iter().find(|f| !manifest.contains(&format!("\n{f} = ["))) {
        return Some(format!("{of} has no feature {feature}"));
    }
    let is_there = |e: &&str| {
        home.join(format!("examples/{e}.rs")).is_file()
            || home.join(format!("examples/{e}/main.rs")).is_file()
    };
    if let Some(example) = command.example.filter(|e| !is_there(e)) {
        return Some(format!("{of} has no example {example}"));
    }
    for test in &command.tests {
        if !tests.any(of, Some(test), "") {
            return Some(format!("{of} has no test target {test}"));
        }
    }
    let filter = command.filter?;
    let found = match command.tests.as_slice() {
        [] => tests.any(of, None, filter),
        targets => targets.iter().any(|target| tests.any(of, Some(target), filter)),
    };
    (!found).then(|| format!("no test of {of} has {filter:?} in its name"))
}

/// The map of a crate names every file and folder at its top, and nothing that is not there. `<command>/` stands for the
/// folders that have flags in `args.rs`.
#[test]
fn rooms_are_those_that_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut wrong = Vec::new();
    let rooms = rooms(&text);
    assert_eq!(rooms.keys().copied().collect::<Vec<_>>(), ["bosc", "bosc-release", "bosc-updater"]);
    for (of, rooms) in rooms {
        let source = krate(of).join("src");
        let tops: Vec<_> = fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path()).collect();
        for path in rooms.all {
            let exists = match path.strip_prefix("<command>/") {
                Some(file) => tops.iter().any(|top| top.join(file).exists()),
                None => source.join(path).exists() || root().join("crates").join(path).exists(),
            };
            if !exists {
                wrong.push(format!("the rooms of {of}: there is no {path}"));
            }
        }
        for top in &tops {
            let name = top.file_name().unwrap().to_str().unwrap();
            let is_room = rooms.named.iter().any(|path| match path.strip_suffix('/') {
                Some("<command>") => top.join("args.rs").is_file(),
                Some(folder) => folder == name && top.is_dir(),
                None => *path == name,
            });
            // The face of a folder belongs to it; what is only for tests is no room.
            let face = top.extension().is_some() && top.with_extension("").is_dir();
            if !is_room && !face && !["lib.rs", "golden.rs"].contains(&name) {
                wrong.push(format!("the rooms of {of} lack {name}"));
            }
        }
    }
    none(&wrong);
}

/// What a crate stands on is what its manifest says.
#[test]
fn crates_stand_on_their_dependencies() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut seen = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| `bosc")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let names = cells[0].split('`').skip(1).step_by(2).filter(|name| krate(name).is_dir());
        for of in names {
            assert!(seen.insert(of.to_owned()), "a second row of {of}");
            let manifest = fs::read_to_string(krate(of).join("Cargo.toml")).unwrap();
            if manifest.contains("publish = false") {
                continue;
            }
            let words = cells.last().unwrap().split(|c: char| !c.is_ascii_alphanumeric());
            let stands: BTreeSet<String> =
                words.map(|word| format!("bosc-{word}")).filter(|name| krate(name).is_dir()).collect();
            let (_, dependencies) = manifest.split_once("\n[dependencies]\n").unwrap_or(("", ""));
            let dependencies: BTreeSet<String> = dependencies
                .lines()
                .take_while(|line| !line.starts_with('['))
                .filter_map(|line| line.split(['.', ' ']).next())
                .filter(|name| name.starts_with("bosc-"))
                .map(str::to_owned)
                .collect();
            assert_eq!(stands, dependencies, "{of}: ARCHITECTURE.md (left), Cargo.toml (right)");
        }
    }
    let crates = fs::read_dir(root().join("crates")).unwrap();
    let crates: BTreeSet<String> = crates.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(seen, crates, "rows of ARCHITECTURE.md (left), crates (right)");
}

#[test]
fn what_does_not_exist_is_seen() {
    let tests = Tests::of_workspace();
    let defects = |text: &str| -> Vec<String> {
        let of =
            |piece: &String| commands(piece).iter().filter_map(|c| defect(&tests, c)).collect::<Vec<_>>();
        pieces(text).iter().flat_map(of).collect()
    };
    assert_eq!(
        defects("`cargo test -p bosc docs_blocks -- --nocapture`, `cargo test -p bosc-store --test\ncrash`"),
        [""; 0]
    );
    assert_eq!(defects("`cargo test -p bosc no_such`"), ["no test of bosc has \"no_such\" in its name"]);
    assert_eq!(defects("    cargo test -p no-such x  # y"), ["there is no crate no-such"]);
    assert_eq!(
        defects("```sh\nA=1 cargo nextest run -p bosc-store --test crash --test no_such\n```"),
        ["bosc-store has no test target no_such"]
    );
    assert_eq!(
        defects("`cargo run -p bosc-node --example no_such [X]`"),
        ["bosc-node has no example no_such"]
    );
    assert_eq!(
        defects("`cargo test -p bosc-updater --features no_such`"),
        ["bosc-updater has no feature no_such"]
    );
    assert_eq!(
        paths("see `a/b.rs`, [c](../d.rs) and `test/FILE.test.mjs`; `x.rs::test`"),
        ["a/b.rs", "../d.rs"]
    );
    assert_eq!(
        tests_of_crates("| `bosc-dht` `one_two`, `three::four` |\nand `a_b_c_d`, `e_f`"),
        [(Some("bosc-dht"), "one_two"), (Some("bosc-dht"), "three::four"), (None, "a_b_c_d")]
    );
    assert!(tests.called(Some("bosc-dht"), "a_node_cannot_choose_its_id"));
    assert!(!tests.called(Some("bosc-udx"), "a_node_cannot_choose_its_id"));
    assert!(!tests.called(None, "node_cannot_choose_its_id"));
}

/// A header that lists the files of its folder lists all of them, and no others.
#[test]
fn headers_list_the_files_of_their_folder() {
    let (mut wrong, mut lists) = (Vec::new(), 0);
    for folder in folders() {
        let Some(face) = &folder.face else { continue };
        let text = fs::read_to_string(face).unwrap();
        let Some(list) = file_list(&text) else { continue };
        lists += 1;
        let shown = face.strip_prefix(root()).unwrap().display().to_string();
        let there = folder.modules();
        wrong.extend(there.iter().filter(|f| !list.named(f)).map(|f| format!("{shown} does not list {f}")));
        let gone = list.entries.iter().filter(|f| !there.contains(**f));
        wrong.extend(gone.map(|f| format!("{shown} lists {f}, which is not there")));
    }
    none(&wrong);
    assert!(lists > 60, "{lists} lists");
}

/// With more files of Rust than this in a folder, its header lists them.
const WITHOUT_A_LIST: usize = 5;

/// The largest crates have their map in ARCHITECTURE.md, see [`rooms_are_those_that_exist`].
#[test]
fn folders_with_many_files_have_a_list() {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mapped: Vec<_> = rooms(&architecture).keys().map(|of| krate(of).join("src")).collect();
    let (mut wrong, mut large) = (Vec::new(), 0);
    for folder in folders() {
        if folder.sources() <= WITHOUT_A_LIST || mapped.contains(&folder.path) {
            continue;
        }
        large += 1;
        let text = folder.face.as_ref().map(|face| fs::read_to_string(face).unwrap()).unwrap_or_default();
        if file_list(&text).is_none() {
            let shown = folder.path.strip_prefix(root()).unwrap().display();
            wrong.push(format!("the header of {shown} has no list of its files"));
        }
    }
    none(&wrong);
    assert!(large > 30, "{large} folders");
}
