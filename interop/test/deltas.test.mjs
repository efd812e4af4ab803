// Deltas that bosc keeps beside the builds of a release: JavaScript peers are undisturbed, and carry them as any other file.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import Localdrive from 'localdrive'
import { assertDump } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { Running, isStandIn } from '../lib/bosc.mjs'
import { releaseFixture } from '../lib/release.mjs'
import { PASSPHRASE } from '../lib/signing.mjs'
import { within } from '../lib/net.mjs'
import { driveSnapshot, noise, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 120_000
const skip = isStandIn() && 'not for the stand-in'
const APP = 'by-arch/linux-x64/app'

/** A program that differs from the release before in a few bytes of every block. */
function program(release) {
  const bytes = Buffer.from(noise(1, 2_000_000))
  for (let n = 0; n < release; n++) {
    for (let at = 1000 * n; at + 16 < bytes.length; at += 100_000) bytes.fill(n + at, at, at + 16)
  }
  return bytes
}

const app = (release) => ({
  'package.json': JSON.stringify({ name: 'demo', version: `1.0.${release}` }),
  [`${APP}/Demo`]: program(release),
  'by-arch/darwin-arm64/app/Demo.app/Contents/x': `${release}`
})

test('a drive with deltas is an ordinary drive to JavaScript, and a dump is what was staged', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(app(0))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.stage(link, dir)
  let staged
  for (const release of [1, 2]) {
    writeTree(dir, app(release))
    staged = await bosc.ok('stage', link, dir)
    const deltas = staged.all('delta')
    assert.deepEqual(deltas.map((d) => [d.path, d.from]), [1, 2].slice(0, release).map((n) => [`${APP}/Demo`, `1.0.${release - n}`]))
    for (const d of deltas) assert.ok(d.bytes < 20_000 && d.insteadOf > 1_000_000, JSON.stringify(d))
  }
  const { version } = staged.last('addendum')
  await bosc.seed(link)

  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive, { server: false })
  await js.head(drive, { length: version })
  await js.fetchAll(drive)
  const out = f.fresh()
  await within(30_000, 'mirror', drive.mirror(new Localdrive(out), { prefix: `/${APP}` }).done())
  assert.deepEqual(fs.readFileSync(path.join(out, APP, 'Demo')), program(2))
  assert.deepEqual(Object.keys(snapshot(out)).filter((name) => name.includes('by-delta')), [])

  const all = []
  for await (const entry of drive.list('/by-delta')) all.push(entry.key)
  assert.equal(all.length, 2)
  for (const name of all) assert.match(name, /^\/by-delta\/linux-x64\/app\/Demo\/[0-9a-f]{64}$/)
  assert.deepEqual(await driveSnapshot(drive), snapshot(dir))
  await assertDump(f.bosc(), link, f.fresh(), snapshot(dir))

  // A dump with its deltas, staged again, makes none of them a part of the release; without the file they go.
  fs.rmSync(path.join(dir, APP, 'Demo'))
  writeTree(dir, { 'by-delta/linux-x64/app/Demo/x': 'x', 'package.json': JSON.stringify({ name: 'demo', version: '1.0.3' }) })
  await bosc.ok('stage', link, dir)
  const list = await f.bosc().end(['dump', `${link}/by-delta`, '--list'])
  assert.equal(list.last('error').code, 'ERR_NOT_FOUND')

  writeTree(dir, { [`${APP}/Demo`]: program(0) })
  await bosc.ok('stage', link, dir)
  writeTree(dir, app(4))
  const none = await bosc.ok('stage', link, dir, '--no-deltas')
  assert.deepEqual(none.all('delta'), [])
})

/** A program that packs, as compilers make them. */
const packing = (seed) => Buffer.from(noise(seed, 1_500_000).map((byte) => byte % 5))

test('a first install takes the packed copy that JavaScript carries, and its own clients never see it', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree({ 'package.json': JSON.stringify({ name: 'demo', version: '1.0.0' }), [`${APP}/Demo`]: packing(1) })
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const staged = await bosc.ok('stage', link, dir)
  const [packed] = staged.all('packed')
  assert.equal(packed.path, `${APP}/Demo`)
  assert.ok(packed.insteadOf === 1_500_000 && packed.bytes < 600_000, JSON.stringify(packed))
  const { version } = staged.last('addendum')
  const seeding = await bosc.seed(link)

  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive)
  await js.head(drive, { length: version })
  await js.fetchAll(drive)
  const out = f.fresh()
  await within(30_000, 'mirror', drive.mirror(new Localdrive(out), { prefix: `/${APP}` }).done())
  assert.deepEqual(fs.readFileSync(path.join(out, APP, 'Demo')), packing(1))
  assert.deepEqual(await driveSnapshot(drive), snapshot(dir))
  await seeding.stop()

  // From the JavaScript peer alone.
  const reader = f.bosc()
  const to = f.fresh()
  const installed = await reader.ok('dump', `${link}/${APP}`, to)
  assert.deepEqual(fs.readFileSync(path.join(to, APP, 'Demo')), packing(1))
  const { received } = installed.last('final')
  assert.ok(received > packed.bytes / 2 && received < packed.bytes + 100_000, `${received} of ${packed.bytes}`)

  // It changes with its file, and goes with it.
  writeTree(dir, { [`${APP}/Demo`]: packing(2), 'package.json': JSON.stringify({ name: 'demo', version: '1.0.1' }) })
  assert.equal((await bosc.ok('stage', link, dir)).all('packed').length, 1)
  fs.rmSync(path.join(dir, APP, 'Demo'))
  writeTree(dir, { [`${APP}/Other`]: noise(3, 300_000), 'package.json': JSON.stringify({ name: 'demo', version: '1.0.2' }) })
  assert.deepEqual((await bosc.ok('stage', link, dir)).all('packed'), [], 'what does not pack has none')
  const list = await bosc.end(['dump', `${link}/by-delta`, '--list'])
  assert.equal(list.last('error').code, 'ERR_NOT_FOUND')
})

test('deltas from older releases stay as hops, and what an update by them costs is told', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(app(0))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  let staged = await bosc.ok('stage', link, dir)
  for (let release = 1; release <= 5; release++) {
    writeTree(dir, app(release))
    staged = await bosc.ok('stage', link, dir)
  }
  const costs = staged.all('update-cost').filter((c) => c.platform === 'linux-x64')
  assert.deepEqual(costs.map((c) => c.from), ['1.0.4', '1.0.3', '1.0.2', '1.0.1', '1.0.0'])
  for (const c of costs) assert.ok(c.basis === 'proved' && c.bytes < 40_000 && c.without > 1_900_000, JSON.stringify(c))
  const names = async (link) => (await bosc.ok('dump', `${link}/by-delta`, '--list')).all('file').map((part) => path.posix.basename(part.key))
  const all = await names(link)
  assert.equal(all.filter((name) => /^[0-9a-f]{64}$/.test(name)).length, 3)
  const hops = all.filter((name) => /^[0-9a-f]{64}-[0-9a-f]{64}$/.test(name))
  assert.equal(hops.length, 2)
  for (const hop of hops) assert.ok(all.includes(hop.split('-')[1]), 'each leads to where a delta starts')
})

test('signers, and whoever looks at a release, are told what an update costs, each as far as it is proved', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const env = { BOSC_PASSPHRASE: PASSPHRASE }
  const bosc = f.bosc({ env })
  const { link } = (await bosc.ok('touch')).last('final')
  const dir = f.f.tree(app(0))
  await bosc.ok('stage', link, dir)
  let staged
  for (const release of [1, 2]) {
    writeTree(dir, app(release))
    staged = await bosc.ok('stage', link, dir)
  }
  const costs = (p) => p.all('update-cost')
  const told = costs(staged)
  const of = (platform) => told.filter((c) => c.platform === platform)
  assert.deepEqual(of('linux-x64').map((c) => c.from), ['1.0.1', '1.0.0'])
  for (const c of of('linux-x64')) assert.ok(c.basis === 'proved' && c.bytes < 20_000 && c.without > 1_900_000, JSON.stringify(c))
  // A platform whose files have no patch costs its new blocks.
  for (const c of of('darwin-arm64')) assert.deepEqual([c.bytes, c.without, c.basis], [1, 1, 'proved'])

  const { verlink } = staged.last('final')
  assert.deepEqual(costs(await bosc.ok('info', link)), told)
  const doctor = await bosc.end(['doctor', link, '--timeout', '3'])
  assert.deepEqual(costs(doctor), told)
  const asked = await bosc.ok('multisig', 'request', verlink, '--force', '--config', f.configFile)
  assert.deepEqual(costs(asked), told)
  const { request } = asked.last('final')
  const sign = ['multisig', 'sign', request, '--yes', '--offline', '--keys', f.signers[0].dir]
  const signed = await bosc.ok(...sign)
  assert.deepEqual(costs(signed), told)
  const shown = new Running(bosc.args([...sign, '--replace']).filter((flag) => flag !== '--json'), { env })
  assert.equal(await shown.exited, 0, shown.stderr)
  assert.match(shown.stderr, /Update of linux-x64 from 1\.0\.1: [0-9.]+ k?B \([0-9.]+ MB without deltas\)/)
  assert.deepEqual(shown.noise.length, 1)

  const lines = path.join(f.f.fresh(), 'bosc.toml')
  await bosc.ok('line', 'add', 'shown', '--link', link, '--kind', 'stage', '--file', lines, '--timeout', '3')
  const listed = (await bosc.ok('line', 'show', 'shown', '--file', lines, '--timeout', '3')).last('line')
  assert.deepEqual(listed.updates, told)
})

test('provision carries deltas and hops, the same ones wherever it runs, and signers are told what they save', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const bosc = f.bosc({ env: { BOSC_PASSPHRASE: PASSPHRASE } })
  const { link } = (await bosc.ok('touch')).last('final')
  const dir = f.f.tree(app(0))
  let staged = await bosc.ok('stage', link, dir)
  for (let release = 1; release <= 5; release++) {
    writeTree(dir, app(release))
    staged = await bosc.ok('stage', link, dir)
  }
  const costs = (p) => p.all('update-cost').filter((c) => c.platform === 'linux-x64')
  const told = costs(staged)
  assert.deepEqual(told.map((c) => c.from), ['1.0.4', '1.0.3', '1.0.2', '1.0.1', '1.0.0'])

  const { verlink } = staged.last('final')
  const provisioned = []
  for (let i = 0; i < 2; i++) {
    const target = (await bosc.ok('touch')).last('final').link
    const none = `pear://0.0.${target.slice('pear://'.length)}`
    const done = (await bosc.ok('provision', verlink, target, none, '--yes')).last('final').target
    provisioned.push({ link: target, verlink: done.verlink, hash: done.core.hash, blobs: done.blobs.hash })
  }
  const [a, b] = provisioned
  assert.deepEqual([a.hash, a.blobs], [b.hash, b.blobs], 'the same blocks, whoever provisions')

  const patches = async (link) => {
    const out = f.f.fresh()
    await bosc.ok('dump', `${link}/by-delta`, out)
    return snapshot(out)
  }
  const carried = await patches(a.link)
  assert.deepEqual(carried, await patches(link), 'byte for byte')
  const names = Object.keys(carried).map((name) => path.posix.basename(name))
  assert.equal(names.filter((name) => /^[0-9a-f]{64}-[0-9a-f]{64}$/.test(name)).length, 2, names.join(' '))

  // From the two oldest releases two patches lead to the newest: signers see what each costs.
  const asked = await bosc.ok('multisig', 'request', a.verlink, '--force', '--config', f.configFile)
  const shown = costs(asked)
  const bytes = (of) => Object.fromEntries(of.map((c) => [c.from, c.bytes]))
  assert.deepEqual(bytes(shown), bytes(told))
  // What they would cost without is not known where the old content is not in this drive.
  for (const c of shown) assert.ok(c.bytes < 40_000 && (c.without === null || c.without > 1_900_000), JSON.stringify(c))
  const { request } = asked.last('final')
  const sign = ['multisig', 'sign', request, '--yes', '--offline', '--keys', f.signers[0].dir]
  assert.deepEqual(costs(await bosc.ok(...sign)), shown)
})
