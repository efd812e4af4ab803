//! Questions to the person at the terminal: passphrases without echo, yes or no, a word.
//!
//! The terminal is asked even when standard input is a pipe. The echo comes back however the question ends, Ctrl+C,
//! Ctrl+\ and Ctrl+Z included. Until the answer is there nothing else is printed. What was typed is kept off the disk and out of
//! core dumps, and wiped when dropped.

use crate::printer::Printer;
use bosc_release::command::Stop;
use bosc_release::error::{CommandError, ErrorKind};
use bosc_release::keys::guarded::{Guarded, no_core_dumps};
use std::io::{IsTerminal, Read};
use zeroize::Zeroizing;

/// Longest passphrase in bytes.
const PASSPHRASE_MAX: usize = 1024;
/// What editors of Windows put at the start of a file.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// Shortest new passphrase in bytes: what `hypercore-sign` takes.
const PASSPHRASE_MIN: usize = 8;

pub(crate) type Secret = Guarded;

/// Where a passphrase comes from: a file descriptor, a variable of the environment, or the terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) fd: Option<u32>,
    pub(crate) fd_flag: &'static str,
    pub(crate) variable: &'static str,
    pub(crate) prompt: &'static str,
}

impl Origin {
    pub(crate) fn present(fd: Option<u32>) -> Self {
        Self { fd, fd_flag: "--passphrase-fd", variable: "BOSC_PASSPHRASE", prompt: "Passphrase: " }
    }

    pub(crate) fn renewed(fd: Option<u32>) -> Self {
        Self {
            fd,
            fd_flag: "--new-passphrase-fd",
            variable: "BOSC_NEW_PASSPHRASE",
            prompt: "New passphrase: ",
        }
    }

    /// The passphrase of a key there is.
    pub(crate) fn read(&self, printer: &Printer, stop: &Stop) -> Result<Secret, CommandError> {
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
    pub(crate) fn read_new(&self, printer: &Printer, stop: &Stop) -> Result<Secret, CommandError> {
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
        if typed && self.ask("Once more: ", printer, stop)?.bytes() != secret.bytes() {
            return Err(CommandError::input("Passwords do not match").hint("try again"));
        }
        Ok(secret)
    }

    fn given(&self) -> Result<Option<Secret>, CommandError> {
        // Before the first byte of it is in memory.
        no_core_dumps();
        if let Some(fd) = self.fd {
            return first_line(fd, self.fd_flag, PASSPHRASE_MAX);
        }
        let Some(text) = std::env::var_os(self.variable).filter(|v| !v.is_empty()) else { return Ok(None) };
        let text = Zeroizing::new(text.into_encoded_bytes());
        let mut secret = Guarded::with_capacity(PASSPHRASE_MAX);
        if !secret.extend(&text) {
            return Err(too_long(self.variable, PASSPHRASE_MAX));
        }
        Ok(Some(secret))
    }

    fn ask(&self, prompt: &str, printer: &Printer, stop: &Stop) -> Result<Secret, CommandError> {
        let typed = system::line(prompt, false, printer, stop).map_err(|e| match e {
            Failed::Stopped => stopped(),
            Failed::Ended => not_given(),
            Failed::Io(e) => {
                CommandError::input("there is no terminal to ask for the passphrase").because(e).hint(
                    format!("give it with {} N or the environment variable {}", self.fd_flag, self.variable),
                )
            }
        })?;
        bounded(typed, "the terminal")
    }
}

/// What a person types without echo, as it was typed.
pub(crate) fn hidden(prompt: &str, printer: &Printer, stop: &Stop) -> Result<Secret, CommandError> {
    system::line(prompt, false, printer, stop).map_err(|e| match e {
        Failed::Stopped => stopped(),
        Failed::Ended => not_given(),
        Failed::Io(e) => CommandError::input("the passphrase could not be read").because(e),
    })
}

/// Asks for a yes. Anything else is a no.
pub(crate) fn confirm(
    question: &str,
    flag: &str,
    printer: &Printer,
    stop: &Stop,
) -> Result<bool, CommandError> {
    let typed = match system::line(&format!("{question} [y/N] "), true, printer, stop) {
        Ok(typed) => typed,
        Err(Failed::Ended) => return Ok(false),
        Err(Failed::Stopped) => return Err(stopped()),
        Err(Failed::Io(e)) => {
            return Err(CommandError::input("there is no terminal to ask")
                .because(e)
                .hint(format!("add {flag} if you are sure")));
        }
    };
    Ok(matches!(typed.bytes().trim_ascii().to_ascii_lowercase().as_slice(), b"y" | b"yes"))
}

/// What a person types, without spaces around it; empty when they only press Enter, and take what is proposed.
pub(crate) fn typed(
    question: &str,
    flag: &str,
    printer: &Printer,
    stop: &Stop,
) -> Result<String, CommandError> {
    match system::line(question, true, printer, stop) {
        Ok(typed) => Ok(String::from_utf8_lossy(typed.bytes().trim_ascii()).into_owned()),
        Err(Failed::Ended | Failed::Stopped) => Err(stopped()),
        Err(Failed::Io(e)) => {
            Err(CommandError::input("there is no terminal to ask").because(e).hint(format!("give {flag}")))
        }
    }
}

#[cfg(unix)]
pub(crate) use system::leave;
pub(crate) use system::{Unseen, restore_echo};

/// Why there is no answer.
pub(crate) enum Failed {
    Stopped,
    /// The input ended (Ctrl+D) before anything was typed.
    #[cfg_attr(not(unix), allow(dead_code))]
    Ended,
    Io(std::io::Error),
}

fn stopped() -> CommandError {
    CommandError::new(ErrorKind::Interrupted, "ERR_INTERRUPTED", "stopped").hint("run the command again")
}

fn not_given() -> CommandError {
    CommandError::input("no passphrase was given").hint("run the command again and type one, ended by Enter")
}

fn bounded(secret: Secret, from: &str) -> Result<Secret, CommandError> {
    if secret.len() > PASSPHRASE_MAX { Err(too_long(from, PASSPHRASE_MAX)) } else { Ok(secret) }
}

fn too_long(from: &str, most: usize) -> CommandError {
    CommandError::input(format!("the passphrase from {from} is over {most} bytes"))
}

/// The first line that a file descriptor gives, without a mark of its encoding. `None`: it is a terminal, where the person is to be asked.
/// A line of more than `most` bytes is an error.
pub(crate) fn first_line(fd: u32, flag: &str, most: usize) -> Result<Option<Secret>, CommandError> {
    let failed = |e: std::io::Error| {
        CommandError::input(format!("{flag} {fd} cannot be read")).because(e).hint(
            "it must be an open pipe or file, like 3 with `3< file`; elsewhere use the environment variable",
        )
    };
    let mut secret = Guarded::with_capacity(most + MARK.len() + 1);
    let mut file;
    let mut stdin;
    let from: &mut dyn Read = if fd == 0 && !cfg!(unix) {
        stdin = std::io::stdin().lock();
        if stdin.is_terminal() {
            return Ok(None);
        }
        &mut stdin
    } else {
        file = bosc_files::open_descriptor(fd).map_err(failed)?;
        if file.is_terminal() {
            return Ok(None);
        }
        &mut file
    };
    // Byte by byte: who writes may keep it open, and what follows the line is not ours.
    let mut byte = Zeroizing::new([0; 1]);
    loop {
        match from.read(&mut *byte) {
            Ok(0) => break,
            Ok(_) => {
                let [read] = *byte;
                if matches!(read, b'\n' | b'\r' | 0) || !secret.push(read) {
                    break;
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
    if secret.bytes().starts_with(MARK) {
        let mut text = Guarded::with_capacity(most + 1);
        // What does not fit makes it too long in any case.
        let _ = text.extend(secret.bytes().get(MARK.len()..).unwrap_or_default());
        secret = text;
    }
    if secret.len() > most { Err(too_long(flag, most)) } else { Ok(Some(secret)) }
}

#[cfg(unix)]
mod system {
    use super::{Failed, Secret};
    use crate::printer::Printer;
    use bosc_release::command::Stop;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
    use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
    use std::sync::{Mutex, PoisonError};

    /// The terminal without echo and how it was before, for whoever ends or stops the process.
    static ECHO: Mutex<Option<(OwnedFd, Termios)>> = Mutex::new(None);

    /// Gives the terminal its echo back.
    pub(crate) fn restore_echo() {
        if let Some((fd, before)) = &*ECHO.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = tcsetattr(fd, OptionalActions::Now, before);
        }
    }

    /// The same for a process that ends at once, in the middle of a question: what comes next begins a line.
    pub(crate) fn leave() {
        restore_echo();
        if let Some((fd, _)) = &*ECHO.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = rustix::io::write(fd, b"\n");
        }
    }

    /// What is typed does not stand in the middle of what is drawn, until it is dropped. A line of it ends unseen, too.
    pub(crate) struct Unseen {
        fd: OwnedFd,
        silent: Termios,
    }

    impl Unseen {
        /// `None` when nobody types, or that cannot be had.
        pub(crate) fn start() -> Option<Self> {
            let stdin = std::io::stdin();
            if !isatty(&stdin) {
                return None;
            }
            let fd = stdin.as_fd().try_clone_to_owned().ok()?;
            let before = tcgetattr(&fd).ok()?;
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
            crate::signals::restore_at_quit();
            *ECHO.lock().unwrap_or_else(PoisonError::into_inner) = Some((fd.try_clone().ok()?, before));
            tcsetattr(&fd, OptionalActions::Now, &silent).ok()?;
            Some(Self { fd, silent })
        }

        /// The echo comes back when the process was stopped and goes on: it is taken off again.
        pub(crate) fn again(&self) {
            if tcgetattr(&self.fd).is_ok_and(|now| now.local_modes.contains(LocalModes::ECHO)) {
                let _ = tcsetattr(&self.fd, OptionalActions::Now, &self.silent);
            }
        }
    }

    impl Drop for Unseen {
        fn drop(&mut self) {
            restore_echo();
            *ECHO.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// No echo, until it is dropped.
    struct Quiet<'a> {
        fd: BorrowedFd<'a>,
        silent: Termios,
    }

    impl<'a> Quiet<'a> {
        fn new(fd: BorrowedFd<'a>) -> std::io::Result<Self> {
            crate::signals::restore_at_quit();
            let before = tcgetattr(fd)?;
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            silent.local_modes.insert(LocalModes::ECHONL);
            *ECHO.lock().unwrap_or_else(PoisonError::into_inner) = Some((fd.try_clone_to_owned()?, before));
            tcsetattr(fd, OptionalActions::Flush, &silent)?;
            Ok(Self { fd, silent })
        }

        /// Whether the echo had come back, as it does when the process was stopped and goes on. It is off again.
        fn again(&self) -> bool {
            let back = tcgetattr(self.fd).is_ok_and(|now| now.local_modes.contains(LocalModes::ECHO));
            back && tcsetattr(self.fd, OptionalActions::Now, &self.silent).is_ok()
        }
    }

    impl Drop for Quiet<'_> {
        fn drop(&mut self) {
            restore_echo();
            *ECHO.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    pub(crate) fn line(prompt: &str, echo: bool, printer: &Printer, stop: &Stop) -> Result<Secret, Failed> {
        let stdin = std::io::stdin();
        let tty;
        let fd = if isatty(&stdin) {
            stdin.as_fd()
        } else {
            tty = std::fs::File::options().read(true).write(true).open("/dev/tty").map_err(Failed::Io)?;
            tty.as_fd()
        };
        let _still = printer.question();
        let quiet = if echo { None } else { Some(Quiet::new(fd).map_err(Failed::Io)?) };
        printer.prompt(prompt);
        let mut out = Secret::with_capacity(2 * super::PASSPHRASE_MAX);
        let mut byte = [0u8; 1];
        let outcome = loop {
            if stop.is_stopped() {
                break Err(Failed::Stopped);
            }
            if quiet.as_ref().is_some_and(Quiet::again) {
                printer.prompt(prompt);
            }
            let mut fds = [PollFd::new(&fd, PollFlags::IN)];
            match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 })) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                // Some systems cannot poll /dev/tty and say so in the flags: reading works all the same.
                Ok(_) => {}
                Err(e) => break Err(Failed::Io(e.into())),
            }
            match rustix::io::read(fd, &mut byte) {
                Ok(0) if out.is_empty() => break Err(Failed::Ended),
                Ok(0) => break Ok(()),
                Ok(_) if byte == *b"\n" => break Ok(()),
                // What does not fit makes it too long in any case.
                Ok(_) => drop(out.push(byte[0])),
                Err(rustix::io::Errno::INTR) => {}
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

    /// Without a terminal's own modes there is nothing to give back.
    pub(crate) fn restore_echo() {}

    /// Nor anything to take off.
    pub(crate) struct Unseen;

    impl Unseen {
        pub(crate) fn start() -> Option<Self> {
            None
        }

        pub(crate) fn again(&self) {}
    }

    pub(crate) fn line(prompt: &str, echo: bool, printer: &Printer, stop: &Stop) -> Result<Secret, Failed> {
        if stop.is_stopped() {
            return Err(Failed::Stopped);
        }
        let _still = printer.question();
        printer.prompt(prompt);
        let term = console::Term::stderr();
        if !term.is_term() {
            return Err(Failed::Io(std::io::ErrorKind::Unsupported.into()));
        }
        let typed = if echo { term.read_line() } else { term.read_secure_line() };
        let typed = Zeroizing::new(typed.map_err(Failed::Io)?);
        let mut out = Secret::with_capacity(2 * super::PASSPHRASE_MAX);
        // What does not fit makes it too long in any case.
        let _ = typed.bytes().all(|byte| out.push(byte));
        Ok(out)
    }
}
