// bosc stages and seeds, JavaScript finds, downloads and reads.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import Localdrive from 'localdrive'
import idEncoding from 'hypercore-id-encoding'
import { isStandIn } from '../lib/bosc.mjs'
import { assertSameDrive } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { describe, jsStage, sleep, within } from '../lib/net.mjs'
import { driveSnapshot, noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 120_000

test('touch makes a new link each time, of a Corestore key', { timeout }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc()
  const [a, b] = [await bosc.touch(), await bosc.touch()]
  assert.notEqual(a.link, b.link)
  for (const made of [a, b]) {
    assert.match(made.link, /^pear:\/\/[ybndrfg8ejkmcpqxot1uwisza345h769]{52}$/)
    assert.equal(made.link, `pear://${made.key}`)
    assert.match(made.name, /^[0-9a-f]{32}$/)
    assert.equal(idEncoding.decode(made.key).length, 32)
  }
})

test('a staged tree arrives byte for byte', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp())
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const staged = await bosc.stage(link, dir)
  await bosc.seed(link)

  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive, { server: false })
  await js.head(drive, { length: staged.version })
  await js.fetchAll(drive)
  await assertSameDrive(drive, staged)

  const expected = snapshot(dir)
  assert.deepEqual(await driveSnapshot(drive), expected)

  const out = f.fresh()
  const local = new Localdrive(out)
  await within(30_000, 'mirror', drive.mirror(local).done())
  assert.deepEqual(snapshot(out), expected)

  const info = await bosc.info(link)
  await assertSameDrive(drive, info)
  assert.equal(info.name, 'demo')
  assert.equal(info.version, '1.0.0')
  assert.equal(info.productName, 'Demo')
  assert.equal(info.length, staged.version)
  assert.equal(info.fork, 0)
  assert.equal(info.writable, true)
})

test('staging again: unchanged appends nothing, a change appends no more than JavaScript does', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 12_000_000 }))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const first = await bosc.stage(link, dir)

  const again = await bosc.ok('stage', link, dir)
  assert.equal(again.last('addendum').verlink, first.verlink)
  assert.equal(again.last('addendum').blobs.length, first.blobs.length)
  assert.deepEqual(again.all('byte-diff'), [])

  const js = f.js({ swarm: false })
  const twin = await js.touch()
  await jsStage(twin, dir)
  const before = (await describe(twin)).blobs.byteLength

  const app = path.join(dir, 'by-arch/linux-x64/app/Demo')
  const data = fs.readFileSync(app)
  const middle = data.length >> 1
  fs.writeFileSync(app, Buffer.concat([data.subarray(0, middle), noise(99, 100), data.subarray(middle)]))
  writeTree(dir, { 'CHANGELOG.md': '# Changelog\n\n## v1.0.1\n', 'added.txt': 'new\n' })
  fs.rmSync(path.join(dir, 'by-arch/linux-x64/app/data/one'))
  fs.chmodSync(path.join(dir, 'by-arch/linux-x64/app/lib/run.sh'), 0o644)

  const dry = await bosc.ok('stage', link, dir, '--dry-run')
  assert.equal((await bosc.info(link)).verlink, first.verlink, 'a dry run writes nothing')
  const real = await bosc.ok('stage', link, dir)
  const names = (p) => p.all('byte-diff').map((d) => `${d.type} ${d.message}`).sort()
  assert.deepEqual(names(real), [
    '-1 /by-arch/linux-x64/app/data/one',
    '0 /CHANGELOG.md',
    '0 /by-arch/linux-x64/app/Demo',
    '0 /by-arch/linux-x64/app/lib/run.sh',
    '1 /added.txt'
  ])
  assert.deepEqual(names(dry), names(real))

  const second = real.last('addendum')
  await jsStage(twin, dir)
  const byJs = (await describe(twin)).blobs.byteLength - before
  const byBosc = second.blobs.byteLength - first.blobs.byteLength
  assert.ok(byBosc > 0 && byBosc <= byJs, `bosc appended ${byBosc} bytes, JavaScript ${byJs}`)

  await bosc.seed(link)
  const reader = f.js()
  const drive = await reader.drive(link)
  await reader.join(drive, { server: false })
  await reader.head(drive, { length: second.version })
  await reader.fetchAll(drive)
  assert.deepEqual(await driveSnapshot(drive), snapshot(dir))
  await assertSameDrive(drive, second)
  const old = drive.checkout(first.version)
  assert.equal((await old.get('/CHANGELOG.md')).toString(), '# Changelog\n\n## v1.0.0\n\n- version 1.0.0\n')
  await old.close()
})

test('a drive of many files, staged in one batch', { timeout }, async (t) => {
  const f = await fixture(t)
  const extra = {}
  for (let i = 0; i < 700; i++) extra[`many/${i % 13}/file-${i}.txt`] = `${i}\n`.repeat(1 + (i % 50))
  const dir = f.tree(sampleApp({ size: 10_000, extra }))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const staged = await bosc.stage(link, dir)
  await bosc.seed(link)
  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive, { server: false })
  await js.head(drive, { length: staged.version })
  await js.fetchAll(drive)
  assert.deepEqual(await driveSnapshot(drive), snapshot(dir))
  const names = []
  for await (const name of drive.readdir('/many')) names.push(name)
  assert.equal(names.length, 13)
})

test('seed --until-sync ends when the named peer holds a full copy', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp())
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const staged = await bosc.stage(link, dir)
  const js = f.js()
  const key = idEncoding.encode(js.swarm.keyPair.publicKey)
  const seeding = await bosc.seed(link, '--until-sync', key)
  const drive = await js.drive(link)
  await js.join(drive, { server: false })
  await js.head(drive, { length: staged.version })
  assert.equal(seeding.running, true)
  await js.fetchAll(drive)
  await within(30_000, 'end of seed', seeding.exited)
  assert.equal(seeding.code, 0, seeding.describe())
  assert.equal(seeding.last('peer-sync'), key)
  assert.equal(seeding.last('final').success, true)
  const peers = seeding.all('peer-add').map((k) => idEncoding.encode(idEncoding.decode(k)))
  assert.ok(peers.includes(key))
})

test('killed at any moment and run again, stage ends as an undisturbed run does', {
  timeout,
  skip: isStandIn() && 'its stores are copied'
}, async (t) => {
  const f = await fixture(t, { network: null })
  const dir = f.tree({ ...sampleApp({ version: '1.0.0', size: 400_000 }), 'big.bin': noise(7, 40_000_000) })
  let { store } = f.bosc()
  const { link } = await f.bosc({ store }).touch()
  const copy = () => {
    const to = f.fresh('store')
    fs.cpSync(store, to, { recursive: true })
    return f.bosc({ store: to })
  }
  let killed = 0
  for (const version of ['1.0.0', '1.0.1']) {
    if (version === '1.0.1') {
      writeTree(dir, { ...sampleApp({ version, size: 400_000 }), 'big.bin': noise(8, 40_000_000), more: 'more' })
    }
    const undisturbed = copy()
    const start = performance.now()
    const want = await undisturbed.stage(link, dir, '--sole-copy')
    const took = performance.now() - start
    for (let i = 0; i < 12; i++) {
      const bosc = copy()
      const p = bosc.start('stage', link, dir, '--sole-copy')
      await sleep((took * i) / 11)
      p.child.kill('SIGKILL')
      await p.exited
      if (p.signal === 'SIGKILL') killed++
      const again = await bosc.stage(link, dir, '--sole-copy')
      assert.equal(again.hashlink, want.hashlink, `${version}, killed after ${(i * took) / 11} ms`)
      assert.deepEqual(again.blobs, want.blobs)
    }
    const out = f.fresh('out')
    await undisturbed.dump(link, out)
    assert.deepEqual(snapshot(out), snapshot(dir))
    store = undisturbed.store
  }
  assert.ok(killed >= 6, `only ${killed} of 24 were killed while they ran`)
})
