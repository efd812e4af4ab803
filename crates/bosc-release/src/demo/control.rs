//! The last part of the demo: a release under control after it is out, for installations that no peer reaches.
//!
//! ```text
//! two of three sign 2.0.0 with rules ── bosc mirror ──▶ a folder ── a web server ──▶ Dora, Emil (no UDP)
//!      10 %                            Dora has it, Emil waits
//!      the night shift says 100 %      Emil has it as well
//!      the night shift recalls it      both run 1.0.0 again
//! a copy of the folder from before anybody spoke ── another web server ──▶ Fay: stale
//! ```
//!
//! Whoever says something is an operator: its key signs no release. Each word goes into the DHT, and from there to the mirror.

use super::clients::{Client, Firewall, Shop};
use super::event::{DemoControl, StepData};
use super::pipeline::{Machines, Team, WAIT_MS, new_key};
use super::show::{Demo, io, quiet, size, wrong};
use super::web::Web;
use crate::clock::now;
use crate::command::Stop;
use crate::engine::Engine;
use crate::error::CommandError;
use crate::event::Output;
use crate::install::UserPlaces;
use crate::mirror::event::Mirrored;
use crate::mirror::{GRACE_MS, Mirror};
use crate::operator::signed::{sign, to_text};
use crate::operator::{Change, KeyHere, Prepare, Work};
use crate::stage::Stage;
use crate::touch::Touch;
use bosc_format::crypto::KeyPair;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_policy::Share;
use semver::Version;
use serde_json::json;
use std::path::Path;
use std::thread::Scope;

/// The program's file, and who runs it.
const NAME: &str = "notes";
const OPERATOR: &str = "night-shift";
/// How far the release goes at first, in percent.
const PERCENT: u64 = 10;
/// How old the newest word may be, in seconds, and how old the release says it is: older, so that nobody has to wait.
const FRESHNESS: u64 = 3600;
const AGE: u64 = 2 * FRESHNESS;
/// Bytes of the program.
const PROGRAM: usize = 300_000;

impl Demo<'_> {
    pub(super) fn control<'s, 'e: 's>(
        &mut self,
        machines: Machines<'e>,
        scope: &'s Scope<'s, 'e>,
        ends: &Stop,
    ) -> Result<DemoControl, CommandError> {
        let alice = machines.alice;
        let (first, second) = (Version::new(1, 0, 0), Version::new(2, 0, 0));
        let (old, new) = (program(&first), program(&second));
        let team = self.team(alice, "bosc demo: under control")?;
        let operator = new_key()?;
        team.seed(machines, scope, ends);
        let verlink = self.release_with_rules(alice, &team, (&second, &new), &operator)?;
        let link = team.production.clone();

        let (folder, frozen) = (self.temp.join("mirror"), self.temp.join("frozen-mirror"));
        let written = self.mirror(alice, &link, &folder)?;
        // Nobody brings this one up to date.
        self.mirror(alice, &link, &frozen)?;
        let (web, old_web) = (Web::serve(&folder)?, Web::serve(&frozen)?);
        self.step(
            format!(
                "26. `bosc mirror` writes it as {} plain files of {} for any web server, here {}",
                written.total_objects,
                size(written.total_bytes),
                web.url
            ),
            StepData::Mirrored {
                target: folder.display().to_string(),
                url: web.url.clone(),
                objects: written.total_objects,
                bytes: written.total_bytes,
            },
        );

        let share = Share::from_hundredths(PERCENT * 100)
            .map_err(|e| CommandError::failed("a share of the demo").because(e))?;
        let firewall = Firewall::new()?;
        let shop = Shop {
            link: &link,
            version: &second,
            name: NAME,
            first: (&first, &old),
            share,
            firewall: &firewall,
        };
        let mut dora = Client::install(self.temp, "Dora", (&shop, &web.url, true))?;
        let mut emil = Client::install(self.temp, "Emil", (&shop, &web.url, false))?;
        let mut fay = Client::install(self.temp, "Fay", (&shop, &old_web.url, true))?;

        self.says(alice, &link, &operator, Change::Refresh)?;
        self.mirror(alice, &link, &folder)?;
        dora.look();
        emil.look();
        dora.updates(self, &second, &new)?;
        emil.is_held(self, &second, share)?;
        unchanged(&emil, &old)?;
        self.reached(27, (&second, share), &[&dora], &[&emil], &web);

        let all = Change::Rollout { version: second.to_string(), share: Share::ALL.hundredths() };
        self.says(alice, &link, &operator, all)?;
        self.mirror(alice, &link, &folder)?;
        emil.look();
        emil.updates(self, &second, &new)?;
        self.reached(28, (&second, Share::ALL), &[&dora, &emil], &[], &web);

        let recall = Change::Halt { version: second.to_string(), recall: true };
        self.says(alice, &link, &operator, recall)?;
        self.mirror(alice, &link, &folder)?;
        for client in [&dora, &emil, &fay] {
            client.look();
        }
        dora.goes_back(self, &second, (&first, &old))?;
        emil.goes_back(self, &second, (&first, &old))?;
        self.step(
            format!(
                "29. `bosc halt --recall`: {second} is taken back, and {} and {} run {first} again",
                dora.name, emil.name
            ),
            StepData::Recalled {
                version: second.to_string(),
                restored: first.to_string(),
                installations: vec![dora.name.to_owned(), emil.name.to_owned()],
            },
        );

        let limit = fay.is_stale(self)?;
        unchanged(&fay, &old)?;
        if limit.as_secs() != FRESHNESS {
            return Err(wrong(format!("{} goes by another limit: {limit:?}", fay.name)));
        }
        fay.start(&first)?;
        self.step(
            format!(
                "30. {}'s web server says nothing newer since the release, which is older than the rules allow: `bosc watch` says \
                 stale, installs nothing and keeps {first} running",
                fay.name
            ),
            StepData::Stale { limit: FRESHNESS },
        );
        drop((dora, emil, fay));
        let unanswered = firewall.swallowed();
        if unanswered == 0 {
            return Err(wrong("the installations reached something else than a web server".into()));
        }
        self.step(
            format!("31. All of that came over HTTP: of the packets that the three sent, none was answered ({verlink})"),
            StepData::Nothing,
        );
        Ok(DemoControl {
            production: link,
            mirror_bytes: written.total_bytes,
            requests: web.requests() + old_web.requests(),
            unanswered,
        })
    }

    /// Releases a version whose rules name an operator. Its verlink.
    fn release_with_rules(
        &mut self,
        alice: &Engine,
        team: &Team,
        (version, bytes): (&Version, &[u8]),
        operator: &KeyPair,
    ) -> Result<String, CommandError> {
        let folder = self.temp.join("under-control");
        let app = folder.join("by-arch").join(UserPlaces::here().host()).join("app").join(NAME);
        if let Some(parent) = app.parent() {
            std::fs::create_dir_all(parent).map_err(io(parent))?;
        }
        let package = json!({ "name": NAME, "productName": NAME, "version": version.to_string(), "upgrade": team.production });
        let rules = json!({
            "schema": 1,
            "time": now().saturating_sub(AGE),
            "rollout": PERCENT,
            "recall": true,
            "freshness": FRESHNESS,
            "operators": [{
                "key": id::encode(&operator.public()),
                "name": OPERATOR,
                "may": ["refresh", "rollout", "halt", "recall"],
            }],
        });
        let (package, rules) = (package.to_string(), rules.to_string());
        for (path, bytes) in [
            (folder.join("package.json"), package.as_bytes()),
            (folder.join("release.json"), rules.as_bytes()),
            (app, bytes),
        ] {
            std::fs::write(&path, bytes).map_err(io(&path))?;
        }
        let link = alice.touch(&Touch::default(), self.stop)?.link;
        let stage = Stage { link, dir: folder, no_packed: true, no_deltas: true, ..Stage::default() };
        let (staged, _) = alice.stage(&stage, &mut quiet, self.stop)?;
        self.first_release(
            alice,
            team,
            &staged.verlink,
            &format!("25. {NAME} {version}, with rules: {PERCENT} % get it, {OPERATOR} may say more (`bosc policy set`)"),
        )
    }

    fn mirror(&self, alice: &Engine, link: &str, folder: &Path) -> Result<Mirrored, CommandError> {
        let request = Mirror {
            link: link.to_owned(),
            target: folder.display().to_string(),
            grace_ms: GRACE_MS,
            timeout_ms: WAIT_MS,
            ..Mirror::default()
        };
        alice.mirror(&request, &mut quiet, self.stop)
    }

    /// As `bosc refresh`, `bosc rollout` and `bosc halt` do it.
    fn says(
        &self,
        alice: &Engine,
        link: &str,
        operator: &KeyPair,
        change: Change,
    ) -> Result<(), CommandError> {
        let key = KeyHere { name: OPERATOR.to_owned(), key: id::encode(&operator.public()) };
        let prepare = Prepare {
            link: link.to_owned(),
            change,
            keys: vec![key],
            timeout_ms: WAIT_MS,
            mirrors: Vec::new(),
        };
        let unsaid = || wrong("an operator's statement cannot be made".into());
        let Output::Prepared(prepared) = alice.operator(&Work::Prepare(prepare), self.stop)? else {
            return Err(unsaid());
        };
        let key = PearLink::parse(link).map_err(|_| unsaid())?.key;
        let statement = prepared.statement.to_statement(key).ok_or_else(unsaid)?;
        let spoken = sign(&statement, operator).map_err(|e| unsaid().because(e))?;
        let say = Work::Say { link: link.to_owned(), record: to_text(&spoken) };
        alice.operator(&say, self.stop).map(drop)
    }

    fn reached(
        &mut self,
        number: u8,
        (version, share): (&Version, Share),
        has: &[&Client],
        held: &[&Client],
        web: &Web,
    ) {
        let names = |clients: &[&Client]| clients.iter().map(|c| c.name.to_owned()).collect::<Vec<_>>();
        let (has, held) = (names(has), names(held));
        let waits = if held.is_empty() { String::new() } else { format!(", {} waits", held.join(" and ")) };
        let how = if share.is_all() {
            format!("`bosc rollout {share}`, and `bosc mirror` again")
        } else {
            format!("With UDP off, by `--mirror {}` alone", web.url)
        };
        let have = if has.len() == 1 { "has" } else { "have" };
        let text = format!(
            "{number}. {how}: {version} goes to {share}: {} {have} it{waits} ({} requests so far)",
            has.join(" and "),
            web.requests()
        );
        let data = StepData::Reached {
            version: version.to_string(),
            hundredths: share.hundredths(),
            has,
            held,
            requests: web.requests(),
        };
        self.step(text, data);
    }
}

/// A program that nobody starts: a line, and bytes that do not repeat.
fn program(version: &Version) -> Vec<u8> {
    let mut bytes = format!("#!/bin/sh\n# {NAME} {version}\nexit\n").into_bytes();
    let mut state = version.major | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    bytes.extend(std::iter::repeat_with(next).take(PROGRAM));
    bytes
}

fn unchanged(client: &Client, bytes: &[u8]) -> Result<(), CommandError> {
    if client.installed()? == bytes {
        return Ok(());
    }
    Err(wrong(format!("{} has something else than before", client.name)))
}
