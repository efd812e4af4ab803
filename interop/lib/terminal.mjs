// A person at a terminal: tmux is the terminal, bash the shell. What is typed goes in, what the screen shows comes out.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { boscCommand } from './bosc.mjs'
import { waitFor } from './net.mjs'

/** Every escape sequence moves something, colours something or asks for something. */
export const ESCAPE = '\x1b'

const quote = (word) => `'${String(word).replaceAll("'", "'\\''")}'`

/** One window with an interactive shell in it: job control, a prompt `$ `, nothing of the user's configuration. */
export class Terminal {
  constructor(f, { columns = 80, rows = 24, term = null, env = {} } = {}) {
    this.dir = f.fresh('terminal')
    fs.mkdirSync(this.dir)
    this.socket = path.join(this.dir, 'tmux')
    this.runs = 0
    const variables = { BOSC: boscCommand().join(' '), PS1: '$ ', ...env, ...(term ? { TERM: term } : {}) }
    const rc = path.join(this.dir, 'rc')
    // TERM is what tmux says unless the test says otherwise; NO_COLOR of the test's own environment is not a person's.
    fs.writeFileSync(rc, Object.entries(variables).map(([k, v]) => `export ${k}=${quote(v)}\n`).join('') + 'unset NO_COLOR\n')
    this.tmux('new-session', '-d', '-x', columns, '-y', rows, '-c', this.dir, `bash --noprofile --rcfile ${quote(rc)} -i`)
    this.tmux('set-option', '-g', 'history-limit', 20_000)
    f.later(() => this.close())
  }

  tmux(...args) {
    const env = { ...process.env, TMUX: '' }
    return execFileSync('tmux', ['-S', this.socket, '-f', '/dev/null', ...args.map(String)], { encoding: 'utf8', env })
  }

  /** The rows on the screen, without spaces at their ends. */
  screen() {
    return this.tmux('capture-pane', '-p').split('\n').map((l) => l.trimEnd())
  }

  /** Everything the terminal has shown and kept: what scrolled away, and the screen. */
  history() {
    return this.tmux('capture-pane', '-p', '-S', '-').split('\n').map((l) => l.trimEnd()).filter(Boolean)
  }

  type(text) {
    this.tmux('send-keys', '-l', text)
  }

  /** Keys by tmux's names: Enter, C-c, C-z, C-s, C-q. */
  key(...names) {
    this.tmux('send-keys', ...names)
  }

  resize(columns, rows = 24) {
    this.tmux('resize-window', '-x', columns, '-y', rows)
  }

  /** Records every byte that a program sends to the terminal from now on. */
  record() {
    const file = path.join(this.dir, `bytes${++this.runs}`)
    this.tmux('pipe-pane', '-o', `cat > ${quote(file)}`)
    return () => fs.readFileSync(file, 'latin1')
  }

  /** Types a bosc command. `ended()` says how it ended once the shell has said so. */
  run(bosc, ...args) {
    const mark = `end${++this.runs}:`
    const bootstrap = bosc.bootstrap.map((b) => `${b.host}:${b.port}`).join(',')
    const flags = ['--store', bosc.store, ...(bootstrap ? ['--bootstrap', bootstrap] : []), ...args]
    const env = Object.entries(bosc.env ?? {}).map(([k, v]) => `${k}=${quote(v)} `).join('')
    // A script of its own keeps what is typed short: a long line would scroll the screen.
    const script = path.join(this.dir, `run${this.runs}`)
    fs.writeFileSync(script, `${env}exec $BOSC ${flags.map(quote).join(' ')}\n`)
    this.type(`bash ${path.basename(script)}; echo ${mark.slice(0, 3)}${mark.slice(3)}$?`)
    this.key('Enter')
    const code = () => this.history().map((l) => new RegExp(`^(?:\\^C)*${mark}(\\d+)$`).exec(l)?.[1]).find(Boolean)
    return {
      running: () => code() === undefined,
      ended: async (timeout = 60_000) => {
        await waitFor(() => code() !== undefined, { timeout, what: () => `the end of ${args[0]}\n${this.screen().join('\n')}` })
        return Number(code())
      }
    }
  }

  /** Waits until a row of the screen matches; gives the match. */
  async shows(pattern, { timeout = 30_000 } = {}) {
    let found = null
    await waitFor(() => (found = this.screen().map((l) => pattern.exec(l)).find(Boolean)), {
      timeout, what: () => `${pattern} on the screen\n${this.screen().join('\n')}`
    })
    return found
  }

  /** The shell answers: the terminal is as a person needs it, echo and all. */
  async usable() {
    const word = `usable${++this.runs}`
    this.type(`echo ${word}`)
    await this.shows(new RegExp(`\\$ echo ${word}$`))
    this.key('Enter')
    await this.shows(new RegExp(`^${word}$`))
  }

  close() {
    try {
      this.tmux('kill-server')
    } catch {}
  }
}

/** Lets a process run for 20 of every 100 ms: what it sends takes seconds on any machine. Gives back a way to end that. */
export function slowDown(f, pid) {
  let ended = false
  const signal = (name) => {
    try {
      process.kill(pid, name)
    } catch {}
  }
  const turn = (running) => {
    signal(running || ended ? 'SIGCONT' : 'SIGSTOP')
    if (!ended) setTimeout(turn, running ? 20 : 80, !running)
  }
  turn(false)
  const end = () => {
    ended = true
    signal('SIGCONT')
  }
  f.later(end)
  return end
}
