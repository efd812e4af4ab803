//! `info`: what a link holds.

use super::Info;
use super::event::{InfoEvent, LinkInfo};
use crate::command::{Sink, Stop};
use crate::engine::Engine;
use crate::engine::drive::{DriveCores, blobs_head, parse_link};
use crate::engine::follow::update;
use crate::error::CommandError;
use crate::update_costs::CostsOf;
use bosc_format::id;
use serde_json::Value;
use std::time::Duration;

impl Engine {
    pub(crate) fn info(&self, request: &Info, sink: &mut dyn Sink, stop: &Stop) -> Result<(), CommandError> {
        let link = parse_link(&request.link)?;
        let timeout = Duration::from_millis(request.timeout_ms);
        sink.tell(InfoEvent::Retrieving { z32: id::encode(&link.key), only_show_key: request.key });
        let _mirrors = self.read_mirrors(&link.key, &request.mirrors)?;
        let opened = self.open_fresh(&link, timeout, stop)?;
        self.tell_conflicts(&opened, sink)?;
        crate::mirror::sources::tell(opened.followed.as_ref(), sink);
        let drive = &opened.drive;
        let length = link.version.map_or(drive.db.head().length, |v| v.length);
        let blobs = drive.blobs()?;
        let only = request.key
            || request.metadata
            || request.manifest
            || request.multisig
            || request.changelog.is_some();
        if request.key || !only {
            sink.tell(InfoEvent::Keys {
                project: id::encode(drive.key()),
                content: blobs.as_ref().map(|b| id::encode(b.key())),
                discovery: id::encode(drive.db.discovery_key()),
            });
        }
        if length <= 1 {
            sink.tell(InfoEvent::Empty);
            return Ok(());
        }
        if let Some(select) = &request.changelog {
            self.changelog_at(&opened, length, select, timeout, sink, stop)?;
        }
        if request.multisig || !only {
            self.signers(drive, request.multisig, sink)?;
        }
        if request.manifest || request.metadata || !only {
            if let Some(blobs) = opened.blobs()?.filter(|_| !request.manifest) {
                // The head of the contents that is told below.
                let _ = update(blobs, 0, timeout.min(Duration::from_secs(3)), stop)?;
            }
            let package = self.package_json(&opened, length, timeout, stop)?;
            if request.manifest {
                sink.tell(InfoEvent::Manifest { manifest: package.unwrap_or(Value::Null) });
                return Ok(());
            }
            let field = |k: &str| package.as_ref().and_then(|p| p.get(k)).cloned().unwrap_or(Value::Null);
            let head = drive.db.head();
            let info = InfoEvent::Info(Box::new(LinkInfo {
                link: drive.plain_link(),
                verlink: drive.verlink(),
                hashlink: drive.hashlink(),
                name: field("name"),
                version: field("version"),
                product_name: field("productName"),
                upgrade: field("upgrade"),
                length: head.length,
                byte_length: head.byte_length,
                fork: head.fork,
                writable: drive.db.writable(),
                blobs: blobs.as_ref().map(blobs_head),
            }));
            sink.tell(info);
            CostsOf::opened(&opened, length, stop)?.tell(sink)?;
        }
        Ok(())
    }

    fn signers(&self, drive: &DriveCores, asked: bool, sink: &mut dyn Sink) -> Result<(), CommandError> {
        match drive.db.manifest().filter(|m| m.signers.len() > 1) {
            Some(m) => {
                let public_keys = m.signers.iter().map(|s| id::encode(&s.public_key)).collect();
                sink.tell(InfoEvent::Multisig { quorum: m.quorum, public_keys, only: asked });
                Ok(())
            }
            None if asked => Err(CommandError::input("Link has no multisig signers")
                .hint("the link has one signer; leave --multisig out")),
            None => Ok(()),
        }
    }
}
