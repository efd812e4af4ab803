//! What rules, and operators within them, let this client do: for links and for manifests alike.
//!
//! ```text
//! no rules ── nothing is restricted, and nobody is asked
//! rules ── what operators say ── remembered on disk ── decided (bosc_policy::decide) ── Guidance
//! rules that cannot be read ── nothing is installed
//! ```
//!
//! Where the rules and the statements come from is the source's: `p2p/rules.rs`, `http/rules.rs`.
//!
//! Invariants:
//! * What an operator said is on the disk before anything follows from it: a kill forgets nothing, and an older statement that comes
//!   again changes nothing. The file lies beside what was downloaded, so that putting that aside takes nothing back.
//! * A statement that cannot be kept stops installs, as rules that cannot be read do.
//! * Bounds: [`MAX_SEEN`] bytes are remembered.

use crate::error::{ErrorKind, UpdateError};
use crate::files;
use crate::release::newer;
use crate::source::{Guidance, Held, HeldBy, Stale, Standing, Terms};
use bosc_format::crypto::hash;
use bosc_format::id;
use bosc_policy::{
    Facts, Freshness, Installation, Newest, Policy, PolicyError, Release, Seen, Signed, Target, Why, decide,
};
use semver::Version;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long operators' statements are looked for.
pub(crate) const ASK_FOR: Duration = Duration::from_secs(15);
/// Most bytes of what is remembered.
const MAX_SEEN: u64 = 256 << 10;
/// Most bytes of the notes of a release.
const MAX_NOTES: usize = 64 << 10;

/// What is known of rules. See the module.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Where what operators said is kept; without one it is for as long as this lives.
    path: Option<PathBuf>,
    seen: Option<Seen>,
    guidance: Option<Guidance>,
    pub(crate) terms: Terms,
}

/// What is to be decided.
pub(crate) struct Question<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) standing: &'a Standing,
    pub(crate) installation: &'a Installation,
    /// Below it nothing is wanted.
    pub(crate) threshold: &'a Version,
    /// Proved releases, the newest first.
    pub(crate) releases: &'a [Release],
    /// The newest head.
    pub(crate) head: Newest,
    /// `linux`, `darwin` or `win32`.
    pub(crate) system: &'a str,
    /// Whether a head that an operator named, and that is newer than this one, makes this one stale.
    pub(crate) strict: bool,
}

/// What follows.
#[derive(Debug)]
pub(crate) struct Ruled {
    /// Which of the releases may be installed.
    pub(crate) chosen: Option<usize>,
    /// What the policy says is new in the newest one.
    pub(crate) notes: Option<String>,
}

impl Rules {
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        Self { path, seen: None, guidance: None, terms: Terms::default() }
    }

    /// What follows from the last check. `None`: nothing is restricted, or it ended before that was known.
    pub(crate) fn take(&mut self) -> Option<Guidance> {
        self.guidance.take()
    }

    /// Forgets what followed from the check before.
    pub(crate) fn begin(&mut self) {
        self.guidance = None;
        self.terms = Terms::default();
    }

    /// Nothing may be installed, whatever was found or fetched before.
    pub(crate) fn forbid(&mut self) {
        self.guidance = Some(Guidance::default());
    }

    /// Whether the newest release is held back here, and an older one may be allowed. Where nobody says what is the newest, nothing is.
    #[cfg(feature = "p2p")]
    pub(crate) fn holds_back(&self) -> bool {
        let held = self.guidance.as_ref().and_then(|guidance| guidance.held.as_ref());
        held.is_some_and(|held| matches!(held.by, HeldBy::Halt { .. } | HeldBy::Share { .. }))
    }

    /// The policy that these bytes are.
    ///
    /// # Errors
    /// `Refused` or `Integrity`: then nothing is installed.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<Policy, UpdateError> {
        Policy::read(bytes).map_err(|e| {
            self.forbid();
            unreadable(&e)
        })
    }

    /// Takes in what operators said since, and keeps it.
    ///
    /// # Errors
    /// `Disk`, `NoSpace`: what was said cannot be kept, or what was kept cannot be read.
    pub(crate) fn hear(
        &mut self,
        link: [u8; 32],
        policy: &Policy,
        statements: impl IntoIterator<Item = Signed>,
    ) -> Result<(), UpdateError> {
        // Of another link nothing counts: a manifest may name another application.
        if self.seen.as_ref().is_none_or(|seen| *seen.link() != link) {
            self.seen = Some(self.remembered(link)?);
        }
        let Some(seen) = &mut self.seen else { return Ok(()) };
        let before = seen.clone();
        for signed in statements {
            // Of a contradiction the stricter was taken in.
            let _ = seen.take(signed, policy);
        }
        if *seen == before {
            return Ok(());
        }
        let Some(path) = &self.path else { return Ok(()) };
        let kept = files::state().write(path, &seen.to_bytes());
        kept.map_err(|e| {
            let e = not_kept(path, e);
            // Not to be taken for what is on the disk.
            self.seen = None;
            e
        })
    }

    /// What was seen before. What is damaged, or of another link, is as if nothing had been seen: operators repeat themselves.
    fn remembered(&self, link: [u8; 32]) -> Result<Seen, UpdateError> {
        let Some(path) = &self.path else { return Ok(Seen::new(link)) };
        let bytes = match bosc_files::read_bounded(path, MAX_SEEN) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => None,
            Err(e) => return Err(not_kept(path, e)),
        };
        let seen = bytes.and_then(|bytes| Seen::from_bytes(&bytes).ok()).filter(|seen| *seen.link() == link);
        Ok(seen.unwrap_or_else(|| Seen::new(link)))
    }

    /// Decides, from the rules and what was heard.
    pub(crate) fn judge(&mut self, link: [u8; 32], of: &Question<'_>) -> Ruled {
        let (policy, standing) = (of.policy, of.standing);
        let seen = self.seen.get_or_insert_with(|| Seen::new(link));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // A person may ask for a lower version: for it the rules of a first install hold.
        let lower = of.releases.first().is_some_and(|newest| {
            newer(&standing.installed, &newest.version) && newer(&newest.version, of.threshold)
        });
        let facts = Facts {
            now,
            installation: of.installation,
            installed: Some(&standing.installed).filter(|_| !lower),
            on_trial: standing.on_trial,
            kept: standing.kept.as_ref(),
            releases: of.releases,
            head: Some(of.head),
        };
        let verdict = decide(policy, seen, &facts);
        let behind = of.strict && verdict.longer.is_some();
        let mut chosen = match verdict.target {
            Target::Install(i) => Some(i),
            Target::Stay | Target::Restore => None,
        };
        self.terms = Terms {
            mandatory: policy.is_mandatory() || verdict.must_update,
            minimum_system: policy.minimum_system(of.system).map(str::to_owned),
        };
        let mut held = verdict.held.first().map(|held| Held {
            version: held.version.clone(),
            by: match held.why {
                Why::Halted(operator) => HeldBy::Halt { operator: id::encode(&operator) },
                Why::NotYet(share) => HeldBy::Share { hundredths: share.hundredths() },
                Why::Stale => HeldBy::Stale,
            },
        });
        let at = |at: u64| UNIX_EPOCH.checked_add(Duration::from_secs(at));
        let stale = match verdict.freshness {
            Freshness::Stale { last, limit } => {
                Some(Stale { last: last.and_then(at), limit: Duration::from_secs(limit) })
            }
            // Somebody said lately what is the newest, and it is not this.
            Freshness::Fresh(_) if behind => policy
                .freshness()
                .map(|limit| Stale { last: policy.time().and_then(at), limit: Duration::from_secs(limit) }),
            Freshness::Unlimited | Freshness::Fresh(_) => None,
        };
        if let Some(release) = chosen.and_then(|i| of.releases.get(i)).filter(|_| stale.is_some())
            && (lower || newer(&release.version, &standing.installed))
        {
            held.get_or_insert(Held { version: release.version.clone(), by: HeldBy::Stale });
            chosen = None;
        }
        self.guidance = Some(Guidance {
            allowed: chosen.and_then(|i| of.releases.get(i)).map(|release| release.version.clone()),
            held,
            stale,
            taken_back: verdict.taken_back.then(|| standing.installed.clone()),
            restore: verdict.target == Target::Restore,
            ask_again: !policy.operators().is_empty() || policy.freshness().is_some(),
        });
        Ruled { chosen, notes: policy.notes(&language()).map(shortened) }
    }
}

/// Who takes part in a rollout is decided by the device's name, here: it is never sent.
pub(crate) fn installation(device: &[u8; 16]) -> Installation {
    Installation::new(hash(&[b"bosc installation", device]))
}

/// The person's language, as the environment names it: `de-AT`.
fn language() -> String {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
    let text = set.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    text.split(['.', '@']).next().unwrap_or_default().replace('_', "-")
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(MAX_NOTES);
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
            .hint("the publisher has to release it again with correct rules (release.json)")
            .because(e.clone()),
    }
}

fn not_kept(path: &Path, e: std::io::Error) -> UpdateError {
    let kind = if bosc_files::is_full(&e) { ErrorKind::NoSpace } else { ErrorKind::Disk };
    UpdateError::new(kind, format!("{} cannot be used", path.display()))
        .hint("nothing is installed before what operators said can be kept; give the updater a folder that this user may write to")
        .because(e)
}
