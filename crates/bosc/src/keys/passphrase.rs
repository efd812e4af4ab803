//! Where a passphrase comes from: a file descriptor, the environment, or a prompt without echo. Never an argument.

use super::args::PassphraseFlags;
use crate::printer::Printer;
use crate::question;
use bosc_release::command::Stop;
use bosc_release::error::CommandError;
use bosc_release::keys::Passphrase;
use bosc_release::keys::guarded::{no_core_dumps, not_dumpable};
use std::io::{IsTerminal, Read};
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
    let text = if let Some(fd) = from.passphrase_fd {
        descriptor(fd)?
    } else if let Some(text) = environment()? {
        text
    } else {
        prompt(new, printer, stop)?
    };
    if text.is_empty() || text.len() > MAX {
        return Err(CommandError::input("the passphrase is empty or over 4096 bytes")
            .hint("give one at the prompt, with --passphrase-fd N, or in BOSC_PASSPHRASE"));
    }
    Ok(Passphrase::new(text))
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

/// The first line of an open file.
fn descriptor(fd: u32) -> Result<Zeroizing<String>, CommandError> {
    let wrong = |e: std::io::Error| {
        CommandError::input(format!("file descriptor {fd} cannot be read"))
            .because(e)
            .hint("open one for reading, as in `bosc keys ... --passphrase-fd 3 3<file`")
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX + 2));
    let limit = MAX as u64 + 1;
    if fd == 0 {
        std::io::stdin().take(limit).read_to_end(&mut bytes).map_err(wrong)?;
    } else if cfg!(unix) {
        std::fs::File::open(format!("/dev/fd/{fd}"))
            .and_then(|f| f.take(limit).read_to_end(&mut bytes))
            .map_err(wrong)?;
    } else {
        return Err(CommandError::input("here only file descriptor 0, the standard input, can be read")
            .hint("use --passphrase-fd 0, or BOSC_PASSPHRASE"));
    }
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| CommandError::input("the passphrase is not UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn prompt(new: bool, printer: &Printer, stop: &Stop) -> Result<Zeroizing<String>, CommandError> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(CommandError::input("there is no terminal to ask for the passphrase on")
            .hint("give it with --passphrase-fd N, or in BOSC_PASSPHRASE"));
    }
    let ask = |text: &str| {
        let typed = question::hidden(text, printer, stop)?;
        std::str::from_utf8(typed.bytes())
            .map(|t| Zeroizing::new(t.to_owned()))
            .map_err(|_| CommandError::input("the passphrase is not UTF-8"))
    };
    let first = ask("Passphrase: ")?;
    if new && !first.is_empty() && *ask("The same again: ")? != *first {
        return Err(CommandError::input("the two passphrases differ").hint("run the command again"));
    }
    Ok(first)
}
