#!/usr/bin/env node
// A program of one file that updates itself. It is told everything in the environment; UPDATER is the folder of
// updater.mjs, LOG a file it writes its story to.
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const version = '0.0.0' // the build puts its version here
const { BOSC, UPDATER, UPGRADE, DATA, BOOTSTRAP, LOG } = process.env
const { Updater } = await import(pathToFileURL(path.join(UPDATER, 'updater.mjs')))
const log = (line) => fs.appendFileSync(LOG, `${version} ${line}\n`)

log('started')
const updater = new Updater({
  bosc: BOSC,
  upgrade: UPGRADE,
  app: fileURLToPath(import.meta.url),
  name: 'Demo',
  version,
  dir: DATA,
  delay: 0,
  bootstrap: BOOTSTRAP,
  health: 20
})
updater.on('error', ({ message }) => log(`error ${message}`))
updater.on('healthy', ({ trial }) => log(`healthy ${trial}`))
updater.on('rolled-back', (d) => log(`rolled-back ${d.version}`))
updater.on('updated', (d) => {
  log(`updated ${d.version}`)
  updater.apply(d.version)
})
updater.on('applied', (d) => {
  log(`applied ${d.version}`)
  updater.relaunch()
})
// The new version is started when this one has ended, so nothing of this one (a lock, a port) is in its way.
updater.on('relaunching', () => process.exit(0))
updater.healthy()
process.on('SIGTERM', () => {
  updater.on('end', () => process.exit(0))
  updater.quit()
})
