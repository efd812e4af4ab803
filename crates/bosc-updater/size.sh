#!/usr/bin/env bash
# What bosc-updater adds to a stripped program: builds a hello world without it and with it, twice (speed and size
# profile), and prints bytes, and crates. Needs about 3 minutes and a C compiler.
#   crates/bosc-updater/size.sh [feature ...]      default: http archives
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
features=${*:-http archives}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
target=${CARGO_TARGET_DIR:-$here/../../target}/size
mkdir -p "$work/src"
cp "$here/../../Cargo.lock" "$work/Cargo.lock"

profile() { # opt-level lto
  cat <<END
[profile.release]
opt-level = $1
lto = "$2"
codegen-units = 1
panic = "abort"
strip = true
END
}

build() { # name, with or without, opt-level, lto
  {
    printf '[package]\nname = "hello-%s"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n[dependencies]\n' "$1"
    if [ "$2" = with ]; then
      printf 'bosc-updater = { path = "%s", default-features = false, features = [%s] }\nsemver = "1"\n' "$here" \
        "$(printf '"%s",' $features)"
    fi
    profile "$3" "$4"
  } >"$work/Cargo.toml"
  if [ "$2" = with ]; then
    cat >"$work/src/main.rs" <<'END'
use bosc_updater::{PublicKey, Started, UpdateSource, Updater, package_version};
// Everything an application calls: start, check, fetch, install, relaunch, health. The link or URL comes from outside, so that
// no source can be left out.
fn main() -> Result<(), bosc_updater::UpdateError> {
    println!("hello");
    let mut args = std::env::args().skip(1);
    let (upgrade, key) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let source = match upgrade.starts_with("pear:") {
        true => UpdateSource::pear(upgrade),
        false => UpdateSource::https(upgrade, PublicKey::base64(key)),
    };
    let updater = match Updater::builder("hello", package_version!(), source).start() {
        Started::Running(updater) => updater,
        Started::RolledBack(failed) => return failed.restart(),
    };
    updater.mark_healthy();
    updater.restart().map(|outcome| println!("{outcome:?}"))
}
END
  else
    printf 'fn main() { println!("hello"); }\n' >"$work/src/main.rs"
  fi
  (cd "$work" && CARGO_TARGET_DIR="$target" cargo build --release --quiet)
  stat -c %s "$target/release/hello-$1" 2>/dev/null || stat -f %z "$target/release/hello-$1"
}

for p in '"z" fat' '3 fat' '3 thin'; do
  set -- $p
  bare=$(build "bare" without "$1" "$2")
  full=$(build "full" with "$1" "$2")
  echo "opt-level $1, lto $2: hello $bare, with bosc-updater ($features) $full, added $((full - bare)) bytes"
done
count=$(cd "$here" && cargo tree -p bosc-updater --no-default-features --features "${features// /,}" --prefix none -e normal,build |
  sed 's/ (.*)//' | sort -u | wc -l)
echo "crates, bosc-updater itself included: $count"
