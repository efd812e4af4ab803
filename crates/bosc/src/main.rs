//! The `bosc` program.
#![forbid(unsafe_code)]

mod args;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod docs_test;
mod human;
mod multisig;
mod plain;
mod printer;
mod provision;
mod release;
mod run;
/// The example program, for the demo.
#[path = "../../../examples/self-update/src/main.rs"]
mod self_update;
mod smoke;
mod tools;
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
