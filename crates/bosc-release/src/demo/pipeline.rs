//! The second half of the demo: a version that was staged becomes a release that two of three people signed.
//!
//! Alice's store stages and provisions; Bob's and Carol's hold copies, as seeders do. Each of the three has one signing
//! key, made here and kept in memory only.

use super::event::{DemoRelease, StepData};
use super::files::{compare, edit};
use super::show::{Demo, DemoStaged, Following, quiet, received, seed, size, wrong};
use crate::command::Stop;
use crate::engine::Engine;
use crate::error::CommandError;
use crate::multisig::{Commit, MakeRequest, PEER_UPDATE_TIMEOUT_MS, Signers, text as signing_text};
use crate::provision::Provision;
use crate::provision::event::Provisioned;
use crate::seed::event::SeedStats;
use crate::touch::Touch;
use bosc_format::crypto::KeyPair;
use bosc_format::id;
use bosc_format::link::PearLink;
use std::path::Path;
use std::thread::Scope;

/// How long peers may take, in milliseconds.
pub(super) const WAIT_MS: u64 = 60_000;
const NAMES: [&str; 3] = ["Alice", "Bob", "Carol"];

/// The machines of the three.
#[derive(Clone, Copy)]
pub(super) struct Machines<'e> {
    pub(super) alice: &'e Engine,
    pub(super) bob: &'e Engine,
    pub(super) carol: &'e Engine,
}

/// Three who sign for a link.
pub(super) struct Team {
    keys: Vec<KeyPair>,
    signers: Signers,
    pub(super) production: String,
    prerelease: String,
}

/// A new key, in memory only.
pub(super) fn new_key() -> Result<KeyPair, CommandError> {
    let mut seed = [0u8; 32];
    getrandom::fill(&mut seed)
        .map_err(|e| CommandError::failed("no randomness").because(std::io::Error::other(e)))?;
    Ok(KeyPair::from_seed(&seed))
}

impl Team {
    /// Has all three seed what is to be signed, and Carol and Bob what is: Bob is followed.
    pub(super) fn seed<'s, 'e: 's>(
        &self,
        machines: Machines<'e>,
        scope: &'s Scope<'s, 'e>,
        ends: &Stop,
    ) -> Following {
        for (engine, link) in [
            (machines.alice, &self.prerelease),
            (machines.bob, &self.prerelease),
            (machines.carol, &self.prerelease),
            (machines.carol, &self.production),
        ] {
            seed(engine, link, scope, ends);
        }
        seed(machines.bob, &self.production, scope, ends)
    }

    /// The link of production before its first release.
    fn begin(&self) -> String {
        format!("pear://0.0.{}", self.production.trim_start_matches("pear://"))
    }
}

impl Demo<'_> {
    /// Releases what is staged at `staged` on `stage`, whose files are those of `folder`, and then a further version.
    pub(super) fn release<'s, 'e: 's>(
        &mut self,
        machines: Machines<'e>,
        stage: &str,
        staged: &DemoStaged,
        folder: &Path,
        scope: &'s Scope<'s, 'e>,
        ends: &Stop,
    ) -> Result<DemoRelease, CommandError> {
        let team = self.team(machines.alice, "bosc demo")?;
        self.step(
            format!(
                "10. Three people, any two of whom must sign. The link of production: {}",
                team.production
            ),
            StepData::Team {
                production: team.production.clone(),
                public_keys: team.signers.public_keys.clone(),
                quorum: 2,
            },
        );
        let following = team.seed(machines, scope, ends);

        let begin = team.begin();
        let candidate = self.provision(machines.alice, &staged.verlink, &team, &begin, "11")?;
        let request = self.request(machines.alice, &team, &candidate, "12")?;
        let alone = self.sign(&team, &request, &[1])?;
        self.refused(machines.alice, &team, &request, alone)?;
        let first = self.commit(machines.alice, &team, &request, &[1, 2], true, "14")?;
        let stats = self.follow(&following, length(&first)?)?;
        self.arrived(
            machines.bob,
            &team,
            folder,
            "15. Bob, who follows production, has it",
            received(&stats),
        )?;

        let next = self.temp.join("version-3");
        self.dump(machines.alice, stage, &next)?;
        let edits = edit(&next)?;
        let staged = self.stage(machines.alice, stage, &next, &format!("16. {edits}; staged"))?;
        let candidate = self.provision(machines.alice, &staged.verlink, &team, &first, "17")?;
        let request = self.request(machines.alice, &team, &candidate, "18")?;
        let second = self.commit(machines.alice, &team, &request, &[2, 0], false, "19")?;
        let delta = self.update(&following, length(&second)?, &stats)?;
        let bytes = self.arrived(machines.bob, &team, &next, "20. Bob has the next release", delta)?;
        Ok(DemoRelease { production: team.production, verlink: second, received: delta, bytes })
    }

    /// Makes the keys of three, and their link. `purpose` is in the link: other words make another one.
    pub(super) fn team(&self, alice: &Engine, purpose: &str) -> Result<Team, CommandError> {
        let keys = NAMES.iter().map(|_| new_key()).collect::<Result<Vec<_>, _>>()?;
        let signers = Signers {
            public_keys: keys.iter().map(|k| id::encode(&k.public())).collect(),
            quorum: 2,
            namespace: purpose.to_owned(),
        };
        let production = PearLink::new(signers.manifest()?.key()).to_string();
        let prerelease = alice.touch(&Touch::default(), self.stop)?.link;
        Ok(Team { keys, signers, production, prerelease })
    }

    /// Makes the lean drive; its verlink.
    fn provision(
        &mut self,
        engine: &Engine,
        source: &str,
        team: &Team,
        production: &str,
        number: &str,
    ) -> Result<String, CommandError> {
        let done = self.provisioned(engine, source, team, production)?;
        let verlink = done.target.verlink.clone();
        let before = done.production.core.length;
        self.step(
            format!(
                "{number}. Provisioned: {} blocks staged become {} on top of production's {before}: {verlink}",
                done.source.core.length,
                done.target.core.length.saturating_sub(before),
            ),
            StepData::Provisioned { verlink: verlink.clone(), result: Box::new(done) },
        );
        Ok(verlink)
    }

    fn provisioned(
        &self,
        engine: &Engine,
        source: &str,
        team: &Team,
        production: &str,
    ) -> Result<Provisioned, CommandError> {
        let request = Provision {
            source: source.to_owned(),
            target: team.prerelease.clone(),
            production: production.to_owned(),
            dry_run: false,
            contiguous: false,
            timeout_ms: WAIT_MS,
            cooldown_ms: 0,
            newest: false,
            sole_copy: false,
        };
        let done = engine.provision(&request, &mut quiet, self.stop)?;
        done.ok_or_else(|| wrong("nothing was provisioned".into()))
    }

    fn request(
        &mut self,
        engine: &Engine,
        team: &Team,
        candidate: &str,
        number: &str,
    ) -> Result<String, CommandError> {
        let request = self.requested(engine, team, candidate)?;
        self.step(
            format!(
                "{number}. A request to sign, made once Bob and Carol held it whole: {}",
                short(&request)
            ),
            StepData::Requested { request: request.clone() },
        );
        Ok(request)
    }

    fn requested(&self, engine: &Engine, team: &Team, candidate: &str) -> Result<String, CommandError> {
        let ask = MakeRequest {
            signers: team.signers.clone(),
            link: candidate.to_owned(),
            peer_update_timeout_ms: PEER_UPDATE_TIMEOUT_MS,
            wait_ms: Some(WAIT_MS),
            ..MakeRequest::default()
        };
        Ok(engine.multisig_request(&ask, &mut quiet, self.stop)?.request)
    }

    /// The first release of a link, as [`Demo::release`] makes it step by step: what is staged at `source`, signed by Bob and Carol.
    pub(super) fn first_release(
        &mut self,
        alice: &Engine,
        team: &Team,
        source: &str,
        number: &str,
    ) -> Result<String, CommandError> {
        let candidate = self.provisioned(alice, source, team, &team.begin())?.target.verlink;
        let request = self.requested(alice, team, &candidate)?;
        self.commit(alice, team, &request, &[1, 2], true, number)
    }

    fn sign(&self, team: &Team, request: &str, who: &[usize]) -> Result<Vec<String>, CommandError> {
        let (parsed, bytes) = signing_text::request(request)?;
        let sign = |key: &KeyPair| {
            parsed
                .sign(&bytes, key)
                .map(|r| r.to_text())
                .map_err(|e| CommandError::failed("cannot sign").because(e))
        };
        who.iter().filter_map(|&i| team.keys.get(i)).map(sign).collect()
    }

    fn work(team: &Team, request: &str, responses: Vec<String>, first: bool) -> Commit {
        Commit {
            signers: team.signers.clone(),
            link: team.prerelease.clone(),
            request: request.to_owned(),
            responses,
            dry_run: false,
            first_commit: first,
            force_dangerous: false,
            peer_update_timeout_ms: PEER_UPDATE_TIMEOUT_MS,
            wait_ms: WAIT_MS,
        }
    }

    /// One signature must not be enough.
    fn refused(
        &mut self,
        engine: &Engine,
        team: &Team,
        request: &str,
        alone: Vec<String>,
    ) -> Result<(), CommandError> {
        match engine.multisig_commit(&Self::work(team, request, alone, true), &mut quiet, self.stop) {
            Ok(_) => Err(wrong("one signature of two was enough".into())),
            Err(e) if e.code() == "INSUFFICIENT_QUORUM" => {
                self.step(
                    format!("13. Bob alone signs, and is not enough: {e}"),
                    StepData::Refused { code: e.code().to_owned() },
                );
                Ok(())
            }
            Err(e) => Err(e),
        }
    }

    fn commit(
        &mut self,
        engine: &Engine,
        team: &Team,
        request: &str,
        who: &[usize],
        first: bool,
        number: &str,
    ) -> Result<String, CommandError> {
        let responses = self.sign(team, request, who)?;
        let work = Self::work(team, request, responses, first);
        let verlink = engine.multisig_commit(&work, &mut quiet, self.stop)?.verlink;
        let names: Vec<&str> = who.iter().filter_map(|&i| NAMES.get(i).copied()).collect();
        self.step(
            format!(
                "{number}. {} signed, and it is committed and held by two others: {verlink}",
                names.join(" and ")
            ),
            StepData::Committed {
                signers: names.into_iter().map(str::to_owned).collect(),
                verlink: verlink.clone(),
            },
        );
        Ok(verlink)
    }

    fn update(&self, following: &Following, length: u64, before: &SeedStats) -> Result<u64, CommandError> {
        let stats = self.follow(following, length)?;
        Ok(received(&stats).saturating_sub(received(before)))
    }

    fn arrived(
        &mut self,
        engine: &Engine,
        team: &Team,
        folder: &Path,
        what: &str,
        bytes: u64,
    ) -> Result<u64, CommandError> {
        let copy = self.temp.join("production-copy");
        if copy.exists() {
            std::fs::remove_dir_all(&copy).map_err(super::show::io(&copy))?;
        }
        self.dump(engine, &team.production, &copy)?;
        let compared = compare(folder, &copy)?;
        self.step(
            format!(
                "{what}: {} received, {} files, {} equal",
                size(bytes),
                compared.files,
                size(compared.bytes)
            ),
            StepData::Arrived { received: bytes, files: compared.files, bytes: compared.bytes },
        );
        Ok(compared.bytes)
    }
}

fn short(text: &str) -> String {
    let head: String = text.chars().take(24).collect();
    format!("{head}... ({} characters)", text.chars().count())
}

fn length(verlink: &str) -> Result<u64, CommandError> {
    let link: PearLink = verlink
        .parse()
        .map_err(|_| wrong(format!("a commit printed no link with a version: {verlink:?}")))?;
    link.version.map(|v| v.length).ok_or_else(|| wrong("a commit printed a link without a version".into()))
}
