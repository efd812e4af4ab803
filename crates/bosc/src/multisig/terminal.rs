//! Questions to the person at the terminal: passphrases without echo, and yes or no.
//!
//! The terminal is asked even when standard input is a pipe. The echo comes back however the question ends, Ctrl+C
//! included. What was typed is wiped when dropped.

use crate::printer::Printer;
use bosc_release::command::Stop;
use bosc_release::error::{CommandError, ErrorKind};
use std::io::Read;
use zeroize::Zeroizing;

/// Longest passphrase in bytes.
const PASSPHRASE_MAX: usize = 1024;
/// Shortest new passphrase in bytes: what `hypercore-sign` takes.
const PASSPHRASE_MIN: usize = 8;

pub(super) type Secret = Zeroizing<Vec<u8>>;

/// Where a passphrase comes from: a file descriptor, a variable of the environment, or the terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) fd: Option<u32>,
    pub(super) fd_flag: &'static str,
    pub(super) variable: &'static str,
    pub(super) prompt: &'static str,
}

impl Origin {
    pub(super) fn present(fd: Option<u32>) -> Self {
        Self { fd, fd_flag: "--passphrase-fd", variable: "BOSC_PASSPHRASE", prompt: "Passphrase: " }
    }

    pub(super) fn renewed(fd: Option<u32>) -> Self {
        Self {
            fd,
            fd_flag: "--new-passphrase-fd",
            variable: "BOSC_NEW_PASSPHRASE",
            prompt: "New passphrase: ",
        }
    }

    /// The passphrase of a key there is.
    pub(super) fn read(&self, printer: &Printer, stop: &Stop) -> Result<Secret, CommandError> {
        let secret = match self.given()? {
            Some(secret) => secret,
            None => self.ask(self.prompt, printer, stop)?,
        };
        if secret.is_empty() {
            return Err(CommandError::input("password required").hint("give the passphrase of the key"));
        }
        Ok(secret)
    }

    /// A passphrase for a key that is encrypted now; typed twice.
    pub(super) fn read_new(&self, printer: &Printer, stop: &Stop) -> Result<Secret, CommandError> {
        let (secret, typed) = match self.given()? {
            Some(secret) => (secret, false),
            None => (self.ask(self.prompt, printer, stop)?, true),
        };
        if secret.is_empty() {
            return Err(
                CommandError::input("password required").hint("choose a passphrase; it cannot be recovered")
            );
        }
        if secret.len() < PASSPHRASE_MIN {
            return Err(CommandError::input(format!(
                "Password must be at least {PASSPHRASE_MIN} characters"
            ))
            .hint("several words are easy to remember and hard to guess"));
        }
        if typed && *self.ask("Once more: ", printer, stop)? != *secret {
            return Err(CommandError::input("Passwords do not match").hint("try again"));
        }
        Ok(secret)
    }

    fn given(&self) -> Result<Option<Secret>, CommandError> {
        if let Some(fd) = self.fd {
            return read_fd(fd, self.fd_flag).map(Some);
        }
        match std::env::var_os(self.variable) {
            Some(text) => bounded(text.into_encoded_bytes().into(), self.variable).map(Some),
            None => Ok(None),
        }
    }

    fn ask(&self, prompt: &str, printer: &Printer, stop: &Stop) -> Result<Secret, CommandError> {
        let typed = system::line(prompt, false, printer, stop).map_err(|e| match e {
            Failed::Stopped => stopped(),
            Failed::Io(e) => {
                CommandError::input("there is no terminal to ask for the passphrase").because(e).hint(
                    format!("give it with {} N or the environment variable {}", self.fd_flag, self.variable),
                )
            }
        })?;
        bounded(typed, "the terminal")
    }
}

/// Asks for a yes. Anything else is a no.
pub(super) fn confirm(
    question: &str,
    flag: &str,
    printer: &Printer,
    stop: &Stop,
) -> Result<bool, CommandError> {
    let typed = system::line(&format!("{question} [y/N] "), true, printer, stop).map_err(|e| match e {
        Failed::Stopped => stopped(),
        Failed::Io(e) => CommandError::input("there is no terminal to ask")
            .because(e)
            .hint(format!("add {flag} when you are sure")),
    })?;
    Ok(matches!(typed.trim_ascii().to_ascii_lowercase().as_slice(), b"y" | b"yes"))
}

enum Failed {
    Stopped,
    Io(std::io::Error),
}

fn stopped() -> CommandError {
    CommandError::new(ErrorKind::Interrupted, "ERR_INTERRUPTED", "stopped").hint("run the command again")
}

fn bounded(secret: Secret, from: &str) -> Result<Secret, CommandError> {
    if secret.len() > PASSPHRASE_MAX {
        return Err(CommandError::input(format!(
            "the passphrase from {from} is over {PASSPHRASE_MAX} bytes"
        )));
    }
    Ok(secret)
}

/// The first line that a file descriptor gives.
fn read_fd(fd: u32, flag: &str) -> Result<Secret, CommandError> {
    let failed = |e: std::io::Error| {
        CommandError::input(format!("{flag} {fd} cannot be read")).because(e).hint(
            "it must be an open pipe or file, like 3 with `3< file`; elsewhere use the environment variable",
        )
    };
    let mut secret = Zeroizing::new(Vec::with_capacity(PASSPHRASE_MAX + 2));
    let limit = PASSPHRASE_MAX as u64 + 2;
    if fd == 0 {
        std::io::stdin().lock().take(limit).read_to_end(&mut secret).map_err(failed)?;
    } else if cfg!(unix) {
        let file = std::fs::File::open(format!("/dev/fd/{fd}")).map_err(failed)?;
        file.take(limit).read_to_end(&mut secret).map_err(failed)?;
    } else {
        return Err(failed(std::io::ErrorKind::Unsupported.into()));
    }
    let end = secret.iter().position(|b| matches!(b, b'\n' | b'\r' | 0)).unwrap_or(secret.len());
    secret.truncate(end);
    bounded(secret, flag)
}

#[cfg(unix)]
mod system {
    use super::{Failed, Secret};
    use crate::printer::Printer;
    use bosc_release::command::Stop;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fd::{AsFd, BorrowedFd};
    use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
    use zeroize::Zeroizing;

    /// Gives the terminal its echo back.
    struct Quiet<'a> {
        fd: BorrowedFd<'a>,
        before: Termios,
    }

    impl Drop for Quiet<'_> {
        fn drop(&mut self) {
            let _ = tcsetattr(self.fd, OptionalActions::Now, &self.before);
        }
    }

    pub(super) fn line(prompt: &str, echo: bool, printer: &Printer, stop: &Stop) -> Result<Secret, Failed> {
        let stdin = std::io::stdin();
        let tty;
        let fd = if isatty(&stdin) {
            stdin.as_fd()
        } else {
            tty = std::fs::File::options().read(true).write(true).open("/dev/tty").map_err(Failed::Io)?;
            tty.as_fd()
        };
        let quiet = if echo {
            None
        } else {
            let before = tcgetattr(fd).map_err(|e| Failed::Io(e.into()))?;
            let mut modes = before.clone();
            modes.local_modes.remove(LocalModes::ECHO);
            modes.local_modes.insert(LocalModes::ECHONL);
            tcsetattr(fd, OptionalActions::Flush, &modes).map_err(|e| Failed::Io(e.into()))?;
            Some(Quiet { fd, before })
        };
        printer.prompt(prompt);
        let mut out = Zeroizing::new(Vec::with_capacity(2 * super::PASSPHRASE_MAX));
        let mut byte = [0u8; 1];
        let outcome = loop {
            if stop.is_stopped() {
                break Err(Failed::Stopped);
            }
            let mut fds = [PollFd::new(&fd, PollFlags::IN)];
            match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 })) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                // Some systems cannot poll /dev/tty and say so in the flags: reading works all the same.
                Ok(_) => {}
                Err(e) => break Err(Failed::Io(e.into())),
            }
            match rustix::io::read(fd, &mut byte) {
                Ok(0) => break Ok(()),
                Ok(_) if byte == *b"\n" => break Ok(()),
                Ok(_) if out.len() < 2 * super::PASSPHRASE_MAX => out.push(byte[0]),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => break Err(Failed::Io(e.into())),
            }
        };
        drop(quiet);
        outcome.map(|()| out)
    }
}

#[cfg(not(unix))]
mod system {
    use super::{Failed, Secret};
    use crate::printer::Printer;
    use bosc_release::command::Stop;
    use zeroize::Zeroizing;

    pub(super) fn line(prompt: &str, echo: bool, printer: &Printer, stop: &Stop) -> Result<Secret, Failed> {
        if stop.is_stopped() {
            return Err(Failed::Stopped);
        }
        printer.prompt(prompt);
        let term = console::Term::stderr();
        if !term.is_term() {
            return Err(Failed::Io(std::io::ErrorKind::Unsupported.into()));
        }
        let typed = if echo { term.read_line() } else { term.read_secure_line() };
        typed.map(|t| Zeroizing::new(t.into_bytes())).map_err(Failed::Io)
    }
}
