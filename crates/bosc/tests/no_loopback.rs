//! A machine, or a sandbox, where nothing reaches 127.0.0.1.
//!
//! Only Linux gives a process a network of its own, and not to every user: whoever may not have one is told that the test was
//! left out.
#![cfg(target_os = "linux")]
#![allow(unused_crate_dependencies, clippy::unwrap_used, clippy::print_stderr)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn without_network(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "--", program]).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// The store is closed without the network, so a command ends when it has done its work, and leaves the store to the next.
#[test]
fn a_command_ends_where_nothing_reaches_loopback() {
    if !without_network("true").status().is_ok_and(|status| status.success()) {
        eprintln!("left out: this user may not make a network of its own");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let mut command = without_network(env!("CARGO_BIN_EXE_bosc"));
        let mut child = command.arg("touch").env("BOSC_STORE", dir.path().join("store")).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
                None => {
                    child.kill().unwrap();
                    break None;
                }
            }
        };
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(status.is_some_and(|status| status.success()), "round {round}: {status:?} {text}");
        assert!(text.starts_with("pear://"), "{text}");
    }
}
