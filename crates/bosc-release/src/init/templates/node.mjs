
// ---- The lines of this application: call `startUpdates(version)` first, `.healthy()` on what it gives when the application works,
//      and `.quit()` when it ends. The program `bosc` lies beside the application's own.
import path from 'node:path'

/** `app`: the file or folder that is replaced. Applies what comes and starts the new version. */
export function startUpdates(version, { app = process.execPath, inside } = {}) {
  const bosc = path.join(path.dirname(process.execPath), process.platform === 'win32' ? 'bosc.exe' : 'bosc')
  const updater = new Updater({ bosc, upgrade: '@LINK@', name: '@NAME@', version, app, inside })
  updater.on('updated', (update) => updater.apply(update.version))
  updater.on('applied', () => updater.relaunch())
  updater.on('relaunching', () => process.exit(0))
  updater.on('error', ({ message, hint }) => console.warn(message, hint))
  return updater
}
