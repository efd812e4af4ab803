//! Commands that share and fetch.

use crate::help::page::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        path: "seed",
        details: "\
Downloads all of the drive, keeps up with new versions, and serves them to other peers until
Ctrl+C. Once a day it also reads back everything it holds, and fetches damaged blocks again.
It takes many links from a file, has limits and metrics, and ends gracefully: see
docs/operators.md.",
        examples: &[
            ("Seed until Ctrl+C", "bosc seed pear://KEY"),
            ("Without the live table, for a service", "bosc seed pear://KEY --no-tty"),
            (
                "Many links, and Prometheus metrics on port 9464 of this machine",
                "bosc seed --links FILE --metrics 9464",
            ),
            (
                "Leave some bandwidth and disk space to others",
                "bosc seed pear://KEY --upload-limit 8M --max-disk 20G",
            ),
            (
                "With a copy at a blind peer (see `bosc blind-peer`)",
                "bosc seed pear://KEY --blind-peer BLIND-PEER-KEY",
            ),
            ("Until a certain peer holds a full copy", "bosc seed pear://KEY --until-sync PEER-KEY"),
            ("Also keep a mirror up to date", "bosc seed pear://KEY --mirror-to s3://BUCKET/PREFIX"),
        ],
    },
    Page {
        path: "info",
        details: "",
        examples: &[
            ("Everything", "bosc info pear://KEY"),
            ("Its package.json", "bosc info pear://KEY --manifest"),
            ("What is new in its newest release", "bosc info pear://KEY --changelog"),
            ("Of bosc and its store", "bosc info"),
        ],
    },
    Page {
        path: "dump",
        details: "\
A file is replaced in one step, and files that did not change are not written. Nothing
outside the folder is ever touched.",
        examples: &[
            ("All files into a new folder", "bosc dump pear://KEY ./copy"),
            ("Bring a folder up to date", "bosc dump pear://KEY ./copy --force"),
            ("Names only", "bosc dump pear://KEY --list"),
            ("One file to stdout", "bosc dump pear://KEY/package.json -"),
            ("An older version (see `bosc versions`)", "bosc dump pear://KEY ./old --checkout 12"),
            (
                "Where no direct connection gets through (see `bosc relay`)",
                "bosc dump pear://KEY ./copy --relay RELAY-KEY",
            ),
            ("From a mirror", "bosc dump pear://KEY ./copy --mirror https://example.com/app"),
        ],
    },
    Page {
        path: "mirror",
        details: "\
Writes the drive as files that never change, and one small file that names the newest
version. Whoever has the link reads it with --mirror URL from any web server, bucket or
folder, without a peer, and every byte is proved against the link as from a peer. Run it
again after each release: only what is new is written. See docs/mirrors.md.

Credentials are taken from the environment: AWS_* for s3://, GOOGLE_* for gs://, AZURE_*
for az://, BOSC_MIRROR_TOKEN or BOSC_MIRROR_USER and BOSC_MIRROR_PASSWORD for https://.",
        examples: &[
            ("Into the folder of a web server", "bosc mirror pear://KEY /srv/www/app"),
            ("Into a bucket", "bosc mirror pear://KEY s3://BUCKET/app"),
            (
                "The newest version for one platform, on a stick",
                "bosc mirror pear://KEY /media/stick/app --only /by-arch/linux-x64",
            ),
        ],
    },
    Page {
        path: "install",
        details: "\
Fetches the build for this machine and puts it where applications live: ~/Applications on
macOS; ~/Applications, ~/AppImages or ~/.local/bin on Linux; %LOCALAPPDATA%\\Programs on
Windows. If it is interrupted, run it again: it continues. The drive stays in the store, so
that `bosc seed` can serve it to others.",
        examples: &[
            ("Install", "bosc install pear://KEY"),
            ("Into a folder of your choice", "bosc install pear://KEY --to ~/tools"),
            ("Uninstall", "bosc install pear://KEY --uninstall"),
        ],
    },
];
