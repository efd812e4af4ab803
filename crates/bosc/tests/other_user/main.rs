//! A machine that others use, too: commands that root runs where another user may write.
//!
//! The other user is a process of its own with another uid. It plants what it likes before the command, and exchanges
//! folders while it runs. Asserted every time: nothing outside of what the command was given was written, removed or
//! published, and what the command put in place belongs to the user who ran it.
//!
//! Only root can start a process of another user. Anybody else is told that the tests were left out.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod intruder;
mod place;

use intruder::Intruder;
use place::{Place, contents, owners};
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;

/// The helper of the other tests: what the other user's process runs. Alone it does nothing.
#[test]
fn intruder_process() {
    intruder::run_if_asked();
}

/// `sub` of the folder is now a folder, now a link to a folder of root's.
#[test]
fn dump_where_a_folder_is_exchanged_for_a_link() {
    let Some(place) = Place::as_root() else { return };
    let (one, two) = (place.stage(&[("sub/f", "one"), ("sub/only-one", "1"), ("top", "1")]), {
        place.stage_again(&[("sub/f", "two, longer"), ("sub/deep/g", "2"), ("top", "2")])
    });
    let outside = place.outside(&["f", "only-one", "extra", "deep/g", "deep/extra"]);
    let project = place.shared("project");
    let before = contents(&outside);
    place.ok(&["dump", &one, project.to_str().unwrap()]);
    let intruder = Intruder::start(&place, "exchange", &[&project.join("sub"), &outside]);
    let mut done = 0;
    for round in 0..100 {
        let link = if round % 2 == 0 { &one } else { &two };
        let mut args = vec!["dump", link, project.to_str().unwrap(), "--force"];
        if round % 5 == 4 {
            args.push("--no-prune");
        }
        done += usize::from(place.bosc(&args).status.success());
        assert_eq!(contents(&outside), before, "round {round}");
    }
    let exchanged = intruder.end();
    println!("{done} of 100 dumps went through, {exchanged} exchanges");
    assert!(done > 0 && exchanged > 100, "{done} {exchanged}");
    // And when it is quiet again, the folder becomes the drive.
    let _ = fs::remove_file(project.join("sub"));
    place.ok(&["dump", &one, project.to_str().unwrap(), "--force"]);
    let now = contents(&project);
    assert_eq!(now.len(), 3, "{now:?}");
    assert_eq!(now["sub/f"], "one");
    assert!(owners(&project).iter().all(|uid| *uid == 0));
}

/// The way to the folder leads over a link that the other user made.
#[test]
fn dump_into_a_link_of_another_user() {
    let Some(place) = Place::as_root() else { return };
    let link = place.stage(&[("f", "one")]);
    let outside = place.outside(&["f"]);
    let shared = place.shared("shared");
    for to in ["d", "d/below"] {
        let _ = fs::remove_file(shared.join("d"));
        symlink(&outside, shared.join("d")).unwrap();
        lchown(shared.join("d"), Some(intruder::UID), Some(intruder::UID)).unwrap();
        let output = place.bosc(&["dump", &link, shared.join(to).to_str().unwrap(), "--force"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(6), "{text}");
        assert!(text.contains("link of another user"), "{text}");
        assert_eq!(contents(&outside).len(), 1);
        assert_eq!(contents(&outside)["f"], "outside f");
    }
    // Our own link is followed.
    let _ = fs::remove_file(shared.join("d"));
    let own = place.shared("own");
    symlink(&own, shared.join("d")).unwrap();
    place.ok(&["dump", &link, shared.join("d").to_str().unwrap()]);
    assert_eq!(contents(&own)["f"], "one");
}

/// The other user takes every work folder he sees away and puts his own there. Without a mask of new files he might
/// write to any folder that he can reach.
#[test]
fn install_where_work_folders_are_exchanged() {
    let Some(place) = Place::as_root() else { return };
    let host = place.host();
    let app = format!("by-arch/{host}/app/Demo/bin/Demo");
    let link = place.stage(&[(&app, "#!/bin/sh\n"), (&format!("by-arch/{host}/app/Demo/lib/x"), "x")]);
    let outside = place.outside(&["bin/Demo", "lib/x"]);
    let before = contents(&outside);
    let apps = place.shared("apps");
    // The name that was used once: it could be foreseen.
    let key = link.rsplit(['.', '/']).next().unwrap();
    let id: String = key.chars().take(16).collect();
    let planted = apps.join(format!(".bosc-install-{id}"));
    fs::create_dir(&planted).unwrap();
    symlink(&outside, planted.join("Demo")).unwrap();
    lchown(&planted, Some(intruder::UID), Some(intruder::UID)).unwrap();
    let intruder = Intruder::start(&place, "hidden", &[&apps, &outside]);
    let mut done = 0;
    for round in 0..40 {
        let output = place.bosc_with_umask("000", &["install", &link, "--to", apps.to_str().unwrap()]);
        assert_eq!(contents(&outside), before, "round {round}");
        if output.status.success() {
            done += 1;
            assert_eq!(contents(&apps.join("Demo")).len(), 2);
            assert!(owners(&apps.join("Demo")).iter().all(|uid| *uid == 0), "round {round}");
        }
        place.bosc(&["install", &link, "--uninstall"]);
        let _ = fs::remove_dir_all(apps.join("Demo"));
    }
    let exchanged = intruder.end();
    println!("{done} of 40 installs went through, {exchanged} exchanges");
    assert!(done > 0 && exchanged > 0, "{done} {exchanged}");
    assert!(owners(&planted).contains(&intruder::UID), "what he made is still his");
}

/// The same for `build`, where `--force` replaces a folder.
#[test]
fn build_where_work_folders_are_exchanged() {
    let Some(place) = Place::as_root() else { return };
    let source = place.own("source");
    place::write(&source, &[("package.json", r#"{"name":"demo","productName":"Demo","version":"1.0.0"}"#)]);
    place::write(&source, &[("out/Demo/bin/Demo", "#!/bin/sh\n"), ("out/Demo/lib/x", "x")]);
    let outside = place.outside(&["tree/f", "lock"]);
    let before = contents(&outside);
    let shared = place.shared("builds");
    // The name that was used once, with a link where the lock was truncated and one where the tree was emptied.
    let planted = shared.join(".out.bosc-build");
    fs::create_dir(&planted).unwrap();
    symlink(outside.join("lock"), planted.join("lock")).unwrap();
    symlink(outside.join("tree"), planted.join("tree")).unwrap();
    lchown(&planted, Some(intruder::UID), Some(intruder::UID)).unwrap();
    let intruder = Intruder::start(&place, "hidden", &[&shared, &outside]);
    let target = shared.join("out");
    let app = source.join("out/Demo");
    let mut done = 0;
    for round in 0..60 {
        let args = [
            "build",
            "--package",
            source.to_str().unwrap(),
            "--target",
            target.to_str().unwrap(),
            "--linux-x64-app",
            app.to_str().unwrap(),
            "--force",
        ];
        let mask = if round % 2 == 0 { "000" } else { "002" };
        let output = place.bosc_with_umask(mask, &args);
        assert_eq!(contents(&outside), before, "round {round}");
        if output.status.success() {
            done += 1;
            assert_eq!(contents(&target).len(), 3);
            assert!(owners(&target).iter().all(|uid| *uid == 0), "round {round}");
        }
    }
    let exchanged = intruder.end();
    println!("{done} of 60 builds went through, {exchanged} exchanges");
    assert!(done > 0 && exchanged > 0, "{done} {exchanged}");
}

/// Links of the other user, and folders that become such links, are not published.
#[test]
fn stage_publishes_nothing_of_others() {
    let Some(place) = Place::as_root() else { return };
    let secret = place.own("secret");
    place::write(&secret, &[("key", "SECRET"), ("sub/f", "SECRET")]);
    let project = place.shared("project");
    place::write(&project, &[("package.json", r#"{"name":"demo","version":"1.0.0"}"#), ("sub/f", "mine")]);
    let link = place.touch();
    let stage = |place: &Place| place.bosc(&["stage", &link, project.to_str().unwrap()]);
    for (name, to) in [("file", secret.join("key")), ("folder", secret.clone())] {
        symlink(&to, project.join(name)).unwrap();
        lchown(project.join(name), Some(intruder::UID), Some(intruder::UID)).unwrap();
        let output = stage(&place);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(6), "{text}");
        assert!(
            text.contains(project.join(name).to_str().unwrap()) && text.contains("another user"),
            "{text}"
        );
        // The same link made by the user who stages is followed.
        lchown(project.join(name), Some(0), Some(0)).unwrap();
        assert!(stage(&place).status.success());
        fs::remove_file(project.join(name)).unwrap();
    }
    assert!(stage(&place).status.success());
    let intruder = Intruder::start(&place, "exchange", &[&project.join("sub"), &secret.join("sub")]);
    let mut done = 0;
    for round in 0..100 {
        // Another content each time, so that it is read.
        fs::write(project.join("round"), round.to_string()).unwrap();
        done += usize::from(stage(&place).status.success());
        let listed = place.bosc(&["dump", &link, "-", "--json"]);
        assert!(!String::from_utf8_lossy(&listed.stdout).contains("SECRET"), "round {round}");
    }
    let exchanged = intruder.end();
    println!("{done} of 100 stages went through, {exchanged} exchanges");
    assert!(exchanged > 100, "{done} {exchanged}");
}

/// Files that are replaced in a folder where everybody may write: temporary names, and links in the file's place.
#[test]
fn small_files_are_not_written_through_links_of_others() {
    let Some(place) = Place::as_root() else { return };
    let outside = place.own("outside");
    let names = ["bosc.toml", "key.bosc-key", "pair.json", "bosc.1"];
    // One each: a key of one kind is not written over one of another.
    place::write(&outside, &names.map(|name| (name, "# a file of root\n")));
    let shared = place.shared("shared");
    let at = |name: &str| shared.join(name).to_str().unwrap().to_owned();
    for name in names {
        symlink(outside.join(name), at(name)).unwrap();
        lchown(at(name), Some(intruder::UID), Some(intruder::UID)).unwrap();
    }
    // A file of a project is written through links, but not through his.
    let line = place.bosc(&["line", "add", "rc", "--kind", "stage", "--file", &at("bosc.toml")]);
    let text = String::from_utf8_lossy(&line.stderr).into_owned();
    assert!(!line.status.success() && text.contains("link of another user"), "{text}");
    // So are files that the user names.
    let passphrase = [("BOSC_PASSPHRASE", "long enough")];
    let write = || {
        [
            place.bosc_with(&["keys", "backup", &at("key.bosc-key"), "--force"], &passphrase),
            place.bosc(&["updater", "keygen", "--output", &at("pair.json")]),
            place.bosc(&["man", shared.to_str().unwrap()]),
        ]
    };
    for refused in write() {
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && text.contains("link of another user"), "{text}");
    }
    let untouched = names.map(|name| (name.to_owned(), "# a file of root\n".to_owned()));
    assert_eq!(contents(&outside), untouched.into());
    for name in ["key.bosc-key", "pair.json", "bosc.1"] {
        lchown(at(name), Some(0), Some(0)).unwrap();
    }
    for done in write() {
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    for name in ["key.bosc-key", "pair.json", "bosc.1"] {
        assert!(fs::symlink_metadata(at(name)).unwrap().is_symlink(), "{name}");
    }
    // What keygen found there was kept beside it, under the name of the file itself.
    assert!(outside.join("pair.json.old").is_file());
}

/// A store in a folder of the other user, or with links of his: root's process id and keys go nowhere.
#[test]
fn a_store_is_not_opened_where_the_other_user_put_something() {
    let Some(place) = Place::as_root() else { return };
    let outside = place.own("outside");
    place::write(&outside, &[("f", "a file of root")]);
    let his = |path: &Path| lchown(path, Some(intruder::UID), Some(intruder::UID)).unwrap();
    let refused = |store: &Path, named: &Path, why: &str| {
        let output = place.bosc_with(&["touch"], &[("BOSC_STORE", store.to_str().unwrap())]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(6), "{text}");
        assert!(text.contains(named.to_str().unwrap()) && text.contains(why), "{text}");
        assert!(text.contains("--store DIR"), "{text}");
        assert_eq!(contents(&outside).len(), 1, "{text}");
        assert_eq!(contents(&outside)["f"], "a file of root");
    };
    for (name, to) in [("OWNER", "f"), ("LOCK", "f"), ("bosc.redb", "new"), ("LOCK", "new"), ("data", "")] {
        // His folder, with a link in it.
        let store = place.shared("his");
        his(&store);
        symlink(outside.join(to), store.join(name)).unwrap();
        refused(&store, &store, "another user");
        // A folder of root's, where he could put it once.
        fs::set_permissions(&store, fs::Permissions::from_mode(0o755)).unwrap();
        lchown(&store, Some(0), Some(0)).unwrap();
        his(&store.join(name));
        refused(&store, &store.join(name), "another user");
        if name != "data" {
            lchown(store.join(name), Some(0), Some(0)).unwrap();
            refused(&store, &store.join(name), "not a plain file");
        }
        fs::remove_dir_all(&store).unwrap();
    }
    refused(&place.shared("everybodys"), &place.path().join("everybodys"), "every user may write");
    // A link of his leads to a folder; one of ours may.
    let (link, store) = (place.path().join("link"), place.own("mine"));
    symlink(&store, &link).unwrap();
    his(&link);
    refused(&link, &link, "another user");
    lchown(&link, Some(0), Some(0)).unwrap();
    let output = place.bosc_with(&["touch"], &[("BOSC_STORE", link.to_str().unwrap())]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(store.join("bosc.redb").is_file());
}
