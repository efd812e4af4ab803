// A machine that comes into another network in the middle of a transfer, in network namespaces: another address on an open
// site, another network with another gateway and NAT on one behind a NAT. The transfer takes seven seconds when nothing happens; a
// dead connection that nobody notices lives for 13 seconds.
import test from 'node:test'
import assert from 'node:assert/strict'
import { isStandIn } from '../lib/bosc.mjs'
import { fetchApart } from '../lib/apart.mjs'
import { sleep } from '../lib/net.mjs'
import { cannotMakeSites } from '../lib/sites.mjs'

const skip = isStandIn() ? 'changes of network of bosc alone' : cannotMakeSites()
const timeout = 180_000
const bytes = 16_000_000
const rate = '20mbit'

// Who moves, where the seeder and the fetcher are, who they are, and how long all of it may take.
const rows = [
  ['fetcher', ['open', 'open'], ['bosc', 'bosc'], 15_000],
  ['fetcher', ['open', 'cone'], ['bosc', 'bosc'], 15_000],
  ['fetcher', ['cone', 'cone'], ['bosc', 'bosc'], 20_000],
  ['fetcher', ['open', 'cone'], ['js', 'bosc'], 17_000],
  ['fetcher', ['open', 'open'], ['bosc', 'js'], 17_000],
  ['seeder', ['open', 'open'], ['bosc', 'bosc'], 15_000],
  ['seeder', ['cone', 'open'], ['bosc', 'bosc'], 17_000],
  ['seeder', ['open', 'open'], ['js', 'bosc'], 17_000],
  ['seeder', ['open', 'open'], ['bosc', 'js'], 30_000]
]
for (const [who, kinds, pairing, within] of rows) {
  test(`the ${who} moves: a ${pairing[0]} seeder (${kinds[0]}), a ${pairing[1]} fetcher (${kinds[1]})`, { timeout, skip }, async (t) => {
    const during = async ({ sites, places }) => {
      await sleep(3000)
      const site = places[who === 'seeder' ? 0 : 1]
      sites.leave(site)
      await sleep(300)
      sites.arrive(site)
      if (who === 'seeder' && kinds[0] !== 'open') sites.slow(site, rate)
    }
    const { dump, same, ms } = await fetchApart(kinds, pairing, { bytes, rate, timeout: 60, during })
    t.diagnostic(`${Math.round(ms)} ms`)
    assert.equal(dump.code, 0, dump.describe())
    assert.ok(same)
    assert.ok(ms > 4000, `it was over before anything happened: ${ms} ms`)
    assert.ok(ms < within, `${ms} ms`)
  })
}
