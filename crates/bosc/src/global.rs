//! Flags of every command.

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Folder of the store (keys and drives) [default: `bosc` in the platform's data folder]
    #[arg(long, global = true, help_heading = COMMON, env = "BOSC_STORE", value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// DHT nodes to start from [default: the public HyperDHT nodes]
    #[arg(long, global = true, help_heading = COMMON, env = "BOSC_BOOTSTRAP", value_name = "HOST:PORT,...")]
    #[arg(value_delimiter = ',')]
    pub(crate) bootstrap: Vec<String>,
    /// Public key of a blind relay to go through where no direct way to a peer is found [default: none]
    #[arg(long, global = true, help_heading = COMMON, env = "BOSC_RELAY", value_name = "KEY,...")]
    #[arg(value_delimiter = ',')]
    pub(crate) relay: Vec<String>,
    /// Find peers in the local network too, without a DHT, and be found there
    #[arg(long, global = true, help_heading = COMMON, env = "BOSC_LAN")]
    #[arg(value_parser = FalseyValueParser::new())]
    pub(crate) lan: bool,
    /// Write JSON to stdout, one object per line: cmd, tag, data
    #[arg(long, global = true, help_heading = COMMON)]
    pub(crate) json: bool,
    /// Print results and errors only
    #[arg(long, short, global = true, help_heading = COMMON, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Also print what happens underneath, and the code of an error
    #[arg(long, global = true, help_heading = COMMON)]
    pub(crate) verbose: bool,
    /// No live lines, even on a terminal
    #[arg(long, global = true, help_heading = COMMON)]
    pub(crate) no_progress: bool,
    /// Colours: `auto` (on a terminal, unless NO_COLOR is set), `always` or `never`
    #[arg(long, global = true, help_heading = COMMON, value_name = "WHEN")]
    #[arg(value_enum, default_value_t = Color::Auto, hide_possible_values = true, hide_default_value = true)]
    pub(crate) color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    // No help for each: it would make clap put the description of every flag on a line of its own.
    Auto,
    Always,
    Never,
}

/// The heading of the flags that every command has.
pub(crate) const COMMON: &str = "Common flags";
