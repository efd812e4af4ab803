//! Completions and manual pages, from the definitions that parse the arguments.

pub(crate) mod args;

use crate::args::Cli;
use crate::plain::Tone;
use crate::printer::{Ended, Final, Printer};
use args::{Completions, Man, Shell};
use bosc_files::{Durability, Replace};
use bosc_release::error::CommandError;
use bosc_release::event::Output;
use bosc_release::output_file::{OutputFile, OutputKind};
use clap::CommandFactory;
use serde::Serialize;

fn failed(what: &str, e: std::io::Error) -> CommandError {
    CommandError::unwritable(what, e, "choose a folder you may write to")
}

pub(super) fn completions(a: &Completions, printer: &Printer) -> Ended {
    let mut command = Cli::command();
    let mut out = Vec::new();
    let shell = match a.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Elvish => clap_complete::Shell::Elvish,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::Powershell => clap_complete::Shell::PowerShell,
        Shell::Zsh => clap_complete::Shell::Zsh,
    };
    clap_complete::generate(shell, &mut command, "bosc", &mut out);
    let text = String::from_utf8_lossy(&out).into_owned();
    if printer.is_json() {
        return Ok(Final::of(Completion { shell: shell.to_string(), text }));
    }
    printer.raw(text.as_bytes());
    Ok(Output::Nothing.into())
}

pub(super) fn man(a: &Man, printer: &Printer) -> Ended {
    let unmade = |e| failed("the manual pages could not be made", e);
    let Some(dir) = &a.dir else {
        let page = crate::help::man::main_page().map_err(unmade)?;
        if printer.is_json() {
            return Ok(Final::of(Page { text: String::from_utf8_lossy(&page).into_owned() }));
        }
        printer.raw(&page);
        return Ok(Output::Nothing.into());
    };
    let how = Replace::new(Durability::Whole).make_folders().follow_links();
    let all = crate::help::man::all_pages().map_err(unmade)?;
    for (name, _) in &all {
        OutputFile::new(&dir.join(name), OutputKind::Plain).check()?;
    }
    let mut pages = Vec::new();
    for (name, page) in all {
        how.write(&dir.join(&name), &page)
            .map_err(|e| failed(&format!("cannot write to {}", dir.display()), e))?;
        pages.push(name);
    }
    for page in &pages {
        printer.data(&dir.join(page).display().to_string());
    }
    printer.say(
        Tone::Good,
        &format!("{} pages; read one with `man {}`", pages.len(), dir.join("bosc.1").display()),
    );
    Ok(Final::of(Pages { dir: dir.display().to_string(), pages }))
}

/// What `completions` ends with.
#[derive(Serialize)]
struct Completion {
    shell: String,
    text: String,
}

/// What `man` ends with.
#[derive(Serialize)]
struct Page {
    text: String,
}

/// What `man DIR` ends with.
#[derive(Serialize)]
struct Pages {
    dir: String,
    pages: Vec<String>,
}
