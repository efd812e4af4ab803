//! Commands that make what is shipped.

use crate::help::page::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        path: "init",
        details: "\
Finds out what the folder is (Tauri, electron-builder, Electron Forge, Pear, PyInstaller, a
Rust or Node program, or builds alone), its name and version, and where its builds are. Asks
what it cannot know, three questions at most. Then it writes bosc.toml, an ignore file, a
workflow for CI and the lines for the application, and puts a new link into the project's
own file. Existing files change only after you have seen the difference and agreed. Run
again, it has nothing to do. Without a terminal, give --yes or flags for what is missing.

bosc.toml says what `bosc publish` releases:
  [publish]
  package = \"package.json\"          # says name, version and link
  link-name = \"hello-x7k2p9qe\"      # which link of the primary key, for --ci
  [publish.builds]                  # version and name in { } are replaced
  linux-x64 = \"dist/linux-unpacked\"",
        examples: &[
            ("This folder's project", "bosc init"),
            ("What it would write", "bosc init ~/hello --dry-run"),
            (
                "A script: builds in ./builds, without questions",
                "bosc init builds --yes --name Hello --version 1.0.0",
            ),
            ("With a workflow for GitLab", "bosc init --ci gitlab"),
        ],
    },
    Page {
        path: "touch",
        details: "Only this store can write to the link. Back its keys up with `bosc keys backup`.",
        examples: &[
            ("A new link", "bosc touch"),
            ("One that starts with pear://abc", "bosc touch --vanity abc"),
        ],
    },
    Page {
        path: "build",
        details: "\
Makes TARGET/package.json and TARGET/by-arch/<platform>-<arch>/app/<name> of each artifact:
the folder that `bosc stage` puts on a link. CHANGELOG.md and pear.json beside the package
come along. An artifact must be named after productName (or name), before its extension.",
        examples: &[
            (
                "One folder from the builds for two systems",
                "bosc build --target hello-1.0.0 --linux-x64-app out/Hello.AppImage --darwin-arm64-app out/Hello.app",
            ),
            (
                "Name and version from a Cargo.toml",
                "bosc build --package Cargo.toml --linux-x64-app target/release/hello",
            ),
        ],
    },
    Page {
        path: "stage",
        details: "\
Afterwards the drive holds what the folder holds. Only what changed is stored. Prints the
verlink of the new version.",
        examples: &[
            ("What would change", "bosc stage pear://KEY ./dist --dry-run"),
            ("Put ./dist on the link", "bosc stage pear://KEY ./dist"),
            (
                "Leave out source maps, but not one of them",
                "bosc stage pear://KEY ./dist --ignore '*.map,!app.map'",
            ),
        ],
    },
    Page {
        path: "changelog",
        details: "",
        examples: &[
            ("What is new on a link", "bosc changelog pear://KEY"),
            ("The releases of major version 2 in this folder", "bosc changelog . --of 2.x"),
        ],
    },
    Page {
        path: "versions",
        details: "\
With a link: every version in the drive's history, oldest first, each with its length, its
verlink and the SemVer of its package.json. `dump --checkout`, `stage --truncate` and
`provision` take these lengths. A `*` marks where the SemVer changed: a release.
Without a link: this bosc, its store format and its platform.",
        examples: &[
            ("All versions of a link", "bosc versions pear://KEY"),
            ("The last ten", "bosc versions pear://KEY --max 10"),
        ],
    },
    Page {
        path: "log",
        details: "\
The newest release first: its version, length and time, the hash of the tree at that length,
who of the quorum signed it, its size, what changed since the one before, and what an update
from there costs. Then what the link's operators say now. Length and hash are of the signed
tree: whoever has the link computes the same. A store keeps the signature of its newest head
only; `bosc monitor` keeps those of older heads.",
        examples: &[
            ("The last releases", "bosc log pear://KEY"),
            ("All of them, for a program", "bosc log pear://KEY --max 1000 --json"),
            ("From a mirror", "bosc log pear://KEY --mirror https://example.com/app"),
        ],
    },
];
