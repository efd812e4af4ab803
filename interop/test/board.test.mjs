// What is drawn below everything else: who is there, how far a transfer is. By what the screen shows, while its size changes.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { isStandIn } from '../lib/bosc.mjs'
import { fixture } from '../lib/fixture.mjs'
import { sleep, waitFor } from '../lib/net.mjs'
import { ESCAPE, Terminal, slowDown } from '../lib/terminal.mjs'
import { noise, sampleApp, snapshot } from '../lib/tree.mjs'

const timeout = 180_000
// The stand-in draws nothing.
const skip = isStandIn()
const host = `${process.platform}-${process.arch}`
const HEAD = /^ *PEER +ADDRESS +VIA +VERSION +HOLDS +RATE$/
const PEER = /^ *[a-z0-9]{8} +127\.0\.0\.1:\d+ +direct +0\.\d+ +(?:all|-|\d+ %) +[\d.]+ k?M?B\/s {2}[▁-█]{8}$/
const PROGRESS = /^ *(\d+) %, [\d.]+ k?M?B of ([\d.]+ MB), [\d.]+ k?M?B\/s(, \d+ (?:s|min|h) left)? {2}[▁-█]{8}/
const DRAWN = [HEAD, PEER, PROGRESS, /^ *up [▁-█]{16} /, /^ *network: /, /^ *announced: /, /^ *not announced yet: /, /\d of \d hold the release/]

const big = (mb, label = 0) => ({
  ...sampleApp({ version: '1.0.0', size: 1000 }),
  ...Object.fromEntries([...Array(mb).keys()].map((i) => [`data-${i}`, noise(1000 * label + i + 1, 1_000_000)]))
})
const drawn = (lines) => lines.filter((l) => DRAWN.some((p) => p.test(l)))
/** For the documentation: a screen as it was. */
const record = (name, terminal) => {
  if (process.env.BOSC_RECORD_SCREENS) fs.writeFileSync(path.join(process.env.BOSC_RECORD_SCREENS, name), terminal.screen().join('\n'))
}

/** One status and one table, within the window. */
const fits = (screen, columns, rows) => {
  const at = `${columns} × ${rows}\n${screen.join('\n')}`
  assert.ok(screen.every((l) => l.length <= columns), at)
  assert.ok(screen.filter((l) => /^\S? ?(?:1 peer|\d+ peers)(?:,|$)/.test(l)).length <= 1, `one status: ${at}`)
  assert.ok(screen.filter((l) => /^ *PEER /.test(l)).length <= 1, `one table: ${at}`)
}

test('seed shows who is there, in any window, and takes it off again', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const author = f.bosc()
  const { link } = await author.touch()
  await author.stage(link, f.tree(big(30)))
  const terminal = new Terminal(f)
  const seed = terminal.run(author, 'seed', link)
  await terminal.shows(/^ *announced: pear:\/\//)
  await terminal.shows(/^ *network: /)
  const followers = [1, 2].map(() => f.bosc().start('seed', link))
  followers.forEach((p) => slowDown(f, p.child.pid))
  await terminal.shows(HEAD)
  await waitFor(() => terminal.screen().filter((l) => PEER.test(l)).length === 2, { what: () => terminal.screen().join('\n') })
  await waitFor(() => terminal.screen().some((l) => PEER.test(l) && !/ 0 B\/s/.test(l)), { what: () => terminal.screen().join('\n') })
  record('seed', terminal)
  // Wider than its rows: tmux breaks lines anew up to a quarter of a second before it says so, and what is drawn meanwhile into a window
  // that has become narrower leaves a piece.
  for (const [columns, rows] of [[200, 24], [120, 30], [160, 24], [120, 24]]) {
    terminal.resize(columns, rows)
    await sleep(700)
    fits(terminal.screen(), columns, rows)
  }
  // Narrower than its rows, and back: tmux breaks them anew, and says so a moment later.
  for (const [columns, rows] of [[70, 24], [100, 24], [62, 24], [80, 24], [66, 30], [120, 24], [64, 24], [120, 30]]) {
    terminal.resize(columns, rows)
    await sleep(700)
    fits(terminal.screen(), columns, rows)
  }
  // As somebody drags the edge of the window. What tmux itself moved above its top row while it broke rows anew, nobody can take off.
  for (let columns = 118; columns >= 62; columns -= 4) {
    terminal.resize(columns, 30)
    await sleep(60)
  }
  await sleep(700)
  fits(terminal.screen(), 62, 30)
  terminal.resize(120, 30)
  await sleep(700)
  await terminal.shows(HEAD)
  fits(terminal.screen(), 120, 30)
  terminal.key('C-c')
  assert.equal(await seed.ended(10_000), 0)
  assert.deepEqual(drawn(terminal.screen()), [], 'it is gone')
  await terminal.usable()

  for (const [columns, rows] of [[60, 24], [20, 24], [33, 12], [80, 6], [80, 2], [14, 3]]) {
    const small = new Terminal(f, { columns, rows })
    const again = small.run(author, 'seed', link)
    await waitFor(() => small.screen().some((l) => /peer/.test(l)), { what: () => small.screen().join('\n') })
    await sleep(500)
    fits(small.screen(), columns, rows)
    small.key('C-c')
    assert.equal(await again.ended(10_000), 0)
    assert.deepEqual(drawn(small.screen()), [], `${columns} × ${rows}: it is gone`)
  }
})

test('--no-progress, --no-tty, TERM=dumb and a pipe have lines as before, and no table', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const author = f.bosc()
  const { link } = await author.touch()
  await author.stage(link, f.tree(big(3)))
  const follower = f.bosc()
  for (const [term, flags] of [['dumb', []], [null, ['--no-progress', '--color', 'never']], [null, ['--no-tty', '--color', 'never']]]) {
    const terminal = new Terminal(f, { term, columns: 100 })
    await terminal.usable()
    const bytes = terminal.record()
    const seed = terminal.run(author, 'seed', link, ...flags)
    await terminal.shows(/^Announced: others can find it now$/)
    const other = follower.start('seed', link)
    await terminal.shows(/^1 peer, length \d+, up [\d.]+ k?M?B /)
    other.child.kill('SIGINT')
    terminal.key('C-c')
    assert.equal(await seed.ended(10_000), 0)
    const sent = bytes().split('Seeding')[1].split(/end\d+:/)[0]
    assert.ok(!sent.includes(ESCAPE))
    assert.deepEqual(drawn(terminal.history()), [])
  }
})

test('dump says how much of the whole is there, how fast, and for how long', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(big(40))
  const author = f.bosc()
  const { link } = await author.touch()
  await author.stage(link, dir)
  const seeding = await author.seed(link)
  slowDown(f, seeding.pid)
  const terminal = new Terminal(f)
  const out = f.fresh()
  const dump = terminal.run(f.bosc(), 'dump', link, out)
  const seen = []
  let left = false
  await waitFor(() => {
    const found = terminal.screen().map((l) => PROGRESS.exec(l)).find(Boolean)
    if (found && seen.at(-1) !== Number(found[1])) seen.push(Number(found[1]))
    if (found) assert.match(found[2], /^40\.[01] MB$/)
    left ||= Boolean(found?.[3])
    return !dump.running()
  }, { timeout: 90_000, what: () => terminal.screen().join('\n') })
  assert.equal(await dump.ended(), 0)
  assert.ok(seen.length >= 3 && left, `it moves and says how long: ${seen}`)
  assert.deepEqual(seen, [...seen].sort((a, b) => a - b), 'it never goes back')
  assert.deepEqual(snapshot(out), snapshot(dir))
  assert.deepEqual(drawn(terminal.screen()), [])
})

test('publish shows how much of the release was sent, and who holds it', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const author = f.bosc()
  const dir = f.tree(big(30))
  const { link } = await author.touch()
  fs.writeFileSync(path.join(dir, 'package.json'), JSON.stringify({ name: 'demo', version: '1.0.0', upgrade: link }))
  const terminal = new Terminal(f)
  const publish = terminal.run(author, 'publish', dir, '--copies', '1', '--wait', '120')
  await terminal.shows(/^ *0 of 1 hold the release$/)
  const other = f.bosc().start('seed', link)
  slowDown(f, other.child.pid)
  // Who is there, and how this machine can be reached.
  await terminal.shows(HEAD)
  await terminal.shows(PEER)
  await terminal.shows(/^ *network: /)
  await terminal.shows(/^ *announced: pear:\/\//)
  await terminal.shows(/^ *0 of 1 hold the release {2}\d+ %, [\d.]+ k?M?B of 3\d\.\d MB, [\d.]+ k?M?B\/s/, { timeout: 60_000 })
  record('publish', terminal)
  assert.equal(await publish.ended(120_000), 0)
  assert.deepEqual(drawn(terminal.screen()), [])
  await terminal.usable()
})

test('watch --ui shows what is known of an update, and what can be typed', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const author = f.bosc()
  const { link } = await author.touch()
  const tree = (version, label) => ({ ...sampleApp({ version, size: 1000 }), [`by-arch/${host}/app/Demo`]: { data: noise(label, 20_000_000), mode: 0o755 } })
  await author.stage(link, f.tree(tree('1.0.1', 1)))
  const seeding = await author.seed(link)
  slowDown(f, seeding.pid)
  const installed = f.tree({ Demo: { data: '#!/bin/sh\n', mode: 0o755 } })
  const terminal = new Terminal(f)
  const watch = terminal.run(f.bosc(), 'watch', '--ui', '--upgrade', link, '--app', path.join(installed, 'Demo'), '--name', 'Demo', '--version', '1.0.0', '--dir', f.fresh('data'), '--delay', '0')
  await terminal.shows(/^\S Demo 1\.0\.0: /)
  await terminal.shows(/^ *follows pear:\/\//)
  await terminal.shows(PROGRESS)
  terminal.resize(20)
  await sleep(600)
  assert.ok(terminal.screen().filter((l) => /^\S Demo 1\.0\.0: /.test(l)).length <= 1, terminal.screen().join('\n'))
  terminal.resize(80)
  await terminal.shows(/^\S Demo 1\.0\.0: 1\.0\.1 is ready; type: apply$/, { timeout: 90_000 })
  terminal.type('apply')
  terminal.key('Enter')
  await terminal.shows(/^\S Demo 1\.0\.0: 1\.0\.1 is in place; the next start runs it$/)
  assert.equal(fs.statSync(path.join(installed, 'Demo')).size, 20_000_000)
  assert.ok(terminal.history().includes('> apply'), 'what was typed is shown, above')
  terminal.key('C-c')
  assert.equal(await watch.ended(10_000), 0)
  assert.deepEqual(terminal.screen().filter((l) => /^\S Demo 1\.0\.0/.test(l) || /^ *follows /.test(l)), [])
  await terminal.usable()
})

test('lines, versions and findings fit eighty columns', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const author = f.bosc()
  const { link } = await author.touch()
  const dir = f.tree(big(1))
  await author.stage(link, dir)
  const terminal = new Terminal(f, { rows: 60 })
  const file = path.join(f.dir, 'bosc.toml')
  fs.writeFileSync(file, `[line.production-of-the-company]\nkind = "stage"\nlink = "${link}"\n`)
  // A line of the terminal that goes on in the next one would be joined: what is captured is what was sent.
  const wide = () => terminal.tmux('capture-pane', '-p', '-J', '-S', '-').split('\n').map((l) => l.trimEnd()).filter((l) => l.length > 80)
  for (const args of [['doctor', link, '--timeout', '1'], ['line', 'list', '--file', file, '--timeout', '1'], ['versions', link, '--timeout', '1'], ['log', link, '--timeout', '1']]) {
    terminal.key('C-l')
    terminal.tmux('clear-history')
    await terminal.run(author, ...args).ended()
    assert.deepEqual(wide(), [], args[0])
    if (args[0] === 'log') continue
    assert.ok(terminal.history().some((l) => args[0] === 'doctor' ? /^(ok|warn|bad) /.test(l) : /^ {2}pear:\/\/0\./.test(l)), terminal.history().join('\n'))
  }
})
