use super::super::package::{is_package, refuse_as_file};
use super::command::{PACKAGE, TEXT};
use super::*;
use crate::release::{Entry, ReleaseId};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs as disk;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

/// What the fake system does with one request.
#[derive(Debug, Clone, Copy)]
enum Does {
    Takes,
    Refuses(&'static str),
    CannotStart,
    SaysNothing,
    /// The process is killed before the system was asked.
    KilledBefore,
    /// And after the system took it.
    KilledAfter,
}

#[derive(Debug, Default)]
struct Seen {
    next: VecDeque<Does>,
    /// The bytes that the system took, newest last.
    took: Vec<Vec<u8>>,
    commands: Vec<Command>,
}

#[derive(Debug, Clone, Default)]
struct Fake(Arc<Mutex<Seen>>);

impl Runner for Fake {
    fn run(&self, command: &Command) -> Result<(), Failure> {
        let does = {
            let mut seen = self.0.lock().unwrap();
            seen.commands.push(command.clone());
            let does = seen.next.pop_front().unwrap_or(Does::Takes);
            if matches!(does, Does::Takes | Does::KilledAfter) {
                seen.took.push(disk::read(Path::new(&command.set.1)).unwrap());
            }
            does
        };
        match does {
            Does::Takes => Ok(()),
            Does::Refuses(words) => Err(Failure::Refused(words.to_owned())),
            Does::CannotStart => Err(Failure::NotStarted(std::io::ErrorKind::NotFound.into())),
            Does::SaysNothing => Err(Failure::Silent),
            Does::KilledBefore | Does::KilledAfter => panic!("killed"),
        }
    }
}

struct Bed {
    temp: tempfile::TempDir,
    folder: PathBuf,
    fake: Fake,
}

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

impl Bed {
    fn new() -> Self {
        Self::named("msix")
    }

    fn named(name: &str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("profile").join(name);
        Self { temp, folder, fake: Fake::default() }
    }

    /// The code of this version.
    fn runs(&self, version: &str) -> MsixInstaller {
        let mut options = MsixOptions::new(&self.folder, version.parse().unwrap());
        options.patience = Duration::ZERO;
        options.health.unfinished = 1;
        let profile = [self.temp.path().join("profile")];
        MsixInstaller::with(options, &profile, Box::new(self.fake.clone())).unwrap()
    }

    fn next(&self, does: Does) {
        self.fake.0.lock().unwrap().next.push_back(does);
    }

    fn took(&self) -> Vec<String> {
        let seen = self.fake.0.lock().unwrap();
        seen.took.iter().map(|bytes| String::from_utf8_lossy(&bytes[4..]).into_owned()).collect()
    }

    fn asked(&self) -> usize {
        self.fake.0.lock().unwrap().commands.len()
    }

    fn staged(&self, version: &str) -> Staged {
        let path = self.runs("0.0.1").staging().unwrap().join("Demo.msix");
        staged_at(path, version, format!("PK\x03\x04{version}").as_bytes())
    }

    fn journal(&self) -> Journal {
        Journal::read(&self.folder, false).unwrap()
    }

    fn packages(&self) -> usize {
        disk::read_dir(self.folder.join("packages")).unwrap().count()
    }

    /// 1.0.0 with its own package known, and 2.0.0 handed over by it.
    fn handed_over(&self) {
        let one = self.runs("1.0.0");
        assert!(one.keep_installed(&self.staged("1.0.0"), NOW).unwrap());
        one.install(&self.staged("2.0.0"), NOW).unwrap();
    }
}

fn staged_at(path: PathBuf, version: &str, bytes: &[u8]) -> Staged {
    disk::write(&path, bytes).unwrap();
    let sha256: [u8; 32] = Sha256::digest(bytes).into();
    let kind = EntryKind::File { size: bytes.len() as u64, sha256, executable: false };
    Staged {
        release: Release {
            version: version.parse().unwrap(),
            id: ReleaseId(sha256),
            origin: "pear://link".into(),
            notes: None,
            size: None,
        },
        path,
        contents: Contents { entries: vec![Entry { path: String::new(), kind }] },
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T, UpdateError>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn is_trial(started: &Started, nth: u32) -> bool {
    matches!(started.state, StartState::Trial { start, .. } if start == nth)
}

#[test]
fn a_package_is_known_by_its_name() {
    let bed = Bed::new();
    let mut staged = bed.staged("1.0.0");
    for (name, origin, yes) in [
        ("Demo.msix", "pear://x", true),
        ("Demo.MSIX", "pear://x", true),
        ("build", "https://example.com/a/Demo.msix?x=1#y", true),
        ("build", "https://example.com/Demo.Msix", true),
        ("build", "https://example.com/Demo.exe?file=a.msix", false),
        ("Demo.exe", "https://msix.example.com/Demo", false),
        ("Demo.msix.exe", "pear://x.msix.y/z", false),
        ("msix", "pear://x", false),
    ] {
        staged.path = bed.folder.join(name);
        staged.release.origin = origin.into();
        assert_eq!(is_package(&staged), yes, "{name} {origin}");
        assert_eq!(refuse_as_file(&staged).is_err(), yes, "{name} {origin}");
    }
}

#[test]
fn a_package_never_takes_the_place_of_a_file() {
    use super::super::{Installer, Options};
    let bed = Bed::new();
    let staged = bed.staged("2.0.0");
    let target = bed.temp.path().join("Demo.exe");
    disk::write(&target, "old").unwrap();
    let installer = Installer::open(Options::new(&target, "1.0.0".parse().unwrap())).unwrap();
    assert_eq!(kind(installer.install(&staged, NOW)), ErrorKind::Unsupported);
    assert_eq!(disk::read(&target).unwrap(), b"old");
    assert!(staged.path.exists());
}

#[cfg(not(windows))]
#[test]
fn only_windows_installs_packages() {
    let temp = tempfile::tempdir().unwrap();
    let error = MsixInstaller::open(MsixOptions::new(temp.path(), "1.0.0".parse().unwrap())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("only Windows") && error.next_step().is_some());
    assert!(matches!(System.run(&Command::add(temp.path(), None)), Err(Failure::NotStarted(_))));
}

#[test]
fn hostile_paths_are_values_and_never_text() {
    let names: &[&str] = if cfg!(windows) {
        &["O'Brien $(calc) `calc` ;calc& %PATH% {}", "--%[x]"]
    } else {
        &["O'Brien \"$(id)\" `id` ;id|id& %PATH%\n$env:X {}", "-Path", "--%[x]*?"]
    };
    for name in names {
        let bed = Bed::named(name);
        let mut staged = bed.staged("2.0.0");
        staged.release.origin = "pear://x/'; calc; '\"$(calc)`.msix".into();
        bed.runs("1.0.0").install(&staged, NOW).unwrap();
        let seen = bed.fake.0.lock().unwrap();
        let command = &seen.commands[0];
        assert_eq!(command.arguments, ["-NoProfile", "-NonInteractive", "-Command", TEXT]);
        assert_eq!(command.set.0, PACKAGE);
        let path = Path::new(&command.set.1);
        assert_eq!(path.parent(), Some(bed.folder.join("packages").as_path()));
        // The publisher's name for it is gone.
        let file = path.file_name().unwrap().to_str().unwrap();
        assert!(
            file.len() == 69
                && file.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.')
        );
        assert_eq!(seen.took.len(), 1);
    }
    // Nothing in the text needs to be escaped for the program's command line, and it reads the variable that is set.
    assert!(!TEXT.contains(['"', '\\', '\n', '%', '`']));
    assert!(TEXT.contains(&format!("-Path $env:{PACKAGE} ")));
    for flag in ["-ForceUpdateFromAnyVersion", "-DeferRegistrationWhenPackagesAreInUse", "exit 1"] {
        assert!(TEXT.contains(flag));
    }
}

#[test]
fn the_program_is_the_systems_own() {
    let folders = |root: Option<OsString>| Command::add(Path::new("x"), root).program;
    let under = |root: &str| {
        ["System32", "WindowsPowerShell", "v1.0", "powershell.exe"]
            .iter()
            .fold(PathBuf::from(root), |p, x| p.join(x))
    };
    assert_eq!(folders(Some("D:\\Win".into())), under("D:\\Win"));
    assert_eq!(folders(None), under("C:\\Windows"));
    assert_eq!(folders(Some("".into())), under("C:\\Windows"));
    assert_eq!(Command::add(Path::new("x"), None).unset, ["PSModulePath"]);
}

#[test]
fn a_folder_of_others_is_refused() {
    let root = if cfg!(windows) { "C:\\Users\\Me" } else { "/Users/Me" };
    let roots = [PathBuf::from(root), PathBuf::from(""), PathBuf::from("relative")];
    let at = |text: &str| PathBuf::from(root).join(text);
    assert!(decide::lies_in(&at("a"), &roots));
    assert!(decide::lies_in(&PathBuf::from(root.to_uppercase()).join("a/b"), &roots));
    for other in
        [at(""), at("../You/a"), at("a/../../You"), PathBuf::from(format!("{root}2/a")), "relative/a".into()]
    {
        assert!(!decide::lies_in(&other, &roots), "{}", other.display());
    }
    let options = MsixOptions::new(std::env::temp_dir(), "1.0.0".parse().unwrap());
    assert_eq!(kind(MsixInstaller::with(options, &roots, Box::new(System))), ErrorKind::Input);
}

#[cfg(unix)]
#[test]
fn nobody_else_can_write_where_packages_lie() {
    use std::os::unix::fs::PermissionsExt;
    let bed = Bed::new();
    let packages = bed.folder.join("packages");
    disk::create_dir_all(&packages).unwrap();
    disk::set_permissions(&packages, disk::Permissions::from_mode(0o777)).unwrap();
    bed.runs("1.0.0").install(&bed.staged("2.0.0"), NOW).unwrap();
    let mode = |path: &Path| disk::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&bed.folder), mode(&packages)), (0o700, 0o700));
    let package = disk::read_dir(&packages).unwrap().next().unwrap().unwrap().path();
    assert_eq!(mode(&package), 0o600);
    // A link in the folder's place leads to somebody else's.
    let other = Bed::new();
    disk::create_dir_all(&other.folder).unwrap();
    std::os::unix::fs::symlink("/tmp", other.folder.join("packages")).unwrap();
    assert!(other.runs("1.0.0").staging().is_err());
}

#[test]
fn an_update_goes_all_its_way() {
    let bed = Bed::new();
    bed.handed_over();
    assert_eq!(bed.took(), ["2.0.0"]);
    // It takes effect when the application has ended; until then the old version runs and knows.
    let one = bed.runs("1.0.0");
    assert_eq!(one.started(NOW).unwrap().state, StartState::Settled);
    assert!(matches!(one.status(NOW).unwrap(), Status::Trial { starts: 0, .. }));
    assert!(!one.mark_healthy(NOW).unwrap());
    let two = bed.runs("2.0.0");
    assert!(is_trial(&two.started(NOW).unwrap(), 1));
    assert_eq!(two.admit(&bed.staged("3.0.0").release, NOW).unwrap(), Admission::OnTrial);
    assert_eq!(kind(two.install(&bed.staged("3.0.0"), NOW)), ErrorKind::Busy);
    assert!(two.mark_healthy(NOW).unwrap());
    assert!(!two.mark_healthy(NOW).unwrap());
    let journal = bed.journal();
    assert_eq!(journal.floor, Some("2.0.0".parse().unwrap()));
    assert_eq!(journal.kept.unwrap().version, "1.0.0".parse().unwrap());
    assert_eq!(bed.packages(), 2);
    // The one after it: the oldest package goes, the one before it stays.
    two.install(&bed.staged("3.0.0"), NOW).unwrap();
    let three = bed.runs("3.0.0");
    three.started(NOW).unwrap();
    assert!(three.mark_healthy(NOW).unwrap());
    assert_eq!(bed.packages(), 2);
    assert_eq!(bed.journal().kept.unwrap().version, "2.0.0".parse().unwrap());
    // A settled version can be left, too.
    let back = three.roll_back(Reason::Asked, NOW).unwrap();
    assert_eq!(back.restored.version, "2.0.0".parse().unwrap());
    assert_eq!(bed.took(), ["2.0.0", "3.0.0", "2.0.0"]);
}

#[test]
fn nothing_older_is_handed_over() {
    let bed = Bed::new();
    bed.handed_over();
    let two = bed.runs("2.0.0");
    two.started(NOW).unwrap();
    two.mark_healthy(NOW).unwrap();
    let asked = bed.asked();
    for version in ["1.0.0", "1.9.9", "2.0.0-rc.1", "2.0.0", "2.0.0+build"] {
        let staged = bed.staged(version);
        assert_eq!(two.admit(&staged.release, NOW).unwrap(), Admission::NotNewer, "{version}");
        assert_eq!(kind(two.install(&staged, NOW)), ErrorKind::Refused);
        assert!(staged.path.exists());
    }
    // Somebody installed the first version by hand: the floor holds for it as well.
    let one = bed.runs("1.0.0");
    let staged = bed.staged("1.5.0");
    assert!(matches!(one.admit(&staged.release, NOW).unwrap(), Admission::BelowFloor(_)));
    assert_eq!(kind(one.install(&staged, NOW)), ErrorKind::Refused);
    assert_eq!(bed.asked(), asked);
    // A version that no journal can hold.
    let long = format!("3.0.0-{}", "a".repeat(300));
    assert_eq!(kind(two.install(&bed.staged(&long), NOW)), ErrorKind::Refused);
}

#[test]
fn what_waits_is_overtaken_but_not_gone_below() {
    let bed = Bed::new();
    bed.handed_over();
    let one = bed.runs("1.0.0");
    assert_eq!(kind(one.install(&bed.staged("1.5.0"), NOW)), ErrorKind::Refused);
    one.install(&bed.staged("2.0.0"), NOW).unwrap();
    one.install(&bed.staged("3.0.0"), NOW).unwrap();
    let journal = bed.journal();
    let flight = journal.flight.unwrap();
    assert_eq!((flight.new.version.major, flight.old.version.major), (3, 1));
    assert!(flight.old.contents.is_some());
    bed.runs("1.0.0").started(NOW).unwrap();
    assert_eq!(bed.packages(), 2);
}

#[test]
fn a_version_that_never_is_healthy_goes() {
    let bed = Bed::new();
    bed.handed_over();
    let two = bed.runs("2.0.0");
    assert!(is_trial(&two.started(NOW).unwrap(), 1));
    two.closed(NOW).unwrap();
    assert!(is_trial(&two.started(NOW).unwrap(), 1));
    let StartState::RolledBack(back) = two.started(NOW).unwrap().state else { panic!("not rolled back") };
    assert_eq!((back.reason, back.restored.version.major), (Reason::TooManyStarts, 1));
    assert_eq!(bed.took(), ["2.0.0", "1.0.0"]);
    assert!(!two.mark_healthy(NOW).unwrap());
    // The system has not done it yet, and the person starts the new version again.
    assert!(matches!(two.started(NOW).unwrap().state, StartState::RolledBack(_)));
    assert_eq!(bed.took(), ["2.0.0", "1.0.0", "1.0.0"]);
    let one = bed.runs("1.0.0");
    let started = one.started(NOW).unwrap();
    assert_eq!(started.state, StartState::Settled);
    assert_eq!(started.news.unwrap().bad.version.major, 2);
    assert_eq!(one.started(NOW).unwrap().news, None);
    assert!(matches!(one.admit(&bed.staged("2.0.0").release, NOW).unwrap(), Admission::Rejected { .. }));
    assert_eq!(kind(one.install(&bed.staged("2.0.0"), NOW)), ErrorKind::Refused);
    // It is repaired under a higher version, and can be rolled back as well.
    one.install(&bed.staged("2.0.1"), NOW).unwrap();
    assert!(bed.journal().flight.unwrap().old.contents.is_some());
}

#[test]
fn a_refusal_changes_nothing() {
    let bed = Bed::new();
    let one = bed.runs("1.0.0");
    one.keep_installed(&bed.staged("1.0.0"), NOW).unwrap();
    let before = bed.journal();
    for (does, expected) in [
        (Does::Refuses("X Deployment failed with HRESULT: 0x80073D02, in use"), ErrorKind::Busy),
        (Does::Refuses("HRESULT: 0x800B0109"), ErrorKind::Integrity),
        (Does::Refuses("HRESULT: 0x80073cf4"), ErrorKind::NoSpace),
        (Does::Refuses("HRESULT: 0x80073CFF"), ErrorKind::Permission),
        (Does::Refuses("NamedParameterNotFound,Add-AppxPackage"), ErrorKind::Unsupported),
        (Does::Refuses("0x 0xé 0x8"), ErrorKind::Refused),
        (Does::Refuses(""), ErrorKind::Refused),
        (Does::CannotStart, ErrorKind::Disk),
    ] {
        bed.next(does);
        let staged = bed.staged("2.0.0");
        let error = one.install(&staged, NOW).unwrap_err();
        assert_eq!(error.kind(), expected, "{does:?}");
        assert!(error.next_step().is_some() && std::error::Error::source(&error).is_some());
        assert_eq!(bed.journal(), before);
        // There for another attempt.
        assert!(staged.path.exists());
        assert_eq!(bed.packages(), 1);
        assert_eq!(one.started(NOW).unwrap().state, StartState::Settled);
    }
    one.install(&bed.staged("2.0.0"), NOW).unwrap();
    assert_eq!(bed.took(), ["2.0.0"]);
}

#[test]
fn words_of_the_system_are_bounded_and_plain() {
    let words = format!("\u{1b}[2J{}", "x".repeat(100_000));
    let error = explain(Failure::Refused(words));
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.chars().count() <= 1000 && !cause.contains('\u{1b}'));
}

#[test]
fn no_answer_leaves_both_ways_open() {
    for took_it in [false, true] {
        let bed = Bed::new();
        let one = bed.runs("1.0.0");
        one.keep_installed(&bed.staged("1.0.0"), NOW).unwrap();
        bed.next(Does::SaysNothing);
        assert_eq!(kind(one.install(&bed.staged("2.0.0"), NOW)), ErrorKind::Busy);
        if took_it {
            assert!(is_trial(&bed.runs("2.0.0").started(NOW).unwrap(), 1));
        } else {
            assert_eq!(bed.runs("1.0.0").started(NOW).unwrap().state, StartState::Settled);
            bed.runs("1.0.0").install(&bed.staged("2.0.0"), NOW).unwrap();
        }
    }
}

#[test]
fn a_kill_around_the_hand_over_is_understood() {
    for does in [Does::KilledBefore, Does::KilledAfter] {
        let bed = Bed::new();
        let one = bed.runs("1.0.0");
        one.keep_installed(&bed.staged("1.0.0"), NOW).unwrap();
        bed.next(does);
        let staged = bed.staged("2.0.0");
        assert!(catch_unwind(AssertUnwindSafe(|| one.install(&staged, NOW))).is_err());
        // What it left: the journal says that it was about to.
        assert_eq!(bed.journal().state, State::Installing);
        // The old version starts: it is not known whether the system was asked. It can be, again.
        let one = bed.runs("1.0.0");
        assert_eq!(one.started(NOW).unwrap().state, StartState::Settled);
        assert_eq!(one.admit(&bed.staged("2.0.0").release, NOW).unwrap(), Admission::Admitted);
        if matches!(does, Does::KilledBefore) {
            one.install(&bed.staged("2.0.0"), NOW).unwrap();
        }
        // Or the new one does: on trial, and the way back is known.
        let two = bed.runs("2.0.0");
        assert!(is_trial(&two.started(NOW).unwrap(), 1));
        assert_eq!(bed.journal().state, State::Trial);
        bed.next(Does::KilledBefore);
        assert!(catch_unwind(AssertUnwindSafe(|| two.started(NOW))).is_err());
        assert_eq!(bed.journal().state, State::RollingBack);
        assert!(matches!(bed.runs("2.0.0").started(NOW).unwrap().state, StartState::RolledBack(_)));
        assert_eq!(bed.took().last().unwrap(), "1.0.0");
        // The same attempt is counted once.
        assert_eq!(bed.journal().rejected[0].times, 1);
        assert!(bed.runs("1.0.0").started(NOW).unwrap().news.is_some());
    }
}

#[test]
fn the_way_back_is_tried_again() {
    let bed = Bed::new();
    bed.handed_over();
    let two = bed.runs("2.0.0");
    two.started(NOW).unwrap();
    bed.next(Does::Refuses("0x80073D02"));
    assert_eq!(kind(two.started(NOW)), ErrorKind::Busy);
    assert_eq!(bed.journal().state, State::RollingBack);
    assert!(matches!(two.started(NOW).unwrap().state, StartState::RolledBack(_)));
}

#[test]
fn only_the_proved_bytes_are_handed_over() {
    let bed = Bed::new();
    let one = bed.runs("1.0.0");
    // Changed after it was proved; the size is the same.
    let staged = bed.staged("2.0.0");
    disk::write(&staged.path, b"PK\x03\x042.0.1").unwrap();
    assert_eq!(kind(one.install(&staged, NOW)), ErrorKind::Integrity);
    // No package at all.
    for bytes in [&b"MZ an executable"[..], b"", b"PK"] {
        let staged = staged_at(staged.path.clone(), "2.0.0", bytes);
        assert_eq!(kind(one.install(&staged, NOW)), ErrorKind::Integrity);
    }
    let mut staged = bed.staged("2.0.0");
    staged.contents.entries[0].kind = EntryKind::Directory;
    assert_eq!(kind(one.install(&staged, NOW)), ErrorKind::Integrity);
    assert_eq!((bed.asked(), bed.journal().state), (0, State::Settled));
}

#[test]
fn only_the_known_package_is_returned_to() {
    // None was kept; the one that was kept was changed.
    for keep in [false, true] {
        let bed = Bed::new();
        let one = bed.runs("1.0.0");
        if keep {
            one.keep_installed(&bed.staged("1.0.0"), NOW).unwrap();
        }
        one.install(&bed.staged("2.0.0"), NOW).unwrap();
        if keep {
            let old = bed.journal().flight.unwrap().old.contents.unwrap();
            disk::write(one.package(&old), b"PK\x03\x04evil!").unwrap();
        }
        let two = bed.runs("2.0.0");
        two.started(NOW).unwrap();
        assert_eq!(kind(two.started(NOW)), ErrorKind::Refused);
        // It is left in place, and that is the end of it.
        assert_eq!(two.started(NOW).unwrap().state, StartState::Settled);
        assert_eq!(bed.took(), ["2.0.0"]);
        two.install(&bed.staged("3.0.0"), NOW).unwrap();
    }
}

#[test]
fn the_installed_package_is_kept_once_and_only_itself() {
    let bed = Bed::new();
    let one = bed.runs("1.0.0");
    assert_eq!(kind(one.keep_installed(&bed.staged("1.0.1"), NOW)), ErrorKind::Input);
    let changed = bed.staged("1.0.0");
    disk::write(&changed.path, b"PK\x03\x041.0.x").unwrap();
    assert_eq!(kind(one.keep_installed(&changed, NOW)), ErrorKind::Integrity);
    assert!(one.keep_installed(&bed.staged("1.0.0"), NOW).unwrap());
    assert!(!one.keep_installed(&bed.staged("1.0.0"), NOW).unwrap());
    one.install(&bed.staged("2.0.0"), NOW).unwrap();
    assert!(!bed.runs("2.0.0").keep_installed(&bed.staged("2.0.0"), NOW).unwrap());
}

#[test]
fn what_somebody_else_installed_is_theirs() {
    let bed = Bed::new();
    bed.handed_over();
    let nine = bed.runs("9.0.0");
    assert_eq!(nine.started(NOW).unwrap().state, StartState::Settled);
    assert_eq!(nine.status(NOW).unwrap(), Status::Settled { previous: None });
    assert_eq!(kind(nine.roll_back(Reason::Asked, NOW)), ErrorKind::Refused);
    assert_eq!(bed.packages(), 0);
    assert_eq!(bed.took(), ["2.0.0"]);
}

#[test]
fn one_at_a_time() {
    let bed = Bed::new();
    let one = bed.runs("1.0.0");
    let _at_work = one.enter(NOW).unwrap();
    assert_eq!(kind(bed.runs("1.0.0").started(NOW)), ErrorKind::Busy);
}
