//! Events as lines for people: whose lines an event gets. Those of most features are in the `human` of their own folder; those of
//! `dump`, `demo` and `dht` are here, and what any command may tell of a link is in `human/link.rs`.

pub(crate) mod link;

use crate::board::Board;
use crate::board::meter::percent;
use crate::lines::{changed, count, dry, unmatched};
use crate::plain::{Tone, one_line};
use crate::printer::{Printer, bytes};
use crate::stage::human;
use bosc_release::demo::DemoEvent;
use bosc_release::dht::event::DhtEvent;
use bosc_release::dump::{DumpEvent, FilePart};
use bosc_release::event::{Event, LinkEvent};
use bosc_release::provision::ProvisionEvent;
use bosc_release::publish::PublishEvent;
use bosc_release::seed::event::{OfLink, SeedEvent, SeedStats};
use bosc_release::stage::StageEvent;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Prints the events of one command. Under `--json` they go out as they are.
pub(crate) struct Human<'a> {
    pub(crate) printer: &'a Printer,
    /// Progress is drawn in place rather than told line by line.
    live: bool,
    last_stats: String,
    raw_files: bool,
    /// Tables of peers are drawn only: nobody asked for them as lines.
    tables_drawn: bool,
    /// Of a release: who holds it, as it was said last.
    copies_said: Option<(usize, usize, usize)>,
    /// `publish` stages.
    publishing: bool,
    /// A seeder in this store has the release.
    pub(crate) seeded_here: bool,
    board: Board,
    began: Instant,
    /// How each of several links stands.
    links: BTreeMap<String, Progress>,
}

/// How much went which way: what a line of progress says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) peers: usize,
    pub(crate) length: u64,
    /// Bytes in all, and bytes a second.
    pub(crate) up: (u64, u64),
    pub(crate) down: (u64, u64),
    /// Bytes that are written, of how many; where an end is known.
    pub(crate) done: Option<(u64, u64)>,
}

impl Progress {
    /// Both together. Their lengths have nothing to do with each other.
    fn with(self, other: &Self) -> Self {
        let sum = |a: (u64, u64), b: (u64, u64)| (a.0.saturating_add(b.0), a.1.saturating_add(b.1));
        Self {
            peers: self.peers.saturating_add(other.peers),
            length: 0,
            up: sum(self.up, other.up),
            down: sum(self.down, other.down),
            done: None,
        }
    }
}

impl From<&SeedStats> for Progress {
    fn from(s: &SeedStats) -> Self {
        Self {
            peers: s.peers,
            length: s.drive_length,
            up: (s.upload.total_bytes, s.upload.speed),
            down: (s.download.total_bytes, s.download.speed),
            done: None,
        }
    }
}

impl<'a> Human<'a> {
    /// `live`: draw progress in place on a terminal. `raw_files`: `file` events carry contents for stdout.
    pub(crate) fn new(printer: &'a Printer, live: bool, raw_files: bool) -> Self {
        Self {
            printer,
            live: live && printer.shows_progress(),
            last_stats: String::new(),
            raw_files,
            tables_drawn: false,
            copies_said: None,
            publishing: false,
            seeded_here: false,
            board: Board::default(),
            began: Instant::now(),
            links: BTreeMap::new(),
        }
    }

    /// Tables of peers are drawn, where that can be, and not printed.
    pub(crate) fn tables_drawn(mut self, drawn: bool) -> Self {
        self.tables_drawn = drawn;
        self
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Takes the progress off the terminal.
    pub(crate) fn finish(&mut self) {
        if self.live {
            self.printer.status(None);
        }
    }

    /// Prints one event.
    pub(crate) fn event(&mut self, event: &Event) {
        self.printer.event(&event.line());
        if self.printer.is_json() {
            return;
        }
        let p = self.printer;
        match event {
            Event::Link(LinkEvent::Stats(s)) => self.progress(Progress {
                peers: s.peers,
                length: s.drive_length,
                down: (s.download.total_bytes, 0),
                ..Progress::default()
            }),
            Event::Link(event) => link::line(p, event),
            Event::Stage(event) => {
                match event {
                    StageEvent::Summary(of) => self.board.news(of.new_bytes),
                    StageEvent::Addendum(of) => self.board.size(of.blobs.byte_length),
                    _ => {}
                }
                match event {
                    // It seeds by itself, or says at its end what is next.
                    StageEvent::Addendum(now) if self.publishing => {
                        p.say(Tone::Plain, &format!("Latest: {}", now.version));
                        p.data(&now.verlink);
                    }
                    event => human::line(p, event),
                }
            }
            Event::Seed(event) => self.seed(event),
            Event::SeedOf(of) => self.seed_of(of),
            Event::Info(event) => crate::info::human::line(p, event),
            Event::Dump(event) => self.dump(event),
            Event::Mirror(event) => crate::mirror::human::line(p, event, self.live),
            Event::Publish(event) => {
                self.publishing |= matches!(event, PublishEvent::Publishing { .. });
                self.seeded_here |= matches!(event, PublishEvent::SeededHere { .. });
                crate::publish::human::line(p, event);
            }
            Event::Ci(event) => crate::publish::human::ci_line(p, event),
            Event::Provision(ProvisionEvent::Stats(s)) => self.progress(Progress {
                peers: s.peers,
                length: s.drive_length,
                up: (s.upload.total_bytes, 0),
                down: (s.download.total_bytes, 0),
                done: None,
            }),
            Event::Provision(event) => crate::provision::line(p, event),
            Event::Line(event) => crate::line::human::line(p, event),
            Event::Policy(event) => crate::policy::human::line(p, event),
            Event::Rotate(event) => crate::rotate::human::rotation(p, event),
            Event::Init(event) => crate::init::human::line(p, event),
            Event::Delta(event) => crate::delta::human::line(p, event),
            Event::Build(event) => crate::build::human::build(p, event),
            Event::Changelog(event) => crate::changelog::human::changelog(p, event),
            Event::Versions(event) => crate::versions::human::versions(p, event),
            Event::Log(event) => crate::log::human::line(p, event),
            Event::Monitor(event) => crate::monitor::human::line(p, event),
            Event::Cores(event) => crate::cores::human::cores(p, event),
            Event::Gc(event) => crate::gc::human::gc(p, event),
            Event::Install(event) => crate::install::human::install(p, event),
            Event::Dashboard(event) => crate::dashboard::human::dashboard(p, event),
            Event::Doctor(event) => crate::doctor::human::doctor(p, event),
            Event::Keys(event) => crate::keys::human::keys(p, event),
            Event::Store(event) => crate::store::human::store(p, event),
            Event::Updater(event) => crate::updater::human::line(p, event),
            Event::Multisig(event) => crate::multisig::human::line(p, event),
            Event::Demo(DemoEvent::Step { text, .. }) => p.data_name(text),
            Event::Relay(event) => crate::relay::human::relay(p, event),
            Event::BlindPeer(event) => crate::blind_peer::human::blind_peer(p, event),
            Event::Dht(DhtEvent::Local { bootstrap, nodes }) => {
                p.say(
                    Tone::Good,
                    &format!("{nodes} nodes on loopback until Ctrl+C. In every other terminal, first:"),
                );
                let set = if cfg!(windows) { "set" } else { "export" };
                p.data(&format!("{set} BOSC_BOOTSTRAP={bootstrap}"));
            }
            Event::Dht(DhtEvent::Ready { host, port }) => p.data(&format!("{host}:{port}")),
        }
    }

    fn seed(&mut self, event: &SeedEvent) {
        match event {
            SeedEvent::Stats(stats) => {
                let now = self.now();
                self.board.stats(now, stats);
                self.progress((&**stats).into());
            }
            SeedEvent::Peers { peers, more, network, .. } if self.tables_drawn => {
                let now = self.now();
                self.board.peers(now, peers, *more);
                network.iter().for_each(|how| self.board.reachable(how));
            }
            SeedEvent::Copies { full, wanted, peers, length, uploaded_bytes } if self.live => {
                let now = self.now();
                self.board.copies(now, *full, *wanted, *uploaded_bytes);
                let up = (*uploaded_bytes, self.board.up_rate());
                self.progress(Progress { peers: *peers, length: *length, up, ..Progress::default() });
            }
            SeedEvent::Copies { full, wanted, peers, .. }
                if self.copies_said == Some((*full, *wanted, *peers)) => {}
            event => {
                match event {
                    SeedEvent::Copies { full, wanted, peers, .. } => {
                        self.copies_said = Some((*full, *wanted, *peers));
                    }
                    SeedEvent::Seeding { link, .. } => self.board.seeding(link),
                    SeedEvent::Announced => self.board.announced(),
                    _ => {}
                }
                crate::seed::human::line(self.printer, None, event);
            }
        }
    }

    /// Of one of several links: what all of them do is one line of progress.
    fn seed_of(&mut self, of: &OfLink) {
        match &of.event {
            SeedEvent::Stats(stats) => {
                self.links.insert(of.link.clone(), (&**stats).into());
                let now = self.now();
                self.board.link_stats(now, &of.link, stats);
                // Each tells as often as the others: one says it for all.
                if self.links.keys().next() == Some(&of.link) {
                    let all = self.links.values().fold(Progress::default(), |all, one| all.with(one));
                    self.board.all(now, all.up.0, all.down.0);
                    self.progress(all);
                }
            }
            SeedEvent::Peers { .. } if self.tables_drawn => {}
            event => {
                if matches!(event, SeedEvent::Removed | SeedEvent::Failed { .. }) {
                    self.links.remove(&of.link);
                    self.board.link_gone(&of.link);
                }
                crate::seed::human::line(self.printer, Some(&of.link), event);
            }
        }
    }

    fn dump(&mut self, event: &DumpEvent) {
        let p = self.printer;
        match event {
            DumpEvent::Dumping { link, dir, .. } => {
                p.say(Tone::Plain, &format!("Dumping {link} to {}", one_line(dir)));
            }
            DumpEvent::Dry => dry(p),
            DumpEvent::Unmatched { list, pattern } => unmatched(p, list, pattern),
            DumpEvent::File(part) => self.file(part),
            DumpEvent::ByteDiff(diff) => changed(p, diff),
            DumpEvent::Stats(s) => self.progress(Progress {
                peers: s.peers,
                length: s.drive_length,
                down: (s.download.total_bytes, 0),
                done: s.content.as_ref().map(|c| (c.written, c.bytes)),
                ..Progress::default()
            }),
        }
    }

    pub(crate) fn file(&self, part: &FilePart) {
        if !self.raw_files {
            self.printer.data_name(&part.key);
        } else if let Some(text) = &part.value {
            self.printer.raw(text.as_bytes());
        } else if let Some(base64) = &part.base64
            && let Ok(content) = data_encoding::BASE64.decode(base64.as_bytes())
        {
            self.printer.raw(&content);
        }
    }

    /// A line of progress and what is known beside it, in place; or the line, whenever it says something else.
    pub(crate) fn progress(&mut self, at: Progress) {
        let what = match self.links.len() {
            0 => format!("length {}", at.length),
            n => count(n, "link"),
        };
        let of = at.done.filter(|(_, of)| *of > 0).map(|(done, of)| {
            // Not yet all, whatever it rounds to.
            format!(", {} % of {}", percent(done, of).min(99), bytes(of))
        });
        let of = of.unwrap_or_default();
        let line = format!(
            "{}, {what}, up {} ({}/s), down {} ({}/s){of}",
            count(at.peers, "peer"),
            bytes(at.up.0),
            bytes(at.up.1),
            bytes(at.down.0),
            bytes(at.down.1),
        );
        if self.live {
            let mut rows = vec![line];
            // On a line of its own: at the end of the first it would be cut off.
            if let Some((done, of)) = at.done.filter(|(_, of)| *of > 0) {
                let now = self.now();
                rows.push(self.board.transfer(now, done, of));
            }
            rows.extend(self.board.rows());
            self.printer.status(Some(&rows));
        } else if line != self.last_stats {
            self.printer.say(Tone::Plain, &line);
            self.last_stats = line;
        }
    }
}
