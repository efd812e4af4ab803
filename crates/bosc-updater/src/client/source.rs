//! The source for the upgrade link or URL.

use super::{Interrupt, UpdaterOptions};
use crate::error::{ErrorKind, UpdateError};
use crate::install::Installer;
use crate::source::Source;
use std::sync::Arc;

/// Opens what `options.upgrade` names. Nothing is fetched yet.
pub(super) fn open(
    options: &UpdaterOptions,
    installer: &Arc<Installer>,
    interrupt: &Interrupt,
) -> Result<Box<dyn Source>, UpdateError> {
    match options.upgrade.split("://").next().unwrap_or_default() {
        "pear" => pear(options, installer, interrupt),
        // `http` for tests on this machine; anything else is refused where the URL is read.
        "https" | "http" => https(options, installer, interrupt),
        _ => Err(UpdateError::new(
            ErrorKind::Input,
            "the upgrade is neither a pear:// link nor an https:// URL",
        )
        .hint("a link looks like pear://<52 characters>, a URL like https://example.com/latest.json")),
    }
}

#[cfg(not(feature = "p2p"))]
fn pear(_: &UpdaterOptions, _: &Arc<Installer>, _: &Interrupt) -> Result<Box<dyn Source>, UpdateError> {
    Err(UpdateError::new(ErrorKind::Unsupported, "this program was built without peer-to-peer updates")
        .hint("build it with the feature `p2p` of bosc-updater"))
}

#[cfg(feature = "p2p")]
fn pear(
    options: &UpdaterOptions,
    installer: &Arc<Installer>,
    interrupt: &Interrupt,
) -> Result<Box<dyn Source>, UpdateError> {
    let mut o = crate::p2p::P2pOptions::new(&options.upgrade, options.folder().join("p2p"), &options.name);
    o.builds = vec![installer.target().to_owned(), installer.backup()];
    o.version = Some(options.version.clone());
    o.bootstrap.clone_from(&options.bootstrap);
    o.seed_back = options.seed_back;
    o.interrupt = Arc::clone(&interrupt.flag);
    let (room, data) = (Arc::clone(installer), o.dir.clone());
    o.room = Some(Arc::new(move |folder: &std::path::Path, bytes| {
        // Both are asked of the application's file system when they share one; the data folder's own is
        // checked by the store as it writes.
        if folder == data { Ok(()) } else { room.room_for(bytes) }
    }));
    Ok(Box::new(crate::p2p::P2pSource::open(o)?))
}

#[cfg(not(feature = "http"))]
fn https(_: &UpdaterOptions, _: &Arc<Installer>, _: &Interrupt) -> Result<Box<dyn Source>, UpdateError> {
    Err(UpdateError::new(ErrorKind::Unsupported, "this program was built without updates over HTTPS")
        .hint("build it with the feature `http` of bosc-updater"))
}

#[cfg(feature = "http")]
fn https(
    options: &UpdaterOptions,
    installer: &Arc<Installer>,
    interrupt: &Interrupt,
) -> Result<Box<dyn Source>, UpdateError> {
    use crate::http::{HttpOptions, HttpSource, Roots};
    use crate::perry::manifest::Schema;

    let mut o = HttpOptions::new(&options.upgrade, String::new());
    o.public_keys.clone_from(&options.public_keys);
    o.app.clone_from(&options.manifest_app);
    // Who names the application wants no signature that leaves it out.
    o.require_bound = options.manifest_app.is_some();
    o.kind = installer.kind();
    o.state = Some(options.folder().join("https.json"));
    // What another user of this installation saw counts, too.
    if installer.floor()?.schema >= 2 {
        o.min_schema = Schema::V2;
    }
    // A server that goes back to an older release is not followed: only a higher version mends a bad one.
    o.never_below_seen = true;
    if !options.certificates.is_empty() {
        o.roots = Roots::Only(options.certificates.clone());
    }
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
}
