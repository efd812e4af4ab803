//! The source: check and fetch.

use super::agent::{Canceller, Fault, Http, cancelled, read_bounded};
use super::download::{Download, Files, disk};
use super::options::HttpOptions;
use super::sniff;
use super::state::Seen;
use crate::archive::{self, Format, Limits};
use crate::error::{ErrorKind, UpdateError};
use crate::install::Kind;
use crate::perry::manifest::{Asset, MAX_MANIFEST_LEN, Manifest, Proof, Schema};
use crate::perry::sentinel::{make_private_dir, private_options};
use crate::perry::url::{SecureUrl, UrlKind};
use crate::perry::verify::PublicKey;
use crate::release::{Contents, Entry, EntryKind, Release, ReleaseId, Staged};
use crate::source::{OnProgress, Source};
use semver::Version;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::Ordering;

/// Releases from an HTTPS manifest. See [`crate::http`].
#[derive(Debug)]
pub struct HttpSource {
    options: HttpOptions,
    keys: Vec<PublicKey>,
    url: SecureUrl,
    canceller: Canceller,
    seen: Seen,
    cached: Option<Cached>,
    offered: Option<Offer>,
}

/// A manifest and the ETag it came with.
#[derive(Debug)]
struct Cached {
    etag: String,
    bytes: Vec<u8>,
}

/// An entry whose signature is good.
#[derive(Debug, Clone)]
struct Offer {
    manifest: Manifest,
    asset: Asset,
    proof: Proof,
}

/// Ends the check or fetch that is under way, from any thread.
#[derive(Debug, Clone)]
pub struct CancelHandle(Canceller);

impl CancelHandle {
    /// Closes its connections: the call returns `Cancelled` at once, or as soon as a connection that is being made is there.
    /// What was received is kept. Later calls are not concerned.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl HttpSource {
    /// A source for these options. Nothing is fetched yet.
    ///
    /// # Errors
    /// `Input` for a key that is none, or no key at all; `Refused` for a URL that may not be fetched; `Disk` when the state
    /// file cannot be read.
    pub fn new(options: HttpOptions) -> Result<Self, UpdateError> {
        let keys: Vec<PublicKey> =
            options.public_keys.iter().map(|k| PublicKey::parse(k)).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(UpdateError::new(ErrorKind::Input, "no public key was given")
                .hint("give the `public_key` of the file that `bosc updater keygen` wrote"));
        }
        let url = SecureUrl::parse(UrlKind::Manifest, &options.manifest_url)?;
        let seen = Seen::load(options.state.as_deref(), &options.public_keys)?;
        let canceller = Canceller::default();
        Ok(Self { options, keys, url, canceller, seen, cached: None, offered: None })
    }

    /// What ends a running call.
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle(self.canceller.clone())
    }

    /// The oldest signature format that is still taken.
    pub fn min_schema(&self) -> Schema {
        self.seen.min_schema.max(self.options.min_schema)
    }

    /// Takes no signature format older than this from now on. It is never lowered.
    pub fn raise_min_schema(&mut self, schema: Schema) {
        self.options.min_schema = self.options.min_schema.max(schema);
    }

    /// Gets the manifest: its bytes, from the server or, if it did not change, from the last time.
    fn manifest(&mut self) -> Result<Vec<u8>, UpdateError> {
        let mut http = Http::new(&self.options, &self.canceller, self.options.manifest_timeout);
        // Only now: whoever sets it after this finds connections to close.
        if self.options.interrupt.as_ref().is_some_and(|i| i.load(Ordering::SeqCst)) {
            return Err(cancelled());
        }
        let mut failed = 0;
        loop {
            match get_manifest(&mut http, &self.url, self.cached.as_ref()) {
                Ok(Some((bytes, etag))) => {
                    self.cached = etag.map(|etag| Cached { etag, bytes: bytes.clone() });
                    return Ok(bytes);
                }
                Ok(None) => return Ok(self.cached.as_ref().map(|c| c.bytes.clone()).unwrap_or_default()),
                Err(Fault::Final(e)) => return Err(e),
                Err(Fault::Again(e, after)) => {
                    failed += 1;
                    if failed >= self.options.tries {
                        return Err(e);
                    }
                    http.wait(failed, after, &mut || true)?;
                }
            }
        }
    }

    /// What a manifest offers this platform, after every check that needs no artifact. Nothing when it is not newer than
    /// `installed`.
    fn offer(&mut self, bytes: &[u8], installed: Option<&Version>) -> Result<Option<Offer>, UpdateError> {
        let manifest = Manifest::parse(bytes, &self.options.platform)?;
        let min = self.min_schema();
        if installed.is_some_and(|i| manifest.version <= *i) {
            // Its signatures may be those of an old key: that is no error. Good ones still tell what the publisher uses.
            if let Some(asset) = &manifest.asset
                && let Ok(proof) = asset.verify(&manifest, &self.keys, self.options.app.as_deref())
            {
                self.seen.note(proof, &manifest.version, self.options.state.as_deref())?;
            }
            return Ok(None);
        }
        if manifest.schema < min || (manifest.wants_v2 && manifest.schema < Schema::V2) {
            return Err(refused(format!(
                "updater: manifest schemaVersion {} is not taken any more, {} was seen before",
                manifest.schema.number(),
                min.max(Schema::V2).number()
            ))
            .hint("its signatures do not say the version: an old build could be passed off as new"));
        }
        let Some(asset) = manifest.asset.clone() else { return Ok(None) };
        if asset.url.is_loopback() && !self.url.is_loopback() {
            return Err(refused("updater: the manifest points to this machine".into())
                .hint("an artifact is fetched from a server; addresses of this machine are for tests"));
        }
        let proof = asset.verify(&manifest, &self.keys, self.options.app.as_deref())?;
        if !proof.bound && (self.options.require_bound || self.seen.bound) {
            return Err(refused(
                "updater: the release is not signed for this application and platform".into(),
            )
            .hint("the publisher must make the manifest with `bosc updater manifest --app NAME`"));
        }
        if asset.size.is_some_and(|s| s > self.options.max_artifact) {
            return Err(refused(format!(
                "updater: the artifact is larger than the {} bytes this application takes",
                self.options.max_artifact
            ))
            .hint("install the newest version by hand"));
        }
        if self.options.never_below_seen && self.seen.newest.as_ref().is_some_and(|n| *n > manifest.version) {
            return Err(refused(format!(
                "updater: {} is older than a release seen before",
                manifest.version
            ))
            .hint("the server, or something before it, offers an old manifest; try again later"));
        }
        self.seen.note(proof, &manifest.version, self.options.state.as_deref())?;
        Ok(Some(Offer { manifest, asset, proof }))
    }

    fn offer_for(&mut self, release: &Release) -> Result<Offer, UpdateError> {
        if let Some(offer) = self.offered.clone().filter(|o| o.is(release)) {
            return Ok(offer);
        }
        let bytes = self.manifest()?;
        let offer = self.offer(&bytes, None)?.filter(|o| o.is(release));
        self.offered.clone_from(&offer);
        offer.ok_or_else(|| {
            refused(format!("updater: the server does not offer {} any more", release.version))
                .hint("check again for what it offers now")
        })
    }

    /// Turns the proved artifact into what the installer takes.
    fn stage(&self, offer: &Offer, files: &Files) -> Result<(std::path::PathBuf, Contents), UpdateError> {
        let build = files.build();
        let name = offer.asset.url.file_name();
        if let Some(format) = Format::of_name(name) {
            let into = files.unpacked();
            remove_dir(&into)?;
            let unpacked = archive::unpack(&build, format, self.options.kind, &into, &Limits::default())?;
            return Ok((unpacked.path, unpacked.contents));
        }
        if self.options.kind != Kind::File {
            return Err(integrity(format!("updater: {name} is no archive, and the application is a folder"))
                .hint("the publisher must pack the folder: .tar.gz, .tar.zst or .zip"));
        }
        if let Some(found) = sniff::mismatch(&build, &offer.asset.platform) {
            return Err(integrity(format!(
                "updater: the artifact for {} is a program for {found}",
                offer.asset.platform
            ))
            .hint("nothing was installed; the manifest names another platform's artifact"));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&build, mode).map_err(|e| disk(&build, e))?;
        }
        let size = std::fs::metadata(&build).map_err(|e| disk(&build, e))?.len();
        let kind = EntryKind::File { size, sha256: offer.asset.sha256, executable: true };
        Ok((build, Contents { entries: vec![Entry { path: String::new(), kind }] }))
    }
}

impl Offer {
    fn is(&self, release: &Release) -> bool {
        self.asset.sha256 == release.id.0 && self.manifest.version == release.version
    }

    fn release(&self) -> Release {
        Release {
            version: self.manifest.version.clone(),
            id: ReleaseId(self.asset.sha256),
            origin: self.asset.url.to_string(),
            notes: self.manifest.notes.clone(),
            size: self.asset.size,
        }
    }
}

impl Source for HttpSource {
    fn check(&mut self, installed: &Version) -> Result<Option<Release>, UpdateError> {
        let bytes = self.manifest()?;
        self.offered = self.offer(&bytes, Some(installed))?;
        Ok(self.offered.as_ref().map(Offer::release))
    }

    fn fetch(
        &mut self,
        release: &Release,
        staging: &Path,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Staged, UpdateError> {
        let offer = self.offer_for(release)?;
        make_private_dir(staging).map_err(|e| disk(staging, e))?;
        let files = Files::new(staging, &offer.asset);
        let _lock = lock(&files)?;
        let mut freed = false;
        loop {
            let http = Http::new(&self.options, &self.canceller, self.options.total_timeout);
            match Download::new(http, &self.options, &offer.asset, &files, &mut *on_progress).run() {
                // What is staged of another release stays until this one is whole, if there is room for both.
                Err(e) if e.kind() == ErrorKind::NoSpace && !freed => {
                    freed = true;
                    files.remove_others();
                }
                done => break done.map(drop)?,
            }
        }
        // The digest is what was promised; that it was promised by one of the keys is asked again, of the same values.
        let again = offer.asset.verify(&offer.manifest, &self.keys, self.options.app.as_deref())?;
        if again != offer.proof {
            return Err(
                integrity("updater: the signature changed while it was used".into()).hint("check again")
            );
        }
        let (path, contents) = self.stage(&offer, &files)?;
        files.remove_others();
        Ok(Staged { release: offer.release(), path, contents })
    }
}

/// One try: bytes and ETag, or `None` when the cached manifest still is the server's.
#[allow(clippy::type_complexity)]
fn get_manifest(
    http: &mut Http<'_>,
    url: &SecureUrl,
    cached: Option<&Cached>,
) -> Result<Option<(Vec<u8>, Option<String>)>, Fault> {
    let mut headers = vec![("accept", "application/json, */*")];
    if let Some(cached) = cached {
        headers.push(("if-none-match", cached.etag.as_str()));
    }
    let reply = http.get(UrlKind::Manifest, url, &headers)?;
    match reply.status {
        200 => {}
        304 if cached.is_some() => return Ok(None),
        _ => return Err(Http::status_fault(UrlKind::Manifest, &reply)),
    }
    let too_large = || {
        Fault::Final(
            integrity(format!("updater: manifest is larger than {MAX_MANIFEST_LEN} bytes"))
                .hint("the server sends something else than a manifest; try again later"),
        )
    };
    if reply.length().is_some_and(|n| n > MAX_MANIFEST_LEN as u64) {
        return Err(too_large());
    }
    let etag = reply.header("etag").map(str::to_owned);
    match read_bounded(reply.body, MAX_MANIFEST_LEN) {
        Ok(Some(bytes)) => Ok(Some((bytes, etag))),
        Ok(None) => Err(too_large()),
        Err(e) => Err(http.fault(url, ureq::Error::from(e))),
    }
}

/// One fetch of an artifact at a time; the lock ends with the process.
fn lock(files: &Files) -> Result<File, UpdateError> {
    let path = files.lock();
    let file =
        private_options().write(true).create(true).truncate(false).open(&path).map_err(|e| disk(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(UpdateError::new(
            ErrorKind::Busy,
            "updater: this release is being fetched by another process",
        )
        .hint("wait for it to end")),
        Err(TryLockError::Error(e)) => Err(disk(&path, e)),
    }
}

fn remove_dir(path: &Path) -> Result<(), UpdateError> {
    match std::fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(disk(path, e)),
    }
}

fn refused(message: String) -> UpdateError {
    UpdateError::new(ErrorKind::Refused, message)
}

fn integrity(message: String) -> UpdateError {
    UpdateError::new(ErrorKind::Integrity, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};
    use sha2::{Digest, Sha256};

    #[test]
    fn a_server_elsewhere_cannot_make_us_ask_this_machine() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let base64 = |b: &[u8]| data_encoding::BASE64.encode(b);
        let mut payload = Sha256::digest(b"x").to_vec();
        payload.extend_from_slice(b"1.0.1");
        let options = |url: &str| HttpOptions::new(url, base64(key.verifying_key().as_bytes()));
        for (from, to, good) in [
            ("https://example.com/m", "http://localhost:1/shutdown", false),
            ("https://example.com/m", "https://127.0.0.1/x", false),
            ("https://example.com/m", "https://cdn.example.com/x", true),
            ("http://localhost:1/m", "http://localhost:1/x", true),
        ] {
            let options = options(from);
            let manifest = serde_json::json!({ "schemaVersion": 2, "version": "1.0.1", "platforms": {
                options.platform.clone(): { "url": to, "sha256": data_encoding::HEXLOWER.encode(&Sha256::digest(b"x")),
                    "signature": base64(&key.sign(&payload).to_bytes()), "size": 1 } } });
            let mut source = HttpSource::new(options).unwrap();
            let offer = source.offer(manifest.to_string().as_bytes(), None);
            assert_eq!(offer.is_ok(), good, "{from} {to}");
        }
    }
}
