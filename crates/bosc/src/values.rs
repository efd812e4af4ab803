//! What arguments mean: paths, durations, sizes, the folder of the store.

use crate::global::Global;
use bosc_release::error::CommandError;
use std::path::{Path, PathBuf};

/// Seconds of a flag as milliseconds.
pub(crate) fn seconds(s: f64) -> Result<u64, CommandError> {
    if s.is_finite() && (0.0..=86_400.0 * 365.0).contains(&s) {
        Ok((s * 1000.0) as u64)
    } else {
        Err(CommandError::input("a time is a number of seconds, from 0 to a year")
            .hint("give seconds, as in `--timeout 30`"))
    }
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    std::path::absolute(path)
        .map_err(|e| CommandError::input(format!("not a path: {}", path.display())).because(e))
}

/// Addresses of mirrors: what is no URL is the path of a folder.
pub(crate) fn mirrors(given: &[String]) -> Result<Vec<String>, CommandError> {
    given.iter().map(|mirror| place(mirror)).collect()
}

/// A URL, or a path, which is made absolute: whoever has the store open runs in another folder.
pub(crate) fn place(given: &str) -> Result<String, CommandError> {
    if given.contains("://") {
        return Ok(given.to_owned());
    }
    let path = absolute(Path::new(given))?;
    path.into_os_string().into_string().map_err(|path| {
        CommandError::input(format!(
            "not a path of letters that every system has: {}",
            Path::new(&path).display()
        ))
        .hint("give the folder another name, or a link with another name")
    })
}

/// The store's folder: `--store`, or `bosc` in the platform's data folder.
pub(crate) fn store_dir(g: &Global) -> Result<PathBuf, CommandError> {
    if let Some(dir) = &g.store {
        return absolute(dir);
    }
    // One that is relative is none: the store would be another one in each folder.
    let var = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        var("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        var("HOME").map(|h| h.join("Library/Application Support"))
    } else {
        var("XDG_DATA_HOME").or_else(|| var("HOME").map(|h| h.join(".local/share")))
    };
    base.map(|b| b.join("bosc")).ok_or_else(|| {
        CommandError::input("no folder for the store is known")
            .hint("name one with `--store DIR` or BOSC_STORE")
    })
}

/// Bytes: a number, or one of K, M, G (1024 each) behind it.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, shift) = match text.strip_suffix(['K', 'k', 'M', 'm', 'G', 'g']) {
        None => (text, 0),
        Some(number) => match text.as_bytes().last() {
            Some(b'K' | b'k') => (number, 10),
            Some(b'M' | b'm') => (number, 20),
            _ => (number, 30),
        },
    };
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift));
    bytes.ok_or_else(|| "not a number of bytes such as 65536, 500K, 8M or 2G".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_and_nonsense_is_refused() {
        assert_eq!(size("0").unwrap(), 0);
        assert_eq!(size("70000").unwrap(), 70_000);
        assert_eq!(size("500K").unwrap(), 500 << 10);
        assert_eq!(size("8m").unwrap(), 8 << 20);
        assert_eq!(size("2G").unwrap(), 2 << 30);
        for bad in ["", "K", "-1", "1.5M", "8 M", "8MB", "99999999999G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
