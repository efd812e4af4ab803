#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use super::*;
use crate::base::Base;
use std::io::Write;

use crate::program::noise;

const PARAMETERS: Parameters = Parameters { level: 6, memory: 8, gzip: false };

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let piece =
        Pack { offset: 0, unpacked: bytes.len() as u64, method: Method::Zlib, parameters: PARAMETERS };
    let level = Level { new: vec![piece], ..Level::default() };
    let mut rebuild = Rebuild::new(&mut out, &level);
    rebuild.write_all(bytes).unwrap();
    rebuild.finish().unwrap();
    out
}

/// A file with a short piece and one of several chunks; its inside; the level.
fn file() -> (Vec<u8>, Vec<u8>, Level) {
    let short = noise(1, 900);
    let long: Vec<u8> = noise(2, 900_000).iter().map(|b| b % 11).collect();
    let (mut file, mut inside, mut level) = (b"before".to_vec(), b"before".to_vec(), Level::default());
    for bytes in [&short, &long] {
        let packed = zlib(bytes);
        let (len, unpacked) = (packed.len() as u64, bytes.len() as u64);
        level.old.push(Unpack { offset: file.len() as u64, packed: len, unpacked, method: Method::Zlib });
        level.new.push(Pack {
            offset: inside.len() as u64,
            unpacked,
            method: Method::Zlib,
            parameters: PARAMETERS,
        });
        file.extend_from_slice(&packed);
        inside.extend_from_slice(bytes);
        file.extend_from_slice(b"between");
        inside.extend_from_slice(b"between");
    }
    (file, inside, level)
}

#[test]
fn the_inside_is_read_anywhere() {
    let (file, inside, level) = file();
    let base = &file[..];
    let base: &dyn Base = &base;
    let len = level.inside_len(file.len() as u64).unwrap();
    assert_eq!(len, inside.len() as u64);
    let opened = Opened::new(base, &level, len, 40 << 20);
    let places = noise(3, 600);
    for p in places.chunks_exact(4) {
        let at = (usize::from(p[0]) << 16 | usize::from(p[1]) << 8 | usize::from(p[2])) % inside.len();
        let len = (usize::from(p[3]) * 97).min(inside.len() - at);
        let mut out = vec![0; len];
        opened.read_at(at as u64, &mut out).unwrap();
        assert!(out == inside[at..at + len], "{at} {len}");
    }
    assert!(opened.read_at(len - 1, &mut [0; 2]).is_err());
    // Work has a bound.
    let little = Opened::new(base, &level, len, 300 << 10);
    assert!(little.read_at(len - 9, &mut [0; 2]).is_err());
    // A recipe that does not fit.
    let mut other = level.clone();
    other.old[1].unpacked += 1;
    let opened = Opened::new(base, &other, len + 1, 40 << 20);
    assert!(opened.read_at(len - 9, &mut [0; 2]).is_err());
}

#[test]
fn the_file_is_rebuilt_from_any_portions() {
    let (file, inside, level) = file();
    for step in [1, 1000, 1 << 17, inside.len()] {
        let mut out = Vec::new();
        let mut rebuild = Rebuild::new(&mut out, &level);
        inside.chunks(step).for_each(|c| rebuild.write_all(c).unwrap());
        rebuild.finish().unwrap();
        assert!(out == file);
    }
    let mut out = Vec::new();
    let mut rebuild = Rebuild::new(&mut out, &level);
    rebuild.write_all(&inside[..1000]).unwrap();
    assert!(rebuild.finish().is_err(), "not everything came");
}

#[test]
fn a_recipe_is_read_as_it_was_written_or_refused() {
    let (file, inside, level) = file();
    let recipe = Recipe { levels: vec![level] };
    let (len, packed) = recipe.write();
    let lens = Lens {
        old: file.len() as u64,
        new: file.len() as u64,
        inside_old: inside.len() as u64,
        inside_new: inside.len() as u64,
    };
    assert_eq!(Recipe::read(&packed, 1, len, lens).unwrap(), recipe);
    let short = Lens { inside_old: lens.inside_old - 1, ..lens };
    let small = Lens { old: 900, ..lens };
    for lens in [short, small, Lens { inside_new: 1000, ..lens }] {
        assert!(Recipe::read(&packed, 1, len, lens).is_err());
    }
    for levels in [0, 2, 4, u64::MAX] {
        assert!(Recipe::read(&packed, levels, len, lens).is_err());
    }
    assert!(Recipe::read(&packed, 1, MOST_RECIPE + 1, lens).is_err());
    assert!(Recipe::read(&packed, 1, len - 1, lens).is_err());
}

/// Bytes that make a packer look at thousands of places for each: more work than a patch may cause.
#[test]
fn what_is_made_to_be_slow_is_refused() {
    let mut bytes = Vec::new();
    for i in 0..40_000u32 {
        bytes.extend_from_slice(b"abc");
        bytes.extend_from_slice(&noise(u64::from(i), 2));
    }
    let piece = Pack {
        offset: 0,
        unpacked: bytes.len() as u64,
        method: Method::Deflate,
        parameters: Parameters { level: 9, memory: 8, gzip: false },
    };
    let level = Level { new: vec![piece], ..Level::default() };
    let mut out = std::io::sink();
    let mut rebuild = Rebuild::new(&mut out, &level);
    let slow = bytes.chunks(1000).try_for_each(|c| rebuild.write_all(c));
    assert!(slow.is_err());
}

#[test]
fn checksums() {
    let mut adler = Adler::new();
    b"Wikipedia".chunks(4).for_each(|c| adler.take(c));
    assert_eq!(adler.sum(), 0x11e6_0398u32.to_be_bytes());
    for (level, header) in [(1, 0x01), (5, 0x5e), (6, 0x9c), (9, 0xda)] {
        assert_eq!(zlib_header(Parameters { level, ..PARAMETERS }), [0x78, header]);
    }
}
