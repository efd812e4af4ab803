//! What lies on this machine: package.json, patterns, the change index, messages between our processes, a store.

use crate::samples::{Corpus, steps};
use bosc_format::codec::Encoder;
use bosc_format::crypto::hash;
use bosc_fuzz::store;

pub(crate) fn releases(c: &mut Corpus) {
    for text in [
        r#"{"name":"a","productName":"A B","version":"1.2.3","upgrade":"pear://x","pear":{"name":"c","stage":{"ignore":["x","!y"],"only":"p, q,","purge":true}}}"#,
        "\u{feff}{\"name\":\"x\"}",
        r#"{"upgrade":{"rc":"x"},"pear":5}"#,
        r#"{"pear":{"stage":{"ignore":"a,b/**","only":["dist"]}}}"#,
        "[]",
    ] {
        c.add("package", text);
    }
    for text in [
        "node_modules\n/node_modules/a.js",
        "*.log\n!keep.log\n/logs/keep.log",
        "**/test/**\n{a,b}/c?\n/a/cx",
        "[!a-z]*\n[]-]\n/Q",
        "{a,{b,c}}{d,e}\n/cd",
        "**/**/**/*a*b*c*d\n/x/y/z/aabbccdd",
        "/dist/\n./src\nbuild\\out\n/dist/x",
        "\\*\n!**\n/x",
    ] {
        c.add("glob", text);
    }
    let mut e = Encoder::new();
    e.uint(2);
    for (key, suspect) in [("/a", 0), ("/b/c", 1)] {
        e.string(key)
            .uint(300)
            .u64(1_700_000_000_000_000_000)
            .u64(u64::MAX)
            .uint(77)
            .uint(66_000)
            .uint(suspect);
    }
    let body = e.finish();
    let mut whole = [&b"boscidx2"[..], &[0; 32], &body].concat();
    let sum = hash(&[&whole]);
    whole.extend_from_slice(&sum);
    c.add("change_index", body);
    c.add("change_index", whole);
    for text in [
        r#"{"port":4000,"token":"abc","pid":77}"#,
        r#"{"token":"abc","request":{"command":"touch","vanity":null}}"#,
        r#"{"token":"abc","request":{"command":"seed","link":"pear://x","until_sync":["a"],"stats_interval_ms":1000,"timeout_ms":null}}"#,
        r#"{"token":"abc","request":{"command":"dump","link":"x","dir":"/tmp/x","dry_run":false,"checkout":3,"only":[],"force":true,"list":false,"prune":true,"timeout_ms":18446744073709551615}}"#,
        r#"{"event":{"tag":"stats","data":{"peers":3}}}"#,
        r#"{"done":null}"#,
        r#"{"error":{"success":false,"code":"ERR_INVALID_LINK","message":"m","hint":null}}"#,
    ] {
        c.add("owner", text);
    }
}

pub(crate) fn stores(c: &mut Corpus) {
    let edit =
        |op: u8, at: u32, bytes: &[u8]| [&[op][..], &at.to_le_bytes(), &[bytes.len() as u8], bytes].concat();
    let cut = |op: u8, at: u32| [&[op | 0x80][..], &at.to_le_bytes()].concat();
    for file in 0..6u8 {
        c.add("store_files", cut(file, 1000 + u32::from(file)));
        c.add("store_files", edit(file, 0, &[0; 4]));
        c.add("store_files", edit(file | 0x40, 77, &[0xff; 9]));
        c.add(
            "store_files",
            [edit(file, 5000, b"xx"), edit(file, 9000, &[1; 40]), cut(file + 1, 12)].concat(),
        );
    }
    for at in (0..32).map(|i| i * 4096 + 20) {
        c.add("store_files", edit(0, at, &[0x80; 3]));
        c.add("store_files", edit(1, at, &[0x80; 3]));
    }
    let rows = store::row_values();
    for (op, value) in &rows {
        c.add("store_rows", steps([(*op, &value[..])]));
    }
    // Each row's value under the next row's key.
    for pair in rows.windows(2) {
        c.add("store_rows", steps([(pair[0].0, &pair[1].1[..]), (pair[1].0, &pair[0].1[..])]));
    }
    c.add("store_rows", steps([(4u8, &[0xff; 16][..]), (5, &[]), (6, &[])]));
    c.add(
        "store_rows",
        steps([
            (7u8, &rows[rows.len() / 2].1[..]),
            (4 | 8, &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]),
        ]),
    );
}
