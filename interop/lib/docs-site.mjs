// The machines of a page: each has a home, a store, keys and a working folder of its own, and a shell that types.
// Variables are shared by all machines of a page, as people share links and requests; those named BOSC_ are not.
import fs from 'node:fs'
import path from 'node:path'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { boscCommand } from './bosc.mjs'
import { missing } from './docs-page.mjs'

/** Where files of this repository are copied from. */
const repository = fileURLToPath(new URL('../..', import.meta.url))
/** Longest time for one command. */
const LIMIT = 180_000
/** Most output kept of one command. */
const OUTPUT_MAX = 1 << 20

const alive = new Set()
process.on('exit', () => {
  for (const shell of alive) shell.signal('SIGKILL')
})

/** A shell that runs one command line in a process group of its own. */
export class Shell {
  constructor(command, args, options) {
    this.output = ''
    this.code = null
    this.waiting = new Set()
    this.child = spawn(command, args, { ...options, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
    this.child.stdin.on('error', () => {})
    alive.add(this)
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', (text) => {
        // eslint-disable-next-line no-control-regex
        if (this.output.length < OUTPUT_MAX) this.output += text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '').replace(/\r/g, '')
        this.wake()
      })
    }
    this.exited = new Promise((resolve) => {
      const done = (code) => {
        if (this.code !== null) return
        alive.delete(this)
        this.code = code ?? -1
        this.wake()
        resolve(this.code)
      }
      this.child.on('error', (err) => {
        this.output += String(err)
        done(-1)
      })
      this.child.on('close', (code) => done(code))
    })
  }

  wake() {
    for (const check of [...this.waiting]) check()
  }

  /** The whole group: a command may have started others. */
  signal(name) {
    if (this.code !== null || !this.child.pid) return
    try {
      process.kill(-this.child.pid, name)
    } catch {}
  }

  /** Waits until `test` holds; `false` when the command ended or the time was up before. */
  until(test, limit = LIMIT) {
    return new Promise((resolve) => {
      const finish = (value) => {
        clearTimeout(timer)
        this.waiting.delete(check)
        resolve(value)
      }
      const check = () => {
        if (test()) finish(true)
        else if (this.code !== null) finish(false)
      }
      const timer = setTimeout(() => finish(false), limit)
      this.waiting.add(check)
      check()
    })
  }

  async end(signal) {
    this.signal(signal)
    const timer = setTimeout(() => this.signal('SIGKILL'), 15_000)
    await this.exited
    clearTimeout(timer)
  }
}

class Machine {
  constructor(site, name) {
    this.name = name
    this.home = path.join(site.dir, name)
    this.cwd = path.join(this.home, 'work')
    this.vars = {}
    this.background = []
    fs.mkdirSync(this.cwd, { recursive: true })
  }

  env(site) {
    const env = {
      PATH: `${site.bin}${path.delimiter}${process.env.PATH}`,
      HOME: this.home,
      USERPROFILE: this.home,
      TMPDIR: site.dir,
      LANG: 'C.UTF-8',
      NO_COLOR: '1',
      BOSC_STORE: path.join(this.home, 'store'),
      BOSC_KEYS: path.join(this.home, 'keys'),
      BOSC_BOOTSTRAP: site.bootstrap.map((b) => `${b.host}:${b.port}`).join(','),
      BOSC_PASSPHRASE: `passphrase-of-${this.name}`,
      ...site.vars,
      ...this.vars
    }
    for (const name of ['SystemRoot', 'RUST_BACKTRACE']) if (process.env[name]) env[name] = process.env[name]
    return env
  }
}

/** Everything a page needs: machines in `dir`, on the DHT at `bootstrap`. `say` gets a transcript. */
export class Site {
  constructor({ dir, bootstrap, say = () => {}, hooks = {} }) {
    this.dir = dir
    this.bootstrap = bootstrap
    this.say = say
    this.hooks = hooks
    this.vars = {}
    this.machines = new Map()
    this.current = []
    this.commands = 0
    this.bin = path.join(dir, 'bin')
    fs.mkdirSync(this.bin, { recursive: true })
    const command = boscCommand().map((w) => (fs.existsSync(w) ? path.resolve(w) : w))
    const quoted = command.map((w) => `'${w.replaceAll("'", `'\\''`)}'`).join(' ')
    fs.writeFileSync(path.join(this.bin, 'bosc'), `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 })
  }

  machine(name) {
    if (!this.machines.has(name)) this.machines.set(name, new Machine(this, name))
    return this.machines.get(name)
  }

  /** The path of `machine:path`, or of a path on the present machine. */
  place(text) {
    const [name, rest] = text.includes(':') ? text.split(/:(.*)/s) : [this.current[0]?.name, text]
    return path.resolve(this.machine(name).cwd, rest)
  }

  /** Runs the steps of one section. */
  async run(page, section) {
    for (const step of section.steps) {
      try {
        await this.step(step)
      } catch (err) {
        err.message = `${page.name}:${step.at ?? step.line} (${section.title}): ${err.message}`
        throw err
      }
    }
  }

  async step(step) {
    const machines = (step.machines ?? []).map((n) => this.machine(n))
    switch (step.kind) {
      case 'machine':
        this.current = machines
        return
      case 'file':
        return this.file(step)
      case 'copy': {
        const [from, to] = [step.from, step.to].map(([name, file]) =>
          path.resolve(name === 'repository' ? repository : this.machine(name).cwd, file))
        fs.mkdirSync(path.dirname(to), { recursive: true })
        fs.cpSync(from, to, { recursive: true })
        return
      }
      case 'end':
        return void (await Promise.all(machines.map((m) => this.quit(m, 'SIGINT'))))
      case 'kill':
        return void (await Promise.all(machines.map((m) => this.quit(m, 'SIGKILL'))))
      case 'lose':
      case 'empty':
        for (const m of machines) {
          await this.quit(m, 'SIGKILL')
          fs.rmSync(m.home, { recursive: true, force: true, maxRetries: 3 })
          this.machines.delete(m.name)
          if (step.kind === 'empty') this.machine(m.name)
        }
        this.current = this.current.map((m) => this.machine(m.name))
        return
      case 'wait': {
        const jobs = this.machine(step.machine).background
        const has = () => jobs.some((j) => missing([step.text], j.shell.output) === null)
        const ends = performance.now() + LIMIT
        while (!has()) {
          if (performance.now() > ends) throw new Error(`${step.machine} never shows ${step.text}\n${jobs.map((j) => j.shell.output.slice(-2000)).join('\n')}`)
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
        return
      }
      case 'test': {
        const [name, ...words] = step.words
        const hook = this.hooks[name]
        if (!hook) throw new Error(`no check is called ${name}`)
        return hook(this, ...words)
      }
      case 'mention':
        return this.mention(step.text)
      case 'console':
      case 'killed':
        if (this.current.length === 0) throw new Error('no machine was named for this block')
        for (const machine of this.current) {
          for (const command of step.commands) {
            step.at = command.line
            if (step.kind === 'killed') await this.killed(machine, command, step.when)
            else if (command.background) await this.start(machine, command)
            else await this.type(machine, command)
          }
        }
        return
      default:
        throw new Error(`nothing is known of ${step.kind}`)
    }
  }

  file(step) {
    const machines = step.machines ? step.machines.map((n) => this.machine(n)) : this.current
    if (machines.length === 0) throw new Error('no machine was named for this file')
    const text = step.text.replace(/\$([A-Z][A-Z0-9_]*)\b/g, (whole, name) => this.vars[name] ?? whole)
    for (const m of machines) {
      const file = path.resolve(m.cwd, step.path)
      fs.mkdirSync(path.dirname(file), { recursive: true })
      fs.writeFileSync(file, text)
      if (text.startsWith('#!')) fs.chmodSync(file, 0o755)
    }
  }

  spawn(machine, command, { background = false } = {}) {
    const set = assigned(command.text)
    const out = path.join(this.dir, `vars-${machine.name}`)
    const script = [
      'exec 2>&1',
      `cd ${quote(machine.cwd)} || exit 1`,
      background ? `exec ${command.text}` : command.text,
      'docs_status=$?',
      `{ printf 'cwd=%s\\0' "$PWD"`,
      ...set.map((n) => `printf '%s=%s\\0' ${n} "\${${n}-}"`),
      `} > ${quote(out)}`,
      'exit $docs_status'
    ].join('\n')
    this.say(`${machine.name}$ ${command.text}${background ? ' &' : ''}`)
    this.commands += 1
    const env = machine.env(this)
    fs.rmSync(out, { force: true })
    const shell = command.answers.length ? terminal(script, env) : new Shell('sh', ['-c', script], { env })
    if (!command.answers.length) shell.child.stdin.end()
    return { shell, set, out }
  }

  async type(machine, command) {
    const { shell, set, out } = this.spawn(machine, command)
    const begun = performance.now()
    if (command.interrupted) {
      await shell.until(() => missing(command.shown, shell.output) === null)
      await shell.end('SIGINT')
      shell.code = missing(command.shown, shell.output) === null ? 0 : shell.code
    } else {
      for (const { question, answer } of command.answers) {
        if (await shell.until(() => shell.output.includes(question))) shell.child.stdin.write(`${answer}\n`)
      }
      await shell.until(() => false)
      if (shell.code === null) {
        await shell.end('SIGKILL')
        throw new Error(`did not end in ${LIMIT / 1000} s\n$ ${command.text}\n${shell.output.slice(-4000)}`)
      }
    }
    this.say(shell.output.replace(/^/gm, '    ').trimEnd())
    this.say(`    (exit ${shell.code}, ${((performance.now() - begun) / 1000).toFixed(1)} s)`)
    this.learn(machine, out)
    const told = `$ ${command.text}\n${shell.output.slice(-6000)}`
    const unknown = shell.output.match(/unrecognized subcommand '([^']*)'/)
    if (unknown) throw new Error(`this bosc has no command "${unknown[1]}"\n${told}`)
    const erred = shell.code !== 0 || /^error:/m.test(shell.output)
    if (command.fails && !erred) throw new Error(`succeeded, and the page says it is refused\n${told}`)
    if (!command.fails && erred) throw new Error(`failed with exit code ${shell.code}\n${told}`)
    const line = missing(command.shown, shell.output)
    if (line !== null) throw new Error(`does not show "${line}"\n${told}`)
    if (!command.fails) {
      for (const name of set) {
        if (/=\$\(/.test(command.text) && !(machine.vars[name] ?? this.vars[name])) throw new Error(`$${name} is empty\n${told}`)
      }
    }
    return shell
  }

  /** Variables and the working folder as the command left them. */
  learn(machine, out) {
    if (!fs.existsSync(out)) return
    for (const item of fs.readFileSync(out, 'utf8').split('\0').filter(Boolean)) {
      const [name, value] = item.split(/=(.*)/s)
      if (name === 'cwd') machine.cwd = value
      else if (name.startsWith('BOSC_')) machine.vars[name] = value
      else this.vars[name] = value
    }
  }

  async start(machine, command) {
    const { shell } = this.spawn(machine, command, { background: true })
    machine.background.push({ shell, command })
    const shown = command.shown.length ? command.shown : ['...']
    const ready = await shell.until(() => shell.output !== '' && missing(shown, shell.output) === null)
    this.say(shell.output.replace(/^/gm, '    ').trimEnd())
    if (!ready) throw new Error(`does not show "${missing(shown, shell.output)}"\n$ ${command.text} &\n${shell.output.slice(-4000)}`)
  }

  /** A command that is killed when it shows `when`. It must not have ended by itself before. */
  async killed(machine, command, when) {
    const { shell } = this.spawn(machine, command)
    const seen = await shell.until(() => shell.output.includes(when))
    const output = shell.output
    // The machine dies: also the process that owns its store.
    for (const job of machine.background) job.shell.signal('SIGKILL')
    await shell.end('SIGKILL')
    await this.quit(machine, 'SIGKILL')
    this.say(`    (killed at ${when})`)
    if (!seen) throw new Error(`ended before it showed "${when}"\n$ ${command.text}\n${output.slice(-4000)}`)
  }

  async quit(machine, signal) {
    await Promise.all(machine.background.splice(0).map((job) => job.shell.end(signal)))
  }

  /** A command named in the text exists, with its flags. */
  async mention(text) {
    const words = text.split(/\s+/).slice(1)
    const names = []
    for (const w of words) {
      if (!/^[a-z][a-z-]*$/.test(w)) break
      names.push(w)
    }
    const machine = this.machine(this.current[0]?.name ?? 'reader')
    const help = async (list) => {
      const p = new Shell('sh', ['-c', `exec bosc ${list.join(' ')} --help`], { env: machine.env(this) })
      p.child.stdin.end()
      await p.until(() => false, 20_000)
      await p.end('SIGKILL')
      return p.code === 0 ? p.output : null
    }
    if (names.length === 0) return
    let found = null
    // The words after the command may be names of things: the longest command wins, and one must be there.
    for (let n = Math.min(names.length, 3); n > 0 && found === null; n--) found = await help(names.slice(0, n))
    if (found === null) throw new Error(`this bosc has no command "${names[0]}" (in \`${text}\`)`)
    for (const flag of words.filter((w) => /^--[a-z]/.test(w)).map((w) => w.replace(/[=,.].*$/, ''))) {
      if (!found.includes(flag)) throw new Error(`\`${text}\`: no such flag ${flag}`)
    }
  }

  /** What runs in the background, to start it again elsewhere. */
  running() {
    return [...this.machines.values()].flatMap((m) => m.background.map(({ command }) => ({ name: m.name, command })))
  }

  async close() {
    await Promise.all([...this.machines.values()].map((m) => this.quit(m, 'SIGINT')))
  }

  /** Ends everything and keeps the disks, for `restored`. */
  async freeze() {
    const running = this.running()
    await this.close()
    return {
      running,
      vars: { ...this.vars },
      machines: [...this.machines.values()].map((m) => ({ name: m.name, cwd: path.relative(this.dir, m.cwd), vars: { ...m.vars } })),
      current: this.current.map((m) => m.name),
      dir: this.dir
    }
  }

  /** A site as it was when it was frozen, in another folder and on another network. */
  static async restored(frozen, options) {
    fs.cpSync(frozen.dir, options.dir, { recursive: true, verbatimSymlinks: true })
    const site = new Site(options)
    Object.assign(site.vars, frozen.vars)
    for (const m of frozen.machines) {
      const machine = site.machine(m.name)
      machine.cwd = path.join(options.dir, m.cwd)
      Object.assign(machine.vars, m.vars)
    }
    site.current = frozen.current.map((n) => site.machine(n))
    // The stores know that they are copies. Each is the only one of its site that is in use.
    const stores = [...site.machines.values()].filter((m) => fs.existsSync(path.join(m.env(site).BOSC_STORE, 'FORMAT')))
    await Promise.all(stores.map((m) => site.type(m, { text: 'bosc touch --sole-copy', answers: [], shown: [] })))
    await Promise.all(frozen.running.map(({ name, command }) => site.start(site.machine(name), command)))
    return site
  }
}

const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`

/** Names that a command line gives a value to. */
function assigned(text) {
  const all = text.matchAll(/(?:^|[;\n]\s*|\bexport\s+)([A-Z][A-Z0-9_]*)=("?\$\(|\S*\s*(?:$|[;\n]))/g)
  return [...all].map((m) => m[1])
}

/** The same in a terminal of its own, for commands that ask. */
function terminal(script, env) {
  const mac = process.platform === 'darwin'
  const args = mac ? ['-q', '/dev/null', 'sh', '-c', script] : ['-qfec', script, '/dev/null']
  return new Shell('script', args, { env: { ...env, SHELL: '/bin/sh', TERM: 'dumb' } })
}
