//! Commands for applications that update themselves.

use crate::help::page::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        path: "watch",
        details: "\
Your application starts it as a child process, writes commands to its stdin (`check`,
`apply`, `healthy`, `relaunch`, ...) and reads lines from its stdout (--json).
docs/updater.md has both. A new build that does not say that it is healthy is rolled back.",
        examples: &[
            (
                "From a link",
                "bosc watch --json --upgrade pear://KEY --app ./Hello.AppImage --name Hello.AppImage --version 1.0.0",
            ),
            (
                "From a manifest over HTTPS",
                "bosc watch --json --upgrade https://example.org/latest.json --public-key KEY --app ./hello --name hello --version 1.0.0",
            ),
        ],
    },
    Page {
        path: "updater",
        details: "\
Flags, files, output and exit codes are those of `perry updater`. (Perry compiles TypeScript
to native applications, and has an updater that Bosc can stand in for.)",
        examples: &[
            ("A key pair, once", "bosc updater keygen --output key.json"),
            (
                "A manifest and its artifacts, to upload",
                "bosc updater manifest ./hello-1.0.0 --url-base https://example.org/hello/ --secret-key key.json",
            ),
        ],
    },
    Page {
        path: "updater keygen",
        details: "",
        examples: &[("To a file", "bosc updater keygen --output key.json")],
    },
    Page {
        path: "updater sign",
        details: "Without a flag the secret key comes from BOSC_UPDATER_SECRET_KEY (Base64).",
        examples: &[(
            "One artifact",
            "bosc updater sign --binary hello.zip --version 1.0.0 --secret-key key.json",
        )],
    },
    Page {
        path: "updater verify",
        details: "Prints OK, or ends with exit code 1.",
        examples: &[(
            "One artifact",
            "bosc updater verify --binary hello.zip --version 1.0.0 --signature BASE64 --pubkey BASE64",
        )],
    },
    Page {
        path: "updater manifest",
        details: "\
Without a flag the secret key comes from BOSC_UPDATER_SECRET_KEY (Base64).
With --delta-from, applications that are one file fetch what really changed: a patch from
each of the last three versions there is written beside the artifact. Nothing rests on
patches; what they make has the signed digest. Clients of Perry do not see them.
With --policy, the rules of the release (`bosc policy set`) are signed with each artifact:
clients obey them, and operators go on from there with `bosc rollout` and `bosc halt`.",
        examples: &[
            (
                "For clients of one application",
                "bosc updater manifest ./hello-1.0.0 --url-base https://example.org/hello/ --app hello --secret-key key.json",
            ),
            (
                "The next version, with patches from those in the folder",
                "bosc updater manifest ./hello-1.1.0 --url-base https://example.org/hello/ --secret-key key.json --out www --delta-from www",
            ),
            (
                "To a tenth of all at first (`bosc policy set ./hello-1.1.0 --rollout 10% --operator night-shift`)",
                "bosc updater manifest ./hello-1.1.0 --url-base https://example.org/hello/ --secret-key key.json --policy ./hello-1.1.0",
            ),
        ],
    },
    Page {
        path: "delta",
        details: "\
A patch holds what really changed: in programs (ELF, PE, Mach-O), addresses that moved cost
nothing. `stage`, `publish` and `updater manifest` make patches by themselves; these
commands are for files alone. Nothing has to be trusted: what a patch makes has the hash
that it promises; if you know the hash of the file from elsewhere, compare the two.
Files have at most 4 GiB.",
        examples: &[
            ("A patch", "bosc delta make hello-1.0.0 hello-1.1.0 hello.patch"),
            ("The new file again", "bosc delta apply hello-1.0.0 hello.patch hello-1.1.0"),
        ],
    },
    Page {
        path: "delta make",
        details: "\
The same two files give the same patch on every machine. It takes about ten bytes of memory
for each byte of the larger file: 1 GB for 100 MB.",
        examples: &[("From one version to the next", "bosc delta make hello-1.0.0 hello-1.1.0 hello.patch")],
    },
    Page {
        path: "delta apply",
        details: "\
The new file is there once it has the hash that the patch promises, and not before. Neither
file is ever whole in memory: it takes the patch's size and some tens of MiB.",
        examples: &[("The new version", "bosc delta apply hello-1.0.0 hello.patch hello-1.1.0")],
    },
    Page {
        path: "delta inspect",
        details: "Nothing of what a patch says is proved before it is applied.",
        examples: &[("What it needs and makes", "bosc delta inspect hello.patch")],
    },
    Page {
        path: "delta bench",
        details: "\
Makes a patch, applies it, and runs zstd, xz and bsdiff on the same files, as far as they
are installed. Memory as for `make`, and what those programs take.",
        examples: &[("Two versions", "bosc delta bench hello-1.0.0 hello-1.1.0")],
    },
    Page {
        path: "updater smoke",
        details: "\
The old build is updated to the new one, then to two builds that cannot work, each of which
must be rolled back; all in a temporary folder. Your application is really started: keep it
from its production data with arguments after --, or let it look at BOSC_UPDATER_SMOKE.",
        examples: &[
            ("Two AppImages", "bosc updater smoke --old Hello-1.0.0.AppImage --new Hello-1.1.0.AppImage"),
            (
                "Arguments for the application",
                "bosc updater smoke --old old/Hello.app --new new/Hello.app -- --profile /tmp/smoke",
            ),
        ],
    },
];
