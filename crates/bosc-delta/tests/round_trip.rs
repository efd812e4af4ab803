//! Patches of files of every kind give the new file; hostile ones give an error.
#![cfg(feature = "make")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod program;

use bosc_delta::{Error, MakeOptions, apply, inspect, make};
use program::{Program, noise};
use proptest::prelude::*;

fn patch(old: &[u8], new: &[u8]) -> Vec<u8> {
    make(old, new, &MakeOptions::default()).unwrap()
}

fn applied(old: &[u8], patch: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    apply(old, patch, &mut out)?;
    Ok(out)
}

fn check(old: &[u8], new: &[u8]) -> Vec<u8> {
    let made = patch(old, new);
    assert_eq!(made, patch(old, new), "the same files give the same patch");
    assert!(applied(old, &made).unwrap() == new);
    let seen = inspect(&made).unwrap();
    assert_eq!((seen.old_len, seen.new_len), (old.len() as u64, new.len() as u64));
    made
}

#[test]
fn files_of_no_kind() {
    let a = noise(1, 100_000);
    let mut b = a.clone();
    b.splice(50_000..50_100, noise(2, 300));
    b.drain(10..20);
    let text = "the quick brown fox\n".repeat(4000).into_bytes();
    for (old, new, most) in [
        (&[][..], &[][..], 100),
        (&[], &a[..1000], 1200),
        (&a[..1000], &[], 100),
        (&a, &a, 130),
        (&a, &b, 600),
        (&b, &a, 600),
        (&a, &text, 300),
        (&text, &a, 100_200),
        (&[0; 70_000], &[0; 69_999], 120),
    ] {
        let made = check(old, new);
        assert!(made.len() <= most, "{} to {}: {}", old.len(), new.len(), made.len());
    }
}

#[test]
fn a_function_that_grew_costs_little_in_a_program() {
    for program in Program::all() {
        let (old, new) = (program.build(400, None), program.build(400, Some(200)));
        let made = check(&old, &new);
        let plain = MakeOptions::default().without_executables();
        let blind = make(&old, &new, &plain).unwrap();
        assert!(made.len() * 2 < blind.len(), "{program:?}: {} of {}", made.len(), blind.len());
        assert!(inspect(&made).unwrap().regions > 0);
    }
}

#[test]
fn another_base_and_another_result_are_refused() {
    let (a, mut b) = (noise(1, 5000), noise(1, 5000));
    b[100] ^= 1;
    let made = patch(&a, &b);
    assert!(matches!(applied(&b, &made), Err(Error::WrongBase)));
    assert!(matches!(applied(&a[1..], &made), Err(Error::WrongBase)));
    assert!(matches!(applied(&a, b"something else that is no patch"), Err(Error::NotAPatch)));
    let mut later = made.clone();
    later[7] = 9;
    assert!(matches!(applied(&a, &later), Err(Error::Version { format: 9, .. })));
    // The hash of the result: 9 bytes, two lengths of two, the base's hash.
    let mut lies = made;
    lies[9 + 4 + 32] ^= 1;
    assert!(matches!(applied(&a, &lies), Err(Error::WrongResult)));
}

#[test]
fn a_patch_that_is_cut_or_changed_gives_an_error() {
    for program in Program::all() {
        let (old, new) = (program.build(60, None), program.build(60, Some(7)));
        let made = patch(&old, &new);
        for cut in 0..made.len() {
            assert!(applied(&old, &made[..cut]).is_err(), "{cut}");
        }
        for i in 0..made.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = made.clone();
                changed[i] ^= change;
                if let Ok(out) = applied(&old, &changed) {
                    assert!(out == new);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn edits_of_anything(
        seed in any::<u64>(),
        len in 0usize..20_000,
        edits in prop::collection::vec((any::<u16>(), 0usize..500, any::<u64>(), 0usize..500), 0..8),
    ) {
        let old = noise(seed, len);
        let mut new = old.clone();
        for (at, gone, seed, come) in edits {
            let at = usize::from(at) % (new.len() + 1);
            let end = new.len().min(at + gone);
            new.splice(at..end, noise(seed, come));
        }
        check(&old, &new);
    }

    #[test]
    fn programs_that_are_damaged(
        which in 0usize..3,
        places in prop::collection::vec((any::<u16>(), any::<u8>()), 1..30),
    ) {
        let program = Program::all()[which];
        let mut files = [program.build(40, None), program.build(40, Some(3))];
        for (i, (at, byte)) in places.iter().enumerate() {
            let file = &mut files[i % 2];
            // Most of them in the headers.
            let most = if i % 3 == 0 { file.len() } else { 600.min(file.len()) };
            file[usize::from(*at) % most] = *byte;
        }
        check(&files[0], &files[1]);
    }

    #[test]
    fn patches_that_are_anything(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut patch = b"boscdlt\x01\x01".to_vec();
        patch.extend_from_slice(&bytes);
        prop_assert!(applied(&noise(1, 300), &patch).is_err());
        let _ = inspect(&patch);
    }
}
