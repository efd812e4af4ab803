//! The reference in docs/cli*.md against the command tree: what one of them has, the other has.

use crate::args::Cli;
use clap::{Arg, Command, CommandFactory};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The pages of the reference, with their names.
const PAGES: [(&str, &str); 4] = [
    ("cli.md", include_str!("../../../docs/cli.md")),
    ("cli-release.md", include_str!("../../../docs/cli-release.md")),
    ("cli-tools.md", include_str!("../../../docs/cli-tools.md")),
    ("cli-updater.md", include_str!("../../../docs/cli-updater.md")),
];
/// The section of the flags that every command has.
const GLOBAL: &str = "Flags of every command";

/// The text below each heading, up to the next one of any level. Headings twice are an error.
fn sections() -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (page, text) in PAGES {
        let (mut heading, mut fenced) = (String::new(), false);
        for line in text.lines() {
            fenced ^= line.starts_with("```");
            let title = line.trim_start_matches('#');
            if !fenced && line.starts_with('#') && title.starts_with(' ') {
                heading = title.trim().to_owned();
                assert!(!out.contains_key(&heading), "{page}: a second section {heading:?}");
                out.insert(heading.clone(), String::new());
            } else if let Some(section) = out.get_mut(&heading) {
                section.push_str(line);
                section.push('\n');
            }
        }
        assert!(!fenced, "{page}: a fence that does not end");
    }
    out
}

/// All flags in a text, `--long` and `-s`.
fn flags(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|w| w.starts_with('-') && w.trim_start_matches('-').starts_with(char::is_alphabetic))
        .collect()
}

/// The fenced synopsis of a section.
fn synopsis(section: &str) -> String {
    let mut fenced = false;
    let inside = section.lines().filter(|line| {
        let was = fenced;
        fenced ^= line.starts_with("```");
        was && fenced
    });
    inside.collect::<Vec<_>>().join("\n")
}

fn names(arg: &Arg) -> Vec<String> {
    let long = arg.get_long().map(|l| format!("--{l}"));
    long.into_iter().chain(arg.get_short().map(|s| format!("-{s}"))).collect()
}

/// What a walk through the tree finds wrong.
struct Walk<'a> {
    sections: &'a BTreeMap<String, String>,
    paths: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Walk<'_> {
    /// `known`: flags of the commands above.
    fn command(&mut self, path: &str, heading: &str, command: &Command, known: &BTreeSet<String>) {
        let Some(section) = self.sections.get(heading) else {
            self.wrong.push(format!("there is no section {heading:?}"));
            return;
        };
        let told = flags(section);
        let mut known = known.clone();
        for arg in command.get_arguments() {
            for name in names(arg) {
                if !arg.is_hide_set() && !told.contains(name.as_str()) {
                    self.wrong.push(format!("section {heading:?} lacks {name}"));
                }
                known.insert(name);
            }
            if let Some(variable) = arg.get_env().and_then(|v| v.to_str())
                && !PAGES.iter().any(|(_, text)| text.contains(&format!("`{variable}`")))
            {
                self.wrong.push(format!("no page has `{variable}`"));
            }
        }
        for flag in flags(&synopsis(section)) {
            if !known.contains(flag) {
                self.wrong.push(format!("section {heading:?} has {flag}, the command has not"));
            }
        }
        for below in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
            let path = format!("{path} {}", below.get_name());
            self.paths.insert(path.clone());
            self.command(&path, &path, below, &known);
        }
    }
}

/// The tree against sections: everything that is wrong, in words.
fn compare(command: &Command, sections: &BTreeMap<String, String>) -> Vec<String> {
    let mut walk = Walk { sections, paths: BTreeSet::new(), wrong: Vec::new() };
    walk.command("bosc", GLOBAL, command, &BTreeSet::new());
    for heading in sections.keys().filter(|h| h.starts_with("bosc ")) {
        if !walk.paths.contains(heading) {
            walk.wrong.push(format!("section {heading:?} is of no command"));
        }
    }
    walk.wrong
}

/// The codes of errors in the sources below `dir`, in quotes.
fn codes(dir: &Path, out: &mut BTreeSet<String>) {
    for item in std::fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            codes(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            // In these files every such text is a code.
            let all = path.ends_with("multisig/errors.rs") || path.ends_with("multisig/quorum.rs");
            let code = |t: &&str| {
                let shape = t.contains('_') && t.chars().all(|c| c.is_ascii_uppercase() || c == '_');
                shape && (all || t.starts_with("ERR_")) && *t != "ERR_"
            };
            out.extend(text.split('"').filter(code).map(str::to_owned));
        }
    }
}

#[test]
fn the_reference_has_every_command_and_flag_and_no_other() {
    let wrong = compare(&Cli::command(), &sections());
    assert!(wrong.is_empty(), "docs/cli*.md:\n{}", wrong.join("\n"));
}

#[test]
fn what_is_missing_or_too_much_is_found() {
    let command = Command::new("bosc")
        .arg(Arg::new("json").long("json"))
        .subcommand(Command::new("touch").arg(Arg::new("vanity").long("vanity").short('v')))
        .subcommand(Command::new("gone").subcommand(Command::new("deep")));
    let page = |text: &str| -> BTreeMap<String, String> {
        [(GLOBAL, "`--json`"), ("bosc touch", text), ("bosc gone", ""), ("bosc gone deep", "")]
            .map(|(h, t)| (h.to_owned(), t.to_owned()))
            .into()
    };
    let fine = page("```text\nbosc touch [-v|--vanity TEXT]\n```");
    assert_eq!(compare(&command, &fine), Vec::<String>::new());
    let found = |change: &dyn Fn(&mut BTreeMap<String, String>), what: &str| {
        let mut sections = fine.clone();
        change(&mut sections);
        let wrong = compare(&command, &sections);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong.concat().contains(what), "{wrong:?}");
    };
    found(&|s| drop(s.remove("bosc gone deep")), "no section \"bosc gone deep\"");
    found(&|s| drop(s.insert("bosc seeed".into(), String::new())), "\"bosc seeed\" is of no command");
    found(&|s| drop(s.insert(GLOBAL.into(), "`--jsonl`".into())), "lacks --json");
    found(&|s| drop(s.insert("bosc touch".into(), "--vanity".into())), "lacks -v");
    found(
        &|s| drop(s.insert("bosc touch".into(), "```text\n-v --vanity --varnish\n```".into())),
        "has --varnish",
    );
}

#[test]
fn the_reference_has_every_error_code_and_no_other() {
    let (_, page) = PAGES[0];
    let told: BTreeSet<String> = page
        .lines()
        .filter_map(|l| l.strip_prefix("| `")?.split_once('`').map(|(code, _)| code))
        .filter(|c| c.contains('_') && !c.starts_with("BOSC_") && !c.contains("DIRECTORY"))
        .map(str::to_owned)
        .collect();
    let (mut known, crates) = (BTreeSet::new(), Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    for name in ["bosc", "bosc-release"] {
        codes(&crates.join(name).join("src"), &mut known);
    }
    assert!(known.len() > 50, "the codes were not found: {known:?}");
    assert_eq!(known.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new(), "not in docs/cli.md");
    assert_eq!(told.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "in no source");
}
