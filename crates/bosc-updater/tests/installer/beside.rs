//! What lies beside the application.

use super::*;

/// `App.prev` and `App.broken` may be the person's own: what the journal does not name is never removed.
#[test]
fn names_that_a_person_uses_are_left_alone() {
    for shape in [Shape::File, Shape::Folder] {
        let app = App::new(shape);
        let mine = |name: &str| app.dir.path().join(name);
        let names = ["App.prev", "App.broken", "App.prev-3", "App.broken-2"];
        for name in names {
            fs::create_dir(mine(name)).unwrap();
            fs::write(mine(name).join("thesis.txt"), name).unwrap();
        }
        let mut at = 0;
        let (mut running, mut before) = ("1.0.0", "1.0.0");
        for new in ["1.0.1", "1.0.2", "1.0.3"] {
            app.install(running, new, at).unwrap();
            app.holds(&mine("App.prev-2"), before);
            assert_eq!(app.as_version(new).backup().file_name().unwrap(), "App.prev-2");
            assert!(app.as_version(new).mark_healthy(later(at)).unwrap());
            (running, before) = (new, new);
        }
        for bad in ["1.0.4", "1.0.5"] {
            app.install(running, bad, at).unwrap();
            app.as_version(bad).roll_back(Reason::Crashed, later(at)).unwrap();
            app.holds(&app.target(), running);
            app.holds(&mine("App.broken-3"), bad);
            at += 3 * DAY;
        }
        app.install(running, "1.0.6", at).unwrap();
        assert!(!mine("App.broken-3").exists());
        for name in names {
            assert_eq!(fs::read_to_string(mine(name).join("thesis.txt")).unwrap(), name);
        }
        assert_eq!(
            fs::read_dir(app.dir.path()).unwrap().count(),
            names.len() + 3,
            "App, App.prev-2, .App.bosc"
        );
        // A person who moves ours away and puts their own there keeps that, too.
        aside(&mine("App.prev-2"));
        fs::write(mine("App.prev-2"), "mine").unwrap();
        assert!(app.as_version("1.0.6").mark_healthy(later(at)).unwrap());
        app.install("1.0.6", "1.0.7", at).unwrap();
        assert_eq!(fs::read_to_string(mine("App.prev-2")).unwrap(), "mine");
        app.holds(&mine("App.prev-4"), "1.0.6");
    }
}

#[test]
fn a_stale_backup_is_never_returned_to() {
    for shape in [Shape::File, Shape::Folder] {
        let app = App::new(shape);
        app.install("1.0.0", "1.0.1", 0).unwrap();
        // Somebody puts another build at .prev.
        aside(&app.prev());
        write_build(&app.prev(), shape, "0.1.0");
        assert_eq!(kind(app.as_version("1.0.1").roll_back(Reason::Crashed, now())), ErrorKind::Refused);
        app.holds(&app.target(), "1.0.1");
        app.holds(&app.prev(), "0.1.0");
    }
}

#[test]
fn a_backup_that_was_copied_is_recognised_by_its_bytes() {
    for shape in [Shape::File, Shape::Folder] {
        let app = App::new(shape);
        app.install("1.0.0", "1.0.1", 0).unwrap();
        // As from a backup program: other inodes, same bytes.
        let _ = fs::remove_file(app.prev());
        let _ = fs::remove_dir_all(app.prev());
        write_build(&app.prev(), shape, "1.0.0");
        app.as_version("1.0.1").roll_back(Reason::Crashed, now()).unwrap();
        app.holds(&app.target(), "1.0.0");
    }
}

#[test]
fn a_backup_that_the_application_wrote_into_is_returned_to() {
    let app = App::new(Shape::Folder);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    fs::write(app.prev().join("cache"), "made while it ran").unwrap();
    app.as_version("1.0.1").roll_back(Reason::Crashed, now()).unwrap();
    assert_eq!(fs::read_to_string(app.target().join("cache")).unwrap(), "made while it ran");
}

#[test]
fn what_others_do_is_respected() {
    // Somebody installs a third build over the one on trial.
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    aside(&app.target());
    write_build(&app.target(), Shape::File, "2.0.0");
    let started = app.as_version("2.0.0").started(now()).unwrap();
    assert_eq!(started.state, StartState::Settled);
    assert_eq!(kind(app.as_version("2.0.0").roll_back(Reason::Asked, now())), ErrorKind::Refused);
    app.holds(&app.target(), "2.0.0");

    // Perry's updater rolls the build on trial back.
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    fs::rename(app.prev(), app.target()).unwrap();
    let started = app.as_version("1.0.0").started(now()).unwrap();
    assert_eq!(started.news.unwrap().bad.version, version("1.0.1"));
    assert!(matches!(
        app.as_version("1.0.0").admit(&release("1.0.1"), now()).unwrap(),
        Admission::Rejected { .. }
    ));

    // Perry's updater was killed between its two renames.
    let app = App::new(Shape::File);
    fs::rename(app.target(), app.prev()).unwrap();
    app.as_version("1.0.0").recover(now()).unwrap();
    app.holds(&app.target(), "1.0.0");

    // The person removes the application: it stays removed.
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let installer = app.as_version("1.0.1");
    installer.mark_healthy(now()).unwrap();
    fs::remove_file(app.target()).unwrap();
    assert_eq!(kind(installer.recover(now())), ErrorKind::Input);
    assert!(!app.target().exists());
}

/// The name of the updater's folder is the user's own: it stays as it is, and is named for what it is.
#[test]
fn what_has_the_name_of_the_updaters_folder_is_named_and_left_alone() {
    type Make = fn(&Path);
    let all: &[(&str, Make)] = &[
        ("a file", |path| fs::write(path, "mine").unwrap()),
        #[cfg(unix)]
        ("a link", |path| std::os::unix::fs::symlink("elsewhere", path).unwrap()),
    ];
    for (what, make) in all {
        for shape in [Shape::File, Shape::Folder] {
            let app = App::new(shape);
            let folder = app.dir.path().join(".App.bosc");
            make(&folder);
            let before = fs::symlink_metadata(&folder).unwrap();
            let e = app.install("1.0.0", "1.0.1", 0).unwrap_err();
            let kind = if *what == "a link" { ErrorKind::Permission } else { ErrorKind::Input };
            assert_eq!(e.kind(), kind, "{e}");
            assert!(e.to_string().contains(&format!("{} is {what}", folder.display())), "{e}");
            assert!(e.next_step().is_some_and(|hint| hint.contains("another name")), "{e}");
            let mut all = vec![app.as_version("1.0.0").staging().map(drop).unwrap_err()];
            match app.as_version("1.0.0").started(now()) {
                Err(e) => all.push(e),
                // As where nothing may be written: the application starts, and is not updated.
                Ok(_) => assert_eq!(kind, ErrorKind::Permission),
            }
            for e in all {
                assert!(e.to_string().contains(&format!("is {what}")), "{e}");
            }
            let after = fs::symlink_metadata(&folder).unwrap();
            assert_eq!((after.file_type(), after.len()), (before.file_type(), before.len()));
            assert_eq!(contents_of(&app.target()).unwrap(), expected(shape, "1.0.0"));
        }
    }
}

#[test]
fn nothing_stays_of_the_build_before_when_it_is_not_kept() {
    for shape in [Shape::File, Shape::Folder] {
        let app = App::new(shape);
        app.install("1.0.0", "1.0.1", 0).unwrap();
        let installer = app.as_version("1.0.1");
        let _ = installer.started(later(1)).unwrap();
        assert!(installer.mark_healthy(later(2)).unwrap());
        installer.discard_previous(later(3)).unwrap();
        assert!(!app.prev().exists());
        assert!(!app.dir.path().join(".App.bosc/trash").exists(), "not even an empty folder");
    }
}

/// One that came into the application's place after the installer was opened.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_applications_place_is_not_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let app = App::new(Shape::File);
    let installer = app.as_version("1.0.0");
    let staged = staged(&app.stage("1.0.1"), "1.0.1");
    fs::remove_file(app.target()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(app.target()).status().unwrap().success());
    assert_eq!(kind(installer.install(&staged, now()).map(drop)), ErrorKind::Input);
    assert!(fs::symlink_metadata(app.target()).unwrap().file_type().is_fifo());
    assert!(!app.prev().exists());
    let again = Installer::open(Options::new(app.target(), version("1.0.0")));
    assert_eq!(kind(again.map(drop)), ErrorKind::Input);
}
