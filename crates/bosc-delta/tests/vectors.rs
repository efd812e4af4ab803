//! Patches that were recorded apply for ever: the extractor is frozen behind its version. `BOSC_RECORD_VECTORS=1` writes those of
//! this version, once; a change of what they hold needs a new version.
#![cfg(feature = "make")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod program;

use bosc_delta::{MakeOptions, apply, make};
use program::Program;
use std::path::Path;

#[test]
fn recorded_patches_apply() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    for program in Program::all() {
        let (old, new) = (program.build(200, None), program.build(200, Some(11)));
        let path = folder.join(format!("v1-{program:?}.patch").to_lowercase());
        if std::env::var_os("BOSC_RECORD_VECTORS").is_some() {
            std::fs::write(&path, make(&old, &new, &MakeOptions::default()).unwrap()).unwrap();
        }
        let mut out = Vec::new();
        apply(&old[..], &std::fs::read(&path).unwrap(), &mut out).unwrap();
        assert!(out == new, "{program:?}");
        // And the maker makes the same one today.
        assert!(
            make(&old, &new, &MakeOptions::default()).unwrap() == std::fs::read(&path).unwrap(),
            "{program:?}"
        );
    }
}
