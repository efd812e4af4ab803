//! The copies of the program's own words in docs/cli*.md. A copy stands between `<!-- the program: NAME -->` and
//! `<!-- end -->`; this test compares all of them, and writes them with `UPDATE_DOCS=1`. Each command has a section, which
//! begins with its copy.

use super::errors::{ERRORS, Known};
use super::{WIDTH, command_alone, common_flags, environment, groups, pages, strip, topics};
use crate::args::Cli;
use clap::CommandFactory;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const PAGES: [&str; 4] = ["cli.md", "cli-release.md", "cli-tools.md", "cli-updater.md"];
const START: &str = "<!-- the program: ";
const END: &str = "<!-- end -->";

fn fenced(text: &str) -> String {
    let lines: Vec<&str> =
        strip(text).trim().lines().map(str::trim_end).map(|l| l.to_owned().leak() as &str).collect();
    format!("```text\n{}\n```\n", lines.join("\n"))
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|&h| h.to_owned()).collect();
    let mut out = line(&head);
    out.push_str(&format!("|{}\n", "---|".repeat(head.len())));
    out.extend(rows.map(|cells| line(&cells.iter().map(|c| c.replace('|', "\\|")).collect::<Vec<_>>())));
    out
}

/// What stands in the block of this name.
fn block(name: &str) -> Option<String> {
    let variables = |list: &'static [environment::Variable]| {
        table(
            &["variable", "for", "meaning"],
            list.iter().map(|v| vec![format!("`{}`", v.name), v.who.into(), v.meaning.into()]),
        )
    };
    Some(match name {
        "common flags" => {
            let root = super::with_help_flag(Cli::command());
            fenced(&common_flags(&root, true, WIDTH))
        }
        "commands" => fenced(&groups::listing(&Cli::command(), WIDTH)),
        "exit codes" => table(
            &["code", "meaning"],
            topics::EXIT_CODES.iter().map(|(code, meaning)| vec![code.to_string(), (*meaning).into()]),
        ),
        "environment" => variables(&environment::READ),
        "environment of others" => variables(&environment::SET),
        "errors" => table(
            &["code", "exit", "meaning", "what to do"],
            ERRORS.iter().map(|Known { code, exit, meaning, next }| {
                vec![format!("`{code}`"), (*exit).into(), (*meaning).into(), (*next).into()]
            }),
        ),
        path => {
            pages::of(path)?;
            let mut command = command_alone();
            command.build();
            let mut at = &mut command;
            for word in path.split(' ') {
                at = at.find_subcommand_mut(word)?;
            }
            fenced(&at.render_help().to_string())
        }
    })
}

/// A page with all its blocks made anew, and the blocks it has.
fn made_anew(page: &str, text: &str, found: &mut BTreeSet<String>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(START) {
        let (name, after) =
            after.split_once(" -->").unwrap_or_else(|| panic!("{page}: a marker without an end"));
        let (_, after) =
            after.split_once(END).unwrap_or_else(|| panic!("{page}: the block {name:?} does not end"));
        let block = block(name).unwrap_or_else(|| panic!("{page}: there is no block {name:?}"));
        assert!(found.insert(name.to_owned()), "{page}: a second block {name:?}");
        out.push_str(&format!("{before}{START}{name} -->\n{block}{END}"));
        rest = after;
    }
    out + rest
}

/// Sections `bosc COMMAND` that do not begin with the block of that command.
fn without_a_block(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let wrong = lines.iter().enumerate().filter_map(|(i, line)| {
        let path = line.strip_prefix("## bosc ").or_else(|| line.strip_prefix("### bosc "))?;
        let block = format!("{START}{path} -->");
        (lines.get(i + 1).copied() != Some(block.as_str())).then(|| (*line).to_owned())
    });
    wrong.collect()
}

fn path(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page)
}

#[test]
fn the_pages_say_what_the_program_says() {
    let mut found = BTreeSet::new();
    let mut old = Vec::new();
    for page in PAGES {
        let text = std::fs::read_to_string(path(page)).unwrap();
        let new = made_anew(page, &text, &mut found);
        assert_eq!(without_a_block(&text), Vec::<String>::new(), "{page}");
        if text == new {
            continue;
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path(page), new).unwrap();
        } else {
            let line = text.lines().zip(new.lines()).position(|(a, b)| a != b).unwrap_or_default();
            let there = |text: &str| text.lines().nth(line).unwrap_or_default().to_owned();
            old.push(format!(
                "docs/{page}:{}: {:?}, the program says {:?}",
                line + 1,
                there(&text),
                there(&new)
            ));
        }
    }
    assert!(old.is_empty(), "{}\nUPDATE_DOCS=1 with this test rewrites the pages", old.join("\n"));
    let wanted: BTreeSet<String> = pages::PAGES
        .iter()
        .flat_map(|group| group.iter().map(|p| p.path.to_owned()))
        .filter(|p| !p.is_empty())
        .chain(
            ["common flags", "commands", "exit codes", "environment", "environment of others", "errors"]
                .map(String::from),
        )
        .collect();
    assert_eq!(wanted, found, "commands (left) and blocks (right)");
}

#[test]
fn a_block_that_is_out_of_date_is_seen() {
    let old = format!("a\n{START}exit codes -->\n| 0 | fine |\n{END}\nb\n");
    let new = made_anew("page", &old, &mut BTreeSet::new());
    assert!(new.starts_with("a\n") && new.ends_with("\nb\n") && new.contains("| 0 | done |"), "{new}");
    assert_eq!(new, made_anew("page", &new, &mut BTreeSet::new()));
    assert_eq!(
        without_a_block(&format!("## bosc seed\n\n{START}seed -->\n{END}\n### bosc seeed\ntext")),
        ["### bosc seeed"]
    );
}
