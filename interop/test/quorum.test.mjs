// A drive signed by two of three: accepted with a quorum, refused with less.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { assertDump, assertFailed, assertSameDrive } from '../lib/check.mjs'
import { fixture } from '../lib/fixture.mjs'
import { describe, jsStage } from '../lib/net.mjs'
import { QuorumDrive, signers } from '../lib/quorum.mjs'
import { sampleApp, snapshot, writeTree } from '../lib/tree.mjs'

const timeout = 120_000

async function quorumFixture(t, by = [0, 2], count = 3, quorum = 2) {
  const f = await fixture(t)
  const dir = f.tree(sampleApp({ size: 700_000 }))
  const author = f.js({ swarm: false })
  const source = await author.touch()
  await jsStage(source, dir)
  const peer = f.js()
  const target = new QuorumDrive(peer, signers(count), { quorum })
  f.later(() => target.close())
  await target.commit(source, by)
  const drive = await target.open()
  const { link } = await describe(drive)
  return { f, dir, source, peer, target, drive, link }
}

for (const by of [[0, 1], [0, 2], [1, 2], [2, 0], [0, 1, 2]]) {
  test(`signed by ${by.join(' and ')} of 0..2: verified`, { timeout }, async (t) => {
    const { f, dir, peer, drive, link } = await quorumFixture(t, by)
    await peer.join(drive)
    const bosc = f.bosc()
    const info = await bosc.info(link)
    await assertSameDrive(drive, info)
    assert.equal(info.writable, false)
    await assertDump(bosc, link, f.fresh(), snapshot(dir))
  })
}

test('the next release, signed by another pair, is followed live', { timeout }, async (t) => {
  const { f, dir, source, peer, target, drive, link } = await quorumFixture(t, [0, 1])
  await peer.join(drive)
  const first = snapshot(dir)
  const length = drive.core.length
  const bosc = f.bosc()
  const seeding = await bosc.seed(link)
  await seeding.until('stats', (s) => s.driveLength === length && s.driveSynced && s.blobsSynced)

  writeTree(dir, sampleApp({ version: '2.0.0', size: 800_000 }))
  await jsStage(source, dir)
  await target.commit(source, [1, 2])
  await seeding.until('stats', (s) => s.driveLength === drive.core.length && s.driveSynced && s.blobsSynced)
  await seeding.stop()
  await assertSameDrive(drive, await bosc.info(link))
  await assertDump(bosc, link, f.fresh(), snapshot(dir))
  await assertDump(bosc, link, f.fresh(), first, '--checkout', length)
})

test('bosc passes a quorum drive on to JavaScript', { timeout }, async (t) => {
  const { f, dir, peer, drive, link } = await quorumFixture(t)
  await peer.join(drive)
  const { length } = drive.core
  const seeding = await f.bosc().seed(link)
  await seeding.until('stats', (s) => s.driveLength === length && s.driveSynced && s.blobsSynced)
  await peer.offline()
  const reader = f.js()
  const copy = await reader.drive(link)
  await reader.join(copy, { server: false })
  await reader.head(copy, { length })
  await reader.fetchAll(copy)
  const out = f.fresh()
  const { default: Localdrive } = await import('localdrive')
  await copy.mirror(new Localdrive(out)).done()
  assert.deepEqual(snapshot(out), snapshot(dir))
  assert.equal(copy.core.manifest.signers.length, 3)
})

const flip = (at) => (signature) => {
  const bad = Buffer.from(signature)
  bad[at < 0 ? bad.length + at : at] ^= 1
  return bad
}

// proofs: count, then (signer, 64 bytes, patch) each; then the number of patch nodes.
const forgeries = {
  'first signature flipped': flip(2 + 10),
  'second signature flipped': flip(1 + 66 + 1 + 10),
  'second signature missing': (_, sign) => sign([0]),
  'no signature at all': (_, sign) => sign([]),
  'one signer twice': (_, sign) => sign([0, 0]),
  'a signer that does not exist': (signature) => {
    const bad = Buffer.from(signature)
    bad[1 + 66] = 7
    return bad
  },
  'cut short': (signature) => Buffer.from(signature).subarray(0, 80)
}

test('a head signed again by others of the quorum is still accepted', { timeout }, async (t) => {
  // The control of the tests below: the same replacement in memory, with good signatures.
  const { f, dir, peer, target, drive, link } = await quorumFixture(t, [0, 1])
  await target.tamper((_, sign) => sign([2, 1]))
  await peer.join(drive)
  await assertDump(f.bosc(), link, f.fresh(), snapshot(dir), '--timeout', 20)
})

for (const [label, change] of Object.entries(forgeries)) {
  test(`${label}: refused`, { timeout }, async (t) => {
    const { f, peer, target, drive, link } = await quorumFixture(t)
    await target.tamper(change)
    let connections = 0
    peer.swarm.on('connection', () => connections++)
    await peer.join(drive)
    const bosc = f.bosc()
    const info = await bosc.end(['info', link, '--timeout', '6'])
    assertFailed(info, 'ERR_NETWORK_TIMEOUT')
    assert.equal(info.all('info').length, 0)
    const out = f.fresh()
    const dump = await bosc.end(['dump', link, out, '--timeout', '6'])
    assertFailed(dump, 'ERR_NETWORK_TIMEOUT')
    assert.equal(fs.existsSync(out) ? fs.readdirSync(out).length : 0, 0, 'nothing was written')
    assert.ok(connections >= 2, 'the forger was asked')
  })
}
