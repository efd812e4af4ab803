//! `bosc multisig`.

use crate::help::page::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        path: "multisig",
        details: "\
Who signs is in pear.json: \"multisig\": {\"publicKeys\": [...], \"quorum\": 2, \"namespace\":
\"org/app\"}. The production link follows from that alone. Requests and responses are lines
of text that hold no secret. You may also give a file that holds them, or - for stdin.",
        examples: &[
            ("Each signer, once", "bosc multisig keys get"),
            ("The link of production", "bosc multisig link"),
            (
                "A request for a provisioned version",
                "bosc multisig request pear://0.LENGTH.PRERELEASE --wait 60",
            ),
            ("Each signer", "bosc multisig sign REQUEST --source pear://PRERELEASE"),
            (
                "Anybody, with enough responses",
                "bosc multisig commit pear://PRERELEASE REQUEST RESPONSE1 RESPONSE2",
            ),
        ],
    },
    Page {
        path: "multisig keys",
        details: "Signing keys are encrypted. Write keys of links are something else: `bosc keys`.",
        examples: &[("The keys on this machine", "bosc multisig keys list")],
    },
    Page {
        path: "multisig keys get",
        details: "A new key asks for a passphrase, twice. Nobody can recover it.",
        examples: &[
            ("The key named default", "bosc multisig keys get"),
            ("A key for another team", "bosc multisig keys get other-team"),
        ],
    },
    Page {
        path: "multisig keys paths",
        details: "",
        examples: &[("Where the key is", "bosc multisig keys paths")],
    },
    Page {
        path: "multisig keys list",
        details: "",
        examples: &[("In another folder", "bosc multisig keys list --keys /media/usb")],
    },
    Page {
        path: "multisig keys add",
        details: "",
        examples: &[("Both halves from files", "bosc multisig keys add work work.public work.private")],
    },
    Page {
        path: "multisig keys remove",
        details: "",
        examples: &[("Delete a key", "bosc multisig keys remove work")],
    },
    Page {
        path: "multisig keys export",
        details: "",
        examples: &[
            ("To a file", "bosc multisig keys export default signing.key"),
            ("Under another passphrase", "bosc multisig keys export default signing.key --new-passphrase"),
        ],
    },
    Page {
        path: "multisig keys import",
        details: "",
        examples: &[("Under another name", "bosc multisig keys import signing.key work")],
    },
    Page {
        path: "multisig link",
        details: "The same keys in the same order, quorum and namespace give the same link everywhere.",
        examples: &[("From another file", "bosc multisig link --config signers.json")],
    },
    Page {
        path: "multisig request",
        details: "Two other machines must hold full copies of the drive. Writes nothing.",
        examples: &[(
            "Wait a minute for two full copies",
            "bosc multisig request pear://0.LENGTH.PRERELEASE --wait 60",
        )],
    },
    Page {
        path: "multisig sign",
        details: "\
A request carries only hashes. With --source each file that changes is shown, and checked to
be what the hashes name. Prints the response, which you send back.",
        examples: &[
            ("Look, then sign", "bosc multisig sign REQUEST --source pear://PRERELEASE"),
            (
                "A request in a file, with another key",
                "bosc multisig sign request.txt work --source pear://PRERELEASE",
            ),
        ],
    },
    Page {
        path: "multisig verify",
        details: "All that `commit` checks. Fewer responses than the quorum are fine: the number is shown.",
        examples: &[("Who has signed", "bosc multisig verify pear://PRERELEASE REQUEST RESPONSE1")],
    },
    Page {
        path: "multisig commit",
        details: "\
Anyone with the texts and pear.json can do it; no key is needed. Then it seeds production
until two peers hold full copies. If it is cut off, run the same command again.",
        examples: &[
            ("A release", "bosc multisig commit pear://PRERELEASE REQUEST RESPONSE1 RESPONSE2"),
            (
                "The very first one",
                "bosc multisig commit pear://PRERELEASE REQUEST RESPONSE1 RESPONSE2 --first-commit",
            ),
        ],
    },
    Page { path: "multisig status", details: "", examples: &[("All commits", "bosc multisig status")] },
];
