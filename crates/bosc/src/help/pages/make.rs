//! Commands that make what is shipped.

use crate::help::page::Page;

pub(super) const PAGES: &[Page] = &[
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
];
