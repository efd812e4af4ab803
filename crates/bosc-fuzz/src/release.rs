//! Files and lines of the command line's side: `package.json`, patterns, the change index, what another process says.

use bosc_release::folder::glob::{Ignore, Only};
use bosc_release::folder::ignore_file::IgnoreFile;
use bosc_release::folder::package::{Package, split_list};
use bosc_release::{owner as owners, stage};

/// `package.json`.
pub fn package(data: &[u8]) {
    let Ok(p) = Package::parse(data) else { return };
    let _ = Ignore::new(&p.stage.ignore);
    let _ = Only::new(&p.stage.only);
    for part in p.stage.ignore.iter().flat_map(|s| split_list(s)) {
        assert!(!part.is_empty() && !part.contains(','));
    }
}

/// Patterns, one a line, and in the last line a path; the same lines as an ignore file.
pub fn glob(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (patterns, path) = text.rsplit_once('\n').unwrap_or((text, "/node_modules/a/b.js"));
    if let Ok(ignore) = Ignore::new(patterns.lines()) {
        let _ = ignore.ignores(path);
        if ignore.ignores_all_below(path) {
            assert!(ignore.ignores(&format!("{}/x", path.trim_end_matches('/'))), "{patterns:?} {path:?}");
        }
    }
    if let Ok(file) = IgnoreFile::parse(patterns) {
        let path = path.trim_start_matches('/');
        if file.ignores(path, true) {
            assert!(file.ignores(&format!("{path}/x"), false), "{patterns:?} {path:?}");
        }
    }
    if let Ok(only) = Only::new(patterns.lines())
        && only.takes(path)
    {
        assert!(only.may_take_below(path));
    }
}

/// The change index of a stage: the bytes as they are, and with the header and checksum put right.
pub fn change_index(data: &[u8]) {
    let _ = stage::check_index(data, false);
    let _ = stage::check_index(data, true);
}

/// `owner.json`, the line of a command handed over, and a line of its answer.
pub fn owner(data: &[u8]) {
    owners::check_line(data);
}
