//! The dashboard's page without a store: snapshots come from standard input, one JSON object a line, and are shown as they come. The
//! URL is the first line of the output. For tests in a browser, and to look at a page while it is changed.
//!
//!     cargo run -p bosc-release --example dashboard < snapshots.ndjson
#![allow(clippy::print_stdout)]

use bosc_release::dashboard::Snapshot;
use bosc_release::dashboard::server::{Door, Service};
use std::io::BufRead;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let service = Service::start("127.0.0.1:0".parse()?, Door::token()?)?;
    println!("{}", service.url());
    for line in std::io::stdin().lock().lines() {
        service.served().post(serde_json::from_str::<Snapshot>(&line?)?);
    }
    Ok(())
}
