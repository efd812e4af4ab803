#!/bin/sh
# Publishes a folder from a machine that keeps nothing: a CI runner. Every run writes to the same link and goes on where the
# last one ended. Told in docs/ci.md, run by interop/test/docs.test.mjs.
#
#   sh ci-publish.sh FOLDER
#
# FOLDER is relative to where this runs and has a package.json whose `upgrade` is the link. All else comes from the environment:
#   BOSC_PRIMARY_KEY        the secret, 64 hex characters; or BOSC_PRIMARY_KEY_FILE and BOSC_PASSPHRASE, an encrypted backup
#   PUBLISH_NAME            which link of this secret; default: the name in package.json
#   PUBLISH_BUILDS          folder of builds, PLATFORM/APPLICATION, that FOLDER is the project of; default: FOLDER is what is released
#   PUBLISH_SNAPSHOT        file that keeps how long the link is; commit it; default ci/snapshot.json
#   PUBLISH_CACHE           folder that keeps the link's blocks between runs (a cache or a disk); default: none, peers have them
#   PUBLISH_MIRROR_TO       where `bosc mirror` writes the release afterwards: a folder, s3://, gs://, az://, https://; default: nowhere
#   PUBLISH_COPIES          how many others must have the release before this ends; default 2
#   PUBLISH_WAIT            for how many seconds at most; default 600
#   PUBLISH_WAIT_PEERS      for how many seconds to look for someone who has the newest version; default 60
#   PUBLISH_FIRST           1 for the very first release of the link, and never again
#   PUBLISH_DRY_RUN         1 to write nothing
# The last line on stdout is the verlink of the release, also when nothing changed; there is none on a dry run.
set -eu

case "${1:-}" in
  '' | -*) echo 'usage: ci-publish.sh FOLDER' >&2; exit 2 ;;
esac
if [ -z "${BOSC_PRIMARY_KEY:-}" ] && [ -z "${BOSC_PRIMARY_KEY_FILE:-}" ]; then
  echo 'BOSC_PRIMARY_KEY is not set: add the secret to this job (pull requests from elsewhere do not get it)' >&2
  exit 2
fi

# The store holds the write key while this runs. It is gone afterwards, however this ends.
store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
trap 'exit 130' INT TERM HUP

snapshot=${PUBLISH_SNAPSHOT:-ci/snapshot.json}
mkdir -p "$(dirname "$snapshot")"
folder=$1
set -- --ci --store "$store/store" --snapshot "$snapshot" \
  --copies "${PUBLISH_COPIES:-2}" --wait "${PUBLISH_WAIT:-600}"
[ -z "${PUBLISH_NAME:-}" ] || set -- "$@" --name "$PUBLISH_NAME"
[ -z "${PUBLISH_WAIT_PEERS:-}" ] || set -- "$@" --wait-peers "$PUBLISH_WAIT_PEERS"
[ -z "${PUBLISH_CACHE:-}" ] || set -- "$@" --cache "$PUBLISH_CACHE"
[ "${PUBLISH_FIRST:-}" != 1 ] || set -- "$@" --first
[ "${PUBLISH_DRY_RUN:-}" != 1 ] || set -- "$@" --dry-run
if [ -n "${PUBLISH_BUILDS:-}" ]; then
  for app in "$PUBLISH_BUILDS"/*/*; do
    set -- "$@" "--$(basename "$(dirname "$app")")-app" "$app"
  done
fi
# The trap has to run: no exec.
if [ -z "${PUBLISH_MIRROR_TO:-}" ] || [ "${PUBLISH_DRY_RUN:-}" = 1 ]; then
  bosc publish "$folder" "$@"
  exit
fi
bosc publish "$folder" "$@" >"$store/published" || { code=$?; cat "$store/published"; exit "$code"; }
verlink=$(tail -n 1 "$store/published")
bosc mirror --store "$store/store" "pear://${verlink##*.}" "$PUBLISH_MIRROR_TO" >&2
cat "$store/published"
