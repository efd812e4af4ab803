use super::*;
use bosc_store::{CreateOptions, Options, Store};
use bytes::Bytes;

fn grown(store: &Store, name: &str, blocks: &[&'static str]) -> Core {
    let core = store.create_core(CreateOptions::named(name)).unwrap();
    let blocks: Vec<Bytes> = blocks.iter().map(|b| Bytes::from(*b)).collect();
    core.append(&blocks).unwrap();
    core
}

fn wanted(name: CoreName, source: &Core, length: u64) -> Wanted {
    Wanted { name, length, hash: source.head_at(length).unwrap().tree_hash() }
}

#[test]
fn production_is_empty_earlier_done_or_something_else() {
    let store = Store::memory(Options::default()).unwrap();
    let source = grown(&store, "source", &["a", "b", "c", "d", "e"]);
    let at = |length| wanted(CoreName::Db, &source, length);
    let empty = store.create_core(CreateOptions::named("empty")).unwrap();
    assert_eq!(standing(&empty, &source, at(4)).unwrap(), TargetStanding::Empty);
    let earlier = grown(&store, "earlier", &["a", "b"]);
    assert_eq!(standing_alone(&earlier, at(4)).unwrap(), None);
    assert_eq!(standing(&earlier, &source, at(4)).unwrap(), TargetStanding::Earlier(2));
    assert_eq!(standing(&earlier, &source, at(2)).unwrap(), TargetStanding::Done);
    let code = |core: &Core, w: Wanted| standing(core, &source, w).unwrap_err().code().to_owned();
    let other = grown(&store, "other", &["a", "x"]);
    assert_eq!(code(&other, at(4)), "INCOMPATIBLE_SOURCE_AND_TARGET");
    assert_eq!(code(&other, at(2)), "INCOMPATIBLE_SOURCE_AND_TARGET");
    let longer = grown(&store, "longer", &["a", "b", "c", "d"]);
    assert_eq!(code(&longer, at(3)), "TARGET_CORE_TOO_BIG");
    let e = standing(&longer, &source, at(3)).unwrap_err();
    assert!(e.message().contains("holds this release already"), "{e}");
    let e = standing(&longer, &source, Wanted { hash: [0; 32], ..at(3) }).unwrap_err();
    assert!(e.message().contains("another release"), "{e}");
}

#[test]
fn a_release_that_needs_fewer_blobs_is_no_setback() {
    let store = Store::memory(Options::default()).unwrap();
    let source = grown(&store, "source", &["a", "b", "c"]);
    let target = grown(&store, "target", &["a", "b", "c"]);
    assert_eq!(
        standing(&target, &source, wanted(CoreName::Blobs, &source, 2)).unwrap(),
        TargetStanding::Done
    );
    assert_eq!(
        standing(&target, &source, wanted(CoreName::Blobs, &source, 0)).unwrap(),
        TargetStanding::Done
    );
    let lie = Wanted { hash: [1; 32], ..wanted(CoreName::Blobs, &source, 2) };
    assert_eq!(standing(&target, &source, lie).unwrap_err().code(), "TARGET_CORE_TOO_BIG");
}

#[test]
fn a_target_that_was_cut_back_is_never_extended() {
    let store = Store::memory(Options::default()).unwrap();
    let source = grown(&store, "source", &["a", "b", "c"]);
    let target = grown(&store, "target", &["a", "b"]);
    target.truncate(1, 1).unwrap();
    let e = standing(&target, &source, wanted(CoreName::Db, &source, 3)).unwrap_err();
    assert_eq!(e.code(), "INCOMPATIBLE_SOURCE_AND_TARGET");
}
