//! Commands that keep links and stores in good order.

use crate::help::page::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        path: "dashboard",
        details: "\
Lines side by side, what each release changed and what its update costs, who signed and
the command that is missing, who has which version (now and over 90 days), rollout and
freshness, the network, the store, and all that `bosc doctor` finds. The page is kept up to
date. It only shows: nothing is signed or released from it. What this store writes is seeded
meanwhile. Beside a running `bosc seed` on the same store it is served by that process.
Of peers only numbers are kept, in the store's dashboard.json.",
        examples: &[
            ("All lines of bosc.toml, or all that this store writes", "bosc dashboard"),
            ("One link", "bosc dashboard pear://KEY"),
            ("One line, on a port of your choice", "bosc dashboard --line production --addr 127.0.0.1:8080"),
            ("Who signed, of the files in a folder", "bosc dashboard --ceremony ./signing"),
            ("For other machines too", "bosc dashboard --addr 0.0.0.0:8080 --password-file ./password"),
        ],
    },
    Page {
        path: "doctor",
        details: "\
Says who seeds the link, what it holds for which platform, what is wrong, and what to do
about it. With --version also: would it update a client of that version? Exit code 1 if a
finding is bad. At the end, for information: which NAT this machine is behind, whether its
router gives a seeder a port, whom it can reach directly, and what to do.",
        examples: &[
            ("How a link is doing", "bosc doctor pear://KEY"),
            ("Why a client does not update", "bosc doctor pear://KEY --version 1.0.0 --platform win32-x64"),
            ("Why the application on this machine does not", "bosc doctor pear://KEY --app /opt/hello"),
            ("Does a blind peer keep it?", "bosc doctor pear://KEY --blind-peer BLIND-PEER-KEY"),
        ],
    },
    Page {
        path: "monitor",
        details: "\
Keeps every head of the link with its signatures, and every statement of its operators, in
a file that only grows. Ends with exit code 7 when a history forks or is cut back, signers
or operators change, or an operator says two things under one counter. Two monitors
in two places, whose files are compared, find out whether both are shown the same.",
        examples: &[
            ("Watch a link", "bosc monitor pear://KEY hello.monitor"),
            ("Look once, from a timer", "bosc monitor pear://KEY hello.monitor --once"),
            ("Were two places shown one history?", "bosc monitor --compare here.monitor there.monitor"),
        ],
    },
    Page {
        path: "keys",
        details: "\
Files are encrypted under a passphrase. Once a key is in two places, every write asks peers
for the newest version first. Signing keys are something else: `bosc multisig keys`.",
        examples: &[("Back up all keys of this store", "bosc keys backup store.bosc-key")],
    },
    Page {
        path: "keys export",
        details: "\
From then on both stores ask peers for the newest version before they write to the link:
two machines that write without knowing of each other make two histories, which nobody can
join again.",
        examples: &[("For another machine", "bosc keys export pear://KEY --out hello.bosc-key")],
    },
    Page {
        path: "keys import",
        details: "The next `bosc stage` to the link fetches its newest version from peers and continues it.",
        examples: &[
            ("The key of one link", "bosc keys import hello.bosc-key"),
            ("A whole backup, into a new store", "bosc keys import store.bosc-key --store ~/restored"),
        ],
    },
    Page {
        path: "keys backup",
        details: "\
Links made later need a new backup. Keep the passphrase apart from the file. With --shared
it is for a machine that publishes beside this one, such as CI (`bosc publish --ci`): both
ask peers for the newest version before they write, so somebody has to seed the links.",
        examples: &[
            ("Onto a stick", "bosc keys backup /media/usb/store.bosc-key"),
            ("The secret of CI, as BOSC_PRIMARY_KEY_FILE", "bosc keys backup ci.bosc-key --shared"),
        ],
    },
    Page {
        path: "keys operator",
        details: "\
An operator's key is kept where signing keys are, under a passphrase, and moved and backed
up like them (`bosc multisig keys export`, `import`). One key serves one link. It is not a
key of the quorum: with it nobody can release anything.",
        examples: &[("Once, on the machine of who is on call", "bosc keys operator night-shift")],
    },
    Page {
        path: "store",
        details: "Works beside a running `bosc seed`.",
        examples: &[("Is everything as it was stored?", "bosc store check")],
    },
    Page {
        path: "store check",
        details: "\
Reads every block of the store (or of one link) and compares it with its hash, then every
checksum of the database. A damaged block is no longer given to peers; a running `bosc
seed` fetches it again, and so does `bosc store repair`. Exit code 5 if anything is damaged.",
        examples: &[("One link", "bosc store check pear://KEY")],
    },
    Page {
        path: "store repair",
        details: "\
Checks as `bosc store check` does and fetches what is damaged from peers. Nothing is signed,
cut back or removed. Exit code 5 if something is still missing in the end.",
        examples: &[("All links", "bosc store repair")],
    },
    Page {
        path: "cores",
        details: "A drive has two cores: `db` (names) and `blobs` (contents).",
        examples: &[("What is in the store", "bosc cores")],
    },
    Page {
        path: "gc",
        details: "What another command on this store is using stays. If it is killed, run it again.",
        examples: &[
            ("What an unfinished download would give back", "bosc gc downloads --dry-run"),
            ("Shrink the store's files", "bosc gc store"),
        ],
    },
    Page {
        path: "gc cores",
        details: "",
        examples: &[("Forget what was downloaded", "bosc gc cores pear://KEY")],
    },
    Page { path: "gc downloads", details: "", examples: &[("See first", "bosc gc downloads --dry-run")] },
    Page { path: "gc stage-index", details: "", examples: &[("Remove it", "bosc gc stage-index")] },
    Page { path: "gc store", details: "", examples: &[("See first", "bosc gc store --dry-run")] },
    Page { path: "data", details: "", examples: &[("Can this machine reach the DHT?", "bosc data dht")] },
    Page {
        path: "data dht",
        details: "",
        examples: &[("Look for 30 seconds", "bosc data dht --timeout 30")],
    },
    Page { path: "data multisig", details: "", examples: &[("All of them", "bosc data multisig")] },
    Page {
        path: "dht",
        details: "\
Without --bootstrap it is the first node of a private network. It keeps nothing on disk.
--local runs all nodes of one on loopback: to try everything on one machine, alone.",
        examples: &[
            ("A network on this machine only", "bosc dht --local"),
            ("The first node", "bosc dht --port 49737"),
            (
                "Another one, behind a router",
                "bosc dht --bootstrap dht.example.org:49737 --public-host 203.0.113.7",
            ),
        ],
    },
    Page {
        path: "relay",
        details: "\
Two peers behind routers that let no direct connection through meet here, when one of
them names this relay with --relay. Bosc and JavaScript peers (`relayThrough` of hyperswarm)
can use it. What it passes on is encrypted from end to end: it sees who talks to whom and
how much, and can neither read nor change anything. Run it where it can be reached: without
a firewall in front, or with its UDP port open. Its key is kept in the store.",
        examples: &[
            ("For everyone", "bosc relay --public"),
            (
                "For two peers, by the `whoami` of `bosc seed --json`",
                "bosc relay --allow KEY-A --allow KEY-B",
            ),
            ("Two MiB a second for each pair", "bosc relay --public --max-rate 2M"),
        ],
    },
    Page {
        path: "blind-peer",
        details: "\
A seeder names it with `bosc seed LINK --blind-peer KEY`, an application in JavaScript with
npm `blind-peering`. It then fetches those cores, keeps up with them, and serves them to
whoever knows their keys, also while the one who asked is offline. It can write none of
them. Cores of keys given with --allow are announced, so that anybody who has the link finds
them here. When it is full, cores that nobody asked for in the last hour make room, those
wanted least recently first. Give it a store of its own with --store.",
        examples: &[
            (
                "For one seeder, by the `whoami` of `bosc seed --json`",
                "bosc blind-peer --allow KEY --store ./blind",
            ),
            ("For everyone, in 50 GiB", "bosc blind-peer --public --max-disk 50G --store ./blind"),
        ],
    },
];
