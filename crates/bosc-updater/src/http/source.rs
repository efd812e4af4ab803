//! The source: check and fetch.

use super::agent::{Canceller, Fault, Http, cancelled, read_body};
use super::download::Download;
use super::endpoints::none_of;
use super::identity::Identity;
use super::options::HttpOptions;
use super::rules::{self, Asked};
use super::sniff;
use super::staging::{Files, disk, remove_all};
use super::state::Seen;
use super::template::expand;
use crate::archive::{self, Format, Limits};
use crate::error::{ErrorKind, UpdateError};
use crate::install::{Kind, fs};
use crate::manifest::url::{SecureUrl, UrlKind};
use crate::manifest::verify::PublicKey;
use crate::manifest::{Asset, MAX_MANIFEST_LEN, Manifest, Proof, Schema};
use crate::release::{Contents, Entry, EntryKind, Release, ReleaseId, Staged, newer};
use crate::rules::Rules;
use crate::source::{Guidance, OnProgress, Sealed, Source, Terms};
use semver::Version;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Releases from an HTTPS manifest. See [`crate::http`].
#[derive(Debug)]
pub struct HttpSource {
    options: HttpOptions,
    keys: Vec<PublicKey>,
    identity: Identity,
    canceller: Canceller,
    seen: Seen,
    cached: Option<Cached>,
    offered: Option<Offer>,
    rules: Rules,
    /// What was unpacked, and can be again from the archive beside it.
    unpacked: Option<PathBuf>,
}

/// A manifest, where it is from, and the ETag it came with.
#[derive(Debug)]
struct Cached {
    url: SecureUrl,
    etag: String,
    bytes: Vec<u8>,
}

/// An answer to the question for the manifest.
enum Answer {
    /// It is still the cached one.
    Same,
    /// Its bytes and its ETag.
    New(Vec<u8>, Option<String>),
    /// The server says that there is no newer release.
    Nothing,
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
    /// `Input` for an invalid key, no key at all, and for invalid headers and unknown variables in the URL; `Refused` for a URL that
    /// may not be fetched; `Disk` when the state file cannot be read.
    pub fn new(options: HttpOptions) -> Result<Self, UpdateError> {
        let (keys, identity, url) = Self::checked(&options)?;
        let seen = Seen::load(options.state.as_deref(), &options.public_keys, &url.whole())?;
        let canceller = Canceller::default();
        let rules = Rules::new(options.state.as_deref().map(rules::beside));
        let (cached, offered, unpacked) = (None, None, None);
        Ok(Self { options, keys, identity, canceller, seen, cached, offered, rules, unpacked })
    }

    /// Whether a source could be made for these: nothing is read or fetched.
    pub(crate) fn check_options(options: &HttpOptions) -> Result<(), UpdateError> {
        Self::checked(options).map(drop)
    }

    fn checked(options: &HttpOptions) -> Result<(Vec<PublicKey>, Identity, SecureUrl), UpdateError> {
        let keys: Vec<PublicKey> =
            options.public_keys.iter().map(|k| PublicKey::parse(k)).collect::<Result<_, _>>()?;
        let url = Self::checked_addresses(options);
        // After the addresses: one that may not be fetched is wrong whatever the key is.
        if keys.is_empty() {
            let e = match &url {
                Err(e) => UpdateError::new(ErrorKind::Input, e.to_string())
                    .hint(e.next_step().unwrap_or("give an address that starts with https://")),
                Ok(_) => UpdateError::new(ErrorKind::Input, "no public key was given")
                    .hint("give the `public_key` of the file that `bosc updater keygen` wrote"),
            };
            return Err(e);
        }
        let url = url?;
        let identity = Identity::new(&options.headers, options.client_certificate.as_ref())?;
        Ok((keys, identity, url))
    }

    /// The address of the manifest; all that are asked may be.
    fn checked_addresses(options: &HttpOptions) -> Result<SecureUrl, UpdateError> {
        // What was seen belongs to the address as it was written, whatever version asks.
        let url = SecureUrl::parse(UrlKind::Manifest, &options.manifest_url)?;
        for address in options.addresses() {
            SecureUrl::parse(
                UrlKind::Manifest,
                &expand(address, &options.platform, &Version::new(1, 0, 0))?,
            )?;
        }
        Ok(url)
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

    /// Asks one address for the manifest: its bytes, from the server or, if it did not change, from the last time. `None` when the
    /// server says that there is nothing newer.
    fn manifest(&mut self, url: &SecureUrl, tries: u32) -> Result<Option<Vec<u8>>, UpdateError> {
        let total = self.options.manifest_timeout;
        let mut http = Http::new(&self.options, &self.identity, &self.canceller, total);
        // Only now: whoever sets it after this finds connections to close.
        if self.options.interrupt.as_ref().is_some_and(|i| i.load(Ordering::SeqCst)) {
            return Err(cancelled());
        }
        let cached = self.cached.as_ref().filter(|cached| cached.url == *url);
        let mut failed = 0;
        loop {
            match get_manifest(&mut http, url, cached) {
                Ok(Answer::New(bytes, etag)) => {
                    self.cached = etag.map(|etag| Cached { url: url.clone(), etag, bytes: bytes.clone() });
                    return Ok(Some(bytes));
                }
                Ok(Answer::Same) => return Ok(cached.map(|cached| cached.bytes.clone())),
                Ok(Answer::Nothing) => return Ok(None),
                Err(Fault::Final(e)) => return Err(e),
                Err(Fault::Again(e, after)) => {
                    failed += 1;
                    if failed >= tries {
                        return Err(e);
                    }
                    http.wait(failed, after, &mut || true)?;
                }
            }
        }
    }

    /// Asks one address after another, until one gives a manifest that can be used.
    fn ask(&mut self, installed: Option<&Version>) -> Result<Option<Offer>, UpdateError> {
        let current = self.options.current.clone().or_else(|| installed.cloned());
        let current = current.unwrap_or(Version::new(0, 0, 0));
        let addresses: Vec<String> = self.options.addresses().cloned().collect();
        let mut failed = Vec::new();
        for (number, address) in addresses.iter().enumerate() {
            // Another address is asked sooner than the same one again.
            let is_last = number + 1 == addresses.len();
            let tries = if is_last { self.options.tries } else { 1 };
            let asked = expand(address, &self.options.platform, &current)
                .and_then(|address| SecureUrl::parse(UrlKind::Manifest, &address))
                .and_then(|url| match self.manifest(&url, tries)? {
                    Some(bytes) => self.offer(&url, &bytes, installed),
                    None => Ok(None),
                });
            match asked {
                Err(e) if e.kind() != ErrorKind::Cancelled => failed.push((address.as_str(), e)),
                done => return done,
            }
        }
        Err(none_of(failed))
    }

    /// What a manifest offers this platform, after every check that needs no artifact. Nothing when it is not newer than
    /// `installed`.
    fn offer(
        &mut self,
        from: &SecureUrl,
        bytes: &[u8],
        installed: Option<&Version>,
    ) -> Result<Option<Offer>, UpdateError> {
        let mut manifest = Manifest::parse(bytes, &self.options.platform)?;
        let min = self.min_schema();
        if installed.is_some_and(|i| !newer(&manifest.version, i)) {
            // Its signatures may be those of an old key: that is no error. Good ones still tell what the publisher uses.
            if let Some(asset) = &manifest.asset
                && let Ok(proof) = asset.verify(&manifest, &self.keys, self.options.app.as_deref())
            {
                self.seen.note(proof, &manifest.version, self.options.state.as_deref())?;
                // What is installed may be taken back.
                self.rule(from, &manifest, installed)?;
            } else if manifest.rules.is_none() {
                rules::still_there(&self.seen, &mut self.rules)?;
            }
            return Ok(None);
        }
        if manifest.schema < min || (manifest.wants_v2 && manifest.schema < Schema::V2) {
            return Err(refused(format!(
                "updater: manifest schemaVersion {} is no longer accepted: {} was seen before",
                manifest.schema.number(),
                min.max(Schema::V2).number()
            ))
            .hint("its signatures do not cover the version: an old build could be passed off as new"));
        }
        let Some(mut asset) = manifest.asset.clone() else { return Ok(None) };
        if asset.url.is_this_machine() && !from.is_this_machine() {
            return Err(refused("updater: the manifest points to this machine".into())
                .hint("an artifact is fetched from a server; addresses of this machine are for tests"));
        }
        asset.deltas.retain(|delta| !delta.url.is_this_machine() || from.is_this_machine());
        let proof = asset.verify(&manifest, &self.keys, self.options.app.as_deref())?;
        if !proof.bound && (self.options.require_bound || self.seen.bound) {
            return Err(refused(
                "updater: the release is not signed for this application and platform".into(),
            )
            .hint("the publisher must make the manifest with `bosc updater manifest --app NAME`"));
        }
        if asset.size.is_some_and(|s| s > self.options.max_artifact) {
            return Err(refused(format!(
                "updater: the artifact is larger than the {} bytes this application accepts",
                self.options.max_artifact
            ))
            .hint("install the newest version by hand"));
        }
        if self.options.never_below_seen
            && self.seen.newest.as_ref().is_some_and(|n| newer(n, &manifest.version))
        {
            return Err(refused(format!(
                "updater: {} is older than a release seen at the same address before",
                manifest.version
            ))
            .hint("the server, or a cache in front of it, offers an old manifest; try again later"));
        }
        self.seen.note(proof, &manifest.version, self.options.state.as_deref())?;
        let ruled = self.rule(from, &manifest, installed)?;
        if ruled.notes.is_some() {
            manifest.notes = ruled.notes;
        }
        Ok(ruled.may.then_some(Offer { manifest, asset, proof }))
    }

    /// What the rules of a proved manifest let this client do.
    fn rule(
        &mut self,
        from: &SecureUrl,
        manifest: &Manifest,
        installed: Option<&Version>,
    ) -> Result<rules::Ruled, UpdateError> {
        let Self { options, identity, canceller, seen, rules, .. } = self;
        rules::rule(Asked { options, identity, canceller, from }, (seen, rules), manifest, installed)
    }

    fn offer_for(&mut self, release: &Release) -> Result<Offer, UpdateError> {
        if let Some(offer) = self.offered.clone().filter(|o| o.is(release)) {
            return Ok(offer);
        }
        let offer = self.ask(None)?.filter(|o| o.is(release));
        self.offered.clone_from(&offer);
        offer.ok_or_else(|| {
            refused(format!("updater: the server no longer offers {}", release.version))
                .hint("check again to see what it offers now")
        })
    }

    /// Turns the proved artifact into what the installer takes. What it is, its first bytes say: a server may call it as it likes.
    fn stage(&mut self, offer: &Offer, files: &Files) -> Result<(PathBuf, Contents), UpdateError> {
        let build = files.build();
        let name = offer.asset.url.file_name();
        let is_package = name.to_ascii_lowercase().ends_with(".msix");
        if (self.options.kind == Kind::Package) != is_package {
            let message = if is_package {
                format!("updater: {name} is an MSIX package, and the application did not come in one")
            } else {
                format!("updater: {name} is not an MSIX package, and the application came in one")
            };
            return Err(UpdateError::new(ErrorKind::Unsupported, message).hint(
                "the publisher has to release for each kind of installation under an address of its own",
            ));
        }
        if let Some(format) = self.format(&build, name)? {
            let into = files.unpacked();
            remove_dir(&into)?;
            let what = archive::Wanted { kind: self.options.kind, inside: self.options.inside.as_deref() };
            let unpacked = archive::unpack_wanted(&build, format, what, &into, &Limits::default())?;
            self.unpacked = Some(into);
            return Ok((unpacked.path, unpacked.contents));
        }
        if !matches!(self.options.kind, Kind::File | Kind::Package) {
            return Err(integrity(
                "updater: the artifact is not an archive, and the application is a folder".into(),
            )
            .hint("the publisher must pack the folder: .tar.gz, .tar.zst or .zip"));
        }
        if let Some(found) = sniff::mismatch(&build, &offer.asset.platform) {
            return Err(integrity(format!(
                "updater: the artifact for {} is a program for {found}",
                offer.asset.platform
            ))
            .hint("nothing was installed; the manifest names another platform's artifact"));
        }
        let found = std::fs::symlink_metadata(&build).map_err(|e| disk(&build, e))?;
        if !found.is_file() {
            return Err(disk(&build, std::io::Error::other("something else was put in its place")));
        }
        fs::set_mode(&build, &found, 0o755).map_err(|e| disk(&build, e))?;
        let size = found.len();
        let kind = EntryKind::File { size, sha256: offer.asset.sha256, executable: true };
        Ok((build, Contents { entries: vec![Entry { path: String::new(), kind }] }))
    }
}

impl HttpSource {
    /// The archive that an artifact is; `None` for what is the build itself.
    fn format(&self, build: &Path, name: &str) -> Result<Option<Format>, UpdateError> {
        let Some(format) = Format::of_file(build).map_err(|e| disk(build, e))? else { return Ok(None) };
        if self.options.kind == Kind::Package {
            return Ok(None);
        }
        // An application may itself be of such a kind, as a `.jar` is; then only a name says that it was packed once more.
        let installed = self.options.installed.as_deref().filter(|_| self.options.kind == Kind::File);
        let same_kind =
            installed.is_some_and(|path| matches!(Format::of_file(path), Ok(Some(f)) if f == format));
        Ok((!same_kind || Format::of_name(name).is_some()).then_some(format))
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
            origin: self.asset.url.whole(),
            // A link without notes has none either.
            notes: self.manifest.notes.clone().filter(|n| !n.trim().is_empty()),
            size: self.asset.size,
        }
    }
}

impl Sealed for HttpSource {}

impl Source for HttpSource {
    fn check(&mut self, installed: &Version) -> Result<Option<Release>, UpdateError> {
        self.rules.begin();
        self.offered = self.ask(Some(installed))?;
        Ok(self.offered.as_ref().map(Offer::release))
    }

    fn terms(&self) -> Terms {
        let Some(Offer { manifest, .. }) = &self.offered else { return Terms::default() };
        match &manifest.rules {
            Some(rules) if !rules.policy.is_empty() => self.rules.terms.clone(),
            _ => manifest.terms.clone(),
        }
    }

    fn guidance(&mut self) -> Option<Guidance> {
        self.rules.take()
    }

    fn put_away(&mut self) {
        if let Some(unpacked) = self.unpacked.take() {
            let _ = remove_dir(&unpacked);
        }
    }

    fn tidy(&mut self, staging: &Path) {
        remove_all(staging);
    }

    fn fetch(
        &mut self,
        release: &Release,
        staging: &Path,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Staged, UpdateError> {
        let offer = self.offer_for(release)?;
        bosc_files::make_private_folders(staging).map_err(|e| disk(staging, e))?;
        let files = Files::new(staging, &offer.asset);
        let _lock = lock(&files)?;
        #[cfg(feature = "deltas")]
        let before = {
            let http = Http::new(&self.options, &self.identity, &self.canceller, self.options.total_timeout);
            super::delta::bring(http, &self.options, &offer.asset, &files, &mut *on_progress)?
        };
        #[cfg(not(feature = "deltas"))]
        let before = 0;
        let mut freed = false;
        loop {
            let total = self.options.total_timeout;
            let http = Http::new(&self.options, &self.identity, &self.canceller, total);
            let download = Download::new(http, &self.options, &offer.asset, &files, &mut *on_progress);
            match download.after(before).run() {
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

/// One try.
fn get_manifest(http: &mut Http<'_>, url: &SecureUrl, cached: Option<&Cached>) -> Result<Answer, Fault> {
    let mut headers = vec![("accept", "application/json, */*")];
    if let Some(cached) = cached {
        headers.push(("if-none-match", cached.etag.as_str()));
    }
    let reply = http.get(UrlKind::Manifest, url, &headers)?;
    match reply.status {
        200 => {}
        204 => return Ok(Answer::Nothing),
        304 if cached.is_some() => return Ok(Answer::Same),
        _ => return Err(Http::status_fault(UrlKind::Manifest, &reply)),
    }
    let too_large = || {
        Fault::Final(
            integrity(format!("updater: manifest is larger than {MAX_MANIFEST_LEN} bytes"))
                .hint("the server sends something other than a manifest; try again later"),
        )
    };
    if reply.length().is_some_and(|n| n > MAX_MANIFEST_LEN as u64) {
        return Err(too_large());
    }
    let etag = reply.header("etag").map(str::to_owned);
    let packed = reply.header("content-encoding").is_some_and(|e| !e.trim().eq_ignore_ascii_case("identity"));
    match read_body(reply.body, MAX_MANIFEST_LEN) {
        Ok(Some(bytes)) => match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
            Some(b'<') => Err(Fault::Final(
                UpdateError::new(
                    ErrorKind::Network,
                    "updater: the server answered with a web page instead of the manifest",
                )
                .hint("sign in to the network if it asks for that, then try again"),
            )),
            // What the header says is of no matter, as long as the bytes are a manifest.
            Some(b'{' | 0xef) | None => Ok(Answer::New(bytes, etag)),
            Some(_) if packed => Err(Fault::Final(
                UpdateError::new(
                    ErrorKind::Network,
                    "updater: the server compresses the manifest, which was not asked for",
                )
                .hint("the publisher's server must send files as they are"),
            )),
            Some(_) => Ok(Answer::New(bytes, etag)),
        },
        Ok(None) => Err(too_large()),
        Err(e) => Err(http.fault(url, ureq::Error::from(e))),
    }
}

/// One fetch of an artifact at a time; the lock ends with the process.
fn lock(files: &Files) -> Result<File, UpdateError> {
    let path = files.lock();
    bosc_files::lock(&path, Duration::ZERO).map_err(|e| disk(&path, e))?.ok_or_else(|| {
        UpdateError::new(ErrorKind::Busy, "updater: this release is being fetched by another process")
            .hint("wait for it to end")
    })
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
    fn a_url_that_may_not_be_fetched_is_named_before_a_key_that_is_missing() {
        let said = |url: &str| {
            let options = HttpOptions { public_keys: Vec::new(), ..HttpOptions::new(url, "") };
            HttpSource::check_options(&options).unwrap_err().to_string()
        };
        assert!(said("http://example.com/m.json").contains("must use https://"));
        assert!(said("https://example.com/m.json").contains("no public key"));
    }

    #[test]
    fn notes_without_a_word_are_none() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let base64 = |b: &[u8]| data_encoding::BASE64.encode(b);
        let mut payload = Sha256::digest(b"x").to_vec();
        payload.extend_from_slice(b"1.0.1");
        let url = "https://example.com/m";
        for (notes, wanted) in [("", None), (" \n", None), ("new", Some("new"))] {
            let options = HttpOptions::new(url, base64(key.verifying_key().as_bytes()));
            let manifest = serde_json::json!({ "schemaVersion": 2, "version": "1.0.1", "notes": notes, "platforms": {
                options.platform.clone(): { "url": "https://example.com/x", "sha256": data_encoding::HEXLOWER.encode(&Sha256::digest(b"x")),
                    "signature": base64(&key.sign(&payload).to_bytes()), "size": 1 } } });
            let mut source = HttpSource::new(options).unwrap();
            let from = SecureUrl::parse(UrlKind::Manifest, url).unwrap();
            let offer = source.offer(&from, manifest.to_string().as_bytes(), None).unwrap().unwrap();
            assert_eq!(offer.release().notes.as_deref(), wanted, "{notes:?}");
        }
    }

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
            let url = SecureUrl::parse(UrlKind::Manifest, from).unwrap();
            let offer = source.offer(&url, manifest.to_string().as_bytes(), None);
            assert_eq!(offer.is_ok(), good, "{from} {to}");
        }
    }
}
