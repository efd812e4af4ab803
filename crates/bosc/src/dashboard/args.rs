//! The flags of `dashboard`.

use clap::Args;
use std::path::PathBuf;

/// `bosc dashboard`
#[derive(Debug, Args)]
pub(crate) struct Dashboard {
    /// The links to show [default: the lines of bosc.toml, or what this store writes]
    #[arg(value_name = "LINK")]
    pub(crate) links: Vec<String>,
    /// Show this line of the file; may be given more than once [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) line: Vec<String>,
    /// The file that declares the lines
    #[arg(long, value_name = "FILE", default_value = bosc_release::line::file::FILE_NAME)]
    pub(crate) file: PathBuf,
    /// Where the page is served: an address and a port; 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) addr: String,
    /// Ask for the password in FILE, instead of a token in the URL; needed when other machines reach ADDR
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// A folder in which requests and responses are collected: who signed is shown
    #[arg(long, value_name = "DIR")]
    pub(crate) ceremony: Option<PathBuf>,
}
