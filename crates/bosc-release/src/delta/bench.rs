//! What other programs make of the same files, as far as they are installed.
//!
//! They are started by name, without the secrets of this environment and with paths that cannot be taken for flags, and ended when the
//! command is. What they write goes into a pipe and is counted; of bsdiff, which needs a file, into a folder that is removed.

use super::event::Tried;
use crate::command::Stop;
use crate::engine::follow::stopped;
use crate::error::CommandError;
use bosc_files::Work;
use bosc_updater::secrets::keep_from;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Measures them one after the other.
pub(super) fn others(
    (old, new): (&Path, &Path),
    stop: &Stop,
    on: &mut dyn FnMut(Tried),
) -> Result<(), CommandError> {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (old, new) = (absolute(old), absolute(new));
    let mut from = std::ffi::OsString::from("--patch-from=");
    from.push(&old);
    let piped: [(&str, bool, Vec<std::ffi::OsString>); 3] = [
        ("xz -9e", false, vec!["-9e".into(), "-c".into(), new.clone().into()]),
        ("zstd -19", false, vec!["-19".into(), "-q".into(), "-c".into(), new.clone().into()]),
        (
            "zstd -19 --patch-from",
            true,
            vec!["-19".into(), "-q".into(), "-c".into(), from, new.clone().into()],
        ),
    ];
    for (by, takes_old, args) in piped {
        let mut command = Command::new(by.split(' ').next().unwrap_or_default());
        command.args(args).stdout(Stdio::piped());
        if let Some((bytes, ms)) = measured(command, stop)? {
            on(Tried { by: by.to_owned(), old: takes_old, bytes, ms });
        }
    }
    // Without a place for its patch there is nothing to measure.
    let Ok(work) = Work::temporary("bosc-delta-") else { return Ok(()) };
    let patch = work.path().join("patch");
    let mut command = Command::new("bsdiff");
    command.args([&old, &new, &patch]).stdout(Stdio::null());
    if let Some((piped, ms)) = measured(command, stop)? {
        let bytes = piped.and_then(|_| std::fs::metadata(&patch).ok()).map(|m| m.len());
        on(Tried { by: "bsdiff".to_owned(), old: true, bytes, ms });
    }
    Ok(())
}

/// Runs a program: the bytes that it wrote into its pipe, none if it failed, and how long it took. `None` when it is not installed.
fn measured(mut command: Command, stop: &Stop) -> Result<Option<(Option<u64>, u64)>, CommandError> {
    let begun = Instant::now();
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let Ok(child) = keep_from(&mut command).spawn() else { return Ok(None) };
    let mut running = Running(child);
    let counter: Option<JoinHandle<io::Result<u64>>> = match running.0.stdout.take() {
        Some(mut pipe) => {
            let count = move || {
                let (mut part, mut all) = (vec![0; 64 << 10], 0u64);
                loop {
                    match pipe.read(&mut part)? {
                        0 => return Ok(all),
                        n => all = all.saturating_add(n as u64),
                    }
                }
            };
            std::thread::Builder::new().name("count".into()).spawn(count).ok()
        }
        None => None,
    };
    let status = loop {
        match running.0.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if stop.is_stopped() => return Err(stopped()),
            Ok(None) => std::thread::sleep(LOOK),
            Err(_) => return Ok(Some((None, 0))),
        }
    };
    let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let bytes = match counter {
        Some(counter) => counter.join().ok().and_then(Result::ok),
        None => Some(0),
    };
    Ok(Some((bytes.filter(|_| status.success()), ms)))
}

/// Ends with whoever started it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
