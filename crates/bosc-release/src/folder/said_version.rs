//! The version that a build says of itself, where it stands in a file: an application whose version was not raised runs as the
//! version before it, so its users never see the release arrive.
//!
//! Which files say it, below `by-arch/<platform>/app/<name>`:
//!
//! | file | of | what it says |
//! |---|---|---|
//! | `Contents/Info.plist` (XML or binary) | a bundle of macOS | `CFBundleShortVersionString` |
//! | `resources/app/package.json`, `Contents/Resources/app/package.json` | Electron | `version` |
//! | `resources/app.asar`, `Contents/Resources/app.asar` | Electron, packed | `version` of the package.json in it |
//! | `<name>.exe`, of a folder the program of its name | Windows, unless Electron says it | the product's version of its VERSIONINFO |
//!
//! Only these parts of a file are read, wherever they lie in it: [`said`] asks for ranges. Everything else (an ELF file, a
//! script) says its version only when it runs; `bosc updater smoke` asks it.
//!
//! Invariants: what is read is at most [`MAX`] a range and a few ranges a file; what does not have the form says nothing, and is
//! no error.

use semver::Version;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Largest range of a file that is read, in bytes.
pub(crate) const MAX: u64 = 4 << 20;
/// Most sections of a Windows program that are looked at.
const MAX_SECTIONS: usize = 96;
/// Where the headers of a Windows program begin at most.
const MAX_STUB: u64 = 1 << 20;
/// The type of resource that holds a version.
const RT_VERSION: u32 = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plist,
    Json,
    Asar,
    Exe,
}

/// What a file with this key is, if it says the version of a build; with the length of the build's own part of the key.
fn form(key: &str) -> Option<(Form, usize)> {
    let mut parts = key.trim_start_matches('/').split('/');
    let (Some("by-arch"), Some(platform), Some("app"), Some(name)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let rest: Vec<&str> = parts.take(5).collect();
    let form = match rest.as_slice() {
        ["Contents", "Info.plist"] if name.ends_with(".app") => Form::Plist,
        ["Contents", "Resources", "app", "package.json"] | ["resources", "app", "package.json"] => Form::Json,
        ["Contents", "Resources", "app.asar"] | ["resources", "app.asar"] => Form::Asar,
        [] if platform.starts_with("win32-") && stem(name).is_some() => Form::Exe,
        [file]
            if platform.starts_with("win32-") && stem(file).is_some_and(|s| s.eq_ignore_ascii_case(name)) =>
        {
            Form::Exe
        }
        _ => return None,
    };
    let below: usize = rest.iter().map(|part| part.len() + 1).sum();
    Some((form, key.len().saturating_sub(below)))
}

/// A program's name without its ending; `None` of what is no program of Windows.
fn stem(name: &str) -> Option<&str> {
    let (stem, end) = name.rsplit_once('.')?;
    end.eq_ignore_ascii_case("exe").then_some(stem)
}

/// Of these keys those whose files say the version of a build.
pub(crate) fn told_by<'k>(keys: impl Iterator<Item = &'k str>) -> Vec<&'k str> {
    let all: Vec<_> = keys.filter_map(|key| form(key).map(|(form, build)| (key, form, build))).collect();
    // Electron takes package.json's word; its program often is of a version of its own.
    let electron: BTreeSet<&str> = all
        .iter()
        .filter(|(_, form, _)| matches!(form, Form::Json | Form::Asar))
        .filter_map(|(k, _, b)| k.get(..*b))
        .collect();
    let is_asked = |key: &str, form: Form, build: usize| {
        form != Form::Exe || key.get(..build).is_none_or(|build| !electron.contains(build))
    };
    all.iter().filter(|(key, form, build)| is_asked(key, *form, *build)).map(|(key, ..)| *key).collect()
}

/// The version that such a file of `size` bytes says. `read` gives the bytes from an offset on, as many as there are.
///
/// # Errors
/// What `read` fails with.
pub(crate) fn said<E>(
    key: &str,
    size: u64,
    read: &mut dyn FnMut(u64, u64) -> Result<Vec<u8>, E>,
) -> Result<Option<String>, E> {
    let Some((form, _)) = form(key) else { return Ok(None) };
    match form {
        Form::Plist | Form::Json if size > MAX => Ok(None),
        Form::Plist => Ok(bosc_updater::plist::text(&read(0, size)?, "CFBundleShortVersionString")),
        Form::Json => Ok(of_json(&read(0, size)?)),
        Form::Asar => of_asar(read),
        Form::Exe => of_exe(read),
    }
}

/// The version of a release that a program of it contradicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The file that says so.
    pub(crate) key: String,
    /// What it says.
    pub(crate) running: String,
}

/// Which of these files say another version than the release. `path` gives the place of a file on this disk.
pub(crate) fn mismatches<'f, P: AsRef<std::path::Path>>(
    release: &str,
    keys: impl Iterator<Item = &'f str>,
    path: impl Fn(&'f str) -> P,
) -> Vec<Mismatch> {
    let mut out = Vec::new();
    for key in told_by(keys) {
        let running = said_by_file(key, path(key).as_ref()).filter(|running| differs(release, running));
        out.extend(running.map(|running| Mismatch { key: key.to_owned(), running }));
    }
    out
}

/// As [`said`], of a file on this disk. What cannot be read says nothing.
fn said_by_file(key: &str, path: &std::path::Path) -> Option<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = bosc_files::open_plain(path).ok()?;
    let size = file.metadata().ok()?.len();
    let mut read = |from: u64, length: u64| -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        (&file).take(length.min(MAX)).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    said(key, size, &mut read).ok().flatten()
}

fn of_json(bytes: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    Some(json.get("version")?.as_str()?.to_owned())
}

/// The root of an archive's index, as far as it is of interest.
#[derive(Deserialize)]
struct AsarRoot {
    files: AsarFiles,
}

#[derive(Deserialize)]
struct AsarFiles {
    #[serde(rename = "package.json")]
    package: Option<AsarFile>,
}

#[derive(Deserialize)]
struct AsarFile {
    offset: String,
    size: u64,
}

/// Two frames of lengths, an index as JSON, then the files: `4, n`, `n` bytes of `n - 4, length, JSON`, contents.
fn of_asar<E>(read: &mut dyn FnMut(u64, u64) -> Result<Vec<u8>, E>) -> Result<Option<String>, E> {
    let head = read(0, 16)?;
    let (Some(4), Some(framed), Some(length)) = (u32_at(&head, 0), u32_at(&head, 4), u32_at(&head, 12))
    else {
        return Ok(None);
    };
    if u64::from(length) > MAX || length > framed {
        return Ok(None);
    }
    let index = read(16, length.into())?;
    let Ok(AsarRoot { files: AsarFiles { package: Some(file) } }) = serde_json::from_slice(&index) else {
        return Ok(None);
    };
    let Some(offset) = file.offset.parse::<u64>().ok().filter(|_| file.size <= MAX) else { return Ok(None) };
    let start = offset.saturating_add(8).saturating_add(framed.into());
    Ok(of_json(&read(start, file.size)?))
}

/// The fixed part of the version resource of a Windows program.
fn of_exe<E>(read: &mut dyn FnMut(u64, u64) -> Result<Vec<u8>, E>) -> Result<Option<String>, E> {
    let stub = read(0, 64)?;
    let Some(at) = u32_at(&stub, 60).map(u64::from).filter(|at| stub.starts_with(b"MZ") && *at <= MAX_STUB)
    else {
        return Ok(None);
    };
    let head = read(at, 24)?;
    let (Some(sections), Some(optional)) = (u16_at(&head, 6), u16_at(&head, 20)) else { return Ok(None) };
    if !head.starts_with(b"PE\0\0") {
        return Ok(None);
    }
    let (sections, optional) = (usize::from(sections).min(MAX_SECTIONS), usize::from(optional));
    let tables = read(at.saturating_add(24), (optional + sections * 40) as u64)?;
    // Where the directories begin: 32 and 64 bit. The third is of resources.
    let directories = match u16_at(&tables, 0) {
        Some(0x10b) => 96,
        Some(0x20b) => 112,
        _ => return Ok(None),
    };
    let Some(resources) = u32_at(&tables, directories + 16).filter(|r| *r > 0) else { return Ok(None) };
    let in_file = |address: u32| {
        (0..sections).find_map(|i| {
            let at = optional + i * 40;
            let (start, size, raw) =
                (u32_at(&tables, at + 12)?, u32_at(&tables, at + 16)?, u32_at(&tables, at + 20)?);
            let into = address.checked_sub(start).filter(|into| *into < size)?;
            Some(u64::from(raw).saturating_add(into.into()))
        })
    };
    let Some(root) = in_file(resources) else { return Ok(None) };
    // Type, name and language; the first of the latter two.
    let mut below = root;
    for wanted in [Some(RT_VERSION), None, None] {
        let head = read(below, 16)?;
        let (Some(names), Some(ids)) = (u16_at(&head, 12), u16_at(&head, 14)) else { return Ok(None) };
        let count = usize::from(names) + usize::from(ids);
        let entries = read(below.saturating_add(16), (count * 8) as u64)?;
        let is_it = |at: &usize| wanted.is_none_or(|wanted| u32_at(&entries, *at) == Some(wanted));
        let found = (0..count).map(|i| i * 8).find(is_it).and_then(|at| u32_at(&entries, at + 4));
        let Some(offset) = found else { return Ok(None) };
        below = root.saturating_add(u64::from(offset & 0x7fff_ffff));
    }
    let entry = read(below, 16)?;
    let (Some(address), Some(size)) = (u32_at(&entry, 0), u32_at(&entry, 4)) else { return Ok(None) };
    let Some(start) = in_file(address) else { return Ok(None) };
    let resource = read(start, u64::from(size).min(1 << 16))?;
    let fixed = resource.windows(4).position(|w| w == 0xfeef_04bd_u32.to_le_bytes());
    let version = |at: usize| {
        let (high, low) = (u32_at(&resource, at)?, u32_at(&resource, at + 4)?);
        (high > 0 || low > 0).then(|| format!("{}.{}.{}", high >> 16, high & 0xffff, low >> 16))
    };
    // The product's, else the file's.
    Ok(fixed.and_then(|at| version(at + 16).or_else(|| version(at + 8))))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Whether a program that says `said` is another version than the release. Bundles leave zeros and what follows a `-` out;
/// what is not a version says nothing.
pub(crate) fn differs(release: &str, said: &str) -> bool {
    let zeros = ["", ".0", ".0.0"].iter().find_map(|end| Version::parse(&format!("{said}{end}")).ok());
    let (Ok(release), Some(said)) = (Version::parse(release), zeros) else { return false };
    (release.major, release.minor, release.patch) != (said.major, said.minor, said.patch)
        || (!said.pre.is_empty() && said.pre != release.pre)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
pub(crate) mod tests {
    use super::*;
    use std::convert::Infallible;

    fn of(key: &str, bytes: &[u8]) -> Option<String> {
        let mut read = |from: u64, length: u64| {
            assert!(length <= MAX, "{length}");
            let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
            let end = from.saturating_add(usize::try_from(length).unwrap()).min(bytes.len());
            Ok::<_, Infallible>(bytes[from..end].to_vec())
        };
        said(key, bytes.len() as u64, &mut read).unwrap()
    }

    /// A Windows program that says a product's version, with nothing else in it.
    pub(crate) fn exe(version: [u16; 4]) -> Vec<u8> {
        let mut out = vec![0u8; 1024];
        let put =
            |out: &mut Vec<u8>, at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(&mut out, 0, b"MZ");
        put(&mut out, 60, &128u32.to_le_bytes());
        put(&mut out, 128, b"PE\0\0");
        put(&mut out, 134, &1u16.to_le_bytes());
        put(&mut out, 148, &240u16.to_le_bytes());
        put(&mut out, 152, &0x20bu16.to_le_bytes());
        // Resources are at address 0x3000, which is at 512 in the file.
        put(&mut out, 152 + 112 + 16, &0x3000u32.to_le_bytes());
        let section = 152 + 240;
        put(&mut out, section, b".rsrc");
        for (at, value) in [(12, 0x3000u32), (16, 512), (20, 512)] {
            put(&mut out, section + at, &value.to_le_bytes());
        }
        // Type: another one, then versions; name; language; where the bytes are.
        for (at, entries) in [
            (0usize, vec![(3u32, 0x8000_0100u32), (16, 0x8000_0040)]),
            (0x40, vec![(1, 0x8000_0060)]),
            (0x60, vec![(1033, 0x80)]),
        ] {
            put(&mut out, 512 + at + 14, &(entries.len() as u16).to_le_bytes());
            for (i, (id, offset)) in entries.iter().enumerate() {
                put(&mut out, 512 + at + 16 + i * 8, &id.to_le_bytes());
                put(&mut out, 512 + at + 20 + i * 8, &offset.to_le_bytes());
            }
        }
        put(&mut out, 512 + 0x80, &(0x3000u32 + 0xa0).to_le_bytes());
        put(&mut out, 512 + 0x84, &92u32.to_le_bytes());
        let fixed = 512 + 0xa0 + 40;
        put(&mut out, fixed, &0xfeef_04bd_u32.to_le_bytes());
        let word = |high: u16, low: u16| (u32::from(high) << 16 | u32::from(low)).to_le_bytes();
        put(&mut out, fixed + 16, &word(version[0], version[1]));
        put(&mut out, fixed + 20, &word(version[2], version[3]));
        out
    }

    /// An Electron archive with a package.json of this version.
    pub(crate) fn asar(version: &str) -> Vec<u8> {
        let package = format!(r#"{{"name":"demo","version":"{version}"}}"#);
        let mut index = format!(
            r#"{{"files":{{"main.js":{{"offset":"0","size":3}},"node_modules":{{"files":{{}}}},"package.json":{{"size":{},"offset":"3"}}}}}}"#,
            package.len()
        );
        let length = index.len() as u32;
        while index.len() % 4 > 0 {
            index.push('\0');
        }
        let padded = index.len() as u32;
        let mut out = Vec::new();
        for n in [4, padded + 8, padded + 4, length] {
            out.extend(n.to_le_bytes());
        }
        out.extend(index.as_bytes());
        out.extend(b"js;");
        out.extend(package.as_bytes());
        out
    }

    /// `CFBundleShortVersionString` is `1.0.4`.
    const BINARY_PLIST: &str = "62706c6973743030d101025f101a434642756e646c6553686f727456657273696f6e537472696e6755312e302e34080b28000000000000010100000000000000030000000000000000000000000000002e";

    #[test]
    fn a_build_says_its_version() {
        for (key, told) in [
            ("/by-arch/darwin-arm64/app/Demo.app/Contents/Info.plist", true),
            ("/by-arch/darwin-x64/app/Demo.app/Contents/Resources/app/package.json", true),
            ("/by-arch/darwin-x64/app/Demo.app/Contents/Resources/app.asar", true),
            ("/by-arch/linux-x64/app/demo/resources/app/package.json", true),
            ("/by-arch/linux-x64/app/demo/resources/app.asar", true),
            ("/by-arch/win32-x64/app/Demo.exe", true),
            ("/by-arch/win32-x64/app/Demo/demo.EXE", true),
            ("/by-arch/win32-x64/app/Demo/Uninstall.exe", false),
            ("/by-arch/linux-x64/app/Demo.exe", false),
            ("/package.json", false),
            ("/by-arch/darwin-arm64/app/Demo/Contents/Info.plist", false),
            ("/by-arch/darwin-arm64/app/Demo.app/Contents/Frameworks/x/Info.plist", false),
            ("/by-arch/linux-x64/app/demo/resources/app/node_modules/x/package.json", false),
        ] {
            assert_eq!(!told_by(std::iter::once(key)).is_empty(), told, "{key}");
        }
        let plist = b"<dict><key>A</key><string>9</string><key>CFBundleShortVersionString</key>\n <string> 1.0.4 </string></dict>";
        let (app, electron) =
            ("/by-arch/darwin-x64/app/A.app/Contents/", "/by-arch/linux-x64/app/demo/resources/");
        assert_eq!(of(&format!("{app}Info.plist"), plist).unwrap(), "1.0.4");
        assert_eq!(of(&format!("{app}Info.plist"), b"bplist00"), None);
        let binary = data_encoding::HEXLOWER.decode(BINARY_PLIST.as_bytes()).unwrap();
        assert_eq!(of(&format!("{app}Info.plist"), &binary).unwrap(), "1.0.4");
        assert_eq!(of(&format!("{electron}app/package.json"), br#"{"version":"1.0.4"}"#).unwrap(), "1.0.4");
        assert_eq!(of(&format!("{electron}app.asar"), &asar("1.0.4")).unwrap(), "1.0.4");
        let windows = "/by-arch/win32-x64/app/Demo.exe";
        assert_eq!(of(windows, &exe([1, 0, 4, 7])).unwrap(), "1.0.4");
        assert_eq!(of(windows, &exe([0; 4])), None, "it was never set");
        for (release, says, other) in [
            ("1.0.5", "1.0.4", true),
            ("1.0.5", "1.0.5", false),
            ("1.0.5+7", "1.0.5", false),
            ("1.0.0", "1.0", false),
            ("1.0.0", "1", false),
            ("1.1.0", "1", true),
            ("1.0.5-rc.1", "1.0.5", false),
            ("1.0.5", "1.0.5-rc.1", true),
            ("1.0.5", "next", false),
        ] {
            assert_eq!(differs(release, says), other, "{release} {says}");
        }
    }

    #[test]
    fn electron_says_it_rather_than_its_program() {
        let all = ["/by-arch/win32-x64/app/Demo/Demo.exe", "/by-arch/win32-x64/app/Demo/resources/app.asar"];
        assert_eq!(told_by(all.into_iter()), all[1..]);
        let other =
            ["/by-arch/win32-x64/app/Demo/Demo.exe", "/by-arch/win32-arm64/app/Demo/resources/app.asar"];
        assert_eq!(told_by(other.into_iter()), other);
    }

    #[test]
    fn damaged_files_say_nothing_and_are_bounded() {
        let files = [
            ("/by-arch/win32-x64/app/Demo.exe", exe([1, 0, 4, 7])),
            ("/by-arch/linux-x64/app/demo/resources/app.asar", asar("1.0.4")),
        ];
        for (key, whole) in files {
            for n in 0..whole.len() {
                of(key, &whole[..n]);
                for value in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut other = whole.clone();
                    other[n] = value;
                    of(key, &other);
                }
            }
        }
    }
}
