//! The flags of `build`.

use crate::values::absolute;
use bosc_release::error::CommandError;
use clap::Args;
use std::path::PathBuf;

/// The built applications, for `bosc build` and `bosc publish`.
#[derive(Debug, Args)]
pub(crate) struct Apps {
    /// Application for macOS on Apple silicon; all of these may be given more than once
    #[arg(long, value_name = "PATH")]
    pub(crate) darwin_arm64_app: Vec<PathBuf>,
    /// Application for macOS on Intel
    #[arg(long, value_name = "PATH")]
    pub(crate) darwin_x64_app: Vec<PathBuf>,
    /// Application for Linux on arm64
    #[arg(long, value_name = "PATH")]
    pub(crate) linux_arm64_app: Vec<PathBuf>,
    /// Application for Linux on x64
    #[arg(long, value_name = "PATH")]
    pub(crate) linux_x64_app: Vec<PathBuf>,
    /// Application for Windows on arm64
    #[arg(long, value_name = "PATH")]
    pub(crate) win32_arm64_app: Vec<PathBuf>,
    /// Application for Windows on x64
    #[arg(long, value_name = "PATH")]
    pub(crate) win32_x64_app: Vec<PathBuf>,
}

impl Apps {
    /// Each with its platform; the paths are absolute.
    pub(crate) fn named(&self) -> Result<Vec<(String, PathBuf)>, CommandError> {
        let mut out = Vec::new();
        for (arch, paths) in [
            ("darwin-arm64", &self.darwin_arm64_app),
            ("darwin-x64", &self.darwin_x64_app),
            ("linux-arm64", &self.linux_arm64_app),
            ("linux-x64", &self.linux_x64_app),
            ("win32-arm64", &self.win32_arm64_app),
            ("win32-x64", &self.win32_x64_app),
        ] {
            for path in paths {
                out.push((arch.to_owned(), absolute(path)?));
            }
        }
        Ok(out)
    }
}

/// `bosc build`
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// package.json, Cargo.toml with [package.metadata.bosc], or tauri.conf.json; or a folder that holds one
    /// [default: this folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) package: Option<PathBuf>,
    /// The deployment directory to make [default: ./<name>-<version>]
    #[arg(long, value_name = "DIR")]
    pub(crate) target: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) apps: Apps,
    /// Replace an existing deployment directory
    #[arg(long, short)]
    pub(crate) force: bool,
}
