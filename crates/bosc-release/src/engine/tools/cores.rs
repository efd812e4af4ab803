//! `cores`: what is kept here.

use super::super::{Engine, store_error};
use crate::command::{Outcome, Sink};
use crate::error::CommandError;
use crate::tools::Cores;
use bosc_format::crypto::CoreKey;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_store::Core;
use serde_json::json;
use std::collections::BTreeMap;

impl Engine {
    pub(super) fn cores(&self, request: &Cores, sink: &mut dyn Sink) -> Outcome {
        let blobs = self.blobs_of_drives()?;
        let (mut count, mut writable) = (0u64, 0u64);
        for info in self.store.cores().map_err(store_error)? {
            if info.contiguous_length == 0 && !request.all {
                continue;
            }
            let own = self.store.get_core(&info.key).map_err(store_error)?.is_some_and(|c| c.writable());
            count += 1;
            writable += u64::from(own);
            sink.event(
                "core",
                json!({
                    "link": PearLink::new(info.key).to_string(),
                    "writable": own,
                    "length": info.length,
                    "contiguousLength": info.contiguous_length,
                    "fork": info.fork,
                    "blocks": info.blocks,
                    "bytes": info.block_bytes,
                    "byteLength": info.byte_length,
                    "kind": if blobs.contains_key(&info.key) { "blobs" } else { "db" },
                    "drive": blobs.get(&info.key).map(|k| PearLink::new(*k).to_string()),
                    "discoveryKey": id::encode(&info.discovery_key),
                }),
            );
        }
        let stats = self.store.stats();
        Ok(json!({
            "count": count,
            "writable": writable,
            "bytes": stats.live_bytes,
            "diskBytes": stats.segment_bytes,
        }))
    }

    /// The blobs cores of all drives here, each with its drive's key.
    pub(super) fn blobs_of_drives(&self) -> Result<BTreeMap<CoreKey, CoreKey>, CommandError> {
        let mut out = BTreeMap::new();
        for info in self.store.cores().map_err(store_error)? {
            let core: Option<Core> = self.store.get_core(&info.key).map_err(store_error)?;
            let manifest = core.and_then(|c| c.manifest());
            if let Some(blobs) = manifest.and_then(|m| m.blobs(&info.key)) {
                out.insert(blobs.key(), info.key);
            }
        }
        Ok(out)
    }
}
