// publish --ci never signs a second history of a link that anybody could have seen: what may go wrong around it.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { randomBytes } from 'node:crypto'
import { assertContent, assertFailed } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import * as hostile from '../lib/hostile.mjs'
import { waitFor, within } from '../lib/net.mjs'
import { noise, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 240_000
// The stand-in has no publish.
const skip = isStandIn()
const holds = (length) => (s) => s.driveLength >= length && s.driveSynced && s.blobsSynced

/** A folder `dist` to publish from, and runners of one primary key. */
function ground(f, files = { a: noise(1, 100_000) }) {
  const primaryKey = randomBytes(32)
  const env = { BOSC_PRIMARY_KEY: primaryKey.toString('hex') }
  const work = f.tree({ 'dist/package.json': packageText('1.0.0') })
  const dir = path.join(work, 'dist')
  writeTree(dir, files)
  const start = (bosc, ...flags) => {
    bosc.cwd = work
    return bosc.start('publish', '--ci', 'dist', '--yes', ...flags)
  }
  const publish = (bosc, ...flags) => {
    bosc.cwd = work
    return bosc.end(['publish', '--ci', 'dist', '--yes', ...flags], { timeout: 120_000 })
  }
  return { env, primaryKey, work, dir, start, publish, snapshotFile: path.join(work, 'ci/snapshot.json') }
}

const packageText = (version) => `{ "name": "demo", "productName": "Demo", "version": "${version}" }\n`

function setVersion(dir, version) {
  const file = path.join(dir, 'package.json')
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(/"version": "[^"]*"/, `"version": "${version}"`))
}

function succeeded(p) {
  assert.equal(p.code, 0, p.describe())
  assert.equal(p.last('final')?.success, true, p.describe())
  return p.last('final')
}

/** Lengths of the cores in a store. */
async function lengths(bosc) {
  return (await bosc.ok('cores')).all('core').map((c) => c.length).sort()
}

/** A JavaScript reader that holds all of a link's newest version and seeds it. */
async function fullReader(f, link, length, opts) {
  const js = f.js(opts)
  const drive = await js.drive(link)
  await js.join(drive)
  await js.head(drive, { length })
  await js.fetchAll(drive)
  return { js, drive }
}

for (const [what, files, others] of [
  ['the db', { a: noise(1, 100_000) }, { b: noise(1, 100_000) }],
  ['the blobs only', { a: noise(1, 100_000) }, { a: noise(2, 100_000) }]
]) {
  test(`two histories of one length, which differ in ${what}: nothing is signed`, { timeout, skip }, async (t) => {
    const f = await fixture(t)
    const g = ground(f, files)
    const p = f.bosc({ env: g.env })
    const q = f.bosc({ env: g.env })
    // P starts the link and nobody gets it.
    const alone = await g.publish(p, '--first', '--wait-peers', 1, '--wait', 1)
    assertFailed(alone, 'ERR_NOT_SEEDED')
    const { link } = alone.last('publishing')
    const mine = await lengths(p)

    // Q starts it again, and a seeder gets that.
    const theirs = ground(f, others)
    fs.copyFileSync(path.join(g.dir, 'package.json'), path.join(theirs.dir, 'package.json'))
    const keeper = f.bosc()
    const seeding = await keeper.seed(link)
    const first = succeeded(await theirs.publish(q, '--first', '--copies', 1, '--wait', 30))
    await seeding.until('stats', holds(first.length))
    assert.deepEqual(await lengths(q), mine, 'the lengths are alike')

    assertFailed(await g.publish(p, '--wait-peers', 4, '--copies', 1, '--wait', 4), 'ERR_FORKED')
    setVersion(g.dir, '1.1.0')
    assertFailed(await g.publish(p, '--wait-peers', 4, '--copies', 1, '--wait', 4), 'ERR_FORKED')
    assert.deepEqual(await lengths(p), mine, 'nothing was signed')

    // A JavaScript peer that has all of it says the same.
    const dir = f.fresh('js')
    const { js, drive } = await fullReader(f, link, first.length, { dir })
    const blobs = await drive.getBlobs()
    const met = [drive.core, blobs.core].map((core) => new Promise((resolve) => core.once('conflict', (length) => resolve(length))))
    await seeding.stop()
    assertFailed(await g.publish(p, '--wait-peers', 4, '--copies', 1, '--wait', 4), 'ERR_FORKED')
    // It was told of the other history, and closed its core.
    assert.ok((await within(30_000, 'a conflict in JavaScript', Promise.race(met))) > 0)
    await js.close()
    const still = f.js({ dir, swarm: false })
    await assertContent(await still.drive(link), 0, snapshot(theirs.dir))
    await still.close()
    // With an empty store P goes on from what followers have.
    await keeper.seed(link)
    const fresh = succeeded(await g.publish(f.bosc({ env: g.env }), '--copies', 0, '--mirror', f.fresh('mirror')))
    assert.ok(fresh.length > first.length)
    assert.deepEqual(await lengths(p), mine)
  })
}

test('a mirror vouches only for what is signed and ours', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const g = ground(f)
  const [mirror, other] = [f.fresh('mirror'), f.fresh('mirror')]
  const bosc = f.bosc({ env: g.env })
  const fast = ['--wait-peers', 1, '--copies', 0]
  const { link } = succeeded(await g.publish(bosc, '--first', '--cache', mirror, ...fast))
  const before = await lengths(bosc)
  const key = link.slice('pear://'.length)
  const head = path.join(mirror, `${key}.head`)
  const good = JSON.parse(fs.readFileSync(head))
  setVersion(g.dir, '1.1.0')
  for (const bad of [{ length: 1, signature: 'zz' }, { signature: '00'.repeat(good.signature.length / 2) }]) {
    fs.writeFileSync(head, JSON.stringify({ ...good, ...bad }))
    assertFailed(await g.publish(bosc, '--cache', mirror, ...fast), 'ERR_INVALID_MIRROR')
    assert.deepEqual(await lengths(bosc), before, 'nothing was signed')
  }
  fs.writeFileSync(head, JSON.stringify(good))

  // The same link from another machine, with another history in its mirror (or its store, taken for one).
  const again = f.bosc({ env: g.env })
  const h = ground(f, { b: noise(2, 100_000) })
  fs.copyFileSync(path.join(g.dir, 'package.json'), path.join(h.dir, 'package.json'))
  succeeded(await h.publish(again, '--first', '--cache', other, ...fast))
  for (const dir of [other, again.store]) {
    assertFailed(await g.publish(bosc, '--cache', dir, ...fast), 'ERR_FORKED')
    assert.deepEqual(await lengths(bosc), before, 'nothing was signed')
  }
  succeeded(await g.publish(bosc, '--cache', mirror, ...fast))
})

test('a head that a peer saw is in the snapshot, though nobody took all of it', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const g = ground(f, { a: noise(1, 300_000) })
  const flags = ['--snapshot', 'ci/snapshot.json']
  const keeper = f.bosc()
  const runner = f.bosc({ env: g.env })
  const link = (await g.publish(runner, '--first', '--dry-run', '--wait-peers', 2)).last('publishing')?.link
  const seeding = await keeper.seed(link)
  const first = succeeded(await g.publish(runner, '--first', '--copies', 1, '--wait', 30, ...flags))
  await seeding.until('stats', holds(first.length))
  const { js, drive } = await fullReader(f, link, first.length)
  await seeding.stop()

  // The JavaScript peer takes the next head and none of its blocks.
  writeTree(g.dir, { b: noise(2, 900_000) })
  setVersion(g.dir, '1.1.0')
  const second = f.bosc({ env: g.env })
  const p = g.start(second, '--copies', 1, '--wait', 5, ...flags)
  await p.until('seeding')
  await js.head(drive, { length: first.length + 1 })
  await p.exited
  assertFailed(p, 'ERR_NOT_SEEDED')
  const told = JSON.parse(fs.readFileSync(g.snapshotFile))
  assert.equal(told[0].length, drive.core.length)
  assert.ok(told[0].length > first.length)
  await js.close()

  // The next runner meets only the seeder that has the version before.
  await keeper.seed(link)
  setVersion(g.dir, '1.1.1')
  assertFailed(await g.publish(f.bosc({ env: g.env }), '--wait-peers', 3, '--copies', 1, '--wait', 1, ...flags), 'ERR_BELOW_SNAPSHOT')

  // The store that was kept goes on.
  setVersion(g.dir, '1.1.0')
  const kept = succeeded(await g.publish(second, '--wait-peers', 10, '--copies', 1, '--wait', 30, ...flags))
  assert.deepEqual([kept.changed, kept.length], [false, told[0].length])
})

test('a link is not started while the DHT is not there', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const g = ground(f)
  const bosc = f.bosc({ env: g.env, bootstrap: [{ host: '127.0.0.1', port: 1 }] })
  assertFailed(await g.publish(bosc, '--first', '--wait-peers', 15, '--wait', 1), 'ERR_CONNECTION')
  assert.ok((await lengths(bosc)).every((n) => n === 0), 'nothing was signed')
})

test('no peer may see a release before the mirror: a node of another command is in the way', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const g = ground(f)
  const bosc = f.bosc({ env: g.env })
  const mirror = f.fresh('mirror')
  const { link } = succeeded(await g.publish(bosc, '--first', '--cache', mirror, '--wait-peers', 1, '--copies', 0))
  const before = await lengths(bosc)
  const seeding = await bosc.seed(link)
  setVersion(g.dir, '1.1.0')
  const flags = ['--cache', mirror, '--wait-peers', 1, '--copies', 0]
  assertFailed(await g.publish(bosc, ...flags), 'ERR_BUSY')
  assert.deepEqual(await lengths(bosc), before, 'nothing was signed')
  await seeding.stop()
  succeeded(await g.publish(bosc, ...flags))
})

for (const [how, lies] of [['refuses to prove it', () => {}], ['is silent', hostile.silence]]) {
  test(`a peer claims to be ahead and ${how}: the others' word counts`, { timeout, skip }, async (t) => {
    const f = await fixture(t)
    const g = ground(f)
    const keeper = f.bosc()
    const dry = await g.publish(f.bosc({ env: g.env }), '--first', '--dry-run', '--wait-peers', 2)
    const { link } = dry.last('publishing')
    const seeding = await keeper.seed(link)
    const first = succeeded(await g.publish(f.bosc({ env: g.env }), '--first', '--copies', 1, '--wait', 30))
    await seeding.until('stats', holds(first.length))

    const { drive } = await fullReader(f, link, first.length)
    await seeding.stop()
    let lied = 0
    hostile.lie(drive.core, (peer) => {
      const send = peer.wireSync.send
      peer.wireSync.send = function (message) {
        lied++
        return send.call(this, { ...message, length: message.length + 1000, canUpgrade: true })
      }
      lies(peer)
    })
    setVersion(g.dir, '1.1.0')
    // The liar is found first, then one whose word counts.
    const p = g.start(f.bosc({ env: g.env }), '--wait-peers', 10, '--copies', 1, '--wait', 30)
    await p.until('learning')
    await waitFor(() => lied > 0, { what: () => 'a lie to the runner' })
    const again = await keeper.seed(link)
    await p.exited
    const second = succeeded(p)
    assert.ok(p.all('unproved-peer').some((d) => d.length > 1000), p.describe())
    assert.equal(p.last('learned').from, 'peers')
    await again.until('stats', holds(second.length))
  })
}

test('two runners at one moment: one history', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const grounds = [ground(f, { a: noise(1, 50_000) }), null]
  const [g] = grounds
  const h = (grounds[1] = ground(f, { b: noise(2, 50_000) }))
  const keeper = f.bosc()
  const dry = await g.publish(f.bosc({ env: g.env }), '--first', '--dry-run', '--wait-peers', 2)
  const { link } = dry.last('publishing')
  const seeding = await keeper.seed(link)
  const first = succeeded(await g.publish(f.bosc({ env: g.env }), '--first', '--copies', 1, '--wait', 30))
  await seeding.until('stats', holds(first.length))
  fs.copyFileSync(path.join(g.dir, 'package.json'), path.join(h.dir, 'package.json'))
  let length = first.length
  for (let round = 1; round <= 3; round++) {
    for (const x of grounds) setVersion(x.dir, `1.${round}.0`)
    writeTree(g.dir, { [`round${round}`]: 'g' })
    writeTree(h.dir, { [`round${round}`]: 'h' })
    const runners = grounds.map(() => f.bosc({ env: g.env }))
    const runs = grounds.map((x, i) => x.start(runners[i], '--copies', 1, '--wait', 30, '--wait-peers', 30))
    await Promise.all(runs.map((p) => p.exited))
    const won = runs.filter((p) => p.code === 0)
    const all = runs.map((p) => p.describe()).join('\n')
    assert.equal(won.length, 1, all)
    const lost = runs.find((p) => p.code !== 0)
    // The one that waited finds the version taken.
    assert.ok(['ERR_PUBLISHING', 'ERR_VERSION_NOT_ABOVE'].includes(lost.last('error').code), all)
    const done = won[0].last('final')
    assert.ok(done.length > length)
    length = done.length
    const stats = await seeding.until('stats', holds(length))
    assert.equal(stats.driveLength, length)
    assert.ok((await lengths(runners[runs.indexOf(lost)])).every((n) => n <= length))
  }
  const { drive } = await fullReader(f, link, length)
  assert.equal(drive.core.fork, 0)
  assert.equal(drive.core.length, length)
})

test('two names share a snapshot and neither is lost', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const work = f.tree({ 'a/package.json': packageText('1.0.0'), 'b/package.json': packageText('1.0.0') })
  const env = { BOSC_PRIMARY_KEY: randomBytes(32).toString('hex') }
  const start = (name, ...flags) => {
    const bosc = f.bosc({ env })
    bosc.cwd = work
    return bosc.start('publish', '--ci', name, '--name', name, '--yes', '--first', '--wait-peers', '1', '--snapshot', 'ci/s.json', '--cache', f.fresh('m'), ...flags)
  }
  const slow = start('a', '--copies', '1', '--wait', '20')
  await slow.until('seeding')
  const quick = start('b', '--copies', '0')
  await quick.exited
  succeeded(quick)
  assert.equal(JSON.parse(fs.readFileSync(path.join(work, 'ci/s.json'))).length, 2)
  await slow.exited
  succeeded(slow)
  assert.equal(JSON.parse(fs.readFileSync(path.join(work, 'ci/s.json'))).length, 4)
})

/** Two machines with the key of one link that has a release, and a third that seeds it. */
async function twoMachines(f) {
  const env = { BOSC_PASSPHRASE: 'a passphrase of some length' }
  const [a, b] = [f.bosc({ env }), f.bosc({ env })]
  const dirs = [f.tree({ 'package.json': packageText('1.0.0'), a: 'a' }), f.tree({ 'package.json': packageText('1.0.0'), a: 'b' })]
  const { link } = await a.touch()
  await a.stage(link, dirs[0])
  const file = path.join(f.dir, 'link.bosc-key')
  await a.ok('keys', 'export', link, '--out', file)
  await b.ok('keys', 'import', file)
  const keeper = f.bosc()
  const seeding = await keeper.seed(link)
  const own = await a.seed(link)
  await seeding.until('stats', (s) => s.driveLength > 1 && s.driveSynced && s.blobsSynced)
  await own.stop()
  return { a, b, dirs, link, keeper, seeding }
}

test('two machines with one key: a second history of the same length is refused', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { a, b, dirs, link, keeper, seeding } = await twoMachines(f)
  // It fetches what there is, and the key becomes usable. From then on nobody sees what it writes.
  await b.stage(link, dirs[0])
  await seeding.stop()
  await b.stage(link, dirs[1], '--newest')
  const mine = await lengths(b)
  // Told that it has the newest version, the other machine writes beside it; that is what others get.
  writeTree(dirs[0], { a: 'c' })
  const beside = await a.stage(link, dirs[0], '--newest')
  assert.deepEqual(await lengths(a), mine, 'the lengths are alike')
  const own = await a.seed(link)
  const again = await keeper.seed(link)
  await again.until('stats', holds(beside.version))
  await own.stop()
  writeTree(dirs[1], { more: 'x' })
  assertFailed(await b.end(['stage', link, dirs[1]]), 'ERR_FORKED')
  assert.deepEqual(await lengths(b), mine, 'nothing was signed')
  await keeper.close()
})

test('two machines with one key stage at one moment: one history', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const { a, b, dirs, link, seeding } = await twoMachines(f)
  for (let round = 0; round < 2; round++) {
    dirs.forEach((dir, i) => writeTree(dir, { [`round${round}`]: `${i}` }))
    const runs = [a.start('stage', link, dirs[0]), b.start('stage', link, dirs[1])]
    await Promise.all(runs.map((p) => p.exited))
    const all = runs.map((p) => p.describe()).join('\n')
    const won = runs.filter((p) => p.code === 0)
    assert.equal(won.length, 1, all)
    assert.equal(runs.find((p) => p.code !== 0).last('error').code, 'ERR_PUBLISHING', all)
    const { version } = won[0].last('addendum')
    const own = await (won[0] === runs[0] ? a : b).seed(link)
    await seeding.until('stats', holds(version))
    await own.stop()
  }
})
