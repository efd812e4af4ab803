//! Commands for a release that is out: its rules, and what operators say.

use crate::help::page::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        path: "policy",
        details: "\
The file release.json in the folder that is staged is signed with the release: it says how
far the release goes at first, who may say more afterwards (operators), and how old the
newest word may be. Clients obey it. A link without the file behaves as if there were no
such thing. Details: docs/policy.md.",
        examples: &[("What holds for a link now", "bosc policy show pear://KEY")],
    },
    Page {
        path: "policy show",
        details: "\
Of a link: the rules of its newest release, what each operator says now (asked in the DHT
and on mirrors, and verified), how every version stands that they speak of, and whether
clients know that it is the newest. Of a folder: what its rules will mean. Of a manifest's
file: its rules, and what the file with `.bosc-statements` behind its name says.",
        examples: &[
            ("At three in the morning, first", "bosc policy show pear://KEY"),
            ("Before a release", "bosc policy show ./hello-deployment"),
            ("Of updates over HTTPS", "bosc policy show ./www/latest.json"),
        ],
    },
    Page {
        path: "policy set",
        details: "\
Writes release.json, and sets its time: run it before each release. Fields that are not
named stay as they are, also those that bosc does not know. Shows what changed, and writes
nothing that clients could not obey.",
        examples: &[
            (
                "To a tenth of all, and the night shift goes on from there",
                "bosc policy set ./hello-deployment --rollout 10% --operator night-shift",
            ),
            (
                "Clients notice within a week if newer releases are withheld",
                "bosc policy set ./hello-deployment --freshness 7d",
            ),
            (
                "The boss may also recall a version where it runs",
                "bosc policy set ./hello-deployment --recall --operator boss=KEY:halt,recall",
            ),
        ],
    },
    Page {
        path: "policy check",
        details: "\
Exit code 2 (of a folder) or 7 (of a link) if clients cannot obey the rules: they would
install nothing. What can be obeyed but is probably a mistake is shown; it is not an error.",
        examples: &[("In CI, before a release", "bosc policy check ./hello-deployment")],
    },
    Page {
        path: "rollout",
        details: "\
Who is in is decided on each machine by a hash that never leaves it; who was in stays in as
the share grows. 0% stops it: those who have it keep it. What the rules of the link do not
allow is refused, with the names of those who may. A manifest's file may stand in the place
of a link: what is said is then written beside it, and goes to the server. Shows what it
will mean, then asks for the passphrase of the key.",
        examples: &[
            ("Half of them", "bosc rollout pear://KEY 1.4.2 50%"),
            ("What would that mean?", "bosc rollout pear://KEY 1.4.2 100% --dry-run"),
        ],
    },
    Page {
        path: "halt",
        details: "\
Nobody installs the version any more, even where it is downloaded; where it is on trial, the
build before comes back. With --recall, also where it runs, if the rules allow it. It is
never the way to a lower version of your choice: for that, release a newer one.",
        examples: &[
            ("It does not start for some", "bosc halt pear://KEY 1.4.2"),
            ("It destroys data", "bosc halt pear://KEY 1.4.2 --recall"),
        ],
    },
    Page {
        path: "lift",
        details: "\
Only the operator who halted it can lift that. It then goes as far as it went before;
machines that went back get it again.",
        examples: &[("It was something else", "bosc lift pear://KEY 1.4.2")],
    },
    Page {
        path: "refresh",
        details: "\
Where the rules have a freshness, clients install nothing when nobody said for so long what
is the newest. A seeder does it by itself: `bosc seed LINK --refresh-with NAME`, which also
has the DHT keep what the other operators say: its nodes forget a statement after two days.
It names only what a peer vouches for, and never less than was named before.",
        examples: &[("By hand", "bosc refresh pear://KEY")],
    },
];
