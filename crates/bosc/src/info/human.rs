//! `info`.

use crate::plain::one_line;
use crate::printer::{Printer, bytes};
use bosc_release::info::event::{InfoEvent, LinkInfo};
use serde_json::Value;

pub(crate) fn line(p: &Printer, event: &InfoEvent) {
    match event {
        InfoEvent::Retrieving { z32, .. } => p.detail(&format!("Looking for {z32}")),
        InfoEvent::Keys { project, content, discovery } => {
            field(p, "key", project);
            if let Some(content) = content {
                field(p, "content key", content);
            }
            field(p, "discovery key", discovery);
        }
        InfoEvent::Empty => p.data("[ Empty ]"),
        InfoEvent::Multisig { quorum, public_keys, .. } => {
            field(p, "quorum", &format!("{quorum} of {}", public_keys.len()));
            for key in public_keys {
                field(p, "signer", key);
            }
        }
        InfoEvent::Manifest { manifest } => p.document(manifest),
        InfoEvent::Info(info) => holds(p, info),
    }
}

fn holds(p: &Printer, info: &LinkInfo) {
    field(p, "link", &info.link);
    field(p, "verlink", &info.verlink);
    for (label, value) in [
        ("name", &info.name),
        ("product name", &info.product_name),
        ("version", &info.version),
        ("upgrade", &info.upgrade),
    ] {
        if let Value::String(text) = value {
            field(p, label, text);
        }
    }
    field(p, "length", &info.length.to_string());
    field(p, "fork", &info.fork.to_string());
    field(p, "metadata", &bytes(info.byte_length));
    if let Some(blobs) = &info.blobs {
        field(p, "content", &bytes(blobs.byte_length));
    }
    field(p, "writable here", if info.writable { "yes" } else { "no" });
}

pub(super) fn field(p: &Printer, label: &str, value: &str) {
    p.data(&format!("{label:<14} {}", one_line(value)));
}
