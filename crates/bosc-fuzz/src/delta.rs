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

/// A patch for a small program: the first byte says which. Its second says whether the header is put right beforehand: then the
/// lengths fit, and what follows are tables, script and new bytes.
pub fn patch(data: &[u8]) {
    let mut input = Input::new(data);
    let programs = Program::all();
    let old = programs[usize::from(input.u8()) % programs.len()].build(60, None);
    let mut patch = Vec::new();
    if input.u8() & 1 == 1 {
        let (tables, packed, copies) = (input.u8(), input.u8(), input.u8());
        let (script, extra, packing) = (input.u8(), input.u8(), input.u8() % 3);
        patch.extend_from_slice(b"boscdlt\x01\x01");
        let number = |patch: &mut Vec<u8>, v: u64| {
            patch.extend_from_slice(&[v as u8 | 128, (v >> 7) as u8 | 128, (v >> 14) as u8 & 127]);
        };
        number(&mut patch, old.len() as u64);
        number(&mut patch, 20_000);
        patch.extend_from_slice(&hash(&[&old]));
        patch.extend_from_slice(&[0; 32]);
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

/// Two files: a patch between them gives the second. The first byte says whether they begin as programs do.
pub fn files(data: &[u8]) {
    let mut input = Input::new(data);
    let (which, cut) = (input.u8(), usize::from(input.u16()));
    let rest = input.rest();
    let (a, b) = rest.split_at(cut.min(rest.len()));
    let programs = Program::all();
    let file = |bytes: &[u8], grown: Option<usize>| {
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
