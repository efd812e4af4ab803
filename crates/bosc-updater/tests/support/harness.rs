//! Tests of programs that are copies of the test's own program: what takes the place of the standard harness.

use std::fs;

/// What stands behind `mark` in the last `most` bytes of the running program, cut at `|`. `None`: it is the
/// program of the tests itself.
pub(crate) fn own_note(mark: &[u8], most: usize) -> Option<Vec<String>> {
    let exe = fs::read(std::env::current_exe().unwrap()).unwrap();
    let tail = &exe[exe.len().saturating_sub(most)..];
    let at = tail.windows(mark.len()).position(|w| w == mark)?;
    let text = String::from_utf8_lossy(&tail[at + mark.len()..]).into_owned();
    Some(text.trim_end().split('|').map(str::to_owned).collect())
}

/// Lists or runs the tests as the arguments want it, and ends the process.
pub(crate) fn run(tests: &[(&str, fn())]) -> ! {
    let given = |flag: &str| std::env::args().any(|a| a == flag);
    // None is ignored: who lists or runs only those gets nothing.
    if given("--ignored") {
        std::process::exit(0);
    }
    if given("--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        std::process::exit(0);
    }
    let filter: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let mut failed = 0;
    for (name, test) in tests {
        if !filter.is_empty() && !filter.iter().any(|f| name.contains(f.as_str())) {
            continue;
        }
        let ok = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        failed += i32::from(!ok);
    }
    std::process::exit(i32::from(failed > 0));
}
