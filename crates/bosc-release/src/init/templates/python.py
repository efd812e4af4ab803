

# ---- The lines of this application: call `start_updates(version)` first, `.healthy()` on what it gives when the application works,
#      and `.quit()` when it ends. The program `bosc` lies beside the application's own: pyinstaller --add-binary bosc:.
LINK = "@LINK@"
NAME = "@NAME@"


def start_updates(version, ready=None):
    """Looks for updates in a thread. `ready(version)` is asked whether to restart with a new one; without it that is done."""
    import os

    here = os.path.dirname(os.path.abspath(sys.executable))
    bosc = os.path.join(getattr(sys, "_MEIPASS", here), "bosc.exe" if os.name == "nt" else "bosc")
    # PyInstaller's folder is replaced as a whole; its program of one file by itself.
    one_file = not os.path.isdir(os.path.join(here, "_internal"))
    app = sys.executable if one_file else here
    updater = Updater(upgrade=LINK, app=app, name=NAME, version=version, bosc=bosc,
                      inside=None if one_file else os.path.basename(sys.executable))

    def follow():
        for tag, data in updater:
            if tag == "updated" and (ready is None or ready(data["version"])):
                updater.apply(data["version"])
            elif tag == "applied":
                updater.relaunch()
            elif tag == "relaunching":
                os._exit(0)
            elif tag == "error":
                print(data["message"], data["hint"], file=sys.stderr)

    threading.Thread(target=follow, daemon=True).start()
    return updater
