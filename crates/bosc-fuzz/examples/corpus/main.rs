//! Writes `fuzz/corpus`: samples from the vectors made by the JavaScript modules, and from our own encoders.
//!
//! Run it in the workspace: `cargo run -p bosc-fuzz --example corpus`. It is deterministic; files are named by their
//! number.
//!
//! # Files
//!
//! - `formats`: encodings, links, manifests, proofs, drives. `deltas`: patches between files. `mirrors`: heads and objects of mirrors. `policies`: what quorums and operators say. `peers`: what a connected peer says. `datagrams`: of the DHT and of
//!   UDX. `local`: what lies on this machine. `samples`: where they are gathered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a tool for the tests"
)]

mod datagrams;
mod deltas;
mod formats;
mod local;
mod mirrors;
mod peers;
mod policies;
mod samples;

use bosc_fuzz::TARGETS;
use samples::{Corpus, root};

fn main() {
    let mut c = Corpus::default();
    formats::formats(&mut c);
    formats::proofs(&mut c);
    formats::drives(&mut c);
    peers::connections(&mut c);
    peers::replication(&mut c);
    datagrams::networks(&mut c);
    datagrams::udx(&mut c);
    deltas::deltas(&mut c);
    policies::policies(&mut c);
    mirrors::mirrors(&mut c);
    local::releases(&mut c);
    local::stores(&mut c);
    let mut total = 0;
    for (name, _) in TARGETS {
        let folder = root().join("fuzz/corpus").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let samples = c.0.get(name).map(Vec::as_slice).unwrap_or_default();
        for (i, bytes) in samples.iter().enumerate() {
            std::fs::write(folder.join(format!("{i:03}")), bytes).unwrap();
            total += bytes.len();
        }
        println!("{name:16} {:3}", samples.len());
    }
    println!("{total} bytes");
}
