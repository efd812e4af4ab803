//! A desktop entry for an application on Linux.
//!
//! An AppImage carries one, and icons; it is asked for them with `--appimage-extract`, as it is about to be run by its
//! user anyway, with a bound on time. Whatever it gives is data: only plain files inside the folder it wrote are taken,
//! names of ours, sizes bounded. Without any, an entry with name and command is written.

use crate::install::{InstallItem, UserPlaces};
use bosc_files::{Durability, Replace, Work};
use std::fs;
use std::io::{Error, Read, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long an AppImage may take to give one of its files.
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_ENTRY: u64 = 64 << 10;
const MAX_ICON: u64 = 4 << 20;

/// Writes the entry and the icon. Returns what was written.
pub(super) fn entry(item: &InstallItem, app: &str, places: &UserPlaces) -> Result<Vec<PathBuf>> {
    let Some(command) = command(item, app) else { return Ok(Vec::new()) };
    let data = places.data_dir();
    let base = format!("bosc-{}", app.replace(' ', "-"));
    let mut made = Vec::new();
    let (mut text, mut icon) = (None, None);
    if !item.folder && is_appimage(&command) {
        let work = Work::temporary("bosc-extract-")?;
        let found = extract(&command, work.path());
        if let Some((extension, bytes)) = found.1 {
            let at = data.join("icons").join(format!("{base}.{extension}"));
            write(&at, &bytes)?;
            made.push(at.clone());
            icon = Some(at);
        }
        text = found.0;
    }
    let at = data.join("applications").join(format!("{base}.desktop"));
    write(&at, compose(text.as_deref(), app, &command, icon.as_deref()).as_bytes())?;
    made.push(at);
    Ok(made)
}

/// What to run: the file, or the program in the folder that is called as the application.
fn command(item: &InstallItem, app: &str) -> Option<PathBuf> {
    if !item.folder {
        return Some(item.dest.clone());
    }
    let stem = item.dest.file_stem()?.to_str()?.to_owned();
    [app, &stem, &app.to_lowercase()]
        .iter()
        .flat_map(|n| [item.dest.join(n), item.dest.join("bin").join(n)])
        .find(|p| p.is_file())
}

fn write(at: &Path, bytes: &[u8]) -> Result<()> {
    Replace::new(Durability::Whole).make_folders().write(at, bytes)
}

/// An ELF file with `AI` and its type behind the identification.
fn is_appimage(path: &Path) -> bool {
    let mut head = [0; 11];
    let read = bosc_files::open_plain(path).and_then(|mut f| f.read_exact(&mut head));
    read.is_ok() && head.starts_with(b"\x7fELF") && (head.ends_with(b"AI\x01") || head.ends_with(b"AI\x02"))
}

/// Its desktop entry, and its icon with the extension.
pub(super) fn extract(app: &Path, work: &Path) -> (Option<String>, Option<(&'static str, Vec<u8>)>) {
    let root = work.join("squashfs-root");
    let get = |pattern: &str| run(app, pattern, work).is_ok();
    let mut text = None;
    if get("*.desktop") {
        text = files(&root, ".desktop").first().and_then(|p| read(p, &root, MAX_ENTRY).ok());
    }
    let text = text.and_then(|t| String::from_utf8(t).ok());
    let mut icon = None;
    for (pattern, extension) in [("*.svg", "svg"), ("*.png", "png")] {
        if icon.is_none() && get(pattern) {
            let found = files(&root, &format!(".{extension}"));
            icon = found.iter().find_map(|p| read(p, &root, MAX_ICON).ok()).map(|b| (extension, b));
        }
    }
    (text, icon)
}

/// Files directly in the folder, by name.
fn files(root: &Path, end: &str) -> Vec<PathBuf> {
    let Ok(items) = fs::read_dir(root) else { return Vec::new() };
    let mut out: Vec<PathBuf> = items
        .filter_map(|i| Some(i.ok()?.path()))
        .filter(|p| p.to_string_lossy().ends_with(end))
        .take(64)
        .collect();
    out.sort();
    out
}

/// A plain file that lies in `root`, symlinks or not.
fn read(path: &Path, root: &Path, max: u64) -> Result<Vec<u8>> {
    let real = fs::canonicalize(path)?;
    if !real.starts_with(fs::canonicalize(root)?) || !fs::metadata(&real)?.is_file() {
        return Err(Error::other("it leads elsewhere"));
    }
    let mut out = Vec::new();
    bosc_files::open_plain(&real)?.take(max + 1).read_to_end(&mut out)?;
    if out.len() as u64 > max { Err(Error::other("it is too large")) } else { Ok(out) }
}

fn run(app: &Path, pattern: &str, work: &Path) -> Result<()> {
    let mut child = bosc_updater::secrets::keep_from(&mut Command::new(app))
        .args(["--appimage-extract", pattern])
        .current_dir(work)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return if status.success() {
                Ok(())
            } else {
                Err(Error::other("it could not extract its files"))
            };
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::other("it took too long to extract its files"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The entry to write: the application's own with our command and icon, or a small one.
pub(super) fn compose(own: Option<&str>, app: &str, command: &Path, icon: Option<&Path>) -> String {
    let clean = |s: &str| s.chars().filter(|c| !c.is_control()).collect::<String>();
    let exec = quote(&command.to_string_lossy());
    let icon = icon.map(|p| clean(&p.to_string_lossy()));
    let mut out = Vec::new();
    let mut main = false;
    let mut seen = false;
    for line in own.unwrap_or_default().lines() {
        let line = clean(line);
        if line.starts_with('[') {
            main = line == "[Desktop Entry]";
            // Actions run commands of their own, inside the AppImage.
            if main && !seen {
                seen = true;
                out.push(line);
                out.push(format!("Exec={exec} %U"));
                out.push(format!("Icon={}", icon.as_deref().unwrap_or("application-x-executable")));
            }
            continue;
        }
        let key = line.split('=').next().unwrap_or_default().trim();
        if main && !matches!(key, "Exec" | "TryExec" | "Icon" | "Actions" | "DBusActivatable" | "Path") {
            out.push(line);
        }
    }
    if !seen {
        out = vec![
            "[Desktop Entry]".into(),
            "Type=Application".into(),
            format!("Name={}", clean(app)),
            format!("Exec={exec} %U"),
            format!("Icon={}", icon.as_deref().unwrap_or("application-x-executable")),
            "Terminal=false".into(),
            "Categories=Utility;".into(),
        ];
    }
    out.join("\n") + "\n"
}

/// A command as desktop entries have them quoted.
fn quote(command: &str) -> String {
    let mut out = String::from("\"");
    for c in command.chars().filter(|c| !c.is_control()) {
        match c {
            // Once for the quotes, once for the entry's own escapes.
            '"' | '`' | '$' => {
                out.push_str("\\\\");
                out.push(c);
            }
            '\\' => out.push_str("\\\\\\\\"),
            '%' => out.push_str("%%"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
