//! `cores`: what is kept here.

use super::Cores;
use super::event::{CoreKept, CoreKind, CoresEvent, CoresShown};
use crate::command::Sink;
use crate::engine::Engine;
use crate::engine::errors::store_error;
use crate::error::CommandError;
use bosc_format::crypto::CoreKey;
use bosc_format::id;
use bosc_format::link::PearLink;
use bosc_store::Core;
use std::collections::BTreeMap;

impl Engine {
    pub(crate) fn cores(&self, request: &Cores, sink: &mut dyn Sink) -> Result<CoresShown, CommandError> {
        let blobs = self.blobs_of_drives()?;
        let (mut count, mut writable) = (0u64, 0u64);
        for info in self.store.cores().map_err(store_error)? {
            if info.contiguous_length == 0 && !request.all {
                continue;
            }
            let own = self.store.get_core(&info.key).map_err(store_error)?.is_some_and(|c| c.writable());
            count += 1;
            writable += u64::from(own);
            let drive = blobs.get(&info.key);
            sink.tell(CoresEvent::Core(Box::new(CoreKept {
                link: PearLink::new(info.key).to_string(),
                writable: own,
                length: info.length,
                contiguous_length: info.contiguous_length,
                fork: info.fork,
                blocks: info.blocks,
                bytes: info.block_bytes,
                byte_length: info.byte_length,
                kind: if drive.is_some() { CoreKind::Blobs } else { CoreKind::Db },
                drive: drive.map(|k| PearLink::new(*k).to_string()),
                discovery_key: id::encode(&info.discovery_key),
            })));
        }
        let stats = self.store.stats();
        Ok(CoresShown { count, writable, bytes: stats.live_bytes, disk_bytes: stats.segment_bytes })
    }

    /// The blobs cores of all drives here, each with its drive's key.
    pub(crate) fn blobs_of_drives(&self) -> Result<BTreeMap<CoreKey, CoreKey>, CommandError> {
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
