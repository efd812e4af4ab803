#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::MemorySource;
use crate::blobs::{BlobId, BlobReader, ContentMap, Placement};
use crate::chunker::ChunkBuffer;
use bosc_format::crypto;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

fn vectors(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn pear() -> Value {
    vectors(include_str!("../../../../interop/vectors/pear.json"))
}

fn drive_json() -> Value {
    vectors(include_str!("../../../../interop/vectors/drive.json"))
}

fn hex(v: &Value) -> Vec<u8> {
    HEXLOWER.decode(v.as_str().unwrap().as_bytes()).unwrap()
}

/// Writes a file the way `createWriteStream(name, { dedup: true })` does.
fn write_deduped(blobs: &mut MemorySource, bytes: &mut u64, content: &[u8]) -> BlobId {
    let mut map = ContentMap::new(blobs.length(), *bytes);
    let mut buffer = ChunkBuffer::new();
    buffer.buffer().extend_from_slice(content);
    let mut chunks = Vec::new();
    while let Some(chunk) = buffer.next_chunk() {
        chunks.push(chunk);
    }
    chunks.extend(buffer.finish());
    for chunk in chunks {
        if let Placement::New(_) = map.push(&crypto::hash(&[&chunk]), chunk.len() as u64, |_| None) {
            *bytes += chunk.len() as u64;
            blobs.push(chunk);
        }
    }
    let (id, blocks) = map.finish().unwrap();
    for block in blocks {
        *bytes += block.len() as u64;
        blobs.push(block);
    }
    id
}

/// The complete drive of the vectors, written by us, is the one JavaScript wrote.
#[test]
fn a_staged_drive_is_byte_for_byte_that_of_javascript() {
    let v = pear();
    let mut db = MemorySource::new();
    let (mut blobs, mut bytes) = (MemorySource::new(), 0);
    let mut batch = DriveBatch::new(&db);
    let package = HEXLOWER.decode(v["blobs"][0].as_str().unwrap().as_bytes()).unwrap();
    let app = vec![0x61; 100_000];
    for (name, content) in [
        ("/empty.txt", Some(&b""[..])),
        ("/link", None),
        ("/package.json", Some(&package)),
        ("/by-arch/linux-x64/app/X.AppImage", Some(&app)),
    ] {
        let value = match content {
            None => EntryValue::symlink("package.json"),
            Some(content) => {
                let id = write_deduped(&mut blobs, &mut bytes, content);
                EntryValue::file(id, name.ends_with("AppImage"))
            }
        };
        batch.put(name, &value).unwrap();
    }
    let blocks: Vec<String> = batch.into_blocks().iter().map(|b| HEXLOWER.encode(b)).collect();
    assert_eq!(json!(blocks), v["db"]);
    assert_eq!(blobs.length(), 4);
    for i in [0, 1, 3] {
        assert_eq!(blobs.block(i as u64).unwrap(), hex(&v["blobs"][i]), "blob block {i}");
    }
    assert_eq!(blobs.block(2).unwrap().len(), 100_000);

    db.extend(v["db"].as_array().unwrap().iter().map(hex));
    let drive = Drive::new(&db);
    assert_eq!(drive.version(), 5);
    let entries: Vec<DriveEntry> = drive.list("/").unwrap().collect::<Result<_>>().unwrap();
    assert_eq!(entries.len(), 4);
    for (entry, expected) in entries.iter().zip(v["entries"].as_array().unwrap()) {
        assert_eq!(entry.key, expected["key"].as_str().unwrap());
        assert_eq!(json!(entry.seq), expected["seq"]);
        let value: Value = serde_json::from_slice(&entry.value.encode()).unwrap();
        assert_eq!(value, expected["value"]);
    }
    let read = |name: &str| -> Vec<u8> {
        let blob = drive.entry(name).unwrap().unwrap().value.blob.unwrap();
        BlobReader::new(&blobs, blob).flat_map(|b| b.unwrap()).collect()
    };
    assert_eq!(read("package.json"), package);
    assert_eq!(read("by-arch/linux-x64/app/X.AppImage"), app);
    assert_eq!(read("empty.txt"), b"");
    assert_eq!(drive.blobs_length().unwrap(), 4);
}

/// Operations one by one, as `put`, `symlink`, `del` and a batch do them.
#[test]
fn operations_are_byte_for_byte_those_of_hyperdrive() {
    let v = &drive_json()["drive"];
    let mut db = MemorySource::new();
    let step = |db: &mut MemorySource, name: &str, f: &dyn Fn(&mut DriveBatch<&MemorySource>)| {
        let mut batch = DriveBatch::new(&*db);
        f(&mut batch);
        let blocks = batch.into_blocks();
        let shown: Vec<String> = blocks.iter().map(|b| HEXLOWER.encode(b)).collect();
        let expected = v["steps"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap();
        assert_eq!(json!(shown), expected["db"], "{name}");
        db.extend(blocks);
    };
    let id = |block_offset, byte_offset, block_length, byte_length| BlobId {
        block_offset,
        byte_offset,
        block_length,
        byte_length,
        block_map: false,
    };
    step(&mut db, "put", &|b| {
        let metadata = serde_json::from_str("{\"z\":1.5,\"10\":\"x\",\"a\":\"\\u0001\\\"é\"}").unwrap();
        let value = EntryValue { metadata, ..EntryValue::file(id(0, 0, 1, 11), true) };
        b.put("/hello.txt", &value).unwrap();
    });
    step(&mut db, "empty", &|b| {
        b.put("empty", &EntryValue::file(id(1, 11, 0, 0), false)).unwrap();
    });
    step(&mut db, "big", &|b| {
        b.put("/dir/big", &EntryValue::file(id(1, 11, 4, 200_000), false)).unwrap();
    });
    step(&mut db, "symlink", &|b| {
        b.put("/dir/link", &EntryValue::symlink("../hello.txt")).unwrap();
    });
    step(&mut db, "del", &|b| assert!(b.del("/hello.txt").unwrap()));
    step(&mut db, "batch", &|b| {
        let mut at = 200_011;
        for i in 0..30u64 {
            let content = format!("file {i}");
            let len = content.len() as u64;
            b.put(&format!("/many/{i}"), &EntryValue::file(id(5 + i, at, 1, len), false)).unwrap();
            at += len;
        }
        assert!(b.del("/dir/link").unwrap());
    });
    let drive = Drive::new(&db);
    for (folder, names) in v["readdir"].as_object().unwrap() {
        let got: Vec<String> =
            drive.read_dir(folder).unwrap().map(|e| e.unwrap().name().to_owned()).collect();
        assert_eq!(json!(got), *names, "{folder}");
    }
    let list: Vec<String> = drive.list("/dir").unwrap().map(|e| e.unwrap().key).collect();
    assert_eq!(json!(list), v["list"]);
    assert_eq!(json!(drive.blobs_length().unwrap()), v["blobsLength"]);

    let changes: Vec<_> = drive.diff(4, "/dir").unwrap().map(|c| c.unwrap()).collect();
    assert!(changes.is_empty(), "{changes:?}");
    let changes: Vec<_> = drive.diff(3, "/").unwrap().map(|c| c.unwrap()).collect();
    assert_eq!(changes.len(), 32);
    assert!(changes.iter().any(|c| c.key() == "/hello.txt" && c.new.is_none()));
}

#[test]
fn paths_are_those_of_unix_path_resolve() {
    for case in drive_json()["paths"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        assert_eq!(path::resolve("/", name).ok().as_deref(), case["key"].as_str(), "{name:?}");
    }
}

#[test]
fn symlinks_are_followed_and_loops_end() {
    let mut db = MemorySource::new();
    let mut batch = DriveBatch::new(&db);
    batch.put("/a", &EntryValue::symlink("/b")).unwrap();
    batch.put("/b", &EntryValue::symlink("../c/d")).unwrap();
    batch.put("/c/d", &EntryValue::default()).unwrap();
    batch.put("/x", &EntryValue::symlink("/y")).unwrap();
    batch.put("/y", &EntryValue::symlink("/x")).unwrap();
    batch.put("/out", &EntryValue::symlink("../../../etc")).unwrap();
    batch.put("/gone", &EntryValue::symlink("/nothing")).unwrap();
    let blocks = batch.into_blocks();
    db.extend(blocks);
    let drive = Drive::new(&db);
    assert_eq!(drive.entry_follow("/a").unwrap().unwrap().key, "/c/d");
    assert!(matches!(drive.entry_follow("/x"), Err(Error::SymlinkLoop(_))));
    assert!(matches!(drive.entry_follow("/out"), Err(Error::InvalidPath { .. })));
    assert_eq!(drive.entry_follow("/gone").unwrap(), None);
    assert_eq!(drive.entry("/a").unwrap().unwrap().value.linkname.as_deref(), Some("/b"));
}

#[test]
fn keys_outside_the_file_tree_stay_outside() {
    let mut db = MemorySource::new();
    let mut batch = DriveBatch::new(&db);
    batch.put_raw("manifest", "{}").unwrap();
    batch.put("/f", &EntryValue::default()).unwrap();
    batch.put_raw("zzz", "1").unwrap();
    let blocks = batch.into_blocks();
    db.extend(blocks);
    let drive = Drive::new(&db);
    assert_eq!(drive.list("/").unwrap().count(), 1);
    assert_eq!(drive.raw("manifest").unwrap().unwrap().value.unwrap(), "{}");
    assert_eq!(drive.blobs_length().unwrap(), 0);
    let mut batch = DriveBatch::new(&db);
    assert!(batch.del_raw("manifest").unwrap());
    assert!(!batch.del("manifest").unwrap());
}
