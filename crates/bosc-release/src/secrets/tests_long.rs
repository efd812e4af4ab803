//! Long files, and keys in use.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::tests::{all_of, run, signing_key, utf16, write};
use super::*;
use crate::keys::{backup, transfer};
use crate::manifest::keypair::KeyPair;
use crate::stage::tests::noise;
use crate::stage::{StageError, StageOptions};
use bosc_format::id;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use std::path::Path;

/// A log of some length.
fn lines(bytes: usize) -> String {
    (1..)
        .map(|n: u32| format!("{n} compiled\n"))
        .scan(0, |all, line| {
            *all += line.len();
            (*all < bytes).then_some(line)
        })
        .collect()
}

/// What a stage and a check of the same folder say of its only file.
fn both(root: &Path, keys: &KeysInUse) -> ContentVerdict {
    let mut all = Vec::new();
    for dry_run in [true, false] {
        let options = StageOptions { dry_run, keys: keys.clone(), ..StageOptions::default() };
        all.push(match run(root, &options).0 {
            Err(StageError::Secret(found)) => ContentVerdict::Secret(found.secret),
            Err(StageError::Suspects(found)) => ContentVerdict::Suspect(found.first().unwrap().suspect),
            Ok(summary) => {
                summary.suspects.first().map_or(ContentVerdict::Plain, |f| ContentVerdict::Suspect(f.suspect))
            }
            Err(other) => panic!("{other:?}"),
        });
    }
    let checked = match check_files(root, &all_of(root), &StorePlaces::default(), keys) {
        Ok(found) => found.first().map_or(ContentVerdict::Plain, |f| ContentVerdict::Suspect(f.suspect)),
        Err(error) => {
            assert_eq!(error.code(), "ERR_SECRET");
            *all.first().unwrap()
        }
    };
    assert!(all.iter().all(|v| *v == checked), "{all:?} {checked:?}");
    checked
}

#[test]
fn all_of_a_long_text_is_searched() {
    let dir = tempfile::tempdir().unwrap();
    let pair = KeyPair::generate().unwrap().to_json();
    let compact = pair.replace(['\n', ' '], "");
    let seed = noise(9, 32);
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v\n-----END PRIVATE KEY-----\n";
    let backup = backup::seal(&backup::Contents { primary: None, links: Vec::new() }, None, "x").unwrap();
    let carried = transfer::to_text("default", &signing_key()).unwrap() + "\n";
    let set = format!("BOSC_UPDATER_SECRET_KEY={}\n", BASE64.encode(&seed));
    let key_in_text = ContentVerdict::Suspect(Suspect::KeyInText);
    for (name, text, expected) in [
        ("set", set.clone(), key_in_text),
        ("pair", compact, ContentVerdict::Secret(Secret::UpdaterKey)),
        ("carried", carried, ContentVerdict::Secret(Secret::SigningKey)),
        ("backup", backup, ContentVerdict::Secret(Secret::KeyFile)),
        ("pem", pem.to_owned(), ContentVerdict::Suspect(Suspect::PrivateKey)),
        (
            "token",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a\n".to_owned(),
            ContentVerdict::Suspect(Suspect::Credentials),
        ),
        (
            "aws",
            "aws_secret_access_key = wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLE\n".to_owned(),
            ContentVerdict::Suspect(Suspect::Credentials),
        ),
        ("plain", "the end\n".to_owned(), ContentVerdict::Plain),
    ] {
        // Before, across and behind the ends of windows, and in the middle of more.
        for before in [65_500, 65_536, 69_600, 95_000, 700_000] {
            for behind in [0, 100_000] {
                let root = dir.path().join(format!("{name}-{before}-{behind}"));
                write(
                    &root.join("build.log"),
                    [lines(before), "\n".to_owned() + &text, lines(behind)].concat(),
                );
                assert_eq!(both(&root, &KeysInUse::default()), expected, "{name} {before} {behind}");
                std::fs::remove_dir_all(&root).unwrap();
            }
        }
    }
    let root = dir.path().join("wide");
    write(&root.join("build.log"), utf16(&format!("\u{feff}{}{set}", lines(200_000)), true));
    assert_eq!(both(&root, &KeysInUse::default()), key_in_text, "UTF-16");
    let root = dir.path().join("program");
    write(&root.join("app"), [b"\x7fELF\0\0".to_vec(), vec![0; 300_000], set.into_bytes()].concat());
    assert_eq!(both(&root, &KeysInUse::default()), key_in_text, "a program");
}

#[test]
fn a_changed_long_file_is_searched_to_its_end_on_dry_runs_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("build.log");
    let mut target = crate::stage::tests::MemoryTarget::default();
    write(&path, lines(3_000_000));
    crate::stage::stage(&mut target, dir.path(), &StageOptions::default(), &mut |_| {}).unwrap();
    let set = format!("BOSC_PRIMARY_KEY={}\n", HEXLOWER.encode(&noise(9, 32)));
    write(&path, ["changed\n".to_owned(), lines(3_000_000), set].concat());
    for dry_run in [true, false] {
        let options = StageOptions { dry_run, ..StageOptions::default() };
        let result = crate::stage::stage(&mut target, dir.path(), &options, &mut |_| {});
        assert!(matches!(result, Err(StageError::Suspects(_))), "dry run: {dry_run}");
    }
}

#[test]
fn a_key_in_use_is_refused_in_every_form_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let (seed, other) = (noise(9, 32), noise(10, 32));
    let keys = KeysInUse::default().with(&seed);
    assert!(!format!("{keys:?}").contains(&format!("{}", seed.first().unwrap())), "{keys:?}");
    let whole = [seed.clone(), noise(11, 32)].concat();
    for (n, form) in [
        HEXLOWER.encode(&seed).into_bytes(),
        HEXUPPER.encode(&seed).into_bytes(),
        BASE64.encode(&seed).into_bytes(),
        BASE64URL_NOPAD.encode(&seed).into_bytes(),
        BASE64.encode(&whole).into_bytes(),
        id::encode_bytes(&seed).into_bytes(),
        seed.clone(),
    ]
    .into_iter()
    .enumerate()
    {
        for (m, before) in [String::new(), "key: ".into(), lines(100_000)].into_iter().enumerate() {
            let root = dir.path().join(format!("{n}-{m}"));
            write(&root.join("a.txt"), [before.as_bytes(), &form].concat());
            assert_eq!(both(&root, &keys), ContentVerdict::Secret(Secret::InUse), "form {n}, place {m}");
            assert!(!matches!(both(&root, &KeysInUse::default().with(&other)), ContentVerdict::Secret(_)));
        }
    }
    // No flag lets it through, and what a stage without the key remembered does not count.
    let root = dir.path().join("2-0");
    let now = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let options = |keys: &KeysInUse| StageOptions {
        allow: vec!["a.txt".into()],
        allow_key: vec!["a.txt".into()],
        keys: keys.clone(),
        index: Some(dir.path().join("index")),
        now: Some(now),
        ..StageOptions::default()
    };
    let mut target = crate::stage::tests::MemoryTarget::default();
    let mut staged = |keys: &KeysInUse| crate::stage::stage(&mut target, &root, &options(keys), &mut |_| {});
    staged(&KeysInUse::default()).unwrap();
    assert!(matches!(staged(&keys), Err(StageError::Secret(_))));
    // An example is none.
    assert_eq!(both(&root, &KeysInUse::default().with(&[7; 32])), ContentVerdict::Suspect(Suspect::BareKey));
}

/// A name, also of a folder, and where a link leads go along with the files.
#[test]
fn no_name_and_no_target_is_a_key_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let seed = noise(9, 32);
    let keys = KeysInUse::default().with(&seed);
    let (hex, word) = (HEXLOWER.encode(&seed), id::encode_bytes(&seed));
    let split = format!("{}/{}", hex.get(..30).unwrap(), hex.get(30..).unwrap());
    for (n, (name, shown)) in [
        (hex.clone(), ""),
        (format!("a/b/{word}/c"), "a/b"),
        (format!("a/k-{hex}.txt"), "a"),
        (format!("d/{split}"), ""),
    ]
    .into_iter()
    .enumerate()
    {
        let root = dir.path().join(n.to_string());
        write(&root.join(&name), "x");
        assert_eq!(both(&root, &KeysInUse::default()), ContentVerdict::Plain);
        assert_eq!(both(&root, &keys), ContentVerdict::Secret(Secret::InName), "{name}");
        let error = check_files(&root, &all_of(&root), &StorePlaces::default(), &keys).unwrap_err();
        let said = format!("{error:?} {} {}", error.message(), error.hint_text());
        assert!(
            !said.contains(&hex) && !said.contains(&word) && !said.contains(hex.get(..30).unwrap()),
            "{said}"
        );
        assert!(
            said.contains(&format!(
                "{} is a folder",
                root.join(shown).display().to_string().trim_end_matches('/')
            )),
            "{said}"
        );
    }
    let named = dir.path().join(&hex);
    write(&named.join("a"), "x");
    let error = check_files(&named, &all_of(&named), &StorePlaces::default(), &keys).unwrap_err();
    assert!(!error.message().contains(&hex), "an artifact has the name of its folder");
    #[cfg(unix)]
    {
        let root = dir.path().join("link");
        write(&root.join("a"), "x");
        std::os::unix::fs::symlink(&word, root.join("l")).unwrap();
        assert_eq!(both(&root, &keys), ContentVerdict::Secret(Secret::InTarget));
        let error = check_files(&root, &all_of(&root), &StorePlaces::default(), &keys).unwrap_err();
        assert!(error.message().contains("/l is a link") && !error.message().contains(&word), "{error}");
    }
}

/// In groups and folds there is no long word, and no text at the start of a program.
#[test]
fn a_key_in_use_is_found_in_groups_and_in_programs() {
    let dir = tempfile::tempdir().unwrap();
    let seed = noise(9, 32);
    let keys = KeysInUse::default().with(&seed);
    let colons = HEXLOWER
        .encode(&seed)
        .as_bytes()
        .chunks(2)
        .map(String::from_utf8_lossy)
        .collect::<Vec<_>>()
        .join(":");
    let twice = BASE64.encode(BASE64.encode(&seed).as_bytes());
    for (n, text) in [colons, format!("  BOSC_UPDATER_SECRET_KEY: {twice}\n")].iter().enumerate() {
        for before in [0, 65_500, 69_600, 200_000] {
            for program in [false, true] {
                let root = dir.path().join(format!("{n}-{before}-{program}"));
                let start = if program { b"\x7fELF\0\0".to_vec() } else { Vec::new() };
                let before = if program { vec![0; before] } else { lines(before).into_bytes() };
                write(&root.join("a"), [start, before, b"\n".to_vec(), text.clone().into_bytes()].concat());
                assert_eq!(both(&root, &keys), ContentVerdict::Secret(Secret::InUse), "{n} {program}");
            }
        }
        let root = dir.path().join(format!("wide-{n}"));
        write(&root.join("a"), utf16(&format!("\u{feff}{}{text}", lines(200_000)), true));
        assert_eq!(both(&root, &keys), ContentVerdict::Secret(Secret::InUse), "UTF-16 {n}");
    }
}

#[test]
fn a_signing_key_whose_bytes_happen_to_be_utf16_is_one() {
    // Units of UTF-16 that stand alone are what random bytes usually fail on.
    let mut bytes = signing_key().encode();
    bytes.iter_mut().filter(|b| (0xd8..=0xdf).contains(*b)).for_each(|b| *b = 0x41);
    assert!(transfer::from_bytes(&bytes).is_ok());
    let verdict = look(Path::new("key"), &bytes, bytes.len() as u64, &KeysInUse::default()).unwrap();
    assert_eq!(verdict, ContentVerdict::Secret(Secret::SigningKey));
}

/// What `dump` is about to remove or write over is read to its end as well, and no key in use goes.
#[test]
fn what_is_to_be_removed_is_searched_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("d/build.log");
    let none = dir.path().join("none");
    let keep = |keys: &KeysInUse| keep(&none, &[], keys, std::iter::once(log.clone()));
    write(&log, lines(200_000));
    assert!(keep(&KeysInUse::default()).is_ok());
    let key = noise(9, 32);
    let pair = format!("BOSC_PRIMARY_KEY={}\n", HEXLOWER.encode(&key));
    for before in [0, 65_536, 200_000] {
        write(&log, [lines(before), "\n".to_owned() + &pair, lines(1000)].concat());
        assert_eq!(keep(&KeysInUse::default()).unwrap_err().code(), "ERR_SECRET", "{before}");
        write(&log, [lines(before), "\nx ".to_owned() + &HEXLOWER.encode(&key), "\n".into()].concat());
        assert_eq!(keep(&KeysInUse::default().with(&key)).unwrap_err().code(), "ERR_SECRET", "{before}");
    }
}
