//! The other user: a process with another uid that exchanges names until it is told to end.

use super::place::Place;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `nobody`.
pub(crate) const UID: u32 = 65534;

const TASK: &str = "BOSC_TEST_INTRUDER";
/// It ends by itself when the test does not end it.
const LIMIT: Duration = Duration::from_secs(600);

pub(crate) struct Intruder {
    child: Child,
    folder: PathBuf,
}

impl Intruder {
    /// Starts it, and waits until it is at work.
    pub(crate) fn start(place: &Place, task: &str, paths: &[&Path]) -> Self {
        let folder = place.shared("intruder");
        // A copy that he may run, wherever this was built. Not made here: a process that another thread starts meanwhile
        // would inherit the open file, and what is open for writing cannot be run.
        let program = place.path().join("intruder-program");
        let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status().unwrap();
        assert!(copied.success());
        let mut words = vec![task.to_owned(), folder.to_str().unwrap().to_owned()];
        words.extend(paths.iter().map(|p| p.to_str().unwrap().to_owned()));
        let child = Command::new(&program)
            .args(["--exact", "intruder_process", "--nocapture"])
            .env(TASK, words.join("\n"))
            .current_dir("/")
            .uid(UID)
            .gid(UID)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let out = Self { child, folder };
        let start = Instant::now();
        while out.count() == 0 && start.elapsed() < Duration::from_secs(60) && task != "hidden" {
            std::thread::sleep(Duration::from_millis(5));
        }
        out
    }

    fn count(&self) -> u64 {
        fs::read_to_string(self.folder.join("count")).ok().and_then(|t| t.parse().ok()).unwrap_or(0)
    }

    /// Ends it. How often it exchanged something.
    pub(crate) fn end(mut self) -> u64 {
        fs::write(self.folder.join("end"), "").unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the other user's process failed: {status}");
        self.count()
    }
}

impl Drop for Intruder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn run_if_asked() {
    let Ok(task) = std::env::var(TASK) else { return };
    let words: Vec<PathBuf> = task.split('\n').map(PathBuf::from).collect();
    let [task, folder, rest @ ..] = words.as_slice() else { panic!("no task") };
    let mut work: Box<dyn FnMut() -> u64> = match (task.to_str().unwrap(), rest) {
        ("exchange", [sub, outside]) => {
            let (sub, outside) = (sub.clone(), outside.clone());
            Box::new(move || exchange(&sub, &outside))
        }
        ("hidden", [shared, outside]) => {
            let (shared, outside) = (shared.clone(), outside.clone());
            Box::new(move || hidden(&shared, &outside))
        }
        other => panic!("no such task: {other:?}"),
    };
    let (start, mut count) = (Instant::now(), 0u64);
    while start.elapsed() < LIMIT && !folder.join("end").exists() {
        let now = work();
        if now > 0 {
            count += now;
            fs::write(folder.join("count.new"), count.to_string()).unwrap();
            fs::rename(folder.join("count.new"), folder.join("count")).unwrap();
        }
    }
}

/// Now a folder, now a link to another one.
fn exchange(sub: &Path, outside: &Path) -> u64 {
    let away = sub.with_file_name(".away");
    let done = fs::rename(sub, &away).is_ok();
    let linked = symlink(outside, sub).is_ok();
    std::thread::sleep(Duration::from_micros(300));
    if linked {
        let _ = fs::remove_file(sub);
    }
    let _ = fs::rename(&away, sub);
    std::thread::sleep(Duration::from_micros(300));
    u64::from(done && linked)
}

/// Every hidden folder of another user goes, and one of ours takes its place: with links where the command looks for its
/// own, and with a build of ours.
fn hidden(shared: &Path, outside: &Path) -> u64 {
    let mut done = 0;
    let Ok(items) = fs::read_dir(shared) else { return 0 };
    for item in items.flatten() {
        let path = item.path();
        let hidden =
            item.file_name().to_str().is_some_and(|n| n.starts_with(".") && !n.starts_with(".taken"));
        let Some(owner) = fs::symlink_metadata(&path).ok().filter(|m| hidden && m.is_dir()).map(|m| m.uid())
        else {
            continue;
        };
        if owner == UID {
            // Somebody works in a folder of his: what was made there goes, and what he made takes its place.
            for name in ["tree", "item"] {
                let at = path.join(name);
                let theirs = fs::symlink_metadata(&at).is_ok_and(|m| m.is_dir() && m.uid() != UID);
                if theirs && fs::rename(&at, path.join(format!(".taken-{name}"))).is_ok() {
                    let _ = fs::create_dir(&at);
                    let _ = fs::create_dir(at.join("Demo"));
                    let _ = fs::write(at.join("Demo/his"), "his");
                    done += 1;
                }
            }
            continue;
        }
        // What he could do in it, if he could.
        for name in ["tree", "tree/Demo", "tree/Demo/bin", "tree/by-arch"] {
            let at = path.join(name);
            if fs::rename(&at, shared.join(format!(".taken-{done}"))).is_ok() {
                let _ = symlink(outside, &at);
            }
            let _ = fs::write(at.join("planted"), "his");
        }
        if fs::rename(&path, shared.join(format!(".taken-{}", std::process::id()))).is_ok()
            || fs::rename(&path, shared.join(format!(".taken-{}-{:?}", std::process::id(), Instant::now())))
                .is_ok()
        {
            let _ = fs::create_dir(&path);
            // Every other time one that looks as good as new.
            if path.as_os_str().as_encoded_bytes().last().is_some_and(|b| b % 2 == 0) {
                for name in ["tree", "item", "lock", "old"] {
                    let _ = symlink(outside, path.join(name));
                }
            }
            done += 1;
        }
    }
    done
}
