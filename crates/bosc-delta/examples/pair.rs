//! Makes a patch from two files, applies it, and prints what it cost: `pair OLD NEW [PATCH]`. With `apply OLD PATCH NEW` or
//! `make OLD NEW PATCH` only that.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "an example")]

use bosc_delta::{Base, MakeOptions, apply, inspect, make};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

struct OnDisk(File);

impl Base for OnDisk {
    fn len(&self) -> u64 {
        self.0.metadata().unwrap().len()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        self.0.read_exact_at(into, at)
    }
}

fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let start = Instant::now();
    match args[1].as_str() {
        "apply" => {
            let patch = std::fs::read(&args[3]).unwrap();
            apply(&OnDisk(File::open(&args[2]).unwrap()), &patch, File::create(&args[4]).unwrap()).unwrap();
        }
        _ => {
            let (old, new) = (std::fs::read(&args[2]).unwrap(), std::fs::read(&args[3]).unwrap());
            let patch = make(&old, &new, &MakeOptions::default()).unwrap();
            println!("{} bytes; {:?}", patch.len(), inspect(&patch).unwrap());
            std::fs::write(&args[4], patch).unwrap();
        }
    }
    println!("{:.2} s, {} MiB", start.elapsed().as_secs_f32(), peak());
}
