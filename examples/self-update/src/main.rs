//! A program without windows that updates itself: it works, looks for updates, applies them at once, starts its new version and
//! rolls it back if that does not work. It asks nobody; an application with a person in front of it is better off with the
//! fifteen lines in bosc-updater's documentation.
//!
//!     self-update <link> <data folder> [bootstrap host:port,...]
//!     self-update <URL> <data folder> <public key>
//!
//! What it says it also writes to `log.txt` in the data folder: a program that was started anew has no terminal.
//! Its version is the crate's, or the one in a last line `version: 1.0.1` appended to the executable, so that several
//! versions can be made of one build.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use bosc_updater::install::HealthPolicy;
use bosc_updater::{Event, Outcome, PublicKey, Started, UpdateError, UpdateSource, Updater};
use semver::Version;
use std::error::Error;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

/// Runs until a new version works, or was rolled back.
///
/// # Errors
/// What the updater or its arguments lack.
#[allow(unreachable_pub)]
pub fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [upgrade, dir, rest @ ..] = args.as_slice() else {
        return Err("give a link and a data folder".into());
    };
    let version = own_version()?;
    let say = |line: String| say(dir, &line);
    say(format!("running {version}"));

    let more = rest.iter().flat_map(|r| r.split(',')).map(str::to_owned);
    let source = if upgrade.starts_with("pear:") {
        UpdateSource::pear(upgrade).bootstrap(more)
    } else {
        UpdateSource::from_upgrade(upgrade, more.map(PublicKey::base64))
    };
    let builder = Updater::builder("self-update", version, source)
        .data_folder(dir)
        .delay(Duration::ZERO)
        .health(HealthPolicy::within(Duration::from_secs(20)));
    let updater = match builder.start() {
        Started::Running(updater) => updater,
        // This build was tried and rolled back: the one before it lies in its place. Make room for it.
        Started::RolledBack(failed) => return Ok(failed.restart()?),
    };
    // Here the real work begins. It works, so:
    updater.mark_healthy();

    for event in updater.events() {
        match event {
            Event::Updating { version, .. } => say(format!("updating to {version}")),
            Event::Updated(update) => {
                say(format!("ready {}, {} bytes received", update.version(), update.received()));
                match update.apply().wait() {
                    Ok(_) => break,
                    Err(e) => say(format!("not applied: {}", whole(&e))),
                }
            }
            Event::RolledBack { version, restored, .. } => {
                say(format!("rolled back {version} to {restored}"));
            }
            Event::VersionMismatch { release, running, .. } => {
                say(format!("the release says {release}, this program {running}"));
            }
            Event::NotInstalled { reason, .. } => say(reason),
            Event::Error(e) => say(format!("error: {}", whole(&e))),
            _ => {}
        }
    }
    // The old code stays until the new one says that it works, and puts itself back if it does not. What is started has these
    // arguments, this folder, and this environment.
    match updater.restart().inspect_err(|e| say(format!("not restarted: {}", whole(e))))? {
        Outcome::Healthy => say("the new version works".into()),
        Outcome::RolledBack { rolled_back, .. } => say(format!("rolled back {}", rolled_back.bad.version)),
        other => say(format!("{other:?}")),
    }
    Ok(())
}

/// An error with its causes.
fn whole(e: &UpdateError) -> String {
    [e.to_string()].into_iter().chain(e.causes()).collect::<Vec<_>>().join(": ")
}

fn say(dir: &str, line: &str) {
    println!("{line}");
    let log = std::fs::OpenOptions::new().create(true).append(true).open(Path::new(dir).join("log.txt"));
    let _ = log.and_then(|mut log| log.write_all(format!("{line}\n").as_bytes()));
}

/// The version appended to the executable, or else the crate's.
fn own_version() -> Result<Version, Box<dyn Error>> {
    let mut file = std::fs::File::open(std::env::current_exe()?)?;
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(end.saturating_sub(64)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let text = String::from_utf8_lossy(&tail);
    let appended = text.rsplit_once("\nversion: ").and_then(|(_, v)| v.trim().parse().ok());
    Ok(appended.unwrap_or(env!("CARGO_PKG_VERSION").parse()?))
}
