//! Where the time of `make` and `apply` goes: `profile OLD NEW` runs both under `perf` and prints the functions that take the most.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "an example")]

use bosc_delta::{MakeOptions, apply, make};
use std::process::Command;

/// Functions that are printed of each.
const MOST: usize = 15;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let read = |i: usize| std::fs::read(&args[i]).unwrap();
    let work = std::env::temp_dir().join(format!("bosc-delta-profile-{}", std::process::id()));
    match args.get(1).map(String::as_str) {
        // What runs under `perf`.
        Some("--make") => {
            let patch = make(&read(2), &read(3), &MakeOptions::default()).unwrap();
            std::fs::write(&args[4], patch).unwrap();
        }
        Some("--apply") => {
            apply(&read(2)[..], &read(3), std::io::sink()).unwrap();
        }
        _ => {
            std::fs::create_dir_all(&work).unwrap();
            let (patch, data) = (work.join("patch"), work.join("data"));
            let (patch, data) = (patch.to_str().unwrap(), data.to_str().unwrap());
            for run in [["--make", &args[1], &args[2], patch], ["--apply", &args[1], patch, ""]] {
                let mut perf = Command::new("perf");
                perf.args(["record", "-q", "-F", "499", "-o", data]).arg(&args[0]);
                assert!(perf.args(run).status().unwrap().success(), "perf record");
                let report = Command::new("perf")
                    .args([
                        "report",
                        "-q",
                        "--stdio",
                        "--no-children",
                        "-i",
                        data,
                        "--fields",
                        "overhead,symbol",
                    ])
                    .output()
                    .unwrap();
                println!("{}", run[0].trim_start_matches('-'));
                let lines = String::from_utf8_lossy(&report.stdout).into_owned();
                lines
                    .lines()
                    .filter(|l| !l.trim().is_empty())
                    .take(MOST)
                    .for_each(|l| println!("{}", l.trim_end()));
            }
            std::fs::remove_dir_all(&work).unwrap();
        }
    }
}
