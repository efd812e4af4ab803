// docs/first-app.md, typed at terminals by somebody who does what it says: the only page for one person on one machine.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { readPage } from '../docs-run.mjs'
import { missing } from '../lib/docs-page.mjs'
import { boscCommand, isStandIn } from '../lib/bosc.mjs'
import { fixture } from '../lib/fixture.mjs'
import { waitFor } from '../lib/net.mjs'
import { Terminal } from '../lib/terminal.mjs'

const timeout = 300_000
const repository = fileURLToPath(new URL('../..', import.meta.url))
const works = (...command) => spawnSync(command[0], command.slice(1)).status === 0
// Its ports are written out in the page: a network of its own keeps them free.
const alone = ['unshare', '-rn', 'true']
const skip = isStandIn() || process.platform !== 'linux' || process.arch !== 'x64' ||
  (!works('python3', '--version') && 'there is no Python') || (!works(...alone) && 'there is no network of its own to be had')

/** A home on a machine of its own, with as many terminals as the page has. */
class Desk {
  constructor(f) {
    this.f = f
    this.home = f.fresh('home')
    this.bin = path.join(this.home, '.cargo/bin')
    fs.mkdirSync(this.bin, { recursive: true })
    fs.symlinkSync(repository, path.join(this.home, 'bosc'))
    const command = boscCommand().map((w) => (fs.existsSync(w) ? path.resolve(w) : w))
    fs.writeFileSync(path.join(this.bin, 'bosc'), `#!/bin/sh\nexec ${command.map((w) => `'${w}'`).join(' ')} "$@"\n`, { mode: 0o755 })
    this.terminals = new Map()
    // Whoever holds this open holds the network: every terminal joins it.
    this.pid = path.join(this.home, 'network')
    this.cwd = path.join(this.home, 'hello')
  }

  async terminal(name) {
    if (!this.terminals.has(name)) {
      const env = { HOME: this.home, PATH: `${this.bin}:${process.env.PATH}`, BOSC_STORE: path.join(this.home, 'store'), LANG: 'C.UTF-8' }
      const terminal = new Terminal(this.f, { columns: 400, rows: 50, env })
      const first = this.terminals.size === 0
      const shell = 'env PS1="$ " bash --noprofile --norc -i'
      terminal.type(first
        ? `unshare -rn sh -c 'ip link set lo up; echo $$ > ${this.pid}; exec ${shell}'`
        : `nsenter --preserve-credentials -U -n -t $(cat ${this.pid}) ${shell}`)
      terminal.key('Enter')
      if (first) await waitFor(() => fs.existsSync(this.pid) && fs.readFileSync(this.pid, 'utf8').endsWith('\n'), { what: () => 'a network' })
      this.terminals.set(name, { terminal, count: 0 })
      await this.type(name, { text: 'cd', shown: [], answers: [] })
    }
    return this.terminals.get(name)
  }

  /** Types a command and waits until it has shown what the page says; `tail` is typed until it does, as one looks again. */
  async type(name, command) {
    const t = await this.terminal(name)
    const stays = ['bosc dht', 'bosc seed', 'python3 -m'].some((c) => command.text.startsWith(c))
    const again = command.text.startsWith('tail ')
    const end = performance.now() + 120_000
    for (;;) {
      const mark = `end${++t.count}:`
      const from = t.terminal.history().length
      const saysEnd = `echo ${mark.slice(0, 3)}${mark.slice(3)}$?`
      // On the line of the command: what is typed while it runs is shown among what it says.
      const oneLine = !stays && !/\n|&\s*$/.test(command.text)
      t.terminal.type(oneLine ? `${command.text}; ${saysEnd}` : command.text)
      t.terminal.key('Enter')
      const output = () => t.terminal.history().slice(from).join('\n')
      for (const { question, answer } of command.answers) {
        const asked = question.split('...').at(-1)
        await waitFor(() => output().includes(asked), { timeout: 60_000, what: () => `${question}\n${output()}` })
        t.terminal.type(answer)
        t.terminal.key('Enter')
      }
      if (!stays) {
        if (!oneLine) {
          t.terminal.type(saysEnd)
          t.terminal.key('Enter')
        }
        await waitFor(() => new RegExp(`^${mark}\\d+$`, 'm').test(output()), { timeout: 120_000, what: () => `the end of ${command.text}\n${output()}` })
        const code = Number(new RegExp(`^${mark}(\\d+)$`, 'm').exec(output())[1])
        const unfinished = command.shown.some((l) => l.startsWith('unfinished:'))
        // What is looked at may not be there yet.
        if (!again) assert.equal(code, unfinished ? 8 : 0, `${command.text}\n${output()}`)
      } else {
        await waitFor(() => missing(command.shown, output()) === null, { timeout: 60_000, what: () => output() })
      }
      const lacks = missing(command.shown.filter((l) => !/\[y\/N\]/.test(l)), output())
      if (lacks === null) return
      if (!again || performance.now() > end) assert.fail(`${command.text} does not show ${lacks}\n${output()}`)
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
}

test('first-app.md, typed at terminals', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const desk = new Desk(f)
  // What replaced itself is no child of a terminal any more.
  const endAll = async () => {
    const own = () => fs.readdirSync('/proc').filter((pid) => {
      try {
        return /^\d+$/.test(pid) && fs.readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`HOME=${desk.home}\0`)
      } catch {
        return false
      }
    })
    for (const { terminal } of desk.terminals.values()) terminal.close()
    for (const pid of own()) {
      try {
        process.kill(Number(pid))
      } catch {}
    }
    await waitFor(() => own().length === 0, { what: () => `the end of ${own()}` })
  }
  try {
    await typePage(desk, readPage('first-app.md'))
  } finally {
    await endAll()
  }
})

/** Does what a page says, step by step. */
async function typePage(desk, page) {
  let machine = null
  for (const section of page.sections) {
    for (const step of section.steps) {
      if (step.kind === 'machine') machine = step.machines[0]
      if (step.kind === 'file') fs.writeFileSync(path.join(desk.cwd, step.path), step.text)
      if (step.kind !== 'console') continue
      for (const command of step.commands) {
        const text = command.background ? `${command.text} &` : command.text
        await desk.type(machine, { ...command, text })
      }
    }
  }
}
