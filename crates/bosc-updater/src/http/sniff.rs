//! What an executable file is for, by its first bytes.
//!
//! Perry's signatures do not say for which platform an artifact is. Where the bytes do, an entry that carries another
//! platform's build is refused instead of being installed and failing to start.

use std::io::Read;
use std::path::Path;

/// The operating system and architecture in the words of a platform key; the architecture is empty when it is not told.
type Platform = (&'static str, &'static str);

/// What the file is for; `None` when its first bytes do not tell.
fn platforms_of(path: &Path) -> Option<Vec<Platform>> {
    let mut head = Vec::with_capacity(4096);
    bosc_files::open_plain(path).ok()?.take(4096).read_to_end(&mut head).ok()?;
    if head.starts_with(b"\x7fELF") {
        let little = head.get(5) == Some(&1);
        return Some(vec![("linux", elf_machine(u16_at(&head, 18, little)?))]);
    }
    if head.starts_with(b"MZ") {
        let at = usize::try_from(u32_at(&head, 60, true)?).ok()?;
        if head.get(at..at.checked_add(4)?)? != b"PE\0\0" {
            return None;
        }
        let arch = match u16_at(&head, at.checked_add(4)?, true)? {
            0x8664 => "x86_64",
            0xaa64 => "aarch64",
            0x014c => "i686",
            _ => "",
        };
        return Some(vec![("windows", arch)]);
    }
    match head.get(..4)? {
        [0xcf | 0xce, 0xfa, 0xed, 0xfe] => Some(vec![("darwin", mach_cpu(u32_at(&head, 4, true)?))]),
        // A universal binary; a Java class has the same first bytes and a larger number.
        [0xca, 0xfe, 0xba, 0xbe] => {
            let count = usize::try_from(u32_at(&head, 4, false)?).ok().filter(|n| (1..=16).contains(n))?;
            (0..count).map(|i| Some(("darwin", mach_cpu(u32_at(&head, 8 + 20 * i, false)?)))).collect()
        }
        _ => None,
    }
}

/// Why a file cannot be for `platform`; `None` when it is, or may be.
pub(super) fn mismatch(path: &Path, platform: &str) -> Option<String> {
    let (os, arch) = platform.split_once('-')?;
    let found = platforms_of(path)?;
    let fits = found.iter().any(|(o, a)| *o == os && (a.is_empty() || *a == arch));
    // 64-bit systems run 32-bit programs, and ARM Macs and Windows run x86 ones: a publisher may mean it.
    let runs = found.iter().any(|(o, a)| {
        *o == os
            && match arch {
                "x86_64" => *a == "i686" && os != "darwin",
                "aarch64" => os != "linux" && matches!(*a, "x86_64" | "i686"),
                _ => false,
            }
    });
    if fits || runs {
        return None;
    }
    let names: Vec<String> = found.iter().map(|(o, a)| format!("{o}-{a}")).collect();
    Some(names.join(", "))
}

fn elf_machine(n: u16) -> &'static str {
    match n {
        0x3e => "x86_64",
        0xb7 => "aarch64",
        0x03 => "i686",
        _ => "",
    }
}

fn mach_cpu(n: u32) -> &'static str {
    match n {
        0x0100_0007 => "x86_64",
        0x0100_000c => "aarch64",
        0x0000_0007 => "i686",
        _ => "",
    }
}

fn u16_at(bytes: &[u8], at: usize, little: bool) -> Option<u16> {
    let b: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(if little { u16::from_le_bytes(b) } else { u16::from_be_bytes(b) })
}

fn u32_at(bytes: &[u8], at: usize, little: bool) -> Option<u32> {
    let b: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(if little { u32::from_le_bytes(b) } else { u32::from_be_bytes(b) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_platform() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let check = |bytes: &[u8], platform: &str| {
            std::fs::write(&path, bytes).unwrap();
            mismatch(&path, platform)
        };
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.resize(64, 0);
        elf[18] = 0x3e;
        assert_eq!(check(&elf, "linux-x86_64"), None);
        assert!(check(&elf, "linux-aarch64").is_some());
        assert!(check(&elf, "windows-x86_64").is_some());
        assert!(check(&elf, "darwin-x86_64").is_some());
        elf[18] = 0x03;
        assert_eq!(check(&elf, "linux-x86_64"), None, "it runs there");
        assert!(check(&elf, "linux-aarch64").is_some());
        elf[18] = 0xb7;
        assert_eq!(check(&elf, "linux-x86_64").as_deref(), Some("linux-aarch64"));
        let mut pe = b"MZ".to_vec();
        pe.resize(128, 0);
        pe[60] = 64;
        pe[64..68].copy_from_slice(b"PE\0\0");
        pe[68..70].copy_from_slice(&0x8664_u16.to_le_bytes());
        assert_eq!(check(&pe, "windows-x86_64"), None);
        assert_eq!(check(&pe, "windows-aarch64"), None, "it runs there");
        assert!(check(&pe, "linux-x86_64").is_some());
        let mut fat = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2];
        fat.resize(64, 0);
        fat[8..12].copy_from_slice(&0x0100_0007_u32.to_be_bytes());
        fat[28..32].copy_from_slice(&0x0100_000c_u32.to_be_bytes());
        assert_eq!(check(&fat, "darwin-aarch64"), None);
        assert!(check(&fat, "linux-x86_64").is_some());
        fat[8..12].copy_from_slice(&7_u32.to_be_bytes());
        fat[28..32].copy_from_slice(&7_u32.to_be_bytes());
        assert!(check(&fat, "darwin-x86_64").is_some(), "macOS runs no 32-bit programs");
        for unknown in [&b"#!/bin/sh\n"[..], b"", b"MZ", b"\x7fELF", b"\xca\xfe\xba\xbe\xff\xff\xff\xff"] {
            assert_eq!(check(unknown, "linux-x86_64"), None);
        }
    }
}
