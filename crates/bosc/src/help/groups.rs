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

/// All commands with one line each, for the help of `bosc` alone.
pub(super) fn listing(root: &Command) -> String {
    let mut out = String::new();
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
