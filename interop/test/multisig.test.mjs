// Requests, signatures and commits by bosc and by the JavaScript tools, in every combination; bad responses and requests.
import test from 'node:test'
import assert from 'node:assert/strict'
import z32 from 'z32'
import { assertFailed } from '../lib/check.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { releaseFixture } from '../lib/release.mjs'
import { Signer } from '../lib/signing.mjs'

const timeout = 180_000
const skip = isStandIn() ? 'the stand-in has no multisig' : false
const kinds = ['bosc', 'js']

for (const asks of kinds) {
  for (const signs of kinds) {
    for (const commits of kinds) {
      const label = `request by ${asks}, signed by ${signs}, committed by ${commits}: first release and the next`
      test(label, { timeout, skip }, async (t) => {
        const f = await releaseFixture(t)
        for (const version of ['1.0.0', '2.0.0']) {
          const source = await f.release(version)
          await f.seedSource(source)
          const request = await f.request(asks, source)
          const by = version === '1.0.0' ? [0, 1] : [2, 0]
          const responses = []
          for (const i of by) responses.push(await f.sign(signs, i, request))
          await f.commit(commits, source, request, responses)
          await f.assertProduction(source)
        }
      })
    }
  }
}

test('any two of three, in any order, and all three', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  await f.startTargetSeeders()
  const request = await f.request('bosc', source)
  const all = await Promise.all([0, 1, 2].map((i) => f.sign('bosc', i, request)))
  for (const by of [[0, 1], [1, 0], [0, 2], [2, 1], [0, 1, 2], [2, 0, 2]]) {
    const p = await f.bosc().ok(...f.commitArgs('verify', source, request, by.map((i) => all[i]), '--first-commit'))
    const { quorum, result, dryRun } = p.last('final')
    assert.equal(dryRun, true)
    assert.deepEqual(quorum, { amount: 2, total: new Set(by).size })
    const js = await f.verifyJs(source, request, by.map((i) => all[i]))
    assert.equal(result.db.batch.signature, js.db.batch.signature)
    assert.equal(result.blobs.batch.signature, js.blobs.batch.signature)
    for (const core of ['db', 'blobs']) {
      for (const field of ['key', 'keyHex', 'length', 'treeHash', 'treeHashHex']) {
        assert.equal(result[core].batch[field], js[core].batch[field], `${core}.${field}`)
      }
    }
  }
})

test('one of two: verify counts it, commit refuses before any network', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  await f.seedSource(source)
  const request = await f.request('bosc', source)
  const one = await f.sign('bosc', 1, request)
  const verified = await f.bosc().ok(...f.commitArgs('verify', source, request, [one], '--first-commit'))
  assert.deepEqual(verified.last('final').quorum, { amount: 2, total: 1 })
  assert.equal(verified.last('final').result.db.batch.signature, null)
  for (const responses of [[], [one], [one, one]]) {
    const p = await f.bosc().end(f.commitArgs('commit', source, request, responses, '--first-commit'))
    assertFailed(p, 'INSUFFICIENT_QUORUM')
    assert.match(p.last('error').message, new RegExp(`Insufficient quorum: ${responses.length ? 1 : 0} / 2`))
    assert.equal(p.all('verify-committable-start').length, 0)
  }
})

test('bad responses are refused, each with its own code', { timeout, skip }, async (t) => {
  const f = await releaseFixture(t)
  const source = await f.release('1.0.0')
  const request = await f.request('bosc', source, { force: true })
  const good = await f.sign('js', 0, request)
  const elsewhere = await f.request('bosc', source, { force: true, config: { ...f.config, namespace: 'bosc/other' } })
  const stranger = new Signer(f.dir, 7)
  const forged = z32.decode(await f.sign('js', 1, request))
  forged[forged.length - 5] ^= 1
  const posing = z32.decode(good)
  f.signers[1].keyPair.publicKey.copy(posing, 2 + 32)
  const unknown = z32.decode(good)
  stranger.keyPair.publicKey.copy(unknown, 2 + 32)
  const cases = {
    SIGNATURE_OTHER_REQUEST: await f.sign('js', 1, elsewhere),
    SIGNATURE_INVALID: z32.encode(forged),
    SIGNER_UNKNOWN: z32.encode(unknown),
    ERR_INVALID_INPUT: request.slice(0, 90)
  }
  for (const [code, bad] of [...Object.entries(cases), ['SIGNATURE_INVALID', z32.encode(posing)]]) {
    for (const list of [[good, bad], [bad, good]]) {
      const p = await f.bosc().end(f.commitArgs('commit', source, request, list, '--first-commit'))
      assertFailed(p, code)
      assert.ok(p.last('error').hint.length > 10)
      assert.equal(p.all('verify-committable-start').length, 0)
    }
  }
  const mismatch = await f.bosc().end(f.commitArgs('commit', source, elsewhere, [await f.sign('js', 1, elsewhere)], '--first-commit'))
  assertFailed(mismatch, 'REQUEST_CONFIG_MISMATCH')
})
