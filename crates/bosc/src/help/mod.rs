//! What the program says about itself. One source for `--help`, `bosc help`, the manual pages and docs/cli*.md.
//!
//! - A command's line and flags are defined where they are parsed (`args` and its like), and nowhere else.
//! - What clap has no room for, a few sentences and examples, is in [`pages`], one [`page::Page`] a command.
//! - The topics are tables: [`errors`], [`environment`], [`topics`].
//!
//! [`command`] puts them together: own flags, examples, and the flags that every command has, last. `man` makes the manual
//! pages of the same. The pages below docs/ hold copies between two markers; `docs_blocks` (a test) compares them, and
//! writes them anew with `UPDATE_DOCS=1`. Tests hold every command to a page and a group, every example to the parser, every
//! error code and variable in the sources to its table.
//!
//! # Files
//!
//! - Here: how wide the help is.
//! - `page`, `pages/`: what clap has no room for. `groups`: the order of the commands. `text`: headings, literals, lines of
//!   one width.
//! - `errors`, `environment`, `topics`: the tables. `mistakes`: what was probably meant. `man`: manual pages.
//! - `docs_blocks`: the copies in docs/.

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod docs_blocks;
mod environment;
mod errors;
mod groups;
pub(crate) mod man;
mod mistakes;
mod page;
mod pages;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
mod text;
mod topics;

use crate::args::{Cli, HelpArgs};
use crate::global::COMMON;
use crate::printer::{Ended, Final, Printer};
use bosc_release::error::CommandError;
use bosc_release::event::Output;

use clap::builder::Resettable;
use clap::builder::StyledStr;
use clap::error::ContextKind;
use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
#[cfg(test)]
use text::WIDTH;
use text::{command_line, hanging, heading, literal, paragraphs, width, wrap, wrap_before};

pub(crate) use mistakes::hint;

/// With fewer columns than these a flag's description begins on a line of its own.
const BESIDE: usize = 70;
/// Columns before a description that has a line of its own.
const BELOW: usize = 10;
/// Columns of the flags in the list that is made here; clap makes the others.
const FLAG_COLUMN: usize = 35;
/// What clap is told of the terminal: lines are broken here, and nothing moves to another line for want of room.
const UNBROKEN: usize = 10_000;

/// The arguments of this process, parsed.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    parse_from(std::env::args_os().collect())
}

/// Arguments, parsed; an error says what was probably meant.
fn parse_from(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let arguments = help_is_a_flag(arguments);
    parse_without(&is_empty, arguments.clone())
        .map_err(|e| {
            // Help and version are no mistakes: they name the environment.
            if !e.use_stderr() {
                return e;
            }
            // The usage of clap lists what was given, by the environment too, as if it had to be.
            let what = |e: &clap::Error| (e.kind(), e.get(ContextKind::InvalidArg).map(ToString::to_string));
            match parse_without(&|_| true, arguments) {
                Err(plain) if what(&plain) == what(&e) => plain,
                _ => e,
            }
        })
        .map_err(mistakes::suggest)
}

/// Arguments, parsed without the environment variables that `out` names.
fn parse_without(out: &dyn Fn(&OsStr) -> bool, arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let matches = without_variables(command(), out).try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

/// What `bosc` alone shows.
pub(crate) fn start_page() -> String {
    let about = Cli::command().get_about().map(ToString::to_string).unwrap_or_default();
    format!(
        "{}\n\n{}All commands: {}. One of them: {}.\nA first application, step by step: docs/first-app.md\n",
        wrap(&about, width()),
        groups::first(width()),
        literal("bosc --help"),
        literal("bosc help COMMAND")
    )
}

/// A command that does not ask for these environment variables: one that is empty counts as not set, as in every program
/// of ours.
fn without_variables(command: Command, out: &dyn Fn(&OsStr) -> bool) -> Command {
    command
        .mut_args(|arg| match arg.get_env().is_some_and(out) {
            true => arg.env(Resettable::Reset),
            false => arg,
        })
        .mut_subcommands(|below| without_variables(below, out))
}

/// `bosc multisig help sign` is `bosc multisig sign --help`. `bosc help ...` is a command.
fn help_is_a_flag(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let root = Cli::command();
    let (mut at, mut found) = (&root, None);
    for (i, word) in arguments.iter().enumerate().skip(1) {
        if word == "help" && at.has_subcommands() && i > 1 {
            found = Some(i);
            break;
        }
        match word.to_str().and_then(|w| at.find_subcommand(w)) {
            Some(below) => at = below,
            None => break,
        }
    }
    if let Some(i) = found {
        arguments.remove(i);
        arguments.push("--help".into());
    }
    arguments
}

/// The command tree, with everything that `--help` shows.
pub(crate) fn command() -> Command {
    command_in(width())
}

/// The same in so many columns.
fn command_in(width: usize) -> Command {
    let mut root = with_help_flag(Cli::command());
    let (own, all) = (common_flags(&root, false, width), common_flags(&root, true, width));
    root = root.mut_args(|arg| if is_common(&arg) { arg.hide(true) } else { arg });
    dress(root, "", &Dress { common: &own, root_common: &all, width }, &[])
}

/// What the help of each command is made with.
#[derive(Clone, Copy)]
struct Dress<'a> {
    /// The flags of every command, and those of `bosc` alone besides.
    common: &'a str,
    root_common: &'a str,
    width: usize,
}

/// The same without the flags that every command has: what docs/ shows of one command.
#[cfg(test)]
fn command_alone() -> Command {
    let root = with_help_flag(Cli::command());
    let root = root.mut_args(|arg| if is_common(&arg) { arg.hide(true) } else { arg });
    dress(root, "", &Dress { common: "", root_common: "", width: WIDTH }, &[])
}

/// `--help` and `--version` as flags that are listed with the others.
fn with_help_flag(root: Command) -> Command {
    let flag = |id: &'static str, short: char| {
        Arg::new(id).long(id).short(short).help_heading(COMMON).display_order(usize::MAX)
    };
    root.disable_help_flag(true)
        .disable_version_flag(true)
        .arg(flag("help", 'h').action(ArgAction::Help).global(true).help("Print this help"))
        .arg(flag("version", 'V').action(ArgAction::Version).help("Print the version of bosc"))
}

fn is_common(arg: &Arg) -> bool {
    arg.get_help_heading() == Some(COMMON)
}

/// Details, examples and common flags of a command and of all below it. `above`: the columns that flags of commands above it take, which
/// are its own as well.
fn dress(command: Command, path: &str, with: &Dress<'_>, above: &[(String, usize)]) -> Command {
    let (page, width) = (pages::of(path), with.width);
    let mut after = String::new();
    if let Some(page) = page.filter(|p| !p.examples.is_empty()) {
        heading(&mut after, "Examples");
        for (what, line) in page.examples {
            if !what.is_empty() {
                let _ = writeln!(after, "  # {}", hanging(what, width, 4, "  # "));
            }
            let lines = command_line(line, width.saturating_sub(2));
            let _ = writeln!(after, "  {}", literal(&lines.replace('\n', "\n      ")));
        }
    }
    let root = path.is_empty();
    let flags = if root { with.root_common } else { with.common };
    if !flags.is_empty() {
        if !after.is_empty() {
            after.push('\n');
        }
        after.push_str(flags);
    }
    if root {
        after.push('\n');
        after.push_str(&topics::pointers(width));
    }
    let details = page
        .map(|p| p.details)
        .filter(|d| !d.is_empty())
        .map(|d| format!("{}\n\n", paragraphs(d, width)))
        .unwrap_or_default();
    let body = match (root, command.has_subcommands(), has_shown_args(&command)) {
        (true, ..) => groups::listing(&command, width),
        (_, _, true) | (_, true, _) => "{all-args}\n\n".to_owned(),
        _ => String::new(),
    };
    let about = command.get_about().map(|a| wrap(&a.to_string(), width)).unwrap_or_default();
    let template = format!("{about}\n\n{details}{{usage-heading}} {{usage}}\n\n{body}{after}");
    let beside = width >= BESIDE;
    let columns = columns(&command, above, |_| true);
    let below_too = columns_of_all(&command, above);
    let widest = widest_below(&command, &below_too);
    let names = command.get_subcommands().map(|c| c.get_name().len()).max().unwrap_or_default();
    command
        .help_template(template)
        .term_width(UNBROKEN)
        .next_line_help(!beside)
        .mut_args(|arg| {
            let of_heading = columns.iter().find(|(heading, _)| *heading == section(&arg));
            let column = of_heading.map_or(FLAG_COLUMN, |(_, column)| *column);
            // Commands below show it as well, some in a wider column.
            let below = widest.iter().filter(|(heading, _)| arg.is_global_set() && *heading == section(&arg));
            let column = below.map(|(_, column)| *column).fold(column, usize::max);
            let room = width.saturating_sub(if beside { column } else { BELOW });
            let text = arg.get_help().map(|help| wrap_before(&help.to_string(), room, added(&arg)));
            let arg = if arg.get_env().is_some() { arg.hide_env_values(true) } else { arg };
            match text {
                Some(text) => arg.help(text),
                None => arg,
            }
        })
        .mut_subcommands(|below| {
            let path = format!("{path} {}", below.get_name());
            let below = dress(below, path.trim_start(), with, &below_too);
            // What is shown of it in the list of the command above; its own page has it in its template.
            let room = width.saturating_sub(if beside { names + 4 } else { BELOW });
            let about = below.get_about().map(|a| wrap(&a.to_string(), room));
            match about {
                Some(about) => below.about(about),
                None => below,
            }
        })
}

/// The section of the help that a flag is in.
fn section(arg: &Arg) -> String {
    match arg.get_help_heading() {
        Some(heading) => heading.to_owned(),
        None if arg.is_positional() => "Arguments".to_owned(),
        None => "Options".to_owned(),
    }
}

/// The columns of the flags that the commands below have as well.
fn columns_of_all(command: &Command, above: &[(String, usize)]) -> Vec<(String, usize)> {
    columns(command, above, Arg::is_global_set)
}

/// The columns of all commands below, section by section.
fn widest_below(command: &Command, above: &[(String, usize)]) -> Vec<(String, usize)> {
    let mut out = Vec::new();
    for below in command.get_subcommands() {
        out.extend(columns(below, above, |_| true));
        out.extend(widest_below(below, &columns_of_all(below, above)));
    }
    out
}

/// The column at which clap begins the descriptions of each section, for the flags that count.
fn columns(
    command: &Command,
    above: &[(String, usize)],
    counts: impl Fn(&Arg) -> bool,
) -> Vec<(String, usize)> {
    let mut built = command.clone();
    built.build();
    let mut out: Vec<(String, usize)> = above.to_vec();
    for arg in built.get_arguments().filter(|arg| !arg.is_hide_set() && counts(arg)) {
        let short = if arg.is_positional() { 0 } else { 4 };
        let (of, column) = (section(arg), 2 + short + arg.to_string().chars().count() + 2);
        match out.iter_mut().find(|(heading, _)| *heading == of) {
            Some((_, known)) => *known = column.max(*known),
            None => out.push((of, column)),
        }
    }
    out
}

fn has_shown_args(command: &Command) -> bool {
    command.get_arguments().any(|arg| !arg.is_hide_set())
}

/// The flags of every command as clap would list them. `root`: also those of `bosc` alone.
fn common_flags(command: &Command, root: bool, width: usize) -> String {
    let mut out = String::new();
    heading(&mut out, COMMON);
    for arg in command.get_arguments().filter(|a| is_common(a) && (root || a.is_global_set())) {
        let short = arg.get_short().map(|s| format!("-{s},")).unwrap_or_default();
        let mut names = format!("  {short:3} --{}", arg.get_long().unwrap_or_default());
        if arg.get_action().takes_values() {
            let value = arg.get_value_names().unwrap_or_default().first();
            let _ = write!(names, " <{}>", value.map_or("VALUE", |v| v.as_str()));
        }
        let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
        if let Some(variable) = arg.get_env().and_then(|v| v.to_str()) {
            let _ = write!(text, " [env: {variable}]");
        }
        let beside = width >= BESIDE;
        let column = if beside { FLAG_COLUMN } else { BELOW };
        let text = hanging(&text, width, column, &" ".repeat(column));
        match beside {
            true => {
                let gap = FLAG_COLUMN.saturating_sub(names.len()).max(1);
                let _ = writeln!(out, "{}{:gap$}{text}", literal(&names), "");
            }
            false => {
                let _ = writeln!(out, "{}\n{:BELOW$}{text}", literal(&names), "");
            }
        }
    }
    out
}

/// How many characters clap adds to the help of a flag: its default, its variable, its other names, and the values it takes.
fn added(arg: &Arg) -> usize {
    let shown = !arg.is_hide_default_value_set() && arg.get_action().takes_values();
    let default: usize = arg.get_default_values().iter().filter(|_| shown).map(|v| v.len() + 12).sum();
    let names: usize = arg.get_visible_aliases().unwrap_or_default().iter().map(|n| n.len() + 12).sum();
    let values = match arg.get_action().takes_values() && !arg.is_hide_possible_values_set() {
        true => arg.get_possible_values().iter().map(|v| v.get_name().len() + 2).sum(),
        false => 0,
    };
    let values = if values > 0 { values + 18 } else { 0 };
    default + names + values + arg.get_env().map_or(0, |v| v.len() + 8)
}

/// `bosc help [COMMAND|TOPIC]...`
pub(crate) fn run(a: &HelpArgs, printer: &Printer) -> Ended {
    let text = if let [word] = a.words.as_slice()
        && let Some(topic) = topics::text(word)
    {
        topic
    } else {
        of_command(&a.words)?
    };
    if printer.is_json() {
        return Ok(Final::of(Shown { text: strip(&text) }));
    }
    printer.help(text);
    Ok(Output::Nothing.into())
}

/// What `help` ends with.
#[derive(Serialize)]
struct Shown {
    text: String,
}

/// What `bosc COMMAND --help` shows.
fn of_command(words: &[String]) -> Result<String, CommandError> {
    let mut command = command();
    command.build();
    let mut at = &mut command;
    for (i, word) in words.iter().enumerate() {
        let before = words.get(..i).unwrap_or_default().join(" ");
        if at.find_subcommand(word).is_none() {
            return Err(mistakes::no_help(&before, word, at));
        }
        at = match at.find_subcommand_mut(word) {
            Some(below) => below,
            None => return Err(CommandError::input("no such command")),
        };
    }
    Ok(at.render_help().ansi().to_string())
}

/// Text without its styles.
fn strip(text: &str) -> String {
    StyledStr::from(text.to_owned()).to_string()
}
