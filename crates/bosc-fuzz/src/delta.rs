//! Patches between files.

use crate::Input;
use bosc_delta::{MakeOptions, apply, inspect, make};
use bosc_format::crypto::hash;

#[allow(missing_docs)]
#[path = "../../bosc-delta/tests/program/mod.rs"]
mod program;
pub use program::Program;

/// Longest result that a patch is asked for.
const MOST: u64 = 1 << 20;

macro_rules! package {
    ($which:literal, $kind:literal) => {
        include_bytes!(concat!("../../bosc-delta/tests/vectors/package-", $which, ".", $kind))
    };
}

/// Packages with a program, before and after a change of it.
const PACKAGES: [(&[u8], &[u8]); 3] = [
    (package!("old", "zip"), package!("new", "zip")),
    (package!("old", "tar.gz"), package!("new", "tar.gz")),
    (package!("old", "sqfs"), package!("new", "sqfs")),
];
/// The first byte of an input that is about packages.
pub const FIRST_PACKAGE: u8 = 100;

/// The old file of an input.
fn base(which: u8) -> Vec<u8> {
    let package = which.checked_sub(FIRST_PACKAGE).and_then(|i| PACKAGES.get(usize::from(i)));
    let programs = Program::all();
    package.map_or_else(|| programs[usize::from(which) % programs.len()].build(60, None), |p| p.0.to_vec())
}

/// A patch for a small program or package: the first byte says which. Bits of the second: the header is put right beforehand, so
/// that the lengths fit, and what follows are tables, script and new bytes; it is of a patch between insides, a recipe is before
/// the tables; programs are placed anywhere.
pub fn patch(data: &[u8]) {
    let mut input = Input::new(data);
    let old = base(input.u8());
    let mut patch = Vec::new();
    let mode = input.u8();
    if mode & 1 == 1 {
        let (tables, packed, copies) = (input.u8(), input.u8(), input.u8());
        let (script, extra, packing) = (input.u8(), input.u8(), input.u8() % 3);
        let inside = mode & 2 == 2;
        patch.extend_from_slice(b"boscdlt");
        patch.extend_from_slice(&[1 + u8::from(inside), 1 + (mode >> 2 & 1)]);
        let number = |patch: &mut Vec<u8>, v: u64| {
            patch.extend_from_slice(&[v as u8 | 128, (v >> 7) as u8 | 128, (v >> 14) as u8 & 127]);
        };
        number(&mut patch, old.len() as u64);
        number(&mut patch, 20_000);
        patch.extend_from_slice(&hash(&[&old]));
        patch.extend_from_slice(&[0; 32]);
        if inside {
            let (levels, recipe, packed) = (input.u8() % 4, input.u8(), input.u8());
            for n in [levels, recipe, packed] {
                number(&mut patch, u64::from(n));
            }
            number(&mut patch, u64::from(input.u16()));
            number(&mut patch, u64::from(input.u16()));
        }
        for n in [tables, packed, copies, script, extra] {
            number(&mut patch, u64::from(n));
        }
        patch.push(packing);
    }
    patch.extend_from_slice(input.rest());
    let Ok(seen) = inspect(&patch) else {
        assert!(apply(&old[..], &patch, std::io::sink()).is_err());
        return;
    };
    if seen.new_len > MOST {
        return;
    }
    let mut out = Vec::new();
    if apply(&old[..], &patch, &mut out).is_ok() {
        assert_eq!(out.len() as u64, seen.new_len);
        assert_eq!(hash(&[&out]), seen.new_hash);
    } else {
        assert!(out.len() as u64 <= seen.new_len);
    }
}

/// Two files: a patch between them gives the second. The first byte says whether they begin as programs do, or are packages that
/// are damaged.
pub fn files(data: &[u8]) {
    let mut input = Input::new(data);
    let (which, cut) = (input.u8(), usize::from(input.u16()));
    let rest = input.rest();
    let (a, b) = rest.split_at(cut.min(rest.len()));
    let programs = Program::all();
    let file = |bytes: &[u8], grown: Option<usize>| {
        let package = which.checked_sub(FIRST_PACKAGE).and_then(|i| PACKAGES.get(usize::from(i)));
        if let Some((old, new)) = package {
            let mut file = if grown.is_some() { new.to_vec() } else { old.to_vec() };
            // Where, and what: anywhere, and at the end, where directories are.
            for change in bytes.chunks_exact(3) {
                let at = usize::from(change[0]) << 8 | usize::from(change[1]);
                let len = file.len();
                file[if at & 1 == 0 { at % len } else { len - 1 - at % len.min(300) }] ^= change[2];
            }
            return file;
        }
        let Some(program) = programs.get(usize::from(which)) else { return bytes.to_vec() };
        let mut file = program.build(20, grown);
        // Over the headers.
        for (to, from) in file.iter_mut().skip(8).zip(bytes) {
            *to ^= from;
        }
        file
    };
    let (old, new) = (file(a, None), file(b, Some(3)));
    let patch = make(&old, &new, &MakeOptions::default()).unwrap();
    let mut out = Vec::new();
    apply(&old[..], &patch, &mut out).unwrap();
    assert!(out == new);
}
