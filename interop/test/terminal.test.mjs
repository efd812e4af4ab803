// What a person sees: every command that can draw, run in a real terminal for as long as it takes to draw.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { isStandIn } from '../lib/bosc.mjs'
import { fixture } from '../lib/fixture.mjs'
import { sleep, waitFor } from '../lib/net.mjs'
import { releaseFixture } from '../lib/release.mjs'
import { ESCAPE, Terminal, slowDown } from '../lib/terminal.mjs'
import { noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'
import { PASSPHRASE } from '../lib/signing.mjs'

const timeout = 180_000
// The stand-in draws nothing.
const skip = isStandIn()
const host = `${process.platform}-${process.arch}`
const STATUS = /^\S? ?(?:1 peer|\d+ peers), length \d+, up [\d.]+ k?M?B .*down ([\d.]+) (k?M?)B/
const INTERRUPTED = 130

const big = (mb, label = 0) => ({
  ...sampleApp({ version: '1.0.0', size: 1000 }),
  ...Object.fromEntries([...Array(mb).keys()].map((i) => [`data-${i}`, noise(1000 * label + i + 1, 1_000_000)]))
})

/** A drive of `mb` MB that its seeder hands out slowly. */
async function slowAuthor(f, mb, tree = big(mb)) {
  const dir = f.tree(tree)
  const author = f.bosc()
  const { link } = await author.touch()
  await author.stage(link, dir)
  const seeding = await author.seed(link)
  const release = slowDown(f, seeding.pid)
  return { dir, author, link, seeding, release }
}

const noStatus = (terminal) => assert.deepEqual(terminal.screen().filter((l) => STATUS.test(l)), [], 'the status is gone')

test('dump: progress moves, ends, and leaves a clean screen', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { dir, link } = await slowAuthor(f, 40)
  const terminal = new Terminal(f)
  const out = f.fresh()
  const dump = terminal.run(f.bosc(), 'dump', link, out)
  await terminal.shows(/^Dumping pear:/)
  const first = await terminal.shows(STATUS)
  await waitFor(() => terminal.screen().map((l) => STATUS.exec(l)).some((m) => m && m[1] !== first[1]), { what: () => terminal.screen().join('\n') })
  assert.equal(terminal.screen().filter((l) => STATUS.test(l)).length, 1, 'one status, in its place')
  assert.equal(await dump.ended(), 0)
  assert.deepEqual(snapshot(out), snapshot(dir))
  noStatus(terminal)
  const history = terminal.history()
  assert.deepEqual(history.filter((l) => STATUS.test(l)), [], 'none is left above either')
  assert.equal(history.filter((l) => /^\+ \/data-/.test(l)).length, 40)
  await terminal.usable()
})

test('seed of somebody else’s link fetches all of it, and Ctrl+C ends it', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { link } = await slowAuthor(f, 20)
  const terminal = new Terminal(f)
  const seed = terminal.run(f.bosc(), 'seed', link)
  await waitFor(() => terminal.screen().map((l) => STATUS.exec(l)).some((m) => m && m[2] === 'M' && Number(m[1]) >= 20), {
    timeout: 60_000, what: () => terminal.screen().join('\n')
  })
  terminal.key('C-c')
  assert.equal(await seed.ended(10_000), 0)
  noStatus(terminal)
  await terminal.usable()
})

test('Ctrl+C in the middle of a transfer ends it at the first time', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { link } = await slowAuthor(f, 60)
  for (const args of [['seed', link], ['dump', link, f.fresh()]]) {
    const terminal = new Terminal(f)
    const run = terminal.run(f.bosc(), ...args)
    await terminal.shows(STATUS)
    terminal.key('C-c')
    assert.equal(await run.ended(10_000), args[0] === 'seed' ? 0 : INTERRUPTED)
    noStatus(terminal)
    await terminal.usable()
  }
})

test('a stopped terminal (Ctrl+S) stops nothing else', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { dir, link } = await slowAuthor(f, 30)
  const terminal = new Terminal(f)
  const out = f.fresh()
  const dump = terminal.run(f.bosc(), 'dump', link, out)
  await terminal.shows(STATUS)
  terminal.key('C-s')
  const before = terminal.screen()
  await waitFor(() => fs.existsSync(path.join(out, 'data-9')), { timeout: 60_000, what: () => 'the last file' })
  await sleep(1000)
  assert.deepEqual(terminal.screen(), before, 'the terminal was stopped')
  terminal.key('C-q')
  assert.equal(await dump.ended(), 0)
  assert.deepEqual(snapshot(out), snapshot(dir))
  noStatus(terminal)
})

test('Ctrl+C ends a command whose terminal is stopped', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { link } = await slowAuthor(f, 60)
  const terminal = new Terminal(f)
  const seed = terminal.run(f.bosc(), 'seed', link)
  await terminal.shows(STATUS)
  terminal.key('C-s')
  await sleep(600)
  terminal.key('C-c')
  assert.equal(await seed.ended(10_000), 0)
  await terminal.usable()
})

test('Ctrl+Z and back', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { dir, link } = await slowAuthor(f, 30)
  const terminal = new Terminal(f)
  const out = f.fresh()
  const dump = terminal.run(f.bosc(), 'dump', link, out)
  await terminal.shows(STATUS)
  terminal.key('C-z')
  await terminal.shows(/Stopped/)
  await terminal.usable()
  // It may have been stopped before the folder was there.
  const files = () => (fs.existsSync(out) ? fs.readdirSync(out).length : 0)
  const before = files()
  await sleep(500)
  assert.equal(files(), before, 'it is stopped')
  terminal.type('fg; echo back=$?')
  terminal.key('Enter')
  await terminal.shows(/^back=0$/, { timeout: 60_000 })
  assert.deepEqual(snapshot(out), snapshot(dir))
  void dump
})

test('20 columns, and a window that changes while something is drawn', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { dir, link } = await slowAuthor(f, 30)
  const terminal = new Terminal(f, { columns: 20 })
  const out = f.fresh()
  const dump = terminal.run(f.bosc(), 'dump', link, out)
  const short = /^\S? ?(?:1 peer|\d+ peers), leng/
  await terminal.shows(short)
  for (const columns of [20, 100, 33, 20, 80]) {
    terminal.resize(columns)
    await sleep(600)
    const drawn = terminal.screen().filter((l) => short.test(l))
    assert.ok(drawn.length <= 1, `${columns} columns:\n${terminal.screen().join('\n')}`)
    assert.ok(drawn.every((l) => l.length <= columns))
  }
  assert.equal(await dump.ended(), 0)
  assert.deepEqual(snapshot(out), snapshot(dir))
  assert.deepEqual(terminal.screen().filter((l) => short.test(l)), [])
})

test('TERM=dumb and --no-progress draw nothing and move nothing', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { link } = await slowAuthor(f, 6)
  for (const [term, flags] of [['dumb', []], [null, ['--no-progress', '--color', 'never']]]) {
    const terminal = new Terminal(f, { term })
    await terminal.usable()
    const bytes = terminal.record()
    const dump = terminal.run(f.bosc(), ...flags, 'dump', link, f.fresh())
    assert.equal(await dump.ended(), 0)
    const sent = bytes().split('Dumping')[1].split(/end\d+:/)[0]
    assert.match(sent, /^\+ \/data-5 /m)
    assert.ok(!sent.includes(ESCAPE))
    assert.deepEqual(sent.match(/\x08|\r(?!\r*\n)/g), null, 'it goes back nowhere')
  }
})

test('install, stage, publish, provision, info and watch in a terminal', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const app = { [`by-arch/${host}/app/Demo`]: { data: noise(7, 30_000_000), mode: 0o755 } }
  const { link, release } = await slowAuthor(f, 0, { ...sampleApp({ version: '1.0.0', size: 1000 }), ...app })
  const terminal = new Terminal(f, { columns: 160 })
  const to = f.fresh('installed')
  fs.mkdirSync(to)
  const home = f.fresh('home')
  const bosc = f.bosc({ env: { HOME: home } })
  const install = terminal.run(bosc, 'install', link, '--to', to)
  await terminal.shows(STATUS)
  assert.equal(await install.ended(), 0)
  assert.equal(fs.statSync(path.join(to, 'Demo')).size, 30_000_000)
  noStatus(terminal)
  release()

  const own = f.bosc()
  const { link: mine } = await own.touch()
  const dir = f.tree(big(30, 1))
  assert.equal(await terminal.run(own, 'stage', mine, dir).ended(), 0)
  await terminal.shows(/^Next: bosc seed pear:/)
  const staged = terminal.history().map((l) => /^(pear:\/\/0\.\d+\.\w+)$/.exec(l)?.[1]).filter(Boolean).at(-1)
  assert.ok(staged, terminal.history().join('\n'))

  const target = (await own.touch()).link
  const none = (await own.touch()).link.replace('pear://', 'pear://0.0.')
  const provision = terminal.run(own, 'provision', staged, target, none, '--cooldown', '2')
  await terminal.shows(/NOT A DRY RUN/)
  assert.equal(await provision.ended(), 0)
  await terminal.shows(/^Provisioned:$/)
  noStatus(terminal)
  assert.equal(await terminal.run(own, 'info', mine, '--timeout', '1').ended(), 0)

  writeTree(dir, { 'package.json': JSON.stringify({ name: 'demo', version: '1.0.1' }) })
  const publish = terminal.run(own, 'publish', dir, '--copies', '0', '--wait', '5')
  await terminal.shows(/has no `upgrade` link. Make one and write it there\? \[y\/N\]/)
  terminal.type('y')
  terminal.key('Enter')
  assert.equal(await publish.ended(), 8)
  await terminal.shows(/^unfinished: pear:/)
  assert.equal(await terminal.run(own, 'publish', dir, '--copies', '0').ended(), 0)
  assert.match(fs.readFileSync(path.join(dir, 'package.json'), 'utf8'), /"upgrade": ?"pear:\/\//)

  const watch = terminal.run(bosc, 'watch', '--upgrade', link, '--app', path.join(to, 'Demo'), '--name', 'Demo',
    '--version', '1.0.0', '--dir', f.fresh('data'), '--delay', '0')
  await sleep(1000)
  terminal.type('nonsense')
  terminal.key('Enter')
  await terminal.shows(/no such command: "nonsense"/)
  terminal.key('C-c')
  assert.equal(await watch.ended(10_000), 0)
  await terminal.usable()
})

test('a signer is asked, types unseen, may stop, go on and leave', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  await f.startTargetSeeders()
  const request = await f.request('bosc', source)
  const file = path.join(f.dir, 'request')
  fs.writeFileSync(file, request)
  const terminal = new Terminal(f.f, { columns: 120 })
  const sign = () => terminal.run(f.bosc(), 'multisig', 'sign', file, '--source', source.link, '--wait', '10', '--keys', f.signers[0].dir)
  const yes = async (run) => {
    await terminal.shows(/Sign this with the key "default"\? \[y\/N\] *$/)
    terminal.type('y')
    terminal.key('Enter')
    await terminal.shows(/^Passphrase: *$/)
    return run
  }

  // Ctrl+C at either question gives the terminal back as it was.
  let run = sign()
  await terminal.shows(/Sign this with the key "default"\? \[y\/N\] *$/)
  terminal.key('C-c')
  assert.equal(await run.ended(5_000), INTERRUPTED)
  await terminal.usable()
  terminal.key('C-l')
  run = await yes(sign())
  terminal.type('half a pass')
  terminal.key('C-c')
  assert.equal(await run.ended(5_000), INTERRUPTED)
  await terminal.usable()
  assert.ok(!terminal.history().some((l) => l.includes('half a pass')), 'nothing typed is seen')

  // Ctrl+Z gives the shell its echo; coming back, the question is asked again and nothing is seen.
  terminal.key('C-l')
  run = await yes(sign())
  terminal.key('C-z')
  await terminal.shows(/Stopped/)
  await terminal.usable()
  terminal.key('C-l')
  terminal.type('fg; echo back=$?')
  terminal.key('Enter')
  await terminal.shows(/Passphrase: *$/)
  terminal.type(PASSPHRASE)
  terminal.key('Enter')
  await terminal.shows(/^back=0$/)
  const history = terminal.history()
  assert.ok(!history.some((l) => l.includes(PASSPHRASE)), 'nothing typed is seen')
  await terminal.usable()

  const responses = [0, 1].map(async (i) => f.sign('js', i, request))
  const args = f.commitArgs('commit', source, file, await Promise.all(responses), '--first-commit')
  terminal.key('C-l')
  assert.equal(await terminal.run(f.bosc(), ...args).ended(), 0)
  await terminal.shows(/^Quorum: 2 \/ 2$/)
  await f.assertProduction(source)
})

test('Ctrl+\\ and Ctrl+D at a passphrase leave the terminal as it was', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc({ bootstrap: [] })
  await bosc.touch()
  const terminal = new Terminal(f)
  const file = path.join(f.dir, 'backup')
  let run = terminal.run(bosc, 'keys', 'backup', file)
  await terminal.shows(/^Passphrase: *$/)
  terminal.type('half a pass')
  terminal.key('C-\\')
  assert.equal(await run.ended(5_000), 131)
  terminal.type('stty -a > modes')
  terminal.key('Enter')
  await terminal.usable()
  assert.match(fs.readFileSync(path.join(terminal.dir, 'modes'), 'utf8'), / echo /)
  assert.ok(!terminal.history().some((l) => l.includes('half a pass')), 'nothing typed is seen')
  terminal.key('C-l')
  run = terminal.run(bosc, 'keys', 'backup', file)
  await terminal.shows(/^Passphrase: *$/)
  terminal.key('C-d')
  assert.equal(await run.ended(5_000), 2)
  assert.ok(terminal.history().some((l) => l.includes('no passphrase was given')))
  assert.ok(!terminal.history().some((l) => l.includes('The same again')))
  assert.ok(!fs.existsSync(file))
  await terminal.usable()
})

test('the demo in a terminal', { timeout: 300_000, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const terminal = new Terminal(f)
  assert.equal(await terminal.run(f.bosc({ bootstrap: [] }), 'demo').ended(240_000), 0)
  noStatus(terminal)
  // Lines are cut at the width of the terminal, wherever that is.
  const shown = terminal.history().join('').replaceAll(/\s/g, '')
  for (const step of [
    /25\.notes2\.0\.0,withrules:10%getit.*BobandCarolsigned/,
    /26\.`boscmirror`writesitas\d+plainfiles.*http:\/\/127\.0\.0\.1:\d+/,
    /27\.WithUDPoff.*2\.0\.0goesto10%:Dorahasit,Emilwaits\(\d+requests/,
    /28\..*2\.0\.0goesto100%:DoraandEmilhaveit/,
    /29\..*2\.0\.0istakenback,andDoraandEmilrun1\.0\.0again/,
    /30\.Fay.*stale,installsnothingandkeeps1\.0\.0running/,
    /31\..*nonewasanswered/
  ]) {
    assert.match(shown, step)
  }
  await terminal.usable()
})

test('a pipe that nobody reads does not keep Ctrl+C from ending a command', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { link, release } = await slowAuthor(f, 20)
  release()
  // Nothing reads what it writes: the pipe is full after 64 KiB.
  const dump = f.bosc().start('dump', link, '-')
  dump.child.stdout.pause()
  await sleep(3000)
  assert.ok(dump.running)
  dump.child.kill('SIGINT')
  await waitFor(() => dump.child.exitCode !== null, { timeout: 5_000, what: () => 'its end' })
  assert.equal(dump.child.exitCode, INTERRUPTED)
})
