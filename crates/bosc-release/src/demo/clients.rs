//! Installations of the demo that reach a web server and nothing else: their packets go to a port where nobody answers, as behind a firewall
//! that lets no UDP through. Each is an updater of the library, as an application or `bosc watch` runs one.

use super::show::{Demo, PATIENCE, io, wrong};
use crate::error::CommandError;
use bosc_files::make_private_folders;
use bosc_follow::Wait;
use bosc_format::crypto::hash;
use bosc_node::Signal;
use bosc_policy::{Installation, Share};
use bosc_updater::install::{HealthPolicy, Reason};
use bosc_updater::source::HeldBy;
use bosc_updater::{Event, Started, Update, UpdateError, UpdateSource, Updater};
use semver::Version;
use std::collections::VecDeque;
use std::io::Read;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a new version may take to say that it works.
const HEALTH: Duration = Duration::from_secs(60);

/// A port of this machine that takes packets and answers none.
pub(super) struct Firewall(UdpSocket);

impl Firewall {
    pub(super) fn new() -> Result<Self, CommandError> {
        let failed = |e| CommandError::failed("no UDP port can be had on 127.0.0.1").because(e);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        Ok(Self(socket))
    }

    fn address(&self) -> Result<String, CommandError> {
        let address = self.0.local_addr();
        let address = address.map_err(|e| CommandError::failed("a port has no address").because(e))?;
        Ok(address.to_string())
    }

    /// How many packets it swallowed, as far as the system kept them.
    pub(super) fn swallowed(&self) -> u64 {
        let mut part = [0; 2048];
        std::iter::from_fn(|| self.0.recv_from(&mut part).ok()).count() as u64
    }
}

/// What all of them have in common.
pub(super) struct Shop<'a> {
    pub(super) link: &'a str,
    /// What is released, and the file's name in the release.
    pub(super) version: &'a Version,
    pub(super) name: &'a str,
    /// What is installed at first.
    pub(super) first: (&'a Version, &'a [u8]),
    pub(super) share: Share,
    pub(super) firewall: &'a Firewall,
}

/// An installation.
pub(super) struct Client {
    pub(super) name: &'static str,
    app: PathBuf,
    data: PathBuf,
    source: UpdateSource,
    file: String,
    running: Option<Running>,
}

struct Running {
    updater: Updater,
    seen: Seen,
}

/// Events that nobody looked at yet, and what is raised with each.
#[derive(Clone, Default)]
struct Seen {
    signal: Signal,
    events: Arc<Mutex<VecDeque<Event>>>,
}

impl Client {
    /// Installs the first version. `early`: whether it is one of those that the first share reaches; each decides that by itself, from a number
    /// that it draws and tells nobody. Here numbers are drawn until one fits.
    pub(super) fn install(
        temp: &Path,
        name: &'static str,
        (shop, mirror, early): (&Shop<'_>, &str, bool),
    ) -> Result<Self, CommandError> {
        let data = temp.join(format!("data-of-{name}"));
        let (app, own) = (temp.join(format!("apps-of-{name}")).join(shop.name), data.join("bosc-updater"));
        for folder in app.parent().into_iter().chain([own.as_path()]) {
            make_private_folders(folder).map_err(io(folder))?;
        }
        std::fs::write(&app, shop.first.1).map_err(io(&app))?;
        let device = own.join("device");
        std::fs::write(&device, number(shop, early)?).map_err(io(&device))?;
        let source = UpdateSource::pear(shop.link)
            .bootstrap([shop.firewall.address()?])
            .mirror(mirror)
            .proxy(String::new());
        let mut client = Self { name, app, data, source, file: shop.name.to_owned(), running: None };
        client.start(shop.first.0)?;
        Ok(client)
    }

    /// The program starts: it is of this version, and it works.
    pub(super) fn start(&mut self, version: &Version) -> Result<(), CommandError> {
        // One at a time.
        self.running = None;
        let builder = Updater::builder(&self.file, version.clone(), self.source.clone())
            .app(&self.app)
            .data_folder(&self.data)
            .check_automatically(false)
            .delay(Duration::ZERO)
            .health(HealthPolicy::within(HEALTH));
        let Started::Running(updater) = builder.start() else {
            return Err(wrong(format!("{}'s {version} was rolled back when it started", self.name)));
        };
        updater.mark_healthy().wait().map_err(|e| self.failed(&e))?;
        let (seen, events) = (Seen::default(), updater.events());
        let to = seen.clone();
        // It ends with the updater.
        std::thread::spawn(move || {
            while let Some(event) = events.recv() {
                to.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
                to.signal.raise();
            }
        });
        self.running = Some(Running { updater, seen });
        Ok(())
    }

    /// Has it look; what comes of it is an event.
    pub(super) fn look(&self) {
        if let Some(running) = &self.running {
            running.updater.check_now();
        }
    }

    /// What lies in the application's place.
    pub(super) fn installed(&self) -> Result<Vec<u8>, CommandError> {
        let mut bytes = Vec::new();
        bosc_files::open_plain(&self.app)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(io(&self.app))?;
        Ok(bytes)
    }

    fn failed(&self, e: &UpdateError) -> CommandError {
        let causes = e.causes().join(": ");
        wrong(format!("{}'s updater: {e}: {causes}", self.name))
    }

    /// Waits for an event. Anything that must not come before it is an error.
    fn until<T>(
        &self,
        demo: &Demo<'_>,
        what: &str,
        mut pick: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, CommandError> {
        let late = || wrong(format!("{} did not say {what:?}", self.name));
        let Some(running) = &self.running else { return Err(late()) };
        let picked = Wait::new(demo.stop).timeout(PATIENCE).run(&running.seen.signal, |_| {
            let mut events = running.seen.events.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(event) = events.pop_front() {
                if let Some(picked) = pick(&event) {
                    return Ok(Some(picked));
                }
                match event {
                    Event::Error(e) => return Err(self.failed(&e)),
                    Event::Updating { version, .. } if what != UPDATED => {
                        return Err(wrong(format!("{} fetches {version} instead of {what:?}", self.name)));
                    }
                    Event::Held(held) if !belongs(what, &held.by) => {
                        return Err(wrong(format!(
                            "{} is not given {}: {:?}",
                            self.name, held.version, held.by
                        )));
                    }
                    _ => {}
                }
            }
            Ok(None)
        })?;
        picked.ok_or_else(late)
    }

    /// Waits until it has the version, puts it in the application's place, and starts it.
    pub(super) fn updates(
        &mut self,
        demo: &Demo<'_>,
        version: &Version,
        bytes: &[u8],
    ) -> Result<(), CommandError> {
        let update: Update = self.until(demo, UPDATED, |event| match event {
            Event::Updated(update) if update.version() == version => Some(update.clone()),
            _ => None,
        })?;
        update.apply().wait().map_err(|e| self.failed(&e))?;
        if self.installed()? != bytes {
            return Err(wrong(format!("what {} installed is not what was signed", self.name)));
        }
        self.start(version)
    }

    /// Waits until it says that the version goes to this share, which it is not part of.
    pub(super) fn is_held(
        &self,
        demo: &Demo<'_>,
        version: &Version,
        share: Share,
    ) -> Result<(), CommandError> {
        self.until(demo, HELD, |event| match event {
            Event::Held(held) if held.version == *version => match held.by {
                HeldBy::Share { hundredths, .. } if hundredths == share.hundredths() => Some(()),
                _ => None,
            },
            _ => None,
        })
    }

    /// Waits until it went back, and starts what lies in its place.
    pub(super) fn goes_back(
        &mut self,
        demo: &Demo<'_>,
        from: &Version,
        (to, bytes): (&Version, &[u8]),
    ) -> Result<(), CommandError> {
        self.until(demo, RECALLED, |event| match event {
            Event::RolledBack { version, restored, reason: Reason::Recalled, .. } => {
                (version == from && restored == to).then_some(())
            }
            _ => None,
        })?;
        if self.installed()? != bytes {
            return Err(wrong(format!("{} went back to something else than it had", self.name)));
        }
        self.start(to)
    }

    /// Waits until it says that nobody said lately what is the newest. The limit.
    pub(super) fn is_stale(&self, demo: &Demo<'_>) -> Result<Duration, CommandError> {
        self.until(demo, STALE, |event| match event {
            Event::Stale(stale) => Some(stale.limit),
            _ => None,
        })
    }
}

const UPDATED: &str = "updated";
const HELD: &str = "held";
const RECALLED: &str = "recalled";
const STALE: &str = "stale";

/// Whether a release is held back as it has to be, when this is waited for: whoever is stale says so of the release as well.
fn belongs(what: &str, by: &HeldBy) -> bool {
    match by {
        HeldBy::Share { .. } => what == HELD,
        HeldBy::Halt { .. } => what == RECALLED,
        HeldBy::Stale => what == STALE,
        _ => false,
    }
}

/// The number of an installation that the share reaches, or does not.
fn number(shop: &Shop<'_>, early: bool) -> Result<[u8; 16], CommandError> {
    let mut device = [0; 16];
    loop {
        getrandom::fill(&mut device)
            .map_err(|e| CommandError::failed("no randomness").because(std::io::Error::other(e)))?;
        // As the updater does it.
        let installation = Installation::new(hash(&[b"bosc installation", &device]));
        if shop.share.reaches(&installation, shop.version) == early {
            return Ok(device);
        }
    }
}
