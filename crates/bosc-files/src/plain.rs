//! Files that are read by a path: the one road for what a user named or somebody else may have put there.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a plain file for reading; links are followed. Something else of that name (a FIFO, a device, a socket, a folder)
/// is refused and nothing waits for it: a FIFO without a writer would hold an ordinary `open` for ever, and a device may
/// do something when it is opened.
///
/// # Errors
/// `InvalidInput` for what is not a plain file, with what it is; others of the system.
pub fn open_plain(path: &Path) -> io::Result<File> {
    let refused = |meta: &Metadata| io::Error::new(io::ErrorKind::InvalidInput, not_a_file(meta.file_type()));
    let there = std::fs::metadata(path)?;
    if !there.is_file() {
        return Err(refused(&there));
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, i32::try_from(flags).unwrap_or(0));
    }
    let file = options.open(path)?;
    // It may have been exchanged meanwhile.
    let meta = file.metadata()?;
    if meta.is_file() { Ok(file) } else { Err(refused(&meta)) }
}

/// The bytes of a small file; `None` when there is no file: nothing, or a FIFO, a socket or a folder, which nobody waits for.
///
/// # Errors
/// `InvalidData` when it has more than `max`; others of the system.
pub fn read_bounded(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    match read_plain(path, max) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The bytes of a small file that must be there.
///
/// # Errors
/// As [`open_plain`]; `InvalidData` when it has more than `max`.
pub fn read_plain(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_plain(path)?.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {max} bytes")));
    }
    Ok(bytes)
}

/// Fails when something is there that is no plain file, so that nothing is written in its place; links are followed. Good
/// when there is nothing.
///
/// # Errors
/// `InvalidInput` with what it is: a folder, a pipe, a socket, a device, or a stream of this process by its name
/// (`/dev/stdout`).
pub fn refuse_special(path: &Path) -> io::Result<()> {
    const STREAMS: [&str; 5] = ["/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd", "/proc/self/fd"];
    let refused = |text: String| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    if cfg!(unix) && STREAMS.iter().any(|stream| path.starts_with(stream)) {
        return refused(
            "it is a stream of this process, not a file: a command that can print leaves the file out for that, or \
             takes `-`"
                .to_owned(),
        );
    }
    match std::fs::metadata(path) {
        Ok(meta) if !meta.is_file() => refused(not_a_file(meta.file_type()).to_owned()),
        _ => Ok(()),
    }
}

pub(crate) fn not_a_file(kind: FileType) -> &'static str {
    if kind.is_dir() {
        return "it is a folder, not a file";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "it is a pipe, not a file";
        }
        if kind.is_socket() {
            return "it is a socket, not a file";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "it is a device, not a file";
        }
    }
    "it is not a plain file"
}

#[allow(clippy::unwrap_used)]
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn what_is_not_a_file_is_refused_and_nobody_waits_for_it() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("fifo", at("link")).unwrap();
        std::os::unix::fs::symlink("file", at("good")).unwrap();
        std::fs::write(at("file"), "text").unwrap();
        for (path, is) in [
            (at("fifo"), "a pipe"),
            (at("link"), "a pipe"),
            (at("socket"), "a socket"),
            (at(""), "a folder"),
            (PathBuf::from("/dev/zero"), "a device"),
        ] {
            let e = open_plain(&path).unwrap_err();
            assert_eq!(e.kind(), io::ErrorKind::InvalidInput, "{}", path.display());
            assert_eq!(e.to_string(), format!("it is {is}, not a file"));
            assert_eq!(read_bounded(&path, 9).unwrap(), None);
        }
        assert_eq!(open_plain(&at("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(read_bounded(&at("none"), 9).unwrap(), None);
        assert_eq!(read_plain(&at("good"), 4).unwrap(), b"text");
        assert_eq!(read_bounded(&at("good"), 4).unwrap().unwrap(), b"text");
        for e in [read_plain(&at("file"), 3).unwrap_err(), read_bounded(&at("file"), 3).unwrap_err()] {
            assert_eq!(e.kind(), io::ErrorKind::InvalidData);
        }
    }

    /// Ways to open a file for reading that wait for a FIFO.
    const OTHERS: [&str; 4] = ["File::open(", "fs::read(", "fs::read_to_string(", "fs::copy("];
    /// Where they may stand, and why.
    const ALLOWED: [(&str, &str); 9] = [
        (
            "bosc-files/src/descriptor.rs",
            "descriptors that were opened for us, and what the kernel says of them",
        ),
        ("bosc-node/src/mapping/gateway.rs", "the kernel's routes"),
        ("bosc-release/src/demo/files.rs", "what the demo wrote itself"),
        ("bosc-release/src/demo/updates.rs", "what the demo wrote itself"),
        ("bosc-release/src/dump/write.rs", "a file that was found to be one, on Windows"),
        ("bosc-store/src/disk/place.rs", "a folder, to have it on disk"),
        ("bosc-updater/src/install/fs/look.rs", "the kernel's boot id"),
        ("bosc-updater/src/install/fs/sys.rs", "a folder, to have it on disk"),
        ("bosc/src/updater/smoke/mod.rs", "this program itself"),
    ];

    fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let test = name == "tests"
                || name.ends_with("_tests")
                || name == "testing"
                || ["docs_blocks", "golden"].contains(&name);
            if path.is_dir() && name != "tests" {
                sources(&path, out);
            } else if !test && path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }

    #[test]
    fn nothing_else_opens_a_file_for_reading() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut files = Vec::new();
        for item in std::fs::read_dir(crates).unwrap() {
            let path = item.unwrap().path();
            if !path.ends_with("bosc-testkit") && !path.ends_with("bosc-fuzz") {
                sources(&path.join("src"), &mut files);
            }
        }
        assert!(files.len() > 300, "{}", files.len());
        let mut used = std::collections::BTreeSet::new();
        for path in files {
            let name = path.strip_prefix(crates).unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let code = ["#[cfg(test)]", "#[cfg(all(test", "#[cfg(all(unix, test"]
                .iter()
                .filter_map(|mark| text.find(mark))
                .min()
                .map_or(text.as_str(), |end| &text[..end]);
            for line in code.lines().filter(|line| OTHERS.iter().any(|way| line.contains(way))) {
                let ours = line.contains("LineFile::open(") || line.trim_start().starts_with("//");
                let allowed = ALLOWED.iter().any(|(file, _)| *file == name);
                assert!(ours || allowed, "{name} opens a file without bosc_files::open_plain: {line}");
                used.insert(name.clone());
            }
        }
        for (file, _) in ALLOWED {
            assert!(used.contains(file), "{file} is allowed to and does not");
        }
    }
}
