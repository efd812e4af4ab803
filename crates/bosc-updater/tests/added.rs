//! What a person adds to the folder of an installed application survives its updates.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use bosc_updater::install::{Installed, InstalledMark, Installer, Options, Reason, Shipped, forget};
use common::{Shape, later, now, staged, version, write_build};
use std::fs;
use std::path::{Path, PathBuf};

struct App {
    dir: tempfile::TempDir,
    name: &'static str,
}

impl App {
    fn new(name: &'static str) -> Self {
        let app = Self { dir: tempfile::tempdir().unwrap(), name };
        write_build(&app.target(), Shape::Folder, "1.0.0");
        app.as_version("1.0.0").note_installed(now()).unwrap();
        app
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join(self.name)
    }

    fn beside(&self, path: &str) -> PathBuf {
        self.dir.path().join(format!("{}{path}", self.name))
    }

    fn as_version(&self, running: &str) -> Installer {
        Installer::open(Options::new(self.target(), version(running))).unwrap()
    }

    /// Installs a build; `change` makes it another.
    fn update(&self, old: &str, new: &str, at: u64, change: impl FnOnce(&Path)) -> Installed {
        let path = self.dir.path().join("staged");
        write_build(&path, Shape::Folder, new);
        change(&path);
        self.as_version(old).install(&staged(&path, new), later(at)).unwrap()
    }

    fn healthy(&self, running: &str, at: u64) {
        let installer = self.as_version(running);
        let _ = installer.started(later(at)).unwrap();
        assert!(installer.mark_healthy(later(at)).unwrap());
    }

    fn add(&self, path: &str, text: &str) {
        let at = self.target().join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, text).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.target().join(path)).ok()
    }
}

#[test]
fn what_was_added_survives_updates_and_a_way_back() {
    let app = App::new("App");
    app.add("share/mine.txt", "mine");
    app.add("plugins/deep/mine.js", "plugin");
    fs::create_dir_all(app.target().join("plugins/hollow")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/elsewhere", app.target().join("link")).unwrap();
    let all_there = |when: &str| {
        assert_eq!(app.read("share/mine.txt").as_deref(), Some("mine"), "{when}");
        assert_eq!(app.read("plugins/deep/mine.js").as_deref(), Some("plugin"), "{when}");
        assert!(app.target().join("plugins/hollow").is_dir(), "{when}");
        #[cfg(unix)]
        assert_eq!(fs::read_link(app.target().join("link")).unwrap(), Path::new("/elsewhere"), "{when}");
    };
    let mut at = 0;
    let mut running = "1.0.0";
    for new in ["1.0.1", "1.0.2", "1.0.3"] {
        assert_eq!(app.update(running, new, at, |_| {}).not_kept, Vec::<String>::new());
        all_there(new);
        assert!(app.target().join(format!("only-in-{new}")).exists());
        assert!(!app.target().join(format!("only-in-{running}")).exists(), "the release's own files go");
        app.healthy(new, at);
        (running, at) = (new, at + 10);
    }
    app.update(running, "1.0.4", at, |_| {});
    // Written by the build on trial: to a file that it replaces, and to a new one.
    fs::remove_file(app.target().join("share/mine.txt")).unwrap();
    app.add("share/mine.txt", "written later");
    app.add("log/new.txt", "new");
    let older = fs::File::open(app.beside(".prev/share/mine.txt")).unwrap();
    older.set_modified(later(0)).unwrap();
    app.as_version("1.0.4").roll_back(Reason::Crashed, later(at)).unwrap();
    assert!(app.target().join("only-in-1.0.3").exists());
    assert_eq!(app.read("share/mine.txt").as_deref(), Some("written later"));
    assert_eq!(app.read("log/new.txt").as_deref(), Some("new"));
    assert_eq!(app.read("plugins/deep/mine.js").as_deref(), Some("plugin"));
    assert!(!app.beside(".added").exists(), "nothing was in the way");
    let lists = fs::read_dir(app.dir.path().join(".App.bosc")).unwrap().flatten();
    let lists = lists.filter(|e| e.file_name().to_string_lossy().starts_with("shipped-")).count();
    assert!(lists <= 5, "{lists}: those that no build needs go");
}

#[test]
fn what_a_release_has_in_the_same_place_counts_and_the_persons_own_is_kept_aside() {
    let app = App::new("App");
    app.add("plugins/a.js", "mine");
    app.add("plugins/same.js", "same");
    app.add("themes/dark/x.css", "dark");
    fs::write(app.beside(".added"), "a file of this name is the person's").unwrap();
    let done = app.update("1.0.0", "1.0.1", 0, |build| {
        fs::create_dir_all(build.join("plugins")).unwrap();
        fs::write(build.join("plugins/a.js"), "of the release").unwrap();
        fs::write(build.join("plugins/same.js"), "same").unwrap();
        fs::write(build.join("themes"), "now a file").unwrap();
    });
    assert_eq!(app.read("plugins/a.js").as_deref(), Some("of the release"));
    assert_eq!(app.read("themes").as_deref(), Some("now a file"));
    let aside = app.beside(".added-2/1.0.0");
    assert_eq!(fs::read_to_string(aside.join("plugins/a.js")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(aside.join("themes/dark/x.css")).unwrap(), "dark");
    assert!(!aside.join("plugins/same.js").exists(), "the release has it");
    assert_eq!(done.not_kept.len(), 2, "{:?}", done.not_kept);
    assert!(done.not_kept[0].starts_with("plugins/a.js: the release has"), "{:?}", done.not_kept);
    assert!(done.not_kept[0].contains("App.added-2"), "{:?}", done.not_kept);
    // Another update takes nothing of it away.
    app.healthy("1.0.1", 0);
    app.update("1.0.1", "1.0.2", 10, |_| {});
    assert_eq!(fs::read_to_string(aside.join("plugins/a.js")).unwrap(), "mine");
    assert_eq!(app.read("plugins/a.js"), None, "it was the release's");
}

#[test]
fn nothing_is_put_into_a_bundle_and_what_was_added_is_kept_beside_it() {
    let app = App::new("My.app");
    app.add("Contents/Resources/mine.txt", "mine");
    let done = app.update("1.0.0", "1.0.1", 0, |_| {});
    assert_eq!(app.read("Contents/Resources/mine.txt"), None, "the signature of a bundle covers all in it");
    let aside = app.beside(".added/1.0.0/Contents/Resources/mine.txt");
    assert_eq!(fs::read_to_string(aside).unwrap(), "mine");
    assert!(done.not_kept.iter().any(|line| line.contains("bundle")), "{:?}", done.not_kept);
    app.as_version("1.0.1").roll_back(Reason::Crashed, later(1)).unwrap();
    assert_eq!(app.read("Contents/Resources/mine.txt").as_deref(), Some("mine"));
}

#[test]
fn an_installer_says_what_it_put_there() {
    let app = App::new("App");
    app.add("mine.txt", "mine");
    let shipped: Shipped = ["bin/app", "share/notes.txt", "share/empty", "only-in-1.0.0", "app"]
        .map(str::to_owned)
        .into_iter()
        .collect();
    app.as_version("1.0.0").installed_with(&shipped, now()).unwrap();
    assert_eq!(app.as_version("1.0.0").shipped(), Some(shipped));
    app.update("1.0.0", "1.0.1", 0, |_| {});
    assert_eq!(app.read("mine.txt").as_deref(), Some("mine"));
    assert!(!app.target().join("only-in-1.0.0").exists());
}

/// 4 GiB that take no time: they get a second name.
#[cfg(target_os = "linux")]
#[test]
fn large_files_are_not_copied() {
    use std::os::unix::fs::MetadataExt;
    let app = App::new("App");
    let large = app.target().join("data/large");
    app.add("data/large", "");
    fs::File::options().write(true).open(&large).unwrap().set_len(4 << 30).unwrap();
    let before = fs::metadata(&large).unwrap();
    app.update("1.0.0", "1.0.1", 0, |_| {});
    let after = fs::metadata(&large).unwrap();
    assert_eq!((after.ino(), after.len()), (before.ino(), 4 << 30));
}

#[test]
fn a_folder_of_the_persons_own_with_the_updaters_name_is_left_alone() {
    for shape in [Shape::File, Shape::Folder] {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("App");
        write_build(&target, shape, "1.0.0");
        let own = dir.path().join(".App.bosc");
        fs::create_dir_all(own.join("staging")).unwrap();
        fs::create_dir_all(own.join("incoming")).unwrap();
        for name in ["letters.txt", "staging/a", "incoming/b"] {
            fs::write(own.join(name), name).unwrap();
        }
        let installer = || Installer::open(Options::new(&target, version("1.0.0"))).unwrap();
        assert_eq!(installer().folder().file_name().unwrap(), ".App.bosc-2");
        let path = dir.path().join("staged");
        write_build(&path, shape, "1.0.1");
        installer().install(&staged(&path, "1.0.1"), now()).unwrap();
        installer().roll_back(Reason::Crashed, now()).unwrap();
        assert!(!installer().rejections(now()).unwrap().is_empty(), "the journal is found again");
        let mut names: Vec<_> = fs::read_dir(&own).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["incoming", "letters.txt", "staging"]);
        assert_eq!(fs::read_to_string(own.join("incoming/b")).unwrap(), "incoming/b");
        // Uninstalled: what is ours goes, and nothing else.
        let _ = fs::remove_file(&target);
        let _ = fs::remove_dir_all(&target);
        forget(&target).unwrap();
        assert!(!dir.path().join(".App.bosc-2").exists());
        assert!(!dir.path().join("App.broken").exists());
        assert_eq!(fs::read_to_string(own.join("letters.txt")).unwrap(), "letters.txt");
    }
}

#[test]
fn an_update_on_trial_is_no_strangers_and_goes_with_the_application() {
    let app = App::new("App");
    let mark = InstalledMark::of(&app.target()).unwrap();
    app.update("1.0.0", "1.0.1", 0, |_| {});
    assert!(mark.is_at(&app.target()).unwrap(), "it was not started yet");
    assert!(mark.is_untouched_at(&app.target()).unwrap());
    app.add("mine.txt", "mine");
    assert!(mark.is_at(&app.target()).unwrap(), "written to since");
    assert!(!mark.is_untouched_at(&app.target()).unwrap());
    // Another one in its place is somebody else's.
    fs::rename(app.target(), app.beside(".aside")).unwrap();
    write_build(&app.target(), Shape::Folder, "9.9.9");
    assert!(!mark.is_at(&app.target()).unwrap());
    fs::remove_dir_all(app.target()).unwrap();
    assert!(app.beside(".prev").exists());
    forget(&app.target()).unwrap();
    assert!(!app.beside(".prev").exists(), "the build before it is ours, too");
    assert!(!app.dir.path().join(".App.bosc").exists());
}
