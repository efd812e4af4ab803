//! What the quorum's policy (`/release.json` of the newest head) and its operators let this client do.
//!
//! ```text
//! no /release.json ── nothing is restricted, and nobody is asked
//! a policy ── what operators say (`bosc_follow::operators`) ── remembered on disk ── decided (bosc_policy::decide) ── Guidance
//! one that cannot be read ── nothing is installed
//! ```
//!
//! Invariants:
//! * What an operator said is on the disk before anything follows from it: a kill forgets nothing, and an older statement that comes
//!   again changes nothing. The file lies beside what was downloaded, so that putting that aside takes nothing back.
//! * A statement that cannot be kept stops installs, as a policy that cannot be read does.
//! * Who is asked learns a key that stands in the drive, and nothing of this installation.
//! * Bounds: [`bosc_policy::MAX_POLICY`], [`bosc_policy::MAX_OPERATORS`] records, [`ASK_FOR`] for all of them.

use super::fetching::Fetching;
use super::link::FollowedLink;
use super::options::P2pOptions;
use super::package;
use crate::error::{ErrorKind, UpdateError};
use crate::files;
use crate::release::newer;
use crate::source::{Guidance, Held, HeldBy, Stale, Standing, Terms};
use bosc_follow::{CoreSource, Wait, operators};
use bosc_format::crypto::hash;
use bosc_format::id;
use bosc_policy::{
    Facts, Freshness, Installation, Newest, Policy, PolicyError, Release, Seen, Target, Why, decide,
};
use semver::Version;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long operators' statements are looked for.
const ASK_FOR: Duration = Duration::from_secs(15);
/// Most bytes of what is remembered.
const MAX_SEEN: u64 = 256 << 10;

/// What is known of a link's rules. See the module.
#[derive(Debug)]
pub(super) struct Rules {
    path: PathBuf,
    seen: Option<Seen>,
    guidance: Option<Guidance>,
    pub(super) terms: Terms,
}

/// What follows for the release that was found.
pub(super) struct Ruled {
    /// Whether it may be installed.
    pub(super) may: bool,
    /// What the policy says is new in it.
    pub(super) notes: Option<String>,
}

impl Rules {
    /// The rules of the link whose downloads are in `options.dir`.
    pub(super) fn beside(options: &P2pOptions) -> Self {
        let mut name = OsString::from(&options.dir);
        name.push(".statements");
        Self { path: name.into(), seen: None, guidance: None, terms: Terms::default() }
    }

    /// What follows from the last check. `None`: nothing is restricted, or it ended before that was known.
    pub(super) fn take(&mut self) -> Option<Guidance> {
        self.guidance.take()
    }

    /// Forgets what followed from the check before.
    pub(super) fn begin(&mut self) {
        self.guidance = None;
        self.terms = Terms::default();
    }

    /// Decides about the newest head. `threshold`: below it nothing is wanted.
    pub(super) fn judge(
        &mut self,
        fetching: &mut Fetching<'_, '_>,
        options: &P2pOptions,
        head: (&Version, u64, Newest),
        threshold: &Version,
    ) -> Result<Ruled, UpdateError> {
        let (version, length, newest) = head;
        let link = fetching.link;
        let db = CoreSource::cut(link.db().core(), length);
        let limit = bosc_policy::MAX_POLICY as u64;
        let read = package::read_file(fetching, &db, length, bosc_policy::FILE, limit);
        let policy = match read {
            Ok(None) => return Ok(Ruled { may: true, notes: None }),
            Ok(Some(bytes)) => Policy::read(&bytes).map_err(|e| unreadable(&e)),
            Err(e) => Err(e),
        };
        let policy = policy.inspect_err(|e| {
            if matches!(e.kind(), ErrorKind::Integrity | ErrorKind::Refused) {
                self.guidance = Some(Guidance::default());
            }
        })?;
        link.name_mirrors(options, policy.mirrors())?;
        let standing = match &options.standing {
            Some(standing) => standing()?,
            None => Standing { installed: threshold.clone(), on_trial: false, kept: None },
        };
        self.ask_operators(link, options, &policy)?;
        let seen = self.seen.get_or_insert_with(|| Seen::new(link.link.key));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // A person may ask for a lower version: for it the rules of a first install hold.
        let lower = newer(&standing.installed, version) && newer(version, threshold);
        let release = Release { version: version.clone(), length };
        let facts = Facts {
            now,
            installation: &installation(link, options),
            installed: Some(&standing.installed).filter(|_| !lower),
            on_trial: standing.on_trial,
            kept: standing.kept.as_ref(),
            releases: std::slice::from_ref(&release),
            head: Some(newest),
        };
        let verdict = decide(&policy, seen, &facts);
        let may = matches!(verdict.target, Target::Install(0));
        let platform = options.platform.split('-').next().unwrap_or_default();
        self.terms = Terms {
            mandatory: policy.is_mandatory() || verdict.must_update,
            minimum_system: policy.minimum_system(platform).map(str::to_owned),
        };
        let stale = match verdict.freshness {
            Freshness::Stale { last, limit } => Some(Stale {
                last: last.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_secs(at))),
                limit: Duration::from_secs(limit),
            }),
            Freshness::Unlimited | Freshness::Fresh(_) => None,
        };
        self.guidance = Some(Guidance {
            allowed: may.then(|| version.clone()),
            held: verdict.held.first().map(|held| Held {
                version: held.version.clone(),
                by: match held.why {
                    Why::Halted(operator) => HeldBy::Halt { operator: id::encode(&operator) },
                    Why::NotYet(share) => HeldBy::Share { hundredths: share.hundredths() },
                    Why::Stale => HeldBy::Stale,
                },
            }),
            stale,
            taken_back: verdict.taken_back.then(|| standing.installed.clone()),
            restore: verdict.target == Target::Restore,
            ask_again: !policy.operators().is_empty() || policy.freshness().is_some(),
        });
        Ok(Ruled { may, notes: policy.notes(&language()).map(shortened) })
    }

    /// Takes in what operators said since, and keeps it.
    fn ask_operators(
        &mut self,
        link: &FollowedLink,
        options: &P2pOptions,
        policy: &Policy,
    ) -> Result<(), UpdateError> {
        if self.seen.is_none() {
            self.seen = Some(self.remembered(link.link.key)?);
        }
        let keys: Vec<_> = policy.operators().iter().map(|o| o.key).collect();
        let mut wait = Wait::new(&link.stop).timeout(ASK_FOR.min(options.patience));
        let heard = operators::ask(&link.node, Some(link.drive.mirrors()), &keys, &mut wait)?;
        let Some(seen) = &mut self.seen else { return Ok(()) };
        let before = seen.clone();
        for signed in heard.statements {
            // Of a contradiction the stricter was taken in.
            let _ = seen.take(signed, policy);
        }
        if *seen == before {
            return Ok(());
        }
        let kept = files::state().write(&self.path, &seen.to_bytes());
        kept.map_err(|e| {
            // Not to be taken for what is on the disk.
            self.seen = None;
            not_kept(&self.path, e)
        })
    }

    /// What was seen before. What is damaged, or of another link, is as if nothing had been seen: operators repeat themselves.
    fn remembered(&self, link: [u8; 32]) -> Result<Seen, UpdateError> {
        let bytes = match bosc_files::read_bounded(&self.path, MAX_SEEN) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => None,
            Err(e) => return Err(not_kept(&self.path, e)),
        };
        let seen = bytes.and_then(|bytes| Seen::from_bytes(&bytes).ok()).filter(|seen| *seen.link() == link);
        Ok(seen.unwrap_or_else(|| Seen::new(link)))
    }
}

/// Who takes part in a rollout is decided by it, here: it is never sent.
fn installation(link: &FollowedLink, options: &P2pOptions) -> Installation {
    Installation::new(match &options.device {
        Some(device) => hash(&[b"bosc installation", device]),
        None => link.store.create_key_pair("bosc-updater/installation").public(),
    })
}

/// The person's language, as the environment names it: `de-AT`.
fn language() -> String {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
    let text = set.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    text.split(['.', '@']).next().unwrap_or_default().replace('_', "-")
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(package::MAX_NOTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

fn unreadable(e: &PolicyError) -> UpdateError {
    match e {
        PolicyError::Newer(_) => {
            UpdateError::new(ErrorKind::Refused, "the release has rules that this version cannot obey")
                .hint("install a newer version of the application by hand")
                .because(e.clone())
        }
        _ => UpdateError::new(ErrorKind::Integrity, "the release's rules cannot be read")
            .hint("the publisher has to release it again with a correct /release.json")
            .because(e.clone()),
    }
}

fn not_kept(path: &std::path::Path, e: std::io::Error) -> UpdateError {
    let kind = if bosc_files::is_full(&e) { ErrorKind::NoSpace } else { ErrorKind::Disk };
    UpdateError::new(kind, format!("{} cannot be used", path.display()))
        .hint("nothing is installed before what operators said can be kept; give the updater a folder that this user may write to")
        .because(e)
}
