//! The order in which `bosc --help` lists the commands: by what people want to do.

use super::text::{heading, literal};
use clap::Command;
use std::fmt::Write;

/// A group and its commands, in the order in which one meets them.
pub(super) const GROUPS: [(&str, &[&str]); 6] = [
    ("Make what you ship", &["touch", "build", "stage", "changelog", "versions"]),
    ("Share and fetch", &["seed", "info", "dump", "install"]),
    ("Release", &["publish", "line", "provision", "multisig", "rotate"]),
    ("Operate", &["doctor", "keys", "store", "cores", "gc", "data", "dht", "relay"]),
    ("In the application", &["watch", "updater"]),
    ("Learn", &["demo", "help", "completions", "man"]),
];

/// What a newcomer needs: what is typed, and what it does.
pub(super) const FIRST: [(&str, &str); 5] = [
    ("bosc demo", "See the whole job done once, on this machine only"),
    ("bosc publish DIR", "Put a folder of builds on a link, and release it"),
    ("bosc seed LINK", "Keep what a link holds available to others"),
    ("bosc watch", "Keep an application up to date; in Rust, the library bosc-updater"),
    ("bosc doctor LINK", "Find out what is wrong with a link, and why clients do not update"),
];

/// The first steps, with one line each.
pub(super) fn first() -> String {
    let mut out = String::new();
    heading(&mut out, "First steps");
    for (line, about) in FIRST {
        let gap = 18_usize.saturating_sub(line.len());
        let _ = writeln!(out, "  {}{:gap$}{about}", literal(line), "");
    }
    out.push('\n');
    out
}

/// All commands with one line each, for the help of `bosc` alone.
pub(super) fn listing(root: &Command) -> String {
    let mut out = first();
    for (group, names) in GROUPS {
        heading(&mut out, group);
        for name in names {
            let about = root.find_subcommand(name).and_then(Command::get_about);
            let gap = 13_usize.saturating_sub(name.len());
            let about = about.map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(out, "  {}{:gap$}{about}", literal(name), "");
        }
        out.push('\n');
    }
    out
}
