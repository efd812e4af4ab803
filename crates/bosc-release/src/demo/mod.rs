//! `demo`: the whole job on this machine. A small DHT on loopback, a store that stages and seeds, others that
//! find, fetch and follow; then a release of it that two of three people sign; then a program that updates itself and
//! takes a broken release back; then a release that goes out by a web server alone, to a tenth, to all, and back.
//! Every file is compared byte for byte.
//!
//! # Files
//!
//! - `pipeline`: the release that two of three sign. `updates`: the program that updates itself, in two `builds`. The first part is
//!   here.
//! - `control`: the release by a web server and what an operator does with it, at `clients` that reach nothing but a `web` server.
//! - `files`: folders that are made, changed, compared. `show`: a step at a time, how long any may take. `event`: what is reported.

mod builds;
mod clients;
mod control;
pub(crate) mod event;
mod files;
mod pipeline;
mod show;
mod updates;
mod web;

pub use event::{DemoControl, DemoDone, DemoEvent, DemoRelease, DemoUpdates, Received, StepData};
pub use updates::{EXAMPLE, EXAMPLE_ENV, end_with_demo};

use crate::command::{Sink, Stop};
use crate::dht::{LOCAL_NODES, start_local};
use crate::engine::{Engine, EngineConfig};
use crate::error::CommandError;
use crate::touch::Touch;
use bosc_node::Node;
use files::{TempDir, compare, edit, made_app};
use pipeline::Machines;
use show::{Demo, StopOnDrop, received, seed, size, wrong};
use std::path::Path;
use std::time::Instant;

/// Runs the demo with the folder `dir`, or a small application made for it. Fails unless every comparison holds.
/// `program`: an executable that is the example program when [`EXAMPLE_ENV`] says so; without one that part is left out.
pub fn run(
    dir: Option<&Path>,
    program: Option<&Path>,
    sink: &mut dyn Sink,
    stop: &Stop,
) -> Result<DemoDone, CommandError> {
    let temp = TempDir::new()?;
    let outcome = Demo { temp: temp.path(), sink, stop, started: Instant::now() }.run(dir, program);
    drop(temp);
    outcome
}

impl Demo<'_> {
    fn run(&mut self, dir: Option<&Path>, program: Option<&Path>) -> Result<DemoDone, CommandError> {
        let app = match dir {
            Some(dir) => dir.to_owned(),
            None => made_app(&self.temp.join("app"))?,
        };
        let nodes = start_local(0)?;
        let bootstrap: Vec<String> = nodes.iter().map(|n| format!("127.0.0.1:{}", n.port())).collect();
        self.step(
            format!("1. A DHT of {LOCAL_NODES} nodes runs on loopback"),
            StepData::Dht { bootstrap: bootstrap.clone() },
        );

        let engine = |name: &str| {
            Engine::open(&EngineConfig {
                store: self.temp.join(name),
                bootstrap: bootstrap.clone(),
                relay: Vec::new(),
                primary_key: None,
                ..EngineConfig::default()
            })
        };
        let (writer, reader) = (engine("store-of-alice")?, engine("store-of-bob")?);
        let third = engine("store-of-carol")?;
        let result = std::thread::scope(|scope| {
            let ends = Stop::new();
            let guard = StopOnDrop(ends.clone());
            let machines = Machines { alice: &writer, bob: &reader, carol: &third };
            let result = self.ship(&app, machines, scope, &ends).and_then(|mut done| {
                if let Some(program) = program {
                    done.updates = Some(self.updates(program, &writer, &bootstrap, scope, &ends)?);
                }
                done.control = Some(self.control(machines, scope, &ends)?);
                self.step("All comparisons held.".into(), StepData::Nothing);
                Ok(done)
            });
            drop(guard);
            result
        });
        writer.close();
        reader.close();
        third.close();
        nodes.into_iter().for_each(Node::close);
        result
    }

    fn ship<'s, 'e: 's>(
        &mut self,
        app: &Path,
        machines: Machines<'e>,
        scope: &'s std::thread::Scope<'s, 'e>,
        ends: &Stop,
    ) -> Result<DemoDone, CommandError> {
        let (writer, reader) = (machines.alice, machines.bob);
        let link = writer.touch(&Touch::default(), self.stop)?.link;
        self.step(format!("2. A new link: {link}"), StepData::Link { link: link.clone() });

        let first = self.stage(writer, &link, app, "3. Staged")?;
        seed(writer, &link, scope, ends);
        let following = seed(reader, &link, scope, ends);
        let begun = Instant::now();
        let stats = self.follow(&following, first.length)?;
        let (bytes, seconds) = (received(&stats), begun.elapsed().as_secs_f64());
        self.step(
            format!(
                "4. Found and fetched by the second store: {} in {seconds:.2} s ({}/s)",
                size(bytes),
                size((bytes as f64 / seconds.max(0.001)) as u64)
            ),
            StepData::Fetched { received: bytes, seconds },
        );
        let copy = self.temp.join("copy-1");
        self.dump(reader, &link, &copy)?;
        let compared = compare(app, &copy)?;
        self.step(
            format!(
                "5. Written to a folder and compared: {} files, {} equal",
                compared.files,
                size(compared.bytes)
            ),
            StepData::Compared { files: compared.files, bytes: compared.bytes },
        );

        let changed = self.temp.join("version-2");
        self.dump(writer, &link, &changed)?;
        let edits = edit(&changed)?;
        self.step(format!("6. A second version: {edits}"), StepData::Edited { edits });
        let before = received(&stats);
        let begun = Instant::now();
        let second = self.stage(writer, &link, &changed, "7. Staged the second version")?;
        let stats = self.follow(&following, second.length)?;
        let (delta, seconds) = (received(&stats).saturating_sub(before), begun.elapsed().as_secs_f64());
        self.step(
            format!(
                "8. It arrived by itself, {seconds:.2} s after staging began: {} received of {}",
                size(delta),
                size(compared.bytes)
            ),
            StepData::Updated { received: delta, whole: compared.bytes, seconds },
        );
        let copy = self.temp.join("copy-2");
        self.dump(reader, &link, &copy)?;
        let compared = compare(&changed, &copy)?;
        self.step(
            format!("9. Compared again: {} files, {} equal", compared.files, size(compared.bytes)),
            StepData::Compared { files: compared.files, bytes: compared.bytes },
        );
        // Small applications change whole; large ones must not travel whole.
        if compared.bytes > 32 << 20 && delta > compared.bytes / 2 {
            return Err(wrong("more than half of the application travelled for a small change".into()));
        }
        let release = self.release(machines, &link, &second, &changed, scope, ends)?;
        Ok(DemoDone {
            link,
            received: Received { first: bytes, second: delta },
            bytes: compared.bytes,
            release,
            updates: None,
            control: None,
        })
    }
}
