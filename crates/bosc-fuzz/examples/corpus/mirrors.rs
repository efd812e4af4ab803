//! Mirrors: heads and objects.

use crate::samples::Corpus;

/// The head that docs/formats.md shows.
fn head() -> Vec<u8> {
    let text = include_str!("../../../../docs/formats.md");
    let hex: String = text
        .split("<!-- vector: mirror head -->")
        .nth(1)
        .and_then(|rest| rest.split("<!-- end -->").next())
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()
}

pub(crate) fn mirrors(c: &mut Corpus) {
    let head = head();
    c.add("mirror_head", [&[0], &head[..]].concat());
    let content = &head[..head.len() - 32];
    c.add("mirror_head", [&[1], content].concat());
    c.add("mirror_head", [&[1], &content[..60]].concat());
    for length in 0..4u8 {
        let mut steps = vec![length];
        for kind in [0u8, 1, 5, 2, 3, 16, 17, 200, 201] {
            bosc_fuzz::push_step(&mut steps, kind, &[kind; 9]);
            bosc_fuzz::push_step(&mut steps, kind, &[]);
        }
        c.add("mirror_objects", steps);
    }
}
