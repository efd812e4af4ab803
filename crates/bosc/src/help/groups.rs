//! The order in which `bosc --help` lists the commands: by what people want to do.

use super::text::{hanging, heading, literal};
use clap::Command;
use std::fmt::Write;

/// A group and its commands, in the order in which one meets them.
pub(super) const GROUPS: [(&str, &[&str]); 7] = [
    ("Make what you ship", &["init", "touch", "build", "stage", "changelog", "versions", "log"]),
    ("Share and fetch", &["seed", "info", "dump", "mirror", "install"]),
    ("Release", &["publish", "line", "provision", "multisig", "rotate"]),
    ("After a release", &["policy", "rollout", "halt", "lift", "refresh"]),
    (
        "Operate",
        &[
            "dashboard",
            "doctor",
            "monitor",
            "keys",
            "store",
            "cores",
            "gc",
            "data",
            "dht",
            "relay",
            "blind-peer",
        ],
    ),
    ("In the application", &["watch", "updater", "delta"]),
    ("Learn", &["demo", "help", "completions", "man"]),
];

/// What a newcomer needs: what is typed, and what it does.
pub(super) const FIRST: [(&str, &str); 5] = [
    ("bosc init", "Prepare this project: find its builds, make a link"),
    ("bosc publish DIR", "Release what was built"),
    ("bosc seed LINK", "Keep what a link holds available to others"),
    ("bosc install LINK", "Install the application that a link ships"),
    ("bosc doctor LINK", "See what is wrong with a link, and why clients do not update"),
];

/// The first steps, with one line each.
pub(super) fn first(width: usize) -> String {
    let mut out = String::new();
    heading(&mut out, "First steps");
    for (line, about) in FIRST {
        let gap = 19_usize.saturating_sub(line.len());
        let about = hanging(about, width, 21, &" ".repeat(21));
        let _ = writeln!(out, "  {}{:gap$}{about}", literal(line), "");
    }
    out.push('\n');
    out
}

/// All commands with one line each, for the help of `bosc` alone.
pub(super) fn listing(root: &Command, width: usize) -> String {
    let mut out = first(width);
    for (group, names) in GROUPS {
        heading(&mut out, group);
        for name in names {
            let about = root.find_subcommand(name).and_then(Command::get_about);
            let gap = 13_usize.saturating_sub(name.len());
            let about = about.map(ToString::to_string).unwrap_or_default();
            let about = hanging(&about, width, 15, &" ".repeat(15));
            let _ = writeln!(out, "  {}{:gap$}{about}", literal(name), "");
        }
        out.push('\n');
    }
    out
}
