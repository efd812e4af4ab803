// JavaScript stages and seeds, bosc finds, reports and dumps.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { assertDump, assertFailed, assertSameDrive } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { describe, jsStage } from '../lib/net.mjs'
import { driveSnapshot, noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 120_000

test('info and dump of a drive staged by JavaScript', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp())
  const js = f.js()
  const drive = await js.touch()
  await jsStage(drive, dir)
  await js.join(drive)
  const { link, verlink, hashlink } = await describe(drive)

  const bosc = f.bosc()
  const info = await bosc.info(link)
  await assertSameDrive(drive, info)
  assert.equal(info.name, 'demo')
  assert.equal(info.version, '1.0.0')
  assert.equal(info.writable, false)

  await assertDump(bosc, link, f.fresh(), snapshot(dir))
  await assertDump(f.bosc(), verlink, f.fresh(), snapshot(dir))
  await assertDump(f.bosc(), hashlink, f.fresh(), snapshot(dir))
})

test('dump follows a deduplicated second version and reads the first', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 12_000_000 }))
  const js = f.js()
  const drive = await js.touch()
  await jsStage(drive, dir)
  const first = { ...(await describe(drive)), tree: snapshot(dir) }
  await js.join(drive)

  const bosc = f.bosc()
  const out = f.fresh()
  await assertDump(bosc, first.link, out, first.tree)

  const app = path.join(dir, 'by-arch/linux-x64/app/Demo')
  const data = fs.readFileSync(app)
  fs.writeFileSync(app, Buffer.concat([data.subarray(0, 6_000_000), noise(5, 100), data.subarray(6_000_000)]))
  fs.rmSync(path.join(dir, 'by-arch/linux-x64/app/data/one'))
  fs.rmSync(path.join(dir, 'by-arch/linux-x64/app/lib/up'))
  writeTree(dir, { 'by-arch/linux-x64/app/lib/current': { link: '../data/block' } })
  await jsStage(drive, dir)
  const second = await describe(drive)

  // Into the same folder: changed files are replaced, files that are gone are removed.
  await assertDump(bosc, second.verlink, out, snapshot(dir), '--force')
  await assertDump(bosc, second.link, f.fresh(), first.tree, '--checkout', first.length)
  await assertDump(f.bosc(), first.verlink, f.fresh(), first.tree)
  await assertSameDrive(drive, await bosc.info(second.verlink))
})

test('dump refuses a folder that is not empty, unless forced', { timeout }, async (t) => {
  const f = await fixture(t)
  const js = f.js()
  const drive = await js.touch()
  await jsStage(drive, f.tree(sampleApp({ size: 1000 })))
  await js.join(drive)
  const { link } = await describe(drive)
  const bosc = f.bosc()
  const out = f.tree({ 'mine.txt': 'keep me' })
  assertFailed(await bosc.end(['dump', link, out]), 'ERR_DIR_NONEMPTY')
  assert.deepEqual(Object.keys(snapshot(out)), ['mine.txt'])
})

test('drives written by put(), by write streams and without dedup', { timeout }, async (t) => {
  const f = await fixture(t)
  const js = f.js()
  const drive = await js.touch()
  await drive.put('/package.json', JSON.stringify({ name: 'put', version: '0.1.0' }))
  await drive.put('/put/large', noise(3, 1_000_003))
  await drive.put('/put/empty', Buffer.alloc(0))
  await drive.put('/put/exec', Buffer.from('#!/bin/sh\n'), { executable: true })
  await drive.put('/put/meta', Buffer.from('m'), { metadata: { any: ['thing', 1, null] } })
  await drive.symlink('/put/link', 'large')
  await drive.put('/gone', Buffer.from('gone'))
  await drive.del('/gone')
  await new Promise((resolve, reject) => {
    const ws = drive.createWriteStream('/stream')
    ws.on('error', reject).on('close', resolve)
    for (let i = 0; i < 40; i++) ws.write(noise(i + 1, 1 + i * 977))
    ws.end()
  })
  await js.join(drive)
  const expected = await driveSnapshot(drive)
  const { link } = await describe(drive)
  await assertDump(f.bosc(), link, f.fresh(), expected)
})

test('a drive of several thousand entries', { timeout }, async (t) => {
  const f = await fixture(t)
  const js = f.js()
  const drive = await js.touch()
  const batch = drive.batch()
  for (let i = 0; i < 3000; i++) await batch.put(`/n/${i % 37}/${(i * 7919) % 3001}.txt`, Buffer.from(`content ${i}\n`))
  await batch.put('/package.json', Buffer.from('{"name":"many","version":"1.0.0"}'))
  await batch.flush()
  await js.join(drive)
  const expected = await driveSnapshot(drive)
  const { link } = await describe(drive)
  await assertDump(f.bosc(), link, f.fresh(), expected)
})

test('touched but never staged: info says empty', { timeout }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const p = await bosc.ok('info', link)
  assert.equal(p.all('empty').length, 1)
  assert.equal(p.all('info').length, 0)
})
