// publish, release lines and rotation: what a release team does, with JavaScript peers on the other side.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { randomBytes } from 'node:crypto'
import Corestore from 'corestore'
import Hyperdrive from 'hyperdrive'
import idEncoding from 'hypercore-id-encoding'
import PearRuntimeUpdater from 'pear-runtime-updater'
import { assertContent, assertFailed } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { parseLink, sleep, waitFor, within } from '../lib/net.mjs'
import { noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 240_000
// The stand-in has none of these commands.
const skip = isStandIn()
const host = `${process.platform}-${process.arch}`
const app = `by-arch/${host}/app/Demo`
const holds = (length) => (s) => s.driveLength >= length && s.driveSynced && s.blobsSynced

/** Runs a command in a folder of its own choice. */
async function runIn(bosc, cwd, ...args) {
  const before = bosc.cwd
  bosc.cwd = cwd
  try {
    return await bosc.end(args)
  } finally {
    bosc.cwd = before
  }
}

function succeeded(p) {
  assert.equal(p.code, 0, p.describe())
  assert.deepEqual(p.noise, [], p.describe())
  assert.equal(p.last('final')?.success, true, p.describe())
  return p.last('final')
}

/** A project without a link. Its package.json is written as people write it. */
function project(f, version = '1.0.0') {
  const dir = f.tree(sampleApp({ version, size: 300_000 }))
  fs.writeFileSync(path.join(dir, 'package.json'), packageText(version))
  return dir
}

const packageText = (version, upgrade) =>
  `{\n    "productName": "Demo",\n    "version": "${version}",` +
  (upgrade ? `\n    "upgrade": "${upgrade}",` : '') +
  '\n    "name": "demo", "license":"MIT"\n}\n'

function setVersion(dir, version) {
  const file = path.join(dir, 'package.json')
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(/"version": "[^"]*"/, `"version": "${version}"`))
}

/** The first `publish`: it makes the link, writes it down and releases nothing. The link. */
async function mint(bosc, dir, ...flags) {
  const p = await bosc.end(['publish', dir, '--yes', ...flags])
  assertFailed(p, 'ERR_LINK_MINTED')
  assert.equal(p.code, 8, p.describe())
  const { link } = p.last('minted')
  assert.match(p.last('error').message, new RegExp(`${link} is new`))
  assert.match(p.last('error').hint, /build it again.*bosc publish/)
  assert.deepEqual(p.all('addendum'), [], 'nothing was released')
  return link
}

/** The first release of a folder, minted and published. */
async function firstRelease(bosc, dir, ...flags) {
  await mint(bosc, dir, ...flags)
  return (await bosc.ok('publish', dir, '--copies', 0, ...flags)).last('final')
}

/** A JavaScript reader of a link that holds all of its newest version. */
async function readAll(f, link, length) {
  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive, { server: false })
  await js.head(drive, { length })
  await js.fetchAll(drive)
  return { js, drive }
}

/** Starts to seed a link on a machine of its own and waits until it has all of `length`. */
async function seeder(f, link, length) {
  const bosc = f.bosc()
  const running = await bosc.seed(link)
  if (length) await running.until('stats', holds(length))
  return { bosc, running }
}

test('publish makes a link, writes it down, and the next one continues it', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = project(f)
  const bosc = f.bosc()

  assertFailed(await bosc.end(['publish', dir]), 'ERR_NO_UPGRADE_LINK')
  assert.equal(fs.readFileSync(path.join(dir, 'package.json'), 'utf8'), packageText('1.0.0'))

  const link = await mint(bosc, dir)
  assert.equal(fs.readFileSync(path.join(dir, 'package.json'), 'utf8'), packageText('1.0.0', link), 'one line more')
  const first = (await bosc.ok('publish', dir, '--copies', 0)).last('final')
  assert.deepEqual([first.link, first.minted, first.version], [link, false, '1.0.0'], 'the next one releases')
  const { length } = first

  const v1 = snapshot(dir)
  // The same again: nothing to do, and said so.
  const again = await bosc.ok('publish', dir, '--copies', 0)
  assert.equal(again.last('final').changed, false)
  assert.equal(again.last('unchanged').version, '1.0.0')
  assert.equal(again.last('final').length, length)

  // Changed content under the old version, or a lower one: clients would never take it.
  writeTree(dir, { 'new.txt': 'new' })
  assertFailed(await bosc.end(['publish', dir]), 'ERR_VERSION_NOT_ABOVE')
  setVersion(dir, '0.9.0')
  assertFailed(await bosc.end(['publish', dir]), 'ERR_VERSION_NOT_ABOVE')
  setVersion(dir, 'next')
  assertFailed(await bosc.end(['publish', dir]), 'ERR_INVALID_MANIFEST')
  assert.equal((await bosc.info(link)).length, length, 'nothing was staged')

  setVersion(dir, '1.1.0')
  const dry = await bosc.ok('publish', dir, '--dry-run')
  assert.deepEqual(dry.all('byte-diff').map((d) => d.message).sort(), ['/new.txt', '/package.json'])
  assert.equal((await bosc.info(link)).length, length)

  // Two others take it: that is when it ends.
  const one = await seeder(f, link)
  const js = f.js()
  const drive = await js.drive(link)
  drive.core.download({ start: 0, end: -1 })
  drive.getBlobs().then((b) => b.core.download({ start: 0, end: -1 }), () => {})
  await js.join(drive)
  const second = await bosc.ok('publish', dir, '--copies', 2, '--wait', 60)
  assert.equal(second.last('final').copies, 2, second.describe())
  assert.deepEqual(second.all('byte-diff').map((d) => d.message).sort(), ['/new.txt', '/package.json'])
  await one.running.until('stats', holds(second.last('final').length))
  await assertContent(drive, second.last('final').length, snapshot(dir))
  await assertContent(drive, length, v1)

  // Someone who may not write it.
  const stranger = await f.bosc().end(['publish', dir])
  assertFailed(stranger, 'ERR_PERMISSION_REQUIRED')
})

test('nobody takes it: publish ends when the time is up and says so', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = project(f)
  const bosc = f.bosc()
  const link = await mint(bosc, dir)
  const done = await bosc.end(['publish', dir, '--copies', 2, '--wait', 1])
  assertFailed(done, 'ERR_NOT_SEEDED')
  assert.equal(done.code, 4)
  assert.deepEqual(done.last('few-copies'), { full: 0, wanted: 2, link })
  assert.match(done.last('error').message, /0 of 2 peers hold it: no peer came for it/)
  assert.ok(done.last('error').hint.includes(`bosc seed ${link}`))
  assert.equal((await bosc.info(link)).length, done.last('addendum').version, 'it is released in this store')
})

test('alone, publish waits for one peer, and not for long when none comes', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = project(f)
  const bosc = f.bosc()
  const link = await mint(bosc, dir)
  const begin = performance.now()
  const alone = await bosc.end(['publish', dir], { timeout: 120_000 })
  assertFailed(alone, 'ERR_NOT_SEEDED')
  assert.equal(alone.last('few-copies').wanted, 1)
  assert.ok(performance.now() - begin < 100_000, 'it does not wait for ten minutes')
  // With a seeder of one's own that is all it takes.
  const { running } = await seeder(f, link)
  setVersion(dir, '1.1.0')
  const done = (await bosc.ok('publish', dir)).last('final')
  assert.equal(done.copies, 1)
  await running.until('stats', holds(done.length))
  // A seeder on the same store is somebody who stays: nobody else is waited for.
  await bosc.seed(link)
  setVersion(dir, '1.2.0')
  const here = await bosc.ok('publish', dir)
  assert.deepEqual([here.last('seeded-here'), here.last('final').copies], [{ link }, null])
})

test('a build that did not change under a new version is named', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree({
    'by-arch/linux-x64/app/Demo': { data: noise(1, 1000), mode: 0o755 },
    'by-arch/darwin-arm64/app/Demo': { data: noise(2, 1000), mode: 0o755 }
  })
  fs.writeFileSync(path.join(dir, 'package.json'), packageText('1.0.0'))
  const bosc = f.bosc()
  await firstRelease(bosc, dir)
  setVersion(dir, '1.1.0')
  writeTree(dir, { 'by-arch/linux-x64/app/Demo': { data: noise(3, 1000), mode: 0o755 } })
  for (const flags of [['--dry-run'], ['--copies', 0]]) {
    const p = await bosc.ok('publish', dir, ...flags)
    assert.deepEqual(p.all('same-platform'), [{ platform: 'darwin-arm64', version: '1.1.0', before: '1.0.0' }], `${flags}`)
  }
})

test('a folder of builds without a package.json takes it from Cargo.toml or tauri.conf.json above', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const built = { 'dist/by-arch/linux-x64/app/demo': { data: noise(1, 1000), mode: 0o755 }, 'src/main.rs': 'fn main() {}' }
  const projects = [
    ['Cargo.toml', '[package]\nname = "demo"\nversion = "1.0.0"\n'],
    ['src-tauri/tauri.conf.json', '{\n  "productName": "demo",\n  "version": "1.0.0"\n}\n']
  ]
  for (const [name, text] of projects) {
    const dir = f.tree({ ...built, [name]: text })
    const [dist, file] = [path.join(dir, 'dist'), path.join(dir, name)]
    const bosc = f.bosc()
    const link = await mint(bosc, dist)
    assert.match(fs.readFileSync(file, 'utf8'), new RegExp(link), 'the link is in the project')
    for (const args of [['publish', dist, '--dry-run'], ['publish', dist, '--copies', 0]]) {
      const p = await bosc.ok(...args)
      assert.deepEqual(p.last('package'), { file, name: 'demo', version: '1.0.0' })
      assert.deepEqual(p.all('byte-diff').map((d) => d.message).sort(), ['/by-arch/linux-x64/app/demo', '/package.json'])
    }
    // The same again is the same: what is made of the same file has the same bytes.
    assert.equal((await bosc.ok('publish', dist, '--copies', 0)).last('final').changed, false)
    await bosc.seed(link)
    const { drive } = await readAll(f, link, 2)
    const made = JSON.parse(await drive.get('/package.json'))
    assert.equal(made.upgrade, link)
    assert.equal(made.version, '1.0.0')
    assert.ok(!fs.existsSync(path.join(dist, 'package.json')), 'nothing is written into the folder')
    const other = await bosc.touch()
    assert.deepEqual((await bosc.ok('stage', other.link, dist)).last('package'), { file, name: 'demo', version: '1.0.0' })
    // A whole project is not released by mistake; with what was built it is what publish wants.
    assertFailed(await bosc.end(['stage', other.link, dir]), 'ERR_INVALID_PROJECT_DIR')
    assertFailed(await bosc.end(['publish', dir]), 'ERR_INVALID_PROJECT_DIR')
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('1.0.0', '1.1.0'))
    const out = path.join(dist, 'by-arch/linux-x64/app/demo')
    const p = await bosc.ok('publish', dir, '--copies', 0, '--linux-x64-app', out)
    assert.equal(p.last('final').version, '1.1.0')
  }
})

test('publish builds what it is given', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree({
    'package.json': packageText('1.0.0'),
    'CHANGELOG.md': '# Changelog\n\n## v1.0.0\n\n- first\n',
    'node_modules/left/pad.js': '1',
    'dist/Demo': { data: noise(3, 200_000), mode: 0o755 }
  })
  const bosc = f.bosc()
  const target = f.fresh('deploy')
  const flags = ['--linux-x64-app', path.join(dir, 'dist/Demo'), '--target', target]
  await mint(bosc, dir, ...flags)
  assert.ok(!fs.existsSync(target), 'nothing is built either')
  const done = await bosc.ok('publish', dir, '--copies', 0, ...flags)
  const out = f.fresh()
  await bosc.dump(done.last('final').link, out)
  assert.deepEqual(snapshot(out), snapshot(target))
  assert.deepEqual(Object.keys(snapshot(out)).sort(), ['CHANGELOG.md', 'by-arch/linux-x64/app/Demo', 'package.json'])
  assert.equal(JSON.parse(fs.readFileSync(path.join(out, 'package.json'))).upgrade, done.last('final').link)
})

test('publish killed at any moment goes on when it is run again', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = project(f)
  writeTree(dir, { big: noise(9, 12_000_000) })
  const bosc = f.bosc()
  const link = await mint(bosc, dir)
  let lastTag = ''
  const moments = [['publishing', 0], ['staging', 0], ['byte-diff', 0], ['seeding', 0], ['staging', 25], ['staging', 60]]
  for (const [tag, delay] of moments) {
    const p = bosc.start('publish', dir, '--copies', 1, '--wait', 60)
    await Promise.race([p.until(tag).catch(() => {}), p.exited, p.until('seeding').catch(() => {})])
    await sleep(delay)
    p.child.kill('SIGKILL')
    await p.exited
    lastTag = p.lines.at(-1)?.tag ?? lastTag
  }
  await bosc.ok('publish', dir, '--copies', 0)
  assert.equal(JSON.parse(fs.readFileSync(path.join(dir, 'package.json'))).upgrade, link)
  const { length } = await bosc.info(link)
  const undisturbed = f.bosc()
  const other = await undisturbed.touch()
  const straight = await undisturbed.stage(other.link, dir)
  assert.equal(length, straight.version, 'as if it had never been killed')
  await bosc.seed(link)
  const { drive } = await readAll(f, link, length)
  await assertContent(drive, 0, snapshot(dir))
})

test('a JavaScript updater follows a published link', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const release = (version, seed) => ({
    ...sampleApp({ version, size: 1000 }),
    [app]: { data: noise(seed, 1_500_000), mode: 0o755 }
  })
  const dir = f.tree(release('1.0.0', 1))
  fs.writeFileSync(path.join(dir, 'package.json'), packageText('1.0.0'))
  const bosc = f.bosc()
  const { link } = await firstRelease(bosc, dir)
  const js = f.js()
  const target = path.join(f.fresh('installed'), 'Demo')
  const data = f.fresh('data')
  fs.mkdirSync(path.dirname(target), { recursive: true })
  fs.mkdirSync(data)
  fs.copyFileSync(path.join(dir, app), target)
  const updater = new PearRuntimeUpdater({
    dir: data, upgrade: link, name: 'Demo', version: '1.0.0', app: target, store: js.store.session()
  })
  f.later(() => updater.close())
  await updater.ready()
  const updated = new Promise((resolve, reject) => {
    updater.once('updated', resolve)
    updater.once('error', reject)
  })
  writeTree(dir, { [app]: { data: noise(2, 1_500_000), mode: 0o755 } })
  setVersion(dir, '1.0.1')
  const publishing = bosc.start('publish', dir, '--copies', 2, '--wait', 60)
  // A JavaScript client that finds nobody looks again after ten minutes.
  await publishing.until('announced')
  await js.join(updater.drive, { server: false, client: true })
  await within(60_000, 'updated', updated)
  await updater.applyUpdate()
  assert.ok(fs.readFileSync(target).equals(fs.readFileSync(path.join(dir, app))))
  await publishing.stop()
})

test('two clean runners continue one link, and JavaScript reads one history', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const primaryKey = randomBytes(32)
  const env = { BOSC_PRIMARY_KEY: primaryKey.toString('hex') }
  const work = f.fresh('work')
  fs.mkdirSync(work)
  const dir = path.join(work, 'dist')
  fs.mkdirSync(dir)
  writeTree(dir, sampleApp({ size: 400_000 }))
  fs.writeFileSync(path.join(dir, 'package.json'), packageText('1.0.0'))
  const ci = (bosc, ...flags) => runIn(bosc, work, 'publish', '--ci', 'dist', '--snapshot', 'ci/snapshot.json', ...flags)
  const file = path.join(work, 'ci/snapshot.json')

  // Without a link in package.json it says which one to put there; and the rules of pear-ci hold.
  assertFailed(await ci(f.bosc({ env })), 'ERR_NO_UPGRADE_LINK')
  assertFailed(await ci(f.bosc({}), '--yes'), 'ERR_NO_PRIMARY_KEY')
  assertFailed(await ci(f.bosc({ env }), '--name', '@scope/demo'), 'ERR_INVALID_INPUT')
  assertFailed(await runIn(f.bosc({ env }), dir, 'publish', '--ci', '../dist'), 'ERR_INVALID_INPUT')

  // The link is the one that hyperdrive makes of the same primary key in the same namespace.
  const corestore = new Corestore(f.fresh('keys'), { primaryKey, unsafe: true })
  const same = new Hyperdrive(corestore.namespace('demo'))
  await same.ready()
  const key = idEncoding.encode(same.key)
  await same.close()
  await corestore.close()
  const link = `pear://${key}`
  fs.writeFileSync(path.join(dir, 'package.json'), packageText('1.0.0', link))

  // Nobody has it: only --first may start it.
  assertFailed(await ci(f.bosc({ env }), '--wait-peers', 2), 'ERR_NO_FULL_PEER')
  assert.equal(fs.existsSync(file), false)

  const keeper = await seeder(f, link)
  const first = succeeded(await ci(f.bosc({ env }), '--first', '--copies', 1, '--wait', 60))
  assert.equal(first.link, link)
  await keeper.running.until('stats', holds(first.length))
  const told = JSON.parse(fs.readFileSync(file))
  assert.equal(told.length, 2)
  assert.deepEqual([told[0].key, told[0].length, told[0].name], [key, first.length, 'db'])
  const before = snapshot(dir)

  // The second runner has an empty store and learns the length from the seeder.
  writeTree(dir, { added: noise(5, 70_000) })
  setVersion(dir, '1.1.0')
  assertFailed(await ci(f.bosc({ env }), '--first'), 'ERR_ALREADY_PUBLISHED')
  const p = await ci(f.bosc({ env }), '--copies', 1, '--wait', 60)
  const second = succeeded(p)
  assert.equal(p.last('learned').length, first.length)
  assert.equal(p.last('learned').from, 'peers')
  assert.ok(second.length > first.length)
  await keeper.running.until('stats', holds(second.length))

  // One that JavaScript keeps alive.
  const { js, drive } = await readAll(f, link, second.length)
  await js.join(drive)
  assert.equal(drive.core.fork, 0)
  assert.equal(drive.core.length, second.length)
  await assertContent(drive, first.length, before)
  await assertContent(drive, second.length, snapshot(dir))
  await keeper.running.stop()
  setVersion(dir, '1.2.0')
  drive.core.download({ start: 0, end: -1 })
  ;(await drive.getBlobs()).core.download({ start: 0, end: -1 })
  const third = succeeded(await ci(f.bosc({ env }), '--copies', 1, '--wait', 60))
  assert.ok(third.length > second.length)
  await js.head(drive, { length: third.length })
  await assertContent(drive, third.length, snapshot(dir))

  // The snapshot is a floor: whoever is online must have at least that.
  const entries = JSON.parse(fs.readFileSync(file))
  entries[0].length = second.length + 100
  fs.writeFileSync(file, JSON.stringify(entries))
  setVersion(dir, '1.3.0')
  const low = await ci(f.bosc({ env }), '--wait-peers', 2)
  assertFailed(low, 'ERR_BELOW_SNAPSHOT')
  fs.writeFileSync(file, '{')
  assertFailed(await ci(f.bosc({ env }), '--wait-peers', 2), 'ERR_INVALID_SNAPSHOT')
})

test('an offline runner refuses, unless a mirror knows', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const env = { BOSC_PRIMARY_KEY: randomBytes(32).toString('hex') }
  const work = f.tree({ 'dist/package.json': packageText('1.0.0'), 'dist/a': noise(1, 100_000) })
  const dir = path.join(work, 'dist')
  const publish = (bosc, ...flags) => runIn(bosc, work, 'publish', '--ci', 'dist', '--wait-peers', 1, '--wait', 1, ...flags)
  assertFailed(await publish(f.bosc({ env }), '--yes'), 'ERR_NO_FULL_PEER')
  // Alone it may start a link, and must not pretend that anyone has it.
  assertFailed(await publish(f.bosc({ env }), '--first'), 'ERR_NOT_SEEDED')

  const mirror = f.fresh('mirror')
  const one = succeeded(await publish(f.bosc({ env }), '--first', '--cache', mirror))
  setVersion(dir, '1.0.1')
  const two = succeeded(await publish(f.bosc({ env }), '--cache', mirror))
  assert.ok(two.length > one.length)
  setVersion(dir, '1.0.2')
  assertFailed(await publish(f.bosc({ env }), '--first', '--cache', mirror), 'ERR_ALREADY_PUBLISHED')

  // A store that a runner left is a mirror too, and is brought up to date.
  const left = f.bosc({ env })
  const three = succeeded(await publish(left, '--cache', mirror))
  setVersion(dir, '1.0.3')
  const four = succeeded(await publish(f.bosc({ env }), '--cache', left.store))
  assert.ok(four.length > three.length)
  const holder = f.bosc({ store: left.store })
  assert.equal((await holder.ok('cores')).all('core').some((c) => c.length === four.length), true)
  await holder.seed(four.link)
  const { drive } = await readAll(f, four.link, four.length)
  await assertContent(drive, 0, snapshot(dir))

  // A mirror with other bytes in it is not believed.
  const blocks = fs.readdirSync(mirror).find((n) => n.endsWith('.0'))
  const file = path.join(mirror, blocks)
  const bytes = fs.readFileSync(file)
  bytes[bytes.length - 1] ^= 1
  fs.writeFileSync(file, bytes)
  setVersion(dir, '1.0.4')
  assertFailed(await publish(f.bosc({ env }), '--cache', mirror), 'ERR_INVALID_MIRROR')
})

test('a runner killed in the middle leaves nothing that the next one could not continue', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const env = { BOSC_PRIMARY_KEY: randomBytes(32).toString('hex') }
  const work = f.tree({ 'dist/package.json': packageText('1.0.0'), 'dist/a': noise(1, 3_000_000) })
  const dir = path.join(work, 'dist')
  const mirror = f.fresh('mirror')
  const args = ['publish', '--ci', 'dist', '--yes', '--wait-peers', '1', '--wait', '30', '--copies', '1', '--cache', mirror]
  let first = true
  for (const [tag, delay] of [['learned', 0], ['staging', 15], ['addendum', 0], ['mirrored', 0], ['seeding', 0]]) {
    const bosc = f.bosc({ env })
    bosc.cwd = work
    const p = bosc.start(...args, ...(first ? ['--first'] : []))
    await p.until(tag, () => true, { timeout: 40_000 })
    await sleep(delay)
    p.child.kill('SIGKILL')
    await p.exited
    first = first && !p.lines.some((l) => ['mirrored', 'seeding'].includes(l.tag))
    writeTree(dir, { [`more-${tag}`]: tag })
    setVersion(dir, `1.0.${Math.round(performance.now())}`)
  }
  const bosc = f.bosc({ env })
  const done = succeeded(await runIn(bosc, work, 'publish', '--ci', 'dist', '--wait-peers', '1', '--wait', '1', '--cache', mirror))
  await bosc.seed(done.link)
  const { drive } = await readAll(f, done.link, done.length)
  assert.equal(drive.core.fork, 0)
  await assertContent(drive, 0, snapshot(dir))
})

test('promote killed anywhere: the line holds the release before or the new one, and promoting again ends it', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const work = f.fresh('project')
  fs.mkdirSync(work)
  const bosc = f.bosc()
  const line = (...args) => runIn(bosc, work, 'line', '--timeout', 10, ...args)
  const init = await line('init')
  const links = Object.fromEntries(init.all('line-added').map((l) => [l.name, l.link]))
  const dir = f.tree({ 'package.json': packageText('1.0.0', links.staging), data: noise(1, 4_000_000), run: { data: '#!/bin/sh', mode: 0o755 }, link: { link: 'data' } })
  await bosc.stage(links.development, dir)
  const began = performance.now()
  const first = succeeded(await line('promote', 'development', 'staging'))
  const took = performance.now() - began
  let before = (await bosc.info(links.staging)).length
  assert.equal(first.version, '1.0.0')
  bosc.cwd = work
  let cut = 0
  const seen = new Set()
  for (let i = 0; i < 10; i++) {
    const version = `1.0.${i + 1}`
    writeTree(dir, { data: noise(i + 2, 4_000_000), [`new-${i}`]: `${i}` })
    setVersion(dir, version)
    await bosc.stage(links.development, dir)
    const p = bosc.start('line', '--timeout', '10', 'promote', 'development', 'staging')
    if (i % 2) await p.until('staging')
    await sleep((took * (i + 1)) / (i % 2 ? 30 : 11))
    p.child.kill('SIGKILL')
    await p.exited
    if (p.signal === 'SIGKILL') cut++
    const killed = (await bosc.info(links.staging)).length
    const again = succeeded(await line('promote', 'development', 'staging'))
    const after = (await bosc.info(links.staging)).length
    assert.ok(killed === before || killed === after, `length ${killed} after kill ${i}, of ${before} and ${after}`)
    assert.equal(again.changed, killed !== after)
    assert.equal(again.version, version)
    seen.add(killed === after)
    before = after
    const out = f.fresh()
    await bosc.dump(links.staging, out)
    assert.deepEqual(snapshot(out), snapshot(dir))
  }
  assert.ok(cut >= 4, `${cut} runs were cut off`)
  assert.deepEqual(fs.readdirSync(bosc.store).filter((n) => n.startsWith('work')), [], 'no folder in between')
  t.diagnostic(`${cut} of 10 runs killed; committed before: ${[...seen]}`)
})

test('lines: declared, shown side by side, promoted', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const work = f.fresh('project')
  fs.mkdirSync(work)
  const bosc = f.bosc()
  const line = (...args) => runIn(bosc, work, 'line', '--timeout', 10, ...args)
  assertFailed(await line('list'), 'ERR_NOT_FOUND')
  const init = await line('init')
  succeeded(init)
  assert.deepEqual(init.all('line-added').map((l) => [l.name, l.kind, l.source]), [
    ['development', 'stage', null], ['staging', 'stage', 'development'], ['rc', 'stage', 'staging'],
    ['prerelease', 'provision', 'rc'], ['production', 'multisig', 'prerelease']
  ])
  assert.equal(init.last('notice').code, 'NO_PRODUCTION_LINK')
  assertFailed(await line('init'), 'ERR_EXISTS')
  const links = Object.fromEntries(init.all('line-added').map((l) => [l.name, l.link]))
  assert.equal(links.production, null)

  // One of their own, in front of the usual ones; comments stay.
  const file = path.join(work, 'bosc.toml')
  fs.appendFileSync(file, '# ours\n')
  succeeded(await line('add', 'nightly', '--kind', 'stage', '--source', 'development', '--seeds', 0))
  assertFailed(await line('add', 'nightly', '--kind', 'stage'), 'ERR_EXISTS')
  assertFailed(await line('add', 'x', '--kind', 'stage', '--source', 'nowhere'), 'ERR_INVALID_CONFIG')
  assertFailed(await line('remove', 'rc'), 'ERR_INVALID_CONFIG')
  assert.match(fs.readFileSync(file, 'utf8'), /# ours/)

  const dir = project(f)
  fs.writeFileSync(path.join(dir, 'package.json'), packageText('1.0.0', links.staging))
  writeTree(dir, { '.git/HEAD': 'kept', 'link': { link: 'CHANGELOG.md' } })
  await bosc.stage(links.development, dir)
  const keeper = await seeder(f, links.development)
  await bosc.seed(links.development)
  await keeper.running.until('stats', (s) => s.driveSynced && s.blobsSynced && s.driveLength > 0)

  const list = await line('list')
  succeeded(list)
  const byName = Object.fromEntries(list.all('line').map((l) => [l.name, l]))
  assert.deepEqual(list.all('line').map((l) => l.name), ['development', 'staging', 'rc', 'prerelease', 'production', 'nightly'])
  assert.equal(byName.development.version, '1.0.0')
  assert.equal(byName.development.seeders.full, 1)
  assert.equal(byName.development.seeders.wanted, 2)
  assert.equal(byName.development.state, 'first')
  assert.equal(byName.development.upgradeLine, 'staging')
  assert.equal(byName.staging.state, 'empty')
  assert.equal(byName.nightly.seeders.wanted, 0)
  assert.deepEqual(list.all('ahead').map((a) => [a.line, a.of]), [['development', 'staging'], ['development', 'nightly']])

  // A dry run tells and writes nothing.
  const dry = await line('promote', 'development', 'staging', '--dry-run')
  succeeded(dry)
  assert.ok(dry.all('byte-diff').some((d) => d.message === '/.git/HEAD'))
  assert.equal((await bosc.end(['info', links.staging])).all('empty').length, 1)
  assertFailed(await line('promote', 'development', 'rc'), 'ERR_INVALID_INPUT')
  assertFailed(await line('promote', 'rc', 'prerelease'), 'ERR_NOT_FOUND')

  const promoted = await line('promote', 'development', 'staging')
  succeeded(promoted)
  assert.deepEqual(promoted.all('notice'), [], 'its upgrade is the line it goes to')
  const out = f.fresh()
  await bosc.dump(links.staging, out)
  assert.deepEqual(snapshot(out), snapshot(dir))
  assert.equal(succeeded(await line('promote', 'development', 'staging')).changed, false)
  const rc = await line('promote', 'staging', 'rc')
  succeeded(rc)
  assert.equal(rc.last('notice').code, 'OTHER_UPGRADE')
  succeeded(await line('show', 'rc'))

  // rc -> prerelease is a provision; without a production line it starts empty.
  const pre = await line('promote', 'rc', 'prerelease', '--yes')
  succeeded(pre)
  assert.match(pre.last('command').command, /^bosc provision pear:\/\/0\.\d+\.\w{52} pear:\/\/\w{52} pear:\/\/0\.0\.\w{52}$/)
  const preOut = f.fresh()
  await bosc.dump(links.prerelease, preOut)
  assert.deepEqual(snapshot(preOut), snapshot(dir))

  // production is signed by others: the steps are told.
  assertFailed(await line('promote', 'prerelease', 'production'), 'ERR_NOT_FOUND')
  const key = (i) => idEncoding.encode(Buffer.alloc(32, i))
  fs.writeFileSync(path.join(work, 'pear.json'), JSON.stringify({
    multisig: { publicKeys: [key(1), key(2)], quorum: 2, namespace: 'org/demo' }
  }))
  const production = succeeded(await runIn(bosc, work, 'multisig', 'link')).link
  succeeded(await line('add', 'production', '--kind', 'multisig', '--source', 'prerelease', '--link', production, '--replace'))
  const steps = await line('promote', 'prerelease', 'production')
  assert.equal(succeeded(steps).done, false)
  assert.deepEqual(steps.all('next-step').map((s) => s.command.split(' ').slice(0, 3).join(' ')), [
    `bosc seed ${steps.last('final').source}`, 'bosc multisig request', 'bosc multisig sign', 'bosc multisig verify', 'bosc multisig commit'
  ])

  // A version in between is still there to be taken, but not under a lower version.
  const old = (await bosc.info(links.development)).length
  setVersion(dir, '1.1.0')
  await bosc.stage(links.development, dir)
  succeeded(await line('promote', 'development', 'staging'))
  assertFailed(await line('promote', 'development', 'staging', '--length', old), 'ERR_VERSION_NOT_ABOVE')
  const after = await line('list')
  const state = Object.fromEntries(after.all('line').map((l) => [l.name, l.state]))
  assert.equal(state.staging, 'same')
  assert.equal(state.rc, 'behind')
  succeeded(await line('remove', 'nightly'))
  await keeper.running.stop()
})

test('rotate moves a JavaScript follower from an old stage link to a new one', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const release = (version, upgrade, seed) => f.tree({
    'package.json': packageText(version, upgrade),
    [app]: { data: noise(seed, 300_000), mode: 0o755 }
  })
  const old = (await bosc.touch()).link
  const next = (await f.bosc().touch()).link
  await bosc.stage(old, release('1.0.0', old, 1))
  // The new link is on another machine: its key is not needed to rotate to it.
  const other = f.bosc()
  const fresh = (await other.touch()).link
  assert.notEqual(next, fresh)
  await other.stage(fresh, release('0.9.0', old, 2))
  await bosc.seed(old)
  await other.seed(fresh)
  const keepers = [await seeder(f, old), await seeder(f, fresh)]
  const flags = ['--copies', 1, '--timeout', 20, '--wait', 30]

  assertFailed(await bosc.end(['rotate', old, old, ...flags]), 'ERR_INVALID_INPUT')
  const back = await bosc.end(['rotate', old, fresh, ...flags])
  assertFailed(back, 'ERR_ROTATE_CHECK')
  assert.equal(back.all('condition').find((c) => c.name === 'new-upgrade').ok, false)
  await other.stage(fresh, release('1.0.0', fresh, 2))
  const low = await bosc.end(['rotate', old, fresh, ...flags])
  assertFailed(low, 'ERR_ROTATE_CHECK')
  assert.equal(low.all('condition').find((c) => c.name === 'new-version').ok, false)
  assertFailed(await bosc.end(['rotate', '--check', old, fresh, ...flags]), 'ERR_ROTATE_CHECK')

  const moved = release('2.0.0', fresh, 3)
  await other.stage(fresh, moved)
  const dry = await bosc.end(['rotate', old, fresh, '--dry-run', ...flags])
  assert.equal(succeeded(dry).done, false)
  const done = succeeded(await bosc.end(['rotate', old, fresh, ...flags]))
  assert.equal(done.version, '2.0.0')
  await keepers[0].running.until('stats', (s) => s.verlink === done.verlink && s.driveSynced && s.blobsSynced)

  const check = await f.bosc().end(['rotate', '--check', old, fresh, ...flags])
  succeeded(check)
  assert.deepEqual(check.all('hop').map((h) => h.link), [old, fresh])
  assert.equal(succeeded(await bosc.end(['rotate', old, fresh, ...flags])).changed, false)

  // A client of the old link takes it, and its new build names the new link.
  const js = f.js()
  const data = f.fresh('data')
  const target = path.join(f.fresh('installed'), 'Demo')
  fs.mkdirSync(path.dirname(target), { recursive: true })
  fs.mkdirSync(data)
  fs.writeFileSync(target, 'old')
  const updater = new PearRuntimeUpdater({
    dir: data, upgrade: old, name: 'Demo', version: '1.0.0', app: target, store: js.store.session()
  })
  f.later(() => updater.close())
  const updated = new Promise((resolve, reject) => {
    updater.once('updated', resolve)
    updater.once('error', reject)
  })
  await updater.ready()
  await js.join(updater.drive, { server: false, client: true })
  await within(60_000, 'updated', updated)
  await updater.applyUpdate()
  assert.ok(fs.readFileSync(target).equals(fs.readFileSync(path.join(moved, app))))
  const drive = updater.drive
  const told = JSON.parse(await drive.get('/package.json'))
  assert.equal(parseLink(told.upgrade).key.toString('hex'), parseLink(fresh).key.toString('hex'))
})

test('rotate ends with an error when nobody fetches what it wrote, and the next one finishes', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const other = f.bosc()
  const [old, fresh] = [(await bosc.touch()).link, (await other.touch()).link]
  const release = (version, upgrade) => f.tree({
    'package.json': packageText(version, upgrade),
    [app]: { data: noise(1, 100_000), mode: 0o755 }
  })
  const first = await bosc.stage(old, release('1.0.0', old))
  await other.stage(fresh, release('2.0.0', fresh))
  await bosc.seed(old)
  await other.seed(fresh)
  const keeper = await seeder(f, old, first.length)
  await seeder(f, fresh)
  const rotate = (...flags) => bosc.end(['rotate', old, fresh, '--copies', 1, '--timeout', 20, ...flags])

  // It holds the old version, and is connected; then it stops taking anything.
  succeeded(await rotate('--dry-run'))
  process.kill(keeper.running.pid, 'SIGSTOP')
  f.later(() => { try { process.kill(keeper.running.pid, 'SIGCONT') } catch {} })
  const alone = await rotate('--wait', 1)
  assertFailed(alone, 'ERR_NOT_SEEDED')
  assert.equal(alone.code, 4)
  assert.deepEqual(alone.last('few-copies'), { full: 0, wanted: 1, link: old })
  assert.ok(alone.last('error').hint.includes(`bosc seed ${old}`))
  process.kill(keeper.running.pid, 'SIGCONT')
  const done = succeeded(await rotate('--wait', 60))
  assert.deepEqual([done.changed, done.copies, done.done], [false, 1, true])
})
