//! Completions and manual pages, from the definitions that parse the arguments.

use super::args::{Completions, Man, Shell};
use crate::args::Cli;
use crate::printer::{Printer, Tone};
use bosc_release::command::Outcome;
use bosc_release::error::{CommandError, ErrorKind};
use clap::CommandFactory;
use serde_json::json;

fn failed(what: &str, e: std::io::Error) -> CommandError {
    CommandError::new(ErrorKind::Permission, "ERR_UNWRITABLE", what.to_owned())
        .because(e)
        .hint("choose a folder you may write to")
}

pub(super) fn completions(a: &Completions, printer: &Printer) -> Outcome {
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
        return Ok(json!({ "shell": shell.to_string(), "text": text }));
    }
    printer.raw(text.as_bytes());
    Ok(json!({}))
}

pub(super) fn man(a: &Man, printer: &Printer) -> Outcome {
    let Some(dir) = &a.dir else {
        let mut out = Vec::new();
        clap_mangen::Man::new(Cli::command())
            .render(&mut out)
            .map_err(|e| failed("the page could not be made", e))?;
        if printer.is_json() {
            return Ok(json!({ "text": String::from_utf8_lossy(&out) }));
        }
        printer.raw(&out);
        return Ok(json!({}));
    };
    let unwritable = |e| failed(&format!("cannot write to {}", dir.display()), e);
    std::fs::create_dir_all(dir).map_err(unwritable)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(unwritable)?;
    let mut pages: Vec<String> = std::fs::read_dir(dir)
        .map_err(unwritable)?
        .filter_map(|i| i.ok()?.file_name().into_string().ok())
        .filter(|n| n.starts_with("bosc") && n.ends_with(".1"))
        .collect();
    pages.sort();
    for page in &pages {
        printer.data(&dir.join(page).display().to_string());
    }
    printer.say(
        Tone::Good,
        &format!("{} pages; read one with `man {}`", pages.len(), dir.join("bosc.1").display()),
    );
    Ok(json!({ "dir": dir, "pages": pages }))
}
