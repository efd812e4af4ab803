// Seeders that are not the origin: the first one leaves, the second one completes the download.
import test from 'node:test'
import assert from 'node:assert/strict'
import { assertContent, assertDump, assertSameDrive } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { describe, jsStage } from '../lib/net.mjs'
import { sampleApp, snapshot } from '../lib/tree.mjs'

const timeout = 120_000
const synced = (length) => (s) => s.driveLength >= length && s.driveSynced && s.blobsSynced

test('bosc seeds a JavaScript drive on when its origin is gone', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 8_000_000 }))
  const origin = f.js()
  const drive = await origin.touch()
  await jsStage(drive, dir)
  const staged = await describe(drive)
  await origin.join(drive)

  const bosc = f.bosc()
  const seeding = await bosc.seed(staged.link)
  await seeding.until('stats', synced(staged.length))
  assert.equal(seeding.last('key'), staged.blobs.key)
  await origin.close()

  const reader = f.js()
  const copy = await reader.drive(staged.link)
  await reader.join(copy, { server: false })
  await reader.head(copy, { length: staged.length })
  await reader.fetchAll(copy)
  await assertContent(copy, 0, snapshot(dir))
  await assertSameDrive(copy, await bosc.info(staged.link))
  assert.equal(seeding.running, true)
})

test('JavaScript seeds a bosc drive on when its origin is gone, for both kinds', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 8_000_000 }))
  const origin = f.bosc()
  const { link } = await origin.touch()
  const staged = await origin.stage(link, dir)
  const seeding = await origin.seed(link)

  const second = f.js()
  const drive = await second.drive(link)
  await second.join(drive)
  await second.head(drive, { length: staged.version })
  await second.fetchAll(drive)
  await seeding.stop()
  assert.ok([0, 130].includes(seeding.code), seeding.describe())

  await assertDump(f.bosc(), link, f.fresh(), snapshot(dir))
  const third = f.js()
  const copy = await third.drive(link)
  await third.join(copy, { server: false })
  await third.head(copy, { length: staged.version })
  await third.fetchAll(copy)
  await assertContent(copy, 0, snapshot(dir))
})

test('bosc keeps what it has over a restart and seeds it alone', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp())
  const origin = f.js()
  const drive = await origin.touch()
  await jsStage(drive, dir)
  const { link, length } = await describe(drive)
  await origin.join(drive)
  const bosc = f.bosc()
  const before = await bosc.seed(link)
  await before.until('stats', synced(length))
  await before.stop('SIGTERM')
  await origin.close()

  const after = await bosc.seed(link)
  await after.until('stats', synced(length))
  await assertDump(f.bosc(), link, f.fresh(), snapshot(dir))
})
