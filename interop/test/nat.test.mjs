// Peers behind NATs, in network namespaces of their own: what arrives is what was staged, through NATs that let nobody in who was
// not written to. The whole table: `node bench/nat.mjs`.
import test from 'node:test'
import assert from 'node:assert/strict'
import { isStandIn } from '../lib/bosc.mjs'
import { assertFailed } from '../lib/check.mjs'
import { fetchApart } from '../lib/apart.mjs'
import { cannotMakeSites } from '../lib/sites.mjs'

const skip = isStandIn() ? 'holepunching of bosc alone' : cannotMakeSites()
const timeout = 120_000

const rows = [
  ['cone', 'cone', 'bosc', 'bosc'],
  ['cone', 'cone', 'js', 'bosc'],
  ['cone', 'cone', 'bosc', 'js'],
  ['cone', 'symmetric', 'bosc', 'bosc'],
  ['symmetric', 'cone', 'bosc', 'bosc'],
  ['symmetric', 'cone', 'js', 'bosc'],
  ['cone', 'open', 'bosc', 'js']
]
for (const [from, to, seeds, fetches] of rows) {
  test(`a ${seeds} seeder behind ${from}, a ${fetches} fetcher behind ${to}: they reach each other`, { timeout, skip }, async () => {
    const { dump, same } = await fetchApart([from, to], [seeds, fetches])
    assert.equal(dump.code, 0, dump.describe())
    assert.ok(same)
  })
}

test('two symmetric NATs: no way through, and dump says so in time', { timeout, skip }, async () => {
  const { dump, ms } = await fetchApart(['symmetric', 'symmetric'], ['bosc', 'bosc'], { timeout: 12 })
  assertFailed(dump, 'ERR_NETWORK_TIMEOUT')
  assert.ok(ms < 25_000, `${ms} ms`)
})
