//! The source for the upgrade link or URL.

use super::interrupt::Interrupt;
use super::options::Settings;
use crate::error::{ErrorKind, UpdateError};
use crate::install::Installer;
use crate::source::Source;
use std::sync::Arc;

/// Whether `options.upgrade` and what belongs to it can be: nothing is opened. What is wrong here is the application's own mistake;
/// everything else that a source lacks is reported by events.
pub(super) fn check(options: &Settings) -> Result<(), UpdateError> {
    let upgrade = &options.source.upgrade;
    match upgrade.split("://").next().unwrap_or_default() {
        #[cfg(feature = "p2p")]
        "pear" => {
            mirrors(&options.source)?;
            crate::p2p::check(upgrade, &options.name)
        }
        #[cfg(feature = "http")]
        "https" | "http" => crate::http::HttpSource::check_options(&https_options(options)),
        #[cfg(not(feature = "p2p"))]
        "pear" => Err(no_pear()),
        #[cfg(not(feature = "http"))]
        "https" | "http" => Err(no_https()),
        _ => Err(neither()),
    }
}

/// What the application itself said.
#[cfg(feature = "http")]
fn https_options(options: &Settings) -> crate::http::HttpOptions {
    use crate::http::{Header, HttpOptions};

    let (source, https) = (&options.source, &options.source.https);
    let mut o = HttpOptions::new(&source.upgrade, String::new());
    (o.roots, o.proxies) = connections(source);
    o.mirrors.clone_from(&https.mirrors);
    o.public_keys = source.public_keys.iter().map(|key| key.0.clone()).collect();
    o.app.clone_from(&source.manifest_app);
    // Who names the application wants no signature that leaves it out.
    o.require_bound = source.manifest_app.is_some();
    let header = |(server, name, value): &(Option<String>, String, String)| Header {
        server: server.clone().unwrap_or_else(|| source.upgrade.clone()),
        name: name.clone(),
        value: value.clone(),
    };
    o.headers = https.headers.iter().map(header).collect();
    o.client_certificate = https.client.clone().map(|client| (source.upgrade.clone(), client));
    o.max_rate = https.max_rate;
    o
}

/// Whose certificates servers may have, and through which proxies they are reached.
#[cfg(feature = "http")]
fn connections(source: &crate::client::UpdateSource) -> (crate::http::Roots, crate::http::Proxies) {
    use crate::http::{Proxies, Roots};

    let (only, also) = (&source.certificates, &source.https.also_trusted);
    let roots = match (only.is_empty(), also.is_empty()) {
        (false, _) => Roots::Only([only.as_slice(), also].concat()),
        (true, false) => Roots::SystemAnd(also.clone()),
        (true, true) => Roots::System,
    };
    let proxies = match source.https.proxy.as_deref() {
        None => Proxies::from_environment(),
        Some("") => Proxies::none(),
        Some(proxy) => Proxies::through(proxy),
    };
    (roots, proxies)
}

/// The mirrors of a link's drive.
#[cfg(feature = "p2p")]
fn mirrors(
    source: &crate::client::UpdateSource,
) -> Result<Vec<Arc<dyn bosc_follow::mirror::Carrier>>, UpdateError> {
    let one = |address: &String| {
        #[cfg(feature = "http")]
        let mirror = {
            let (roots, proxies) = connections(source);
            crate::p2p::mirror(address, roots, proxies)
        };
        #[cfg(not(feature = "http"))]
        let mirror = crate::p2p::mirror(address);
        mirror
    };
    source.drive_mirrors.iter().map(one).collect()
}

fn neither() -> UpdateError {
    UpdateError::new(ErrorKind::Input, "the upgrade is neither a pear:// link nor an https:// URL")
        .hint("a link looks like pear://<52 characters>, a URL like https://example.com/latest.json")
}

/// Opens what `options.upgrade` names. Nothing is fetched yet.
pub(super) fn open(
    options: &Settings,
    installer: &Arc<Installer>,
    interrupt: &Interrupt,
) -> Result<Box<dyn Source>, UpdateError> {
    match options.source.upgrade.split("://").next().unwrap_or_default() {
        "pear" => pear(options, installer, interrupt),
        // `http` for tests on this machine; anything else is refused where the URL is read.
        "https" | "http" => https(options, installer, interrupt),
        _ => Err(neither()),
    }
}

#[cfg(not(feature = "p2p"))]
fn pear(_: &Settings, _: &Arc<Installer>, _: &Interrupt) -> Result<Box<dyn Source>, UpdateError> {
    Err(no_pear())
}

#[cfg(not(feature = "p2p"))]
fn no_pear() -> UpdateError {
    UpdateError::new(ErrorKind::Unsupported, "this program was built without peer-to-peer updates")
        .hint("build it with the feature `p2p` of bosc-updater")
}

#[cfg(feature = "p2p")]
fn pear(
    options: &Settings,
    installer: &Arc<Installer>,
    interrupt: &Interrupt,
) -> Result<Box<dyn Source>, UpdateError> {
    let mut o =
        crate::p2p::P2pOptions::new(&options.source.upgrade, options.folder()?.join("p2p"), &options.name);
    o.builds = vec![installer.installed_build(), installer.backup()];
    o.version = Some(options.version.clone());
    o.bootstrap.clone_from(&options.source.bootstrap);
    o.relay.clone_from(&options.source.relay);
    o.lan = options.source.lan;
    o.mirrors = mirrors(&options.source)?;
    #[cfg(feature = "http")]
    {
        let source = options.source.clone();
        o.named_mirror = Some(Arc::new(move |address| {
            let (roots, proxies) = connections(&source);
            crate::p2p::named_mirror(address, roots, proxies)
        }));
    }
    o.seed_back = options.source.seed_back;
    o.stop = interrupt.stop();
    o.device = Some(super::device::device(&options.folder()?)?);
    let there = Arc::clone(installer);
    o.standing = Some(Arc::new(move || standing(&there)));
    let (room, data) = (Arc::clone(installer), o.dir.clone());
    o.room = Some(Arc::new(move |folder: &std::path::Path, bytes| {
        // Both are asked of the application's file system when they share one; the data folder's own is
        // checked by the store as it writes.
        if folder == data { Ok(()) } else { room.room_for(bytes) }
    }));
    Ok(Box::new(crate::p2p::P2pSource::open(o)?))
}

/// Where the application stands, for the rules of its releases.
#[cfg(any(feature = "http", feature = "p2p"))]
fn standing(installer: &Installer) -> Result<crate::source::Standing, UpdateError> {
    use crate::install::Status;

    let (on_trial, kept) = match installer.status()? {
        Status::Trial { old, .. } => (true, Some(old.version)),
        Status::Settled { previous } => (false, previous.map(|build| build.version)),
    };
    Ok(crate::source::Standing { installed: installer.installed_version()?, on_trial, kept })
}

#[cfg(not(feature = "http"))]
fn https(_: &Settings, _: &Arc<Installer>, _: &Interrupt) -> Result<Box<dyn Source>, UpdateError> {
    Err(no_https())
}

#[cfg(not(feature = "http"))]
fn no_https() -> UpdateError {
    UpdateError::new(ErrorKind::Unsupported, "this program was built without updates over HTTPS")
        .hint("build it with the feature `http` of bosc-updater")
}

#[cfg(feature = "http")]
fn https(
    options: &Settings,
    installer: &Arc<Installer>,
    interrupt: &Interrupt,
) -> Result<Box<dyn Source>, UpdateError> {
    use crate::http::HttpSource;
    use crate::manifest::Schema;

    let mut o = https_options(options);
    o.kind = installer.kind();
    o.state = Some(options.folder()?.join("https.json"));
    o.device = Some(super::device::device(&options.folder()?)?);
    let there = Arc::clone(installer);
    o.standing = Some(Arc::new(move || standing(&there)));
    // What another user of this installation saw counts, too.
    if installer.floor()?.schema >= 2 {
        o.min_schema = Schema::V2;
    }
    // A server that goes back to an older release is not followed: only a higher version replaces a bad one.
    o.never_below_seen = true;
    o.current = Some(installer.installed_version()?);
    o.installed = Some(installer.target().to_owned());
    o.bases = vec![installer.installed_build(), installer.backup()];
    let inside = options.program.as_ref().and_then(|program| program.inside.as_ref());
    o.inside = inside.and_then(|path| Some(path.to_str()?.replace('\\', "/")));
    o.interrupt = Some(Arc::clone(&interrupt.flag));
    let room = Arc::clone(installer);
    o.room = Some(Arc::new(move |bytes| room.room_for(bytes)));
    let source = HttpSource::new(o)?;
    let cancel = source.cancel_handle();
    let _ = interrupt.cancel.set(Box::new(move || cancel.cancel()));
    Ok(Box::new(Https { source, installer: Arc::clone(installer) }))
}

/// An HTTPS source whose oldest format is remembered beside the application as well: another user of the same
/// installation, or this one with a new data folder, is not led back to the older format.
#[cfg(feature = "http")]
struct Https {
    source: crate::http::HttpSource,
    installer: Arc<Installer>,
}

#[cfg(feature = "http")]
impl crate::source::Sealed for Https {}

#[cfg(feature = "http")]
impl Source for Https {
    fn check(&mut self, installed: &semver::Version) -> Result<Option<crate::release::Release>, UpdateError> {
        let found = self.source.check(installed)?;
        let seen = u32::from(self.source.min_schema().number());
        if seen > self.installer.floor()?.schema {
            // Where this user may not write, the state file of this user still remembers.
            let _ = self.installer.raise_schema(seen);
        }
        Ok(found)
    }

    fn fetch(
        &mut self,
        release: &crate::release::Release,
        staging: &std::path::Path,
        on_progress: &mut crate::source::OnProgress<'_>,
    ) -> Result<crate::release::Staged, UpdateError> {
        self.source.fetch(release, staging, on_progress)
    }

    fn terms(&self) -> crate::source::Terms {
        self.source.terms()
    }

    fn guidance(&mut self) -> Option<crate::source::Guidance> {
        self.source.guidance()
    }

    fn put_away(&mut self) {
        self.source.put_away();
    }

    fn tidy(&mut self, staging: &std::path::Path) {
        self.source.tidy(staging);
    }
}
