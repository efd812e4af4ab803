// `bosc watch` follows links: staged and seeded by JavaScript, staged by bosc; killed, offline, lied to.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { isStandIn } from '../lib/bosc.mjs'
import { fixture } from '../lib/fixture.mjs'
import * as hostile from '../lib/hostile.mjs'
import { describe, jsStage, sleep, waitFor } from '../lib/net.mjs'
import { noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'
import { Installed } from '../lib/watch.mjs'
import crypto from 'hypercore-crypto'

// The stand-in has no such command.
const opts = { timeout: 120_000, skip: isStandIn() }
const host = `${process.platform}-${process.arch}`
const app = `by-arch/${host}/app/Demo`

const single = (version, data) => ({
  ...sampleApp({ version, size: 1000 }),
  [app]: { data, mode: 0o755 },
  'by-arch/other-arch/app/Demo': noise(900, 3_000_000)
})

const folder = (version, data) => ({
  'package.json': JSON.stringify({ name: 'demo', productName: 'Demo', version }),
  'CHANGELOG.md': `# Changelog\n\n## v${version}\n\n- what is new in ${version}\n`,
  [`${app}/bin/demo`]: { data, mode: 0o755 },
  [`${app}/bin/start`]: { link: 'demo' },
  [`${app}/share/empty`]: '',
  [`${app}/share/text`]: `version ${version}\n`,
  ...Object.fromEntries([...Array(40).keys()].map((i) => [`${app}/share/res-${i}.dat`, noise(i + 50, 20_000 + i * 501)]))
})

const edited = (data) => {
  const middle = data.length >> 1
  return Buffer.concat([data.subarray(0, middle), noise(77, 100), data.subarray(middle)])
}

/** A drive staged and seeded by JavaScript. */
async function jsAuthor(f, tree) {
  const dir = f.tree(tree)
  const js = f.js()
  const drive = await js.touch()
  await jsStage(drive, dir)
  await js.join(drive)
  return { dir, js, drive, link: (await describe(drive)).link }
}

test('a JavaScript link: updating, updated, applied; and the next one in the same run', opts, async (t) => {
  const f = await fixture(t)
  const one = noise(1, 3_000_000)
  const { dir, drive, link } = await jsAuthor(f, single('1.0.0', one))
  const demo = new Installed(f, link, { source: path.join(dir, app), version: '1.0.0' })
  const run = demo.watch()
  await waitFor(() => drive.core.peers.length > 0, { what: () => run.describe() })
  await sleep(300)
  assert.deepEqual(run.lines, [], 'the same version is no update')

  const two = edited(one)
  writeTree(dir, single('1.0.1', two))
  await jsStage(drive, dir)
  const updated = await run.until('updated')
  const { verlink } = await describe(drive)
  assert.equal(updated.version, '1.0.1')
  assert.equal(updated.link, verlink)
  assert.equal(updated.size, two.length)
  assert.ok(updated.received < 3_000_000, `${updated.received} bytes`)
  assert.equal(run.last('updating').link, verlink)
  assert.deepEqual(run.all('updating-delta').map((d) => d.op), ['change'])
  assert.ok(run.last('progress').peers >= 1)
  assert.ok(fs.readFileSync(demo.app).equals(one), 'not before it is told to')

  run.say('apply')
  const applied = await run.until('applied')
  assert.deepEqual([applied.version, applied.previous], ['1.0.1', '1.0.0'])
  assert.ok(fs.readFileSync(demo.app).equals(two))
  assert.equal(fs.statSync(demo.app).mode & 0o111, 0o111)

  writeTree(dir, single('1.0.2', noise(5, 100_000)))
  await jsStage(drive, dir)
  const next = await run.until('updated', (d) => d.version === '1.0.2')
  assert.equal(next.size, 100_000)
  await run.quit()
  assert.equal(run.code, 0, run.describe())
})

test('a bosc link: a folder, its first update after the install fetches what changed', opts, async (t) => {
  const f = await fixture(t)
  const data = noise(3, 9_000_000)
  const dir = f.tree(folder('1.0.0', data))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.stage(link, dir)
  const demo = new Installed(f, link, { source: path.join(dir, app), version: '1.0.0' })
  writeTree(dir, folder('1.1.0', edited(data)))
  const staged = await bosc.stage(link, dir)
  await bosc.seed(link)
  const run = demo.watch()
  const updated = await run.until('updated')
  assert.equal(updated.link, staged.verlink)
  assert.equal(updated.notes, '- what is new in 1.1.0')
  assert.ok(updated.received < 6_000_000, `${updated.received} of ${updated.size} bytes`)
  assert.deepEqual(run.all('updating-delta').map((d) => d.key).sort(), ['/bin/demo', '/share/text'])
  run.say('apply')
  await run.until('applied')
  assert.deepEqual(snapshot(demo.app), snapshot(path.join(dir, app)))
  // The new build says that it works, in a run of its own.
  await run.quit()
  const second = new Installed(f, link, { version: '1.1.0' })
  Object.assign(second, { app: demo.app, dir: demo.dir })
  const again = second.watch()
  again.say('healthy')
  assert.equal((await again.until('healthy')).trial, true)
  await again.quit()
})

test('killed in the middle it goes on with the rest, and the application is whole all the time', opts, async (t) => {
  const f = await fixture(t)
  const { dir, drive, link } = await jsAuthor(f, single('1.0.0', noise(1, 100_000)))
  const demo = new Installed(f, link, { source: path.join(dir, app), version: '1.0.0' })
  const before = fs.readFileSync(demo.app)
  const size = 60_000_000
  writeTree(dir, single('2.0.0', noise(9, size)))
  await jsStage(drive, dir)
  let received = 0
  let kills = 0
  for (const share of [0.15, 0.4, 0.65]) {
    const run = demo.watch()
    const enough = (d) => d.total && d.bytes > size * share
    await run.until('progress', enough)
    await run.kill()
    received += run.last('progress').received
    kills += run.all('updated').length === 0 ? 1 : 0
    assert.ok(fs.readFileSync(demo.app).equals(before))
  }
  assert.ok(kills > 0, 'at least one kill came before the end')
  const run = demo.watch()
  const updated = await run.until('updated')
  // What a kill may cost: what was on its way and not yet written, each time.
  assert.ok(received + updated.received < size * 1.15 + 3 * 20_000_000, `${received} + ${updated.received}`)
  assert.ok(updated.received < size, `${updated.received}`)
  run.say('apply')
  await run.until('applied')
  assert.ok(fs.readFileSync(demo.app).equals(noise(9, size)))
})

test('offline at the start: no error, and the update when a peer appears', opts, async (t) => {
  const f = await fixture(t)
  const { dir, js, drive, link } = await jsAuthor(f, single('1.0.1', noise(1, 200_000)))
  await js.offline()
  const demo = new Installed(f, link, { source: path.join(dir, app), version: '1.0.0' })
  const run = demo.watch()
  await sleep(1500)
  assert.deepEqual(run.lines, [])
  js.online({ bootstrap: f.bootstrap })
  await js.join(drive)
  await run.until('updated', () => true, { timeout: 60_000 })
  assert.deepEqual(run.all('error'), [])
})

test('never a downgrade, nothing for another platform, nothing when switched off', opts, async (t) => {
  const f = await fixture(t)
  const { dir, drive, link } = await jsAuthor(f, single('1.5.0', noise(1, 200_000)))
  const source = path.join(dir, app)
  const newer = new Installed(f, link, { source, version: '2.0.0' }).watch()
  const pre = new Installed(f, link, { source, version: '1.5.0' }).watch()
  const off = new Installed(f, link, { source, version: '1.0.0' }).watch('--no-updates')
  off.say('check')
  const other = new Installed(f, link, { source, version: '1.0.0', name: 'Missing' }).watch()
  const error = await other.until('error')
  assert.equal(error.code, 'ERR_INVALID_INPUT')
  assert.match(error.message, /by-arch/)
  assert.ok(error.hint)
  await sleep(500)
  writeTree(dir, single('1.4.0', noise(2, 200_000)))
  await jsStage(drive, dir)
  await sleep(1500)
  for (const run of [newer, pre, off]) assert.deepEqual(run.lines, [], run.describe())
})

test('a release that was staged is replaced by a newer one, and words are checked', opts, async (t) => {
  const f = await fixture(t)
  const { dir, drive, link } = await jsAuthor(f, single('1.0.1', noise(1, 200_000)))
  const demo = new Installed(f, link, { source: path.join(dir, app), version: '1.0.0' })
  const run = demo.watch()
  await run.until('updated', (d) => d.version === '1.0.1')
  const three = noise(3, 200_000)
  writeTree(dir, single('1.0.3', three))
  await jsStage(drive, dir)
  await run.until('updated', (d) => d.version === '1.0.3')
  run.say('dance')
  assert.match((await run.until('error')).message, /no such command/)
  run.say('apply')
  assert.equal((await run.until('applied')).version, '1.0.3')
  assert.ok(fs.readFileSync(demo.app).equals(three))
  // Nobody to talk to: it ends.
  run.hangUp()
  assert.equal(await run.exited, 0)
})

test('what lies staged is looked at again before it is installed', opts, async (t) => {
  const f = await fixture(t)
  const { dir, link } = await jsAuthor(f, single('1.0.1', noise(1, 200_000)))
  const demo = new Installed(f, link, { source: path.join(dir, app), version: '1.0.0' })
  const before = fs.readFileSync(demo.app)
  const run = demo.watch()
  await run.until('updated')
  const staging = path.join(path.dirname(demo.app), '.Demo.bosc', 'staging')
  const [release] = fs.readdirSync(staging).filter((n) => n.startsWith('p2p-'))
  const file = path.join(staging, release, 'Demo')
  const bytes = fs.readFileSync(file)
  bytes[1000] ^= 1
  fs.writeFileSync(file, bytes)
  const from = run.lines.length
  run.say('apply')
  const error = await run.until('error', () => true, { from })
  assert.equal(error.code, 'ERR_INTEGRITY')
  assert.ok(fs.readFileSync(demo.app).equals(before))
  // It is written again by itself, and then applies.
  await run.until('updated', () => true, { from })
  run.say('apply')
  await run.until('applied')
})

test('a peer with an older head never makes it go back', opts, async (t) => {
  const f = await fixture(t)
  const { dir, js, drive, link } = await jsAuthor(f, single('1.0.0', noise(1, 200_000)))
  // Somebody who stopped at the first version.
  const old = f.js()
  const copy = await old.drive(link)
  await old.join(copy, { server: false })
  await old.head(copy, { length: drive.core.length })
  await old.fetchAll(copy)
  await old.offline()
  writeTree(dir, single('1.0.1', noise(2, 200_000)))
  await jsStage(drive, dir)
  const demo = new Installed(f, link, { source: path.join(dir, app), version: '0.9.0' })
  const first = demo.watch()
  await first.until('updated', (d) => d.version === '1.0.1')
  await first.quit()
  await js.offline()
  // The newest head is kept: alone with the old peer, the old version is not offered.
  old.online({ bootstrap: f.bootstrap })
  await old.join(copy)
  const run = demo.watch()
  await run.until('updated', (d) => d.version === '1.0.1', { timeout: 60_000 })
  await sleep(1000)
  assert.deepEqual(run.all('updating').filter((d) => d.version !== '1.0.1'), [])
})

for (const lies of ['wrongBlocks', 'wrongNodes']) {
  test(`alone with a seeder of ${lies} nothing is installed; with an honest one it is`, opts, async (t) => {
    const f = await fixture(t)
    const { dir, js, drive, link } = await jsAuthor(f, folder('1.0.1', noise(1, 2_000_000)))
    const { length } = await describe(drive)
    const liar = f.js()
    const copy = await liar.drive(link)
    await liar.join(copy)
    await liar.head(copy, { length })
    await liar.fetchAll(copy)
    await js.offline()
    let told = 0
    for (const core of [copy.core, copy.blobs.core]) {
      hostile.lie(core, (peer) => {
        told++
        hostile[lies](peer)
      }, (key) => f.isJs(key))
    }
    const demo = new Installed(f, link, { source: path.join(dir, app), version: '1.0.0' })
    const before = snapshot(demo.app)
    const run = demo.watch()
    await waitFor(() => told > 0, { what: () => 'the liar to be asked' })
    await sleep(2000)
    run.say('apply')
    await run.until('error')
    assert.deepEqual(run.all('updated'), [])
    assert.deepEqual(run.all('applied'), [])
    assert.deepEqual(snapshot(demo.app), before)
    await liar.offline()
    js.online({ bootstrap: f.bootstrap })
    await js.join(drive)
    run.say('check')
    await run.until('updated', () => true, { timeout: 90_000 })
    run.say('apply')
    await run.until('applied')
    assert.deepEqual(snapshot(demo.app), snapshot(path.join(dir, app)))
  })
}

test('peers who withhold a release and peers who say nothing do not keep an honest one from being heard', opts, async (t) => {
  const f = await fixture(t)
  const { dir, js, drive, link } = await jsAuthor(f, single('1.0.0', noise(1, 200_000)))
  // Somebody who knows of no release after the first, on purpose.
  const old = f.js()
  const copy = await old.drive(link)
  await old.join(copy, { server: false })
  await old.head(copy, { length: drive.core.length })
  await old.fetchAll(copy)
  await old.offline()
  writeTree(dir, single('1.0.1', noise(2, 200_000)))
  await jsStage(drive, dir)
  // Somebody who has the new one, takes every request and answers none.
  const mute = f.js()
  const other = await mute.drive(link)
  await mute.join(other, { server: false })
  await mute.head(other, { length: drive.core.length })
  await mute.fetchAll(other)
  for (const core of [other.core, other.blobs.core]) hostile.lie(core, hostile.silence)
  await js.offline()
  old.online({ bootstrap: f.bootstrap })
  await old.join(copy)
  await mute.join(other)
  const demo = new Installed(f, link, { source: path.join(dir, app), version: '1.0.0' })
  const before = fs.readFileSync(demo.app)
  const run = demo.watch()
  await waitFor(() => copy.core.peers.length > 0 && other.core.peers.length > 0, { what: () => 'both to be asked' })
  await sleep(3000)
  assert.deepEqual(run.all('updated'), [])
  assert.ok(fs.readFileSync(demo.app).equals(before))
  js.online({ bootstrap: f.bootstrap })
  await js.join(drive)
  await run.until('updated', (d) => d.version === '1.0.1', { timeout: 90_000 })
  run.say('apply')
  await run.until('applied')
  assert.ok(fs.readFileSync(demo.app).equals(noise(2, 200_000)))
})

for (const attack of ['randomMessages', 'brokenMux', 'rawNoise', 'endlessFrame', 'hangUp']) {
  test(`it survives ${attack} on its topic and updates all the same`, opts, async (t) => {
    const f = await fixture(t)
    const { dir, drive, link } = await jsAuthor(f, single('1.0.0', noise(1, 200_000)))
    const intruder = new hostile.Intruder(f.bootstrap, hostile[attack])
    f.later(() => intruder.close())
    await intruder.join(crypto.discoveryKey(drive.key))
    const demo = new Installed(f, link, { source: path.join(dir, app), version: '1.0.0' })
    const run = demo.watch()
    await waitFor(() => intruder.connections > 1, { what: () => 'a connection to attack' })
    await sleep(500)
    writeTree(dir, single('1.0.1', noise(4, 300_000)))
    await jsStage(drive, dir)
    await run.until('updated', () => true, { timeout: 60_000 })
    assert.doesNotMatch(run.stderr, /panicked/)
  })
}

test('a seeder back: another installation updates from this one', opts, async (t) => {
  const f = await fixture(t)
  const { dir, js, link } = await jsAuthor(f, single('1.0.1', noise(6, 1_000_000)))
  const source = path.join(dir, app)
  const first = new Installed(f, link, { source, version: '1.0.0' }).watch('--seed-back')
  await first.until('updated')
  await js.offline()
  const demo = new Installed(f, link, { version: '1.0.0', source })
  const second = demo.watch()
  await second.until('updated', () => true, { timeout: 60_000 })
  second.say('apply')
  await second.until('applied')
  assert.ok(fs.readFileSync(demo.app).equals(noise(6, 1_000_000)))
})

test('--tell-only: nothing is fetched but what was asked for; a version that is skipped is not told of again', opts, async (t) => {
  const f = await fixture(t)
  // Nobody wrote notes.
  const tree = (version, data) => ({
    'package.json': JSON.stringify({ name: 'demo', productName: 'Demo', version }),
    [app]: { data, mode: 0o755 }
  })
  const [one, two, three] = [noise(1, 900_000), noise(2, 900_000), noise(3, 900_000)]
  const dir = f.tree(tree('1.0.0', one))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const source = f.tree(tree('1.0.0', one))
  const demo = new Installed(f, link, { source: path.join(source, app), version: '1.0.0' })
  const release = async (version, data) => bosc.stage(link, writeTree(dir, tree(version, data)))
  await release('1.0.1', two)
  await bosc.seed(link)
  const run = demo.watch('--tell-only')
  const available = await run.until('available')
  assert.deepEqual([available.version, available.notes, available.mandatory], ['1.0.1', null, false])
  for (const word of ['download 9.9.9', 'skip 9.9.9']) {
    const from = run.lines.length
    run.say(word)
    assert.equal((await run.until('error', () => true, { from })).code, 'ERR_REFUSED')
  }
  run.say('skip')
  assert.equal((await run.until('skipped')).version, '1.0.1')
  await run.quit()
  assert.deepEqual(run.all('available').map((d) => d.version), ['1.0.1'])

  // Another run knows it as well, and tells of the next one.
  const { verlink } = await release('1.0.2', three)
  const next = demo.watch('--tell-only')
  assert.deepEqual(await next.until('available'), { ...available, version: '1.0.2', link: verlink })
  assert.ok(fs.readFileSync(demo.app).equals(one))
  next.say('download 1.0.2')
  const updated = await next.until('updated')
  assert.deepEqual([updated.version, updated.link, updated.notes], ['1.0.2', verlink, null])
  assert.deepEqual(next.last('updating'), { version: '1.0.2', link: verlink, notes: null })
  const tags = next.lines.map((l) => l.tag)
  assert.ok(tags.indexOf('available') < tags.indexOf('updating'), tags.join(' '))
  next.say('apply 1.0.2')
  await next.until('applied')
  assert.ok(fs.readFileSync(demo.app).equals(three))
  await next.quit()
  for (const r of [run, next]) assert.equal(r.code, 0, r.describe())
  assert.deepEqual(next.all('available').map((d) => d.version), ['1.0.2'])
  assert.deepEqual([run.all('updating'), run.all('scheduled'), run.all('progress')], [[], [], []])
})
