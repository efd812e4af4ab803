// Bytes that rot in a store of bosc: JavaScript peers never get them, the store finds them, and mends them from others.
import fs from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import assert from 'node:assert/strict'
import { assertContent, assertDump, assertFailed } from '../lib/check.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { fixture } from '../lib/fixture.mjs'
import { describe, jsStage } from '../lib/net.mjs'
import { noise, sampleApp, snapshot } from '../lib/tree.mjs'

const timeout = 180_000
const skip = isStandIn() ? 'the store of bosc alone' : false
const synced = (length) => (s) => s.driveLength >= length && s.driveSynced && s.blobsSynced

/** Changes one byte at each of `places` (fractions of the whole) of the store's segments. */
function rot(store, places) {
  const data = path.join(store, 'data')
  const files = fs.readdirSync(data).map((name) => path.join(data, name))
  const total = files.reduce((sum, file) => sum + fs.statSync(file).size, 0)
  for (const place of places) {
    let at = Math.floor(total * place)
    for (const file of files) {
      const size = fs.statSync(file).size
      if (at >= size) {
        at -= size
        continue
      }
      const fd = fs.openSync(file, 'r+')
      const byte = Buffer.alloc(1)
      fs.readSync(fd, byte, 0, 1, at)
      byte[0] ^= 0x10
      fs.writeSync(fd, byte, 0, 1, at)
      fs.closeSync(fd)
      break
    }
  }
}

const tree = (f) => f.tree({ ...sampleApp({ size: 4_000_000 }), 'noise.bin': noise(9, 6_000_000) })

test('a seeder with rot gives a JavaScript peer nothing wrong, and mends itself from another one', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = tree(f)
  const origin = f.js()
  const drive = await origin.touch()
  await jsStage(drive, dir)
  const { link, length } = await describe(drive)
  await origin.join(drive)
  const bosc = f.bosc()
  const first = await bosc.seed(link)
  await first.until('stats', synced(length))
  await first.stop('SIGTERM')
  rot(bosc.store, [0.2, 0.5, 0.8])

  // The origin is away: the seeder is alone with its rot.
  await origin.offline()
  const seeding = await bosc.seed(link)
  const reader = f.js()
  const copy = await reader.drive(link)
  await reader.join(copy, { server: false })
  await reader.head(copy, { length })
  const fetched = reader.fetchAll(copy, { timeout: 120_000 })
  const found = await seeding.until('stats', (s) => s.scrub.passes >= 1, { timeout: 60_000 })
  // JavaScript stages large blocks: two of the places may be in one.
  const { damaged } = found.scrub
  assert.ok(damaged >= 2 && damaged <= 3, seeding.describe())
  assert.equal(found.scrub.repaired, 0)
  assert.ok(found.scrub.totalBytes < 10_000_000 && found.scrub.checkedBytes <= found.scrub.totalBytes)
  assert.equal(found.blobsSynced, false, 'what is damaged does not count as here')
  const damage = seeding.all('damaged')
  assert.equal(damage.reduce((sum, d) => sum + d.blocks, 0), damaged)
  assert.equal(damage.at(-1).missing, damaged)

  // It comes back: all of it is right everywhere, and the seeder is whole by itself.
  origin.online({ bootstrap: f.bootstrap })
  await origin.join(drive)
  await fetched
  await assertContent(copy, 0, snapshot(dir))
  const mended = await seeding.until('stats', (s) => s.scrub.repaired === damaged && s.blobsSynced, { timeout: 60_000 })
  assert.equal(mended.scrub.damaged, damaged)
  assert.equal(seeding.all('repaired').reduce((sum, d) => sum + d.blocks, 0), damaged)
  assert.equal(seeding.running, true)
  await seeding.stop('SIGTERM')
  await origin.close()
  const checked = (await bosc.ok('store', 'check')).last('final')
  assert.equal(checked.damaged, 0)
  await assertDump(bosc, link, f.fresh(), snapshot(dir))
})

test('gc keeps what is damaged, with a reason, until it is told to', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const origin = f.bosc()
  const { link } = await origin.touch()
  await origin.stage(link, tree(f))
  const first = await origin.seed(link)
  const copy = f.bosc()
  const seeding = await copy.seed(link)
  const { length } = await origin.info(link)
  await seeding.until('stats', synced(length))
  await seeding.stop('SIGTERM')
  await first.stop('SIGTERM')
  rot(copy.store, [0.5])
  assertFailed(await copy.end(['store', 'check']), 'ERR_STORE_DAMAGED')
  for (const dry of [['--dry-run'], []]) {
    const kept = await copy.ok('gc', 'downloads', ...dry)
    assert.equal(kept.last('final').blocks, 0, kept.describe())
    const [told] = kept.all('cores')
    assert.deepEqual([told.skipped, told.blocks], [true, 0])
    assert.match(told.reason, /damaged: repair it first/)
  }
  const gone = await copy.ok('gc', 'downloads', '--force')
  assert.ok(gone.last('final').blocks > 0, gone.describe())
})

test('damaged entries are told as damage, also when they are known to be, and nobody is blamed', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = tree(f)
  const origin = f.bosc()
  const { link } = await origin.touch()
  await origin.stage(link, dir)
  const copy = f.js()
  const drive = await copy.drive(link)
  const seeding = await origin.seed(link)
  await copy.join(drive)
  await copy.head(drive)
  await copy.fetchAll(drive)
  await seeding.stop('SIGTERM')
  await copy.offline()
  const data = path.join(origin.store, 'data')
  for (const name of fs.readdirSync(data)) fs.truncateSync(path.join(data, name), 100_000)
  for (let i = 0; i < 2; i++) {
    const refused = await origin.end(['dump', link, f.fresh(), '--timeout', '3'])
    assertFailed(refused, 'ERR_STORE_DAMAGED')
    assert.match(refused.last('error').hint, /store repair/)
  }
  // All of it is known to be damaged: it comes from the peer.
  assertFailed(await origin.end(['store', 'check']), 'ERR_STORE_DAMAGED')
  copy.online({ bootstrap: f.bootstrap })
  await copy.join(drive)
  await assertDump(origin, link, f.fresh(), snapshot(dir))
  await copy.close()
})

test('a dump never writes rot and fetches what is damaged, and a scrub finds what nobody asked for', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = tree(f)
  const origin = f.bosc()
  const { link } = await origin.touch()
  await origin.stage(link, dir)
  const good = f.js()
  const copy = await good.drive(link)
  const first = await origin.seed(link)
  await good.join(copy)
  await good.head(copy)
  await good.fetchAll(copy)
  await first.stop('SIGTERM')

  rot(origin.store, [0.3])
  // Whoever wrote it reads it without the network: nothing wrong gets out.
  const out = f.fresh()
  const refused = await origin.end(['dump', link, out])
  assertFailed(refused, 'ERR_STORE_DAMAGED')
  assert.match(refused.last('error').hint, /store repair/)
  // What is known to be damaged comes from the peer.
  await assertDump(origin, link, out, snapshot(dir), '--force')
  rot(origin.store, [0.6])
  const seeding = await origin.seed(link)
  await seeding.until('stats', (s) => s.scrub.repaired >= 1 && s.scrub.passes >= 1, { timeout: 60_000 })
  await seeding.stop('SIGTERM')
  await good.close()
  assert.equal((await origin.ok('store', 'check', link)).last('final').damaged, 0)
})

test('store check and store repair, with peers and without', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const dir = tree(f)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  await bosc.stage(link, dir)
  const whole = await bosc.ok('store', 'check')
  assert.ok(whole.last('final').blocks > 10)
  assert.equal(whole.last('database').state, 'ok')
  const good = f.js()
  const copy = await good.drive(link)
  const first = await bosc.seed(link)
  await good.join(copy)
  await good.head(copy)
  await good.fetchAll(copy)
  // Handed over to the process that has the store.
  assert.equal((await bosc.ok('store', 'check', link)).last('final').damaged, 0)
  await first.stop('SIGTERM')
  await good.offline()

  rot(bosc.store, [0.25, 0.75])
  const bad = await bosc.end(['store', 'check'])
  assertFailed(bad, 'ERR_STORE_DAMAGED')
  assert.equal(bad.code, 5)
  assert.equal(bad.all('checked').reduce((sum, c) => sum + c.damaged, 0), 2)
  assert.equal(bad.all('checked').flatMap((c) => c.damagedBlocks).length, 2)
  const sick = await bosc.end(['doctor', link, '--timeout', '3'])
  assert.equal(sick.all('finding').find((x) => x.check === 'damage')?.level, 'bad')

  const alone = await bosc.end(['store', 'repair', link, '--timeout', '3'])
  assertFailed(alone, 'ERR_STORE_DAMAGED')
  assert.equal(alone.code, 5)
  assert.equal(alone.all('repaired').reduce((sum, c) => sum + c.missing, 0), 2)
  const head = (await bosc.info(link)).verlink

  good.online({ bootstrap: f.bootstrap })
  await good.join(copy)
  const mended = await bosc.ok('store', 'repair', '--timeout', '30')
  assert.deepEqual(mended.last('final'), { blocks: 2, missing: 0, success: true })
  assert.equal((await bosc.info(link)).verlink, head)
  assert.equal((await bosc.ok('store', 'check')).last('final').damaged, 0)
  await assertContent(copy, 0, snapshot(dir))
})

test('a store without its database is damaged, whatever is asked of it', { timeout, skip }, async (t) => {
  const f = await fixture(t, { network: null })
  const bosc = f.bosc({ bootstrap: [{ host: '127.0.0.1', port: 9 }] })
  const nothing = await bosc.end(['store', 'check'])
  assertFailed(nothing, 'ERR_NOT_FOUND')
  assert.deepEqual(fs.readdirSync(bosc.store), [])

  const { link } = await bosc.touch()
  await bosc.stage(link, f.tree(sampleApp()))
  const database = path.join(bosc.store, 'bosc.redb')
  const segment = path.join(bosc.store, 'data', '000001.seg')
  const kept = fs.readFileSync(segment)
  const whole = fs.readFileSync(database)
  for (const bytes of [Buffer.alloc(0), null, Buffer.alloc(4096), Buffer.from('x'.repeat(5000)), whole.subarray(0, whole.length / 2)]) {
    if (bytes) fs.writeFileSync(database, bytes)
    else fs.rmSync(database)
    for (const args of [['touch'], ['cores'], ['store', 'check'], ['gc', 'store'], ['stage', link, f.dir]]) {
      const p = await bosc.end(args)
      assertFailed(p, 'ERR_STORE_DAMAGED')
      assert.equal(p.code, 5)
      const error = p.last('error')
      assert.match(error.message, /bosc\.redb/)
      for (const way of ['keys import', 'store repair', 'gc store']) assert.ok(error.hint.includes(way), error.hint)
    }
    assert.ok(fs.readFileSync(segment).equals(kept))
    if (bytes) assert.ok(fs.readFileSync(database).equals(bytes))
  }
  fs.writeFileSync(database, whole)
  assert.equal((await bosc.ok('store', 'check')).last('final').damaged, 0)
})
