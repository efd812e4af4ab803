// A truncated stage link: the other side follows the reorganisation to the new fork.
import test from 'node:test'
import assert from 'node:assert/strict'
import { assertContent, assertDump, assertFailed, assertSameDrive } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { describe, jsStage } from '../lib/net.mjs'
import { sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 120_000
const at = (length, fork) => (s) => s.driveLength === length && s.driveFork === fork && s.driveSynced && s.blobsSynced

test('bosc truncates and stages on, a connected JavaScript peer follows', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 1_500_000 }))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const v1 = { ...(await bosc.stage(link, dir)), tree: snapshot(dir) }
  writeTree(dir, { 'wrong.txt': 'a mistake\n', 'package.json': JSON.stringify({ name: 'demo', version: '1.1.0' }) })
  const v2 = await bosc.stage(link, dir)
  await bosc.seed(link)

  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive)
  await js.head(drive, { length: v2.version })
  await js.fetchAll(drive)
  await assertSameDrive(drive, v2)

  const right = f.tree(sampleApp({ size: 1_500_000, version: '1.2.0', extra: { 'right.txt': 'better\n' } }))
  const v3 = await bosc.stage(link, right, '--truncate', v1.version)
  assert.match(v3.verlink, /^pear:\/\/1\./)
  await js.head(drive, { length: v3.version, fork: 1 })
  await js.fetchAll(drive)
  await assertSameDrive(drive, v3)
  assert.equal(v3.blobs.fork, 1)
  await assertContent(drive, 0, snapshot(right))
  await assertContent(drive, v1.version, v1.tree)

  // A peer that starts with the fork, and one that gets it through the first.
  const late = f.js()
  const copy = await late.drive(link)
  await late.join(copy, { server: false })
  await late.head(copy, { length: v3.version, fork: 1 })
  await late.fetchAll(copy)
  await assertSameDrive(copy, v3)
})

test('JavaScript truncates and stages on, a connected bosc follows', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 1_500_000 }))
  const js = f.js()
  const drive = await js.touch()
  await jsStage(drive, dir)
  const v1 = { ...(await describe(drive)), tree: snapshot(dir) }
  writeTree(dir, { 'wrong.txt': 'a mistake\n', 'big-wrong': 'wrong'.repeat(50_000) })
  await jsStage(drive, dir)
  const v2 = await describe(drive)
  await js.join(drive)

  const bosc = f.bosc()
  const seeding = await bosc.seed(v1.link)
  await seeding.until('stats', at(v2.length, 0))

  await drive.truncate(v1.length)
  assert.equal(drive.core.fork, 1)
  const right = f.tree(sampleApp({ size: 1_500_000, version: '1.2.0', extra: { 'right.txt': 'better\n' } }))
  await jsStage(drive, right)
  const v3 = await describe(drive)
  await seeding.until('stats', at(v3.length, 1))
  await assertSameDrive(drive, await bosc.info(v1.link))
  await assertDump(bosc, v1.link, f.fresh(), snapshot(right))
  await assertDump(bosc, v1.link, f.fresh(), v1.tree, '--checkout', v1.length)
  await assertDump(f.bosc(), v3.verlink, f.fresh(), snapshot(right))

  // What bosc followed it can pass on.
  await js.offline()
  const reader = f.js()
  const copy = await reader.drive(v1.link)
  await reader.join(copy, { server: false })
  await reader.head(copy, { length: v3.length, fork: 1 })
  await reader.fetchAll(copy)
  await assertContent(copy, 0, snapshot(right))
})

test('a fork to a shorter history is followed too, in both directions', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 400_000 }))
  const js = f.js()
  const drive = await js.touch()
  await jsStage(drive, dir)
  const v1 = { ...(await describe(drive)), tree: snapshot(dir) }
  for (let i = 0; i < 3; i++) {
    writeTree(dir, { [`more-${i}`]: `${i}`.repeat(1000) })
    await jsStage(drive, dir)
  }
  await js.join(drive)
  const bosc = f.bosc()
  const seeding = await bosc.seed(v1.link)
  await seeding.until('stats', at(drive.core.length, 0))
  await drive.truncate(v1.length)
  await seeding.until('stats', at(v1.length, 1))
  await assertSameDrive(drive, await bosc.info(v1.link))
  await assertDump(bosc, v1.link, f.fresh(), v1.tree)

  const author = f.bosc()
  const { link } = await author.touch()
  const tree = f.tree(sampleApp({ size: 400_000 }))
  const one = await author.stage(link, tree)
  const first = snapshot(tree)
  writeTree(tree, { more: 'x', 'and more': 'y' })
  const two = await author.stage(link, tree)
  await author.seed(link)
  const copy = await js.drive(link)
  await js.join(copy, { server: false })
  await js.head(copy, { length: two.version })
  // Staging the old tree on the old length appends nothing: the fork is the truncation alone.
  const back = await author.stage(link, f.tree(sampleApp({ size: 400_000 })), '--truncate', one.version)
  assert.equal(back.version, one.version)
  await js.head(copy, { length: one.version, fork: 1 })
  assert.equal(copy.core.length, one.version)
  await js.fetchAll(copy)
  await assertSameDrive(copy, back)
  await assertContent(copy, 0, first)
})

test('truncating to a length that is no release is refused', { timeout }, async (t) => {
  const f = await fixture(t, { network: null })
  const dir = f.tree(sampleApp({ size: 1000 }))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const v1 = await bosc.stage(link, dir)
  assertFailed(await bosc.end(['stage', link, dir, '--truncate', v1.version + 5]), 'ERR_INVALID_INPUT')
  assertFailed(await bosc.end(['stage', link, dir, '--truncate', v1.version - 3]), 'ERR_INVALID_INPUT')
  assertFailed(await bosc.end(['stage', link, dir, '--truncate', 'many']), 'ERR_INVALID_INPUT')
  assert.equal((await bosc.info(link)).verlink, v1.verlink)
})
