//! Files, modes and links of a build.

use super::*;

#[test]
fn many_files_are_one_build_too() {
    let app = App::new(Shape::Folder);
    let path = app.stage("1.0.1");
    for n in 0..300 {
        fs::write(path.join(format!("share/file-{n}")), n.to_string()).unwrap();
    }
    let staged = staged(&path, "1.0.1");
    app.as_version("1.0.0").install(&staged, now()).unwrap();
    verify(&app.target(), &staged.contents).unwrap();
    app.holds(&app.prev(), "1.0.0");
}

#[cfg(unix)]
#[test]
fn links_and_modes() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let app = App::new(Shape::File);
    let link = app.dir.path().join("link");
    symlink("App", &link).unwrap();
    let installer = Installer::open(Options::new(&link, version("1.0.0"))).unwrap();
    assert_eq!(installer.target(), fs::canonicalize(app.target()).unwrap());

    let path = app.stage("1.0.1");
    let mut staged = staged(&path, "1.0.1");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4600)).unwrap();
    let EntryKind::File { executable, .. } = &mut staged.contents.entries[0].kind else { panic!() };
    *executable = false;
    installer.install(&staged, now()).unwrap();
    let mode = fs::metadata(app.target()).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o755, "one file is a program, and has no more rights than that");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let folder = fs::metadata(app.dir.path().join(".App.bosc")).unwrap().permissions().mode() & 0o777;
    let parent = fs::metadata(app.dir.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(folder, parent);
}

#[test]
fn a_build_is_described_the_same_wherever_it_lies() {
    let app = App::new(Shape::Folder);
    assert_eq!(contents_of(&app.target()).unwrap(), expected(Shape::Folder, "1.0.0"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../..", app.target().join("share/out")).unwrap();
        assert_eq!(kind(contents_of(&app.target())), ErrorKind::Integrity);
        let _ = fs::remove_file(app.target().join("share/out"));
        let _socket = std::os::unix::net::UnixListener::bind(app.target().join("socket")).unwrap();
        assert_eq!(kind(contents_of(&app.target())), ErrorKind::Integrity);
    }
}

/// A file that is replaced is replaced by `bosc_files`, whoever does it: there is one level of durability for each kind of file, and
/// no half-written one under its name. (`p2p` writes builds anew, in folders of its own.)
#[test]
fn files_are_replaced_on_one_road() {
    let mut open = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(at) = open.pop() {
        if at.is_dir() {
            open.extend(fs::read_dir(&at).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let name = at.display().to_string().replace('\\', "/");
        if name.contains("/install/fs/") || name.contains("/src/p2p/") || name.contains("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&at).unwrap();
        let code = text.split("mod tests {").next().unwrap();
        for forbidden in [
            "std::fs::rename",
            "std::fs::write",
            "File::create",
            ".truncate(true)",
            "create_new(",
            "DirBuilder",
        ] {
            assert!(!code.contains(forbidden), "{name} uses {forbidden}");
        }
        read += 1;
    }
    assert!(read > 50, "{read}");
}

/// Whatever the installer does to files goes through one place, or the crash matrix would not see it.
#[test]
fn every_file_operation_goes_through_the_counter() {
    let mut open = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(at) = open.pop() {
        if at.is_dir() {
            open.extend(fs::read_dir(&at).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let name = at.display().to_string().replace('\\', "/");
        let ours =
            ["/src/install/", "/src/health/", "/src/archive/"].iter().any(|folder| name.contains(folder));
        if !ours || name.contains("/install/fs/") || name.contains("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&at).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for forbidden in ["std::fs::", "use std::fs;", "OpenOptions", "File::open", "File::create"] {
            let found = code.replace("use std::fs::File;", "").contains(forbidden);
            assert!(!found, "{name} uses {forbidden}");
        }
        read += 1;
    }
    assert!(read > 15);
}

/// What the person or an administrator narrowed stays narrow, file by file; what is not carried over is said.
#[cfg(unix)]
#[test]
fn modes_are_those_of_the_build_before_or_narrower() {
    use std::os::unix::fs::PermissionsExt;
    let set = |path: &Path, mode: u32| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for (old, new) in
        [(0o700, 0o700), (0o711, 0o711), (0o750, 0o750), (0o755, 0o755), (0o4755, 0o755), (0o777, 0o775)]
    {
        let app = App::new(Shape::File);
        set(&app.target(), old);
        let staged = staged(&app.stage("1.0.1"), "1.0.1");
        let installed = app.as_version("1.0.0").install(&staged, now()).unwrap();
        assert_eq!(mode(&app.target()), new, "{old:o}");
        assert_eq!(installed.not_kept.len(), usize::from(old == 0o4755), "{:?}", installed.not_kept);
    }
    let app = App::new(Shape::Folder);
    let files = |root: &Path| {
        let mut files: Vec<_> =
            contents_of(root).unwrap().entries.into_iter().map(|e| root.join(e.path)).collect();
        files.retain(|path| path.is_file() && !path.is_symlink());
        files
    };
    let folder = files(&app.target())[0].clone();
    set(&folder, 0o600);
    set(&app.target(), 0o2750);
    // Every link says that everybody may write to it.
    let link = app.target().join("share/notes.txt");
    assert_ne!(folder, link);
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("elsewhere", &link).unwrap();
    let staged = staged(&app.stage("1.0.1"), "1.0.1");
    let fresh = staged.path.join("fresh");
    fs::write(&fresh, "new").unwrap();
    set(&fresh, 0o644);
    let staged = bosc_updater::release::Staged { contents: contents_of(&staged.path).unwrap(), ..staged };
    app.as_version("1.0.0").install(&staged, now()).unwrap();
    assert_eq!(mode(&app.target()), 0o2750, "a folder that its group shares stays one");
    assert_eq!(mode(&folder) & 0o077, 0, "{}: {:o}", folder.display(), mode(&folder));
    assert_eq!(mode(&link) & 0o022, 0, "{}: {:o}", link.display(), mode(&link));
    assert_eq!(
        mode(&app.target().join("fresh")),
        0o640,
        "what is new is for those who could read the old build"
    );
}

/// What an administrator gave the files of an installation beside their modes is there after an update as well.
#[cfg(target_os = "linux")]
#[test]
fn attributes_access_lists_and_capabilities_come_along() {
    use rustix::fs::{XattrFlags, getxattr, setxattr};
    use std::os::unix::fs::PermissionsExt;
    let app = App::new(Shape::Folder);
    let (program, notes) = (app.target().join("bin/app"), app.target().join("share/notes.txt"));
    // Owner rwx, user 1000 rwx, group r-x, mask rwx, others rwx.
    let entries: [(u16, u16, u32); 5] =
        [(1, 7, u32::MAX), (2, 7, 1000), (4, 5, u32::MAX), (0x10, 7, u32::MAX), (0x20, 7, u32::MAX)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, bits, id) in entries {
        list.extend([&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat());
    }
    // cap_net_bind_service=ep
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let wanted: [(&Path, &str, &[u8]); 4] = [
        (&notes, "user.note", b"mine"),
        (&notes, "trusted.note", b"root's"),
        (&program, "system.posix_acl_access", &list),
        (&program, "security.capability", &capability),
    ];
    // Those that this user and this file system can have.
    let given: Vec<_> = wanted
        .into_iter()
        .filter(|(path, name, value)| setxattr(*path, *name, value, XattrFlags::empty()).is_ok())
        .collect();
    if given.len() < wanted.len() {
        eprintln!("RUN IN PART: of {} attributes {} can be given here", wanted.len(), given.len());
    }
    let staged = staged(&app.stage("1.0.1"), "1.0.1");
    let installed = app.as_version("1.0.0").install(&staged, now()).unwrap();
    assert_eq!(installed.not_kept, [""; 0]);
    for (path, name, value) in given {
        let mut now = [0_u8; 256];
        assert_eq!(getxattr(path, name, now.as_mut_slice()), Ok(value.len()), "{name} of {}", path.display());
        if name != "system.posix_acl_access" {
            assert_eq!(now[..value.len()], *value, "{name}");
        }
    }
    let mode = fs::metadata(&program).unwrap().permissions().mode();
    assert_eq!((mode & 0o002, mode & 0o100), (0, 0o100), "{mode:o}: a list that opens it to all is narrowed");
}
