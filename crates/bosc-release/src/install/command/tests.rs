use super::uninstall::{Removed, remove};
use super::*;
use bosc_drive::blobs::BlobId;
use bosc_drive::drive::EntryValue;

fn file(key: &str) -> DriveEntry {
    DriveEntry { seq: 1, key: key.into(), value: EntryValue::file(BlobId::default(), false) }
}

fn link(key: &str, target: &str) -> DriveEntry {
    let mut entry = file(key);
    (entry.value.blob, entry.value.linkname) = (None, Some(target.into()));
    entry
}

fn item(name: &str, folder: bool) -> InstallItem {
    InstallItem { name: name.into(), kind: ItemKind::App, folder, dest: format!("/apps/{name}").into() }
}

const FOLDER: &str = "/by-arch/linux-x64/app/";

/// Of an install of one file or folder, which was not marked.
fn receipt_of(dest: &Path) -> Receipt {
    Receipt {
        folders: BTreeSet::new(),
        link: "pear://x".into(),
        verlink: String::new(),
        name: "Demo".into(),
        version: Some("1.0.0".into()),
        length: 5,
        state: ReceiptState::Installed,
        files: [dest.to_owned()].into(),
        extras: BTreeSet::new(),
        marks: BTreeMap::new(),
        contents: BTreeMap::new(),
    }
}

#[test]
fn entries_are_seen_from_their_own_item() {
    let all = [
        file("/by-arch/linux-x64/app/Demo/bin/run"),
        link("/by-arch/linux-x64/app/Demo/bin/up", "../lib"),
        link("/by-arch/linux-x64/app/Demo/deep/er/abs", "/by-arch/linux-x64/app/Demo/bin/run"),
        file("/by-arch/linux-x64/app/other"),
        file("/by-arch/darwin-x64/app/Demo/x"),
        file("/package.json"),
    ];
    let out = inside(&all, FOLDER, &[item("Demo", true)]).unwrap();
    let keys: Vec<&str> = out.iter().map(|e| e.key.as_str()).collect();
    assert_eq!(keys, ["/Demo/bin/run", "/Demo/bin/up", "/Demo/deep/er/abs"]);
    assert_eq!(out.get(2).unwrap().value.linkname.as_deref(), Some("../../bin/run"));
    let names = names_below(&all, FOLDER);
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        [("Demo".to_owned(), true), ("other".to_owned(), false)]
    );
}

#[test]
fn links_out_of_the_application_are_refused() {
    for (key, target) in [
        ("Demo/a", ".."),
        ("Demo/a", "../other"),
        ("Demo/d/a", "../../other"),
        ("Demo/a", "/package.json"),
        ("Demo/a", "/by-arch/linux-x64/app/Demolition"),
        ("Demo/a", "/by-arch/linux-x64/app/Demo/../../x"),
        ("Demo/a", "x/../../.."),
    ] {
        let entry = link(&format!("{FOLDER}{key}"), target);
        let error = inside(&[entry], FOLDER, &[item("Demo", true)]).unwrap_err();
        assert_eq!(error.code(), "ERR_UNSAFE_PATH", "{key} -> {target}");
    }
    let whole = link("/by-arch/linux-x64/app/Demo", "/etc/passwd");
    assert!(inside(&[whole], FOLDER, &[item("Demo", false)]).is_err(), "the application itself is a link");
}

#[test]
fn receipts_tell_what_is_ours() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("Demo");
    let items = [InstallItem { dest: dest.clone(), ..item("Demo", false) }];
    let receipt = receipt_of(&dest);
    receipt.keep(dir.path(), &[1; 32]).unwrap();
    assert_eq!(Receipt::all(dir.path(), &[1; 32]).unwrap().as_slice(), std::slice::from_ref(&receipt));
    assert_eq!(Receipt::all(dir.path(), &[2; 32]).unwrap(), []);
    assert!(already(Some(&receipt), &items, 5).unwrap().is_none(), "the file is gone: install again");
    fs::write(&dest, "x").unwrap();
    assert!(already(Some(&receipt), &items, 5).unwrap().unwrap().exists);
    assert_eq!(already(Some(&receipt), &items, 6).unwrap_err().code(), "ERR_EXISTS");
    let begun = Receipt { state: ReceiptState::Installing, ..receipt };
    assert!(already(Some(&begun), &items, 5).unwrap().is_none());
    assert!(already(None, &items, 5).unwrap().is_none());
}

#[test]
fn each_place_has_its_own_receipt() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path();
    let receipt = |file: &str| Receipt { extras: ["/entry".into()].into(), ..receipt_of(Path::new(file)) };
    let files = |receipts: &[Receipt]| -> Vec<PathBuf> {
        receipts.iter().flat_map(|r| r.files.iter().chain(&r.extras)).cloned().collect()
    };
    // As older versions wrote it.
    fs::create_dir_all(store.join("installs")).unwrap();
    let path = store.join("installs").join(format!("{}.json", id::encode(&[1; 32])));
    fs::write(&path, serde_json::to_vec(&receipt("/one/Demo")).unwrap()).unwrap();
    let two = receipt("/two/Demo");
    two.keep(store, &[1; 32]).unwrap();
    let all = Receipt::all(store, &[1; 32]).unwrap();
    let expected: Vec<PathBuf> = ["/one/Demo", "/two/Demo", "/entry"].map(PathBuf::from).into();
    assert_eq!(files(&all), expected, "what both wrote is the last one's");
    let place = |folder: &str| Receipt::of_place(store, &[1; 32], &[PathBuf::from(folder)].into()).unwrap();
    assert_eq!(place("/one").map(|r| files(&[r])), Some(vec!["/one/Demo".into()]));
    assert_eq!(place("/three"), None);
    two.keep(store, &[1; 32]).unwrap();
    assert_eq!(Receipt::all(store, &[1; 32]).unwrap().len(), 2, "kept again in its own place");
    two.forget(store, &[1; 32]).unwrap();
    assert_eq!(files(&Receipt::all(store, &[1; 32]).unwrap()), ["/one/Demo"].map(PathBuf::from));
    receipt("/one/Demo").forget(store, &[1; 32]).unwrap();
    assert!(!path.exists());
}

#[test]
fn what_somebody_put_in_the_place_of_an_install_is_not_ours() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("Demo");
    fs::write(&dest, "x").unwrap();
    let items = [InstallItem { dest: dest.clone(), ..item("Demo", false) }];
    let mut receipt = receipt_of(&dest);
    receipt.mark(&dest).unwrap();
    receipt.keep(dir.path(), &[1; 32]).unwrap();
    let receipt = Receipt::all(dir.path(), &[1; 32]).unwrap().remove(0);
    assert!(already(Some(&receipt), &items, 5).unwrap().unwrap().exists);
    fs::remove_file(&dest).unwrap();
    assert!(matches!(remove(&dest, &receipt, &[1; 32]).unwrap(), Removed::Not));
    fs::create_dir(&dest).unwrap();
    fs::write(dest.join("data"), "mine").unwrap();
    assert!(already(Some(&receipt), &items, 5).unwrap().is_none());
    assert!(matches!(remove(&dest, &receipt, &[1; 32]).unwrap(), Removed::Changed));
    assert_eq!(fs::read_to_string(dest.join("data")).unwrap(), "mine");
    fs::remove_dir_all(&dest).unwrap();
    fs::write(&dest, "x").unwrap();
    assert!(matches!(remove(&dest, &receipt, &[1; 32]).unwrap(), Removed::Yes));
}

#[test]
fn what_was_added_to_an_application_stays_when_it_goes_or_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("Demo");
    let put = |root: &Path, path: &str, text: &str| {
        let at = root.join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, text).unwrap();
    };
    let installed = ["bin/run", "lib/a/x", "lib/b"];
    let mut receipt = Receipt {
        contents: [(dest.clone(), installed.map(str::to_owned).into())].into(),
        ..receipt_of(&dest)
    };
    let install = |receipt: &mut Receipt| {
        installed.iter().for_each(|path| put(&dest, path, "ours"));
        receipt.mark(&dest).unwrap();
    };
    install(&mut receipt);
    assert!(matches!(remove(&dest, &receipt, &[1; 32]).unwrap(), Removed::Yes));
    install(&mut receipt);
    put(&dest, "lib/a/mine", "mine");
    put(&dest, "notes/mine", "mine");
    put(&dest, "bin/run", "changed");
    let Removed::But(stayed) = remove(&dest, &receipt, &[1; 32]).unwrap() else { panic!("it was removed") };
    assert_eq!(stayed.to_string(), "lib/a/mine, notes/");
    assert!(!dest.join("bin").exists() && !dest.join("lib/b").exists(), "what was installed is gone");
    assert_eq!(fs::read_to_string(dest.join("notes/mine")).unwrap(), "mine");

    // Another build takes its place.
    installed.iter().for_each(|path| put(&dest, path, "ours"));
    let new = dir.path().join("new");
    put(&new, "bin/run", "new");
    put(&new, "lib/a", "now a file");
    fs::create_dir_all(&new).unwrap();
    put(&dest, "bin/run.conf", "mine");
    let known = receipt.contents.get(&dest).unwrap();
    let (known, ships): (Shipped, Shipped) =
        (known.iter().cloned().collect(), ["bin/run", "lib/a"].map(str::to_owned).into_iter().collect());
    let (old, into) = (Dir::open(&dest).unwrap(), Dir::open(&new).unwrap());
    let aside = || Aside::new(Dir::open(dir.path()).unwrap(), "Demo".as_ref(), "1.0.0");
    let carried = known.carry_over(&old, &into, &ships, aside(), false).unwrap();
    assert_eq!(carried.lines.len(), 1, "{:?}", carried.lines);
    assert_eq!(fs::read_to_string(dir.path().join("Demo.added/1.0.0/lib/a/mine")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(new.join("bin/run.conf")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(new.join("notes/mine")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(new.join("bin/run")).unwrap(), "new");
    assert_eq!(fs::read_to_string(new.join("lib/a")).unwrap(), "now a file");
    assert!(!new.join("lib/b").exists(), "the old build's own files do not come along");

    // What was installed is not known any more, and it was written to.
    receipt.mark(&dest).unwrap();
    put(&dest, "mine", "mine");
    let unknown = Receipt { contents: BTreeMap::new(), ..receipt.clone() };
    assert!(matches!(remove(&dest, &unknown, &[1; 32]).unwrap(), Removed::Unknown));
    assert_eq!(fs::read_to_string(dest.join("mine")).unwrap(), "mine");
}

#[test]
fn desktop_entries_run_our_command_only() {
    let own = "[Desktop Entry]\nName=Demo\nName[de]=Demo\nExec=AppRun --x\nTryExec=AppRun\nIcon=demo\nActions=new;\n\
               Categories=Game;\n[Desktop Action new]\nExec=evil\n";
    let text = desktop::compose(
        Some(own),
        "Demo",
        Path::new("/home/u/a \"b\" $c 100%/Demo"),
        Some(Path::new("/i.png")),
    );
    assert!(
        text.starts_with(
            "[Desktop Entry]\nExec=\"/home/u/a \\\\\"b\\\\\" \\\\$c 100%%/Demo\" %U\nIcon=/i.png\nName=Demo\n"
        ),
        "{text}"
    );
    assert!(text.contains("Categories=Game;") && !text.contains("evil") && !text.contains("AppRun"));
    let made = desktop::compose(None, "De\nExec=evil", Path::new("/a"), None);
    assert!(made.contains("\nName=DeExec=evil\nExec=\"/a\" %U\n"), "{made}");
}

#[cfg(unix)]
#[test]
fn files_of_an_appimage_are_taken_from_its_own_folder_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let app = dir.path().join("app");
    fs::write(
        &app,
        "#!/bin/sh\n[ \"$1\" = --appimage-extract ] || exit 1\nmkdir -p squashfs-root\ncase \"$2\" in\n\
         *.desktop) printf '[Desktop Entry]\\nName=X\\n' > squashfs-root/x.desktop;;\n\
         *.svg) ln -sf /etc/passwd squashfs-root/x.svg;;\n*.png) printf png > squashfs-root/x.png;;\nesac\n",
    )
    .unwrap();
    fs::set_permissions(&app, fs::Permissions::from_mode(0o755)).unwrap();
    let work = dir.path().join("work");
    fs::create_dir(&work).unwrap();
    let (text, icon) = desktop::extract(&app, &work);
    assert_eq!(text.as_deref(), Some("[Desktop Entry]\nName=X\n"));
    assert_eq!(icon, Some(("png", b"png".to_vec())), "the svg leads elsewhere");
}
