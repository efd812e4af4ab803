//! Commands that release.

use crate::help::page::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        path: "publish",
        details: "\
Reads the link from `upgrade` in DIR/package.json, builds if per-system applications are
given, stages, shows what changed, and seeds until enough peers hold it. Without a link, the
first run makes one, writes it there and stops: put it into the application, build, and
run it again. Clients take only higher versions, so a folder with changes and a version
that is not above the link's is refused.

With --ci any machine that has the primary key publishes to the same link. The key comes
from BOSC_PRIMARY_KEY, or from the file named in BOSC_PRIMARY_KEY_FILE with BOSC_PASSPHRASE.
Before it writes, it learns the newest version from a peer that holds a full copy, or from a
--cache.",
        examples: &[
            ("What would be published", "bosc publish ./dist --dry-run"),
            ("The first time: make a link", "bosc publish ./dist --yes"),
            ("Publish, with no peer to wait for", "bosc publish ./dist --copies 0"),
            (
                "Build and publish",
                "bosc publish . --linux-x64-app out/Hello.AppImage --win32-x64-app out/Hello.exe",
            ),
            ("From a CI runner that keeps nothing", "bosc publish ./dist --ci --snapshot bosc.snapshot"),
        ],
    },
    Page {
        path: "line",
        details: "\
Release lines are declared in bosc.toml, one table each:

  [line.rc]
  kind = \"stage\"        # stage, provision or multisig
  link = \"pear://...\"
  source = \"staging\"    # the line it is promoted from
  seeds = 2             # full copies wanted, or a list of peers' keys

A provision line may name the line whose blocks it starts with (production = \"...\"); if it
does not, that is the multisig line that comes from it. Do not ship the file: a link is
the right to read what is on it.",
        examples: &[
            ("The five usual lines", "bosc line init"),
            ("All lines side by side", "bosc line list"),
            ("Move what staging holds on to rc", "bosc line promote staging rc"),
        ],
    },
    Page {
        path: "line list",
        details: "",
        examples: &[("All lines of another file", "bosc line list --file lines.toml")],
    },
    Page { path: "line show", details: "", examples: &[("One line", "bosc line show rc")] },
    Page {
        path: "line init",
        details: "The link of production comes from the signers in pear.json, when they are there.",
        examples: &[("With the signers in another file", "bosc line init --config signers.json")],
    },
    Page {
        path: "line add",
        details: "",
        examples: &[
            ("A line with a new link", "bosc line add nightly --kind stage"),
            (
                "A line whose key another machine has",
                "bosc line add rc --kind stage --link pear://KEY --source staging",
            ),
        ],
    },
    Page { path: "line remove", details: "", examples: &[("Forget a line", "bosc line remove nightly")] },
    Page {
        path: "line promote",
        details: "\
To a stage line: its files are fetched and staged. To a provision line: `bosc provision`
with the right verlinks. To a multisig line: prints the steps for the signers, and writes
nothing.",
        examples: &[
            ("What would happen", "bosc line promote staging rc --dry-run"),
            ("Provision without the countdown", "bosc line promote rc prerelease --yes"),
        ],
    },
    Page {
        path: "provision",
        details: "\
The target begins with production's blocks and ends with one batch, so that it equals the
source. That is what a quorum signs: drafts of a stage link never reach production.",
        examples: &[
            (
                "What would change",
                "bosc provision pear://0.LENGTH.SOURCE pear://TARGET pear://0.LENGTH.PRODUCTION --dry-run",
            ),
            (
                "The first release",
                "bosc provision pear://0.LENGTH.SOURCE pear://TARGET pear://0.0.PRODUCTION",
            ),
        ],
    },
    Page {
        path: "rotate",
        details: "\
What NEW holds (builds whose `upgrade` is NEW) becomes the last release of OLD. If a quorum
signs OLD, the release is prepared on a link of its own, and the steps for the signers are
printed. --check looks from outside whether a follower of OLD ends on NEW.",
        examples: &[
            ("What would happen", "bosc rotate pear://OLD pear://NEW --dry-run"),
            ("Do it", "bosc rotate pear://OLD pear://NEW"),
            ("See where followers end", "bosc rotate pear://OLD pear://NEW --check"),
        ],
    },
];
