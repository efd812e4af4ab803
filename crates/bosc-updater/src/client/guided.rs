//! What a check's guidance, the rules of a link, changes here.
//!
//! ```text
//!   guidance ── what is ready and may not be installed (any more) goes
//!            ── the application is told what changed: held, stale, recalled
//!            ── a build that is taken back gives its place to the one that is kept
//!            ── the next check is set: rules change without news
//! ```

use super::desk::{Desk, superseded};
use super::event::Event;
use super::lock::lock;
use super::policy::{Input, Policy};
use super::sentinel;
use crate::install::Reason;
use crate::release::same;
use crate::source::Guidance;
use semver::Version;
use std::time::{Duration, SystemTime};

/// Does what the guidance says. `every`: how often it is asked for.
pub(super) fn follow(guidance: &Guidance, desk: &mut Desk, policy: &mut Policy, every: Duration) {
    let may = |version: &Version| guidance.allowed.as_ref().is_some_and(|allowed| same(allowed, version));
    if let Some(staged) = desk.staged.take_if(|staged| !may(&staged.release.version)) {
        *lock(&desk.ready) = None;
        desk.unwanted = true;
        desk.downloaded(staged.release.id, true, &Err(superseded()));
    }
    policy.handle(desk.now(), Input::Only(guidance.allowed.clone()));
    tell(guidance, desk);
    if guidance.restore {
        take_back(guidance, desk, policy);
    }
    if guidance.ask_again {
        policy.handle(desk.now(), Input::AskAgain(every));
    }
}

/// Reports what is not as it was after the check before.
fn tell(guidance: &Guidance, desk: &mut Desk) {
    let before = desk.guided.replace(guidance.clone()).unwrap_or_default();
    if let Some(held) = guidance.held.clone().filter(|_| guidance.held != before.held) {
        desk.emit(Event::Held(held));
    }
    if let Some(stale) = guidance.stale.clone().filter(|_| guidance.stale != before.stale) {
        desk.emit(Event::Stale(stale));
    }
    let recalled = guidance.taken_back.clone().filter(|_| !guidance.restore);
    if let Some(version) = recalled.filter(|_| guidance.taken_back != before.taken_back) {
        desk.emit(Event::Recalled { version });
    }
}

/// Puts the build that is kept back into its place.
fn take_back(guidance: &Guidance, desk: &mut Desk, policy: &mut Policy) {
    let Some(installer) = desk.installer.clone() else { return };
    match installer.roll_back(Reason::Recalled, SystemTime::now()) {
        Ok(done) => {
            if let Some(Err(e)) = desk.sentinel.as_ref().map(|path| sentinel::over(path, &installer)) {
                desk.fail(&e, None);
            }
            policy.handle(desk.now(), Input::Restored(done.restored.version.clone()));
            let restart = same(&installer.options().version, &done.bad.version);
            desk.emit(Event::rolled_back(&done, restart));
        }
        // Somebody else works on it, or the disk failed: tried again with the next check.
        Err(e) => desk.fail(&e, guidance.taken_back.as_ref()),
    }
}
