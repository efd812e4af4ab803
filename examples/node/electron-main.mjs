// The lines an Electron application adds to its main process. `bosc` lies beside its resources.
import { app, dialog } from 'electron'
import path from 'node:path'
import { Updater } from './updater.mjs'

const upgrade = 'pear://<your link>'
const target = { darwin: path.join(process.resourcesPath ?? '', '../..'), linux: process.env.APPIMAGE, win32: process.execPath }

// One instance at a time: the new version could not start beside this one.
if (!app.requestSingleInstanceLock()) app.exit(0)

app.whenReady().then(() => {
  const installed = target[process.platform]
  if (!app.isPackaged || !installed) return
  const updater = new Updater({
    bosc: path.join(process.resourcesPath, process.platform === 'win32' ? 'bosc.exe' : 'bosc'),
    upgrade,
    app: installed,
    name: path.basename(installed),
    version: app.getVersion(),
    dir: app.getPath('userData'),
    updates: !process.argv.includes('--no-updates')
  })
  updater.healthy()
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
