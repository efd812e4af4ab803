//! The systems that a name is meant for.

/// Where names are to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// Linux, and whatever else tells all names apart.
    Linux,
    /// macOS.
    Darwin,
    /// Windows.
    Windows,
    /// An archive for any of them.
    Archive,
}

impl Target {
    /// The system this program runs on.
    pub const fn here() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::Darwin
        } else {
            Self::Linux
        }
    }

    /// The system of a platform of a deployment directory: `linux-x64`, `darwin-arm64`, `win32-x64`.
    pub fn of_platform(platform: &str) -> Option<Self> {
        match platform.split('-').next()? {
            "linux" => Some(Self::Linux),
            "darwin" => Some(Self::Darwin),
            "win32" => Some(Self::Windows),
            _ => None,
        }
    }

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Darwin => "macOS",
            Self::Windows => "Windows",
            Self::Archive => "an archive",
        }
    }

    pub(crate) fn as_windows(self) -> bool {
        matches!(self, Self::Windows | Self::Archive)
    }
}
