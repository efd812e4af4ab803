// One key pair, two implementations: history made by one is continued by the other.
import test from 'node:test'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import idEncoding from 'hypercore-id-encoding'
import { assertContent, assertDump, assertSameDrive } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { describe, jsStage } from '../lib/net.mjs'
import { driveSnapshot, noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 180_000
const at = (length) => (s) => s.driveLength === length && s.driveSynced && s.blobsSynced

/** A bosc and a JavaScript peer whose stores have the same primary key, and a link of that key. */
async function twins(t) {
  const f = await fixture(t)
  const primaryKey = randomBytes(32)
  const bosc = f.bosc({ env: { BOSC_PRIMARY_KEY: primaryKey.toString('hex') } })
  const { link, key, name } = await bosc.touch()
  const js = f.js({ primaryKey })
  const drive = await js.touch(name)
  assert.equal(idEncoding.encode(drive.key), key, 'the same name makes the same key')
  assert.equal(drive.writable, true)
  return { f, bosc, js, drive, link }
}

test('bosc stages, JavaScript edits, bosc stages on; every version stays readable in both', { timeout }, async (t) => {
  const { f, bosc, js, drive, link } = await twins(t)
  const dir = f.tree(sampleApp({ size: 2_000_000 }))
  const v1 = { ...(await bosc.stage(link, dir)), tree: snapshot(dir) }
  const seeding = await bosc.seed(link)

  await js.join(drive)
  await js.head(drive, { length: v1.version })
  await js.fetchAll(drive)
  await assertSameDrive(drive, v1)

  const batch = drive.batch()
  await batch.put('/package.json', JSON.stringify({ name: 'demo', version: '1.1.0' }))
  await batch.put('/from-js/data', noise(77, 300_000), { executable: true })
  await batch.symlink('/from-js/link', 'data')
  await batch.del('/by-arch/linux-x64/app/data/one')
  await batch.flush()
  const v2 = { ...(await describe(drive)), tree: await driveSnapshot(drive) }
  assert.ok(v2.length > v1.version)
  await seeding.until('stats', at(v2.length))
  await assertSameDrive(drive, await bosc.info(link))

  writeTree(dir, sampleApp({ version: '1.2.0', size: 2_000_000, extra: { 'from-bosc': noise(78, 150_000) } }))
  const v3 = { ...(await bosc.stage(link, dir)), tree: snapshot(dir) }
  assert.ok(v3.version > v2.length)
  await js.head(drive, { length: v3.version })
  await js.fetchAll(drive)
  await assertSameDrive(drive, v3)

  for (const [length, tree] of [[v1.version, v1.tree], [v2.length, v2.tree], [v3.version, v3.tree]]) {
    await assertContent(drive, length, tree)
    await assertDump(bosc, link, f.fresh(), tree, '--checkout', length)
  }
})

test('JavaScript stages, bosc stages on, JavaScript stages on', { timeout }, async (t) => {
  const { f, bosc, js, drive, link } = await twins(t)
  const dir = f.tree(sampleApp({ size: 2_000_000 }))
  await jsStage(drive, dir)
  const v1 = { ...(await describe(drive)), tree: snapshot(dir) }
  await js.join(drive)
  const seeding = await bosc.seed(link)
  await seeding.until('stats', at(v1.length))

  writeTree(dir, { 'package.json': JSON.stringify({ name: 'demo', version: '2.0.0' }), 'new.bin': noise(12, 100_000) })
  const v2 = { ...(await bosc.stage(link, dir)), tree: snapshot(dir) }
  await js.head(drive, { length: v2.version })
  await js.fetchAll(drive)
  await assertSameDrive(drive, v2)

  writeTree(dir, { 'package.json': JSON.stringify({ name: 'demo', version: '3.0.0' }) })
  await jsStage(drive, dir)
  const v3 = { ...(await describe(drive)), tree: snapshot(dir) }
  assert.equal(v3.length, v2.version + 1, 'JavaScript sees one changed file')
  await seeding.until('stats', at(v3.length))
  await assertSameDrive(drive, await bosc.info(link))

  for (const [length, tree] of [[v1.length, v1.tree], [v2.version, v2.tree], [v3.length, v3.tree]]) {
    await assertContent(drive, length, tree)
    await assertDump(bosc, link, f.fresh(), tree, '--checkout', length)
  }
})
