//! The `bosc` program.
#![forbid(unsafe_code)]
// Comments of arguments are what `--help` shows.
#![allow(rustdoc::invalid_html_tags)]

mod blind_peer;
mod build;
mod changelog;
mod cores;
mod dashboard;
mod data;
mod delta;
mod demo;
mod dht;
mod doctor;
mod dump;
mod gc;
mod generate;
mod global;
mod info;
mod init;
mod install;
mod keys;
mod line;
mod lines;
mod log;
mod monitor;
mod on_store;
mod publish;
mod relay;
mod rotate;
mod seed;
mod stage;
mod store;
mod touch;
mod values;
mod versions;

mod args;
mod board;
mod columns;
mod help;
mod human;
mod mirror;
mod multisig;
mod operator;
mod panics;
mod plain;
mod policy;
mod printer;
mod provision;
mod question;
mod run;
mod screen;
/// The example program, for the demo.
#[path = "../../../examples/self-update/src/main.rs"]
mod self_update;
mod signals;
mod updater;
mod watch;

use bosc_release::demo::{EXAMPLE, EXAMPLE_ENV, end_with_demo};
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::var_os(EXAMPLE_ENV).is_some_and(|name| name == EXAMPLE) {
        if let Some(data) = std::env::args_os().nth(2) {
            end_with_demo(data.into());
        }
        return match self_update::main() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    run::main()
}
