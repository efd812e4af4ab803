//! Where a passphrase comes from: a file descriptor, the environment, or a prompt without echo. Never an argument.

use super::args::PassphraseFlags;
use crate::printer::Printer;
use crate::question;
use bosc_release::command::Stop;
use bosc_release::error::CommandError;
use bosc_release::keys::Passphrase;
use bosc_release::keys::guarded::{no_core_dumps, not_dumpable};
use std::io::IsTerminal;
use zeroize::Zeroizing;

/// Longest passphrase taken, in bytes.
const MAX: usize = 4096;
/// The environment variable.
const VARIABLE: &str = "BOSC_PASSPHRASE";

/// Gets the passphrase. `new`: it is being chosen, so a prompt asks twice.
pub(super) fn get(
    from: &PassphraseFlags,
    new: bool,
    printer: &Printer,
    stop: &Stop,
) -> Result<Passphrase, CommandError> {
    // Before the first byte of it is in memory.
    no_core_dumps();
    let given = if let Some(fd) = from.passphrase_fd {
        match question::first_line(fd, "--passphrase-fd", MAX)? {
            Some(line) => text(&line)?,
            None => prompt(new, printer, stop)?,
        }
    } else if let Some(text) = environment()? {
        text
    } else {
        prompt(new, printer, stop)?
    };
    if given.is_empty() || given.len() > MAX {
        return Err(CommandError::input("the passphrase is empty or over 4096 bytes")
            .hint("give one at the prompt, with --passphrase-fd N, or in BOSC_PASSPHRASE"));
    }
    Ok(Passphrase::new(given))
}

/// BOSC_PASSPHRASE, if it is set.
pub(crate) fn passphrase_from_environment() -> Result<Option<Passphrase>, CommandError> {
    not_dumpable();
    Ok(environment()?.filter(|t| t.len() <= MAX).map(Passphrase::new))
}

fn environment() -> Result<Option<Zeroizing<String>>, CommandError> {
    let Some(value) = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()) else { return Ok(None) };
    let text = value.into_string().map_err(|mut lost| {
        lost.clear();
        CommandError::input("BOSC_PASSPHRASE is not Unicode")
    })?;
    Ok(Some(Zeroizing::new(text)))
}

fn text(secret: &question::Secret) -> Result<Zeroizing<String>, CommandError> {
    std::str::from_utf8(secret.bytes())
        .map(|t| Zeroizing::new(t.to_owned()))
        .map_err(|_| CommandError::input("the passphrase is not UTF-8"))
}

fn prompt(new: bool, printer: &Printer, stop: &Stop) -> Result<Zeroizing<String>, CommandError> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(CommandError::input("there is no terminal to ask for the passphrase on")
            .hint("give it with --passphrase-fd N, or in BOSC_PASSPHRASE"));
    }
    let ask = |prompt: &str| text(&question::hidden(prompt, printer, stop)?);
    let first = ask("Passphrase: ")?;
    if new && !first.is_empty() && *ask("The same again: ")? != *first {
        return Err(CommandError::input("the two passphrases differ").hint("run the command again"));
    }
    Ok(first)
}
