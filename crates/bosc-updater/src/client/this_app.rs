//! Which file or folder the running program is, as an application.

use std::path::{Path, PathBuf};

/// What holds the running program: the AppImage it was started from, the `.app` around it, or the executable itself.
/// `None` when that is not an installed application: a build folder (as under `cargo run`), an interpreter. [`why_no_app`] says why.
pub fn this_app() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    if no_app(&exe).is_some() {
        return None;
    }
    // A program that an AppImage started (a terminal, say) has these variables too, and is not in that image.
    if cfg!(target_os = "linux")
        && let Some(image) = std::env::var_os("APPIMAGE").filter(|v| !v.is_empty())
        && let Some(mounted) = std::env::var_os("APPDIR").filter(|v| !v.is_empty())
        && let (Ok(exe), Ok(mounted)) = (exe.canonicalize(), Path::new(&mounted).canonicalize())
        && exe.starts_with(mounted)
    {
        return Some(image.into());
    }
    let bundle = exe.ancestors().find(|p| p.extension().is_some_and(|e| e == "app")).map(Path::to_owned);
    Some(bundle.filter(|_| cfg!(target_os = "macos")).unwrap_or(exe))
}

/// Why [`this_app`] names none, in one sentence; `None` when it names one.
pub fn why_no_app() -> Option<String> {
    match std::env::current_exe() {
        Ok(exe) => no_app(&exe),
        Err(e) => Some(format!("the path of this program is not known: {e}")),
    }
}

/// Programs that run others' code: an update must not replace them.
const INTERPRETERS: [&str; 18] = [
    "bash",
    "bun",
    "dash",
    "deno",
    "dotnet",
    "electron",
    "java",
    "javaw",
    "lua",
    "node",
    "nodejs",
    "perl",
    "php",
    "powershell",
    "pwsh",
    "python",
    "ruby",
    "sh",
];

/// Why what lies at a path is no installed application, in one sentence: it is in a build folder, or an interpreter.
pub(super) fn not_an_app(path: &Path) -> Option<String> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    // A folder of that name does not run anything.
    no_app(&path).filter(|_| path.is_file() || no_app(&path.join("x")).is_some())
}

fn no_app(exe: &Path) -> Option<String> {
    // Cargo keeps its own files beside what it builds, wherever that folder is.
    let is_build =
        |folder: &Path| folder.join(".fingerprint").is_dir() || folder.join(".cargo-lock").is_file();
    if exe.ancestors().skip(1).take(3).any(is_build) {
        return Some(format!("{} lies in a build folder: it is not an installed application", exe.display()));
    }
    let stem = exe.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let plain = stem.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end_matches(['w', '-']);
    if [stem.as_str(), plain].iter().any(|name| INTERPRETERS.contains(name)) {
        return Some(format!("{} runs other programs: it is not the application", exe.display()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_build_folder_nor_an_interpreter_is_an_application() {
        let temp = tempfile::tempdir().unwrap();
        let debug = temp.path().join("target/debug");
        std::fs::create_dir_all(debug.join(".fingerprint")).unwrap();
        for inside in ["demo", "deps/demo-1", "examples/demo"] {
            assert!(no_app(&debug.join(inside)).unwrap().contains("build folder"), "{inside}");
        }
        for name in ["python3.12", "python", "pythonw.exe", "node", "Node.exe", "ruby3.2", "java"] {
            assert!(no_app(&Path::new("/usr/bin").join(name)).unwrap().contains("other programs"), "{name}");
        }
        for name in ["/opt/target/demo", "/usr/bin/nodepad", "/usr/bin/rubyist", "/home/me/Demo.AppImage"] {
            assert_eq!(no_app(Path::new(name)), None, "{name}");
        }
        std::fs::write(debug.join("demo"), "").unwrap();
        std::fs::write(temp.path().join("node"), "").unwrap();
        std::fs::create_dir(temp.path().join("python")).unwrap();
        assert!(not_an_app(&debug.join("demo")).is_some() && not_an_app(&temp.path().join("node")).is_some());
        assert_eq!(not_an_app(&temp.path().join("python")), None, "a folder");
        // This test, as every program that cargo runs.
        assert_eq!(this_app(), None);
        assert!(why_no_app().is_some());
    }
}
