//! Which platform a build runs on, told by its first bytes: ELF, PE and Mach-O name their processor.
//!
//! Bounds: [`HEAD`] bytes of a file, [`ENTRIES`] names of a folder.

use bosc_files::open_plain;
use std::io::Read;
use std::path::Path;

/// Bytes of a file that are read.
const HEAD: u64 = 4096;
/// Names of a folder that are looked at.
const ENTRIES: usize = 500;
/// Processors that a universal program of macOS may list.
const SLICES: usize = 16;

/// The platform that this program runs on, if it is one that applications are released for.
pub fn host() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some("linux-x64"),
        ("linux", "aarch64") => Some("linux-arm64"),
        ("macos", "x86_64") => Some("darwin-x64"),
        ("macos", "aarch64") => Some("darwin-arm64"),
        ("windows", "x86_64") => Some("win32-x64"),
        ("windows", "aarch64") => Some("win32-arm64"),
        _ => None,
    }
}

/// The platforms of a build: a program, or a folder that holds one. Nothing for what is none.
pub(super) fn of_build(path: &Path) -> Vec<&'static str> {
    let Ok(meta) = std::fs::metadata(path) else { return Vec::new() };
    if meta.is_file() {
        return of_file(path);
    }
    if !meta.is_dir() {
        return Vec::new();
    }
    let bundle = path.join("Contents").join("MacOS");
    let folder = if bundle.is_dir() { bundle } else { path.to_owned() };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(ENTRIES);
    let mut files: Vec<_> = entries.map(|e| e.path()).filter(|p| p.is_file()).collect();
    files.sort();
    files.iter().map(|p| of_file(p)).find(|found| !found.is_empty()).unwrap_or_default()
}

fn of_file(path: &Path) -> Vec<&'static str> {
    let mut head = Vec::new();
    match open_plain(path).and_then(|file| file.take(HEAD).read_to_end(&mut head)) {
        Ok(_) => of_head(&head, is_executable(path)),
        Err(_) => Vec::new(),
    }
}

/// `executable`: whether the system would run a script.
fn of_head(head: &[u8], executable: bool) -> Vec<&'static str> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let u32_at = |at: usize| Some(u32::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let be_at = |at: usize| Some(u32::from_be_bytes(*head.get(at..)?.first_chunk()?));
    if head.starts_with(b"\x7fELF") {
        return match u16_at(18) {
            Some(62) => vec!["linux-x64"],
            Some(183) => vec!["linux-arm64"],
            _ => Vec::new(),
        };
    }
    if head.starts_with(b"MZ") {
        let at = u32_at(0x3c).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
        let signed = at.checked_add(4).is_some_and(|end| head.get(at..end) == Some(b"PE\0\0"));
        return match at.checked_add(4).filter(|_| signed).and_then(u16_at) {
            Some(0x8664) => vec!["win32-x64"],
            Some(0xaa64) => vec!["win32-arm64"],
            _ => Vec::new(),
        };
    }
    let mac = |cpu: Option<u32>| match cpu {
        Some(0x0100_0007) => Some("darwin-x64"),
        Some(0x0100_000c) => Some("darwin-arm64"),
        _ => None,
    };
    if head.starts_with(b"\xcf\xfa\xed\xfe") {
        return mac(u32_at(4)).into_iter().collect();
    }
    // A class of Java begins like a universal program; its "number of processors" is far above.
    if head.starts_with(b"\xca\xfe\xba\xbe") {
        let slices = be_at(4).and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= SLICES).unwrap_or(0);
        let mut found: Vec<_> = (0..slices).filter_map(|i| mac(be_at(8 + i * 20))).collect();
        found.sort_unstable();
        found.dedup();
        return found;
    }
    if head.starts_with(b"#!") && executable { host().into_iter().collect() } else { Vec::new() }
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn elf(machine: u16) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(18, 0);
        head.extend(machine.to_le_bytes());
        head
    }

    #[test]
    fn the_first_bytes_name_the_processor() {
        let pe = |machine: u16| {
            let mut head = b"MZ".to_vec();
            head.resize(0x3c, 0);
            head.extend(0x80_u32.to_le_bytes());
            head.resize(0x80, 0);
            head.extend(b"PE\0\0");
            head.extend(machine.to_le_bytes());
            head
        };
        let mut fat = b"\xca\xfe\xba\xbe\0\0\0\x02".to_vec();
        for cpu in [0x0100_0007_u32, 0x0100_000c] {
            fat.extend(cpu.to_be_bytes());
            fat.resize(fat.len() + 16, 0);
        }
        let thin = b"\xcf\xfa\xed\xfe\x0c\0\0\x01".to_vec();
        for (head, is) in [
            (elf(62), &["linux-x64"][..]),
            (elf(183), &["linux-arm64"]),
            (elf(8), &[]),
            (pe(0x8664), &["win32-x64"]),
            (pe(0xaa64), &["win32-arm64"]),
            (thin, &["darwin-arm64"]),
            (fat, &["darwin-arm64", "darwin-x64"]),
            (b"\xca\xfe\xba\xbe\0\0\0\x41".to_vec(), &[]),
            (b"MZ".to_vec(), &[]),
            (b"\x7fELF".to_vec(), &[]),
            (b"hello".to_vec(), &[]),
        ] {
            assert_eq!(of_head(&head, true), is, "{head:?}");
        }
        assert_eq!(of_head(b"#!/bin/sh\n", true), host().into_iter().collect::<Vec<_>>());
        assert!(of_head(b"#!/bin/sh\n", false).is_empty());
        // A header that points outside of what was read, or nowhere.
        for at in [0xffff_ffff_u32, 4094, 0] {
            let mut head = pe(0x8664);
            head[0x3c..0x40].copy_from_slice(&at.to_le_bytes());
            assert!(of_head(&head, true).is_empty());
        }
    }

    #[test]
    fn a_folder_is_what_the_program_in_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("Hello.app/Contents/MacOS");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("Hello"), b"\xcf\xfa\xed\xfe\x07\0\0\x01").unwrap();
        assert_eq!(of_build(&dir.path().join("Hello.app")), ["darwin-x64"]);
        std::fs::create_dir(dir.path().join("hello")).unwrap();
        assert!(of_build(&dir.path().join("hello")).is_empty());
        std::fs::write(dir.path().join("hello/data"), b"x").unwrap();
        std::fs::write(dir.path().join("hello/run"), elf(62)).unwrap();
        assert_eq!(of_build(&dir.path().join("hello")), ["linux-x64"]);
        #[cfg(target_os = "linux")]
        {
            crate::folder::make_fifo(&dir.path().join("fifo"));
            assert!(of_build(&dir.path().join("fifo")).is_empty());
        }
    }
}
