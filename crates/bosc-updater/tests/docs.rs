//! The examples that are printed are those that are compiled and run: `src/doc` is included by the crate's documentation, where they are
//! doc tests, and by `first_example.rs`, which runs them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::PathBuf;

fn read(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The blocks of Rust in a text.
fn blocks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside: Option<String> = None;
    for line in text.lines() {
        match (&mut inside, line) {
            (None, "```rust") => inside = Some(String::new()),
            (Some(_), "```") => found.extend(inside.take()),
            (Some(block), line) => {
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    found
}

#[test]
fn the_first_example_is_the_same_everywhere_and_has_fifteen_lines() {
    let first = read("src/doc/first.rs");
    assert!(first.lines().count() <= 15, "{first}");
    assert!(first.lines().all(|line| line.chars().count() <= 120), "{first}");
    for page in ["README.md", "../../docs/updater.md"] {
        assert_eq!(blocks(&read(page)).first(), Some(&first), "{page}");
    }
    let page = blocks(&read("../../docs/updater.md"));
    for other in ["src/doc/ask.rs", "src/doc/manual.rs"] {
        assert!(page.contains(&read(other)), "docs/updater.md lacks {other}");
    }
    let docs = read("src/lib.rs");
    for file in ["first", "ask", "manual"] {
        assert!(docs.contains(&format!("#![doc = include_str!(\"doc/{file}.rs\")]")), "{file}");
    }
}

/// The top of the crate stays small enough to be read at once.
#[test]
fn the_top_of_the_crate_is_short() {
    let docs = read("src/lib.rs");
    let mut names = Vec::new();
    for part in docs.split("\npub use ").skip(1) {
        let (_, list) = part.split(';').next().unwrap().split_once("::").unwrap();
        let list = list.trim_matches(|c: char| "{} \n".contains(c));
        names.extend(list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
    }
    assert!((10..=16).contains(&names.len()), "{names:?}");
}
