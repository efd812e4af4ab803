// A commit that is killed at any step: the same command finishes it, here or on another machine.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { assertFailed } from '../lib/check.mjs'
import { isStandIn } from '../lib/bosc.mjs'
import { releaseFixture } from '../lib/release.mjs'

const skip = isStandIn() ? 'the stand-in has no multisig' : false

// Side by side: most of each is waiting for a peer that was killed.
const steps = ['verify-committable-start', 'target', 'commit-start', 'journaled', 'commit-progress', 'committed',
  'verify-committed-start', 'verify-committed']
const half = steps.length / 2
describe('killed at every step of a commit: the same command finishes', { concurrency: 4, skip }, () => {
  for (const which of ['first', 'later']) {
    for (const part of [steps.slice(0, half), steps.slice(half)]) {
      test(`${which} release, ${part.join(', ')}`, { timeout: 300_000 }, (t) => killed(t, which, part))
    }
  }
})

async function killed(t, which, part) {
  const f = await releaseFixture(t)
  const first = await f.release('1.0.0')
  await f.seedSource(first)
  f.production = first
  const source = which === 'first' ? first : await f.release('2.0.0')
  await f.seedSource(source)
  for (const step of part) {
    const i = steps.indexOf(step)
    await f.stopTargetSeeders()
    f.newTarget()
    if (which === 'later') await f.commitDirect(first)
    else await f.startTargetSeeders()
    const { request, responses } = await f.signed('js', source)
    const bosc = f.bosc()
    const args = f.commitArgs('commit', source, request, responses, ...(which === 'first' ? ['--first-commit'] : []))
    const p = bosc.start(...args)
    await p.until(step, undefined, { timeout: 60_000 })
    p.child.kill('SIGKILL')
    await p.exited
    const { phase } = (await bosc.ok('multisig', 'status')).last('commit') ?? {}
    if (i >= steps.indexOf('committed')) assert.ok(['written', 'committed'].includes(phase), `${step}: ${phase}`)
    // Before that the phase proves nothing: between what was seen and the kill it may have gone on.
    // On the same machine, or on another one.
    const next = i % 2 === 0 ? bosc : f.bosc()
    let again = await next.end(args)
    if (next !== bosc && again.code !== 0) {
      // Killed after its db was taken and before its blobs were: nobody but the store that wrote them knows which release
      // this is, so another store writes nothing until that one is back.
      assertFailed(again, 'TARGET_STATE_UNKNOWN')
      assert.ok(i >= steps.indexOf('journaled'), step)
      assert.equal(again.all('journaled').length, 0, step)
      assert.ok(f.targetSeeders.every((s) => s.blobs.length === 0), `${step}: nobody has blobs`)
      await bosc.ok(...args)
      again = await next.ok(...args)
    }
    assert.equal(again.code, 0, again.describe())
    const { result, seeded } = again.last('final')
    assert.equal(result.db.destCore.treeHash, source.hash, step)
    assert.equal(result.blobs.destCore.treeHashHex, (await source.blobs.treeHash(source.blobsLength)).toString('hex'), step)
    assert.equal(seeded, true)
    assert.equal((await next.ok('multisig', 'status')).last('commit').phase, 'committed')
    // Once more says the same and changes nothing; so does the store that was killed.
    for (const store of [next, bosc]) assert.equal((await store.ok(...args)).last('final').result.db.destCore.treeHash, source.hash)
    if (i % 3 === 0) await f.assertProduction(source)
  }
}
