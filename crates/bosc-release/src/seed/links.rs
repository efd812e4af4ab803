//! The file of links that `seed --links` reads: one a line, `#` begins a comment, blank lines are nothing.
//!
//! Invariants:
//! * A line that is no link is told with its number and takes no other line with it.
//! * A file that cannot be read says nothing about links: whoever runs goes on.
//! * At most [`MOST`] links and [`MAX_FILE`] bytes.

use super::event::SeedEvent;
use crate::engine::drive::parse_link;
use crate::error::CommandError;
use bosc_format::crypto::CoreKey;
use bosc_format::link::PearLink;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
#[cfg(any(windows, test))]
use std::time::SystemTime;

/// Most links of a file.
pub(super) const MOST: usize = 512;
/// Longest file in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Longest part of a bad line that is shown, in characters.
const SHOWN: usize = 80;

/// A file of links.
#[derive(Debug)]
pub(super) struct LinksFile {
    path: PathBuf,
    /// What it looked like when it was read.
    #[cfg(any(windows, test))]
    seen: Option<(SystemTime, u64)>,
}

/// What a file holds.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Links {
    /// In the file's order, each once.
    pub(super) links: Vec<PearLink>,
    /// Lines that are none, as events.
    pub(super) bad: Vec<SeedEvent>,
}

impl LinksFile {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            #[cfg(any(windows, test))]
            seen: None,
        }
    }

    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Reads it.
    pub(super) fn read(&mut self) -> Result<Links, CommandError> {
        let unreadable = |why: std::io::Error| {
            CommandError::input(format!("the file of links cannot be read: {}", self.path.display()))
                .because(why)
                .hint(format!(
                    "it holds one link a line, at most {} KiB; comments begin with #",
                    MAX_FILE / 1024
                ))
        };
        #[cfg(any(windows, test))]
        {
            self.seen = look(&self.path);
        }
        let bytes = bosc_files::read_plain(&self.path, MAX_FILE).map_err(unreadable)?;
        // In UTF-16 no line is one.
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            let why = "it is UTF-16, and is to be UTF-8";
            return Err(unreadable(std::io::Error::new(std::io::ErrorKind::InvalidData, why)));
        }
        // A letter of another encoding spoils its own line, and none when it stands in a comment.
        Ok(parse(&String::from_utf8_lossy(&bytes), &self.shown()))
    }

    /// Whether it looks different from when it was read: for systems without SIGHUP.
    #[cfg(any(windows, test))]
    pub(super) fn has_changed(&self) -> bool {
        look(&self.path) != self.seen
    }
}

#[cfg(any(windows, test))]
fn look(path: &Path) -> Option<(SystemTime, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// The links of a text.
fn parse(text: &str, file: &str) -> Links {
    let mut out = Links::default();
    let mut known: BTreeSet<CoreKey> = BTreeSet::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let why = match parse_link(line) {
            Err(e) => e.message().to_owned(),
            Ok(link) if known.contains(&link.key) => "the link is named twice".to_owned(),
            Ok(_) if out.links.len() >= MOST => format!("a file names at most {MOST} links"),
            Ok(link) => {
                known.insert(link.key);
                out.links.push(link);
                continue;
            }
        };
        out.bad.push(SeedEvent::BadLine {
            file: file.to_owned(),
            line: number as u64 + 1,
            text: line.chars().take(SHOWN).collect(),
            why,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(n: u8) -> String {
        format!("pear://{}", bosc_format::id::encode(&[n; 32]))
    }

    #[test]
    fn links_comments_and_blank_lines() {
        let text = format!("\u{feff}# all of them\n\n  {}  # the first\r\n\t{}\n", link(1), link(2));
        let got = parse(&text, "f");
        assert_eq!(got.links.iter().map(|l| l.key).collect::<Vec<_>>(), [[1; 32], [2; 32]]);
        assert!(got.bad.is_empty(), "{:?}", got.bad);
    }

    #[test]
    fn a_bad_line_is_named_and_takes_no_other_with_it() {
        let text = format!("{}\nnonsense\n{}\n{}\n", link(1), link(1), link(3));
        let got = parse(&text, "f");
        assert_eq!(got.links.len(), 2);
        let lines: Vec<(u64, &str)> = got
            .bad
            .iter()
            .map(|e| match e {
                SeedEvent::BadLine { line, text, .. } => (*line, text.as_str()),
                e => panic!("{e:?}"),
            })
            .collect();
        assert_eq!(lines, [(2, "nonsense"), (3, link(1).as_str())]);
    }

    #[test]
    fn a_letter_that_is_not_utf_8_spoils_its_own_line_and_no_comment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("links");
        let text = format!("{} # f\u{0}r M\u{0}ller\nl\u{0}nk\n{}\n", link(1), link(2));
        let bytes: Vec<u8> = text.bytes().map(|b| if b == 0 { 0xfc } else { b }).collect();
        std::fs::write(&path, bytes).unwrap();
        let got = LinksFile::new(&path).read().unwrap();
        assert_eq!(got.links.iter().map(|l| l.key).collect::<Vec<_>>(), [[1; 32], [2; 32]]);
        assert!(matches!(&got.bad[..], [SeedEvent::BadLine { line: 2, .. }]), "{:?}", got.bad);
        let wide: Vec<u8> =
            format!("\u{feff}{}\n", link(1)).encode_utf16().flat_map(u16::to_le_bytes).collect();
        std::fs::write(&path, wide).unwrap();
        let e = LinksFile::new(&path).read().map(|_| ()).unwrap_err();
        assert!(e.causes()[0].contains("UTF-16"), "{e}");
    }

    #[test]
    fn no_more_than_the_most() {
        let text: String = (0..MOST + 2)
            .map(|n| {
                let mut key = [7; 32];
                key[..8].copy_from_slice(&(n as u64).to_le_bytes());
                format!("pear://{}\n", bosc_format::id::encode(&key))
            })
            .collect();
        let got = parse(&text, "f");
        assert_eq!((got.links.len(), got.bad.len()), (MOST, 2));
    }

    #[test]
    fn a_file_that_changed_is_noticed_and_one_that_is_gone_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("links");
        let mut file = LinksFile::new(&path);
        assert!(file.read().is_err());
        std::fs::write(&path, link(1)).unwrap();
        assert!(file.has_changed());
        assert_eq!(file.read().unwrap().links.len(), 1);
        assert!(!file.has_changed());
        std::fs::write(&path, format!("{}\n# more", link(1))).unwrap();
        assert!(file.has_changed());
        std::fs::write(&path, vec![b'#'; (MAX_FILE + 1) as usize]).unwrap();
        assert!(file.read().is_err());
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(file.read().is_err());
    }
}
