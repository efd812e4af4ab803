//! The last part of the demo: a program that runs updates itself, and takes a broken release back.
//!
//! The program is `examples/self-update`. It is compiled into `bosc` as well, which runs it when [`EXAMPLE_ENV`] says so: then
//! the demo needs nothing that is not built yet. Its versions are two builds (see `builds`), with a line behind the executable.
//!
//! ```text
//! 1.0.0 runs ── 1.0.1 is staged ──▶ 1.0.0 makes it of itself and a delta, installs it, starts it, watches it, ends when it is healthy
//! 1.0.1 runs ── 1.0.2 is staged, which cannot start ──▶ 1.0.1 installs it, sees that, puts itself back, starts again
//! 1.0.1 runs ──▶ 1.0.2 is not tried again
//! ```

use super::builds;
use super::event::{DemoUpdates, StepData};
use super::show::{Demo, PATIENCE, io, seed, size, wrong};
use crate::command::Stop;
use crate::engine::Engine;
use crate::error::{CommandError, ErrorKind};
use crate::event::Event;
use crate::stage::{Stage, StageEvent};
use crate::touch::Touch;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::Scope;
use std::time::{Duration, Instant};

/// Set to [`EXAMPLE`]: `bosc` is the example program.
pub const EXAMPLE_ENV: &str = "BOSC_EXAMPLE";
/// The value, and the name of the program.
pub const EXAMPLE: &str = "self-update";
/// How long a release that was rolled back must not be offered again, for the demo to believe it.
const QUIET: Duration = Duration::from_secs(3);
/// Where so many places of a program changed, its release has a delta.
const REBUILT: usize = 1000;
const STOP_EXTENSION: &str = "stop";
const STOP_EVERY: Duration = Duration::from_millis(200);

impl Demo<'_> {
    pub(super) fn updates<'s, 'e: 's>(
        &mut self,
        program: &Path,
        alice: &'e Engine,
        bootstrap: &[String],
        scope: &'s Scope<'s, 'e>,
        ends: &Stop,
    ) -> Result<DemoUpdates, CommandError> {
        let link = alice.touch(&Touch::default(), self.stop)?.link;
        let file = format!("{EXAMPLE}{}", std::env::consts::EXE_SUFFIX);
        let place = DemoPlace {
            program,
            staged: self.temp.join("program"),
            installed: self.temp.join("installed").join(&file),
            data: self.temp.join("program-data"),
            file,
        };
        place.release(&link, "1.0.0", Build::First)?;
        self.stage_program(alice, &link, &place)?;
        seed(alice, &link, scope, ends);
        place.install()?;
        let whole = std::fs::metadata(&place.installed).map_err(io(&place.installed))?.len();
        let mut run = Run::start(&place, &link, bootstrap)?;
        run.until("running 1.0.0", self.stop)?;
        self.step(
            format!("21. A program of {} runs, version 1.0.0, and follows a link", size(whole)),
            StepData::Runs { link: link.clone(), bytes: whole },
        );

        run.next_release();
        let places = place.release(&link, "1.0.1", Build::Second)?;
        let delta = self.stage_program(alice, &link, &place)?;
        if delta.is_none() && places >= REBUILT {
            return Err(wrong(format!("1.0.1 differs in {places} places, and there is no delta to it")));
        }
        let ready = run.until("ready 1.0.1, ", self.stop)?;
        let received: u64 = ready.split_whitespace().nth(2).and_then(|n| n.parse().ok()).unwrap_or(0);
        run.until("running 1.0.1", self.stop)?;
        run.until("the new version works", self.stop)?;
        if delta.is_some_and(|d| received > d.instead_of / 2) {
            return Err(wrong(format!("the program fetched {}: it did not use the delta", size(received))));
        }
        let instead_of = delta.map(|d| d.instead_of);
        let instead = delta.map_or(String::new(), |d| {
            format!(" instead of {}, by a delta of {}", size(d.instead_of), size(d.bytes))
        });
        self.step(
            format!(
                "22. 1.0.1 is released, another build: it fetched {}{instead}, replaced itself and started again",
                size(received)
            ),
            StepData::Replaced { received, instead_of },
        );

        run.next_release();
        place.release(&link, "1.0.2", Build::Broken)?;
        self.stage_program(alice, &link, &place)?;
        run.until("ready 1.0.2, ", self.stop)?;
        run.until("rolled back 1.0.2", self.stop)?;
        run.until("running 1.0.1", self.stop)?;
        let now = std::fs::read(&place.installed).map_err(io(&place.installed))?;
        if !now.ends_with(b"\nversion: 1.0.1\n") {
            return Err(wrong("the program's place does not hold 1.0.1".into()));
        }
        self.step(
            "23. 1.0.2 is released, and cannot start: it is rolled back, and 1.0.1 runs again".into(),
            StepData::Nothing,
        );

        run.next_release();
        if run.within(QUIET, "updating") {
            return Err(wrong("the release that was rolled back was tried again".into()));
        }
        self.step("24. 1.0.1 does not try 1.0.2 any more".into(), StepData::Nothing);
        Ok(DemoUpdates { received, bytes: whole, instead_of })
    }

    /// Stages it, and gives the delta to it.
    fn stage_program(
        &self,
        alice: &Engine,
        link: &str,
        place: &DemoPlace<'_>,
    ) -> Result<Option<Delta>, CommandError> {
        // Before there is a base, all that could be made is a packed copy, which nobody here installs.
        let no_deltas = !place.installed.exists();
        let request = Stage {
            link: link.to_owned(),
            dir: place.staged.clone(),
            no_deltas,
            no_packed: true,
            ..Stage::default()
        };
        let mut delta = None;
        let mut sink = |event: Event| {
            if let Event::Stage(StageEvent::Delta { bytes, instead_of, .. }) = event {
                delta.get_or_insert(Delta { bytes, instead_of });
            }
        };
        alice.stage(&request, &mut sink, self.stop)?;
        Ok(delta)
    }
}

/// A delta of a release.
#[derive(Debug, Clone, Copy)]
struct Delta {
    bytes: u64,
    /// Bytes that it takes the place of.
    instead_of: u64,
}

/// What is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    First,
    /// The same program, built otherwise.
    Second,
    /// A text.
    Broken,
}

struct DemoPlace<'a> {
    program: &'a Path,
    staged: PathBuf,
    installed: PathBuf,
    data: PathBuf,
    file: String,
}

impl DemoPlace<'_> {
    fn app(&self) -> PathBuf {
        self.staged
            .join("by-arch")
            .join(crate::install::UserPlaces::here().host())
            .join("app")
            .join(&self.file)
    }

    /// Makes the folder of a version. Gives the number of places in which it differs from the first build.
    fn release(&self, link: &str, version: &str, build: Build) -> Result<usize, CommandError> {
        let app = self.app();
        if let Some(folder) = app.parent() {
            std::fs::create_dir_all(folder).map_err(io(folder))?;
        }
        let package = self.staged.join("package.json");
        let json = format!(
            r#"{{"name":"{EXAMPLE}","productName":"{EXAMPLE}","version":"{version}","upgrade":"{link}"}}"#
        );
        std::fs::write(&package, json).map_err(io(&package))?;
        let (mut bytes, mut places) = (b"This is no program.\n".to_vec(), 0);
        if build != Build::Broken {
            bytes = std::fs::read(self.program).map_err(io(self.program))?;
            builds::strip(&mut bytes);
        }
        if build == Build::Second {
            places = builds::pad_otherwise(&mut bytes);
        }
        bytes.extend_from_slice(format!("\nversion: {version}\n").as_bytes());
        std::fs::write(&app, bytes).map_err(io(&app))?;
        executable(&app)?;
        Ok(places)
    }

    fn install(&self) -> Result<(), CommandError> {
        if let Some(folder) = self.installed.parent() {
            std::fs::create_dir_all(folder).map_err(io(folder))?;
        }
        std::fs::copy(self.app(), &self.installed).map_err(io(&self.installed))?;
        executable(&self.installed)
    }
}

fn executable(path: &Path) -> Result<(), CommandError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).map_err(io(path))?;
    }
    let _ = path;
    Ok(())
}

/// The program, and whatever it starts after itself. They write one log, and end when a file says so.
struct Run {
    child: Child,
    log: PathBuf,
    stop_file: PathBuf,
    /// Lines before this one are of an earlier release.
    mark: usize,
}

impl Run {
    fn start(place: &DemoPlace<'_>, link: &str, bootstrap: &[String]) -> Result<Self, CommandError> {
        std::fs::create_dir_all(&place.data).map_err(io(&place.data))?;
        let stop_file = place.data.with_extension(STOP_EXTENSION);
        let child = bosc_updater::secrets::keep_from(&mut Command::new(&place.installed))
            .arg(link)
            .arg(&place.data)
            .arg(bootstrap.join(","))
            .env(EXAMPLE_ENV, EXAMPLE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(io(&place.installed))?;
        Ok(Self { child, log: place.data.join("log.txt"), stop_file, mark: 0 })
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().skip(self.mark).map(str::to_owned).collect()
    }

    /// What was said until now does not count any more.
    fn next_release(&mut self) {
        self.mark += self.lines().len();
    }

    /// Waits for a line that begins so.
    fn until(&self, begin: &str, stop: &Stop) -> Result<String, CommandError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && !stop.is_stopped() {
            if let Some(line) = self.lines().into_iter().find(|l| l.starts_with(begin)) {
                return Ok(line);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(CommandError::new(
            ErrorKind::Failed,
            "ERR_DEMO",
            format!("the program did not say {begin:?}; it said {:?}", self.lines()),
        )
        .hint("this is a defect of Bosc: please report it"))
    }

    /// Whether a line that begins so comes within a time.
    fn within(&self, time: Duration, begin: &str) -> bool {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if self.lines().iter().any(|l| l.starts_with(begin)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = std::fs::write(&self.stop_file, b"");
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Those that it started look for the file every now and then.
        std::thread::sleep(STOP_EVERY * 2);
    }
}

/// For the process that is the example program: ends it when the demo is over, or in any case after a few minutes.
pub fn end_with_demo(data: PathBuf) {
    std::thread::spawn(move || {
        let deadline = Instant::now() + 3 * PATIENCE;
        // The demo takes its folder with it.
        while Instant::now() < deadline && data.exists() && !data.with_extension(STOP_EXTENSION).exists() {
            std::thread::sleep(STOP_EVERY);
        }
        std::process::exit(1)
    });
}
