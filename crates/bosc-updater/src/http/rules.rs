//! The rules of a manifest (`boscRules`), and what operators say in the file beside it. What follows is in `crate::rules`, as for links.
//!
//! ```text
//! no rules ── never seen any of these keys ── nothing is restricted, and nobody is asked
//!          └─ seen before ── refused: somebody took them out
//! rules ── signed with the release? ── not older than those seen? ── `<manifest>.bosc-statements` of every address ── decided
//! an empty text ── signed with the release ── the publisher has none from here on
//! ```
//!
//! Invariants:
//! * Rules count only with the signature that binds them to this artifact: nobody without the key exchanges them, and nobody takes them
//!   out of what a client that names its application, or that saw rules before, is offered.
//! * Rules never go back: neither to those of a lower version nor to those made before the newest that were seen at the address.
//! * Statements are in a file of their own: they change without the release, by people who have no key for releases, and a server that
//!   serves old ones takes nothing back. Whatever is wrong with the file stops nothing: all that a server can do is withhold.
//! * A release that an operator calls older than the newest is stale, where the rules set a limit.
//! * Bounds: `MAX_RULES_LEN` of a manifest, [`bosc_policy::MAX_STATEMENTS_FILE`] an address, [`ASK_FOR`] for all of them.

use super::agent::{Canceller, Fault, Http, cancelled, read_body};
use super::identity::Identity;
use super::options::HttpOptions;
use super::state::Seen;
use super::template::expand;
use crate::client::device::random;
use crate::error::{ErrorKind, UpdateError};
use crate::manifest::url::{SecureUrl, UrlKind};
use crate::manifest::{MAX_MANIFEST_LEN, Manifest};
use crate::release::newer;
use crate::rules::{ASK_FOR, Question, Rules, installation};
use crate::source::Standing;
use bosc_policy::manifest::{STATEMENTS_SUFFIX, application, head};
use bosc_policy::{MAX_STATEMENTS_FILE, Release, Signed, Statements};
use semver::Version;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Who asks, and where the manifest came from.
pub(super) struct Asked<'a> {
    pub(super) options: &'a HttpOptions,
    pub(super) identity: &'a Identity,
    pub(super) canceller: &'a Canceller,
    pub(super) from: &'a SecureUrl,
}

/// What follows for the release of the manifest.
pub(super) struct Ruled {
    pub(super) may: bool,
    /// What the rules say is new in it.
    pub(super) notes: Option<String>,
}

const FREE: Ruled = Ruled { may: true, notes: None };

/// Where what operators said is remembered, beside what was seen of the manifest.
pub(super) fn beside(state: &Path) -> PathBuf {
    let mut name = OsString::from(state);
    name.push(".statements");
    name.into()
}

/// Whether a manifest may be without rules.
///
/// # Errors
/// `Refused`: there were some before. Then nothing is installed.
pub(super) fn still_there(seen: &Seen, rules: &mut Rules) -> Result<(), UpdateError> {
    if !seen.rules {
        return Ok(());
    }
    rules.forbid();
    Err(refused("updater: the manifest has no rules, and its publisher's releases had some before").hint(
        "nothing was installed; the server, or somebody before it, leaves them out. A publisher who has no rules any more says so \
         with `bosc updater manifest --no-policy`",
    ))
}

/// What the rules of a manifest, whose signature was verified, let this client do.
///
/// # Errors
/// `Refused` and `Integrity` for rules that are missing, old, or cannot be obeyed; what the disk says; `Cancelled`.
pub(super) fn rule(
    asked: Asked<'_>,
    (seen, rules): (&mut Seen, &mut Rules),
    manifest: &Manifest,
    installed: Option<&Version>,
) -> Result<Ruled, UpdateError> {
    let Some(named) = &manifest.rules else { return still_there(seen, rules).map(|()| FREE) };
    let state = asked.options.state.as_deref();
    let old = |what: &str| {
        Err(refused(&format!(
            "updater: the rules of {} are older than {what} seen at the same address before",
            manifest.version
        ))
        .hint("the server, or a cache in front of it, offers an old manifest; try again later"))
    };
    if seen.newest.as_ref().is_some_and(|newest| newer(newest, &manifest.version)) {
        return old("a release");
    }
    if named.policy.is_empty() {
        seen.note_rules(None, state)?;
        return Ok(FREE);
    }
    let policy = rules.read(named.policy.as_bytes())?;
    let made = policy.time().unwrap_or(0);
    if seen.ruled.is_some_and(|seen| made < seen) {
        return old("those");
    }
    seen.note_rules(Some(made), state)?;
    let link = application(&named.app);
    let statements = if policy.operators().is_empty() { Vec::new() } else { heard(&asked)? };
    rules.hear(link, &policy, statements)?;
    let options = asked.options;
    let nothing = Version::new(0, 0, 0);
    let threshold = installed.unwrap_or(&nothing);
    let standing = match &options.standing {
        Some(standing) => standing()?,
        None => Standing { installed: threshold.clone(), on_trial: false, kept: None },
    };
    let release = Release { version: manifest.version.clone(), length: 0 };
    let ruled = rules.judge(
        link,
        &Question {
            policy: &policy,
            standing: &standing,
            installation: &installation(&options.device.unwrap_or_else(random)),
            threshold,
            releases: std::slice::from_ref(&release),
            head: head(&manifest.version_text, &named.policy, &policy),
            system: system(&options.platform),
            strict: true,
        },
    );
    Ok(Ruled { may: ruled.chosen.is_some(), notes: ruled.notes })
}

/// What a policy calls the system of a manifest's platform.
fn system(platform: &str) -> &str {
    match platform.split('-').next().unwrap_or_default() {
        "windows" => "win32",
        other => other,
    }
}

/// What operators say: the files beside the manifest at every address, the one that answered first.
fn heard(asked: &Asked<'_>) -> Result<Vec<Signed>, UpdateError> {
    let Asked { options, identity, canceller, from } = asked;
    // A new operation forgets that the last one was ended.
    if canceller.is_cancelled() {
        return Err(cancelled());
    }
    let mut http = Http::new(options, identity, canceller, ASK_FOR.min(options.manifest_timeout));
    if options.interrupt.as_ref().is_some_and(|i| i.load(Ordering::SeqCst)) {
        return Err(cancelled());
    }
    let current = options.current.clone().unwrap_or(Version::new(0, 0, 0));
    let mut addresses = vec![(*from).clone()];
    for address in options.addresses() {
        let url = expand(address, &options.platform, &current)
            .and_then(|address| SecureUrl::parse(UrlKind::Manifest, &address));
        addresses.extend(url.ok().filter(|url| url != *from));
    }
    let mut all = Vec::new();
    for url in addresses {
        let Ok(url) = url.beside(UrlKind::Manifest, STATEMENTS_SUFFIX) else { continue };
        match one(&mut http, &url) {
            Ok(statements) => all.extend(statements.iter().cloned()),
            Err(Fault::Final(e) | Fault::Again(e, _)) if e.kind() == ErrorKind::Cancelled => return Err(e),
            Err(_) => {}
        }
    }
    Ok(all)
}

/// The statements of one file; none where there is no such file.
fn one(http: &mut Http<'_>, url: &SecureUrl) -> Result<Statements, Fault> {
    let reply = http.get(UrlKind::Manifest, url, &[("accept", "application/octet-stream, */*")])?;
    if reply.status != 200 {
        return Ok(Statements::default());
    }
    let bytes =
        read_body(reply.body, MAX_STATEMENTS_FILE).map_err(|e| http.fault(url, ureq::Error::from(e)))?;
    Ok(bytes.and_then(|bytes| Statements::read(&bytes).ok()).unwrap_or_default())
}

/// What a server has now, for people who operate releases. Nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The bytes of the manifest.
    pub manifest: Vec<u8>,
    /// Those of the file of statements beside it; none where there is none.
    pub statements: Option<Vec<u8>>,
}

/// Fetches the manifest of [`HttpOptions::manifest_url`] and what is beside it.
///
/// # Errors
/// `Refused` for an address that may not be fetched; `Network`; `Integrity` for more bytes than either may have.
pub fn published(options: &HttpOptions) -> Result<Published, UpdateError> {
    let url = SecureUrl::parse(UrlKind::Manifest, &options.manifest_url)?;
    let identity = Identity::new(&options.headers, options.client_certificate.as_ref())?;
    let mut http = Http::new(options, &identity, &Canceller::default(), options.manifest_timeout);
    let too_large = || {
        UpdateError::new(
            ErrorKind::Integrity,
            "updater: the server sends more than a manifest or its statements have",
        )
        .hint("check the address")
    };
    let mut get = |url: &SecureUrl, most: usize| {
        let fault = |fault| match fault {
            Fault::Final(e) | Fault::Again(e, _) => e,
        };
        let reply = http.get(UrlKind::Manifest, url, &[]).map_err(fault)?;
        match reply.status {
            200 => read_body(reply.body, most)
                .map_err(|e| fault(http.fault(url, ureq::Error::from(e))))?
                .map(Some)
                .ok_or_else(too_large),
            404 | 410 => Ok(None),
            _ => Err(fault(Http::status_fault(UrlKind::Manifest, &reply))),
        }
    };
    let manifest = get(&url, MAX_MANIFEST_LEN)?.ok_or_else(|| {
        UpdateError::new(ErrorKind::Network, format!("updater: there is no manifest at {url}"))
            .hint("check the address")
    })?;
    let statements = get(&url.beside(UrlKind::Manifest, STATEMENTS_SUFFIX)?, MAX_STATEMENTS_FILE)?;
    Ok(Published { manifest, statements })
}

fn refused(message: &str) -> UpdateError {
    UpdateError::new(ErrorKind::Refused, message)
}
