//! Commands around the pipeline: looking into a link or the store, keeping the store small, keys, installing.

mod changelog;
mod cores;
mod doctor;
mod gc;
mod install;
mod keys;
mod versions;

use super::Engine;
use super::info::{Opened, check_version};
use super::wait::{core_failed, stopped};
use crate::command::{Outcome, Sink, Stop};
use crate::error::CommandError;
use crate::tools::{DataDht, Tool};
use bosc_format::link::PearLink;
use bosc_node::TICK;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most DHT nodes named.
const MAX_NODES: usize = 1000;
/// How long nobody must have been found before a link that is here is judged without peers.
const ALONE: Duration = Duration::from_secs(10);
/// How often peers are looked for again while nobody is there.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

impl Engine {
    pub(super) fn tool(&self, tool: &Tool, sink: &mut dyn Sink, stop: &Stop) -> Outcome {
        match tool {
            Tool::Changelog(r) => self.changelog(r, sink, stop),
            Tool::Versions(r) => self.versions(r, sink, stop),
            Tool::Cores(r) => self.cores(r, sink),
            Tool::Gc(r) => self.gc(r, sink),
            Tool::DataDht(r) => self.data_dht(r, stop),
            Tool::Install(r) if r.uninstall => self.uninstall(r, sink),
            Tool::Install(r) => self.install(r, sink, stop),
            Tool::Doctor(r) => self.doctor(r, sink, stop),
            Tool::KeysExport(r) => self.keys_export(r, sink),
            Tool::KeysImport(r) => self.keys_import(r, sink),
        }
    }

    /// The DHT nodes that are known once the first walk through the network is over.
    fn data_dht(&self, request: &DataDht, stop: &Stop) -> Outcome {
        let node = self.node()?;
        let deadline = Instant::now() + Duration::from_millis(request.timeout_ms);
        node.signal()
            .wait(Some(deadline), TICK, || (stop.is_stopped() || node.status().bootstrapped).then_some(()));
        if stop.is_stopped() {
            return Err(stopped());
        }
        let nodes = node.dht_nodes(MAX_NODES);
        if nodes.is_empty() {
            return Err(CommandError::new(
                crate::error::ErrorKind::Network,
                "ERR_NETWORK_TIMEOUT",
                "no node of the DHT answered in time",
            ));
        }
        let nodes: Vec<_> =
            nodes.iter().map(|n| json!({ "host": n.ip().to_string(), "port": n.port() })).collect();
        Ok(json!({ "nodes": nodes }))
    }

    /// Whether this process is on the network with a link right now.
    fn in_use(&self, topic: &[u8; 32]) -> bool {
        let slot = self.node.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        slot.as_ref().is_some_and(|node| node.status().flushed.contains(topic))
    }

    /// Opens a link and stays on the network with it whether or not it is written here. Waits until discovery is over
    /// and every connected peer has told its length, or for `timeout`.
    fn open_watched(&self, link: &PearLink, timeout: Duration, stop: &Stop) -> Result<Opened, CommandError> {
        let drive = self.open_drive(link)?;
        let node = self.node()?;
        let topic = *drive.db.discovery_key();
        let joined = Some(self.join_topic(&node, topic, false));
        let db = node.attach(&drive.db);
        let mut opened = Opened {
            drive,
            db: Some(db.clone()),
            blobs: None,
            node: Some(Arc::clone(&node)),
            _joined: joined,
        };
        let at_least = link.version.map_or(0, |v| v.length);
        let mut found_blobs = false;
        let deadline = Instant::now() + timeout;
        // Without peers, what is here is looked at soon after discovery found nobody.
        let mut alone_since: Option<Instant> = None;
        let mut looked = Instant::now();
        loop {
            if stop.is_stopped() {
                return Err(stopped());
            }
            let s = db.status();
            if let Some(why) = &s.failed {
                return Err(core_failed(why));
            }
            if !found_blobs && let Some(core) = opened.drive.blobs(self)? {
                opened.blobs = Some(node.attach(&core));
                found_blobs = true;
            }
            let blobs = opened.blobs.as_ref().map(|b| b.status());
            let told = |s: &bosc_node::CoreStatus| {
                s.peers.iter().all(|p| p.synced && (p.fork, p.length) <= (s.fork, s.length))
            };
            let flushed = node.is_flushed(&topic);
            let ready = flushed
                && !s.peers.is_empty()
                && told(&s)
                && s.length >= at_least
                && (s.length == 0 || blobs.as_ref().is_some_and(|b| !b.peers.is_empty() && told(b)));
            if ready || Instant::now() >= deadline {
                break;
            }
            if flushed && s.peers.is_empty() && !node.status().connecting {
                let since = *alone_since.get_or_insert_with(Instant::now);
                if since.elapsed() > ALONE && s.length > 0 && s.length >= at_least {
                    break;
                }
                if looked.elapsed() >= LOOK_AGAIN {
                    looked = Instant::now();
                    node.refresh(topic);
                }
            } else {
                alone_since = None;
            }
            let wait = (Instant::now() + TICK).min(deadline);
            node.signal().wait(Some(wait), TICK, || (stop.is_stopped() || db.status() != s).then_some(()));
        }
        if db.status().length > 0 {
            check_version(link, &opened.drive)?;
        }
        Ok(opened)
    }
}
