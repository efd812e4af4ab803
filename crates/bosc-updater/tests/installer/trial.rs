//! Starts of a new build, and rollback.

use super::*;

#[test]
fn the_whole_life_of_an_update() {
    for shape in [Shape::File, Shape::Folder] {
        let app = App::new(shape);
        assert_eq!(app.as_version("1.0.0").started(now()).unwrap().state, StartState::Settled);
        assert!(
            !app.dir.path().join(".App.bosc").exists(),
            "an application that never updated gets no folder"
        );

        app.install("1.0.0", "1.0.1", 0).unwrap();
        app.holds(&app.target(), "1.0.1");
        app.holds(&app.prev(), "1.0.0");
        let new = app.as_version("1.0.1");
        assert!(matches!(new.started(now()).unwrap().state, StartState::Trial { start: 1, .. }));
        assert_eq!(new.floor().unwrap().version, None, "the floor rises only with health");
        assert!(
            !app.as_version("1.0.0").mark_healthy(now()).unwrap(),
            "the old code cannot speak for the new"
        );
        assert!(new.mark_healthy(now()).unwrap());
        assert!(!new.mark_healthy(now()).unwrap());
        assert_eq!(new.floor().unwrap().version, Some(version("1.0.1")));
        app.holds(&app.prev(), "1.0.0");

        // The next one pushes out the one before.
        app.install("1.0.1", "1.0.2", 0).unwrap();
        app.holds(&app.prev(), "1.0.1");
        let rolled_back = app.as_version("1.0.2").roll_back(Reason::Asked, now()).unwrap();
        assert_eq!(rolled_back.restored.version, version("1.0.1"));
        assert_eq!(rolled_back.restored.release, Some(release("1.0.1").id));
        app.holds(&app.target(), "1.0.1");
        app.holds(&app.dir.path().join("App.broken"), "1.0.2");
        assert_eq!(kind(app.as_version("1.0.1").roll_back(Reason::Asked, now())), ErrorKind::Refused);
        app.install("1.0.1", "1.0.3", 0).unwrap();
        assert!(!app.dir.path().join("App.broken").exists(), "the broken one is kept until the next install");
    }
}

#[test]
fn a_build_that_says_another_version_is_not_on_trial_for_ever() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let mut at = 2;
    while !matches!(app.as_version("7.7.7").started(later(at)).unwrap().state, StartState::RolledBack(_)) {
        at += 1;
        assert!(at < 10);
    }
    app.holds(&app.target(), "1.0.0");
}

/// A release whose version was not raised in the code is the release it is, and the next one mends it.
#[test]
fn a_build_is_what_it_is_and_not_what_it_says() {
    for says in ["1.0.0", "7.7.7"] {
        let app = App::new(Shape::File);
        app.install("1.0.0", "1.0.1", 0).unwrap();
        let mislabelled = app.as_version(says);
        assert!(matches!(mislabelled.started(now()).unwrap().state, StartState::Trial { start: 1, .. }));
        let both = Some((version("1.0.1"), version(says)));
        assert_eq!(mislabelled.mismatch().unwrap(), both);
        assert_eq!(mislabelled.installed_version().unwrap(), version("1.0.1"));
        assert!(mislabelled.mark_healthy(now()).unwrap(), "{says}");
        drop(mislabelled);
        // At the next start it still says so, is not offered itself, and the next one comes.
        let again = app.as_version(says);
        assert_eq!(again.started(now()).unwrap().state, StartState::Settled);
        assert_eq!(again.mismatch().unwrap(), both);
        assert_eq!(again.admit(&release("1.0.1"), now()).unwrap(), Admission::NotNewer);
        app.install(says, "1.0.2", 0).unwrap();
        let mended = app.as_version("1.0.2");
        mended.started(now()).unwrap();
        assert_eq!(mended.mismatch().unwrap(), None);
        assert!(mended.mark_healthy(now()).unwrap());
        assert_eq!(mended.mismatch().unwrap(), None);
    }
}

#[test]
fn what_follows_a_plus_is_no_other_version() {
    let app = App::new(Shape::File);
    for twin in ["1.0.0+5", "1.0.0"] {
        assert_eq!(app.as_version("1.0.0").admit(&release(twin), now()).unwrap(), Admission::NotNewer);
        assert_eq!(app.as_version("1.0.0+7").admit(&release(twin), now()).unwrap(), Admission::NotNewer);
    }
    app.install("1.0.0+1", "1.0.1+5", 0).unwrap();
    let plain = app.as_version("1.0.1");
    assert!(matches!(plain.started(now()).unwrap().state, StartState::Trial { start: 1, .. }));
    assert_eq!(plain.mismatch().unwrap(), None);
    assert!(plain.mark_healthy(now()).unwrap());
    assert_eq!(plain.admit(&release("1.0.1+6"), now()).unwrap(), Admission::NotNewer);
    assert_eq!(plain.admit(&release("1.0.1+4"), now()).unwrap(), Admission::NotNewer);
    assert_eq!(plain.admit(&release("1.0.2+1"), now()).unwrap(), Admission::Admitted);
}

#[test]
fn starts_that_were_cut_off_are_no_crashes() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let start = || app.as_version("1.0.1").started(now()).unwrap().state;
    // A power cut, a logout and a kill: nobody saw what ended them.
    for n in 1..=3 {
        assert!(matches!(start(), StartState::Trial { start, .. } if start == n), "start {n}");
    }
    assert!(matches!(start(), StartState::RolledBack(_)), "not for ever");
    app.holds(&app.target(), "1.0.0");

    // The system itself was started anew in between: that is no fault of the build at all.
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let start = || app.as_version("1.0.1").started(now()).unwrap().state;
    for _ in 0..8 {
        assert!(matches!(start(), StartState::Trial { start: 1, .. }) || cfg!(not(target_os = "linux")));
        bosc_updater::install::faults::reboot();
    }
    assert!(app.as_version("1.0.1").mark_healthy(now()).unwrap() || cfg!(not(target_os = "linux")));
}

#[test]
fn a_build_may_say_that_it_needs_longer() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    assert!(!app.as_version("1.0.0").starting(now()).unwrap(), "the old code does not speak for the new");
    let new = app.as_version("1.0.1");
    new.started(now()).unwrap();
    // Its time would be over after 90 s; a second click would count then.
    assert!(new.starting(later(80)).unwrap());
    assert!(matches!(
        app.as_version("1.0.1").started(later(120)).unwrap().state,
        StartState::Trial { start: 1, .. }
    ));
    assert!(matches!(
        app.as_version("1.0.1").started(later(141)).unwrap().state,
        StartState::Trial { start: 2, .. }
    ));
    for n in 0..300 {
        assert_eq!(new.starting(later(n)).unwrap(), n < 255, "{n}");
    }
}

#[test]
fn a_second_start_beside_a_living_one_is_no_crash() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let start = |at: u64| {
        let mut options = Options::new(app.target(), version("1.0.1"));
        options.health.unfinished = 2;
        let installer = Installer::open(options).unwrap();
        let state = installer.started(later(at)).unwrap().state;
        (installer, state)
    };
    let trial = |state: &StartState| match state {
        StartState::Trial { start, .. } => *start,
        other => panic!("{other:?}"),
    };
    let (first, state) = start(0);
    assert_eq!(trial(&state), 1);
    for at in 1..20 {
        assert_eq!(trial(&start(at).1), 1, "clicked again after {at} s");
    }
    // The first one dies: that counts, and so does whoever comes when the time to be healthy is over.
    drop(first);
    let (second, state) = start(20);
    assert_eq!(trial(&state), 2);
    assert_eq!(trial(&start(21).1), 2);
    assert!(matches!(start(20 + 3600).1, StartState::RolledBack(_)));
    drop(second);
    app.holds(&app.target(), "1.0.0");
}

#[test]
fn a_release_that_was_rolled_back_waits_longer_each_time() {
    let app = App::new(Shape::File);
    let mut at = 0;
    for (times, wait) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 64), (8, 64)] {
        app.install("1.0.0", "1.0.1", at).unwrap();
        app.as_version("1.0.1").roll_back(Reason::Crashed, later(at)).unwrap();
        let old = app.as_version("1.0.0");
        let until = later(at + wait * DAY);
        assert_eq!(old.admit(&release("1.0.1"), later(at)).unwrap(), Admission::Rejected { until, times });
        assert_eq!(kind(app.install("1.0.0", "1.0.1", at + wait * DAY - 1)), ErrorKind::Refused);
        at += wait * DAY;
        assert_eq!(old.admit(&release("1.0.1"), later(at)).unwrap(), Admission::Admitted);
    }
    let old = app.as_version("1.0.0");
    let mut same_tree = release("1.0.5");
    same_tree.id = release("1.0.1").id;
    assert!(
        matches!(old.admit(&same_tree, later(at - 1)).unwrap(), Admission::Rejected { .. }),
        "by its identity too"
    );
    let mut same_version = release("1.0.1");
    same_version.id = release("9.0.0").id;
    assert!(matches!(old.admit(&same_version, later(at - 1)).unwrap(), Admission::Rejected { .. }));
    assert_eq!(
        old.admit(&release("1.0.2"), later(at - 1)).unwrap(),
        Admission::Admitted,
        "a newer one is free"
    );
    app.install("1.0.0", "1.0.2", at).unwrap();
    app.as_version("1.0.2").mark_healthy(later(at)).unwrap();
    assert_eq!(app.as_version("1.0.2").rejections(later(at)).unwrap(), []);
}

#[test]
fn an_update_of_perrys_is_taken_over() {
    let app = App::new(Shape::File);
    let (one, two) = (version("1.0.0"), version("1.0.1"));
    assert!(!app.as_version("1.0.1").adopt(&two, &one, 1, now()).unwrap(), "there is no backup");
    write_build(&app.prev(), Shape::File, "1.0.0");
    fs::remove_file(app.target()).unwrap();
    write_build(&app.target(), Shape::File, "1.0.1");
    let installer = app.as_version("1.0.1");
    assert!(installer.adopt(&two, &one, 3, now()).unwrap());
    assert!(!installer.adopt(&two, &one, 3, now()).unwrap());
    assert!(matches!(installer.started(now()).unwrap().state, StartState::RolledBack(_)));
    app.holds(&app.target(), "1.0.0");
}

#[test]
fn starts_are_counted_and_forgiven_in_bounds() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let start = || {
        let mut options = Options::new(app.target(), version("1.0.1"));
        options.health.unfinished = 1;
        Installer::open(options).unwrap()
    };
    for _ in 0..8 {
        let installer = start();
        assert!(matches!(installer.started(now()).unwrap().state, StartState::Trial { start: 1, .. }));
        installer.closed(now()).unwrap();
        installer.closed(now()).unwrap();
    }
    let installer = start();
    assert!(matches!(installer.started(now()).unwrap().state, StartState::Trial { start: 1, .. }));
    installer.closed(now()).unwrap();
    assert!(matches!(start().started(now()).unwrap().state, StartState::RolledBack(_)));
    app.holds(&app.target(), "1.0.0");
}

#[test]
fn an_old_process_cannot_speak_for_a_later_trial() {
    let app = App::new(Shape::File);
    app.install("1.0.0", "1.0.1", 0).unwrap();
    let first = app.as_version("1.0.1");
    first.started(now()).unwrap();
    first.roll_back(Reason::Asked, now()).unwrap();
    app.install("1.0.0", "1.0.1", 3 * DAY).unwrap();
    assert!(!first.mark_healthy(now()).unwrap());
    assert!(matches!(first.status().unwrap(), Status::Trial { .. }));
    assert!(app.as_version("1.0.1").mark_healthy(now()).unwrap());
}
