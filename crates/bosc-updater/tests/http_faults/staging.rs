//! The folder it arrives in.

use super::*;

#[test]
fn a_full_disk_is_noticed_before_the_download() {
    let (server, signing) = site(Cert::Good, b"new", |r, _| serve_file(r, b"new"));
    let dir = tempfile::tempdir().unwrap();
    let mut o = options(&server, &signing);
    o.room = Some(Arc::new(|n| Err(UpdateError::new(ErrorKind::NoSpace, format!("no room for {n}")))));
    let mut source = HttpSource::new(o).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    let e = fetch(&mut source, &release, dir.path()).unwrap_err();
    assert_eq!((e.kind(), e.to_string().as_str()), (ErrorKind::NoSpace, "no room for 3"));
    assert_eq!(server.asked("/app"), 0);
}

#[test]
fn a_release_is_fetched_by_one_process_at_a_time() {
    let bytes = noise(200_000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, _| serve_file(r, &served));
    let dir = tempfile::tempdir().unwrap();
    let mut one = HttpSource::new(options(&server, &signing)).unwrap();
    let mut two = HttpSource::new(options(&server, &signing)).unwrap();
    let release = one.check(&OLD).unwrap().unwrap();
    let mut inner = None;
    let part = dir.path().join(format!("http-{}.part", &sha256(&bytes)[..32]));
    one.fetch(&release, dir.path(), &mut |_| {
        inner.get_or_insert_with(|| fetch(&mut two, &release, dir.path()).unwrap_err().kind());
        two.tidy(dir.path());
        assert!(part.exists(), "what is being fetched is nobody else's to remove");
        true
    })
    .unwrap();
    assert_eq!(inner, Some(ErrorKind::Busy));
    let names = || std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(names().len(), 2, "{:?}", names());
    two.tidy(dir.path());
    assert_eq!(names(), ["http.lock"]);
}

#[test]
fn leftovers_of_other_releases_are_removed_and_links_not_followed() {
    let bytes = noise(1000);
    let served = bytes.clone();
    let (server, signing) = site(Cert::Good, &bytes, move |r, _| serve_file(r, &served));
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("http-00000000000000000000000000000000.part");
    std::fs::write(&old, "x").unwrap();
    std::fs::create_dir(dir.path().join("http-00000000000000000000000000000000.d")).unwrap();
    let foreign = dir.path().join("other.txt");
    std::fs::write(&foreign, "x").unwrap();
    let mut source = HttpSource::new(options(&server, &signing)).unwrap();
    let release = source.check(&OLD).unwrap().unwrap();
    #[cfg(unix)]
    {
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let part = dir.path().join(format!("http-{}.part", &sha256(&bytes)[..32]));
        std::os::unix::fs::symlink(&victim, &part).unwrap();
        let e = fetch(&mut source, &release, dir.path()).unwrap_err();
        assert!(e.kind() == ErrorKind::Disk && e.to_string().ends_with("is not a regular file"), "{e}");
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
        assert!(old.exists(), "what is staged stays until the new one is whole");
        std::fs::remove_file(&part).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&part).status().unwrap();
        assert!(made.success());
        let e = fetch(&mut source, &release, dir.path()).unwrap_err();
        assert!(e.kind() == ErrorKind::Disk && e.to_string().ends_with("is not a regular file"), "{e}");
        std::fs::remove_file(&part).unwrap();
    }
    // Where there is no room for both, what is staged of another release makes room.
    let mut o = options(&server, &signing);
    let there = old.clone();
    o.room = Some(Arc::new(move |_| match there.exists() {
        true => Err(UpdateError::new(ErrorKind::NoSpace, "no room")),
        false => Ok(()),
    }));
    let mut crowded = HttpSource::new(o).unwrap();
    let staged = fetch(&mut crowded, &release, dir.path()).unwrap();
    std::fs::remove_file(staged.path).unwrap();
    std::fs::write(&old, "x").unwrap();
    std::fs::create_dir_all(old.with_extension("d")).unwrap();
    fetch(&mut source, &release, dir.path()).unwrap();
    assert!(!old.exists() && foreign.exists());
    assert!(!dir.path().join("http-00000000000000000000000000000000.d").exists());
}

#[test]
fn many_releases_leave_one_lock() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..12 {
        let bytes = noise(1000 + n);
        let served = bytes.clone();
        let (server, signing) = site(Cert::Good, &bytes, move |r, _| serve_file(r, &served));
        let mut source = HttpSource::new(options(&server, &signing)).unwrap();
        let release = source.check(&OLD).unwrap().unwrap();
        fetch(&mut source, &release, dir.path()).unwrap();
        std::fs::write(dir.path().join(format!("http-{n:032}.lock")), "").unwrap();
    }
    let names =
        || std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert_eq!(names().filter(|n| n.ends_with(".lock")).count(), 2, "ours, and the last old one");
    assert!(names().count() <= 3, "{:?}", names().collect::<Vec<_>>());
}
