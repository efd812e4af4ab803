"""Keeps an application up to date with `bosc watch`. Needs nothing but Python 3.8.

    updater = Updater(upgrade="pear://...", app=path, name="Demo", version="1.0.0")
    updater.healthy()                          # once the application works
    for tag, data in updater:                  # in a thread of its own, or in the main loop
        if tag == "updated":
            updater.apply(data["version"])
        elif tag == "applied":
            updater.relaunch()
        elif tag == "relaunching":
            break                              # and end the application: the new version is started then
"""
import json
import subprocess
import sys
import threading


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
        self._reader = None
        # A session of its own: after `relaunch` it outlives the application.
        self.child = subprocess.Popen(flags, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      stderr=subprocess.DEVNULL, start_new_session=True)

    def __iter__(self):
        """Events, as pairs of tag and data, until it ends."""
        self._reader = threading.get_ident()
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

    def apply(self, version=None):
        """Installs what the person agreed to; without a version, what `updated` told of last."""
        self._say("apply " + version if version else "apply")

    def starting(self):
        """The application needs longer to start, for a migration of its data: to be said again while that goes on."""
        self._say("starting")

    def healthy(self):
        self._say("healthy")

    def relaunch(self):
        """Starts the new version once this application has ended, and watches it: end it when `relaunching` comes."""
        self._say("relaunch")

    def quit(self):
        """The person closes the application: a new version that was not healthy yet is not blamed for it."""
        self._say("closing")
        self._say("quit")
        # Read to the end, unless another thread does: it must not wait for a reader.
        if self._reader in (None, threading.get_ident()):
            for _ in self.child.stdout:
                pass
        self.child.wait()
