//! Folders of a test, and the commands run in them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) struct Place {
    folder: tempfile::TempDir,
    link: std::cell::OnceCell<String>,
}

impl Place {
    /// `None`, and told, when this is not root.
    pub(crate) fn as_root() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let uid = fs::metadata(folder.path()).unwrap().uid();
        if uid != 0 {
            eprintln!("LEFT OUT: only root can start a process of another user (this is uid {uid})");
            return None;
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self { folder, link: std::cell::OnceCell::new() })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A folder where everybody may write, and rename what is not theirs.
    pub(crate) fn shared(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        path
    }

    /// A folder of root's.
    pub(crate) fn own(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// A folder of root's with files, which nobody has any business in.
    pub(crate) fn outside(&self, names: &[&str]) -> PathBuf {
        let path = self.own("outside");
        let files: Vec<(&str, String)> = names.iter().map(|n| (*n, format!("outside {n}"))).collect();
        write(&path, &files.iter().map(|(n, t)| (*n, t.as_str())).collect::<Vec<_>>());
        path
    }

    pub(crate) fn bosc(&self, args: &[&str]) -> Output {
        self.bosc_with(args, &[])
    }

    pub(crate) fn bosc_with(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bosc"));
        self.prepare(&mut command).args(args).envs(env.iter().copied()).output().unwrap()
    }

    pub(crate) fn bosc_with_umask(&self, mask: &str, args: &[&str]) -> Output {
        let mut command = Command::new("sh");
        command.args(["-c", "umask $1; shift; exec \"$@\"", "sh", mask, env!("CARGO_BIN_EXE_bosc")]);
        self.prepare(&mut command).args(args).output().unwrap()
    }

    fn prepare<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .current_dir(self.path())
            .env("BOSC_STORE", self.path().join("store"))
            .env("BOSC_BOOTSTRAP", "127.0.0.1:9")
            .env("HOME", self.path().join("home"))
            .env("XDG_DATA_HOME", self.path().join("home/data"))
            .stdin(Stdio::null())
    }

    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.bosc(args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {text}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn last(&self, args: &[&str]) -> serde_json::Value {
        let out = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(out.lines().last().unwrap()).unwrap()
    }

    /// A new link.
    pub(crate) fn touch(&self) -> String {
        self.last(&["touch"])["data"]["link"].as_str().unwrap().to_owned()
    }

    /// Stages files to the place's link. The link of this version.
    pub(crate) fn stage(&self, files: &[(&str, &str)]) -> String {
        self.stage_again(files)
    }

    pub(crate) fn stage_again(&self, files: &[(&str, &str)]) -> String {
        let link = self.link.get_or_init(|| self.touch());
        let folder = self.own("staged");
        fs::remove_dir_all(&folder).unwrap();
        write(&folder, files);
        write(&folder, &[("package.json", r#"{"name":"demo","productName":"Demo","version":"1.0.0"}"#)]);
        let ignore = if files.iter().any(|(n, _)| n.starts_with("by-arch")) { "" } else { "package.json" };
        let args = ["stage", link, folder.to_str().unwrap(), "--ignore", ignore];
        self.last(&args)["data"]["verlink"].as_str().unwrap().to_owned()
    }

    /// The platform, as folders of builds have it.
    pub(crate) fn host(&self) -> String {
        let platform = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
        format!("{platform}-{arch}")
    }
}

pub(crate) fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn walk(folder: &Path, key: &str, on: &mut dyn FnMut(&str, &Path, &fs::Metadata)) {
    for item in fs::read_dir(folder).unwrap().flatten() {
        let key = format!("{key}{}", item.file_name().to_string_lossy());
        let Ok(meta) = fs::symlink_metadata(item.path()) else { continue };
        on(&key, &item.path(), &meta);
        if meta.is_dir() {
            walk(&item.path(), &format!("{key}/"), on);
        }
    }
}

/// Files and links below a folder.
pub(crate) fn contents(folder: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    walk(folder, "", &mut |key, path, meta| {
        if meta.is_symlink() {
            out.insert(key.to_owned(), format!("-> {}", fs::read_link(path).unwrap().display()));
        } else if meta.is_file() {
            out.insert(key.to_owned(), fs::read_to_string(path).unwrap());
        }
    });
    out
}

/// The owners of a folder and all in it.
pub(crate) fn owners(folder: &Path) -> Vec<u32> {
    let mut out = vec![fs::symlink_metadata(folder).unwrap().uid()];
    walk(folder, "", &mut |_, _, meta| out.push(meta.uid()));
    out
}
