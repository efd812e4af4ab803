//! Starting the application as a process of its own.

use super::program::Program;
use super::{bundle, desktop};
use crate::error::{ErrorKind, UpdateError};
use crate::install::{Installer, Kind, fs};
use crate::secrets;
use crate::this_process::WATCHED;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The file that a start of the application at the installer's target runs, where the application says it: the file itself, or
/// what the `Info.plist` of a `.app` names.
///
/// # Errors
/// `Input` for a folder without a program of its name; `Integrity` for a bundle that names no program.
pub fn executable_of(installer: &Installer) -> Result<PathBuf, UpdateError> {
    executable(installer.target(), installer.kind(), None)
}

/// The executable to start, for what lies at the target.
pub(super) fn executable(target: &Path, kind: Kind, inside: Option<&Path>) -> Result<PathBuf, UpdateError> {
    match (kind, inside) {
        (Kind::File | Kind::Package, _) => Ok(target.to_owned()),
        (_, Some(inside)) => {
            let inner = inside.components().all(|part| matches!(part, std::path::Component::Normal(_)));
            if inner {
                Ok(target.join(inside))
            } else {
                Err(UpdateError::new(
                    ErrorKind::Input,
                    format!("{} does not lie in the application", inside.display()),
                )
                .hint("give the executable relative to the application's folder, as bin/app"))
            }
        }
        (Kind::Bundle, None) => bundle::executable(target),
        (Kind::Directory, None) => named_as(target).ok_or_else(|| {
            UpdateError::new(
                ErrorKind::Input,
                "which program in the application's folder to start is not known",
            )
            .hint("set Program::inside to the executable relative to the folder, as bin/app")
        }),
    }
}

/// The program in a folder that has the folder's name, in it or in its `bin`.
fn named_as(folder: &Path) -> Option<PathBuf> {
    let name = folder.file_name()?.to_str()?;
    for name in [name.to_owned(), name.to_lowercase()] {
        for place in [folder.to_owned(), folder.join("bin")] {
            let path = place.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
            let found = fs::look(&path).ok().flatten();
            if found.is_some_and(|found| found.is_file() && fs::mode_of(&found) & 0o111 != 0) {
                return Some(path);
            }
        }
    }
    None
}

/// Whether it is known which program [`relaunch`] and [`super::watch()`] would start. Ask at the start, not when it is needed.
///
/// # Errors
/// `Input` for a folder without [`Program::inside`] and without a program that is named as the folder, and when there is no such
/// program.
pub fn can_start(installer: &Installer, program: &Program) -> Result<(), UpdateError> {
    let path = executable(installer.target(), installer.kind(), program.inside.as_deref())?;
    if path.is_file() {
        return Ok(());
    }
    Err(UpdateError::new(ErrorKind::Input, format!("there is no program {}", path.display()))
        .hint("give the executable relative to the application's folder, as bin/app"))
}

/// Whether something that a program started still runs, now that the program itself has ended: a launcher does so.
pub(super) fn left_something(ended: &Child) -> bool {
    #[cfg(unix)]
    {
        // Every program that is started here leads a group of its own.
        let group = i32::try_from(ended.id()).ok().and_then(rustix::process::Pid::from_raw);
        group.is_some_and(|group| rustix::process::test_kill_process_group(group).is_ok())
    }
    #[cfg(not(unix))]
    {
        let _ = ended;
        false
    }
}

/// A command that starts `path` detached: its own process group, no terminal, nothing of ours open in it.
pub(super) fn command(path: &Path, program: &Program, watched: Option<u64>) -> Command {
    let mut command = Command::new(path);
    command.args(&program.args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for (name, value) in desktop::changes(std::env::vars_os()) {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    secrets::keep_from(&mut command);
    command.envs(program.env.iter().map(|(name, value)| (name, value)));
    match watched {
        Some(generation) => command.env(WATCHED, generation.to_string()),
        None => command.env_remove(WATCHED),
    };
    if let Some(folder) = desktop::folder(program.current_dir.as_deref(), &|name| std::env::var_os(name)) {
        command.current_dir(folder);
    }
    detach(&mut command);
    command
}

/// Out of the terminal's foreground: what ends the terminal or interrupts its programs does not reach it. A session of its
/// own would add nothing to that, and std has no safe call for it.
#[cfg(unix)]
fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

#[cfg(windows)]
fn detach(command: &mut Command) {
    use std::os::windows::process::CommandExt;
    const DETACHED_PROCESS: u32 = 0x0000_0008;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
}

#[cfg(not(any(unix, windows)))]
fn detach(_: &mut Command) {}

/// Starts a command. An executable that was just written may still be open in a process that is being made at this
/// moment; that passes.
pub(super) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let mut left = 100;
    loop {
        match command.spawn() {
            Err(e)
                if left > 0
                    && matches!(
                        e.kind(),
                        std::io::ErrorKind::ExecutableFileBusy
                            | std::io::ErrorKind::ResourceBusy
                            | std::io::ErrorKind::WouldBlock
                            | std::io::ErrorKind::Interrupted
                    ) =>
            {
                left -= 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

/// Starts the application detached from this process: its own process group, no terminal, nothing inherited but the
/// environment, less [the publisher's secrets](crate::secrets) and the folders of an AppImage that this process came in. Returns its process id. A `.app` goes through `open -n` (the id is then that of `open`, and `env` does not
/// reach it). An AppImage is started by its own path.
///
/// # Errors
/// `Input` for a folder without [`Program::inside`], `Disk` when it cannot be started; `Unsupported` for a program that came in an MSIX
/// package, which Windows starts: as long as this process runs, it would be the version that runs here.
pub fn relaunch(installer: &Installer, program: &Program) -> Result<u32, UpdateError> {
    let target = installer.target();
    if installer.kind() == Kind::Package {
        return Err(UpdateError::new(
            ErrorKind::Unsupported,
            "a program that came in an MSIX package cannot start itself again",
        )
        .hint("end the application; started from the menu, it is the version that was put in place"));
    }
    let failed = |e: std::io::Error| {
        UpdateError::new(ErrorKind::Disk, format!("cannot start {}", target.display()))
            .because(e)
            .hint("start the application by hand")
    };
    if installer.kind() == Kind::Bundle && cfg!(target_os = "macos") && program.inside.is_none() {
        let mut arguments = vec!["-n".into(), target.as_os_str().to_owned()];
        if !program.args.is_empty() {
            arguments.push("--args".into());
            arguments.extend(program.args.iter().cloned());
        }
        let open = Program { args: arguments, env: Vec::new(), ..program.clone() };
        return Ok(spawn(&mut command(Path::new("/usr/bin/open"), &open, None)).map_err(failed)?.id());
    }
    let path = executable(target, installer.kind(), program.inside.as_deref())?;
    Ok(spawn(&mut command(&path, program, None)).map_err(failed)?.id())
}

/// Ends a process that [`relaunch`] or [`super::watch()`] started, and all that it started, firmly: for tests and for a watcher
/// that cleans up after itself. Give it only an id that one of them returned, and before its process can be waited for.
pub fn end_started(pid: u32) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // Every one of them leads a group of its own.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    #[cfg(windows)]
    {
        let mut command = Command::new("taskkill");
        command.args(["/T", "/F", "/PID", &pid.to_string()]);
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    #[cfg(not(any(unix, windows)))]
    let _ = pid;
}

/// Ends a process that was started here and all that it started, firmly.
pub(super) fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        use rustix::process::{Signal, kill_process_group};
        let _ = kill_process_group(group, Signal::TERM);
        for _ in 0..100 {
            if matches!(child.try_wait(), Ok(Some(_))) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}
