//! Names and bounds of the files.

/// The largest block, in bytes. JavaScript peers take messages of up to 16 MiB.
pub const MAX_BLOCK_SIZE: usize = 64 << 20;

pub(crate) const FOLDER: &str = "data";

pub(super) fn file_name(id: u32) -> String {
    format!("{FOLDER}/{id:06}.seg")
}

/// The number in a segment's file name.
pub(super) fn parse_name(name: &str) -> Option<u32> {
    name.strip_suffix(".seg")?.parse().ok()
}
