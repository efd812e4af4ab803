//! Packages are opened: what changed inside costs what it costs alone, and every byte of the package comes back.
//!
//! The packages are recorded (`tests/vectors`), since programs made them that are not everywhere. `BOSC_RECORD_VECTORS=packages` makes
//! them and their patches anew with zip 3.0, gzip 1.12, tar and mksquashfs 4.5; `BOSC_RECORD_VECTORS=1` the patches alone, once for a
//! version.
#![cfg(feature = "make")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod program;

use bosc_delta::{Error, MakeOptions, apply, inspect, make};
use program::{Program, noise};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Name, and what a patch of it may cost in times of that of the program alone, beside 100 bytes for its directory.
const PACKAGES: [(&str, u64); 5] =
    [("zip", 3), ("tar.gz", 3), ("sqfs", 3), ("appimage", 3), ("nested.zip", 3)];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn program(new: bool) -> Vec<u8> {
    Program::Elf.build(300, new.then_some(11))
}

/// Packs a folder with a program and two files that stay.
fn record(new: bool) {
    let work = std::env::temp_dir().join(format!("bosc-delta-{new}-{}", std::process::id()));
    let app = work.join("app");
    std::fs::create_dir_all(&app).unwrap();
    std::fs::write(app.join("a.txt"), "what is always the same\n".repeat(30)).unwrap();
    std::fs::write(app.join("program"), program(new)).unwrap();
    std::fs::write(app.join("z.bin"), noise(9, 600)).unwrap();
    let name = |kind: &str| folder().join(format!("package-{}.{kind}", if new { "new" } else { "old" }));
    let run = |line: &str, out: &str| {
        let _ = std::fs::remove_file(name(out));
        let line = line.replace("OUT", name(out).to_str().unwrap());
        let done = Command::new("sh").args(["-ec", &line]).current_dir(&work).env("TZ", "UTC").status();
        assert!(done.unwrap().success(), "{line}");
    };
    run("find app -exec touch -d @1700000000 {} +; zip -Xqr OUT app", "zip");
    run("tar --sort=name --owner=0 --group=0 -c app | gzip -9n > OUT", "tar.gz");
    run(
        "mksquashfs app OUT -b 4096 -comp gzip -all-time 0 -mkfs-time 0 -all-root -nopad -quiet -no-progress",
        "sqfs",
    );
    let squashfs = std::fs::read(name("sqfs")).unwrap();
    std::fs::write(name("appimage"), [Program::Elf.build(5, None), squashfs].concat()).unwrap();
    run(
        "tar --sort=name --owner=0 --group=0 -c app | gzip -6n > in.tar.gz; touch -d @1700000000 in.tar.gz; zip -X0q a.zip in.tar.gz; \
         touch -d @1700000000 a.zip; zip -Xq OUT a.zip app/a.txt",
        "nested.zip",
    );
    std::fs::remove_dir_all(&work).unwrap();
}

fn package(new: bool, kind: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("package-{}.{kind}", if new { "new" } else { "old" }))).unwrap()
}

fn patch(old: &[u8], new: &[u8]) -> Vec<u8> {
    make(old, new, &MakeOptions::default()).unwrap()
}

fn applied(old: &[u8], patch: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    apply(old, patch, &mut out)?;
    Ok(out)
}

#[test]
fn a_package_costs_what_its_changed_program_costs() {
    let recording = std::env::var("BOSC_RECORD_VECTORS").unwrap_or_default();
    if recording == "packages" {
        record(false);
        record(true);
    }
    let alone = patch(&program(false), &program(true)).len() as u64;
    for (kind, times) in PACKAGES {
        let (old, new) = (package(false, kind), package(true, kind));
        let made = patch(&old, &new);
        assert!(applied(&old, &made).unwrap() == new, "{kind}");
        let seen = inspect(&made).unwrap();
        assert!(seen.format == 2 && seen.packed > 0 && seen.inside.is_some(), "{kind}: {seen:?}");
        assert!(seen.regions > 0, "{kind}: its program is understood");
        let blind = make(&old, &new, &MakeOptions::default().without_packages()).unwrap();
        println!("{kind}: {} of {}, alone {alone}, unopened {}", made.len(), new.len(), blind.len());
        assert!(made.len() < blind.len(), "{kind}: {} and {}", made.len(), blind.len());
        assert!((made.len() as u64) < times * alone + 100, "{kind}: {} for {alone}", made.len());
        let path = folder().join(format!("v2-{kind}.patch"));
        if !recording.is_empty() {
            std::fs::write(&path, &made).unwrap();
        }
        assert!(std::fs::read(path).unwrap() == made, "{kind}: the recorded patch is the one that is made");
    }
}

/// Archives that do not pack: programs in them are found wherever they begin.
#[test]
fn programs_in_archives_that_do_not_pack() {
    let alone = patch(&program(false), &program(true)).len();
    for before in [512, 1037] {
        let archive = |new: bool| [noise(1, before), program(new), noise(2, 3000)].concat();
        let (old, new) = (archive(false), archive(true));
        let made = patch(&old, &new);
        assert!(applied(&old, &made).unwrap() == new);
        let seen = inspect(&made).unwrap();
        assert_eq!((seen.format, seen.extractor), (1, 2), "{before}");
        assert!(made.len() < alone + 60, "{before}: {} and {alone}", made.len());
    }
}

/// Several programs of which one is the same, one moved and one went away.
#[test]
fn several_programs() {
    let file = |parts: &[&[u8]]| parts.concat();
    let (a, b, c) =
        (Program::Elf.build(200, None), Program::Pe.build(200, None), Program::MachO.build(200, None));
    let (b2, c2) = (Program::Pe.build(200, Some(50)), Program::MachO.build(200, Some(3)));
    let (old, new) =
        (file(&[&noise(1, 99), &a, &b, &noise(2, 501), &c]), file(&[&noise(1, 99), &c2, &a, &b2]));
    let made = patch(&old, &new);
    assert!(applied(&old, &made).unwrap() == new);
    let apart = patch(&b, &b2).len() + patch(&c, &c2).len();
    assert!(made.len() < apart + 100, "{} and {apart}", made.len());
}

#[test]
fn a_patch_of_a_package_that_is_cut_or_changed_gives_an_error() {
    for kind in ["zip", "sqfs"] {
        let (old, new) = (package(false, kind), package(true, kind));
        let made = patch(&old, &new);
        for cut in (0..made.len()).step_by(3) {
            assert!(applied(&old, &made[..cut]).is_err(), "{cut}");
        }
        for i in 0..made.len() {
            let mut changed = made.clone();
            changed[i] ^= [1, 0x80, 0xff][i % 3];
            if let Ok(out) = applied(&old, &changed) {
                assert!(out == new);
            }
        }
    }
}

/// Packages that are damaged give a patch all the same, of what is inside or of the file.
#[test]
fn damaged_packages() {
    for (kind, _) in PACKAGES {
        let files = [package(false, kind), package(true, kind)];
        for seed in 0..12 {
            let mut files = files.clone();
            for (i, place) in noise(seed, 24).chunks_exact(3).enumerate() {
                let file = &mut files[i % 2];
                let at = (usize::from(place[0]) << 8 | usize::from(place[1])) % file.len();
                let at = if i % 3 == 0 { file.len() - 1 - at % 200 } else { at };
                file[at] ^= place[2];
            }
            let made = patch(&files[0], &files[1]);
            assert!(applied(&files[0], &made).unwrap() == files[1], "{kind} {seed}");
        }
    }
}
