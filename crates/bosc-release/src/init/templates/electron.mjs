
// ---- The lines of this application. In its main process: import './@FILE@'
//      (from CommonJS: import('./@FILE@')). The program `bosc` lies beside the resources:
//      electron-builder: "extraResources": ["bosc"]; Electron Forge: packagerConfig.extraResource: ['bosc'].
import { app, dialog } from 'electron'
import path from 'node:path'

const upgrade = '@LINK@'
const name = '@NAME@'

/** What is installed, and the program in it where that is a folder. */
function installed() {
  if (process.platform === 'darwin') return { app: path.join(process.resourcesPath, '../..') }
  if (process.env.APPIMAGE) return { app: process.env.APPIMAGE }
  return { app: path.dirname(process.execPath), inside: path.basename(process.execPath) }
}

// One instance at a time: the new version could not start beside this one.
if (!app.requestSingleInstanceLock()) app.exit(0)

app.whenReady().then(() => {
  if (!app.isPackaged) return
  const updater = new Updater({
    bosc: path.join(process.resourcesPath, process.platform === 'win32' ? 'bosc.exe' : 'bosc'),
    upgrade,
    name,
    version: app.getVersion(),
    dir: app.getPath('userData'),
    ...installed()
  })
  updater.healthy() // better: once the first window is shown
  updater.on('updated', async ({ version, notes }) => {
    const { response } = await dialog.showMessageBox({ message: `Version ${version} is ready`, detail: notes ?? '', buttons: ['Restart', 'Later'] })
    if (response === 0) updater.apply(version)
  })
  updater.on('applied', () => updater.relaunch())
  updater.on('relaunching', () => {
    app.releaseSingleInstanceLock()
    app.exit(0)
  })
  app.on('will-quit', () => updater.quit())
  updater.on('rolled-back', ({ version }) => dialog.showErrorBox('Update rolled back', `Version ${version} did not work.`))
  updater.on('error', ({ message, hint }) => console.warn(message, hint))
})
