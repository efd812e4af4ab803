use super::*;
use bosc_format::crypto::KeyPair;

fn pair() -> KeyPair {
    KeyPair::from_seed(&[5; 32])
}

fn writer(store: &Store, blocks: u8) -> Core {
    let core = store.create_core(CreateOptions::with_key_pair(pair())).unwrap();
    for i in core.length()..u64::from(blocks) {
        core.append(&[vec![i as u8; 100 * i as usize].into()]).unwrap();
    }
    core
}

fn memory() -> Store {
    Store::memory(Options::default()).unwrap()
}

fn dump_with(dir: &Path, blocks: u8) {
    let store = memory();
    Cache::open(dir).unwrap().save(&writer(&store, blocks)).unwrap();
}

#[test]
fn a_new_store_goes_on_where_the_cache_was_left() {
    let dir = tempfile::tempdir().unwrap();
    for (round, blocks) in [3u8, 3, 9].into_iter().enumerate() {
        let store = memory();
        let core = store.create_core(CreateOptions::with_key_pair(pair())).unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let had = [0, 3, 3][round];
        assert_eq!(cache.restore(&store, &core).unwrap(), Restored { taken: had, length: had });
        assert_eq!(core.length(), had);
        writer(&store, blocks);
        assert_eq!(cache.save(&core).unwrap(), u64::from(blocks) - had);
        assert_eq!(cache.restore(&store, &core).unwrap().length, u64::from(blocks));
    }
    let (a, b) = (memory(), memory());
    let core = b.create_core(CreateOptions::with_key_pair(pair())).unwrap();
    Cache::open(dir.path()).unwrap().restore(&b, &core).unwrap();
    assert_eq!(core.head(), writer(&a, 9).head(), "the very head, signature and all");
}

#[test]
fn a_store_that_a_runner_left_is_a_cache_and_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    writer(&Store::open(dir.path(), Options::default()).unwrap(), 4);
    let store = memory();
    let core = store.create_core(CreateOptions::with_key_pair(pair())).unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    assert_eq!(Cache::open(dir.path()).unwrap_err().code(), "ERR_LOCKED");
    assert_eq!(cache.restore(&store, &core).unwrap().taken, 4);
    writer(&store, 6);
    assert_eq!(cache.save(&core).unwrap(), 2);
    drop(cache);
    assert_eq!(writer(&Store::open(dir.path(), Options::default()).unwrap(), 0).head(), core.head());
}

#[test]
fn forks_are_carried_over() {
    let dir = tempfile::tempdir().unwrap();
    dump_with(dir.path(), 5);
    let store = memory();
    let core = writer(&store, 5);
    core.truncate(2, 1).unwrap();
    core.append(&["other".into()]).unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    cache.save(&core).unwrap();
    let again = memory();
    let back = again.create_core(CreateOptions::with_key_pair(pair())).unwrap();
    cache.restore(&again, &back).unwrap();
    assert_eq!(back.head(), core.head());
    let forks = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(forks, 3, "LOCK, one head, one file of blocks");
    // A store that is still at the old fork does not take the cache's place.
    assert!(cache.restore(&memory(), &writer(&memory(), 5)).is_err());
}

#[test]
fn another_history_is_not_written_over_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    dump_with(dir.path(), 3);
    let store = memory();
    let core = store.create_core(CreateOptions::with_key_pair(pair())).unwrap();
    for _ in 0..4 {
        core.append(&["mine".into()]).unwrap();
    }
    let cache = Cache::open(dir.path()).unwrap();
    assert_eq!(cache.save(&core).unwrap_err().code(), "ERR_FORKED");
}

#[test]
fn nothing_in_it_is_believed_and_what_a_crash_left_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    dump_with(dir.path(), 5);
    let key = id::encode(writer(&memory(), 0).key());
    let (blocks, head) = (dir.path().join(format!("{key}.0")), dir.path().join(format!("{key}.head")));
    let (good, good_head) = (std::fs::read(&blocks).unwrap(), std::fs::read_to_string(&head).unwrap());
    let restore = || {
        let store = memory();
        let core = store.create_core(CreateOptions::with_key_pair(pair())).unwrap();
        let result = Cache::open(dir.path()).unwrap().restore(&store, &core);
        (result, core.length())
    };
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    for (b, h) in [
        (bad, good_head.clone()),
        (good[..good.len() - 1].to_vec(), good_head.clone()),
        ([&[255; 4][..], &good].concat(), good_head.clone()),
        (good.clone(), good_head.replace("\"length\":5", "\"length\":4")),
        (good.clone(), good_head.replace("\"length\":5", "\"length\":18446744073709551615")),
        (good.clone(), good_head.replace("\"fork\":0", "\"fork\":7")),
        (good.clone(), "{".into()),
    ] {
        std::fs::write(&blocks, &b).unwrap();
        std::fs::write(&head, &h).unwrap();
        let (result, length) = restore();
        assert!(result.is_err() && length == 0, "{h}");
    }
    std::fs::write(&blocks, [&good[..], b"left by a crash"].concat()).unwrap();
    std::fs::write(&head, &good_head).unwrap();
    assert_eq!(restore().0.unwrap().taken, 5);
    dump_with(dir.path(), 6);
    assert_eq!(restore().0.unwrap().taken, 6);
}

fn other(store: &Store, blocks: u64) -> Core {
    let core = store.create_core(CreateOptions::with_key_pair(pair())).unwrap();
    for _ in 0..blocks {
        core.append(&["mine".into()]).unwrap();
    }
    core
}

#[test]
fn it_vouches_only_for_a_head_that_is_signed_and_of_our_history() {
    let dir = tempfile::tempdir().unwrap();
    dump_with(dir.path(), 3);
    let store = memory();
    let core = writer(&store, 5);
    let before = core.head();
    let restore = |core: &Core| Cache::open(dir.path()).unwrap().restore(&store, core);
    assert_eq!(restore(&core).unwrap(), Restored { taken: 0, length: 3 });
    // Another history of the same length, and of a longer one.
    for blocks in [3, 5] {
        let there = memory();
        let cache = Cache::open(dir.path()).unwrap();
        assert_eq!(cache.restore(&there, &other(&there, blocks)).unwrap_err().code(), "ERR_FORKED");
    }
    let file = dir.path().join(format!("{}.head", id::encode(core.key())));
    let good = std::fs::read_to_string(&file).unwrap();
    let head: DumpHead = serde_json::from_str(&good).unwrap();
    let with = |h: &DumpHead| std::fs::write(&file, serde_json::to_vec(h).unwrap()).unwrap();
    let hash = |n| id::encode(&core.head_at(n).unwrap().tree_hash());
    for bad in [
        DumpHead { length: 1, signature: "zz".into(), ..head.clone() },
        DumpHead { signature: "00".repeat(head.signature.len() / 2), ..head.clone() },
        DumpHead { length: 1, tree_hash: hash(1), ..head.clone() },
        DumpHead { tree_hash: "no hash".into(), ..head.clone() },
    ] {
        with(&bad);
        assert_eq!(restore(&core).unwrap_err().code(), "ERR_INVALID_MIRROR", "{bad:?}");
    }
    with(&DumpHead { tree_hash: hash(2), ..head });
    assert_eq!(restore(&core).unwrap_err().code(), "ERR_FORKED");
    assert_eq!(core.head(), before);
}

#[test]
fn a_store_as_cache_is_compared_and_must_be_whole() {
    let dir = tempfile::tempdir().unwrap();
    writer(&Store::open(dir.path(), Options::default()).unwrap(), 4);
    for blocks in [3, 4, 6] {
        let store = memory();
        let core = other(&store, blocks);
        let cache = Cache::open(dir.path()).unwrap();
        if blocks >= 4 {
            assert_eq!(cache.restore(&store, &core).unwrap_err().code(), "ERR_FORKED");
        }
        assert_eq!(cache.save(&core).unwrap_err().code(), "ERR_FORKED", "{blocks}");
    }
    let store = memory();
    let core = writer(&store, 4);
    let cache = Cache::open(dir.path()).unwrap();
    assert_eq!(cache.restore(&store, &core).unwrap(), Restored { taken: 0, length: 4 });
    assert_eq!(cache.save(&core).unwrap(), 0);
    drop(cache);
    // One that lacks blocks can neither vouch nor be continued.
    let there = Store::open(dir.path(), Options::default()).unwrap();
    there.get_core(core.key()).unwrap().unwrap().clear(1, 2).unwrap();
    drop(there);
    let cache = Cache::open(dir.path()).unwrap();
    assert_eq!(cache.restore(&store, &core).unwrap_err().code(), "ERR_INVALID_MIRROR");
    writer(&store, 6);
    assert_eq!(cache.save(&core).unwrap_err().code(), "ERR_INVALID_MIRROR");
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("new/cache");
    dump_with(&cache, 2);
    let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    for item in std::fs::read_dir(&cache).unwrap() {
        let path = item.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
