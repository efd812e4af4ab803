//! The rules of a link: `/release.json` of the newest head, and what its operators say. What follows is in `crate::rules`.
//!
//! ```text
//! no /release.json ── nothing is restricted, and nobody is asked
//! a policy ── what operators say (`bosc_follow::operators`) ── the newest release, or one between it and the installed one
//! ```
//!
//! Invariants:
//! * Who is asked learns a key that stands in the drive, and nothing of this installation.
//! * Releases below the newest are looked for only where that one is held back, and only above the installed one.
//! * Bounds: [`bosc_policy::MAX_POLICY`], [`bosc_policy::MAX_OPERATORS`] records, [`ASK_FOR`] for all of them; [`between`] has its own.

use super::between;
use super::fetching::Fetching;
use super::link::FollowedLink;
use super::options::P2pOptions;
use super::package;
use crate::error::{ErrorKind, UpdateError};
use crate::rules::{ASK_FOR, Question, Rules, installation};
use crate::source::Standing;
use bosc_follow::{CoreSource, Wait, operators};
use bosc_policy::{Installation, Newest, Policy, Release};
use semver::Version;
use std::ffi::OsString;

/// What follows for the release that was found.
pub(super) struct Ruled {
    /// The version that may be installed, and the length that holds it.
    pub(super) chosen: Option<(Version, u64)>,
    /// What the policy says is new in the newest one.
    pub(super) notes: Option<String>,
}

/// The rules of the link whose downloads are in `options.dir`.
pub(super) fn beside(options: &P2pOptions) -> Rules {
    let mut name = OsString::from(&options.dir);
    name.push(".statements");
    Rules::new(Some(name.into()))
}

/// Decides about the newest head. `threshold`: below it nothing is wanted.
pub(super) fn judge(
    rules: &mut Rules,
    fetching: &mut Fetching<'_, '_>,
    options: &P2pOptions,
    (version, length, head): (&Version, u64, Newest),
    threshold: &Version,
) -> Result<Ruled, UpdateError> {
    let link = fetching.link;
    let db = CoreSource::cut(link.db().core(), length);
    let limit = bosc_policy::MAX_POLICY as u64;
    let policy = match package::read_file(fetching, &db, length, bosc_policy::FILE, limit) {
        Ok(None) => return Ok(Ruled { chosen: Some((version.clone(), length)), notes: None }),
        Ok(Some(bytes)) => rules.read(&bytes)?,
        Err(e) => {
            if matches!(e.kind(), ErrorKind::Integrity | ErrorKind::Refused) {
                rules.forbid();
            }
            return Err(e);
        }
    };
    link.name_mirrors(options, policy.mirrors())?;
    link.node.add_relays(policy.relays());
    let standing = match &options.standing {
        Some(standing) => standing()?,
        None => Standing { installed: threshold.clone(), on_trial: false, kept: None },
    };
    ask_operators(rules, link, options, &policy)?;
    let installation = of_here(link, options);
    let system = options.platform.split('-').next().unwrap_or_default();
    let mut releases = vec![Release { version: version.clone(), length }];
    let of = |releases: &[Release], rules: &mut Rules| {
        rules.judge(
            link.link.key,
            &Question {
                policy: &policy,
                standing: &standing,
                installation: &installation,
                threshold,
                releases,
                head,
                system,
                strict: false,
            },
        )
    };
    let mut ruled = of(&releases, rules);
    if ruled.chosen.is_none() && rules.holds_back() {
        let mut older = fetching.patient(between::PATIENCE.min(options.patience));
        let floors = [&standing.installed, threshold];
        releases.extend(between::releases(&mut older, options, (version, length), floors)?);
        ruled = of(&releases, rules);
    }
    let chosen = ruled.chosen.and_then(|i| releases.get(i)).map(|r| (r.version.clone(), r.length));
    // The policy's notes are about the newest.
    let notes = ruled.notes.filter(|_| ruled.chosen == Some(0));
    Ok(Ruled { chosen, notes })
}

/// Takes in what operators said since, and keeps it.
fn ask_operators(
    rules: &mut Rules,
    link: &FollowedLink,
    options: &P2pOptions,
    policy: &Policy,
) -> Result<(), UpdateError> {
    let keys: Vec<_> = policy.operators().iter().map(|o| o.key).collect();
    let mut wait = Wait::new(&link.stop).timeout(ASK_FOR.min(options.patience));
    let heard = operators::ask(&link.node, Some(link.drive.mirrors()), &keys, &mut wait)?;
    rules.hear(link.link.key, policy, heard.statements)
}

/// Who takes part in a rollout is decided by it, here: it is never sent.
fn of_here(link: &FollowedLink, options: &P2pOptions) -> Installation {
    match &options.device {
        Some(device) => installation(device),
        None => Installation::new(link.store.create_key_pair("bosc-updater/installation").public()),
    }
}
