//! `dashboard`: the loop that looks at all lines and leaves a snapshot for the server.

use super::Dashboard;
use super::adoption::Adoption;
use super::ceremony::{Collected, ceremony, steps};
use super::event::DashboardEvent;
use super::examine::Exam;
use super::live::{self, Needed};
use super::server::{Door, Served, Service};
use super::snapshot::{LineView, MAX_LINES, Snapshot};
use crate::clock::now;
use crate::command::{Sink, Stop};
use crate::doctor::Finding;
use crate::engine::Engine;
use crate::engine::drive::parse_link;
use crate::engine::seeded::SeededHere;
use crate::error::{CommandError, ErrorKind};
use crate::line::file::{Declared, LineFile};
use bosc_follow::{Alarm, FollowedDrive, Wait};
use bosc_format::link::PearLink;
use bosc_node::Node;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

/// Lines are not looked at more often, however much happens.
const LOOK: Duration = Duration::from_millis(500);
/// And not less often: what another thread of this process writes raises no signal.
const REST: Duration = Duration::from_secs(2);
/// How often history is written.
const SAVE: Duration = Duration::from_secs(5 * 60);
/// How often a folder of requests and responses is read.
const COLLECT: Duration = Duration::from_secs(2);
/// How soon `doctor` looks again after who holds a link changed.
const AFTER_CHANGE: Duration = Duration::from_secs(20);
/// And when nothing did, while somebody looks at the page: what `doctor` asks peers for may have changed all the same.
const LOOKED_AT: Duration = Duration::from_secs(60);
/// While somebody looks, it takes no more than one part in so many of the time.
const SPARE: u32 = 20;
/// And when nobody does.
const EXAMINE: Duration = Duration::from_secs(30 * 60);

/// A line that is shown.
struct Watched {
    declared: Option<Declared>,
    link: Option<PearLink>,
    followed: Option<FollowedDrive>,
    _seeded: Option<SeededHere>,
    announced: bool,
    needed: Needed,
    exam: Exam,
    /// The head that was examined, or is being.
    asked: Option<(u64, u64)>,
    findings: Vec<Finding>,
    examined: Option<u64>,
    /// When `doctor` was asked, and for how many peers with how many full copies.
    doctor: Option<(Instant, (u64, u64))>,
    /// How long it took the last time.
    took: Duration,
    error: Option<String>,
}

/// Something for the thread that takes its time.
struct Job {
    line: usize,
    link: PearLink,
    /// Read its releases as well.
    releases: bool,
}

/// What it found.
enum Found {
    Exam(usize, Result<Box<Exam>, String>),
    Findings(usize, Vec<Finding>, Duration),
}

impl Engine {
    pub(crate) fn dashboard(
        &self,
        request: &Dashboard,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let address = super::server::parse_addr(&request.addr, request.password.is_some())?;
        let (mut lines, more) = self.watched(request)?;
        let node = self.node()?;
        let door = match &request.password {
            Some(password) => Door::password(password)?,
            None => Door::token()?,
        };
        let service = Service::start(address, door)?;
        sink.tell(DashboardEvent::Dashboard {
            url: service.url(),
            address: service.address().to_string(),
            loopback: service.address().ip().is_loopback(),
            password: request.password.is_some(),
        });
        let served = service.served();
        let mut adoption = Adoption::open(&self.dir);
        let ((jobs, todo), (found, news)) = (channel::<Job>(), channel::<Found>());
        let result = std::thread::scope(|scope| {
            let worker = std::thread::Builder::new().name("dashboard".into());
            let started = worker.spawn_scoped(scope, move || self.find_out(&todo, &found, stop));
            started.map_err(|e| {
                CommandError::failed("no thread could be started for the dashboard")
                    .because(e)
                    .hint("end other programs of this user, or raise its limit of processes (`ulimit -u`)")
            })?;
            let mut shown = Shown {
                engine: self,
                request,
                node: &node,
                lines: &mut lines,
                more,
                jobs,
                news,
                looked: None,
                saved: Instant::now(),
                collected: None,
                adoption: &mut adoption,
                served: &served,
            };
            Wait::new(stop).run::<(), CommandError>(node.signal(), |alarm| shown.look(alarm))
        });
        adoption.save();
        drop(service);
        drop(lines);
        let _ = node.flush();
        match result {
            Ok(_) => Ok(()),
            // That is how it ends.
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Does what takes time, one after the other: what lines release first, what `doctor` finds when nothing else is to be done.
    fn find_out(&self, todo: &Receiver<Job>, found: &Sender<Found>, stop: &Stop) {
        let mut later: VecDeque<Job> = VecDeque::new();
        loop {
            let job = match later.is_empty() {
                true => todo.recv().ok(),
                false => match todo.try_recv() {
                    Ok(job) => Some(job),
                    Err(TryRecvError::Disconnected) => None,
                    Err(TryRecvError::Empty) => {
                        let Some(job) = later.pop_front() else { continue };
                        let began = Instant::now();
                        if let Ok(findings) = self.findings(&job.link, stop) {
                            let _ = found.send(Found::Findings(job.line, findings, began.elapsed()));
                            stop.wake();
                        }
                        continue;
                    }
                },
            };
            let Some(job) = job.filter(|_| !stop.is_stopped()) else { return };
            if job.releases {
                let exam = self.examine(&job.link, stop).map(Box::new).map_err(|e| e.message().to_owned());
                let _ = found.send(Found::Exam(job.line, exam));
                stop.wake();
            }
            if !later.iter().any(|other| other.line == job.line) {
                later.push_back(job);
            }
        }
    }

    /// The lines to show, and how many are left out.
    fn watched(&self, request: &Dashboard) -> Result<(Vec<Watched>, usize), CommandError> {
        let file = request.file.as_deref().map(LineFile::open).transpose()?;
        let mut chosen: Vec<(Option<Declared>, Option<PearLink>)> = Vec::new();
        let linked = |line: &Declared| line.link.as_deref().map(parse_link).transpose();
        match &file {
            Some(file) if !request.lines.is_empty() => {
                for name in &request.lines {
                    let line = file.get(name)?;
                    chosen.push((Some(line.clone()), linked(line)?));
                }
            }
            Some(file) if request.links.is_empty() => {
                for line in file.lines() {
                    chosen.push((Some(line.clone()), linked(line)?));
                }
            }
            _ => {}
        }
        for text in &request.links {
            let link = parse_link(text)?;
            let declared = file.as_ref().and_then(|f| f.of_link(text)).cloned();
            chosen.push((declared, Some(PearLink::new(link.key))));
        }
        if chosen.is_empty() && request.links.is_empty() && request.lines.is_empty() {
            chosen.extend(self.own_links()?.into_iter().map(|link| (None, Some(link))));
        }
        let more = chosen.len().saturating_sub(MAX_LINES);
        chosen.truncate(MAX_LINES);
        Ok((chosen.into_iter().map(|(declared, link)| self.watch(declared, link)).collect(), more))
    }

    /// Links that this store writes, those with content.
    fn own_links(&self) -> Result<Vec<PearLink>, CommandError> {
        let blobs = self.blobs_of_drives()?;
        let mut out = Vec::new();
        for info in self.store.cores().map_err(crate::engine::errors::store_error)? {
            let core = self.store.get_core(&info.key).map_err(crate::engine::errors::store_error)?;
            if info.length > 0 && !blobs.contains_key(&info.key) && core.is_some_and(|c| c.writable()) {
                out.push(PearLink::new(info.key));
            }
        }
        Ok(out)
    }

    fn watch(&self, declared: Option<Declared>, link: Option<PearLink>) -> Watched {
        let mut watched = Watched {
            declared,
            link,
            followed: None,
            _seeded: None,
            announced: false,
            needed: Needed::default(),
            exam: Exam::default(),
            asked: None,
            findings: Vec::new(),
            examined: None,
            doctor: None,
            took: Duration::ZERO,
            error: None,
        };
        if let Some(link) = &watched.link {
            match self.open_drive(link).and_then(|drive| {
                // What is here is given to whoever asks; what is not is only looked at.
                let announced = drive.db.length() > 0 || drive.db.writable();
                let seeded = drive.db.writable().then(|| self.seeded.note(drive.key()));
                Ok((self.follow_drive(&drive, announced)?, announced, seeded))
            }) {
                Ok((followed, announced, seeded)) => {
                    watched.followed = Some(followed);
                    watched.announced = announced;
                    watched._seeded = seeded;
                }
                Err(e) => watched.error = Some(e.message().to_owned()),
            }
        }
        watched
    }
}

/// How old findings may become while somebody looks, where a round over all lines takes so long.
fn fresh(round: Duration) -> Duration {
    round.saturating_mul(SPARE).clamp(LOOKED_AT, EXAMINE)
}

/// The loop's state.
struct Shown<'a> {
    engine: &'a Engine,
    request: &'a Dashboard,
    node: &'a Arc<Node>,
    lines: &'a mut Vec<Watched>,
    more: usize,
    jobs: Sender<Job>,
    news: Receiver<Found>,
    looked: Option<Instant>,
    saved: Instant,
    collected: Option<(Instant, Collected)>,
    adoption: &'a mut Adoption,
    served: &'a Served,
}

impl Shown<'_> {
    /// One look at everything.
    fn look(&mut self, alarm: &mut Alarm) -> Result<Option<()>, CommandError> {
        if let Some(looked) = self.looked
            && !alarm.has_passed(looked, LOOK)
        {
            return Ok(None);
        }
        self.looked = Some(alarm.now());
        alarm.has_passed(alarm.now(), REST);
        while let Ok(found) = self.news.try_recv() {
            self.take(found);
        }
        self.collect(alarm.now());
        let mut views: Vec<LineView> = Vec::with_capacity(self.lines.len());
        for line in self.lines.iter_mut() {
            let (declared, exam) = (line.declared.as_ref(), &line.exam);
            let mut view = match &line.followed {
                Some(followed) => {
                    let failed = followed.check().and_then(|()| followed.blobs().map(|_| ())).err();
                    line.error = failed.map(|e| e.to_string());
                    live::open(declared, followed, exam, &mut line.needed, line.announced)
                }
                None => {
                    live::closed(declared, line.link.as_ref().map(|l| PearLink::new(l.key).to_string()), None)
                }
            };
            view.error = line.error.clone().or(view.error);
            view.findings.clone_from(&line.findings);
            view.examined = line.examined;
            views.push(view);
        }
        let rest = match self.served.is_looked_at() {
            true => fresh(self.lines.iter().map(|line| line.took).sum()),
            false => EXAMINE,
        };
        for (at, view) in views.iter().enumerate() {
            self.ask(at, view, rest, alarm.now());
        }
        self.relate(&mut views)?;
        let time = now();
        for view in &mut views {
            self.adoption.note(view, time);
            view.adoption = self.adoption.of(view);
        }
        if alarm.has_passed(self.saved, SAVE) {
            self.saved = alarm.now();
            self.adoption.save();
        }
        self.served.post(Snapshot {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            at: time,
            lines: views,
            more_lines: self.more,
            network: live::network(&self.node.status()),
            store: live::store(&self.engine.dir, &self.engine.store.stats()),
        });
        Ok(None)
    }

    fn take(&mut self, found: Found) {
        match found {
            Found::Exam(at, exam) => {
                if let Some(line) = self.lines.get_mut(at) {
                    match exam {
                        Ok(exam) => line.exam = *exam,
                        Err(why) => line.exam.error = Some(why),
                    }
                }
            }
            Found::Findings(at, findings, took) => {
                if let Some(line) = self.lines.get_mut(at) {
                    (line.findings, line.examined, line.took) = (findings, Some(now()), took);
                }
            }
        }
    }

    /// Has a line examined whose head is another one, or that was not looked at for long.
    fn ask(&mut self, at: usize, view: &LineView, rest: Duration, now: Instant) {
        let Some(line) = self.lines.get_mut(at) else { return };
        let (Some(link), true) = (&line.link, line.followed.is_some()) else { return };
        let (head, held) = ((view.fork, view.length), (view.peers, view.seeders));
        let doctor = line.doctor.is_none_or(|(when, known)| {
            let since = now.saturating_duration_since(when);
            since > rest || (known != held && since > AFTER_CHANGE)
        });
        // What peers did not deliver is asked for again when others are there.
        let again = line.asked != Some(head) || (doctor && line.exam.error.is_some());
        let releases = again && view.length > 0;
        if releases || doctor {
            line.asked = Some(head);
            line.doctor = Some((now, held));
            let _ = self.jobs.send(Job { line: at, link: PearLink::new(link.key), releases });
        }
    }

    fn collect(&mut self, now: Instant) {
        let Some(folder) = &self.request.ceremony else { return };
        if self.collected.as_ref().is_none_or(|(when, _)| now.saturating_duration_since(*when) > COLLECT) {
            self.collected = Some((now, Collected::read(folder)));
        }
    }

    /// What a line is beside others: its standing, its ceremony, what to run next.
    fn relate(&self, views: &mut [LineView]) -> Result<(), CommandError> {
        let journal = self.engine.journal()?;
        let none = Collected::default();
        let collected = self.collected.as_ref().map_or(&none, |(_, c)| c);
        for at in 0..views.len() {
            let Some(line) = self.lines.get(at) else { continue };
            let Some(mut view) = views.get(at).cloned() else { continue };
            let from =
                view.source.as_ref().and_then(|s| views.iter().position(|v| v.name.as_ref() == Some(s)));
            let source = from.and_then(|i| Some((views.get(i)?, self.lines.get(i)?)));
            if let Some((theirs, other)) = source {
                view.standing =
                    Some(live::standing((&view, line.followed.as_ref()), (theirs, other.followed.as_ref())));
                view.next.extend(live::promote(&view, theirs));
            }
            if let Some(followed) = &line.followed {
                let db = &followed.cores().db;
                let manifest = db.manifest().or_else(|| collected.manifest(db.key()).map(Arc::new));
                let state = manifest.and_then(|m| ceremony(db.key(), &m, view.length, &journal, collected));
                if let Some((state, request)) = state {
                    view.next.extend(steps(&state, request.as_deref(), source.map(|(theirs, _)| theirs)));
                    view.ceremony = Some(state);
                }
                view.next.extend(live::seed(&view));
                let missing = line
                    .declared
                    .as_ref()
                    .map(|d| live::missing(d, followed, &line.needed))
                    .unwrap_or_default();
                if let (Some(step), false) = (view.next.last_mut(), missing.is_empty()) {
                    step.why = format!("{}; missing: {}", step.why, missing.join(", "));
                }
            }
            if let Some(place) = views.get_mut(at) {
                *place = view;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_sees_what_is_fresh_at_a_bounded_cost() {
        assert_eq!(fresh(Duration::ZERO), LOOKED_AT);
        assert_eq!(fresh(Duration::from_millis(2_900)), LOOKED_AT);
        // A hundred lines of three seconds each: at most a twentieth of the time, and never rarer than when nobody looks.
        assert_eq!(fresh(Duration::from_secs(12)), Duration::from_secs(240));
        assert_eq!(fresh(Duration::from_secs(300)), EXAMINE);
        assert_eq!(fresh(Duration::MAX), EXAMINE);
    }
}
