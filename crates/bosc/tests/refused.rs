//! What a command that refuses leaves as it was.
#![allow(unused_crate_dependencies, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn bosc(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bosc"));
    command.current_dir(dir).args(args).stdin(Stdio::null());
    command.env("BOSC_STORE", dir.join("store")).env("BOSC_BOOTSTRAP", "127.0.0.1:9");
    command.output().unwrap()
}

/// A link is made only for a folder that can be released.
#[test]
fn a_publish_that_is_refused_makes_no_link() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("project");
    let package = "{\"name\":\"demo\",\"version\":\"1.0.0\"}\n";
    fs::create_dir_all(project.join("out")).unwrap();
    fs::write(project.join("package.json"), package).unwrap();
    let made = bosc(dir.path(), &["updater", "keygen", "-o", "project/out/demo"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for args in [
        &["publish", "project", "--yes"][..],
        &["publish", "project", "--yes", "--linux-x64-app", "project/out/demo"],
    ] {
        let output = bosc(dir.path(), args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("ERR_SECRET") || text.contains("key pair"), "{text}");
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert_eq!(fs::read_to_string(project.join("package.json")).unwrap(), package, "{text}");
        let cores = bosc(dir.path(), &["cores", "--json"]);
        assert!(cores.status.success(), "{cores:?}");
        assert!(!String::from_utf8_lossy(&cores.stdout).contains("pear://"), "{cores:?}");
    }
}

/// What the environment says is not in the usage, as if it had to be typed; and `bosc` alone is no mistake.
#[test]
fn a_usage_shows_what_must_be_typed() {
    let dir = tempfile::tempdir().unwrap();
    let output = bosc(dir.path(), &["stage"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("Usage: bosc stage") && text.contains("<LINK>"), "{text}");
    assert!(!text.contains("--store") && !text.contains("--bootstrap"), "{text}");
    let output = bosc(dir.path(), &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(text.contains("First steps:") && text.contains("bosc publish DIR"), "{text}");
}

/// A name that does not resolve is the network's fault, separators alone are the caller's.
#[test]
fn bootstrap_nodes_that_do_not_resolve_are_a_failure_of_the_network() {
    let dir = tempfile::tempdir().unwrap();
    let link = format!("pear://{}", "y".repeat(52));
    for (nodes, code, said) in [
        ("nosuch.invalid:1", 4, "cannot be found"),
        (",", 2, "no DHT node was given"),
        ("host", 2, "not a DHT node"),
    ] {
        let output = bosc(dir.path(), &["info", &link, "--bootstrap", nodes, "--timeout", "2"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(said), "{text}");
        assert_eq!(output.status.code(), Some(code), "{text}");
    }
}

/// The key a command signs with is in nothing it makes, bare and in a long file too.
#[test]
fn the_key_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let made = bosc(dir.path(), &["updater", "keygen", "-o", "key.json"]);
    assert!(made.status.success(), "{made:?}");
    let key: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(dir.path().join("key.json")).unwrap()).unwrap();
    let key = key["secret_key"].as_str().unwrap();
    let app = dir.path().join("d/by-arch/linux-x64/app/demo");
    fs::create_dir_all(&app).unwrap();
    for text in [key.to_owned(), format!("{}{key}", "a line of a log\n".repeat(10_000))] {
        fs::write(app.join("notes.txt"), text).unwrap();
        let output = bosc(
            dir.path(),
            &[
                "updater",
                "manifest",
                "d",
                "--url-base",
                "https://x.example/u",
                "--version",
                "1.0.0",
                "--secret-key",
                "key.json",
            ],
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("a secret key that is in use"), "{said}");
        assert!(!said.contains(key), "{said}");
    }
}

/// Without a network neither the link nor its peers are to blame.
#[test]
fn what_no_dht_node_answered_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let link = |output: Output| String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let (old, new) = (link(bosc(dir.path(), &["touch"])), link(bosc(dir.path(), &["touch"])));
    let no_dht = |output: Output| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{text}");
        assert!(text.contains("no DHT node answers (tried 127.0.0.1:9)"), "{text}");
        text
    };
    let begun = std::time::Instant::now();
    no_dht(bosc(dir.path(), &["rotate", &old, &new, "--check", "--timeout", "2"]));
    assert!(begun.elapsed() < std::time::Duration::from_secs(8), "{:?}", begun.elapsed());
    // A store that was copied, whose link somebody else may have written to.
    fs::create_dir(dir.path().join("project")).unwrap();
    fs::write(dir.path().join("project/package.json"), "{\"name\":\"demo\",\"version\":\"1.0.0\"}").unwrap();
    assert!(bosc(dir.path(), &["stage", &old, "project"]).status.success());
    fs::rename(dir.path().join("store"), dir.path().join("first")).unwrap();
    let copied = Command::new("cp").args(["-R", "first", "store"]).current_dir(dir.path()).status().unwrap();
    assert!(copied.success());
    let text = no_dht(bosc(dir.path(), &["stage", &old, "project"]));
    assert!(text.contains("--sole-copy"), "{text}");
}

/// A folder that holds other things does not become a store, and looking makes none.
#[test]
fn no_store_is_made_where_none_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (app, none) = (dir.path().join("app"), dir.path().join("none"));
    fs::create_dir(&app).unwrap();
    fs::write(app.join("main.c"), "mine").unwrap();
    for (store, args, code) in [
        ("app", &["cores"][..], 3),
        ("app", &["gc", "store"], 3),
        ("app", &["touch"], 2),
        ("none", &["cores"], 3),
        ("none", &["gc", "store"], 3),
    ] {
        let output = bosc(dir.path(), &[args, &["--store", store]].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{store} {args:?}: {text}");
        assert_eq!(fs::read_dir(&app).unwrap().count(), 1, "{store} {args:?}");
        assert!(!none.exists(), "{store} {args:?}");
    }
    fs::create_dir(&none).unwrap();
    fs::write(none.join(".gitignore"), "*").unwrap();
    assert!(bosc(dir.path(), &["touch", "--store", "none"]).status.success());
    assert!(bosc(dir.path(), &["cores", "--store", "none"]).status.success());
}
