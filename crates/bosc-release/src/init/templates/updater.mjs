// Keeps an application up to date with `bosc watch`. Works in Node and in Electron's main process.
//
//   const updater = new Updater({ bosc: '/path/to/bosc', upgrade: 'pear://...', app, name: 'Demo', version })
//   updater.on('updated', ({ version }) => askThePerson(version).then(() => updater.apply(version)))
//   updater.on('applied', () => updater.relaunch())
//   updater.on('relaunching', () => process.exit(0))    // the new version is started when this one has ended
//   updater.healthy()                                   // once the application works
//
// Events are the tags of `bosc watch`: updating, progress, updating-delta, updated, applied, rolled-back, scheduled,
// relaunching, relaunched, healthy, version-mismatch, error; and `end` with the exit code.
import { spawn } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { createInterface } from 'node:readline'

export class Updater extends EventEmitter {
  constructor({ bosc = 'bosc', upgrade, app, name, version, dir, delay, publicKey, bootstrap, updates = true, health, inside, args = [] }) {
    super()
    const flags = ['watch', '--json', '--upgrade', upgrade, '--app', app, '--name', name, '--version', version]
    const add = (flag, value) => value !== undefined && flags.push(flag, String(value))
    add('--dir', dir)
    add('--delay', delay)
    add('--public-key', publicKey)
    add('--bootstrap', bootstrap)
    add('--health', health)
    add('--inside', inside)
    if (!updates) flags.push('--no-updates')
    if (args.length) flags.push('--', ...args)
    // Detached: after `relaunch` it outlives the application, to roll a new version back that does not work.
    this.child = spawn(bosc, flags, { stdio: ['pipe', 'pipe', 'ignore'], detached: true, windowsHide: true })
    this.child.stdin.on('error', () => {})
    this.child.on('error', (err) => this.#tell('error', { code: 'ERR_SPAWN', message: err.message, hint: 'is bosc where the application expects it?' }))
    this.child.on('close', (code) => this.emit('end', code))
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const { tag, data } = JSON.parse(line)
      this.#tell(tag, data)
    })
  }

  check() {
    this.#say('check')
  }

  /** Installs what the person agreed to; without a version, what `updated` told of last. */
  apply(version) {
    this.#say(version ? `apply ${version}` : 'apply')
  }

  /** The application needs longer to start, for a migration of its data: to be said again while that goes on. */
  starting() {
    this.#say('starting')
  }

  healthy() {
    this.#say('healthy')
  }

  /** Starts the new version once this application has ended, and watches it: end it when `relaunching` comes. */
  relaunch() {
    this.#say('relaunch')
  }

  /**
   * The person closes the application: a new version that was not healthy yet is not blamed for it. Its output is read until
   * `end` comes, so that it never waits for somebody to read.
   */
  quit() {
    this.#say('closing')
    this.#say('quit')
  }

  #say(word) {
    this.child.stdin.write(word + '\n')
  }

  #tell(tag, data) {
    // An `error` that nobody listens for would end the application.
    if (tag === 'error' && this.listenerCount('error') === 0) return
    this.emit(tag, data)
  }
}
