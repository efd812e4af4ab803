//! The `bosc` program.
#![forbid(unsafe_code)]

mod args;
mod human;
mod multisig;
mod plain;
mod printer;
mod provision;
mod release;
mod run;
mod tools;

fn main() -> std::process::ExitCode {
    run::main()
}
