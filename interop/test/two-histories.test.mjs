// Copied stores, and links with two histories: who signs the second is stopped, who meets both says so, JavaScript
// peers included.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { randomBytes } from 'node:crypto'
import z32 from 'z32'
import { assertDump, assertFailed } from '../lib/check.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { fixture } from '../lib/fixture.mjs'
import { jsStage, sleep, waitFor, within } from '../lib/net.mjs'
import { releaseFixture } from '../lib/release.mjs'
import { noise, sampleApp, snapshot, writeTree } from '../lib/tree.mjs'
import { Installed } from '../lib/watch.mjs'

const timeout = 240_000
const skip = isStandIn() ? 'the stand-in keeps no store of its own kind' : false

/** As `cp -a`, with the store not in use. */
function copyStore(f, bosc) {
  const store = f.fresh('copy')
  fs.cpSync(bosc.store, store, { recursive: true, preserveTimestamps: true })
  return f.bosc({ store })
}

function app(f, version, extra = {}) {
  return f.tree(sampleApp({ version, size: 200_000, extra }))
}

test('a copied store signs nothing before a peer showed the newest head, or --sole-copy said so', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const a = f.bosc()
  const { link } = await a.touch()
  const v1 = await a.stage(link, app(f, '1.0.0'))
  const b = copyStore(f, a)
  const c = copyStore(f, a)

  // Nobody can say what is newest.
  const refused = await b.end(['stage', link, app(f, '1.1.0')])
  assertFailed(refused, 'ERR_STORE_COPIED')
  assert.equal(refused.code, 5)
  assert.match(refused.last('error').hint, /--sole-copy/)
  assert.match(refused.last('store-copied').evidence, /copies/)
  // That it has the newest version is not for the user of a copy to say.
  const before = (await b.end(['versions', link])).stdout
  assertFailed(await b.end(['stage', link, app(f, '1.1.0'), '--newest']), 'ERR_STORE_COPIED')
  assert.equal((await b.end(['versions', link])).stdout, before)
  // The original minds nothing, and goes on.
  const v2 = await a.stage(link, app(f, '2.0.0'))
  assert.ok(v2.version > v1.version)

  // A peer that has the newest version: the copy goes on from there.
  const seeding = await a.seed(link)
  const v3 = await b.stage(link, app(f, '3.0.0'))
  assert.ok(v3.version > v2.version, 'on top of what the original staged')
  await b.seed(link)
  await seeding.until('stats', (s) => s.driveLength === v3.version && s.driveSynced)
  assert.equal(seeding.last('stats').conflicts, 0)

  // A new link is the copy's own.
  const own = await b.touch()
  await b.stage(own.link, app(f, '1.0.0'))

  // Said so once, it is the only copy for good. (Here it is a lie: it makes a second history.)
  await c.ok('stage', link, app(f, '9.0.0'), '--sole-copy')
  const again = await c.ok('stage', link, app(f, '9.1.0'))
  assert.equal(again.all('store-copied').length, 0)
})

test('two histories: seed, stage, doctor, info and dump say so; cutting back is the way out', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const a = f.bosc()
  const { link } = await a.touch()
  const v1 = await a.stage(link, app(f, '1.0.0'))
  const b = copyStore(f, a)
  const trees = { left: app(f, '2.0.0', { left: 'one\n' }), right: app(f, '2.0.0', { right: 'other\n', more: 'x' }) }
  const left = await a.stage(link, trees.left)
  const right = await b.stage(link, trees.right, '--sole-copy')
  assert.notEqual(left.hashlink, right.hashlink)

  const [seedA, seedB] = [await a.seed(link), await b.seed(link)]
  const [atA, atB] = await Promise.all([seedA.until('conflict', (c) => c.core === 'db'), seedB.until('conflict', (c) => c.core === 'db')])
  for (const [conflict, ours, theirs] of [[atA, left, right], [atB, right, left]]) {
    assert.equal(conflict.link, link)
    assert.equal(conflict.fork, 0)
    assert.equal(conflict.length, Math.min(left.version, right.version))
    assert.equal(conflict.ours.length, ours.version)
    assert.equal(conflict.theirs.length, theirs.version)
    assert.notEqual(conflict.ours.treeHash, conflict.theirs.treeHash)
  }
  assert.deepEqual([atA.ours, atA.theirs], [atB.theirs, atB.ours])
  await seedA.until('stats', (s) => s.conflicts > 0)

  // Who meets both at once takes both cores of one of them, and hears of the other.
  const reader = f.bosc()
  const reading = await reader.seed(link)
  await reading.until('stats', (s) => s.driveSynced && s.blobsSynced)
  const heard = await reading.until('conflict', (c) => c.core === 'db')
  const [taken, held] = heard.ours.length === left.version ? [left, trees.left] : [right, trees.right]
  assert.equal(heard.ours.length, taken.version)
  assert.equal(reading.last('stats').driveLength, taken.version)
  await reading.stop()
  const out = f.fresh()
  const dumped = await reader.ok('dump', link, out)
  assert.ok(dumped.all('conflict').length > 0, 'dump tells')
  assert.deepEqual(snapshot(out), snapshot(held))
  const info = await reader.ok('info', link)
  assert.ok(info.all('conflict').length > 0, 'info tells')
  const doctor = await reader.end(['doctor', link])
  assertFailed(doctor, 'ERR_UNHEALTHY')
  const finding = doctor.all('finding').find((x) => x.check === 'history')
  assert.equal(finding.level, 'bad')
  assert.match(finding.next, /--truncate/)

  // Neither is written on. The store remembers it without the peer.
  await seedB.stop()
  const refused = await a.end(['stage', link, app(f, '3.0.0')])
  assertFailed(refused, 'ERR_FORKED')
  assert.equal(refused.code, 7)
  assert.ok(refused.all('conflict').length > 0)

  // Cut back to what both have: followers of both go on.
  const tree = app(f, '3.0.0')
  const v3 = await a.stage(link, tree, '--truncate', v1.version)
  assert.match(v3.verlink, /^pear:\/\/1\./)
  const back = await b.seed(link)
  await back.until('stats', (s) => s.driveFork === 1 && s.driveLength === v3.version && s.driveSynced)
  // The blobs core goes to its fork by itself; until then it is whole as it was.
  while ((await b.info(link)).blobs.fork !== 1) await sleep(100)
  await back.until('stats', (s) => s.driveFork === 1 && s.driveSynced && s.blobsSynced, { from: back.lines.length })
  await assertDump(b, link, f.fresh(), snapshot(tree))
  const v4 = await a.stage(link, app(f, '4.0.0'))
  await back.until('stats', (s) => s.driveLength === v4.version)
  assert.equal(back.last('stats').conflicts, 0)
})

/** What a JavaScript peer sees when it meets another history of a drive. */
function conflictOf(drive) {
  return new Promise((resolve) => {
    drive.core.once('conflict', (length, fork, proof) => resolve({ length, fork, proof }))
  })
}

/** A bosc and a JavaScript writer of one key, each with a history of its own to be. */
async function twins(t) {
  const f = await fixture(t)
  const primaryKey = randomBytes(32)
  const bosc = f.bosc({ env: { BOSC_PRIMARY_KEY: primaryKey.toString('hex') } })
  const { link, name } = await bosc.touch()
  const js = f.js({ primaryKey })
  return { f, bosc, link, name, js, primaryKey, drive: await js.touch(name) }
}

test('JavaScript and bosc meet with two histories: both see the conflict, as JavaScript alone does', { timeout, skip }, async (t) => {
  for (const other of ['js', 'bosc']) {
    await t.test(`a JavaScript peer meets ${other}`, async (t) => {
      const { f, bosc, link, js, primaryKey, name, drive } = await twins(t)
      await jsStage(drive, app(f, '1.0.0', { 'of-js': 'x', another: 'y' }))
      const seen = conflictOf(drive)
      const own = drive.core.length
      const tree = app(f, '1.0.0', { elsewhere: 'z' })
      let told = null
      if (other === 'js') {
        const peer = f.js({ primaryKey })
        const second = await peer.touch(name)
        await jsStage(second, tree)
        await peer.join(second)
        await js.join(drive)
      } else {
        await bosc.stage(link, tree)
        const seeding = await bosc.seed(link)
        await js.join(drive)
        told = await seeding.until('conflict', (c) => c.core === 'db')
      }
      const { length, fork, proof } = await within(30_000, 'a conflict in JavaScript', seen)
      assert.equal(fork, 0)
      assert.ok(length > 0 && length <= own)
      assert.ok(proof.upgrade.signature.length >= 64)
      assert.equal(proof.upgrade.start, 0)
      if (told) {
        assert.equal(told.length, length)
        assert.equal(told.theirs.length, own)
      }
    })
  }
})

test('a JavaScript writer goes on with the history bosc does not have', { timeout, skip }, async (t) => {
  const { f, bosc, link, js, drive } = await twins(t)
  const tree = app(f, '1.0.0', { elsewhere: 'z', more: 'q' })
  const { version } = await bosc.stage(link, tree)
  const seeding = await bosc.seed(link)
  const dir = app(f, '1.0.0')
  await jsStage(drive, dir)
  for (let i = 0; drive.core.length <= version; i++) {
    writeTree(dir, { [`longer-${i}`]: `${i}` })
    await jsStage(drive, dir)
  }
  const longer = drive.core.length
  // Longer than ours: it is asked for its head, whose signature does not fit what is here.
  await js.join(drive)
  const conflict = await seeding.until('conflict', (c) => c.core === 'db')
  assert.equal(conflict.length, version)
  assert.equal(conflict.theirs.length, longer)
  assert.equal(seeding.last('stats').driveLength, version, 'nothing of it is taken')
  assertFailed(await bosc.end(['stage', link, tree]), 'ERR_FORKED')
})

test('two requests for one length, committed at once from two stores: one is written', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  await f.commitNew('bosc', first)
  const [left, right] = [await f.release('2.0.0', { left: 'l' }), await f.release('2.0.0', { right: 'r' })]
  const signed = []
  for (const source of [left, right]) {
    await f.seedSource(source)
    // By signers who remember nothing: bosc's would refuse the second (see signer.test.mjs).
    signed.push(await f.signed('js', source))
  }
  const commits = [left, right].map((source, i) => {
    const { request, responses } = signed[i]
    return f.bosc().end(f.commitArgs('commit', source, request, responses), { timeout: 120_000 })
  })
  const ended = await Promise.all(commits)
  const won = ended.filter((p) => p.code === 0)
  assert.equal(won.length <= 1, true, 'never both')
  for (const p of ended.filter((p) => p.code !== 0)) {
    assertFailed(p, 'ERR_COMMIT_CLAIMED')
    assert.equal(p.all('journaled').length, 0, 'and nothing is written')
  }
  assert.equal(won.length, 1, ended.map((p) => p.describe()).join('\n'))
  const source = ended[0].code === 0 ? left : right
  await f.assertProduction(source)
})

test('a follower who knows the link cannot stop a commit', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('bosc', source)
  // A request of its own that nobody signed: refused before it claims anything. (What strangers show where commits meet is
  // tested beside the code: multisig/command/claim/tests/meeting.rs.)
  const bad = await f.release('1.0.0', { bad: 'x' })
  await f.seedSource(bad)
  const unsigned = await f.request('bosc', bad)
  assertFailed(await f.bosc().end(f.commitArgs('commit', bad, unsigned, [responses[0]], '--first-commit')), 'SIGNATURE_OTHER_REQUEST')
  await f.commit('bosc', source, request, responses)
  await f.assertProduction(source)
})

test('a production that is split is named by seed and commit, with the way out', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const p = f.bosc()
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  await f.commitNew('bosc', first, { bosc: p })
  const q = copyStore(f.f, p)
  const [left, right] = [await f.release('2.0.0', { left: 'l' }), await f.release('2.0.0', { right: 'r' })]
  const signed = []
  for (const source of [left, right]) {
    await f.seedSource(source)
    // By signers who remember nothing: bosc's would refuse the second (see signer.test.mjs).
    signed.push(await f.signed('js', source))
  }
  const force = (bosc, i) =>
    bosc.ok(...f.commitArgs('commit', [left, right][i], signed[i].request, signed[i].responses, '--force-dangerous'))
  // Each believes that it is alone.
  await f.stopTargetSeeders()
  await force(p, 0)
  await force(q, 1)
  const [seedP, seedQ] = [await p.seed(f.targetLink), await q.seed(f.targetLink)]
  const told = await Promise.all([seedP, seedQ].map((s) => s.until('conflict')))
  for (const c of told) {
    assert.equal(z32.decode(c.key).length, 32)
    assert.notEqual(c.ours.treeHash, c.theirs.treeHash)
  }
  const next = await f.bosc({ store: p.store }).end(
    f.commitArgs('commit', right, signed[1].request, signed[1].responses), { timeout: 120_000 })
  assert.notEqual(next.code, 0)
  const doctor = await p.end(['doctor', f.targetLink])
  assertFailed(doctor, 'ERR_UNHEALTHY')
  const finding = doctor.all('finding').find((x) => x.check === 'history')
  assert.equal(finding.level, 'bad')
  assert.match(finding.next, /rotate/)
  await waitFor(() => seedP.last('stats').conflicts > 0, { what: () => 'conflicts in stats' })
})

test('watch keeps the history it has, tells the other, and installs nothing of it', { timeout, skip }, async (t) => {
  const f = await fixture(t)
  const host = `${process.platform}-${process.arch}`
  const program = `by-arch/${host}/app/Demo`
  const build = (version, data) => f.tree({ ...sampleApp({ version, size: 1000 }), [program]: { data, mode: 0o755 } })
  const a = f.bosc()
  const { link } = await a.touch()
  const first = build('1.0.0', noise(1, 50_000))
  const v1 = await a.stage(link, first)
  const b = copyStore(f, a)
  writeTree(first, { note: 'x' })
  const left = await a.stage(link, first)
  const right = await b.stage(link, build('2.0.0', noise(2, 50_000)), '--sole-copy')
  assert.ok(left.version > v1.version && right.version > v1.version)

  const seedA = await a.seed(link)
  const demo = new Installed(f, link, { source: `${first}/${program}`, version: '1.0.0' })
  const before = demo.watch()
  await seedA.until('stats', (s) => s.upload.totalBlocks > 0)
  // What it got is written down within half a second.
  await sleep(1500)
  await before.quit()
  assert.deepEqual(before.all('conflict'), [])
  await b.seed(link)
  const run = demo.watch()
  const told = await run.until('conflict')
  assert.equal(told.link, link)
  assert.deepEqual([told.ours.length, told.theirs.length], [left.version, right.version])
  assert.equal(run.all('updating').length, 0, 'nothing of the other history')
  await run.quit()
  assert.equal(run.all('updated').length, 0)
})
