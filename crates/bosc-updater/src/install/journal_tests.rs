//! Journals as we write them, and as nobody should.

use super::*;
use proptest::prelude::*;

fn piece(version: &str) -> Piece {
    Piece {
        version: version.parse().unwrap(),
        release: Some([1; 32]),
        contents: Some([2; 32]),
        identity: Some("1.2".into()),
        slot: 1,
        says: None,
        shipped: None,
    }
}

fn full() -> Journal {
    let long = |n: usize| format!("1.0.{n}-{}", "a".repeat(200));
    let mut journal = Journal { format: FORMAT, state: State::RollingBack, ..Journal::default() };
    journal.flight = Some(Flight {
        generation: u64::MAX,
        new: piece(&long(1)),
        old: piece(&long(0)),
        since_ms: u64::MAX,
        starts: 3,
        forgiven: 1,
        forgiven_start: 2,
        boot: Some("b".repeat(36)),
        until_ms: u64::MAX,
        extended: 256,
        downgrade: true,
        reason: Some("crashed".into()),
    });
    journal.current = Some(piece("1.0.0"));
    journal.kept = Some(piece("0.9.0"));
    journal.floor = Some("1.0.0".parse().unwrap());
    journal.schema = 2;
    for n in 0..MAX_REJECTED + 5 {
        journal.reject(
            &Piece { release: Some([n as u8; 32]), ..piece(&long(n)) },
            "crashed",
            n as u64,
            SystemTime::now(),
        );
    }
    journal
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let journal = full();
    assert_eq!(journal.rejected.len(), MAX_REJECTED);
    journal.write(dir.path()).unwrap();
    assert_eq!(Journal::read(dir.path(), false).unwrap(), journal);
    assert!(
        dir.path().join("journal.json").metadata().unwrap().len() * 2 < MAX_BYTES,
        "there is room to spare"
    );
    assert!(!dir.path().join("journal.new").exists());
}

#[test]
fn a_damaged_journal_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.json");
    let huge = format!("{{\"format\":1,\"state\":\"settled\",\"x\":\"{}\"}}", "x".repeat(200_000));
    for bad in [
        "",
        "{",
        "[]",
        "null",
        "{\"format\":1}",
        "{\"format\":1,\"state\":\"flying\"}",
        "{\"format\":1,\"state\":\"trial\"}",
        "{\"format\":-1,\"state\":\"settled\"}",
        "{\"format\":1,\"state\":\"settled\",\"floor\":\"one\"}",
        "{\"format\":1,\"state\":\"settled\",\"schema\":-2}",
        "{\"format\":1,\"state\":\"settled\",\"kept\":{\"version\":\"1.0.0\",\"contents\":\"ab\"}}",
        "{\"format\":1,\"state\":\"settled\",\"generation\":1e99}",
        &huge,
    ] {
        std::fs::write(&path, bad).unwrap();
        assert_eq!(Journal::read(dir.path(), false).unwrap().state, State::Settled);
        assert!(path.exists(), "only looking changes nothing");
        assert_eq!(Journal::read(dir.path(), true).unwrap().rejected, []);
        assert!(!path.exists());
        assert_eq!(std::fs::read_to_string(dir.path().join("journal.damaged")).unwrap(), bad);
    }
    std::fs::create_dir(&path).unwrap();
    assert_eq!(Journal::read(dir.path(), true).unwrap().state, State::Settled);
}

#[test]
fn a_newer_journal_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.json");
    std::fs::write(&path, "{\"format\":2,\"state\":{\"as\":\"it likes\"}}").unwrap();
    assert_eq!(Journal::read(dir.path(), true).unwrap_err().kind(), ErrorKind::Refused);
    assert!(path.exists());
    // More fields in the same format are fine: the next version may add some.
    std::fs::write(&path, "{\"format\":1,\"state\":\"settled\",\"new\":[1]}").unwrap();
    assert_eq!(Journal::read(dir.path(), true).unwrap().state, State::Settled);
    assert!(path.exists());
}

#[test]
fn the_same_attempt_is_not_counted_twice() {
    let mut journal = Journal::default();
    let now = SystemTime::now();
    journal.reject(&piece("1.0.1"), "crashed", 5, now);
    journal.reject(&piece("1.0.1"), "crashed", 5, now);
    assert_eq!(journal.rejected[0].times, 1);
    journal.reject(&piece("1.0.1"), "silent", 6, now);
    assert_eq!((journal.rejected[0].times, journal.rejected.len()), (2, 1));
    assert_eq!(journal.rejected[0].reason, "silent");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*", cut in 0usize..5000, bent in 0usize..5000, by in 1u8..) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.json");
        std::fs::write(&path, text).unwrap();
        let _ = Journal::read(dir.path(), true);
        let mut bytes = serde_json::to_vec(&full()).unwrap();
        bytes.truncate(cut.max(bent + 1));
        if let Some(byte) = bytes.get_mut(bent) {
            *byte ^= by;
        }
        std::fs::write(&path, bytes).unwrap();
        let _ = Journal::read(dir.path(), true);
    }
}
