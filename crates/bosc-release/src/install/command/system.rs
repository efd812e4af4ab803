//! What the system wants to know of an installed application. Failing here leaves the application installed; it is told
//! as a `warning`.

use super::desktop;
use crate::command::Sink;
use crate::install::event::InstallEvent;
use crate::install::{InstallItem, ItemKind, UserPlaces};
use std::path::{Path, PathBuf};

/// Does what is to be done once the files are in place. Returns the files that were made for it.
pub(super) fn after(
    items: &[InstallItem],
    app: &str,
    places: &UserPlaces,
    sink: &mut dyn Sink,
) -> Vec<PathBuf> {
    let mut extras = Vec::new();
    for item in items.iter().filter(|i| i.kind != ItemKind::Bin) {
        let done = match (places.platform.as_str(), item.kind) {
            ("linux", ItemKind::App) => desktop::entry(item, app, places),
            ("win32", ItemKind::Msix) => add_msix(&item.dest).map(|()| Vec::new()),
            _ => Ok(Vec::new()),
        };
        match done {
            Ok(made) => extras.extend(made),
            Err(e) => sink.tell(InstallEvent::Warning { file: item.dest.clone(), message: e.to_string() }),
        }
    }
    let bins = items.iter().filter(|i| i.kind == ItemKind::Bin).filter_map(|i| i.dest.parent()).next();
    if let Some(dir) = bins.filter(|d| !places.path.iter().any(|p| p == d)) {
        if let Err(e) = add_to_path(dir) {
            sink.tell(InstallEvent::Warning { file: dir.to_owned(), message: e.to_string() });
        }
        sink.tell(InstallEvent::Path { dir: dir.to_owned() });
    }
    extras
}

/// Runs PowerShell with a value in an environment variable: nothing of it is read as a command.
#[cfg(windows)]
fn powershell(script: &str, value: &Path) -> std::io::Result<()> {
    let status = bosc_updater::secrets::keep_from(&mut std::process::Command::new("powershell.exe"))
        .args(["-NoProfile", "-NonInteractive", "-Command", script])
        .env("BOSC_INSTALL_VALUE", value)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(std::io::Error::other(format!("PowerShell ended with {status}")))
    }
}

#[cfg(windows)]
fn add_msix(file: &Path) -> std::io::Result<()> {
    powershell("Add-AppxPackage -LiteralPath $env:BOSC_INSTALL_VALUE -ErrorAction Stop", file)
}

#[cfg(not(windows))]
fn add_msix(_: &Path) -> std::io::Result<()> {
    Err(std::io::Error::other("MSIX packages are installed by Windows"))
}

/// Adds a folder to the user's search path. Elsewhere than on Windows the user is told, and does it.
#[cfg(windows)]
fn add_to_path(dir: &Path) -> std::io::Result<()> {
    powershell(
        "$p = [Environment]::GetEnvironmentVariable('Path', 'User'); \
         if (-not (($p -split ';') -contains $env:BOSC_INSTALL_VALUE)) { \
         [Environment]::SetEnvironmentVariable('Path', (($p, $env:BOSC_INSTALL_VALUE) -join ';').Trim(';'), 'User') }",
        dir,
    )
}

#[cfg(not(windows))]
fn add_to_path(_: &Path) -> std::io::Result<()> {
    Ok(())
}
