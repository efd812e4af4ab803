// Drives `bosc watch` as an application in any language would: a child process, words in, lines out.
import fs from 'node:fs'
import path from 'node:path'
import { Running, boscCommand } from './bosc.mjs'

/** A running `bosc watch`. Its events are in `lines`, as with every command. */
export class Watch extends Running {
  say(word) {
    this.child.stdin.write(word + '\n')
  }

  hangUp() {
    this.child.stdin.end()
  }

  async quit() {
    if (this.running) this.say('quit')
    return this.exited
  }

  kill() {
    this.child.kill('SIGKILL')
    return this.exited
  }
}

/** An application installed at a path of its own, and what is needed to follow `link` for it. */
export class Installed {
  constructor(f, link, { source, version, name = 'Demo' }) {
    this.f = f
    this.link = link
    this.version = version
    this.name = name
    this.dir = f.fresh('data')
    this.app = path.join(f.fresh('installed'), name)
    fs.mkdirSync(path.dirname(this.app), { recursive: true })
    if (source) fs.cpSync(source, this.app, { recursive: true, verbatimSymlinks: true })
    this.runs = []
    f.later(() => Promise.all(this.runs.map((r) => r.kill())))
  }

  watch(...flags) {
    const args = ['--json', '--bootstrap', this.f.bootstrap.map((b) => `${b.host}:${b.port}`).join(',')]
    args.push('watch', '--upgrade', this.link, '--app', this.app, '--name', this.name)
    args.push('--version', this.version, '--dir', this.dir, '--delay', '0', ...flags.map(String))
    const run = new Watch(args, { stdin: 'pipe', command: boscCommand() })
    this.runs.push(run)
    return run
  }
}
