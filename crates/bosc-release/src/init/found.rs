//! What a folder is: a project of some tool, with what it says of itself and where its builds are.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The tool that makes the builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// Tauri.
    Tauri,
    /// Electron, packed by electron-builder.
    ElectronBuilder,
    /// Electron, packed by Electron Forge.
    ElectronForge,
    /// A Pear application, which is released as it is.
    Pear,
    /// Python, packed by PyInstaller.
    Pyinstaller,
    /// A Rust program.
    Cargo,
    /// A Node program, packed by whatever.
    Node,
    /// A folder of builds, without a project.
    Builds,
}

impl Tool {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tauri => "Tauri",
            Self::ElectronBuilder => "electron-builder",
            Self::ElectronForge => "Electron Forge",
            Self::Pear => "Pear",
            Self::Pyinstaller => "PyInstaller",
            Self::Cargo => "Cargo",
            Self::Node => "Node",
            Self::Builds => "a folder of builds",
        }
    }
}

/// An application that a folder may be the project of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What tells it from others in the folder.
    pub label: String,
    /// Its tool.
    pub tool: Tool,
    /// The file that says name and version, relative to the folder, with `/`.
    pub package: Option<String>,
    /// The program that the tool builds, where that is not the application's name.
    pub program: Option<String>,
}

/// What was found out of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which it is.
    pub candidate: Candidate,
    /// What it is called on disk; nothing for a folder of builds with several names, or none.
    pub name: Option<String>,
    /// The name, where the file that says name and version does not say it yet.
    pub product: Option<String>,
    /// Its version, where something says it.
    pub version: Option<String>,
    /// The link it updates from, where it has one.
    pub upgrade: Option<String>,
    /// Builds by their platforms.
    pub builds: BTreeMap<String, Build>,
    /// Programs that lie in a folder without a project: of several for a platform, the application's name says which it is.
    pub loose: Vec<Loose>,
    /// The folder itself is what is released: builds lie in it as clients read them, or the tool has none.
    pub as_it_is: bool,
    /// The command that builds it, where that is known.
    pub build_command: Option<String>,
}

/// A program that lies in a folder without a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loose {
    /// Its platform.
    pub platform: String,
    /// Relative to the folder, with `/`.
    pub path: String,
    /// Its name without an extension.
    pub name: String,
}

impl Found {
    /// The application is called so: of several programs for a platform that of this name is its build, else the first.
    #[must_use]
    pub fn called(mut self, name: &str) -> Self {
        for of in &self.loose {
            let is_it = of.name == name;
            if is_it || !self.builds.contains_key(&of.platform) {
                self.builds.insert(of.platform.clone(), Build { path: of.path.clone(), there: true });
            }
        }
        self
    }
}

/// Where the build for a platform is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Relative to the folder, with `/`; `{version}` stands for the version.
    pub path: String,
    /// Whether it is there now.
    pub there: bool,
}
