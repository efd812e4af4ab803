// Commits that meet something: no network, nobody who knows, another committer, another release, a changed source.
import test from 'node:test'
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import c from 'compact-encoding'
import { assertFailed } from '../lib/check.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { releaseFixture } from '../lib/release.mjs'
import { PASSPHRASE } from '../lib/signing.mjs'

const timeout = 180_000
const skip = isStandIn() ? 'the stand-in has no multisig' : false

/** A first release that `store` committed, and the signed request for a second one. */
async function signedNext(t) {
  const f = await releaseFixture(t)
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  const store = f.bosc()
  await f.commitNew('bosc', first, { bosc: store })
  const source = await f.release('2.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('bosc', source)
  return { f, store, source, request, responses }
}

test('offline, verify and commit say so, whatever they know', { timeout, skip }, async (t) => {
  const { f, store, source, request, responses } = await signedNext(t)
  // It has seen both, and so has nothing to fetch.
  await store.ok(...f.commitArgs('verify', source, request, responses))
  const offline = [{ host: '127.0.0.1', port: 9 }]
  for (const [command, dir] of [['verify', undefined], ['commit', store.store]]) {
    const p = await f.bosc({ store: dir, bootstrap: offline }).end(f.commitArgs(command, source, request, responses))
    assertFailed(p, 'ERR_NO_DHT')
    assert.equal(p.code, 4)
    assert.match(p.last('error').message, /127\.0\.0\.1:9/)
    assert.deepEqual(p.all('journaled'), [])
  }
})

test('offline, an existing production is not taken for a first commit', { timeout, skip }, async (t) => {
  const { f, store, source, request, responses } = await signedNext(t)
  await f.stopTargetSeeders()
  // Sources are seeded, production is out of sight, the store is new.
  const p = await f.bosc().end(f.commitArgs('commit', source, request, responses))
  assertFailed(p, 'TARGET_STATE_UNKNOWN')
  assert.equal(p.all('journaled').length, 0)
  // The store that committed before knows better, and lacks copies.
  const known = await store.end(f.commitArgs('commit', source, request, responses))
  assertFailed(known, 'TARGET_CORE_INSUFFICIENT_PEERS')
  // Empty seeders are no news; whoever has production is.
  await f.startTargetSeeders()
  assertFailed(await f.bosc().end(f.commitArgs('commit', source, request, responses)), 'TARGET_STATE_UNKNOWN')
  await store.seed(`pear://${f.targetKey}`)
  await f.commit('bosc', source, request, responses)
  await f.assertProduction(source)
  const records = (await store.ok('data', 'multisig')).last('final').records
  assert.deepEqual(records, [{ key: f.targetKey }])
})

test('peers that have nothing do not vouch for an empty production', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('bosc', source)
  await f.startTargetSeeders()
  const p = await f.bosc().end(f.commitArgs('commit', source, request, responses))
  assertFailed(p, 'TARGET_STATE_UNKNOWN')
  assert.equal(p.all('journaled').length, 0)
  // A check that writes nothing goes on and says what it does not know.
  const verified = await f.bosc().ok(...f.commitArgs('verify', source, request, responses))
  assert.equal(verified.all('target-unknown').length, 1)
  await f.commit('bosc', source, request, responses)
  await f.assertProduction(source)
})

test('a commit by a store that has never seen production', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  await f.commitNew('js', first)
  const source = await f.release('2.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('js', source)
  const store = f.bosc()
  const p = await f.commit('bosc', source, request, responses, { bosc: store })
  assert.equal(p.last('target').fromPeers, true)
  assert.equal(p.last('verify-committed-start').firstCommit, false)
  await f.assertProduction(source)
  // All of it, the old part included, is here to be seeded.
  const commit = (await store.ok('multisig', 'status')).last('commit')
  assert.equal(commit.phase, 'committed')
  assert.equal(commit.db.held, source.length)
})

test('a first commit that JavaScript left between blobs and db is finished', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('js', source)
  await f.halfCommit(source, request, responses)
  // Its seeders have the blobs already.
  const p = await f.commit('bosc', source, request, responses)
  assert.ok(p.last('target').blobsLength > 0 || p.last('target').firstCommit)
  await f.assertProduction(source)
})

test('two committers at once, of one release', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses, all } = await f.signed('js', source, [0, 1, 2])
  await f.startTargetSeeders()
  const shared = f.bosc()
  const runs = [
    f.bosc().end(f.commitArgs('commit', source, request, responses, '--first-commit')),
    shared.end(f.commitArgs('commit', source, request, [all[2], all[1]], '--first-commit')),
    shared.end(f.commitArgs('commit', source, request, [all[0], all[2]], '--first-commit'))
  ]
  for (const p of await Promise.all(runs)) {
    assert.equal(p.code, 0, p.describe())
    assert.equal(p.last('final').result.db.destCore.treeHash, source.hash)
  }
  await f.assertProduction(source)
})

test('two releases prepared from one production: the second is refused and nothing is written', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  await f.commitNew('bosc', first)
  const a = await f.release('2.0.0', { 'a.txt': 'a' })
  const b = await f.release('2.0.1', { 'b.txt': 'b', 'c.txt': 'c', 'd.txt': 'd' })
  await f.seedSource(a)
  await f.seedSource(b)
  const signedA = await f.signed('bosc', a)
  const signedB = await f.signed('bosc', b)
  const store = f.bosc()
  await f.commit('bosc', a, signedA.request, signedA.responses, { bosc: store })
  const p = await f.bosc().end(f.commitArgs('commit', b, signedB.request, signedB.responses))
  assert.ok(['INCOMPATIBLE_SOURCE_AND_TARGET', 'TARGET_CORE_TOO_BIG'].includes(p.last('error')?.code), p.describe())
  assert.equal(p.all('journaled').length, 0)
  await f.assertProduction(a)
  // Neither is it requested nor signed any more.
  const again = await store.end(['multisig', 'request', b.verlink, '--config', f.configFile, '--wait', '10'])
  assert.notEqual(again.code, 0)
  assert.ok(['INCOMPATIBLE_SOURCE_AND_TARGET', 'TARGET_CORE_TOO_BIG'].includes(again.last('error')?.code), again.describe())
  const env = { BOSC_PASSPHRASE: PASSPHRASE }
  const sign = await f.bosc({ store: store.store, env }).end(['multisig', 'sign', signedB.request, '--yes', '--offline', '--source', b.link, '--keys', f.signers[0].dir])
  assertFailed(sign, again.last('error').code)
})

test('two releases of the same names and sizes have one db: their contents tell them apart', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  await f.commitNew('bosc', first)
  const a = await f.release('2.0.0', { 'a.txt': 'one' })
  const b = await f.release('2.0.1', { 'a.txt': 'two' })
  assert.equal(a.hash, b.hash)
  await f.seedSource(a)
  await f.seedSource(b)
  const signedA = await f.signed('bosc', a)
  // The signers know what they signed: for this test they sign the second all the same.
  const signedB = await f.signed('bosc', b, [0, 1], '--replace')
  const store = f.bosc()
  await f.commit('bosc', a, signedA.request, signedA.responses, { bosc: store })
  const p = await f.bosc().end(f.commitArgs('commit', b, signedB.request, signedB.responses))
  assertFailed(p, 'INCOMPATIBLE_SOURCE_AND_TARGET')
  assert.equal(p.all('journaled').length, 0)
  await f.assertProduction(a)
  // The store that holds a is not told that b is in production already, nor that a is what is signed.
  const signer = f.bosc({ store: store.store, env: { BOSC_PASSPHRASE: PASSPHRASE } })
  const sign = (request) => signer.end(['multisig', 'sign', request, '--yes', '--offline', '--keys', f.signers[0].dir])
  assert.equal((await sign(signedA.request)).code, 0)
  assertFailed(await sign(signedB.request), 'INCOMPATIBLE_SOURCE_AND_TARGET')
})

test('the source was changed after the request', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('bosc', source)
  // Appended to: what was requested is still there.
  await source.drive.put('/later.txt', 'later')
  await f.seedSource(source)
  const ok = await f.bosc().ok(...f.commitArgs('verify', source, request, responses, '--first-commit'))
  assert.equal(ok.last('final').result.db.batch.treeHash, source.hash)
  // Another drive of the same length: refused.
  const other = await f.release('1.0.0', { 'readme.txt': 'other' })
  await other.drive.put('/more.txt', 'more')
  await other.drive.put('/more2.txt', 'more')
  await f.seedSource(other)
  const p = await f.bosc().end(f.commitArgs('commit', other, request, responses, '--first-commit'))
  assertFailed(p, 'SRC_KEY_MISMATCH')
  assert.equal(p.all('journaled').length, 0)
})

test('a production peer that serves an older head does not speak for all', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t, { seeders: 3 })
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  await f.commitNew('bosc', first)
  const stale = await f.freezeTarget()
  const second = await f.release('2.0.0')
  await f.seedSource(second)
  await f.commitNew('bosc', second)
  const third = await f.release('3.0.0')
  await f.seedSource(third)
  const { request, responses } = await f.signed('bosc', third)
  await stale.start()
  const p = await f.commit('bosc', third, request, responses)
  assert.equal(p.last('target').length, second.length)
  await f.assertProduction(third)

  // With only the stale peer in sight a store that committed since says so.
  const fourth = await f.release('4.0.0')
  await f.seedSource(fourth)
  const next = await f.signed('bosc', fourth)
  await f.stopTargetSeeders()
  const alone = await f.bosc().end(f.commitArgs('commit', fourth, next.request, next.responses))
  assert.notEqual(alone.code, 0)
  assert.equal(alone.all('journaled').length, 0)
})

test('commands on a store that seeds are done by the seeder', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('js', source)
  const bosc = f.bosc({ env: { BOSC_PASSPHRASE: PASSPHRASE } })
  await f.startTargetSeeders()
  const seeding = await bosc.seed(f.targetLink)
  const p = await bosc.ok(...f.commitArgs('commit', source, request, responses, '--first-commit'))
  assert.equal(p.last('final').seeded, true)
  await seeding.until('stats', (s) => s.driveLength === source.length && s.driveSynced && s.blobsSynced)
  assert.equal((await bosc.ok('multisig', 'status', f.targetLink)).last('commit').phase, 'committed')
  const signed = await bosc.ok('multisig', 'sign', request, '--yes', '--wait', '3', '--keys', f.signers[0].dir)
  assert.equal(signed.last('signing').released, true)
  // The seeder still announces after the other commands are gone.
  const reader = f.js()
  const drive = await reader.drive(f.targetLink)
  await f.stopTargetSeeders()
  await reader.join(drive, { server: false })
  await reader.head(drive, { length: source.length })
  await seeding.stop()
})

test('without two copies in time a commit says so, and goes on later', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t, { seeders: 1 })
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('js', source)
  const store = f.bosc()
  await f.startTargetSeeders()
  const args = f.commitArgs('commit', source, request, responses, '--first-commit')
  const late = await store.end([...args, '--wait', '4'])
  assertFailed(late, 'COMMIT_NOT_SEEDED')
  assert.ok(late.last('verify-committed').db.fullCopies <= 1)
  const commit = (await store.ok('multisig', 'status')).last('commit')
  assert.deepEqual([commit.phase, commit.db.here, commit.db.length], ['written', source.length, source.length])
  assert.deepEqual((await store.ok('data', 'multisig')).last('final').records, [{ key: f.targetKey }])
  await f.startTargetSeeders(2)
  // The responses are in the journal: the request is enough.
  const again = await store.ok(...f.commitArgs('commit', source, request, []))
  assert.equal(again.last('committed').resumed, true)
  await f.assertProduction(source)
})

test('requests and responses come from files and standard input; wrong configurations are named', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const { request, responses } = await f.signed('js', source)
  const file = path.join(f.dir, 'texts')
  fs.writeFileSync(file, [request, ...responses].join('\n') + '\n')
  const p = await f.bosc().ok('multisig', 'verify', source.link, file, '--config', f.configFile, '--first-commit')
  assert.equal(p.last('final').quorum.total, 2)

  const config = path.join(f.dir, 'broken.json')
  const link = (text) => {
    fs.writeFileSync(config, text)
    return f.bosc().end(['multisig', 'link', '--config', config])
  }
  assertFailed(await link('{'), 'ERR_INVALID_CONFIG')
  assertFailed(await link('{}'), 'ERR_INVALID_CONFIG')
  assertFailed(await f.bosc().end(['multisig', 'link', '--config', path.join(f.dir, 'none.json')]), 'ERR_INVALID_INPUT')
  const good = await link(JSON.stringify({ multisig: f.config }))
  assert.equal(good.last('final').link, f.targetLink)
  const vanity = await f.bosc().ok('multisig', 'link', '--config', config, '--vanity', 'y')
  assert.match(vanity.last('final').link, /^pear:\/\/y/)
  assert.equal((await f.bosc().ok('multisig', 'link', '--config', config)).last('final').link, vanity.last('final').link)
})
