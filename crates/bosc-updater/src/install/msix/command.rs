//! What the system is asked for, by whom, and what its answers mean.

use crate::error::{ErrorKind, UpdateError};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The environment variable that carries the package's path.
pub(super) const PACKAGE: &str = "BOSC_MSIX_PACKAGE";

/// The whole text that PowerShell reads. The path is not in it: a variable's value is one argument whatever is in it.
///
/// `ForceUpdateFromAnyVersion` lets an older package come back. With `DeferRegistrationWhenPackagesAreInUse` the package is
/// prepared now and takes effect when the application has ended; without it a running application is an error.
pub(super) const TEXT: &str = "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'; \
    try { Add-AppxPackage -Path $env:BOSC_MSIX_PACKAGE -ForceUpdateFromAnyVersion \
    -DeferRegistrationWhenPackagesAreInUse -ErrorAction Stop } \
    catch { [Console]::Error.WriteLine($_.FullyQualifiedErrorId + ' ' + $_.Exception.Message); exit 1 }";

/// Characters of the system's own words that an error carries.
const MAX_TEXT: usize = 1000;

/// One request to the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) program: PathBuf,
    pub(super) arguments: [&'static str; 4],
    pub(super) set: (&'static str, OsString),
    /// Variables it must not inherit.
    pub(super) unset: [&'static str; 1],
}

impl Command {
    /// Asks the system to install a package. `system_root` is Windows' own folder: the program is not looked for along a
    /// search path, where somebody else's could be found first.
    pub(super) fn add(package: &Path, system_root: Option<OsString>) -> Self {
        let root = system_root.filter(|root| !root.is_empty()).unwrap_or_else(|| "C:\\Windows".into());
        let program = ["System32", "WindowsPowerShell", "v1.0", "powershell.exe"];
        Self {
            program: program.iter().fold(PathBuf::from(root), |path, part| path.join(part)),
            arguments: ["-NoProfile", "-NonInteractive", "-Command", TEXT],
            set: (PACKAGE, package.as_os_str().to_owned()),
            // A newer PowerShell that the application was started from names folders whose modules this one cannot load.
            unset: ["PSModulePath"],
        }
    }
}

/// Why a request was not granted.
#[derive(Debug)]
#[cfg_attr(not(any(windows, test)), allow(dead_code))]
pub(super) enum Failure {
    /// Nothing was asked: the program could not be started.
    NotStarted(io::Error),
    /// The system said no; it keeps what is installed. Its words.
    Refused(String),
    /// No answer in time. What was asked may still happen.
    Silent,
}

/// Who asks the system.
pub(super) trait Runner: Send + Sync + std::fmt::Debug {
    fn run(&self, command: &Command) -> Result<(), Failure>;
}

/// The error for a failure.
pub(super) fn explain(failure: Failure) -> UpdateError {
    let words = match failure {
        Failure::NotStarted(e) => {
            return UpdateError::new(
                ErrorKind::Disk,
                "PowerShell, which hands packages to Windows, cannot be started",
            )
            .because(e)
            .hint("check that powershell.exe may run on this machine; the installed version is untouched");
        }
        Failure::Silent => {
            return UpdateError::new(
                ErrorKind::Busy,
                "Windows did not report in time whether it accepted the package",
            )
            .hint("close the application and start it again; it runs the new version, or offers it again");
        }
        Failure::Refused(words) => words,
    };
    let (kind, hint) = meaning(&words);
    UpdateError::new(kind, "Windows did not accept the package and keeps the installed version")
        .because(shown(&words))
        .hint(hint)
}

/// The system's words without what a terminal could act on, and bounded.
fn shown(words: &str) -> String {
    let clean: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect();
    let clean = clean.trim();
    if clean.is_empty() { "no reason was given".to_owned() } else { clean.to_owned() }
}

/// What the first deployment error number in the words means.
fn meaning(words: &str) -> (ErrorKind, &'static str) {
    if words.contains("NamedParameterNotFound") {
        return (
            ErrorKind::Unsupported,
            "this version of Windows cannot update a running package: update Windows, or install the package by hand",
        );
    }
    let number = words.match_indices("0x").find_map(|(at, _)| {
        let digits = words.get(at.checked_add(2)?..at.checked_add(10)?)?;
        u32::from_str_radix(digits, 16).ok().filter(|number| *number >= 0x8000_0000)
    });
    match number {
        Some(0x8007_0070 | 0x8007_3CF4) => (ErrorKind::NoSpace, "make room on the disk and try again"),
        Some(0x800B_0100 | 0x800B_0109 | 0x800B_010A | 0x8009_6004 | 0x8009_6005 | 0x8007_3CF0) => (
            ErrorKind::Integrity,
            "the package is damaged or its certificate is not trusted here: the publisher has to sign it again",
        ),
        Some(0x8007_0005 | 0x8007_3CFF | 0x8007_3D01) => {
            (ErrorKind::Permission, "a policy on this machine blocks packages: ask its administrator")
        }
        Some(0x8007_3D02) => (ErrorKind::Busy, "close every instance of the application and try again"),
        Some(0x8007_3CF3 | 0x8007_3CFB | 0x8007_3D06 | 0x8007_3CFD) => (
            ErrorKind::Refused,
            "the package does not match what is installed: its publisher, version and Windows version have to",
        ),
        _ => (ErrorKind::Refused, "try again later, or install the package by hand to see what Windows says"),
    }
}

/// The real one.
#[derive(Debug)]
pub(super) struct System;

#[cfg(not(windows))]
impl Runner for System {
    fn run(&self, _: &Command) -> Result<(), Failure> {
        Err(Failure::NotStarted(io::ErrorKind::Unsupported.into()))
    }
}

#[cfg(windows)]
impl Runner for System {
    fn run(&self, command: &Command) -> Result<(), Failure> {
        use std::io::Read;
        use std::os::windows::process::CommandExt;
        use std::process::Stdio;
        use std::time::{Duration, Instant};
        /// How long the system may take for a package, large and on a slow disk.
        const PATIENCE: Duration = Duration::from_secs(15 * 60);
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        const MAX_WORDS: u64 = 16 * 1024;

        let mut process = std::process::Command::new(&command.program);
        process.args(command.arguments).env(command.set.0, &command.set.1).creation_flags(CREATE_NO_WINDOW);
        crate::secrets::keep_from(&mut process);
        for name in command.unset {
            process.env_remove(name);
        }
        process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = process.spawn().map_err(Failure::NotStarted)?;
        let words = child.stderr.take().map(|mut from| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = from.by_ref().take(MAX_WORDS).read_to_end(&mut bytes);
                // What is too much is read all the same, or the other side would wait for ever.
                let _ = io::copy(&mut from, &mut io::sink());
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
                Ok(None) | Err(_) => {
                    // Ends PowerShell; the service behind it may go on.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(Failure::Silent);
                }
            }
        };
        if status.success() {
            return Ok(());
        }
        let words = words.and_then(|words| words.join().ok()).unwrap_or_default();
        // Ended from outside, by a person or a virus scanner, without a word: nobody knows what the service does.
        if status.code() != Some(1) && words.trim().is_empty() {
            return Err(Failure::Silent);
        }
        Err(Failure::Refused(words))
    }
}
