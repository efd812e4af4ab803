// Runs the program under test and reads its NDJSON lines. Nothing here knows how it is made:
// BOSC may be the Rust binary or `node js-cli.mjs`, the stand-in that proves the suite itself.
import fs from 'node:fs'
import path from 'node:path'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { unknownShape } from './shapes.mjs'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')

/** The command line of the program under test as an array: BOSC, or the newest build in ../target. */
export function boscCommand() {
  if (process.env.BOSC) {
    const words = process.env.BOSC.split(' ').filter(Boolean)
    return words.map((w, i) => (i > 0 && /\.[mc]?js$/.test(w) ? resolveScript(w) : w))
  }
  for (const profile of ['release', 'debug']) {
    const file = path.join(root, '..', 'target', profile, 'bosc')
    if (fs.existsSync(file)) return [file]
  }
  throw new Error('set BOSC to the bosc binary, or to "node js-cli.mjs" to run the suite against JavaScript alone')
}

function resolveScript(word) {
  return path.isAbsolute(word) || fs.existsSync(word) ? word : path.join(root, word)
}

/** True when the suite runs against the JavaScript stand-in, whose lines are not held against shapes.json. */
export function isStandIn() {
  return boscCommand().some((w) => w.endsWith('js-cli.mjs'))
}

const live = new Set()
process.on('exit', () => {
  for (const child of live) child.kill('SIGKILL')
})

/** One running command. Lines arrive in `lines`; `until` waits for one. */
export class Running {
  constructor(args, { env = {}, cwd, command = boscCommand(), stdin = 'ignore' } = {}) {
    const [cmd, ...before] = command
    this.args = args
    // What a script of ours says (the stand-in, a network for benches) is not held against shapes.json.
    this.checked = !command.some((w) => w.endsWith('.mjs'))
    this.lines = []
    this.noise = []
    this.stderr = ''
    this.code = null
    this.signal = null
    this._waiters = new Set()
    this.started = performance.now()
    this.child = spawn(cmd, [...before, ...args], {
      stdio: [stdin, 'pipe', 'pipe'],
      cwd,
      env: { ...process.env, NO_COLOR: '1', ...env }
    })
    live.add(this.child)
    // A command that ended no longer reads what it is told.
    this.child.stdin?.on('error', () => {})

    let rest = ''
    this.child.stdout.setEncoding('utf8')
    this.child.stdout.on('data', (text) => {
      rest += text
      const parts = rest.split('\n')
      rest = parts.pop()
      for (const line of parts) this._line(line)
    })
    this.child.stderr.setEncoding('utf8')
    this.child.stderr.on('data', (text) => {
      if (this.stderr.length < 200_000) this.stderr += text
    })
    this.exited = new Promise((resolve) => {
      this.child.on('error', (err) => {
        this.stderr += String(err)
        done(-1, null)
      })
      this.child.on('close', done)
      const self = this
      function done(code, signal) {
        live.delete(self.child)
        if (rest) self._line(rest)
        rest = ''
        self.code = code
        self.signal = signal
        self.ended = performance.now()
        self._wake()
        resolve(code)
      }
    })
  }

  get pid() {
    return this.child.pid
  }

  get running() {
    return this.code === null && this.signal === null
  }

  _line(line) {
    if (line.trim() === '') return
    let value = null
    try {
      value = JSON.parse(line)
    } catch {}
    if (value === null || typeof value !== 'object' || typeof value.tag !== 'string') {
      this.noise.push(line)
    } else {
      if (process.env.BOSC_RECORD_LINES) this._record(line)
      else if (this.checked) this._check(value, line)
      value.at = performance.now()
      this.lines.push(value)
    }
    this._wake()
  }

  /** Keeps the line for `node tools/shapes.mjs`, with the command that said it. */
  _record(line) {
    const words = this.args.filter((a) => /^[a-z][a-z-]*$/.test(a)).slice(0, 3)
    const file = path.join(process.env.BOSC_RECORD_LINES, `${process.pid}.ndjson`)
    fs.appendFileSync(file, `{"words":${JSON.stringify(words)},"line":${line}}\n`)
  }

  _wake() {
    for (const wake of [...this._waiters]) wake()
  }

  /** A line of a shape that was never recorded fails the test that is running, whatever that looks at. */
  _check(value, line) {
    const wrong = unknownShape(value)
    if (wrong === null) return
    const hint = 'a new tag or field is added with tools/shapes.mjs; one that was recorded never changes'
    const error = new Error(`${value.cmd} ${value.tag}: ${wrong}\n${line.slice(0, 2000)}\n${hint}`)
    setImmediate(() => {
      throw error
    })
  }

  /** All payloads of a tag. */
  all(tag) {
    return this.lines.filter((l) => l.tag === tag).map((l) => l.data)
  }

  /** The last payload of a tag, or undefined. */
  last(tag) {
    return this.all(tag).at(-1)
  }

  /** Resolves with the first payload of `tag` (from line `from` on) that satisfies `accept`. */
  until(tag, accept = () => true, { timeout = 30_000, from = 0 } = {}) {
    return this.untilLine(tag, accept, { timeout, from }).then((l) => l.data)
  }

  untilLine(tag, accept = () => true, { timeout = 30_000, from = 0 } = {}) {
    return new Promise((resolve, reject) => {
      let next = from
      const timer = setTimeout(() => finish(new Error(`no ${tag} line in ${timeout} ms\n${this.describe()}`)), timeout)
      const check = () => {
        for (; next < this.lines.length; next++) {
          const line = this.lines[next]
          if (line.tag === tag && accept(line.data)) return finish(null, line)
        }
        if (!this.running) finish(new Error(`ended before a ${tag} line\n${this.describe()}`))
      }
      const finish = (err, line) => {
        clearTimeout(timer)
        this._waiters.delete(check)
        if (err) reject(err)
        else resolve(line)
      }
      this._waiters.add(check)
      check()
    })
  }

  describe() {
    const lines = this.lines.slice(-12).map((l) => JSON.stringify({ tag: l.tag, data: l.data }).slice(0, 400))
    return [
      `$ bosc ${this.args.join(' ')}  (exit ${this.code ?? this.signal ?? 'still running'})`,
      ...lines,
      ...this.noise.slice(-20),
      this.stderr.slice(-4000)
    ].join('\n')
  }

  /** Ends the command as Ctrl+C does; kills it after 10 s. Resolves with the exit code. */
  async stop(signal = 'SIGINT') {
    if (!this.running) return this.code
    this.child.kill(signal)
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10_000)
    await this.exited
    clearTimeout(timer)
    return this.code
  }
}

/** A store and a network: what the global flags say. */
export class Bosc {
  constructor({ store, bootstrap = [], env = {}, cwd, command } = {}) {
    this.command = command
    this.store = store
    this.bootstrap = bootstrap
    this.env = env
    this.cwd = cwd
    this.started = []
  }

  args(args) {
    const list = ['--json']
    if (this.store) list.push('--store', this.store)
    if (this.bootstrap.length) list.push('--bootstrap', this.bootstrap.map((b) => `${b.host}:${b.port}`).join(','))
    return [...list, ...args]
  }

  /** Starts a command and leaves it running. */
  start(...args) {
    const p = new Running(this.args(args.map(String)), { env: this.env, cwd: this.cwd, command: this.command })
    this.started.push(p)
    return p
  }

  /** Runs a command to its end, whatever the end is. */
  async end(args, { timeout = 60_000 } = {}) {
    const p = this.start(...args)
    let late = false
    const timer = setTimeout(() => {
      late = true
      p.child.kill('SIGKILL')
    }, timeout)
    await p.exited
    clearTimeout(timer)
    if (late) throw new Error(`did not end in ${timeout} ms\n${p.describe()}`)
    return p
  }

  /** Runs a command that must succeed: exit code 0, nothing but JSON on stdout, a final line that says so. */
  async ok(...args) {
    const p = await this.end(args)
    if (p.code !== 0) throw new Error(`failed\n${p.describe()}`)
    if (p.noise.length) throw new Error(`plain text on stdout under --json\n${p.describe()}`)
    if (p.lines.at(-1)?.tag !== 'final' || p.last('final').success !== true) {
      throw new Error(`no successful final line at the end\n${p.describe()}`)
    }
    return p
  }

  async touch() {
    return (await this.ok('touch')).last('final')
  }

  async stage(link, dir, ...flags) {
    return (await this.ok('stage', link, dir, ...flags)).last('addendum')
  }

  async info(link, ...flags) {
    return (await this.ok('info', link, ...flags)).last('info')
  }

  async dump(link, dir, ...flags) {
    return this.ok('dump', link, dir, ...flags)
  }

  /** Starts seeding and waits until the link is announced. */
  async seed(link, ...flags) {
    const p = this.start('seed', link, '--stats-interval', '50', ...flags)
    await p.until('announced')
    return p
  }

  /** Ends everything still running. */
  async close() {
    await Promise.all(this.started.map((p) => p.stop()))
  }
}
