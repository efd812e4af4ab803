//! Runs a relay until stopped.

use super::Relay;
use super::event::{RelayEvent, RelayStats};
use crate::command::{Sink, Stop};
use crate::engine::{Engine, OFFLINE_AFTER, public_keys};
use crate::error::{CommandError, ErrorKind};
use bosc_follow::{Alarm, FollowError, Wait};
use bosc_format::id;
use bosc_node::{Node, NodeConfig, RelayFor, RelaySetup, RelayStatus};
use std::time::{Duration, Instant};

/// Name of the key pair that a store's relay is known by.
pub(crate) const RELAY_KEY: &str = "bosc-relay";

/// What was told last, and when.
struct Told {
    announced: bool,
    offline: bool,
    stats: Option<RelayStats>,
    at: Instant,
    start: Instant,
}

impl Engine {
    pub(crate) fn relay(
        &self,
        request: &Relay,
        sink: &mut dyn Sink,
        stop: &Stop,
    ) -> Result<(), CommandError> {
        let key_pair = self.own_key(RELAY_KEY)?;
        let key = id::encode(&key_pair.public());
        let allow = request.allow.as_deref().map(|keys| public_keys(keys, "--allow")).transpose()?;
        let allowed = allow.as_ref().map_or(0, Vec::len);
        let setup = RelaySetup {
            key_pair,
            allow: allow.map_or(RelayFor::Anyone, |keys| RelayFor::Keys(keys.into_iter().collect())),
            offer: false,
            bounds: request.bounds(),
        };
        let config =
            NodeConfig { port: request.port, relay: Some(setup), ..NodeConfig::peer(self.bootstrap.clone()) };
        let node = Node::start(config, None).map_err(|e| {
            CommandError::new(
                ErrorKind::Network,
                "ERR_CONNECTION",
                format!("UDP port {} cannot be used", request.port),
            )
            .because(e)
            .hint("choose another with `--port`; 0 takes a free one")
        })?;
        let public = request.allow.is_none();
        sink.tell(RelayEvent::Relaying { key, port: node.port(), public, allowed });
        let now = Instant::now();
        let mut told = Told { announced: false, offline: false, stats: None, at: now, start: now };
        let every = Duration::from_millis(request.stats_interval_ms.max(20));
        // Nothing but a stop ends it.
        let _: Result<Option<()>, FollowError> = Wait::new(stop).run(node.signal(), |alarm| {
            self.look_at_relay(&node, &mut told, every, sink, alarm);
            Ok(None)
        });
        if let Some(status) = node.relay() {
            sink.tell(RelayEvent::Stats(stats(&status)));
        }
        node.close();
        Ok(())
    }

    fn look_at_relay(
        &self,
        node: &Node,
        told: &mut Told,
        every: Duration,
        sink: &mut dyn Sink,
        alarm: &mut Alarm,
    ) {
        let Some(status) = node.relay() else { return };
        if status.listening && !told.announced {
            told.announced = true;
            sink.tell(RelayEvent::Announced);
        }
        if !told.announced
            && !told.offline
            && alarm.has_passed(told.start, OFFLINE_AFTER)
            && let Some(tried) = self.unanswered_by(node)
        {
            told.offline = true;
            sink.tell(RelayEvent::Offline { tried: tried.iter().map(ToString::to_string).collect() });
        }
        if told.announced && alarm.has_passed(told.at, every) {
            told.at = alarm.now();
            let now = stats(&status);
            if told.stats != Some(now) {
                told.stats = Some(now);
                sink.tell(RelayEvent::Stats(now));
            }
            let _ = alarm.has_passed(told.at, every);
        }
    }
}

fn stats(s: &RelayStatus) -> RelayStats {
    RelayStats {
        clients: s.clients,
        waiting: s.waiting,
        pairs: s.pairs,
        paired: s.paired,
        expired: s.expired,
        refused: s.refused,
        bytes: s.bytes,
        packets: s.packets,
        dropped: s.dropped,
    }
}
