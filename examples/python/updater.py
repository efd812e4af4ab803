#!/usr/bin/env python3
"""Keeps an application up to date with `bosc watch`. Needs nothing but Python 3.8.

    updater = Updater(upgrade="pear://...", app=path, name="Demo", version="1.0.0")
    updater.healthy()                          # once the application works
    for tag, data in updater:                  # in a thread of its own, or in the main loop
        if tag == "updated":
            updater.apply()
        elif tag == "applied":
            updater.relaunch()                 # and end the application

Run as a program it does that, applies what comes, and prints the events.
"""
import argparse
import json
import subprocess
import sys


class Updater:
    def __init__(self, upgrade, app, name, version, bosc="bosc", dir=None, delay=None,
                 public_key=None, bootstrap=None, updates=True, health=None, inside=None, args=()):
        flags = [bosc, "watch", "--json", "--upgrade", upgrade, "--app", app, "--name", name, "--version", version]
        options = {"--dir": dir, "--delay": delay, "--public-key": public_key, "--bootstrap": bootstrap,
                   "--health": health, "--inside": inside}
        for flag, value in options.items():
            if value is not None:
                flags += [flag, str(value)]
        if not updates:
            flags.append("--no-updates")
        if args:
            flags += ["--", *args]
        # A session of its own: after `relaunch` it outlives the application.
        self.child = subprocess.Popen(flags, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      stderr=subprocess.DEVNULL, start_new_session=True)

    def __iter__(self):
        """Events, as pairs of tag and data, until it ends."""
        for line in self.child.stdout:
            event = json.loads(line)
            yield event["tag"], event["data"]

    def _say(self, word):
        try:
            self.child.stdin.write(word + "\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            pass

    def check(self):
        self._say("check")

    def apply(self):
        self._say("apply")

    def healthy(self):
        self._say("healthy")

    def relaunch(self):
        self._say("relaunch")

    def quit(self):
        """The person closes the application: a new version that was not healthy yet is not blamed for it."""
        self._say("closing")
        self._say("quit")
        self.child.wait()


def main():
    parser = argparse.ArgumentParser(description="Follows a link for an application and applies what comes.")
    for name in ("upgrade", "app", "name", "version"):
        parser.add_argument("--" + name, required=True)
    for name in ("bosc", "dir", "delay", "public-key", "bootstrap"):
        parser.add_argument("--" + name)
    options = {k: v for k, v in vars(parser.parse_args()).items() if v is not None}
    updater = Updater(**options)
    updater.healthy()
    for tag, data in updater:
        if tag in ("updating", "updated", "applied", "rolled-back", "error"):
            print(tag, data.get("version") or data.get("message"), flush=True)
        if tag == "updated":
            updater.apply()
        if tag == "applied":
            updater.quit()
    return updater.child.returncode or 0


if __name__ == "__main__":
    sys.exit(main())
