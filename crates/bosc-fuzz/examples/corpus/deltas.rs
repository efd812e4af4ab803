//! Patches between files.

use crate::samples::Corpus;
use bosc_delta::{MakeOptions, make};
use bosc_fuzz::delta::Program;

pub(crate) fn deltas(c: &mut Corpus) {
    for (i, program) in Program::all().into_iter().enumerate() {
        let (old, new) = (program.build(60, None), program.build(60, Some(9)));
        let patch = make(&old, &new, &MakeOptions::default()).unwrap();
        c.add("delta_patch", [&[i as u8, 0], &patch[..]].concat());
        // Tables, script and new bytes under a header that is put right.
        let header = [i as u8, 1, 120, 40, 12, 90, 60, i as u8];
        c.add("delta_patch", [&header[..], patch.get(80..).unwrap_or(&[])].concat());
        c.add("delta_files", [i as u8, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    c.add(
        "delta_files",
        [&[9, 40, 0], "what was there and what is there now, nearly the same thing".as_bytes()].concat(),
    );
}
