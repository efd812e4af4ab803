//! What this process was given open, by its number.

use std::fs::File;
use std::io;

/// Opens file descriptor `number` for reading, from where it stands: what was read from it before is not read again. On Linux
/// its name opens a file anew, at its beginning; the system says where the descriptor stands.
///
/// # Errors
/// There is none of this number, it is not open for reading, it is a socket (standard input may be one), or the system numbers no files
/// (Windows). Of standard input that it is not open for reading is told by the first read.
pub fn open_descriptor(number: u32) -> io::Result<File> {
    if !cfg!(unix) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this system has no numbered file descriptors",
        ));
    }
    // Of standard input the descriptor itself is at hand: it may be a socket, which has no name to open.
    #[cfg(unix)]
    if number == 0 {
        return std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned().map(File::from);
    }
    let file = || File::open(format!("/dev/fd/{number}"));
    if !cfg!(any(target_os = "linux", target_os = "android")) {
        // The same open file, and refused unless it may be read.
        return file();
    }
    let (position, flags) = stands(number)?;
    // O_ACCMODE and O_WRONLY of all architectures.
    if flags & 3 == 1 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is open for writing only"));
    }
    let mut file = file()?;
    if file.metadata()?.is_file() {
        io::Seek::seek(&mut file, io::SeekFrom::Start(position))?;
    }
    Ok(file)
}

/// Where a descriptor stands, and how it was opened: see proc_pid_fdinfo(5).
fn stands(number: u32) -> io::Result<(u64, u32)> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).ok_or_else(|| io::Error::other("fdinfo says too little"))
    };
    let position = field("pos:")?.parse().map_err(io::Error::other)?;
    let flags = u32::from_str_radix(field("flags:")?, 8).map_err(io::Error::other)?;
    Ok((position, flags))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;

    #[test]
    fn it_is_read_from_where_it_stands_and_only_if_it_may_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("two lines");
        std::fs::write(&path, "first\nsecond\n").unwrap();
        let mut file = File::open(&path).unwrap();
        file.read_exact(&mut [0; 6]).unwrap();
        let number = |file: &File| u32::try_from(file.as_raw_fd()).unwrap();
        let mut rest = String::new();
        open_descriptor(number(&file)).unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "second\n");

        let writer = File::options().append(true).open(&path).unwrap();
        assert_eq!(open_descriptor(number(&writer)).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(open_descriptor(1 << 20).unwrap_err().kind(), io::ErrorKind::NotFound);

        let (from, mut to) = io::pipe().unwrap();
        to.write_all(b"through a pipe").unwrap();
        drop(to);
        let mut text = String::new();
        let fd = u32::try_from(from.as_raw_fd()).unwrap();
        open_descriptor(fd).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "through a pipe");
    }
}
