//! The state machine.

use super::types::{Action, Input, PolicyConfig, Verdict};

use crate::error::ErrorKind;
use crate::release::{Release, ReleaseId, newer, same};
use semver::{Prerelease, Version};
use std::sync::LazyLock;
use std::time::Duration;

/// First pause after an error.
const BACK_OFF: Duration = Duration::from_secs(30);
/// Longest pause after errors.
const MAX_BACK_OFF: Duration = Duration::from_secs(3600);

/// Below every release.
static LOWEST: LazyLock<Version> =
    LazyLock::new(|| Version { pre: Prerelease::new("0").unwrap_or_default(), ..Version::new(0, 0, 0) });

#[derive(Debug, Clone, PartialEq, Eq)]
enum Running {
    Nothing,
    Checking,
    Prefetching,
    Fetching(Release),
    Applying,
}

#[derive(Debug, Clone)]
struct Pending {
    release: Release,
    due: Duration,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Policy {
    config: PolicyConfig,
    installed: Version,
    opened: Option<Duration>,
    running: Running,
    interrupted: bool,
    check_due: Option<Duration>,
    /// A person asked for the check that is due or running.
    asked: bool,
    /// The check that runs is the first one, or the person's.
    urgent: bool,
    pending: Option<Pending>,
    /// Found, and fetched only when somebody asks for it.
    available: Option<Release>,
    staged: Option<Release>,
    /// Not fetched again by itself.
    unwanted: Option<ReleaseId>,
    /// Told of once.
    refused: Option<ReleaseId>,
    failures: u32,
    check_failures: u32,
    retry_at: Duration,
    /// The last error was a missing network.
    offline: bool,
    paused: bool,
    cancelled: bool,
    apply: bool,
    prefetch: bool,
    first_check: bool,
    out: Vec<Action>,
}

/// When to try again after another failure.
fn back_off(failures: &mut u32, now: Duration) -> Duration {
    let pause = BACK_OFF.saturating_mul(1u32.checked_shl(*failures).unwrap_or(u32::MAX));
    *failures = failures.saturating_add(1).min(16);
    now.saturating_add(pause.min(MAX_BACK_OFF))
}

impl Policy {
    /// A client that has not started.
    pub fn new(config: PolicyConfig) -> Self {
        Self {
            installed: config.installed.clone(),
            config,
            opened: None,
            running: Running::Nothing,
            interrupted: false,
            check_due: None,
            asked: false,
            urgent: false,
            pending: None,
            available: None,
            staged: None,
            unwanted: None,
            refused: None,
            failures: 0,
            check_failures: 0,
            retry_at: Duration::ZERO,
            offline: false,
            paused: false,
            cancelled: false,
            apply: false,
            prefetch: true,
            first_check: true,
            out: Vec::new(),
        }
    }

    /// The newest version that is installed.
    pub fn installed(&self) -> &Version {
        &self.installed
    }

    /// What lies ready to be applied.
    pub fn staged(&self) -> Option<&Release> {
        self.staged.as_ref()
    }

    /// The release that is an update, however far it is: found, waiting, being fetched, or staged.
    pub fn candidate(&self) -> Option<&Release> {
        let fetching = match &self.running {
            Running::Fetching(release) => Some(release),
            _ => None,
        };
        let pending = self.pending.as_ref().map(|p| &p.release);
        let all = [self.available.as_ref(), pending, fetching, self.staged.as_ref()];
        all.into_iter().flatten().reduce(|a, b| if newer(&b.version, &a.version) { b } else { a })
    }

    /// Whether anything is ever looked for.
    pub fn has_updates(&self) -> bool {
        self.config.updates
    }

    /// Whether the network is not to be used.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether the source tells of news by itself.
    pub fn waits_for_news(&self) -> bool {
        self.config.poll.is_none()
    }

    /// Whether the person stopped the fetch that runs.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Whether an action runs.
    pub fn is_busy(&self) -> bool {
        self.running != Running::Nothing
    }

    /// When [`Policy::poll`] may have something without another input.
    pub fn next_timeout(&self) -> Option<Duration> {
        if self.is_busy() || self.paused {
            return None;
        }
        let fetch = self.pending.as_ref().map(|p| p.due.max(self.retry_at));
        [self.check_due, fetch].into_iter().flatten().min()
    }

    /// Takes an input. Call [`Policy::poll`] afterwards until it gives `None`.
    pub fn handle(&mut self, now: Duration, input: Input) {
        match input {
            Input::Open => {
                self.opened = Some(now);
                if self.config.auto_check {
                    self.check_soon(now);
                }
            }
            Input::News => {
                if self.offline {
                    self.offline = false;
                    self.retry_at = now;
                }
                if self.config.auto_check {
                    self.check_soon(now);
                }
            }
            Input::AskEvery(poll) => {
                self.config.poll.get_or_insert(poll);
            }
            Input::AskAgain(after) => self.check_later(now.saturating_add(after)),
            Input::Only(allowed) => {
                let may = |release: &Release| allowed.as_ref().is_some_and(|v| same(v, &release.version));
                self.pending.take_if(|p| !may(&p.release));
                self.available.take_if(|release| !may(release));
                self.staged.take_if(|release| !may(release));
            }
            Input::Restored(version) => self.installed = version,
            Input::CheckNow => {
                self.asked = true;
                self.config.skipped = None;
                self.unwanted = None;
                self.refused = None;
                self.retry_at = now;
                if let Some(p) = &mut self.pending {
                    p.due = now;
                }
                self.check_soon(now);
            }
            Input::Download(id) => self.download(now, id),
            Input::Checked(result) => self.checked(now, result),
            Input::Fetched(result) => self.fetched(now, result),
            Input::Prefetched => self.running = Running::Nothing,
            Input::Pause => self.paused = true,
            Input::Resume => self.paused = false,
            Input::Cancel => {
                if matches!(self.running, Running::Fetching(_)) {
                    self.cancelled = true;
                } else if let Some(p) = self.pending.take() {
                    self.unwanted = Some(p.release.id);
                } else if let Some(release) = self.available.take() {
                    self.unwanted = Some(release.id);
                }
            }
            Input::Skip(version) => {
                let is_it = |release: &Release| same(&release.version, &version);
                if matches!(&self.running, Running::Fetching(release) if is_it(release)) {
                    self.cancelled = true;
                }
                self.pending.take_if(|p| is_it(&p.release));
                self.available.take_if(|release| is_it(release));
                self.staged.take_if(|release| is_it(release));
                self.config.skipped = Some(version);
            }
            Input::Apply => {
                if self.staged.is_some() {
                    self.apply = true;
                } else {
                    self.out.push(Action::NothingToApply);
                }
            }
            Input::Applied(result) => self.applied(now, result),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self, now: Duration) -> Option<Action> {
        if !self.out.is_empty() {
            return Some(self.out.remove(0));
        }
        if self.is_busy() {
            let stop = match &self.running {
                Running::Fetching(_) => self.cancelled || self.paused || self.apply,
                Running::Checking => self.paused || self.apply,
                Running::Prefetching => self.paused || self.apply || self.is_due(now),
                Running::Nothing | Running::Applying => false,
            };
            if stop && !self.interrupted {
                self.interrupted = true;
                return Some(Action::Interrupt);
            }
            return None;
        }
        self.interrupted = false;
        if self.apply && self.staged.is_some() {
            self.apply = false;
            self.running = Running::Applying;
            return Some(Action::Apply);
        }
        if self.paused || !self.config.updates || self.opened.is_none() {
            return None;
        }
        if self.check_due.is_some_and(|due| due <= now) {
            self.check_due = None;
            self.urgent = std::mem::take(&mut self.asked) || std::mem::take(&mut self.first_check);
            self.running = Running::Checking;
            return Some(Action::Check(self.threshold().clone()));
        }
        let due = |p: &&Pending| p.due.max(self.retry_at) <= now;
        if let Some(p) = self.pending.as_ref().filter(due) {
            let release = p.release.clone();
            self.running = Running::Fetching(release.clone());
            return Some(Action::Fetch(release));
        }
        if self.prefetch
            && self.config.auto_download
            && self.pending.is_none()
            && self.staged.is_none()
            && !self.first_check
        {
            self.prefetch = false;
            self.running = Running::Prefetching;
            return Some(Action::Prefetch);
        }
        None
    }

    /// The delay of a release on this device: the same whenever it is asked for, spread evenly over devices and
    /// releases.
    pub fn delay(&self, id: &ReleaseId) -> Duration {
        // FNV-1a, then the finaliser of SplitMix64.
        let mut h = 0xcbf2_9ce4_8422_2325u64;
        for byte in self.config.device.iter().chain(&id.0) {
            h = (h ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        h ^= h >> 31;
        let longest = self.config.delay.as_millis().min(u128::from(u64::MAX));
        let share = u128::from(h).saturating_mul(longest) >> 64;
        Duration::from_millis(u64::try_from(share).unwrap_or(u64::MAX))
    }

    fn is_due(&self, now: Duration) -> bool {
        self.check_due.is_some_and(|due| due <= now) || self.pending.as_ref().is_some_and(|p| p.due <= now)
    }

    /// What a release must be newer than.
    fn threshold(&self) -> &Version {
        match &self.staged {
            Some(s) if newer(&s.version, &self.installed) => &s.version,
            None if self.config.downgrade => &LOWEST,
            _ => &self.installed,
        }
    }

    fn is_wanted(&self, release: &Release) -> bool {
        newer(&release.version, self.threshold())
            && !same(&release.version, &self.installed)
            && self.unwanted != Some(release.id)
            && self.config.skipped.as_ref().is_none_or(|skipped| !same(skipped, &release.version))
    }

    fn download(&mut self, now: Duration, id: ReleaseId) {
        if let Some(release) = self.available.take_if(|release| release.id == id) {
            self.pending = Some(Pending { release, due: now });
        }
        if let Some(p) = self.pending.as_mut().filter(|p| p.release.id == id) {
            p.due = now;
            self.unwanted.take_if(|unwanted| *unwanted == id);
            self.retry_at = now;
        }
    }

    fn check_soon(&mut self, now: Duration) {
        if self.config.updates {
            self.check_due = Some(self.check_due.map_or(now, |due| due.min(now)));
        }
    }

    fn check_later(&mut self, at: Duration) {
        if !self.config.auto_check {
            return;
        }
        self.check_due = Some(self.check_due.map_or(at, |due| due.min(at)));
    }

    fn checked(&mut self, now: Duration, result: Result<Option<(Release, Verdict)>, ErrorKind>) {
        self.running = Running::Nothing;
        let urgent = std::mem::take(&mut self.urgent);
        match result {
            Ok(found) => {
                self.check_failures = 0;
                self.offline = false;
                if let Some((release, verdict)) = found {
                    self.found(now, release, verdict, urgent);
                }
            }
            Err(ErrorKind::Cancelled) => {
                if self.config.auto_check || urgent {
                    self.asked |= urgent;
                    self.check_soon(now);
                }
                return;
            }
            Err(ErrorKind::Network) if self.config.poll.is_none() => {
                // The source tells when somebody appears; what was urgent stays so.
                self.asked |= urgent;
                let at = back_off(&mut self.check_failures, now);
                self.check_later(at);
            }
            Err(ErrorKind::Input | ErrorKind::Unsupported) => {}
            Err(_) => {
                let at = back_off(&mut self.check_failures, now);
                self.asked |= urgent;
                self.check_later(at);
            }
        }
        if let Some(poll) = self.config.poll {
            self.check_later(now.saturating_add(poll));
        }
    }

    fn found(&mut self, now: Duration, release: Release, verdict: Verdict, urgent: bool) {
        let known = self.pending.as_ref().is_some_and(|p| p.release.id == release.id);
        if !self.is_wanted(&release) {
            return;
        }
        if verdict != Verdict::Admitted {
            if let Verdict::Rejected(again) = verdict {
                self.check_later(now.saturating_add(again));
            }
            if self.refused != Some(release.id) {
                self.refused = Some(release.id);
                self.out.push(Action::Refused(release, verdict));
            }
            return;
        }
        if !self.config.auto_download && !known {
            if self.available.as_ref().is_none_or(|there| there.id != release.id) {
                self.out.push(Action::Available(release.clone()));
            }
            self.available = Some(release);
            return;
        }
        let early = self.opened.is_some_and(|at| now.saturating_sub(at) <= self.config.grace);
        let wait = if urgent || early { Duration::ZERO } else { self.delay(&release.id) };
        let due = now.saturating_add(wait);
        match &mut self.pending {
            // Looked at again: its delay was drawn.
            Some(p) if known && !urgent => p.release = release,
            Some(p) => {
                p.due = p.due.min(due);
                p.release = release;
                (self.failures, self.retry_at) = (0, now);
            }
            None => {
                if !wait.is_zero() {
                    self.out.push(Action::Scheduled(release.clone(), wait));
                }
                self.pending = Some(Pending { release, due });
            }
        }
    }

    fn fetched(&mut self, now: Duration, result: Result<(), ErrorKind>) {
        let Running::Fetching(release) = std::mem::replace(&mut self.running, Running::Nothing) else {
            return;
        };
        let cancelled = std::mem::take(&mut self.cancelled);
        match result {
            Ok(()) => {
                self.failures = 0;
                self.forget(&release);
                self.staged = Some(release);
            }
            Err(ErrorKind::Cancelled) if cancelled => {
                self.unwanted = Some(release.id);
                self.forget(&release);
            }
            Err(ErrorKind::Cancelled) => {}
            Err(ErrorKind::Input | ErrorKind::Unsupported) => {
                self.unwanted = Some(release.id);
                self.forget(&release);
            }
            // Whoever was asked this time gave what cannot be taken; another answer to the same may be honest.
            Err(ErrorKind::Refused) => {
                self.forget(&release);
                let at = back_off(&mut self.failures, now);
                self.check_later(at);
            }
            Err(kind) => {
                self.offline = kind == ErrorKind::Network && self.config.poll.is_none();
                self.retry_at = back_off(&mut self.failures, now);
            }
        }
    }

    fn forget(&mut self, release: &Release) {
        self.pending.take_if(|p| p.release.id == release.id);
    }

    fn applied(&mut self, now: Duration, result: Result<(), ErrorKind>) {
        self.running = Running::Nothing;
        match result {
            Ok(()) => {
                if let Some(release) = self.staged.take() {
                    self.available.take_if(|there| !newer(&there.version, &release.version));
                    self.installed = release.version;
                    self.config.downgrade = false;
                }
            }
            // What is staged is not what was proved: fetched again, from blocks that are here.
            // Or it is not there any more.
            Err(ErrorKind::Integrity | ErrorKind::Input) => {
                if let Some(release) = self.staged.take()
                    && self.pending.is_none()
                {
                    self.pending = Some(Pending { release, due: now });
                }
            }
            Err(ErrorKind::Refused) => {
                if let Some(release) = self.staged.take() {
                    self.unwanted = Some(release.id);
                }
            }
            // It may be asked for again.
            Err(_) => {}
        }
    }
}
