// bosc provision against Pear's own way of doing it with the JavaScript packages, and what JavaScript reads of it.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import Localdrive from 'localdrive'
import idEncoding from 'hypercore-id-encoding'
import PearRuntimeUpdater from 'pear-runtime-updater'
import { isStandIn } from '../lib/bosc.mjs'
import { assertContent, assertFailed } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { describe, jsStage, parseLink, sleep, waitFor, within } from '../lib/net.mjs'
import { jsProvision } from '../lib/provision.mjs'
import { QuorumDrive, signers } from '../lib/quorum.mjs'
import { driveSnapshot, noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const options = { timeout: 180_000, skip: isStandIn() && 'the stand-in does not provision' }
const app = 'by-arch/linux-x64/app/Demo'

/** Runs `bosc provision` for real, without the pause; its final data. */
async function provision(bosc, source, target, production, ...flags) {
  return (await bosc.ok('provision', source, target, production, '--yes', ...flags)).last('final')
}

/** Production while there is none. */
const none = (link) => `pear://0.0.${idEncoding.encode(parseLink(link).key)}`

async function hashes(drive) {
  const blobs = await drive.getBlobs()
  return {
    core: { length: drive.core.length, hash: idEncoding.encode(await drive.core.treeHash()) },
    blobs: { length: blobs.core.length, hash: idEncoding.encode(await blobs.core.treeHash()) }
  }
}

const printed = ({ target: { core, blobs } }) => ({
  core: { length: core.length, hash: core.hash },
  blobs: { length: blobs.length, hash: blobs.hash }
})

/** Has a JavaScript peer copy a drive of bosc, which is seeded meanwhile. */
async function fetched(f, bosc, link, { keep } = {}) {
  const { length } = parseLink(link)
  const plain = `pear://${idEncoding.encode(parseLink(link).key)}`
  const seeding = await bosc.seed(plain)
  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive, { server: false })
  await js.head(drive, { length })
  if (!keep) {
    await js.fetchAll(drive)
    await seeding.stop()
  }
  return { js, drive, seeding }
}

/** Production signed by two of three, in a JavaScript peer that is online. */
async function production(f, source, by = [0, 1]) {
  const peer = f.js()
  const quorum = new QuorumDrive(peer, signers(3))
  f.later(() => quorum.close())
  await quorum.commit(source, by)
  const drive = await quorum.open()
  await peer.join(drive)
  return { peer, quorum, drive, verlink: async () => (await describe(drive)).verlink }
}

function second(dir) {
  const file = path.join(dir, app)
  const data = fs.readFileSync(file)
  data[data.length >> 1] ^= 1
  fs.writeFileSync(file, data)
  writeTree(dir, {
    'package.json': JSON.stringify({ name: 'demo', productName: 'Demo', version: '1.1.0' }) + '\n',
    'by-arch/linux-x64/app/data/added': noise(31, 200_000),
    'by-arch/linux-x64/app/lib/up': { link: 'run.sh' },
    'by-arch/linux-x64/app/data/empty2': Buffer.alloc(0)
  })
  fs.rmSync(path.join(dir, 'by-arch/linux-x64/app/data/one'))
  fs.chmodSync(path.join(dir, 'by-arch/linux-x64/app/lib/run.sh'), 0o644)
}

test('--contiguous makes the very drive that JavaScript makes', options, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp())
  const author = f.js()
  const source = await author.touch()
  await author.join(source)
  await jsStage(source, dir)
  await source.db.put('metadata', { a: [1, 'x'] })
  await source.db.put('platformVersion', { key: 'k', length: 3 })
  const v1 = (await describe(source)).verlink

  const twin = await author.touch()
  await jsProvision({ source, length: source.core.length, target: twin })
  const bosc = f.bosc()
  const target = (await bosc.touch()).link
  const first = await provision(bosc, v1, target, none(target), '--contiguous')
  assert.deepEqual(printed(first), await hashes(twin))

  const prod = await production(f, twin)
  second(dir)
  await jsStage(source, dir)
  await source.db.put('manifest', 'm')
  await source.db.put('metadata', { a: [2] })
  await source.db.del('platformVersion')
  // What lies behind the version that is released is none of its business.
  const length = source.core.length
  const v2 = (await describe(source)).verlink
  writeTree(dir, { 'later.txt': 'later\n' })
  await jsStage(source, dir)

  const next = await author.touch()
  await jsProvision({ source, length, target: next, production: prod.drive })
  const expected = await hashes(next)
  const verlink = await prod.verlink()
  // On top of the first result, and from nothing on another machine.
  assert.deepEqual(printed(await provision(bosc, v2, target, verlink, '--contiguous')), expected)
  const other = f.bosc()
  const fresh = (await other.touch()).link
  const run = await other.ok('provision', v2, fresh, verlink, '--yes', '--contiguous')
  assert.deepEqual(printed(run.last('final')), expected)
  assert.deepEqual(run.all('setting'), [
    { field: 'manifest', value: 'm' },
    { field: 'metadata', value: { a: [2] } }
  ])
  assert.deepEqual(run.all('unsetting'), [{ field: 'platformVersion' }])
  const again = await other.ok('provision', v2, fresh, verlink, '--yes', '--contiguous')
  assert.deepEqual(again.all('byte-diff'), [])
  assert.deepEqual(printed(again.last('final')), expected)
})

test('JavaScript reads the dedup layout: download, streams and mirror, byte for byte', options, async (t) => {
  const f = await fixture(t)
  const big = noise(5, 6_000_000)
  const dir = f.tree(sampleApp({ size: 5_000_000, extra: { 'by-arch/linux-x64/app/big': big } }))
  const author = f.js()
  const source = await author.touch()
  await author.join(source)
  await jsStage(source, dir)
  const bosc = f.bosc()
  const target = (await bosc.touch()).link
  const first = await provision(bosc, (await describe(source)).verlink, target, none(target))
  const copy = await fetched(f, bosc, first.target.verlink)
  const prod = await production(f, copy.drive)

  // A changed file, a renamed one, one that is two others in turn, one that is a part of another, a copy.
  second(dir)
  const data = fs.readFileSync(path.join(dir, app))
  fs.renameSync(path.join(dir, 'by-arch/linux-x64/app/big'), path.join(dir, 'by-arch/linux-x64/app/moved'))
  writeTree(dir, {
    'by-arch/linux-x64/app/both': Buffer.concat([big, data]),
    'by-arch/linux-x64/app/part': big.subarray(0, 4_000_000),
    'by-arch/linux-x64/app/same': data
  })
  await jsStage(source, dir)
  const expected = snapshot(dir)
  const run = await bosc.ok('provision', (await describe(source)).verlink, target, await prod.verlink(), '--yes')
  const result = run.last('final')
  const { newBytes, sharedBytes } = run.last('staged')
  assert.ok(sharedBytes > 3 * newBytes, `${newBytes} new, ${sharedBytes} shared`)
  assert.equal(result.production.core.length, first.target.core.length)

  // Everything a reader needs is what download() brings: read it with the network gone.
  const { js, drive, seeding } = await fetched(f, bosc, result.target.verlink, { keep: true })
  const download = drive.download('/')
  await within(60_000, 'download', download.done())
  await seeding.stop()
  await js.offline()
  assert.deepEqual(await driveSnapshot(drive), expected)
  const out = f.fresh()
  await within(30_000, 'mirror', drive.mirror(new Localdrive(out)).done())
  assert.deepEqual(snapshot(out), expected)

  // The version before is still in it. A quorum can sign it, and whoever follows production gets it.
  const full = (await fetched(f, bosc, result.target.verlink)).drive
  await assertContent(full, first.target.core.length, await driveSnapshot(prod.drive))
  await prod.quorum.commit(full, [1, 2])
  const reader = f.js()
  const followed = await reader.drive(await prod.verlink())
  await reader.join(followed, { server: false })
  await reader.head(followed, { length: result.target.core.length })
  const dumped = f.fresh()
  await within(30_000, 'mirror of production', followed.mirror(new Localdrive(dumped)).done())
  assert.deepEqual(snapshot(dumped), expected)
})

test('pear-runtime-updater follows a production that bosc provisioned', options, async (t) => {
  const f = await fixture(t)
  const file = `by-arch/${process.platform}-${process.arch}/app/Demo`
  const tree = (version, data, extra = {}) => ({
    'package.json': JSON.stringify({ name: 'demo', productName: 'Demo', version }),
    [file]: { data, mode: 0o755 },
    ...extra
  })
  const old = noise(11, 4_000_000)
  const dir = f.tree(tree('1.0.0', old, { shared: noise(12, 1_000_000) }))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const target = (await bosc.touch()).link
  const first = await provision(bosc, (await bosc.stage(link, dir)).verlink, target, none(target))
  const prod = await production(f, (await fetched(f, bosc, first.target.verlink)).drive)

  const js = f.js()
  const installed = path.join(f.fresh('installed'), 'Demo')
  fs.mkdirSync(path.dirname(installed))
  fs.writeFileSync(installed, old)
  const data = f.fresh('data')
  fs.mkdirSync(data)
  const upgrade = (await describe(prod.drive)).link
  const store = js.store.session()
  const updater = new PearRuntimeUpdater({ dir: data, upgrade, name: 'Demo', version: '1.0.0', app: installed, store })
  const events = []
  for (const name of ['updating', 'updated']) updater.on(name, () => events.push(name))
  updater.on('error', (err) => events.push(`error ${err.message}`))
  f.later(() => updater.close())
  await updater.ready()
  await js.join(updater.drive, { server: false })
  await waitFor(() => updater.drive.core.length === first.target.core.length, { what: () => 'the first head' })

  // The new build is the old one in part, and in part what another file held.
  const changed = Buffer.concat([old.subarray(0, 2_500_000), noise(13, 1000), old.subarray(2_500_000), noise(12, 1_000_000)])
  writeTree(dir, tree('1.1.0', changed))
  const next = await provision(bosc, (await bosc.stage(link, dir)).verlink, target, await prod.verlink())
  const { drive } = await fetched(f, bosc, next.target.verlink)
  const updated = new Promise((resolve) => updater.once('updated', resolve))
  await prod.quorum.commit(drive, [0, 2])
  await within(30_000, 'updated', updated)
  assert.deepEqual(events, ['updating', 'updated'])
  await updater.applyUpdate()
  assert.ok(fs.readFileSync(installed).equals(changed))
})

test('either side provisions what the other staged', options, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp())
  const expected = snapshot(dir)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const staged = await bosc.stage(link, dir)
  // bosc staged, JavaScript provisions; and the same version by bosc is the same drive.
  const { js, drive } = await fetched(f, bosc, staged.verlink)
  const byJs = await js.touch()
  await jsProvision({ source: drive, length: staged.version, target: byJs })
  assert.deepEqual(await driveSnapshot(byJs), expected)
  const target = (await bosc.touch()).link
  const contiguous = await provision(bosc, staged.verlink, target, none(target), '--contiguous')
  assert.deepEqual(printed(contiguous), await hashes(byJs))
  // JavaScript staged, bosc provisions.
  const author = f.js()
  const source = await author.touch()
  await author.join(source)
  await jsStage(source, dir)
  const mine = (await bosc.touch()).link
  const made = await provision(bosc, (await describe(source)).verlink, mine, none(mine))
  const copy = await fetched(f, bosc, made.target.verlink)
  assert.deepEqual(await driveSnapshot(copy.drive), expected)
})

test('five stages become one lean batch', options, async (t) => {
  const f = await fixture(t, { network: null })
  const dir = f.tree(sampleApp({ size: 10_000 }))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  let staged
  for (let i = 0; i < 5; i++) {
    writeTree(dir, {
      [app]: { data: noise(100 + i, 2_000_000), mode: 0o755 },
      'package.json': JSON.stringify({ name: 'demo', version: `1.0.${i}` })
    })
    for (let n = 0; n < 20; n++) writeTree(dir, { [`data/${i % 2}-${n}`]: `${i} ${n}\n` })
    staged = await bosc.stage(link, dir)
  }
  const target = (await bosc.touch()).link
  const run = await bosc.ok('provision', staged.verlink, target, none(target), '--yes')
  const { core, blobs, verlink } = run.last('final').target
  const files = Object.keys(snapshot(dir)).length
  assert.equal(core.length, files + 1, 'one block a file and the header')
  assert.ok(core.length * 2 < staged.version, `${core.length} of ${staged.version} blocks`)
  const info = await bosc.info(verlink)
  assert.ok(info.blobs.byteLength * 3 < staged.blobs.byteLength, 'content of one version, not of five')
  assert.ok(blobs.length < staged.blobs.length)
  const out = f.fresh()
  await bosc.dump(verlink, out)
  assert.deepEqual(snapshot(out), snapshot(dir))
  t.diagnostic(`stage ${staged.version} blocks, ${staged.blobs.byteLength} bytes; provision ${core.length}, ${info.blobs.byteLength}`)
})

test('a change costs what changed, a rename nothing', options, async (t) => {
  const f = await fixture(t, { network: null })
  const dir = f.tree({ 'package.json': JSON.stringify({ name: 'demo', version: '1.0.0' }), big: noise(77, 20 << 20) })
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const [a, b, c] = [(await bosc.touch()).link, (await bosc.touch()).link, (await bosc.touch()).link]
  const v1 = (await bosc.stage(link, dir)).verlink
  const first = await provision(bosc, v1, a, none(a))
  const size = async (verlink) => (await bosc.info(verlink)).blobs.byteLength
  const before = await size(first.target.verlink)

  const data = fs.readFileSync(path.join(dir, 'big'))
  data[10 << 20] ^= 1
  writeTree(dir, { big: data, 'package.json': JSON.stringify({ name: 'demo', version: '1.0.1' }) })
  const v2 = (await bosc.stage(link, dir)).verlink
  const changed = await bosc.ok('provision', v2, b, first.target.verlink, '--yes')
  const cost = (await size(changed.last('final').target.verlink)) - before
  assert.ok(cost > 500_000 && cost < 9 << 20, `one byte of 20 MiB costs ${cost}`)

  fs.renameSync(path.join(dir, 'big'), path.join(dir, 'other'))
  writeTree(dir, { 'package.json': JSON.stringify({ name: 'demo', version: '1.0.2' }) })
  const v3 = (await bosc.stage(link, dir)).verlink
  const renamed = await bosc.ok('provision', v3, c, changed.last('final').target.verlink, '--yes')
  const moved = (await size(renamed.last('final').target.verlink)) - before - cost
  assert.ok(moved < 1000, `a rename costs ${moved} bytes`)
  const whole = (await bosc.touch()).link
  const plain = await provision(bosc, v2, whole, first.target.verlink, '--contiguous')
  const contiguous = (await size(plain.target.verlink)) - before
  assert.ok(contiguous > 20 << 20)
  t.diagnostic(`1 byte of 20 MiB: ${cost} bytes (contiguous ${contiguous}); rename: ${moved} bytes`)
})

test('a dry run shows the same difference and writes nothing', options, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp())
  const author = f.js()
  const source = await author.touch()
  await author.join(source)
  await jsStage(source, dir)
  const twin = await author.touch()
  await jsProvision({ source, length: source.core.length, target: twin })
  const prod = await production(f, twin)
  second(dir)
  await jsStage(source, dir)
  const [verlink, prodlink] = [(await describe(source)).verlink, await prod.verlink()]
  const bosc = f.bosc()
  const target = (await bosc.touch()).link
  const dry = await bosc.ok('provision', verlink, target, prodlink, '--dry-run')
  assert.deepEqual(dry.last('final'), { success: true })
  assert.deepEqual(dry.all('staging'), [])
  assert.equal((await bosc.info(target, '--key')) ?? null, null)
  const empty = await bosc.ok('info', target)
  assert.deepEqual(empty.all('empty').length, 1, 'the target is as empty as before')
  const store = fs.readdirSync(bosc.store)
  assert.ok(store.length > 0)
  const real = await bosc.ok('provision', verlink, target, prodlink, '--cooldown', '1')
  assert.deepEqual(real.all('byte-diff'), dry.all('byte-diff'))
  assert.deepEqual(real.last('cooldown'), { time: 1000 })
  const tags = real.lines.map((l) => l.tag).filter((tag) => !['stats', 'copying', 'writing', 'blocks', 'cooling'].includes(tag))
  assert.deepEqual(
    tags.filter((tag, i) => tag !== tags[i - 1]),
    ['syncing', 'synced', 'syncing', 'synced', 'diffing', 'byte-diff', 'diffed', 'cooldown', 'staging', 'staged', 'final']
  )
  assert.equal(real.last('diffed').semver, '1.1.0')
  assert.deepEqual(real.all('byte-diff').filter((d) => d.type === -1), [
    { type: -1, sizes: [-1], message: '/by-arch/linux-x64/app/data/one' }
  ])
  const { source: from, production: base, target: to } = real.last('final')
  for (const side of [from, base, to]) {
    assert.equal(typeof side.core.hash, 'string')
    assert.equal(typeof side.blobs.hash, 'string')
    assert.deepEqual(parseLink(side.hashlink).length, side.core.length)
    assert.equal(idEncoding.encode(parseLink(side.hashlink).hash), side.core.hash)
  }
  assert.equal(base.core.hash, (await hashes(prod.drive)).core.hash)
})

test('what can never become a release is refused', options, async (t) => {
  const f = await fixture(t, { network: null })
  const dir = f.tree(sampleApp({ size: 600_000 }))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const touch = async () => (await bosc.touch()).link
  const stage = async (version, extra = {}, ...flags) => {
    writeTree(dir, { 'package.json': JSON.stringify({ name: 'demo', version }), ...extra })
    return (await bosc.stage(link, dir, ...flags)).verlink
  }
  const refuse = async (code, ...args) => {
    const p = await bosc.end(['provision', ...args, '--yes', '--timeout', '2'])
    assertFailed(p, code)
    assert.ok(p.last('error').hint.length > 20, p.describe())
    return p.last('error')
  }
  const length = async (verlink) => (await bosc.info(verlink)).length
  const v1 = await stage('1.0.0')
  const a = await touch()
  const prod = (await provision(bosc, v1, a, none(a))).target.verlink

  await refuse('ERR_INVALID_LINK', link, await touch(), prod)
  await refuse('ERR_INVALID_LINK', v1, await touch(), a)
  await refuse('ERR_INVALID_INPUT', v1, link, prod)
  await refuse('ERR_INVALID_MANIFEST', await stage('1.1.0-rc.1'), await touch(), prod)
  await refuse('ERR_INVALID_MANIFEST', await stage('1.1', {}, '--skip-package-json'), await touch(), prod)
  const mid = parseLink(v1)
  const key = idEncoding.encode(mid.key)
  await refuse('ERR_INVALID_INPUT', `pear://0.${mid.length - 2}.${key}`, await touch(), prod)
  await refuse('ERR_NOT_FOUND', `pear://0.9999.${key}`, await touch(), prod)
  await refuse('ERR_NOT_FOUND', `pear://1.${mid.length}.${key}`, await touch(), prod)
  const pkey = idEncoding.encode(parseLink(prod).key)
  await refuse('ERR_NOT_FOUND', v1, await touch(), `pear://3.${parseLink(prod).length}.${pkey}`)
  await refuse('ERR_INVALID_INPUT', v1, await touch(), `pear://1.0.${pkey}`)
  const wrong = `pear://0.${mid.length}.${key}.${key}`
  await refuse('ERR_HASH_MISMATCH', wrong, await touch(), prod)

  // Versions only go up; the same or a lower one would reach nobody.
  const lower = await refuse('ERR_INVALID_MANIFEST', await stage('0.9.0'), await touch(), prod)
  assert.match(lower.hint, /never install an equal or lower/)
  await refuse('ERR_INVALID_MANIFEST', await stage('1.0.0', { 'new.txt': 'x' }), await touch(), prod)
  const v2 = await stage('1.1.0')
  const second = await provision(bosc, v2, a, prod)

  // Another base, a longer target, one that was cut back, one that is not ours.
  const other = await touch()
  await provision(bosc, await stage('2.0.0', { 'other.txt': 'y' }), other, none(other))
  const before = await length(other)
  await refuse('ERR_TARGET_DIVERGED', v2, other, prod)
  await refuse('ERR_TARGET_AHEAD', await stage('1.2.0', { 'late.txt': 'z' }), a, prod)
  assert.equal(await length(other), before)
  assert.equal((await bosc.info(a)).verlink, second.target.verlink)
  assert.deepEqual(printed(await provision(bosc, v2, a, prod)), printed(second), 'the wished result is fine')
  const forked = await touch()
  await bosc.stage(forked, dir)
  await bosc.ok('stage', forked, dir, '--truncate', '1')
  await refuse('ERR_TARGET_FORKED', v2, forked, none(forked))
  const stranger = f.bosc()
  await refuse('ERR_PERMISSION_REQUIRED', v2, (await stranger.touch()).link, prod)
  // Nobody to get it from: told after the time that was given.
  await refuse('ERR_NO_DHT', `pear://0.5.${idEncoding.encode(noise(3, 32))}`, await touch(), prod)
  await refuse('ERR_NO_DHT', v2, await touch(), `pear://0.5.${idEncoding.encode(noise(3, 32))}`)
})

test('the same version on the same base is the same drive everywhere', options, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 4_000_000 }))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const v1 = (await bosc.stage(link, dir)).verlink
  const base = (await bosc.touch()).link
  const prod = (await provision(bosc, v1, base, none(base))).target.verlink
  second(dir)
  writeTree(dir, { 'by-arch/linux-x64/app/twice': fs.readFileSync(path.join(dir, app)) })
  const v2 = (await bosc.stage(link, dir)).verlink
  const seeds = [await bosc.seed(link), await bosc.seed(base)]
  const results = []
  // On top of what is there, from nothing here, and on another machine that has to fetch all of it.
  const onTop = (await bosc.touch()).link
  await provision(bosc, v1, onTop, none(onTop))
  results.push(printed(await provision(bosc, v2, onTop, prod)))
  const fresh = (await bosc.touch()).link
  results.push(printed(await provision(bosc, v2, fresh, prod)))
  const other = f.bosc()
  const there = (await other.touch()).link
  results.push(printed(await provision(other, v2, there, prod)))
  assert.deepEqual(results[1], results[0])
  assert.deepEqual(results[2], results[0])
  // Lost link: production rebuilt from itself.
  const again = (await other.touch()).link
  const rebuilt = await provision(other, prod, again, prod)
  assert.deepEqual(rebuilt.target.core.hash, rebuilt.production.core.hash)
  assert.deepEqual(rebuilt.target.blobs.hash, rebuilt.production.blobs.hash)
  for (const p of seeds) await p.stop()
})

test('killed at any moment and run again, it ends as an undisturbed run does', options, async (t) => {
  const f = await fixture(t, { network: null })
  const extra = {}
  for (let i = 0; i < 150; i++) extra[`many/${i}`] = noise(i + 1, 60_000)
  const dir = f.tree(sampleApp({ size: 40_000_000, extra }))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const v1 = (await bosc.stage(link, dir)).verlink
  const base = (await bosc.touch()).link
  const prod = (await provision(bosc, v1, base, none(base))).target.verlink
  writeTree(dir, {
    [app]: { data: noise(1234, 40_000_000), mode: 0o755 },
    'package.json': JSON.stringify({ name: 'demo', version: '1.1.0' })
  })
  for (let i = 0; i < 150; i += 2) fs.rmSync(path.join(dir, `many/${i}`))
  const v2 = (await bosc.stage(link, dir)).verlink
  const whole = (await bosc.touch()).link
  const started = performance.now()
  const expected = printed(await provision(bosc, v2, whole, prod))
  const took = performance.now() - started
  let cut = 0
  const seen = new Set()
  for (let i = 0; i < 14; i++) {
    const target = (await bosc.touch()).link
    const p = bosc.start('provision', v2, target, prod, '--yes')
    // Anywhere, and all through the writing up to its end.
    if (i % 2) {
      await p.until('staging')
      await sleep((took * i) / 15)
    } else {
      await sleep((took * (i + 1)) / 15)
    }
    p.child.kill('SIGKILL')
    await p.exited
    if (p.signal === 'SIGKILL') cut++
    const info = await bosc.ok('info', target)
    const at = info.all('empty').length ? 0 : info.last('info').length
    seen.add(at)
    // A reader of the target never sees anything but nothing or the whole.
    assert.ok(at === 0 || at === expected.core.length, `length ${at} after kill ${i}`)
    assert.deepEqual(printed(await provision(bosc, v2, target, prod)), expected, `after kill ${i}`)
  }
  assert.ok(cut >= 7, `${cut} runs were cut off`)
  t.diagnostic(`${cut} of 14 runs killed; lengths seen after: ${[...seen]}`)
})

test('while the store is seeding, provision is handed over and reaches peers at once', options, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 900_000 }))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const target = (await bosc.touch()).link
  const v1 = (await bosc.stage(link, dir)).verlink
  await bosc.seed(target)
  const js = f.js()
  const drive = await js.drive(target)
  await js.join(drive, { server: false })
  const first = await provision(bosc, v1, target, none(target))
  await js.head(drive, { length: first.target.core.length })
  await js.fetchAll(drive)
  assert.deepEqual(await driveSnapshot(drive), snapshot(dir))
  second(dir)
  const v2 = (await bosc.stage(link, dir)).verlink
  const appended = new Promise((resolve) => drive.core.once('append', resolve))
  const next = await provision(bosc, v2, target, first.target.verlink)
  await within(20_000, 'the append', appended)
  await waitFor(() => drive.core.length === next.target.core.length, { what: () => `length ${drive.core.length}` })
  await js.fetchAll(drive)
  assert.deepEqual(await driveSnapshot(drive), snapshot(dir))
})
