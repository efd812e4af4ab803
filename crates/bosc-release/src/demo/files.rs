//! Folders of the demo: made, changed, compared.

use super::show::{INSERTED, io, size, wrong};
use crate::error::CommandError;
use bosc_files::Work;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

pub(super) struct Compared {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// Compares two folders: names, contents, executable bits, symlinks. A symlink that leaves the first folder may be a
/// copy of its target in the second.
pub(super) fn compare(a: &Path, b: &Path) -> Result<Compared, CommandError> {
    let (left, right) = (walk(a, true)?, walk(b, false)?);
    let only_left = left.iter().find(|p| !right.contains(*p));
    if let Some(missing) = only_left.or_else(|| right.iter().find(|p| !left.contains(*p))) {
        return Err(wrong(format!("{} is in one folder only", missing.display())));
    }
    let mut out = Compared { files: 0, bytes: 0 };
    for name in &left {
        let (x, y) = (a.join(name), b.join(name));
        let meta = std::fs::symlink_metadata(&y).map_err(io(&y))?;
        out.files += 1;
        if meta.is_symlink() {
            let (to_x, to_y) =
                (std::fs::read_link(&x).map_err(io(&x))?, std::fs::read_link(&y).map_err(io(&y))?);
            if to_x.components().ne(to_y.components())
                && std::fs::canonicalize(&x).ok().is_none_or(|c| !c.ends_with(&to_y))
            {
                return Err(wrong(format!("{} links to another place", name.display())));
            }
            continue;
        }
        out.bytes += same_bytes(&x, &y)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&x).map_err(io(&x))?.permissions().mode();
            if (mode & 0o100) != (meta.permissions().mode() & 0o100) {
                return Err(wrong(format!("{} lost or gained its executable bit", name.display())));
            }
        }
    }
    Ok(out)
}

fn same_bytes(x: &Path, y: &Path) -> Result<u64, CommandError> {
    let (mut f, mut g) = (std::fs::File::open(x).map_err(io(x))?, std::fs::File::open(y).map_err(io(y))?);
    let (mut p, mut q) = (vec![0u8; 1 << 16], vec![0u8; 1 << 16]);
    let mut total = 0;
    loop {
        let n = f.read(&mut p).map_err(io(x))?;
        let part = q.get_mut(..n.max(1)).unwrap_or_default();
        let equal = if n == 0 {
            g.read(part).map_err(io(y))? == 0
        } else {
            g.read_exact(part).is_ok() && p.get(..n) == q.get(..n)
        };
        if !equal {
            return Err(wrong(format!("{} differs", y.display())));
        }
        if n == 0 {
            return Ok(total);
        }
        total += n as u64;
    }
}

/// Files and symlinks below a folder, as relative paths. With `follow`, symlinked folders outside it are entered.
fn walk(root: &Path, follow: bool) -> Result<BTreeSet<PathBuf>, CommandError> {
    let canonical = std::fs::canonicalize(root).map_err(io(root))?;
    let mut out = BTreeSet::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(folder) = todo.pop() {
        let full = root.join(&folder);
        for entry in std::fs::read_dir(&full).map_err(io(&full))? {
            let entry = entry.map_err(io(&full))?;
            let name = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(io(&full))?;
            let outside = follow
                && kind.is_symlink()
                && std::fs::canonicalize(entry.path())
                    .is_ok_and(|c| !c.starts_with(&canonical) && c.is_dir());
            if kind.is_dir() || outside {
                todo.push(name);
            } else {
                out.insert(name);
            }
        }
    }
    Ok(out)
}

/// Makes the next version: a few bytes put into the middle of the largest file, and the version counted up.
pub(super) fn edit(dir: &Path) -> Result<String, CommandError> {
    let package = dir.join("package.json");
    let bytes = std::fs::read(&package).map_err(io(&package))?;
    let mut json: Value = serde_json::from_slice(&bytes)
        .map_err(|e| CommandError::input("its package.json is not JSON").because(e))?;
    let next = match json.get("version").and_then(Value::as_str).and_then(|v| semver::Version::parse(v).ok())
    {
        Some(mut v) => {
            v.patch += 1;
            // Only such versions are released.
            v.pre = semver::Prerelease::EMPTY;
            v.build = semver::BuildMetadata::EMPTY;
            v.to_string()
        }
        None => "1.0.1".to_owned(),
    };
    if let Some(map) = json.as_object_mut() {
        map.insert("version".into(), Value::from(next.clone()));
    }
    let text =
        serde_json::to_vec_pretty(&json).map_err(|e| CommandError::failed("package.json").because(e))?;
    std::fs::write(&package, text).map_err(io(&package))?;
    let mut largest = (0, PathBuf::new());
    for name in walk(dir, false)? {
        let path = dir.join(&name);
        let meta = std::fs::symlink_metadata(&path).map_err(io(&path))?;
        if meta.is_file() && meta.len() > largest.0 && name != Path::new("package.json") {
            largest = (meta.len(), name);
        }
    }
    let path = dir.join(&largest.1);
    let mut bytes = std::fs::read(&path).map_err(io(&path))?;
    let middle = bytes.len() / 2;
    bytes.splice(middle..middle, std::iter::repeat_n(b'+', INSERTED));
    std::fs::write(&path, bytes).map_err(io(&path))?;
    Ok(format!(
        "version {next}, {INSERTED} bytes put into the middle of {} ({})",
        largest.1.display(),
        size(largest.0)
    ))
}

/// The application under `examples/` when the demo runs in a clone, else one like it; with a large file, so that what a
/// change costs can be seen.
pub(super) fn made_app(dir: &Path) -> Result<PathBuf, CommandError> {
    let example = Path::new("examples/demo-app");
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf, CommandError> {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io(parent))?;
        }
        std::fs::write(&path, bytes).map_err(io(&path))?;
        Ok(path)
    };
    let runtime = "by-arch/linux-x64/app/Demo/lib/runtime.bin";
    if example.join("package.json").is_file() {
        for name in walk(example, false)? {
            let (from, to) = (example.join(&name), dir.join(&name));
            if let Some(parent) = to.parent() {
                std::fs::create_dir_all(parent).map_err(io(parent))?;
            }
            if from.is_symlink() {
                #[cfg(unix)]
                std::fs::read_link(&from)
                    .and_then(|t| std::os::unix::fs::symlink(t, &to))
                    .map_err(io(&to))?;
                continue;
            }
            std::fs::copy(&from, &to).map_err(io(&to))?;
        }
        write(runtime, &noise())?;
        return Ok(dir.to_owned());
    }
    write(
        "package.json",
        b"{\n  \"name\": \"demo\",\n  \"productName\": \"Demo\",\n  \"version\": \"1.0.0\"\n}\n",
    )?;
    write("CHANGELOG.md", b"# Changelog\n\n## 1.0.0\n\nFirst.\n")?;
    write("by-arch/linux-x64/app/Demo/share/empty", b"")?;
    let binary = write("by-arch/linux-x64/app/Demo/bin/demo", b"#!/bin/sh\nexit 0\n")?;
    write(runtime, &noise())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).map_err(io(&binary))?;
        let link = dir.join("by-arch/linux-x64/app/Demo/bin/start");
        std::os::unix::fs::symlink("demo", &link).map_err(io(&link))?;
    }
    let _ = binary;
    Ok(dir.to_owned())
}

/// Bytes that do not repeat, from a small generator.
fn noise() -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(24 << 20).collect()
}

/// A folder that goes away with the value, and that nobody else can look into.
pub(super) struct TempDir(#[allow(dead_code)] Work, PathBuf);

impl TempDir {
    pub(super) fn new() -> Result<Self, CommandError> {
        let base = std::env::temp_dir();
        let work = Work::temporary("bosc-demo-").map_err(io(&base))?;
        let folder = work.dir().create_dir("demo", 0o700).map_err(io(&base))?.path().to_owned();
        Ok(Self(work, folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.1
    }
}
