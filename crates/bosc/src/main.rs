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
mod smoke;
mod tools;
mod updater;
mod watch;

fn main() -> std::process::ExitCode {
    run::main()
}
