//! Panics that are no news to anyone.

/// Keeps panics of the database on damaged files off the terminal: the store catches each and makes an error of it,
/// which says which file is damaged. All others are printed as ever.
pub(crate) fn hide_caught() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.location().is_some_and(|l| is_caught(l.file())) {
            before(info);
        }
    }));
}

/// Whether a panic in this source file is caught by the store.
fn is_caught(file: &str) -> bool {
    file.split(['/', '\\'])
        .any(|part| part.strip_prefix("redb-").is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::is_caught;

    #[test]
    fn only_panics_of_the_database_are_hidden() {
        assert!(is_caught("/home/x/.cargo/registry/src/index/redb-4.4.0/src/db.rs"));
        assert!(is_caught("C:\\cargo\\registry\\redb-4.4.0\\src\\db.rs"));
        assert!(!is_caught("crates/bosc-store/src/db.rs"));
        assert!(!is_caught("/home/redb-mine/src/main.rs"));
    }
}
