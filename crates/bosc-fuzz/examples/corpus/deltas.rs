//! Patches between files.

use crate::samples::Corpus;
use bosc_delta::{MakeOptions, make};
use bosc_drive::deltas::{NOTHING, hop_key_of, key_of};
use bosc_fuzz::delta::{FIRST_PACKAGE, Program};

/// What of the recipe, and the recorded patch of a package.
const PATCHES: [(u8, &[u8]); 3] = [
    (120, include_bytes!("../../../bosc-delta/tests/vectors/v2-zip.patch")),
    (90, include_bytes!("../../../bosc-delta/tests/vectors/v2-tar.gz.patch")),
    (60, include_bytes!("../../../bosc-delta/tests/vectors/v2-sqfs.patch")),
];

pub(crate) fn deltas(c: &mut Corpus) {
    for (i, program) in Program::all().into_iter().enumerate() {
        let (old, new) = (program.build(60, None), program.build(60, Some(9)));
        let patch = make(&old, &new, &MakeOptions::default()).unwrap();
        c.add("delta_patch", [&[i as u8, 0], &patch[..]].concat());
        // Tables, script and new bytes under a header that is put right.
        let header = [i as u8, 1, 120, 40, 12, 90, 60, i as u8];
        c.add("delta_patch", [&header[..], patch.get(80..).unwrap_or(&[])].concat());
        // The whole file, packed.
        c.add(
            "delta_patch",
            [&[i as u8, 0], &make(&[], &new, &MakeOptions::default()).unwrap()[..]].concat(),
        );
        c.add("delta_files", [i as u8, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    for (i, (kind, patch)) in PATCHES.into_iter().enumerate() {
        let which = FIRST_PACKAGE + i as u8;
        c.add("delta_patch", [&[which, 0], patch].concat());
        let recipe = [kind, 40, 30, 60, 90, 1, 1, 30, 30, 0x50, 0x40, 0x50, 0x40];
        c.add("delta_patch", [&[which, 7][..], &recipe, patch.get(90..).unwrap_or(&[])].concat());
        c.add("delta_files", [which, 6, 0, 1, 2, 3, 0, 9, 1, 0, 7, 0, 2, 1, 4]);
    }
    let file = "/by-arch/linux-x64/app/Demo";
    c.add("deltas", key_of(file, &NOTHING).unwrap());
    c.add("deltas", hop_key_of(file, &[1; 32], &[0xab; 32]).unwrap());
    // From 1 over 2 and 3 to the file, and from 3 around in a circle.
    c.add("deltas", [0, 2, 5, 1, 3, 5, 2, 0, 9, 2, 1, 1, 3, 0, 255, 2, 4, 255]);
    c.add(
        "delta_files",
        [&[9, 40, 0], "what was there and what is there now, nearly the same thing".as_bytes()].concat(),
    );
}
