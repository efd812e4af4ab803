//! Manual pages, from what `--help` shows.

use super::errors::ERRORS;
use super::text::wrap;
use super::{environment, groups, pages, topics};
use crate::args::Cli;
use crate::global::COMMON;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::fmt::Write;
use std::io;

/// bosc(1).
pub(crate) fn main_page() -> io::Result<Vec<u8>> {
    let mut root = super::with_help_flag(Cli::command());
    root.build();
    page(&root, "")
}

/// All pages, each with the name of its file.
pub(crate) fn all_pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut root = super::with_help_flag(Cli::command());
    root.build();
    let mut out = Vec::new();
    collect(&root, "", &mut out)?;
    out.sort();
    Ok(out)
}

fn collect(command: &Command, path: &str, out: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let file = format!("bosc {path}").trim_end().replace(' ', "-");
    out.push((format!("{file}.1"), page(command, path)?));
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        collect(below, format!("{path} {}", below.get_name()).trim_start(), out)?;
    }
    Ok(())
}

fn page(command: &Command, path: &str) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    // The order of `--help`: what is common to all commands comes last.
    let (mut own, common) = (command.clone().mut_args(unhide), COMMON.to_uppercase());
    own = own.mut_args(
        |arg| if arg.get_help_heading() == Some(COMMON) { arg.hide(!path.is_empty()) } else { arg },
    );
    let man = Man::new(own);
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    let mut text = String::new();
    let page = pages::of(path);
    if let Some(page) = page.filter(|p| !p.details.is_empty()) {
        text.push_str(".SH DESCRIPTION\n");
        verbatim(&mut text, page.details);
    }
    out.extend_from_slice(text.as_bytes());
    text.clear();
    if command.get_arguments().any(|a| a.get_help_heading() != Some(COMMON)) || path.is_empty() {
        man.render_options_section(&mut out)?;
    }
    if path.is_empty() {
        commands(&mut text, command);
    } else if command.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    if let Some(page) = page {
        text.push_str(".SH EXAMPLES\n");
        for (what, line) in page.examples {
            if !what.is_empty() {
                let _ = writeln!(text, ".PP\n{}:", escape(what));
            }
            let _ = writeln!(text, ".PP\n.RS 4\n.nf\n{}\n.fi\n.RE", escape(line));
        }
    }
    if path.is_empty() {
        main_tables(&mut text);
    } else {
        let _ = writeln!(
            text,
            ".SH SEE ALSO\n.BR bosc (1)\nfor the {}, exit codes, errors and environment variables.",
            common.to_lowercase()
        );
    }
    out.extend_from_slice(text.as_bytes());
    Ok(out)
}

fn unhide(arg: clap::Arg) -> clap::Arg {
    if arg.get_env().is_some() { arg.hide_env_values(true) } else { arg }
}

/// The commands in their groups.
fn commands(out: &mut String, root: &Command) {
    out.push_str(".SH COMMANDS\n");
    for (group, names) in groups::GROUPS {
        let _ = writeln!(out, ".SS {}", escape(group));
        for name in names {
            let about = root.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            item(out, &format!("bosc-{name}(1)"), &about.unwrap_or_default());
        }
    }
}

fn main_tables(out: &mut String) {
    out.push_str(".SH EXIT STATUS\n");
    for (code, meaning) in topics::EXIT_CODES {
        item(out, &code.to_string(), meaning);
    }
    out.push_str(".SH ENVIRONMENT\n");
    for v in environment::READ.iter().chain(&environment::SET) {
        item(out, v.name, &format!("{} ({})", v.meaning, v.who));
    }
    out.push_str(".SH ERRORS\n");
    for e in ERRORS {
        item(out, &format!("{} (exit {})", e.code, e.exit), &format!("{}. Next: {}.", e.meaning, e.next));
    }
}

fn item(out: &mut String, name: &str, text: &str) {
    let _ = writeln!(out, ".TP\n.B {}\n{}", escape(name), escape(&wrap(text, 100)));
}

/// Lines as they are.
fn verbatim(out: &mut String, text: &str) {
    let _ = writeln!(out, ".nf\n{}\n.fi", escape(text));
}

/// Text that roff reads as text.
fn escape(text: &str) -> String {
    let line = |l: &str| {
        let l = l.replace('\\', "\\e").replace('-', "\\-");
        if l.starts_with(['.', '\'']) { format!("\\&{l}") } else { l }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
