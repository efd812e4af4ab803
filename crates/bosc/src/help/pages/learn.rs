//! Bosc itself.

use crate::help::page::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        path: "",
        details: "\
A link (pear://...) names a drive: a signed folder that only grows. Whoever has the link can
fetch the drive from whoever else has it, and nobody can change a byte of it unseen.",
        examples: &[
            ("Mint a link, put a folder on it, keep it available", "bosc touch"),
            ("", "bosc stage pear://KEY ./dist"),
            ("", "bosc seed pear://KEY"),
            ("Fetch it on any other machine", "bosc dump pear://KEY ./copy"),
        ],
    },
    Page {
        path: "demo",
        details: "\
Stage, seed, fetch, provision, two of three signatures, commit, and the next release. Then
a program updates itself, and rolls back a release that cannot start. Then a release with
rules goes out by a web server alone, with UDP off: to 10 %, to all, back again by a recall;
and a web server that is not kept up to date is noticed. All of it on a DHT of its own on
loopback. Leaves nothing behind.",
        examples: &[
            ("With a small application made for it", "bosc demo"),
            ("With a folder of yours", "bosc demo ./dist"),
        ],
    },
    Page {
        path: "help",
        details: "Topics: exit-codes, errors, environment. The code of an error shows that error alone.",
        examples: &[
            ("A command", "bosc help multisig sign"),
            ("What the exit codes mean", "bosc help exit-codes"),
            ("One error", "bosc help ERR_NOT_NEWEST"),
        ],
    },
    Page {
        path: "completions",
        details: "",
        examples: &[
            ("In this shell", "source <(bosc completions bash)"),
            ("For every fish", "bosc completions fish > ~/.config/fish/completions/bosc.fish"),
        ],
    },
    Page {
        path: "man",
        details: "",
        examples: &[
            ("Read bosc(1)", "bosc man | man -l -"),
            ("A page for each command", "bosc man ~/.local/share/man/man1"),
        ],
    },
];
