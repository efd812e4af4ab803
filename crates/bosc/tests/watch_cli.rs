//! `bosc watch` as an application sees it, without a network: words are heard whatever happens to its output, a start that is cut
//! off is no crash, and the new version is started when the old one has ended.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use bosc_updater::install::{Installer, Options, Status, contents_of};
use bosc_updater::release::{Release, ReleaseId, Staged};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

const LINK: &str = "pear://nw4bt9ok4skpuyyhkjwatqryo4ko8mhbyzhwc4zmc3dstudouxwo";
const PATIENCE: Duration = Duration::from_secs(60);

struct Bed(tempfile::TempDir);

impl Bed {
    fn new() -> Self {
        let bed = Self(tempfile::tempdir().unwrap());
        bed.program(&bed.target(), "sleep 30");
        bed
    }

    fn target(&self) -> PathBuf {
        self.0.path().join("App")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.0.path().join("log")).unwrap_or_default()
    }

    fn program(&self, path: &Path, then: &str) {
        let log = self.0.path().join("log");
        fs::write(path, format!("#!/bin/sh\necho started >> '{}'\nexec {then}\n", log.display())).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn installer(&self) -> Installer {
        Installer::open(Options::new(self.target(), "1.0.0".parse().unwrap())).unwrap()
    }

    /// 1.0.1 is in place and on trial.
    fn on_trial(&self, then: &str) {
        let path = self.installer().staging().unwrap().join("build");
        self.program(&path, then);
        let release = Release {
            version: "1.0.1".parse().unwrap(),
            id: ReleaseId([1; 32]),
            origin: String::new(),
            notes: None,
            size: None,
        };
        let contents = contents_of(&path).unwrap();
        self.installer().install(&Staged { release, path, contents }, SystemTime::now()).unwrap();
    }

    fn starts(&self) -> Option<u32> {
        match self.installer().status().unwrap() {
            Status::Trial { starts, .. } => Some(starts),
            Status::Settled { .. } => None,
        }
    }

    fn watch(&self, version: &str, more: &[&str]) -> Child {
        self.command(version, more).spawn().unwrap()
    }

    fn command(&self, version: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bosc"));
        command.args([
            "watch",
            "--json",
            "--no-updates",
            "--upgrade",
            LINK,
            "--name",
            "App",
            "--health",
            "2",
        ]);
        command.args(["--version", version]).arg("--app").arg(self.target());
        command.arg("--dir").arg(self.0.path().join("data")).args(more);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }
}

/// Waits for its end; ends it and fails when that does not come.
fn ended(child: &mut Child, what: &str) -> std::process::ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("{what}: it did not end");
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn words_are_heard_when_nobody_reads_the_output() {
    for end in ["quit", "closed", "signal"] {
        let bed = Bed::new();
        let mut child = bed.watch("1.0.0", &[]);
        let mut stdin = child.stdin.take();
        let words = stdin.as_mut().unwrap();
        // Each of them is answered by an error of some 200 bytes: far more than a pipe holds.
        for n in 0..4000 {
            writeln!(words, "nonsense-{n}").unwrap();
        }
        match end {
            "quit" => writeln!(words, "quit").unwrap(),
            "closed" => drop(stdin.take()),
            _ => signal(&child, rustix::process::Signal::TERM),
        }
        ended(&mut child, end);
    }
}

#[test]
fn what_ends_the_session_is_no_crash_of_the_new_version() {
    use rustix::process::Signal;
    for (how, counted) in [(Some(Signal::TERM), 0), (Some(Signal::HUP), 0), (Some(Signal::INT), 0), (None, 1)]
    {
        let bed = Bed::new();
        bed.on_trial("sleep 30");
        let mut child = bed.watch("1.0.1", &[]);
        until("the start is counted", || bed.starts() == Some(1));
        // Handlers are there when it listens.
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "nonsense").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        match how {
            Some(how) => signal(&child, how),
            None => child.kill().unwrap(),
        }
        ended(&mut child, "a signal");
        assert_eq!(bed.starts(), Some(counted), "{how:?}");
    }
    // What nobody saw the end of is allowed three times.
    let bed = Bed::new();
    bed.on_trial("sleep 30");
    for n in 1..=3 {
        let mut child = bed.watch("1.0.1", &[]);
        until("the start is counted", || bed.starts() == Some(n));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut child = bed.watch("1.0.1", &[]);
    until("it is rolled back", || bed.starts().is_none());
    drop(child.stdin.take());
    ended(&mut child, "rolled back");
}

#[test]
fn the_new_version_is_started_when_the_old_one_has_ended() {
    let bed = Bed::new();
    bed.on_trial("sleep 30");
    let mut child = bed.watch("1.0.1", &[]);
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    writeln!(stdin, "relaunch").unwrap();
    assert!(lines.any(|l| l.contains("\"tag\":\"relaunching\"")));
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(bed.log(), "", "the old one still has its input open: it lives");
    drop(stdin);
    until("the new one is started", || bed.log().starts_with("started\n"));
    // It says nothing: rolled back, and the old one is started.
    let rolled_back = lines.find(|l| l.contains("\"tag\":\"rolled-back\"")).unwrap();
    let restarted: serde_json::Value = serde_json::from_str(&rolled_back).unwrap();
    assert_eq!(restarted["data"]["reason"], "silent");
    let pid = u32::try_from(restarted["data"]["pid"].as_u64().unwrap()).unwrap();
    ended(&mut child, "relaunch");
    bosc_updater::health::end_started(pid);
}

/// It would end the application for nothing.
#[test]
fn where_no_build_is_on_trial_relaunch_is_refused_and_words_go_on_being_heard() {
    let bed = Bed::new();
    let mut child = bed.watch("1.0.0", &[]);
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    writeln!(stdin, "relaunch").unwrap();
    let answer = lines.find(|l| l.contains("relaunching") || l.contains("no build is on trial")).unwrap();
    assert!(answer.contains("no build is on trial") && answer.contains("\"tag\":\"error\""), "{answer}");
    writeln!(stdin, "healthy").unwrap();
    assert!(lines.any(|l| l.contains("\"tag\":\"healthy\"")));
    writeln!(stdin, "quit").unwrap();
    ended(&mut child, "quit");
}

/// The application came in an AppImage: what is started next is not to look into the old one's mount.
#[test]
fn the_new_version_gets_the_environment_of_the_desktop() {
    let bed = Bed::new();
    let mount = bed.0.path().join("mount");
    fs::create_dir(&mount).unwrap();
    let env = bed.0.path().join("env");
    let print = format!("sh -c 'env > {0}.new; pwd >> {0}.new; mv {0}.new {0}; sleep 30'", env.display());
    bed.on_trial(&print);
    let mut command = bed.command("1.0.1", &[]);
    let below = |path: &str| format!("{}/{path}", mount.display());
    command.env("APPDIR", &mount).env("APPIMAGE", "/x.AppImage").env("OWD", bed.0.path()).current_dir(&mount);
    command.env("LD_LIBRARY_PATH", format!("{}:", below("usr/lib")));
    command.env("XDG_DATA_DIRS", format!("{}:/usr/share", below("usr/share")));
    command.env("PYTHONHOME", below("usr")).env("BOSC_UPDATE_TOKEN", "hunter2");
    command.env("PATH", format!("{}:{}", below("usr/bin"), std::env::var("PATH").unwrap()));
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "relaunch").unwrap();
    drop(stdin);
    until("the new one is started", || env.exists());
    let env = fs::read_to_string(&env).unwrap();
    assert!(!env.contains(&mount.display().to_string()) && !env.contains("hunter2"), "{env}");
    let named = |name: &str| env.lines().any(|line| line.split('=').next() == Some(name));
    assert!(!named("LD_LIBRARY_PATH") && !named("PYTHONHOME") && !named("APPIMAGE"), "{env}");
    assert!(env.lines().any(|line| line == "XDG_DATA_DIRS=/usr/share"), "{env}");
    assert_eq!(env.lines().last().map(Path::new), Some(fs::canonicalize(bed.0.path()).unwrap().as_path()));
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    ended(&mut child, "relaunch");
    for line in lines {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if let Some(pid) = line["data"]["pid"].as_u64() {
            bosc_updater::health::end_started(u32::try_from(pid).unwrap());
        }
    }
}

/// What the environment and the flags say reaches the connection: a proxy is used, or the check fails.
#[test]
fn a_proxy_of_the_environment_is_used_and_never_bypassed() {
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    let (sender, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in proxy.incoming().flatten() {
            let mut line = String::new();
            let _ = BufReader::new(&stream).read_line(&mut line);
            let _ = sender.send(line.trim().to_owned());
        }
    });
    let key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let said = |variables: &[(&str, String)], flags: &[&str]| {
        let bed = Bed::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_bosc"));
        command.args(["watch", "--json", "--name", "App", "--version", "1.0.0", "--public-key", key]);
        command.args(["--upgrade", "https://updates.invalid/m.json"]).args(flags);
        command.arg("--app").arg(bed.target()).arg("--dir").arg(bed.0.path().join("data"));
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"] {
            command.env_remove(name);
        }
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let error = lines.find(|line| line.contains("\"tag\":\"error\"")).unwrap();
        drop(child.stdin.take());
        ended(&mut child, "closed");
        error
    };
    let http = format!("http://{address}");
    let error = said(&[("https_proxy", http.clone())], &[]);
    assert!(error.contains("ERR_CONNECTION") && error.contains("https_proxy"), "{error}");
    assert_eq!(asked.recv_timeout(PATIENCE).unwrap(), "CONNECT updates.invalid:443 HTTP/1.1");
    let error = said(&[], &["--proxy", &http]);
    assert!(error.contains("ERR_CONNECTION"), "{error}");
    let error = said(&[("ALL_PROXY", "gopher://x".to_owned())], &[]);
    assert!(error.contains("ERR_INVALID_INPUT") && error.contains("ALL_PROXY"), "{error}");
    let before = asked.try_iter().count();
    assert!(before > 0);
    said(&[("https_proxy", http.clone()), ("NO_PROXY", "invalid".to_owned())], &[]);
    said(&[("https_proxy", http)], &["--proxy", ""]);
    assert_eq!(asked.try_iter().count(), 0, "those two went without");
}

#[test]
fn flags_for_the_server_that_cannot_be_are_refused_at_once() {
    let bed = Bed::new();
    let file = bed.0.path().join("empty");
    fs::write(&file, "nothing").unwrap();
    let file = file.to_str().unwrap();
    for flags in [
        &["--limit-rate", "fast"][..],
        &["--header", "hunter2"],
        &["--header", "@/nowhere"],
        &["--ca", file],
        &["--client-cert", file],
        &["--client-key", file],
    ] {
        let mut child = bed.watch("1.0.0", flags);
        drop(child.stdin.take());
        assert_eq!(ended(&mut child, "input").code(), Some(2), "{flags:?}");
    }
}

#[test]
fn that_relaunch_would_not_work_is_said_at_the_start() {
    for (inside, told) in [(None, true), (Some("bin/run"), false)] {
        let bed = Bed::new();
        fs::remove_file(bed.target()).unwrap();
        fs::create_dir_all(bed.target().join("bin")).unwrap();
        bed.program(&bed.target().join("bin/run"), "true");
        let more: Vec<&str> = inside.map_or(vec![], |inside| vec!["--inside", inside]);
        let mut child = bed.watch("1.0.0", &more);
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "quit").unwrap();
        let lines: Vec<String> =
            BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
        assert_eq!(lines.iter().any(|l| l.contains("--inside")), told, "{lines:?}");
        ended(&mut child, "quit");
    }
}

#[test]
fn a_number_of_starts_that_a_logout_could_reach_is_refused() {
    let bed = Bed::new();
    // `--threshold` was its name before.
    let cases = [("--unfinished", "2"), ("--unfinished", "65"), ("--unfinished", "3"), ("--threshold", "3")];
    for (flag, starts) in cases {
        let good = starts == "3";
        let mut child = bed.watch("1.0.0", &[flag, starts]);
        drop(child.stdin.take());
        assert_eq!(ended(&mut child, "input").code(), Some(if good { 0 } else { 2 }), "{flag} {starts}");
    }
}

/// All lines of a run that is told to say these words, then to end.
fn lines_of(mut child: Child, words: &str) -> Vec<String> {
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(words.as_bytes()).unwrap();
    drop(stdin);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
    ended(&mut child, words.get(..20).unwrap_or(words));
    lines
}

#[test]
fn a_line_that_is_too_long_is_dropped_whole() {
    let bed = Bed::new();
    let lines =
        lines_of(bed.watch("1.0.0", &[]), &format!("{}healthy\nhealthy\nquit\n", "x".repeat(3 * 4096)));
    let count = |tag: &str| lines.iter().filter(|l| l.contains(&format!("\"tag\":\"{tag}\""))).count();
    assert_eq!((count("error"), count("healthy")), (1, 1), "{lines:?}");
}

/// Whatever is wrong with the source, a build on trial can say that it works; without a trial it is a mistake in the flags.
#[test]
fn a_bad_source_ends_no_trial() {
    for flags in [
        &["--upgrade", "https://"][..],
        &["--upgrade", "http://x/y"],
        &["--upgrade", "pear://xyz"],
        &["--upgrade", "https://x.invalid/m.json", "--public-key", "AAAA"],
        &["--upgrade", "https://x.invalid/m.json"],
        &["--ca", "/nope"],
        &["--header", "hunter2"],
    ] {
        let bed = Bed::new();
        let watch = |version: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_bosc"));
            command.args(["watch", "--json", "--name", "App", "--version", version]).args(flags);
            if !flags.contains(&"--upgrade") {
                command.args(["--upgrade", LINK]);
            }
            command.arg("--app").arg(bed.target()).arg("--dir").arg(bed.0.path().join("data"));
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            command.spawn().unwrap()
        };
        let mut settled = watch("1.0.0");
        drop(settled.stdin.take());
        assert_eq!(ended(&mut settled, "settled").code(), Some(2), "{flags:?}");
        bed.on_trial("sleep 30");
        let lines = lines_of(watch("1.0.1"), "healthy\nquit\n");
        assert!(lines.iter().any(|l| l.contains("\"tag\":\"error\"")), "{flags:?}: {lines:?}");
        assert!(
            lines.iter().any(|l| l.contains("\"healthy\",\"data\":{\"trial\":true")),
            "{flags:?}: {lines:?}"
        );
        assert_eq!(bed.starts(), None, "{flags:?}: it is settled");
        assert!(!lines.iter().any(|l| l.contains("hunter2")), "{lines:?}");
    }
}

#[test]
fn a_build_of_a_developer_is_not_replaced_unless_asked() {
    let bed = Bed::new();
    fs::create_dir(bed.0.path().join(".fingerprint")).unwrap();
    for (more, told) in [(&[][..], true), (&["--any-app"][..], false)] {
        let mut child = bed.watch("1.0.0", more);
        let mut stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        if told {
            assert!(lines.any(|l| l.contains("\"not-installed\"")), "it is said");
        } else {
            std::thread::sleep(Duration::from_secs(1));
        }
        writeln!(stdin, "quit").unwrap();
        assert!(!lines.any(|l| l.contains("\"not-installed\"")), "{more:?}");
        ended(&mut child, "quit");
    }
}

#[test]
fn a_program_that_is_not_there_is_said_at_the_start() {
    let bed = Bed::new();
    fs::remove_file(bed.target()).unwrap();
    fs::create_dir_all(bed.target().join("bin")).unwrap();
    bed.program(&bed.target().join("bin/run"), "true");
    for (inside, told) in [("bin/nope", true), ("../x", true), ("bin/run", false)] {
        let lines = lines_of(bed.watch("1.0.0", &["--inside", inside]), "quit\n");
        assert_eq!(lines.iter().any(|l| l.contains("`relaunch` will not work")), told, "{inside}: {lines:?}");
    }
}
