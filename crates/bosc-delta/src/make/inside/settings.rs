//! With what a piece was packed: what packs it to the same bytes.

use super::opened::Opened;
use crate::packed::{Deflate, Parameters, packs_to};

/// Settings in the order in which they are tried: what held last is tried first.
pub(super) struct Settings {
    order: Vec<Tried>,
}

struct Tried {
    parameters: Parameters,
    packer: Option<Deflate>,
}

impl Default for Settings {
    fn default() -> Settings {
        let mut order = Vec::new();
        // Programs leave the level alone, or ask for the most.
        for (memory, gzip) in [(8, false), (8, true), (9, false)] {
            for level in [6, 9, 1, 5, 7, 8, 4, 3, 2] {
                order.push(Tried { parameters: Parameters { level, memory, gzip }, packer: None });
            }
        }
        Settings { order }
    }
}

impl Settings {
    /// Those that pack what was opened to these bytes.
    pub(super) fn of(&mut self, opened: &Opened, packed: &[u8]) -> Option<Parameters> {
        let at = self.order.iter_mut().position(|t| {
            let packer = t.packer.get_or_insert_with(|| Deflate::new(t.parameters));
            packs_to((t.parameters, packer), opened.piece.method, &opened.bytes, packed)
        })?;
        let found = self.order.remove(at);
        let parameters = found.parameters;
        self.order.insert(0, found);
        Some(parameters)
    }
}
