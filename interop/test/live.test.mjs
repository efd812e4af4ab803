// Appends reach the other side by themselves while both are connected.
import test from 'node:test'
import assert from 'node:assert/strict'
import { fixture } from '../lib/fixture.mjs'
import { describe, jsStage, waitFor } from '../lib/net.mjs'
import { assertContent, assertDump } from '../lib/check.mjs'
import { sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 120_000
// Generous: it separates "pushed" from "found by the next lookup", which is minutes away in both systems.
const SOON = 5_000
const at = (length) => (s) => s.driveLength === length && s.driveSynced && s.blobsSynced

test('what JavaScript appends arrives in a connected bosc', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 500_000 }))
  const js = f.js()
  const drive = await js.touch()
  await jsStage(drive, dir)
  await js.join(drive)
  const { link } = await describe(drive)
  const bosc = f.bosc()
  const seeding = await bosc.seed(link)
  await seeding.until('stats', at(drive.core.length))

  for (let round = 1; round <= 5; round++) {
    writeTree(dir, { 'round.txt': `round ${round}\n`, [`file-${round}`]: 'x'.repeat(round * 1000) })
    await jsStage(drive, dir)
    const appended = performance.now()
    const line = await seeding.untilLine('stats', at(drive.core.length), { timeout: SOON })
    assert.ok(line.at - appended < SOON)
  }
  await assertDump(bosc, link, f.fresh(), snapshot(dir))
})

test('what bosc stages while bosc seeds arrives in a connected JavaScript peer', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 500_000 }))
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const first = await bosc.stage(link, dir)
  const seeding = await bosc.seed(link)
  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive, { server: false })
  await js.head(drive, { length: first.version })

  for (let round = 1; round <= 5; round++) {
    // No update(), no download: only the event.
    const arrived = new Promise((resolve) => {
      const on = () => {
        drive.core.off('append', on)
        resolve(performance.now())
      }
      drive.core.on('append', on)
    })
    writeTree(dir, { 'round.txt': `round ${round}\n`, [`file-${round}`]: 'x'.repeat(round * 1000) })
    const staging = await bosc.ok('stage', link, dir)
    const done = performance.now()
    const { version } = staging.last('addendum')
    await waitFor(() => drive.core.length === version, { timeout: SOON, what: () => `length ${version}` })
    assert.ok((await arrived) - done < SOON)
    assert.equal((await drive.get('/round.txt')).toString(), `round ${round}\n`)
    await seeding.until('stats', at(version))
  }
  await assertContent(drive, 0, snapshot(dir))
})

test('bosc to bosc, and through bosc to JavaScript', { timeout }, async (t) => {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 500_000 }))
  const author = f.bosc()
  const { link } = await author.touch()
  const first = await author.stage(link, dir)
  await author.seed(link)
  const relay = f.bosc()
  const relaying = await relay.seed(link)
  await relaying.until('stats', at(first.version))
  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive, { server: false })
  await js.head(drive, { length: first.version })

  writeTree(dir, { 'round.txt': 'later\n' })
  const second = await author.stage(link, dir)
  await relaying.until('stats', at(second.version), { timeout: SOON })
  await waitFor(() => drive.core.length === second.version, { timeout: SOON, what: () => 'the relayed head' })
  assert.equal((await drive.get('/round.txt')).toString(), 'later\n')
})

test('a seeder started before anyone else finds those who come later', { timeout }, async (t) => {
  const f = await fixture(t)
  const bosc = f.bosc()
  const { link } = await bosc.touch()
  const seeding = await bosc.seed(link)
  const js = f.js()
  const drive = await js.drive(link)
  await js.join(drive, { server: false })
  await seeding.until('peer-add')
  assert.equal(drive.core.length, 0)
  const staged = await bosc.stage(link, f.tree(sampleApp({ size: 1000 })))
  await waitFor(() => drive.core.length === staged.version, { timeout: SOON, what: () => 'the first append' })
  const entry = await drive.entry('/package.json')
  assert.notEqual(entry, null)
})
