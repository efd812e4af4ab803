//! Archives as their makers and their enemies make them.

use super::*;
use crate::error::ErrorKind;
use crate::install::{contents_of, verify};
use crate::release::Contents;
use crate::release::{Entry, EntryKind};
use std::io::Write;
use tar::{Builder, EntryType, Header};

enum Item<'a> {
    Dir(&'a str),
    File(&'a str, &'a [u8], u32),
    Link(&'a str, &'a str),
}
use Item::{Dir, File, Link};

/// A header that says what it is told, also what no honest archiver would.
fn header(path: &str, kind: EntryType, size: u64, mode: u32, link: &str) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_cksum();
    header
}

fn tar_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for item in items {
        let (header, bytes): (_, &[u8]) = match item {
            Dir(path) => (header(path, EntryType::Directory, 0, 0o755, ""), b""),
            File(path, bytes, mode) => {
                (header(path, EntryType::Regular, bytes.len() as u64, *mode, ""), bytes)
            }
            Link(path, target) => (header(path, EntryType::Symlink, 0, 0o777, target), b""),
        };
        tar.append(&header, bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn zip_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for item in items {
        match item {
            Dir(path) => zip.add_directory(*path, options).unwrap(),
            File(path, bytes, mode) => {
                zip.start_file(*path, options.unix_permissions(*mode)).unwrap();
                zip.write_all(bytes).unwrap();
            }
            Link(path, target) => zip.add_symlink(*path, *target, options).unwrap(),
        }
    }
    zip.finish().unwrap().into_inner()
}

fn every_format(items: &[Item<'_>]) -> [(Format, Vec<u8>); 3] {
    let tar = tar_of(items);
    [(Format::TarGz, gz(&tar)), (Format::TarZst, zst(&tar)), (Format::Zip, zip_of(items))]
}

/// Unpacks; whatever comes, nothing may lie outside the folder, and nothing inside it after an error.
fn try_unpack(format: Format, bytes: &[u8], kind: Kind, limits: &Limits) -> Result<Contents, UpdateError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("archive"), bytes).unwrap();
    std::fs::write(dir.path().join("victim"), "untouched").unwrap();
    let into = dir.path().join("into");
    let unpacked = unpack(&dir.path().join("archive"), format, kind, &into, limits);
    let mut around: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    around.sort();
    let expected: &[&str] =
        if unpacked.is_ok() { &["archive", "into", "victim"] } else { &["archive", "victim"] };
    assert_eq!(around, expected);
    assert_eq!(std::fs::read(dir.path().join("victim")).unwrap(), b"untouched");
    let unpacked = unpacked?;
    assert!(unpacked.path.starts_with(&into));
    verify(&unpacked.path, &unpacked.contents).unwrap();
    assert_eq!(contents_of(&unpacked.path).unwrap().entries.len(), unpacked.contents.entries.len());
    Ok(unpacked.contents)
}

fn refused(items: &[Item<'_>], word: &str) {
    for (format, bytes) in every_format(items) {
        refused_as(format, &bytes, word);
    }
}

fn refused_as(format: Format, bytes: &[u8], word: &str) {
    let e = try_unpack(format, bytes, Kind::Directory, &Limits::default()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Integrity, "{format:?} {e}");
    assert!(e.to_string().contains(word), "{format:?}: {e}, without {word:?}");
    assert!(e.next_step().is_some());
}

const X: u32 = 0o755;
const R: u32 = 0o644;

#[test]
#[cfg_attr(windows, ignore = "links need a privilege there")]
fn a_folder_comes_out_as_it_went_in() {
    let long = format!("App/{}", "deep/".repeat(15) + "end");
    let items = [
        Dir("App/"),
        Dir("App/bin/"),
        File("App/bin/app", b"program", X),
        File("App/notes.txt", b"notes", R),
        File("App/empty", b"", R),
        Link("App/app", "bin/app"),
        File(&long, b"far", R),
    ];
    for (format, bytes) in every_format(&items) {
        let contents = try_unpack(format, &bytes, Kind::Directory, &Limits::default()).unwrap();
        let of = |path: &str| contents.entries.iter().find(|e| e.path == path).map(|e| e.kind.clone());
        assert_eq!(of(""), Some(EntryKind::Directory), "{format:?}");
        assert!(
            matches!(of("bin/app"), Some(EntryKind::File { size: 7, executable: true, .. })),
            "{format:?}"
        );
        assert!(matches!(of("notes.txt"), Some(EntryKind::File { executable: false, .. })), "{format:?}");
        assert_eq!(of("app"), Some(EntryKind::Symlink { target: "bin/app".into() }), "{format:?}");
        assert!(of("deep/deep").is_some(), "{format:?}");
    }
}

#[test]
fn a_folder_without_a_folder_around_is_one_too() {
    let items = [File("app", b"program", X), File("lib/x.so", b"library", R)];
    for (format, bytes) in every_format(&items) {
        let contents = try_unpack(format, &bytes, Kind::Directory, &Limits::default()).unwrap();
        let paths: Vec<_> = contents.entries.iter().map(|e| e.path.as_str()).collect();
        assert_eq!(paths, ["", "app", "lib", "lib/x.so"], "{format:?}");
    }
}

#[test]
#[cfg_attr(windows, ignore = "links need a privilege there")]
fn a_file_and_a_bundle_are_found() {
    for (format, bytes) in every_format(&[Dir("app-1.0.1/"), File("app-1.0.1/app", b"program", X)]) {
        let contents = try_unpack(format, &bytes, Kind::File, &Limits::default()).unwrap();
        assert!(matches!(contents.entries.as_slice(), [Entry { path, .. }] if path.is_empty()), "{format:?}");
    }
    let two = [File("a", b"1", X), File("b", b"2", X)];
    let bundle = [
        Dir("Hello.app/"),
        File("Hello.app/Contents/MacOS/Hello", b"program", X),
        Link("Hello.app/Contents/Current", "MacOS"),
        File("__MACOSX/._Hello.app", b"extras", R),
    ];
    for (format, bytes) in every_format(&two) {
        assert!(try_unpack(format, &bytes, Kind::File, &Limits::default()).is_err());
        assert!(try_unpack(format, &bytes, Kind::Bundle, &Limits::default()).is_err());
    }
    for (format, bytes) in every_format(&bundle) {
        let contents = try_unpack(format, &bytes, Kind::Bundle, &Limits::default());
        assert_eq!(contents.unwrap().entries.len(), 5, "{format:?}");
    }
    assert!(try_unpack(Format::TarGz, &gz(&tar_of(&[])), Kind::Directory, &Limits::default()).is_err());
}

#[test]
fn paths_that_leave_the_folder_are_refused() {
    for bad in
        ["../victim", "a/../../victim", "/victim", "a/./../../victim", "./../victim", "a//b", "..", "a/.."]
    {
        refused_as(Format::TarGz, &gz(&tar_of(&[File(bad, b"evil", X)])), "not a path");
        refused_as(Format::Zip, &zip_raw(bad), "");
    }
    for bad in
        ["C:/victim", "C:victim", "a\\..\\..\\victim", "\\\\host\\share", "file:stream", "a\tb", "what?"]
    {
        refused_as(Format::TarGz, &gz(&tar_of(&[File(bad, b"evil", X)])), "not every system");
    }
}

/// A zip with one entry of any name, which the writer would not write.
fn zip_raw(name: &str) -> Vec<u8> {
    let stand_in = "N".repeat(name.len());
    let mut bytes = zip_of(&[File(&stand_in, b"evil", X)]);
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(name.len()).position(|w| w == stand_in.as_bytes()) {
        bytes[at + found..at + found + name.len()].copy_from_slice(name.as_bytes());
        at += found + name.len();
    }
    bytes
}

#[test]
fn names_that_windows_reads_as_others_are_refused() {
    for bad in
        ["CON", "nul.txt", "lib/aux", "COM1", "lpt9.dll", "com\u{b9}", "conin$", "name.", "name ", "dir./x"]
    {
        refused(&[Dir("App/"), File(&format!("App/{bad}"), b"x", R)], "Windows");
    }
    for good in ["console", "com", "com10", "auxiliary", "nulls", ".con", "a.b.c"] {
        let items = [Dir("App/"), File(&format!("App/{good}"), b"x", R)];
        for (format, bytes) in every_format(&items) {
            assert!(try_unpack(format, &bytes, Kind::Directory, &Limits::default()).is_ok(), "{good}");
        }
    }
}

#[test]
fn names_that_come_twice_are_refused() {
    refused_as(Format::TarGz, &gz(&tar_of(&[File("a", b"1", X), File("a", b"2", X)])), "twice");
    refused_as(Format::TarGz, &gz(&tar_of(&[Link("a", "b"), File("a", b"2", X)])), "twice");
    refused_as(Format::TarGz, &gz(&tar_of(&[Dir("a/"), Dir("a/")])), "twice");
    refused_as(Format::TarGz, &gz(&tar_of(&[File("a/b", b"1", X), File("a", b"2", X)])), "twice");
    refused(&[File("Read.me", b"1", X), File("README", b"0", R), File("read.ME", b"2", X)], "case");
    refused(&[File("Dir/a", b"1", X), File("dir/b", b"2", X)], "case");
    let mut twice = zip_of(&[File("same-1", b"1", X), File("same-2", b"2", X)]);
    while let Some(at) = twice.windows(6).position(|w| w == b"same-2") {
        twice[at..at + 6].copy_from_slice(b"same-1");
    }
    refused_as(Format::Zip, &twice, "twice");
}

#[test]
#[cfg_attr(windows, ignore = "links need a privilege there")]
fn links_that_leave_the_build_are_refused() {
    for bad in ["/etc/passwd", "..", "../x", "../../x", "a/../../x", "C:/x", "\\x", "b/.."] {
        refused(&[Dir("App/"), File("other", b"", R), Link("l", bad)], "leaves the build");
    }
    // Inside what is unpacked, outside what is installed.
    refused(&[Dir("App/"), File("App/app", b"", X), Link("App/l", "../App/app")], "leaves the build");
    // By way of another link, whichever comes first.
    refused(&[Dir("a/"), Link("a/up", "."), Link("a/out", "up/../../x")], "leaves the build");
    let deep = [Dir("p/q/"), Dir("t/"), Link("p/q/up", "../../t"), Link("p/q/out", "up/../../x")];
    refused(&deep, "leaves the build");
    // Nothing is written through a link.
    refused(&[Dir("d/"), Link("l", "d"), File("l/x", b"evil", X)], "not a folder");
    refused(&[Link("L", "d"), File("l/x", b"evil", X)], "case");
    let good =
        [File("d/e/app", b"", X), Link("d/e/l", "../../other"), Link("m", "d/e/l"), File("other", b"", R)];
    for (format, bytes) in every_format(&good) {
        assert!(try_unpack(format, &bytes, Kind::Directory, &Limits::default()).is_ok(), "{format:?}");
    }
}

#[test]
fn things_that_are_no_files_are_refused() {
    for (kind, word) in [
        (EntryType::Link, "hard link"),
        (EntryType::Char, "device"),
        (EntryType::Block, "device"),
        (EntryType::Fifo, "pipe"),
        (EntryType::GNUSparse, "sparse"),
        (EntryType::new(b'Z'), "no build holds"),
    ] {
        let mut tar = Builder::new(Vec::new());
        tar.append(&header("x", kind, 0, X, "victim"), &b""[..]).unwrap();
        refused_as(Format::TarGz, &gz(&tar.into_inner().unwrap()), word);
    }
    let mut fifo = zip_of(&[File("x", b"", X)]);
    let at = fifo.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    fifo[at + 40..at + 42].copy_from_slice(&0o010_644u16.to_le_bytes());
    refused_as(Format::Zip, &fifo, "no build holds");
}

#[test]
fn long_names_are_read_and_bounded() {
    let long = format!("App/{}/app", "d".repeat(200));
    let with = |kind: EntryType, extra: &[u8]| {
        let mut tar = Builder::new(Vec::new());
        tar.append(&header("extra", kind, extra.len() as u64, R, ""), extra).unwrap();
        tar.append(&header("short", EntryType::Regular, 3, X, ""), &b"app"[..]).unwrap();
        gz(&tar.into_inner().unwrap())
    };
    let pax = |key: &str, value: &str| {
        let mut length = key.len() + value.len() + 3;
        length += length.to_string().len();
        format!("{length} {key}={value}\n").into_bytes()
    };
    for archive in
        [with(EntryType::GNULongName, long.as_bytes()), with(EntryType::XHeader, &pax("path", &long))]
    {
        let contents = try_unpack(Format::TarGz, &archive, Kind::File, &Limits::default()).unwrap();
        assert_eq!(contents.entries.len(), 1);
    }
    let evil = with(EntryType::XHeader, &pax("path", "../victim"));
    refused_as(Format::TarGz, &evil, "not a path");
    refused_as(Format::TarGz, &with(EntryType::GNULongName, &vec![b'a'; 5000]), "longer than");
    refused_as(Format::TarGz, &with(EntryType::XHeader, &vec![b'a'; 70_000]), "longer than");
    refused_as(Format::TarGz, &with(EntryType::XHeader, &pax("size", "1")), "length");
    refused_as(Format::TarGz, &with(EntryType::XHeader, &pax("GNU.sparse.major", "1")), "sparse");
    refused_as(Format::TarGz, &with(EntryType::XHeader, b"7 a=b\n"), "damaged");
    let global = with(EntryType::XGlobalHeader, &pax("comment", "from git"));
    assert!(try_unpack(Format::TarGz, &global, Kind::File, &Limits::default()).is_ok());
}

#[test]
fn bombs_end_at_the_limits() {
    let zeros = vec![0u8; 40 << 20];
    for (format, bytes) in every_format(&[File("big", &zeros, R)]) {
        assert!(bytes.len() < 200_000);
        let e = try_unpack(format, &bytes, Kind::File, &Limits::default()).unwrap_err();
        assert!(e.to_string().contains("unpacks to more"), "{format:?} {e}");
        let generous = Limits { ratio: 100_000, ..Limits::default() };
        assert!(try_unpack(format, &bytes, Kind::File, &generous).is_ok(), "{format:?}");
        let small = Limits { bytes: 1000, ..generous };
        assert!(try_unpack(format, &bytes, Kind::File, &small).is_err(), "{format:?}");
    }
    let many: Vec<String> = (0..200).map(|n| format!("f{n}")).collect();
    let items: Vec<_> = many.iter().map(|name| File(name, b"", R)).collect();
    for (format, bytes) in every_format(&items) {
        let e = try_unpack(format, &bytes, Kind::Directory, &Limits { entries: 100, ..Limits::default() })
            .unwrap_err();
        assert!(e.to_string().contains("entries"), "{format:?} {e}");
    }
    // Nothing but headers, for ever.
    let header = header("a", EntryType::XGlobalHeader, 0, R, "");
    let endless = header.as_bytes().repeat(20_000);
    let e = try_unpack(
        Format::TarGz,
        &gz(&endless),
        Kind::Directory,
        &Limits { entries: 100, bytes: 1000, ratio: 1 },
    );
    assert!(e.unwrap_err().to_string().contains("more than it may"));
}

#[test]
fn sizes_that_lie_are_refused() {
    let mut zip = zip_of(&[File("x", &[7u8; 100], R)]);
    for signature in [b"PK\x01\x02", b"PK\x03\x04"] {
        let at = zip.windows(4).position(|w| w == signature).unwrap();
        let offset = if signature[2] == 1 { 24 } else { 22 };
        zip[at + offset..at + offset + 4].copy_from_slice(&50u32.to_le_bytes());
    }
    refused_as(Format::Zip, &zip, "");
    // Only in one of the two headers.
    let mut zip = zip_of(&[File("name-a", b"x", R)]);
    let at = zip.windows(6).position(|w| w == b"name-a").unwrap();
    zip[at..at + 6].copy_from_slice(b"name-b");
    refused_as(Format::Zip, &zip, "");
}

#[test]
fn damaged_archives_are_errors() {
    let items = [Dir("App/"), File("App/app", &[3u8; 3000], X), File("App/notes", b"notes of it", R)];
    for (format, bytes) in every_format(&items) {
        for cut in (0..bytes.len()).step_by(7) {
            let e = try_unpack(format, &bytes[..cut], Kind::Directory, &Limits::default());
            // A tar may end after any entry; its gzip wrapper may not.
            assert!(e.is_err() || format == Format::TarZst, "{format:?} cut at {cut}");
        }
        for at in (0..bytes.len()).step_by(3) {
            let mut bent = bytes.clone();
            bent[at] ^= 0x55;
            let _ = try_unpack(format, &bent, Kind::Directory, &Limits::default());
        }
        assert!(try_unpack(format, b"", Kind::Directory, &Limits::default()).is_err(), "{format:?}");
    }
}

#[test]
fn formats_are_known_by_their_names() {
    assert_eq!(Format::of_name("https://x.test/App-1.0.1.TAR.GZ"), Some(Format::TarGz));
    assert_eq!(Format::of_name("app.tgz"), Some(Format::TarGz));
    assert_eq!(Format::of_name("app.tar.zst"), Some(Format::TarZst));
    assert_eq!(Format::of_name("app.zip"), Some(Format::Zip));
    assert_eq!(Format::of_name("app.AppImage"), None);
}

#[test]
fn a_folder_that_exists_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "mine").unwrap();
    let e = unpack(&dir.path().join("none"), Format::Zip, Kind::File, dir.path(), &Limits::default())
        .unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Input);
    assert!(dir.path().join("mine").exists());
}
